/*
 * A reload that takes away what live flows need: SNAT addresses, SNAT itself, a VLAN, the VIP. Each
 * flow goes on, or both of its ends are reset at once.
 */
#include "fixture.h"
#include "frames6.h"
#include "suites.h"

#include <stdlib.h>

enum { ACK = 0x10, SYN = 0x02, SYN_ACK = 0x12, FIN_ACK = 0x11, S = 1000, VLAN = 10, OTHER = 20 };
enum { CONNS = 12, WORKERS = 3, ISN = 7000 };

static struct engine engine;

/* What the file says before or after: the farm's SNAT addresses, and what is beside it. */
struct file {
	const char *what;
	uint8_t snat[4]; /* last bytes of addresses, up to 0 */
	uint8_t vip;
	uint16_t vlan, server_vlan;
	uint8_t other_vip, other_snat; /* of a second farm, or 0 */
	uint8_t server;                /* a further one, or 0 */
};

static const struct change {
	struct file before, after;
	uint16_t client_vlan;
	bool goes_on;
	uint8_t kept; /* the last byte of an address that stays ours, or 0 */
} changes[] = {
        /* clang-format off */
        {{.what = "one of two is taken out", .snat = {38, 39}, .vip = 40}, {.snat = {38}, .vip = 40}, 0, true, 39},
        {{.what = "all are, for the VIP", .snat = {38, 39}, .vip = 40}, {.snat = {40}, .vip = 40}, 0, true, 39},
        {{.what = "the VIP is, for others", .snat = {40}, .vip = 40}, {.snat = {38, 39}, .vip = 40}, 0, true, 0},
        {{.what = "off", .snat = {38, 39}, .vip = 40}, {.vip = 40}, 0, true, 38},
        {{.what = "off, after the VIP", .snat = {40}, .vip = 40}, {.vip = 40}, 0, true, 0},
        {{.what = "on", .vip = 40}, {.snat = {40}, .vip = 40}, 0, true, 0},
        {{.what = "on, at another one", .vip = 40}, {.snat = {38}, .vip = 40}, 0, true, 0},
        {{.what = "becomes another farm's VIP", .snat = {38}, .vip = 40}, {.snat = {40}, .vip = 40, .other_vip = 38}, 0, true, 0},
        {{.what = "becomes another farm's", .snat = {38}, .vip = 40}, {.snat = {40}, .vip = 40, .other_vip = 50, .other_snat = 38}, 0, true, 0},
        {{.what = "becomes the VIP", .snat = {38}, .vip = 40}, {.snat = {38}, .vip = 38}, 0, false, 0},
        {{.what = "becomes a server", .snat = {38}, .vip = 40}, {.snat = {40}, .vip = 40, .server = 38}, 0, false, 0},
        {{.what = "the VIP is another one", .snat = {40}, .vip = 40}, {.snat = {41 + 100}, .vip = 41 + 100}, 0, false, 0},
        {{.what = "the VIP is, not the address", .snat = {38}, .vip = 40}, {.snat = {38}, .vip = 50}, 0, false, 0},
        {{.what = "another VLAN", .snat = {40}, .vip = 40, .vlan = VLAN}, {.snat = {40}, .vip = 40, .vlan = OTHER}, VLAN, false, 0},
        {{.what = "a VLAN, which clients are in", .snat = {40}, .vip = 40}, {.snat = {40}, .vip = 40, .vlan = VLAN}, VLAN, true, 0},
        {{.what = "a VLAN, which none is in", .snat = {40}, .vip = 40}, {.snat = {40}, .vip = 40, .vlan = VLAN}, 0, false, 0},
        {{.what = "no VLAN any more", .snat = {38}, .vip = 40, .vlan = VLAN}, {.snat = {38}, .vip = 40}, VLAN, true, 0},
        {{.what = "servers in another VLAN", .snat = {38}, .vip = 40, .vlan = VLAN}, {.snat = {39}, .vip = 40, .vlan = VLAN, .server_vlan = OTHER}, VLAN, true, 0},
        {{.what = "taken out in a VLAN", .snat = {38, 39}, .vip = 40, .vlan = VLAN}, {.snat = {39}, .vip = 40, .vlan = VLAN}, VLAN, true, 0},
        /* clang-format on */
};

enum { NCHANGES = sizeof(changes) / sizeof(changes[0]) };

static be32 address(uint8_t last)
{
	return ip4(10, 0, 0, last);
}

