/*
 * Other rules while connections live: what stays, what drains, what is reset.
 */
#include "fixture.h"
#include "random.h"
#include "memory.h"
#include "suites.h"

#include "../../lb/takeover.h"

#include <errno.h>
#include <stdlib.h>

enum { ACK = 0x10, SYN = 0x02, S = 1000, MANY = 60 };

static struct engine engine;
static struct talk talk;

static const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

/* Rules of the given servers, by the last byte of their addresses, in this order. */
static struct rules *rules_of(const uint8_t *last, unsigned n)
{
	struct rules *rules = fixture_rules(n);

	for (unsigned s = 0; s < n; s++)
		rules->servers[s].address = ip4(10, 0, 0, last[s]);
	return rules;
}

/* What the counters owe each other; quarantine holds ports too, unless the new rules have none
 * such. */
static void check_books(void)
{
	uint64_t ended = 0, connections = 0;

	for (unsigned i = 0; i < ENDED_WHYS; i++)
		ended += balance()->counts.ended[i];
	for (unsigned s = 0; s < engine.rules->nservers; s++)
		connections += balance()->farms->sched.servers[s].connections;
	ck_assert_uint_eq(balance()->counts.created, ended + balance_open_flows(balance()));
	ck_assert_uint_eq(connections, balance_open_flows(balance()));
}

/* That the talk goes on, to the server at address. */
static void check_goes_on(struct talk *t, be32 address)
{
	struct spec spec = talk_spec(t, CLIENT, ACK, 10);
	struct built built;
	struct verdict v;

	frames_tcp(&built, &spec);
	v = engine_input(&engine, &built);
	require_eq(v.why, WHY_FLOW_HIT);
	require(v.way.server < engine.rules->nservers);
	require(be32_eq(engine.rules->servers[v.way.server].address, address));
	require(!memcmp(built.frame.data + built.l3 + 16, &address, 4));
	t->server = v.way.server;
	t->next[CLIENT] += 10;
	require_eq(talk_send(t, SERVER, ACK, 10).why, WHY_FLOW_HIT);
}

START_TEST(flows_go_along_when_servers_move)
{
	static const uint8_t before[] = {41, 42}, after[] = {50, 42, 51, 41};
	static struct talk talks[MANY];
	be32 address[MANY];

	engine_start(&engine, rules_of(before, 2));
	for (unsigned i = 0; i < MANY; i++) {
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
		address[i] = engine.rules->servers[talks[i].server].address;
	}
	talk_close(&talks[0], SERVER);
	engine_reload(&engine, rules_of(after, 4));
	check_books();
	for (unsigned i = 1; i < MANY; i++)
		check_goes_on(&talks[i], address[i]);
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], MANY);
	for (unsigned i = 1; i < MANY; i++)
		talk_close(&talks[i], SERVER);
	check_books();
	engine_wait_ms(&engine, 200 * S);
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], 0);
	engine_stop(&engine);
}
END_TEST

