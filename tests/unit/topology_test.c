/*
 * Where tmbridge is no cable: what it takes of packets to addresses that the host has itself, and
 * what becomes of TTL and length on the way through. The VIP is the host's own, clients are outside
 * and the servers, in 10.0.0.0/24, inside; servers' SNAT address is 10.0.0.40 as well.
 */
#include "suites.h"

#include "../../lb/way.h"

#include "fixture.h"
#include "frames6.h"

static struct engine engine;
static struct built built;

enum { ACK = 0x10, SYN = 0x02, PSH = 0x08, TTL = 8, HOP_LIMIT = 7 };

static struct rules_net net_of(uint8_t a, uint8_t b, uint8_t c, uint8_t d, unsigned bits,
                               enum side side)
{
	return (struct rules_net){.address = ip6_mapped(ip4(a, b, c, d)),
	                          .prefix = (uint8_t)(96 + bits),
	                          .side = (uint8_t)side};
}

static struct rules *rules_for(enum rules_mode mode)
{
	struct rules *rules = fixture_rules(2);

	rules->mode = mode;
	rules->nets.all[0] = net_of(10, 9, 0, 1, 16, OUTSIDE);
	rules->nets.all[1] = net_of(10, 0, 0, 40, 24, mode == MODE_ROUTED ? INSIDE : OUTSIDE);
	rules->nets.n = 2;
	fixture_set_snat_ports(&rules->farms[0], 1024, 32767);
	rules->farms[0].agent = be16_from(9998);
	way_settle(rules);
	return rules;
}

static void setup(void)
{
	engine_start(&engine, rules_for(MODE_ROUTED));
}

static void teardown(void)
{
	engine_stop(&engine);
}

static enum lb_why why_of(const struct spec *spec)
{
	frames_tcp(&built, spec);
	return (enum lb_why)engine_input(&engine, &built).why;
}

static struct spec from_server(uint16_t sport, uint16_t dport, uint8_t flags)
{
	return (struct spec){.side = INSIDE,
	                     .dst = FIXTURE_INSIDE_MAC,
	                     .src = mac_of(0x41),
	                     .from = fixture_server(0),
	                     .to = fixture_vip(),
	                     .sport = sport,
	                     .dport = dport,
	                     .flags = flags};
}

START_TEST(what_is_no_service_is_the_hosts)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 22);

	spec.dst = FIXTURE_OUTSIDE_MAC;
	require_eq(why_of(&spec), WHY_TO_HOST);
	spec.dport = 5061;
	require_eq(why_of(&spec), WHY_FLOW_NEW);
	spec.sport = 40001;
	spec.flags = ACK;
	require_eq(why_of(&spec), WHY_NO_FLOW);
	/* to a router's other neighbours */
	spec.dst = mac_of(0x77);
	require_eq(why_of(&spec), WHY_OTHER_HOST);
	/* a server's, to a SNAT port, one above them, and from no service */
	spec = from_server(5061, 20000, ACK);
	require_eq(why_of(&spec), WHY_NO_FLOW);
	spec = from_server(5061, 32768, ACK);
	require_eq(why_of(&spec), WHY_TO_HOST);
	spec = from_server(22, 20000, ACK);
	require_eq(why_of(&spec), WHY_TO_HOST);
	spec = from_server(5061, 1008, SYN | ACK);
	require_eq(why_of(&spec), WHY_PROBE);
	/* its agent, which is probed too */
	spec = from_server(9998, 1008, SYN | ACK);
	require_eq(why_of(&spec), WHY_PROBE);
	/* a stranger from such a port is no server */
	spec = from_server(5061, 20000, ACK);
	spec.from = ip4(10, 0, 0, 77);
	require_eq(why_of(&spec), WHY_TO_HOST);
}
END_TEST

/* If a filter has a say in the frame. */
static bool is_filtered(void)
{
	struct verdict verdict;

	return lb_filter(engine.lb, &built.frame, WHY_FILTERED, engine.now, &verdict);
}

static bool is_filtered_tcp(struct spec spec, uint16_t dport)
{
	spec.dport = dport;
	frames_tcp(&built, &spec);
	return is_filtered();
}