static struct rules *rules_of(const struct file *file, bool v6)
{
	const bool two = file->other_vip;
	struct rules *rules = fixture_farms(1 + two, 2);
	be32 snat[4] = {{{0}}};
	unsigned n = 0;

	for (; file->snat[n]; n++)
		snat[n] = address(file->snat[n]);
	fixture_set_snat(&rules->farms[0], snat, n);
	rules->farms[0].vip = address(file->vip);
	rules->farms[0].vlan = file->vlan;
	for (unsigned s = 0; s < 2; s++)
		rules->servers[s].vlan = file->server_vlan ? file->server_vlan : file->vlan;
	if (file->server)
		rules->servers[1].address = address(file->server);
	if (two) {
		rules->farms[1].vip = address(file->other_vip);
		snat[0] = address(file->other_snat ? file->other_snat : file->other_vip);
		fixture_set_snat(&rules->farms[1], snat, 1);
	}
	if (v6)
		fixture_make_ipv6(rules);
	return rules;
}

/* A connection, its addresses being those of IPv4 that fixture_ip6() makes IPv6's of. */
struct conn {
	bool v6;
	uint16_t vlan;
	be32 client, server, snat;
	uint16_t sport, snat_port;
	uint32_t next[2];
};

static struct verdict put(const struct conn *c, const struct spec *spec, struct built *ret)
{
	struct built ipv4;

	frames_tcp(c->v6 ? &ipv4 : ret, spec);
	if (c->v6)
		frames6_of(ret, &ipv4);
	return engine_input(&engine, ret);
}

static void tag(struct spec *spec, uint16_t vlan)
{
	spec->ntags = vlan != 0;
	spec->tpid[0] = 0x8100;
	spec->tci[0] = vlan;
}

/* By the VLAN that the server is in by the rules of today. */
static struct spec spec_of(const struct conn *c, enum end end, uint8_t flags)
{
	struct spec spec = spec_syn(c->client, c->sport, 443);

	tag(&spec, c->vlan);
	if (end == SERVER) {
		spec.src = engine.rules->servers[0].mac;
		spec.dst = FIXTURE_INSIDE_MAC;
		spec.side = INSIDE;
		spec.from = c->server;
		spec.to = c->snat;
		spec.sport = 443;
		spec.dport = c->snat_port;
		tag(&spec, engine.rules->servers[0].vlan);
	}
	spec.flags = flags;
	spec.seq = c->next[end];
	spec.ack = flags == SYN ? 0 : c->next[end_other(end)];
	return spec;
}

static struct verdict say(struct conn *c, enum end end, uint8_t flags, uint16_t payload)
{
	struct spec spec = spec_of(c, end, flags);
	struct built built;

	spec.payload = payload;
	c->next[end] += payload + (flags & 1u) + (flags >> 1 & 1u);
	return put(c, &spec, &built);
}

static be32 address_at(const struct conn *c, const struct built *built, bool dst)
{
	const uint32_t at = c->v6 ? 8 + 12 + (dst ? 16u : 0) : 12 + (dst ? 4u : 0);

	return be32_load(built->frame.data + built->l3 + at);
}