/* New flows never get a tuple that an old one still has. */
START_TEST(ports_in_use_stay_in_use)
{
	static const uint8_t servers[] = {41, 42};
	static struct talk talks[MANY], more[MANY];

	for (unsigned round = 0; round < 2; round++) {
		struct rules *rules = rules_of(servers, 2);

		fixture_set_snat_ports(&rules->farms[0], 6000, 6000 + MANY - 1);
		engine_start(&engine, rules);
		for (unsigned i = 0; i < MANY; i++)
			talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
		rules = rules_of(servers, 2);
		fixture_set_snat_ports(&rules->farms[0], (uint16_t)(6000 + round * 20),
		                       6000 + MANY - 1);
		engine_reload(&engine, rules);
		for (unsigned i = 0; i < MANY; i++) {
			if (talk_syn(&more[i], &engine, fixture_client(100 + i), 40000, 443).why !=
			    WHY_FLOW_NEW)
				continue;
			for (unsigned k = 0; k < MANY; k++)
				require(more[i].server != talks[k].server ||
				        more[i].snat_port != talks[k].snat_port);
		}
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

START_TEST(shorter_idle_timeout_counts_for_flows_that_exist)
{
	static const uint8_t servers[] = {41, 42};
	static struct talk talks[MANY];
	struct rules *rules = rules_of(servers, 2);

	engine_start(&engine, rules_of(servers, 2));
	for (unsigned i = 0; i < MANY; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	engine_wait_ms(&engine, 20 * S);
	check_goes_on(&talks[0], engine.rules->servers[talks[0].server].address);
	rules->farms[0].idle_timeout_ms = 10 * S;
	engine_reload(&engine, rules);
	ck_assert_uint_eq(balance_open_flows(balance()), MANY);
	engine_wait_ms(&engine, 3 * S);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], MANY - 1);
	ck_assert_uint_eq(balance_open_flows(balance()), 1);
	check_goes_on(&talks[0], engine.rules->servers[talks[0].server].address);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(removed_server_drains)
{
	static const uint8_t before[] = {41, 42}, after[] = {42};
	struct talk first, second, t;
	be32 gone = ip4(10, 0, 0, 41);

	engine_start(&engine, rules_of(before, 2));
	talk_open(&first, &engine, fixture_client(1), 40000, 443);
	talk_open(&second, &engine, fixture_client(2), 40000, 443);
	if (!be32_eq(engine.rules->servers[first.server].address, gone)) {
		t = first;
		first = second;
		second = t;
	}
	engine_reload(&engine, rules_of(after, 1));
	check_goes_on(&first, gone);
	check_goes_on(&second, ip4(10, 0, 0, 42));
	for (unsigned i = 0; i < 10; i++) {
		talk_open(&t, &engine, fixture_client(10 + i), 40000, 443);
		ck_assert(be32_eq(engine.rules->servers[t.server].address, ip4(10, 0, 0, 42)));
	}
	/* once more, and it is still there; when its flow has ended, a reload forgets it */
	engine_reload(&engine, rules_of(after, 1));
	check_goes_on(&first, gone);
	ck_assert_uint_eq(engine.rules->nservers, 2);
	talk_close(&first, SERVER);
	engine_wait_ms(&engine, 200 * S);
	engine_reload(&engine, rules_of(after, 1));
	ck_assert_uint_eq(engine.rules->nservers, 1);
	check_goes_on(&second, ip4(10, 0, 0, 42));
	check_books();
	engine_stop(&engine);
}
END_TEST

/* It comes back to the file while its old flow lives. */
/* A connection to the second farm, begun by the SYN. */
static struct talk talk_of(struct spec *syn)
{
	struct talk ret = {.client = syn->from};
	struct built built;
	struct verdict v;

	frames_tcp(&built, syn);
	v = engine_input(&engine, &built);
	ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
	ret.server = v.way.server;
	return ret;
}

/* The same two farms without one of the first one's servers. */
static const struct rules *reload_two_farms(unsigned without)
{
	struct rules *rules = fixture_two_farms();

	rules->servers[without] = rules->servers[1 - without];
	memmove(&rules->servers[1], &rules->servers[2], 2 * sizeof(rules->servers[0]));
	rules->nservers = 3;
	rules->farms[0].nservers = 1;
	rules->farms[1].server = 1;
	engine_reload(&engine, rules);
	return engine.rules;
}

static void check_second_goes_on(const struct spec *spec, unsigned server)
{
	struct built built;
	struct verdict v;

	frames_tcp(&built, spec);
	v = engine_input(&engine, &built);
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	ck_assert_uint_eq(v.way.server, server); /* as many before it as there were */
}

START_TEST(removed_server_returns)
{
	static const uint8_t one[] = {41}, other[] = {42}, both[] = {42, 41};

	engine_start(&engine, rules_of(one, 1));
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	engine_reload(&engine, rules_of(other, 1));
	engine_reload(&engine, rules_of(both, 2));
	ck_assert_uint_eq(engine.rules->nservers, 2);
	check_goes_on(&talk, ip4(10, 0, 0, 41));
	ck_assert_uint_eq(balance()->farms->sched.servers[1].connections, 1);
	ck_assert(sched_may_take(&balance()->farms->sched, 1));
	engine_stop(&engine);
}
END_TEST

START_TEST(flows_of_a_removed_farm_are_reset)
{
	struct talk kept;
	struct spec spec;
	struct built built;

	engine_start(&engine, fixture_two_farms());
	talk_open(&kept, &engine, fixture_client(1), 40000, 443);
	spec = spec_syn(fixture_client(2), 40000, 443);
	spec.to = ip4(10, 0, 1, 40);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_NEW);
	engine_reload(&engine, fixture_rules(2));
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_RELOAD], 1);
	ck_assert_uint_ge(engine.nowns, 2);
	check_goes_on(&kept, fixture_server(kept.server));
	check_books();
	/* a SYN to its VIP crosses the wire now */
	spec.dst = mac_of(7);
	spec.sport++;
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_NOT_OURS);
	engine_wait_ms(&engine, 200 * S);
	check_books();
	engine_reload(&engine, fixture_rules(2));
	ck_assert_uint_eq(engine.rules->nfarms, 1);
	engine_stop(&engine);
}
END_TEST

