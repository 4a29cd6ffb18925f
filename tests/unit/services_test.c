/*
 * Several farms on one VIP, and services at other ports of the servers.
 */
#include "services_fixture.h"
#include "random.h"
#include "suites.h"

#include <stdlib.h>

/* ---- Which farm ---- */

/* Where each port of a VIP is, written down rule by rule. */
struct naive {
	bool there;
	unsigned farm, service;
};

static void write_down(const struct rules *rules, be32 vip, struct naive ret[PORTS])
{
	memset(ret, 0, PORTS * sizeof(*ret));
	for (unsigned f = rules->nfarms; f-- > 0;)
		for (unsigned i = 0;
		     be32_eq(rules->farms[f].vip, vip) && i < rules->farms[f].nports; i++)
			ret[be16_get(rules->farms[f].ports[i])] = (struct naive){true, f, i};
}

/* Each port at one farm of three, in runs and alone, or at none. */
static void scatter(struct rules *rules)
{
	static be16 ports[FARMS][PORTS];
	unsigned n[FARMS] = {0}, farm = 0;

	for (unsigned p = 1; p < PORTS; p++) {
		if (!random_below(p < 300 || p > 65000 ? 2 : 100))
			farm = random_below(FARMS + 2);
		if (farm < FARMS)
			ports[farm][n[farm]++] = be16_from((uint16_t)p);
	}
	for (unsigned f = 0; f < FARMS; f++) {
		free(rules->farms[f].ports);
		rules->farms[f].nports = n[f];
		rules->farms[f].ports = calloc(n[f] + 1, sizeof(be16));
		memcpy(rules->farms[f].ports, ports[f], n[f] * sizeof(be16));
	}
}

static struct rules *scattered(void)
{
	struct rules *rules = fixture_farms(FARMS, 1);

	/* 0, 2 and 3 share one VIP, 1 and 4 another */
	for (unsigned f = 0; f < FARMS; f++)
		rules->farms[f].vip = ip4(10, 0, f % 3 == 1, 40);
	scatter(rules);
	return rules;
}

START_TEST(each_port_of_a_vip_is_one_farm_s)
{
	static struct naive naive[PORTS];
	struct arena measure = {0}, arena = {0};
	struct rules *rules = scattered();
	struct services services;

	services_lay_out(&services, &measure, rules);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(arena.base, 0xa5, measure.used);
	services_lay_out(&services, &arena, rules);
	require_eq(arena.used, measure.used);
	for (unsigned asked = 0; asked < FARMS; asked++) {
		write_down(rules, rules->farms[asked].vip, naive);
		for (unsigned p = 0; p < PORTS; p++) {
			unsigned farm = 9, service = 9;

			require_eq(services_find(&services, asked, be16_from((uint16_t)p), &farm,
			                         &service),
			           naive[p].there);
			require_eq(farm, naive[p].there ? naive[p].farm : 9);
			require_eq(service, naive[p].there ? naive[p].service : 9);
		}
	}
	free(arena.base);
	rules_free(rules);
}
END_TEST

START_TEST(a_syn_goes_to_the_farm_of_its_port)
{
	static const struct {
		uint16_t port;
		unsigned servers; /* the first of two; 9: refused */
	} ports[] = {{443, 0},  {444, 0}, {5060, 0}, {5061, 0}, {80, 2},   {442, 2},
	             {5062, 2}, {81, 9},  {441, 9},  {445, 9},  {5063, 9}, {65535, 9}};

	engine_start(&engine, two_on_a_vip());
	for (unsigned i = 0; i < 24; i++) {
		const unsigned k = i % 12;
		struct talk talk;
		struct verdict v =
		        talk_syn(&talk, &engine, fixture_client(i), 40000, ports[k].port);

		if (ports[k].servers == 9) {
			require_eq(v.why, WHY_PORT_NOT_SERVED);
			continue;
		}
		require_eq(v.why, WHY_FLOW_NEW);
		require(talk.server / 2 * 2 == ports[k].servers);
		require_eq(talk.server_port, ports[k].port);
	}
	engine_stop(&engine);
}
END_TEST

static void set_up(unsigned farm, bool up)
{
	struct rules_farm *rule = &engine.rules->farms[farm];

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++)
		engine.rules->servers[s].state = up ? STATE_ACTIVE : STATE_DRAIN;
	engine_rules_changed(&engine);
}

static unsigned ping(be32 to)
{
	struct spec spec = {.dst = FIXTURE_OUTSIDE_MAC,
	                    .src = FIXTURE_CLIENT_MAC,
	                    .from = fixture_client(1),
	                    .to = to,
	                    .icmp_type = 8,
	                    .payload = 20};
	struct built built;

	frames_icmp(&built, &spec);
	return engine_input(&engine, &built).why;
}