/* A router's error about a packet that was sent from the VIP's address and that port. */
static bool is_filtered_error(uint16_t sport)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, sport), sent = spec;
	struct built quoted;

	sent.from = fixture_vip();
	sent.to = fixture_client(1);
	sent.sport = sport;
	sent.dport = 40000;
	frames_tcp(&quoted, &sent);
	spec.dst = FIXTURE_OUTSIDE_MAC;
	spec.icmp_type = 3;
	spec.icmp_code = 1;
	frames_icmp_error(&built, &spec, &quoted, 40);
	return is_filtered();
}

START_TEST(filters_have_no_say_in_what_is_the_hosts)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 0);

	spec.dst = FIXTURE_OUTSIDE_MAC;
	ck_assert(!is_filtered_tcp(spec, 22));
	ck_assert(is_filtered_tcp(spec, 5061));
	spec.ip_options = 4; /* the long way */
	ck_assert(!is_filtered_tcp(spec, 22));
	ck_assert(is_filtered_tcp(spec, 5061));
	ck_assert(is_filtered_tcp(from_server(5061, 0, ACK), 1024));
	ck_assert(!is_filtered_tcp(from_server(22, 0, ACK), 1024)); /* its own connection */
	ck_assert(!is_filtered_tcp(from_server(5061, 0, ACK), RULES_PROBE_PORT));
	ck_assert(!is_filtered_error(22));
	ck_assert(is_filtered_error(5061));
}
END_TEST

START_TEST(arp_for_the_hosts_own_addresses_is_the_hosts)
{
	struct spec spec = {.side = OUTSIDE,
	                    .dst = FIXTURE_BROADCAST,
	                    .src = FIXTURE_CLIENT_MAC,
	                    .from = fixture_client(1),
	                    .to = fixture_vip(),
	                    .arp_oper = 1};

	frames_arp(&built, &spec);
	require_eq(engine_input(&engine, &built).why, WHY_TO_HOST);
	/* one that the host hasn't is answered for on the side of its subnet */
	engine.rules->nets.all[1] = net_of(10, 0, 0, 39, 24, INSIDE);
	engine_rules_changed(&engine);
	require_eq(engine_input(&engine, &built).why, WHY_TO_HOST);
	spec.side = INSIDE;
	frames_arp(&built, &spec);
	require_eq(engine_input(&engine, &built).why, WHY_ARP_REPLY);
}
END_TEST

/* TTLs of 2, 1 and 0, of a SYN and of an open flow, both ways. */
START_TEST(a_ttl_that_ends_is_answered_and_nothing_is_noted)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 5061);
	struct verdict v;
	struct talk talk;

	spec.dst = FIXTURE_OUTSIDE_MAC;
	for (unsigned ttl = 0; ttl < 2; ttl++) {
		frames_tcp(&built, &spec);
		built.frame.data[built.l3 + TTL] = (uint8_t)ttl;
		frames_fix(&built);
		v = engine_input(&engine, &built);
		require_eq(v.why, WHY_TTL_EXPIRED);
		require_eq(v.own.kind, OWN_ICMP_ERROR);
		require_eq(v.own.icmp_type, 11);
		require(be32_eq(v.own.tuple.src, ip4(10, 9, 0, 1)));
		require(be32_eq(v.own.tuple.dst, spec.from));
		require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
	}
	frames_tcp(&built, &spec);
	built.frame.data[built.l3 + TTL] = 2;
	frames_fix(&built);
	require_eq(engine_input(&engine, &built).why, WHY_FLOW_NEW);
	require_eq(built.frame.data[built.l3 + TTL], 1);
	require_eq(frames_ip_error(&built), 0);
	talk_open(&talk, &engine, fixture_client(2), 40000, 5061);
	for (unsigned end = CLIENT; end <= SERVER; end++) {
		spec = talk_spec(&talk, (enum end)end, PSH | ACK, 10);
		frames_tcp(&built, &spec);
		built.frame.data[built.l3 + TTL] = 1;
		frames_fix(&built);
		require_eq(engine_input(&engine, &built).why, WHY_TTL_EXPIRED);
		require_eq(talk_send(&talk, (enum end)end, PSH | ACK, 10).why, WHY_FLOW_HIT);
	}
}
END_TEST