static struct rules *checked_rules(unsigned nservers, unsigned nchecks)
{
	struct rules *rules = fixture_rules(nservers);
	struct rules_farm *farm = &rules->farms[0];

	farm->checks = calloc(nchecks, sizeof(*farm->checks));
	for (unsigned i = 0; i < nchecks; i++)
		farm->checks[i] = farm->ports[i];
	farm->nchecks = nchecks;
	return rules;
}

START_TEST(verdicts_go_along)
{
	engine_start(&engine, checked_rules(3, 1));
	lb_probed(engine.lb, 0, 0, true, engine.now);
	for (unsigned i = 0; i < 3; i++)
		lb_probed(engine.lb, 1, 0, false, engine.now);
	engine_reload(&engine, checked_rules(4, 2));
	ck_assert_int_eq(health_of(&balance()->farms->health, 0), HEALTH_UP);
	ck_assert_int_eq(health_of(&balance()->farms->health, 1), HEALTH_DOWN);
	ck_assert_int_eq(health_of(&balance()->farms->health, 2), HEALTH_UNKNOWN);
	ck_assert_int_eq(health_of(&balance()->farms->health, 3), HEALTH_UNKNOWN);
	/* the new check of the first one fails for real */
	for (unsigned i = 0; i < 3; i++)
		lb_probed(engine.lb, 0, 1, false, engine.now);
	ck_assert_int_eq(health_of(&balance()->farms->health, 0), HEALTH_DOWN);
	/* without checks all are up */
	engine_reload(&engine, fixture_rules(4));
	for (unsigned s = 0; s < 4; s++)
		ck_assert_int_eq(health_of(&balance()->farms->health, s), HEALTH_UP);
	engine_stop(&engine);
}
END_TEST

static enum health_verdict health_of_first(void)
{
	return health_of(&balance()->farms->health, 0);
}

/* What nobody has checked isn't believed: who was away comes back as somebody new. */
START_TEST(server_that_was_away_is_unknown)
{
	for (unsigned removed = 0; removed < 2; removed++) {
		struct rules *rules = checked_rules(2, 1);

		engine_start(&engine, checked_rules(2, 1));
		lb_probed(engine.lb, 0, 0, true, engine.now);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		ck_assert_uint_eq(talk.server, 0);
		if (removed)
			rules->servers[0].address = ip4(10, 0, 0, 99);
		else
			rules->servers[0].state = STATE_DISABLED;
		engine_reload(&engine, rules);
		check_goes_on(&talk, fixture_server(0));
		engine_wait_ms(&engine, 60 * S);
		engine_reload(&engine, checked_rules(2, 1));
		ck_assert_int_eq(health_of_first(), HEALTH_UNKNOWN);
		check_goes_on(&talk, fixture_server(0));
		lb_probed(engine.lb, 0, 0, true, engine.now);
		ck_assert_int_eq(health_of_first(), HEALTH_UP);
		ck_assert_uint_eq(health_ramp(&balance()->farms->health, 0, engine.now), 1);
		ck_assert_uint_eq(balance()->farms->health.servers[0].probes_ok, 2);
		engine_stop(&engine);
	}
}
END_TEST