/* With the first port from sport on that this worker has. */
static void open_at(struct conn *c, bool v6, uint16_t vlan, unsigned client, uint16_t sport)
{
	struct spec spec;
	struct built built;
	struct verdict v;

	*c = (struct conn){
	        .v6 = v6, .vlan = vlan, .client = fixture_client(client), .sport = sport};
	c->next[CLIENT] = ISN;
	do {
		spec = spec_of(c, CLIENT, SYN);
		v = put(c, &spec, &built);
		if (v.act == LB_HAND_OVER)
			c->sport++;
	} while (v.act == LB_HAND_OVER);
	require_eq(v.why, WHY_FLOW_NEW);
	c->next[CLIENT]++;
	c->next[SERVER] = 2 * ISN;
	c->snat = address_at(c, &built, false);
	c->server = address_at(c, &built, true);
	c->snat_port = frames_get16(built.frame.data + built.l3 + (v6 ? 40 : 20));
	require_eq(say(c, SERVER, SYN_ACK, 0).why, WHY_FLOW_HIT);
	require_eq(say(c, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
}

/* From either end to where the other one has always been. */
static void check_goes_on(struct conn *c)
{
	struct spec spec = spec_of(c, CLIENT, ACK);
	struct built built;

	require_eq(put(c, &spec, &built).why, WHY_FLOW_HIT);
	require(be32_eq(address_at(c, &built, true), c->server));
	require(be32_eq(address_at(c, &built, false), c->snat));
	spec = spec_of(c, SERVER, ACK);
	require_eq(put(c, &spec, &built).why, WHY_FLOW_HIT);
	require(be32_eq(address_at(c, &built, true), c->client));
	require_eq(say(c, CLIENT, ACK, 100).why, WHY_FLOW_HIT);
	require_eq(say(c, SERVER, ACK, 100).why, WHY_FLOW_HIT);
}

static const uint64_t *ended(void)
{
	return lb_balance(engine.lb)->counts.ended;
}

static void check_resets(void)
{
	unsigned to_server = 0;

	engine.nowns = 0;
	engine_poll(&engine);
	require_eq(ended()[ENDED_RELOAD], CONNS);
	require_eq(engine.nowns, 2 * CONNS);
	for (unsigned i = 0; i < engine.nowns; i++)
		to_server += engine.owns[i].server != SERVER_NONE;
	require_eq(to_server, CONNS);
}

/* Somebody asks for the address, in the farm's VLAN. */
static enum lb_why ask(uint8_t last)
{
	struct spec spec = {.dst = FIXTURE_BROADCAST,
	                    .src = FIXTURE_CLIENT_MAC,
	                    .from = fixture_client(99),
	                    .to = address(last),
	                    .arp_oper = 1};
	struct built built;

	tag(&spec, engine.rules->farms[0].vlan);
	frames_arp(&built, &spec);
	return (enum lb_why)engine_input(&engine, &built).why;
}

static const struct farms *farms(void)
{
	return lb_balance(engine.lb)->farms;
}

/* When they have ended and rested, and a reload finds nobody any more, all is as the file says. */
static void check_end(struct conn *conns, const struct file *after, bool v6)
{
	for (unsigned i = 0; i < CONNS; i++) {
		say(&conns[i], CLIENT, FIN_ACK, 0);
		say(&conns[i], SERVER, FIN_ACK, 0);
		require_eq(say(&conns[i], CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	}
	engine_wait_ms(&engine, 200 * S);
	require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
	require_eq(balance_quarantined(lb_balance(engine.lb)), 0);
	require_eq(farms()->kept.all, 0);
	require_eq(lb_balance(engine.lb)->strays, 0);
	engine_reload(&engine, rules_of(after, v6));
	require_eq(engine.rules->farms[0].nkept, 0);
	require(!engine.rules->farms[0].keeps_off);
}

static void check(const struct change *change, bool v6, unsigned worker, unsigned workers)
{
	const struct hash_key key = {{0, 0}};
	const struct share share = share_make(worker, workers, false, &key);
	static struct conn conns[CONNS];
	struct conn more;

	engine_start_share(&engine, rules_of(&change->before, v6), &share);
	for (unsigned i = 0; i < CONNS; i++)
		open_at(&conns[i], v6, change->client_vlan, i, 40000);
	engine_reload(&engine, rules_of(&change->after, v6));
	if (!change->goes_on) {
		check_resets();
		engine_stop(&engine);
		return;
	}
	engine_poll(&engine);
	require_eq(ended()[ENDED_RELOAD], 0);
	for (unsigned i = 0; i < CONNS; i++)
		check_goes_on(&conns[i]);
	open_at(&more, v6, change->client_vlan, CONNS, 40000);
	check_goes_on(&more);
	for (unsigned i = 0;
	     change->after.snat[0] && !be32_eq(more.snat, address(change->after.snat[i])); i++)
		require(i < 3 && change->after.snat[i + 1]);
	/* and by a second one, of which nothing new follows */
	engine_reload(&engine, rules_of(&change->after, v6));
	engine_poll(&engine);
	for (unsigned i = 0; i < CONNS; i++)
		check_goes_on(&conns[i]);
	if (change->kept && !v6)
		require_eq(ask(change->kept), WHY_ARP_REPLY);
	check_goes_on(&more);
	say(&more, CLIENT, FIN_ACK, 0);
	say(&more, SERVER, FIN_ACK, 0);
	say(&more, CLIENT, ACK, 0);
	check_end(conns, &change->after, v6);
	if (change->kept && !v6)
		require_eq(ask(change->kept), WHY_NOT_OURS);
	engine_stop(&engine);
}

static void check_all(bool v6, unsigned worker, unsigned workers)
{
	for (unsigned i = 0; i < NCHANGES; i++)
		check(&changes[i], v6, worker, workers);
}

START_TEST(goes_on_or_is_reset)
{
	check_all(false, 0, 1);
	check_all(true, 0, 1);
}
END_TEST

START_TEST(by_each_of_three_workers)
{
	for (unsigned k = 0; k < WORKERS; k++) {
		check_all(false, k, WORKERS);
		check_all(true, k, WORKERS);
	}
}
END_TEST

/* An address that was taken out and comes back is one of the farm's: its ports are known. */
START_TEST(taken_out_and_back)
{
	static const struct file both = {.snat = {38, 39}, .vip = 40},
	                         one = {.snat = {38}, .vip = 40};
	static struct conn conns[CONNS];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		engine_start(&engine, rules_of(&both, v6));
		for (unsigned i = 0; i < CONNS; i++)
			open_at(&conns[i], v6, 0, i, 40000);
		engine_reload(&engine, rules_of(&one, v6));
		require_eq(engine.rules->farms[0].nkept, 1);
		require_eq(farms()->kept.all, CONNS / 2);
		engine_reload(&engine, rules_of(&both, v6));
		require_eq(engine.rules->farms[0].nkept, 0);
		require_eq(lb_balance(engine.lb)->strays, 0);
		require_eq(farms()->snat.in_use[0] + farms()->snat.in_use[1], CONNS);
		for (unsigned i = 0; i < CONNS; i++)
			check_goes_on(&conns[i]);
		check_end(conns, &both, v6);
		engine_stop(&engine);
	}
}
END_TEST

/* Of more addresses than are kept some flows are reset, and none is left without a word. */
START_TEST(more_than_are_kept)
{
	static const struct file last = {.snat = {40}, .vip = 40};
	be32 snat[RULES_SNAT_MAX];
	struct rules *rules;
	struct conn c;

	for (unsigned left = 0; left < 2; left++) {
		engine_start(&engine, rules_of(&last, false));
		for (unsigned round = 0; round < 2; round++) {
			for (unsigned i = 0; i < RULES_SNAT_MAX; i++)
				snat[i] = ip4(10, 1, (uint8_t)round, (uint8_t)i);
			rules = rules_of(&last, false);
			fixture_set_snat(&rules->farms[0], snat, round ? 1 : RULES_SNAT_MAX - left);
			fixture_set_ports(&rules->farms[0], 443, 443);
			engine_reload(&engine, rules);
			/* the servers have their turns */
			for (unsigned i = 0; i < 2 * rules->farms[0].nsnat; i++)
				open_at(&c, false, 0, i, (uint16_t)(40000 + round));
		}
		require_eq(engine.rules->farms[0].nkept, RULES_SNAT_MAX - left);
		rules = rules_of(&last, false);
		fixture_set_ports(&rules->farms[0], 443, 443);
		engine_reload(&engine, rules);
		require_eq(rules->farms[0].nkept, RULES_SNAT_KEPT_MAX);
		engine_poll(&engine);
		require_eq(ended()[ENDED_RELOAD], left ? 0 : 2);
		require_eq(balance_open_flows(lb_balance(engine.lb)), 2 * RULES_SNAT_KEPT_MAX);
		engine_stop(&engine);
	}
}
END_TEST

/* A client of IPv6 whom the rules don't know, and then do. */
START_TEST(client_becomes_a_server)
{
	static const struct file file = {.snat = {40}, .vip = 40}, off = {.vip = 40};

	for (unsigned i = 0; i < 2; i++) {
		struct rules *rules = rules_of(i ? &off : &file, true);
		const struct ip6 ip = fixture_ip6(fixture_client(1));
		struct conn c, other, again;

		engine_start(&engine, rules);
		open_at(&c, true, 0, 1, 40000);
		open_at(&other, true, 0, 2, 40000);
		rules = rules_of(i ? &off : &file, true);
		rules->servers[1].address = (be32){{0}};
		require(rules_name(rules, &ip, &rules->servers[1].address) == 0);
		engine_reload(&engine, rules);
		check_goes_on(&c);
		check_goes_on(&other);
		engine_reload(&engine, rules_of(i ? &off : &file, true)); /* and no longer is */
		check_goes_on(&c);
		open_at(&again, true, 0, 1, 40001);
		check_goes_on(&again);
		require_eq(balance_open_flows(lb_balance(engine.lb)), 3);
		engine_stop(&engine);
	}
}
END_TEST

/* A service of the VIP is new, and its number rests as the SNAT port of somebody who came before:
 * that one is of no use to the next, who gets another. */
START_TEST(what_rests_and_is_handed_out_no_more)
{
	static struct talk talks[3], more[2];
	struct rules *rules = fixture_rules(1);

	fixture_set_ports(&rules->farms[0], 443, 443);
	fixture_set_snat_ports(&rules->farms[0], 6000, 6002);
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 3; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	for (unsigned i = 0; i < 3; i++) /* the oldest one that rests has the number */
		if (talks[i].snat_port == 6000)
			talk_close(&talks[i], SERVER);
	for (unsigned i = 0; i < 3; i++)
		if (talks[i].snat_port != 6000)
			talk_close(&talks[i], SERVER);
	rules = fixture_rules(1);
	rules->farms[0].ports[0] = be16_from(443);
	rules->farms[0].ports[1] = be16_from(6000);
	rules->farms[0].nports = 2;
	fixture_set_snat_ports(&rules->farms[0], 6000, 6002);
	engine_reload(&engine, rules);
	for (unsigned i = 0; i < 2; i++) {
		talk_open(&more[i], &engine, fixture_client(10 + i), 40000, 443);
		ck_assert_uint_ne(more[i].snat_port, 6000);
	}
	engine_stop(&engine);
}
END_TEST

/* Flows that are made while all are looked at for a shorter timeout make none be passed over. */
START_TEST(all_are_looked_at_while_others_come)
{
	static struct talk talks[50];
	struct talk new;
	struct rules *rules = fixture_rules(1);

	rules->farms[0].idle_timeout_ms = 1800 * S;
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 50; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	engine_wait_ms(&engine, 20 * S + 300); /* somewhere in the table */
	rules = fixture_rules(1);
	rules->farms[0].idle_timeout_ms = 5 * S;
	engine_reload(&engine, rules);
	for (unsigned i = 0; i < 20; i++)
		talk_syn(&new, &engine, fixture_client(100 + i), 40000, 443);
	engine_wait_ms(&engine, 2 * S);
	ck_assert_uint_eq(ended()[ENDED_IDLE], 50);
	engine_stop(&engine);
}
END_TEST

/* Two farms of a VIP go to the same port of a server, of which one's service is then gone: whoever
 * gets a port doesn't get one of its flows', and isn't refused while one rests. */
START_TEST(ports_of_a_service_that_is_gone_are_somebody_s)
{
	static struct talk old[2], own[2], new;
	struct rules *rules[2];

	for (unsigned i = 0; i < 2; i++) {
		rules[i] = fixture_farms(2, 1);
		rules[i]->farms[1].vip = rules[i]->farms[0].vip;
		rules[i]->farms[1].snat[0] = rules[i]->farms[0].snat[0];
		rules[i]->servers[1].address = rules[i]->servers[0].address;
		fixture_set_ports(&rules[i]->farms[0], 443, 443);
		fixture_set_ports(&rules[i]->farms[1], 444, i ? 444 : 445);
		rules[i]->farms[1].server_ports = calloc(2, sizeof(be16));
		rules[i]->farms[1].server_ports[0] = be16_from(444);
		rules[i]->farms[1].server_ports[1] = be16_from(443);
		for (unsigned f = 0; f < 2; f++)
			fixture_set_snat_ports(&rules[i]->farms[f], 6000, 6003);
	}
	engine_start(&engine, rules[0]);
	for (unsigned i = 0; i < 2; i++) {
		require_eq(talk_syn(&old[i], &engine, fixture_client(i), 40000, 445).why,
		           WHY_FLOW_NEW);
		talk_open(&own[i], &engine, fixture_client(10 + i), 40000, 443);
		require_eq(talk_send(&old[i], SERVER, SYN_ACK, 0).why, WHY_FLOW_HIT);
		require_eq(talk_send(&old[i], CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	}
	talk_close(&own[0], SERVER);
	engine_reload(&engine, rules[1]);
	talk_open(&new, &engine, fixture_client(20), 40000, 443);
	require_eq(new.snat_port, own[0].snat_port);
	require_eq(talk_syn(&new, &engine, fixture_client(21), 40000, 443).why, WHY_SNAT_EXHAUSTED);
	for (unsigned i = 0; i < 2; i++)
		require_eq(talk_send(&old[i], SERVER, ACK, 10).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

Suite *kept_suite(void)
{
	const TTest *const tests[] = {goes_on_or_is_reset,
	                              by_each_of_three_workers,
	                              taken_out_and_back,
	                              more_than_are_kept,
	                              client_becomes_a_server,
	                              what_rests_and_is_handed_out_no_more,
	                              all_are_looked_at_while_others_come,
	                              ports_of_a_service_that_is_gone_are_somebody_s,
	                              NULL};

	return suite_of("kept", tests);
}