/* However many there are, only so many are told. */
START_TEST(ttls_that_end_are_answered_at_a_limited_rate)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 5061);
	unsigned why = WHY_TTL_EXPIRED, n;

	spec.dst = FIXTURE_OUTSIDE_MAC;
	for (n = 0; n < 10000 && why == WHY_TTL_EXPIRED; n++) {
		frames_tcp(&built, &spec);
		built.frame.data[built.l3 + TTL] = 1;
		frames_fix(&built);
		why = engine_input(&engine, &built).why;
	}
	require_eq(why, WHY_ICMP_LIMITED);
	require(n > 10);
}
END_TEST

/* One byte more than the other link takes, and as many; merged, its parts count. */
START_TEST(what_is_too_long_is_quoted_as_it_came)
{
	struct talk talk;
	struct built before;
	struct spec spec;
	struct verdict v;

	talk_open(&talk, &engine, fixture_client(2), 40000, 5061);
	lb_set_mtu(engine.lb, OUTSIDE, 1500);
	lb_set_mtu(engine.lb, INSIDE, 1000);
	spec = talk_spec(&talk, CLIENT, PSH | ACK, 961);
	spec.tcp_options = 0;
	frames_tcp(&built, &spec);
	frames_copy(&before, &built);
	v = engine_input(&engine, &built);
	require_eq(v.why, WHY_TOO_BIG);
	require_eq(v.own.icmp_type, 3);
	require_eq(v.own.icmp_code, 4);
	require_eq(v.own.mtu, 1000);
	ck_assert_mem_eq(built.frame.data, before.frame.data, built.frame.len);
	frames_tcp(&built, &spec);
	built.frame.merged = 500;
	require_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
	frames_tcp(&built, &spec);
	built.frame.merged = 961;
	require_eq(engine_input(&engine, &built).why, WHY_TOO_BIG);
	spec = talk_spec(&talk, CLIENT, PSH | ACK, 960);
	spec.tcp_options = 0;
	require_eq(why_of(&spec), WHY_FLOW_HIT);
	/* towards the client it is no longer than 1500 */
	spec = talk_spec(&talk, SERVER, PSH | ACK, 1460);
	spec.tcp_options = 0;
	require_eq(why_of(&spec), WHY_FLOW_HIT);
}
END_TEST

static struct verdict send6(const struct spec *spec, unsigned hops)
{
	struct built four;

	frames_tcp(&four, spec);
	frames6_of(&built, &four);
	built.frame.data[built.l3 + HOP_LIMIT] = (uint8_t)hops;
	return engine_input(&engine, &built);
}

/* Without DF as with it: nothing is cut up. */
START_TEST(df_makes_no_difference)
{
	struct talk talk;
	struct spec spec;

	talk_open(&talk, &engine, fixture_client(2), 40000, 5061);
	lb_set_mtu(engine.lb, OUTSIDE, 1500);
	lb_set_mtu(engine.lb, INSIDE, 1000);
	for (unsigned df = 0; df < 2; df++) {
		spec = talk_spec(&talk, CLIENT, PSH | ACK, 961);
		spec.tcp_options = 0;
		spec.fragment = df ? 0x4000 : 0;
		require_eq(why_of(&spec), WHY_TOO_BIG);
		spec.payload = 960;
		require_eq(why_of(&spec), WHY_FLOW_HIT);
	}
}
END_TEST