/* Who is away is probed while he has flows, and they end with him. */
START_TEST(server_that_is_away_may_die)
{
	for (unsigned removed = 0; removed < 2; removed++) {
		struct rules *rules = checked_rules(2, 1);
		unsigned server;

		engine_start(&engine, checked_rules(2, 1));
		lb_probed(engine.lb, 0, 0, true, engine.now);
		lb_probed(engine.lb, 1, 0, true, engine.now);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		if (removed)
			rules->servers[talk.server].address = ip4(10, 0, 0, 99);
		else
			rules->servers[talk.server].state = STATE_DISABLED;
		engine_reload(&engine, rules);
		server = removed ? 2 : talk.server;
		for (unsigned i = 0; i < 3; i++)
			lb_probed(engine.lb, server, 0, false, engine.now);
		engine_wait_ms(&engine, 100);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_SERVER_DOWN], 1);
		engine_stop(&engine);
	}
}
END_TEST

START_TEST(service_that_is_gone_lets_its_flows_live)
{
	struct rules *rules = fixture_rules(2);
	struct talk t;

	engine_start(&engine, fixture_rules(2));
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	fixture_set_ports(&rules->farms[0], 443, 444);
	engine_reload(&engine, rules);
	check_goes_on(&talk, fixture_server(talk.server));
	ck_assert_uint_eq(talk_syn(&t, &engine, fixture_client(2), 40000, 5061).why,
	                  WHY_PORT_NOT_SERVED);
	talk_close(&talk, SERVER);
	engine_wait_ms(&engine, 200 * S);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(clients_stick_through_a_reload)
{
	static const uint8_t before[] = {41, 42, 43}, after[] = {43, 42, 41};
	struct rules *rules = rules_of(before, 3);
	be32 address[20];

	rules->farms[0].persist_ms = 60 * S;
	engine_start(&engine, rules);
	for (unsigned c = 0; c < 20; c++) {
		talk_open(&talk, &engine, fixture_client(c), 40000, 443);
		address[c] = engine.rules->servers[talk.server].address;
		talk_close(&talk, CLIENT);
	}
	rules = rules_of(after, 3);
	rules->farms[0].persist_ms = 60 * S;
	engine_reload(&engine, rules);
	for (unsigned c = 0; c < 20; c++) {
		talk_open(&talk, &engine, fixture_client(c), 50000, 443);
		ck_assert(be32_eq(engine.rules->servers[talk.server].address, address[c]));
	}
	engine_stop(&engine);
}
END_TEST

/* Servers are numbered anew; the rest of a datagram still goes to the one that got its beginning.
 */
START_TEST(fragments_follow_through_a_reload)
{
	static const uint8_t before[] = {41, 42}, after[] = {50, 51, 42, 41};
	static struct built whole, piece;
	struct verdict v;
	struct spec spec;
	be32 address;

	engine_start(&engine, rules_of(before, 2));
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	address = engine.rules->servers[talk.server].address;
	spec = talk_spec(&talk, CLIENT, ACK, 600);
	frames_tcp(&whole, &spec);
	frames_fragment(&piece, &whole, 0, 104);
	ck_assert_uint_eq(engine_input(&engine, &piece).why, WHY_FLOW_HIT);
	engine_reload(&engine, rules_of(after, 4));
	frames_fragment(&piece, &whole, 104, 104);
	v = engine_input(&engine, &piece);
	if (v.why == WHY_FRAGMENT)
		ck_assert(be32_eq(engine.rules->servers[v.way.server].address, address));
	else
		ck_assert_uint_eq(v.why, WHY_FRAGMENT_HELD);
	engine_stop(&engine);
}
END_TEST

/* Any rules after any others, with connections coming and going. */
START_TEST(random_reloads_balance)
{
	static struct talk talks[MANY];
	bool used[MANY] = {false};

	engine_start(&engine, fixture_rules(2));
	for (unsigned round = 0; round < 300; round++) {
		uint8_t last[FIXTURE_SERVERS];
		unsigned n = 1 + random_below(FIXTURE_SERVERS), first = random_below(8);

		for (unsigned k = 0; k < 20; k++) {
			unsigned i = random_below(MANY);

			if (used[i])
				talk_close(&talks[i], random_below(2) ? CLIENT : SERVER);
			used[i] = !used[i] && talk_syn(&talks[i], &engine, fixture_client(i),
			                               (uint16_t)(40000 + round), 443)
			                                      .why == WHY_FLOW_NEW;
		}
		for (unsigned s = 0; s < n; s++)
			last[s] = (uint8_t)(41 + (first + s * 3) % 8);
		engine_reload(&engine, rules_of(last, n));
		check_books();
		for (unsigned i = 0; i < MANY; i++) {
			if (!used[i])
				continue;
			struct spec spec = talk_spec(&talks[i], CLIENT, SYN, 0);
			struct built built;
			struct verdict v;

			frames_tcp(&built, &spec);
			v = engine_input(&engine, &built);
			used[i] = v.act == LB_FORWARD;
			if (v.why == WHY_FLOW_HIT)
				talks[i].server = v.way.server;
		}
		engine_wait_ms(&engine, random_below(3000));
	}
	engine_wait_ms(&engine, 4000 * S);
	check_books();
	ck_assert_uint_eq(balance_open_flows(balance()), 0);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], 0);
	engine_stop(&engine);
}
END_TEST