START_TEST(answered_while_any_farm_of_the_address_is_up)
{
	const be32 snat[] = {fixture_vip(), ip4(10, 0, 0, 77)};
	struct rules *rules = two_on_a_vip();

	fixture_set_snat(&rules->farms[0], snat, 2);
	fixture_set_snat(&rules->farms[1], snat, 2);
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 8; i++) {
		const unsigned want = i & 3 ? WHY_ECHO_REPLY : WHY_ECHO_NO_SERVER;
		struct talk talk;

		set_up(0, i & 1);
		set_up(1, i & 2);
		require_eq(ping(fixture_vip()), want);
		require_eq(ping(snat[1]), want);
		/* one has no server: the other one doesn't notice */
		require_eq(talk_syn(&talk, &engine, fixture_client(i), 40000, 443).why,
		           i & 1 ? WHY_FLOW_NEW : WHY_NO_SERVER);
		require_eq(talk_syn(&talk, &engine, fixture_client(i), 40001, 80).why,
		           i & 2 ? WHY_FLOW_NEW : WHY_NO_SERVER);
	}
	engine_stop(&engine);
}
END_TEST

/* An address that farms in different VLANs share, and one in all of them. */
START_TEST(in_a_vlan_only_its_own_farms_count)
{
	const be32 shared = ip4(10, 0, 0, 77);
	struct rules *rules = fixture_farms(3, 1);
	const struct farms *farms;

	for (unsigned f = 0; f < 3; f++) {
		rules->farms[f].vlan = (uint16_t)(f == 1 ? 0 : 5 + f);
		rules->servers[f].vlan = rules->farms[f].vlan;
		fixture_set_snat(&rules->farms[f], &shared, 1);
	}
	engine_start(&engine, rules);
	farms = lb_balance(engine.lb)->farms;
	for (unsigned i = 0; i < 8; i++) {
		const struct address *five, *seven, *other;

		for (unsigned f = 0; f < 3; f++)
			set_up(f, i >> f & 1);
		five = addresses_find(&farms->addresses, shared, 5);
		seven = addresses_find(&farms->addresses, shared, 7);
		other = addresses_find(&farms->addresses, shared, 9);
		require_eq(farms_is_up(farms, five), (i & 3) != 0);
		require_eq(farms_is_up(farms, seven), (i & 6) != 0);
		require_eq(farms_is_up(farms, other), (i & 2) != 0);
	}
	for (unsigned f = 0; f < 3; f++)
		require(addresses_is_first(&farms->addresses, f, shared));
	engine_stop(&engine);
}
END_TEST

/* ---- Mapped ports ---- */