/* Hop limits of 0, 1 and 2; one byte more than the other link takes, and as many. */
START_TEST(ipv6_is_a_hop_on_the_way_as_well)
{
	struct rules *rules = fixture_rules(2);
	struct spec spec = spec_syn(fixture_client(1), 40000, 5061);
	const struct ip6 outside = fixture_ip6(ip4(10, 9, 0, 1));
	struct verdict v;

	engine_stop(&engine);
	fixture_make_ipv6(rules);
	rules->mode = MODE_ROUTED;
	rules->nets.all[0] =
	        (struct rules_net){.address = outside, .prefix = 96 + 16, .side = OUTSIDE};
	rules->nets.all[1] = (struct rules_net){
	        .address = fixture_ip6(ip4(10, 0, 0, 40)), .prefix = 96 + 24, .side = INSIDE};
	rules->nets.n = 2;
	way_settle(rules);
	engine_start(&engine, rules);
	lb_set_mtu(engine.lb, OUTSIDE, 1500);
	lb_set_mtu(engine.lb, INSIDE, 1280);
	spec.dst = FIXTURE_OUTSIDE_MAC;
	for (unsigned hops = 0; hops < 2; hops++) {
		v = send6(&spec, hops);
		require_eq(v.why, WHY_TTL_EXPIRED);
		require_eq(v.own.icmp_type, 3);
		require(ip6_eq(&v.own.src6, &outside));
	}
	require_eq(send6(&spec, 2).why, WHY_FLOW_NEW);
	require_eq(built.frame.data[built.l3 + HOP_LIMIT], 1);
	spec = (struct spec){.side = OUTSIDE,
	                     .dst = FIXTURE_OUTSIDE_MAC,
	                     .src = spec.src,
	                     .from = spec.from,
	                     .to = spec.to,
	                     .sport = spec.sport,
	                     .dport = spec.dport,
	                     .seq = spec.seq,
	                     .flags = SYN,
	                     .payload = 1280 - 40 - 20 + 1};
	v = send6(&spec, 64);
	require_eq(v.why, WHY_TOO_BIG);
	require_eq(v.own.icmp_type, 2);
	require_eq(v.own.mtu, 1280);
	spec.payload--;
	require_eq(send6(&spec, 64).why, WHY_FLOW_HIT);
}
END_TEST

START_TEST(servers_are_where_subnets_and_gateways_say)
{
	struct rules *rules = rules_for(MODE_ROUTED);

	require_eq(way_home(rules, 0), INSIDE);
	require(be32_eq(way_next(rules, 0), fixture_server(0)));
	require_eq(way_search(rules, 0, 0), 1u << INSIDE);
	require_eq(way_search(rules, 0, 2), 1u << INSIDE);
	rules->servers[0].address = ip4(10, 9, 0, 41);
	rules->servers[1].address = ip4(172, 16, 0, 41);
	rules->gateway4 = ip4(10, 9, 0, 254);
	way_settle(rules);
	require_eq(way_home(rules, 0), OUTSIDE);
	require(be32_eq(way_next(rules, 0), rules->servers[0].address));
	require_eq(way_home(rules, 1), OUTSIDE);
	require(be32_eq(way_next(rules, 1), rules->gateway4));
	require(way_is_hosts(rules, fixture_vip()));
	require(!way_is_hosts(rules, ip4(10, 0, 0, 39)));
	require(way_is_ours(rules, ip4(10, 0, 0, 39), INSIDE));
	require(!way_is_ours(rules, ip4(10, 0, 0, 39), OUTSIDE));
	rules->mode = MODE_TRANSPARENT;
	require_eq(way_home(rules, 1), INSIDE);
	require(be32_eq(way_next(rules, 1), rules->servers[1].address));
	require(way_is_ours(rules, fixture_vip(), OUTSIDE) && !way_is_hosts(rules, fixture_vip()));
	rules_free(rules);
}
END_TEST

/* Begins anew by these rules, with a connection to a server of that address, behind a gateway. */
static void begin_behind_a_gateway(struct rules *rules, be32 server)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 5061);

	engine_stop(&engine);
	rules->servers[0].address = server;
	rules->servers[1].weight = 0;
	rules->gateway4 = ip4(10, 0, 0, 253);
	way_settle(rules);
	engine_start(&engine, rules);
	spec.dst = FIXTURE_OUTSIDE_MAC;
	require_eq(why_of(&spec), WHY_FLOW_NEW);
}

/* A reload takes out a server and gives another gateway: the server's flows go by that. What the
 * host's own routes have said of other servers stays. */