/* The server that is gone stands behind those of its farm, and the next farm's move up. */
START_TEST(removed_server_of_the_first_of_two_farms)
{
	const struct rules *rules;
	struct talk second;
	struct spec spec;

	engine_start(&engine, fixture_two_farms());
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	spec = spec_syn(fixture_client(2), 40000, 5061);
	spec.to = ip4(10, 0, 1, 40);
	second = talk_of(&spec);
	rules = reload_two_farms(talk.server);
	ck_assert_uint_eq(rules->farms[0].nservers, 2);
	ck_assert(rules->servers[1].gone && !rules->servers[0].gone);
	ck_assert_uint_eq(rules->farms[1].server, 2);
	for (unsigned s = 2; s < 4; s++)
		ck_assert(rules->servers[s].farm == 1 && !rules->servers[s].gone);
	check_goes_on(&talk, ip4(10, 0, 0, (uint8_t)(41 + talk.server)));
	spec.flags = ACK;
	spec.seq++;
	check_second_goes_on(&spec, second.server);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* The log of a farm that is gone still gets its flows. */
START_TEST(removed_farm_keeps_its_log)
{
	struct rules *rules = fixture_rules(1), *other = fixture_two_farms();
	struct ended ended;

	rules->farms[0].connlog = strdup("/var/log/farm0");
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	other->farms[0].vip = other->farms[0].snat[0] = ip4(10, 0, 2, 40);
	engine_reload(&engine, other);
	ck_assert_uint_eq(engine.rules->nfarms, 3);
	ck_assert(engine.rules->farms[2].gone);
	ck_assert_str_eq(engine.rules->farms[2].connlog, "/var/log/farm0");
	engine_poll(&engine);
	ck_assert(lb_take_ended(engine.lb, &ended));
	ck_assert_uint_eq(ended.why, ENDED_RELOAD);
	ck_assert_uint_eq(engine.rules->servers[ended.server].farm, 2);
	engine_stop(&engine);
}
END_TEST

/* Whichever allocation fails: it says so, and the old rules are as they were. */
START_TEST(memory_may_run_out)
{
	struct rules *old = fixture_two_farms();
	const bool referenced[4] = {true, true, true, true};
	uint16_t map[4];
	unsigned n = 0;
	int err;

	old->farms[0].connlog = strdup("-");
	fixture_make_ipv6(old);
	do {
		struct rules *rules = fixture_rules(1);
		bool failed;

		rules->farms[0].vip = ip4(10, 0, 9, 40);
		fixture_make_ipv6(rules);
		memory_fail_at(++n);
		err = takeover_rules(rules, old, referenced, NULL, map);
		failed = memory_has_failed();
		ck_assert_int_eq(err, failed ? -ENOMEM : 0);
		rules_free(rules);
	} while (err);
	ck_assert_uint_gt(n, 4);
	ck_assert_uint_eq(old->nfarms, 2);
	ck_assert_uint_eq(old->nservers, 4);
	rules_free(old);
	rules_free(NULL);
}
END_TEST

/* The farm has n servers, none of which is one of fixture_rules()'s. */
static void make_others(struct rules *rules, unsigned n)
{
	rules->servers = realloc(rules->servers, n * sizeof(*rules->servers));
	for (unsigned s = 0; s < n; s++) {
		rules->servers[s] = rules->servers[0];
		rules->servers[s].address = ip4(10, 1, (uint8_t)(s >> 8), (uint8_t)s);
	}
	rules->nservers = rules->farms[0].nservers = n;
}

/* Servers that are gone count as well: they have numbers. */
/* Names of earlier rules stay: so they run out by and by. */
START_TEST(addresses_have_no_more_names)
{
	struct rules *old = fixture_rules(1), *rules = fixture_rules(1);
	struct ip6 ip = {{0xfd}};
	bool referenced[1] = {false};
	uint16_t map[1];
	be32 name;

	for (unsigned i = 0; i < RULES_NAMES_MAX; i++) {
		ip.b[14] = (uint8_t)(i >> 8);
		ip.b[15] = (uint8_t)i;
		ck_assert_int_eq(rules_name(old, &ip, &name), 0);
	}
	ip.b[1] = 1;
	ck_assert_int_eq(rules_name(rules, &ip, &rules->servers[0].address), 0);
	ck_assert_int_eq(takeover_rules(rules, old, referenced, NULL, map), -EOVERFLOW);
	rules_free(rules);
	rules_free(old);
}
END_TEST

START_TEST(servers_have_no_more_numbers)
{
	struct rules *rules = fixture_rules(1), *old = fixture_rules(2);
	const bool referenced[2] = {true, true};
	uint16_t map[2];

	make_others(rules, RULES_SERVERS_KEPT_MAX - 1);
	ck_assert_int_eq(takeover_rules(rules, old, referenced, NULL, map), -E2BIG);
	make_others(rules, RULES_SERVERS_KEPT_MAX - 2);
	ck_assert_int_eq(takeover_rules(rules, old, referenced, NULL, map), 0);
	ck_assert_uint_eq(map[1], RULES_SERVERS_KEPT_MAX - 1);
	rules_free(rules);
	rules_free(old);
}
END_TEST

/* All servers that a file can have are others than before: their numbers, and those of the gone. */
START_TEST(goes_on_with_the_greatest_number)
{
	struct rules *rules = fixture_rules(1);

	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	rules = fixture_rules(1);
	make_others(rules, RULES_SERVERS_MAX);
	engine_reload(&engine, rules);
	ck_assert_uint_eq(flows_at(&balance()->flows, 0)->server, RULES_SERVERS_MAX);
	check_goes_on(&talk, fixture_server(0));
	ck_assert_uint_eq(balance()->farms->sched.servers[RULES_SERVERS_MAX].connections, 1);
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(balance()->farms->sched.servers[RULES_SERVERS_MAX].connections, 0);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].connections, 0);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 0);
	engine_stop(&engine);
}
END_TEST