START_TEST(a_service_is_at_another_port_of_the_server)
{
	static const uint16_t ports[][2] = {{80, 8080}, {442, 4430}, {5062, 443}, {443, 443}};

	engine_start(&engine, mapped());
	for (unsigned i = 0; i < 4; i++) {
		struct spec spec = spec_syn(fixture_client(i), 40000, ports[i][0]);
		struct talk talk;
		struct built built;

		require_eq(talk_syn_from(&talk, &engine, &spec).why, WHY_FLOW_NEW);
		require_eq(talk.server_port, ports[i][1]);
		spec = talk_spec(&talk, SERVER, SYN | ACK, 0);
		frames_tcp(&built, &spec);
		require_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
		/* the client sees the port that it asked for */
		require_eq(frames_get16(built.frame.data + built.l4), ports[i][0]);
		require_eq(frames_get16(built.frame.data + built.l4 + 2), 40000);
		require(frames_tcp_error(&built) == 0 && frames_ip_error(&built) == 0);
		talk.next[SERVER]++;
		require_eq(talk_send(&talk, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
		require_eq(talk_send(&talk, SERVER, ACK | PSH, 100).why, WHY_FLOW_HIT);
		/* what the server says from the port that the client named is of no flow */
		spec = talk_spec(&talk, SERVER, ACK, 0);
		spec.sport = ports[i][0];
		frames_tcp(&built, &spec);
		require_eq(engine_input(&engine, &built).why,
		           ports[i][0] == ports[i][1] ? WHY_FLOW_HIT : WHY_NO_FLOW);
		talk_close(&talk, CLIENT);
	}
	require_eq(lb_balance(engine.lb)->counts.ended[ENDED_FIN], 4);
	engine_stop(&engine);
}
END_TEST

/* The error is about the server's port, and the client hears of the VIP's. */
START_TEST(errors_name_the_port_of_their_receiver)
{
	struct built sent, error;
	struct spec spec, outer;
	struct talk talk;
	const uint8_t *quoted;

	engine_start(&engine, mapped());
	talk_open(&talk, &engine, fixture_client(1), 40000, 80);
	spec = talk_spec(&talk, CLIENT, ACK | PSH, 100);
	frames_tcp(&sent, &spec);
	require_eq(engine_input(&engine, &sent).why, WHY_FLOW_HIT);
	talk.next[CLIENT] += 100;
	outer = talk_spec(&talk, SERVER, 0, 0);
	outer.icmp_type = 3;
	outer.icmp_code = 1;
	frames_icmp_error(&error, &outer, &sent, 60);
	require_eq(engine_input(&engine, &error).why, WHY_ICMP_ERROR);
	quoted = error.frame.data + error.l4 + 8;
	require_eq(frames_get16(quoted + 20), 40000);
	require_eq(frames_get16(quoted + 22), 80);
	require(!memcmp(quoted + 16, &engine.rules->farms[1].vip, 4));
	require(!frames_icmp_wrong(&error));
	engine_stop(&engine);
}
END_TEST

/* A server asks for the VIP, and may get itself, at another port. */
START_TEST(hairpin_to_a_mapped_port)
{
	bool itself = false;

	engine_start(&engine, mapped());
	for (unsigned i = 0; i < 4; i++) {
		struct spec spec = spec_syn(ip4(10, 0, 1, 41), (uint16_t)(40000 + i), 80);
		struct talk talk;

		spec.side = INSIDE;
		spec.dst = FIXTURE_INSIDE_MAC;
		spec.src = engine.rules->servers[2].mac;
		require_eq(talk_syn_from(&talk, &engine, &spec).why, WHY_FLOW_NEW);
		require_eq(talk.server_port, 8080);
		itself |= talk.server == 2;
		require_eq(talk_send(&talk, SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	}
	require(itself);
	engine_stop(&engine);
}
END_TEST

/* With `snat = off` the server sees the client, at its own port. */
START_TEST(without_snat_too)
{
	struct rules *rules = mapped();
	struct talk talk, other;

	fixture_set_snat(&rules->farms[1], NULL, 0);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 80);
	require_eq(talk.server_port, 8080);
	require(be32_eq(talk.snat, fixture_client(1)) && talk.snat_port == 40000);
	talk_open(&other, &engine, fixture_client(1), 40000, 442);
	require_eq(other.server_port, 4430);
	require_eq(talk_send(&talk, SERVER, ACK | PSH, 10).why, WHY_FLOW_HIT);
	require_eq(talk_send(&other, SERVER, ACK | PSH, 10).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

/* ---- SNAT ports ---- */

START_TEST(farms_with_the_same_server_never_collide)
{
	static bool seen[2][PORTS];
	unsigned got[2] = {0}, refused = 0;

	memset(seen, 0, sizeof(seen));
	engine_start(&engine, same_servers());
	for (unsigned i = 0; i < 800; i++) {
		const uint16_t ports[] = {443, 5062};
		struct talk talk;
		struct verdict v = talk_syn(&talk, &engine, fixture_client(i),
		                            (uint16_t)(random_below(2) ? 2000 + i % 300 : 40000),
		                            ports[i % 2]);
		unsigned server;

		if (v.why != WHY_FLOW_NEW) {
			refused++;
			continue;
		}
		server = talk.server % 2;
		require_eq(talk.server_port, 443);
		require(!seen[server][talk.snat_port]);
		seen[server][talk.snat_port] = true;
		got[i % 2]++;
		require_eq(talk_send(&talk, SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
		require_eq(talk_send(&talk, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	}
	/* together they have what there is for two servers, and each has some */
	require_eq(got[0] + got[1], 600);
	require_eq(refused, 200);
	require(got[0] > 100 && got[1] > 100);
	engine_stop(&engine);
}
END_TEST

/* ---- Several workers ---- */

START_TEST(workers_know_whose_a_packet_is)
{
	const struct hash_key key = {{3, 4}};

	for (unsigned k = 0; k < 3; k++) {
		const struct share share = share_make(k, 3, false, &key);
		const uint16_t ports[] = {443, 80, 442, 5062, 8080, 4430};
		const struct farms *farms;

		engine_start_share(&engine, mapped(), &share);
		farms = lb_balance(engine.lb)->farms;
		for (unsigned i = 0; i < 600; i++) {
			const struct tuple t = {fixture_client(i), fixture_vip(),
			                        be16_from((uint16_t)(1024 + i)),
			                        be16_from(ports[i % 6])};
			const unsigned owner = owner_of(farms, &t, NULL, NULL, VLAN_NONE);

			/* a SNAT port if nobody serves it: 8080 and 4430 are the servers' */
			require_eq(owner, i % 6 < 4 ? share_of_client(&share, share_address(t.src),
			                                              t.sport)
			                            : ports[i % 6] % 3u);
		}
		engine_stop(&engine);
	}
}
END_TEST

Suite *services_suite(void)
{
	const TTest *const tests[] = {
	        each_port_of_a_vip_is_one_farm_s,
	        a_syn_goes_to_the_farm_of_its_port,
	        answered_while_any_farm_of_the_address_is_up,
	        in_a_vlan_only_its_own_farms_count,
	        a_service_is_at_another_port_of_the_server,
	        errors_name_the_port_of_their_receiver,
	        hairpin_to_a_mapped_port,
	        without_snat_too,
	        farms_with_the_same_server_never_collide,
	        workers_know_whose_a_packet_is,
	        NULL,
	};

	return suite_of("services", tests);
}