START_TEST(who_is_gone_is_behind_the_present_gateway)
{
	struct rules *before = rules_for(MODE_ROUTED), *after = rules_for(MODE_ROUTED);
	const be32 far = ip4(172, 16, 0, 41), by_route = ip4(10, 0, 0, 77);

	begin_behind_a_gateway(before, far);
	after->gateway4 = ip4(10, 9, 0, 254);
	way_settle(after);
	after->servers[1].next = by_route;
	after->servers[1].side = OUTSIDE;
	engine_reload(&engine, after);
	require_eq(after->nservers, 3);
	require(after->servers[2].gone && be32_eq(after->servers[2].address, far));
	require(be32_eq(way_next(after, 2), after->gateway4));
	require_eq(way_home(after, 2), OUTSIDE);
	require(be32_eq(way_next(after, 1), by_route));
	require_eq(way_home(after, 1), OUTSIDE);
}
END_TEST

/* And if there is none any more, without. */
START_TEST(who_is_gone_needs_no_gateway_any_more)
{
	struct rules *before = rules_for(MODE_ONE_ARMED), *after = rules_for(MODE_ONE_ARMED);
	const be32 far = ip4(172, 16, 0, 41);

	begin_behind_a_gateway(before, far);
	after->nets.all[0] = net_of(172, 16, 0, 1, 16, OUTSIDE);
	way_settle(after);
	engine_reload(&engine, after);
	require(after->servers[2].gone && be32_eq(way_next(after, 2), far));
	require_eq(way_home(after, 2), OUTSIDE);
}
END_TEST

static uint8_t answered_at(struct talk *talk)
{
	return talk_send(talk, SERVER, PSH | ACK, 10).way.hop.mac.b[5];
}

/* Says by ARP that the address is there. */
static void say(be32 address, struct mac mac, unsigned side)
{
	struct spec spec = {.side = (uint8_t)side,
	                    .dst = FIXTURE_BROADCAST,
	                    .src = mac,
	                    .from = address,
	                    .to = address,
	                    .arp_oper = 1};

	frames_arp(&built, &spec);
	engine_input(&engine, &built);
	engine_wait_ms(&engine, 1200);
}

/* Who says that a client of one side's subnet is on the other side isn't believed. A client of no
 * subnet may be anywhere. */
START_TEST(nobody_moves_a_client_to_the_other_side)
{
	static const struct {
		be32 client;
		bool follows[NSIDES];
	} cases[] = {
	        {{{10, 9, 0, 7}}, {[OUTSIDE] = true, [INSIDE] = false}},
	        {{{192, 0, 2, 7}}, {[OUTSIDE] = true, [INSIDE] = true}},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (unsigned side = 0; side < NSIDES; side++) {
			struct talk talk;

			talk_open(&talk, &engine, cases[i].client, 4000, 5061);
			say(cases[i].client, FIXTURE_CLIENT_MAC, OUTSIDE);
			require_eq(answered_at(&talk), 0x99);
			say(cases[i].client, mac_of(0x66), side);
			require_eq(answered_at(&talk), cases[i].follows[side] ? 0x66 : 0x99);
			engine_stop(&engine);
			engine_start(&engine, rules_for(MODE_ROUTED));
		}
}
END_TEST

Suite *topology_suite(void)
{
	const TTest *const tests[] = {what_is_no_service_is_the_hosts,
	                              filters_have_no_say_in_what_is_the_hosts,
	                              arp_for_the_hosts_own_addresses_is_the_hosts,
	                              a_ttl_that_ends_is_answered_and_nothing_is_noted,
	                              ttls_that_end_are_answered_at_a_limited_rate,
	                              what_is_too_long_is_quoted_as_it_came,
	                              df_makes_no_difference,
	                              ipv6_is_a_hop_on_the_way_as_well,
	                              servers_are_where_subnets_and_gateways_say,
	                              who_is_gone_is_behind_the_present_gateway,
	                              who_is_gone_needs_no_gateway_any_more,
	                              nobody_moves_a_client_to_the_other_side,
	                              NULL};
	Suite *suite = suite_create("topology");
	TCase *tcase = tcase_create("topology");

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (unsigned i = 0; tests[i]; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return suite;
}