/* Two services with a pool each, then one pool for all: a port that one flow gives back is
 * another's still. */
START_TEST(port_given_back_is_still_another_s)
{
	struct rules *rules = fixture_rules(1);
	struct talk other, t[3];

	fixture_set_snat_ports(&rules->farms[0], 6000, 6000);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_open(&other, &engine, fixture_client(2), 40000, 444);
	rules = fixture_rules(1);
	fixture_set_snat_ports(&rules->farms[0], 6000, 6002);
	fixture_set_ports(&rules->farms[0], 400, 400 + RULES_POOLED_PORTS_MAX);
	engine_reload(&engine, rules);
	talk_close(&talk, SERVER);
	engine_wait_ms(&engine, 200 * S);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	for (unsigned i = 0; i < 2; i++) {
		talk_open(&t[i], &engine, fixture_client(10 + i), 40000, 444);
		ck_assert_uint_ne(t[i].snat_port, 6000);
	}
	ck_assert_uint_eq(talk_syn(&t[2], &engine, fixture_client(12), 40000, 444).why,
	                  WHY_SNAT_EXHAUSTED);
	check_goes_on(&other, fixture_server(0));
	/* one that has ended gives it up */
	talk_close(&other, SERVER);
	ck_assert_uint_eq(balance_quarantined(balance()), 1);
	talk_open(&t[2], &engine, fixture_client(12), 40000, 444);
	ck_assert_uint_eq(t[2].snat_port, 6000);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	check_goes_on(&t[2], fixture_server(0));
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], 3);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* A client uses its port again: the server sees it where the rules of today say. */
START_TEST(reopened_only_as_the_rules_say)
{
	const be32 before = ip4(10, 0, 0, 60), after = ip4(10, 0, 0, 61);

	for (unsigned i = 0; i < 4; i++) {
		struct rules *rules = fixture_rules(1);
		struct spec syn = spec_syn(fixture_client(1), 40000, 443);
		struct talk again;

		fixture_set_snat(&rules->farms[0], &before, 1);
		engine_start(&engine, rules);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		talk_close(&talk, CLIENT);
		ck_assert_uint_eq(balance_quarantined(balance()), 1);
		rules = fixture_rules(1);
		fixture_set_snat(&rules->farms[0], i == 1 ? &after : &before, i != 2);
		if (i == 3)
			fixture_set_snat_ports(&rules->farms[0],
			                       (uint16_t)(talk.snat_port ^ 0x4000),
			                       (uint16_t)(talk.snat_port ^ 0x4000));
		engine_reload(&engine, rules);
		syn.seq = talk.next[CLIENT] + 1;
		talk_syn_from(&again, &engine, &syn);
		talk_send(&again, SERVER, 0x12, 0);
		talk_send(&again, CLIENT, 0x10, 0);
		ck_assert(be32_eq(again.snat, i == 1 ? after : i == 2 ? again.client : before));
		if (i == 2)
			ck_assert_uint_eq(again.snat_port, 40000);
		else if (i != 1)
			ck_assert((again.snat_port == talk.snat_port) == (i == 0));
		check_goes_on(&again, fixture_server(0));
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

Suite *reload_suite(void)
{
	const TTest *const tests[] = {flows_go_along_when_servers_move,
	                              shorter_idle_timeout_counts_for_flows_that_exist,
	                              ports_in_use_stay_in_use,
	                              removed_server_drains,
	                              removed_server_returns,
	                              flows_of_a_removed_farm_are_reset,
	                              verdicts_go_along,
	                              server_that_was_away_is_unknown,
	                              server_that_is_away_may_die,
	                              service_that_is_gone_lets_its_flows_live,
	                              clients_stick_through_a_reload,
	                              fragments_follow_through_a_reload,
	                              random_reloads_balance,
	                              removed_server_of_the_first_of_two_farms,
	                              removed_farm_keeps_its_log,
	                              memory_may_run_out,
	                              servers_have_no_more_numbers,
	                              addresses_have_no_more_names,
	                              goes_on_with_the_greatest_number,
	                              port_given_back_is_still_another_s,
	                              reopened_only_as_the_rules_say,
	                              NULL};

	return suite_of("reload", tests);
}
