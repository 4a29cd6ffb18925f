/*
 * What a start believes of a flow that it finds, each thing by itself: one flow is changed as a
 * crash, or a process with other rules, may have left it.
 */
#include "adopt_fixture.h"

#include "../../lb/name.h"

enum { CHANGED = 0, OTHER = 2 /* of the same service */ };

static struct flow *changed(void)
{
	return flow_of_talk(CHANGED);
}

static const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

static struct hops_place *place_of_hop(void)
{
	struct hops_place *places = table.arrays[TABLE_PLACES].memory;

	return &places[changed()->hop];
}

static void require_fates(unsigned open, unsigned unfit, unsigned damaged)
{
	ck_assert_uint_eq(adoption.open, open);
	ck_assert_uint_eq(adoption.unfit, unfit);
	ck_assert_uint_eq(adoption.damaged, damaged);
	ck_assert_uint_eq(balance_open_flows(balance()),
	                  open + unfit); /* which are still to be told */
}

/* ---- What can't be ---- */

static void scale(void)
{
	changed()->wscales |= 0xf;
}

static void next_of_client(void)
{
	changed()->next_seq[CLIENT] += 0x90000000;
}

static void next_of_server(void)
{
	changed()->next_seq[SERVER] += 0x90000000;
}

static void limit_of_server(void)
{
	changed()->limit[SERVER] += 0x90000000;
}

static void one_server_tuple(void)
{
	changed()->arrive[SERVER] = flow_of_talk(OTHER)->arrive[SERVER];
}

static void one_client_tuple(void)
{
	changed()->arrive[CLIENT] = flow_of_talk(OTHER)->arrive[CLIENT];
}

START_TEST(what_can_not_be_is_forgotten)
{
	static void (*const hows[])(void) = {scale,           next_of_client,   next_of_server,
	                                     limit_of_server, one_server_tuple, one_client_tuple};

	for (unsigned i = 0; i < sizeof(hows) / sizeof(*hows); i++) {
		begin();
		hows[i]();
		ck_assert(die_and_adopt(fixture_rules(3)));
		require_fates(TALKS - 1, 0, 1);
		finish();
	}
}
END_TEST

/* ---- What doesn't fit ---- */

static void snat_port_zero(void)
{
	changed()->arrive[SERVER].dport = be16_from(0);
}

static void snat_address(void)
{
	changed()->arrive[SERVER].dst = fixture_server(9);
}

static void server_port(void)
{
	changed()->arrive[SERVER].sport = be16_from(80);
}

static void service(void)
{
	changed()->arrive[CLIENT].dport = be16_from(80);
}

START_TEST(what_does_not_fit_is_reset)
{
	static void (*const hows[])(void) = {snat_port_zero, snat_address, server_port, service};

	for (unsigned i = 0; i < sizeof(hows) / sizeof(*hows); i++) {
		begin();
		hows[i]();
		ck_assert(die_and_adopt(fixture_rules(3)));
		require_fates(TALKS - 1, 1, 0);
		finish();
	}
}
END_TEST

/* As after a reload. */
START_TEST(a_port_that_rules_no_longer_give_out_goes_on)
{
	begin();
	changed()->arrive[SERVER].dport = be16_from(10);
	ck_assert(die_and_adopt(fixture_rules(3)));
	require_fates(TALKS, 0, 0);
	ck_assert_uint_eq(balance()->strays, 1);
	finish();
}
END_TEST

static struct rules *rules_without_snat(void)
{
	struct rules *rules = fixture_rules(3);

	fixture_set_snat(&rules->farms[0], NULL, 0);
	return rules;
}

static void nothing(void)
{
}

static void port_of_client(void)
{
	changed()->arrive[SERVER].dport = be16_from(77);
}

/* With `snat = off` the server knows the flow by its client's address and port. */
START_TEST(without_snat_servers_see_clients)
{
	static void (*const hows[])(void) = {nothing, snat_address, port_of_client, server_port};

	for (unsigned i = 0; i < sizeof(hows) / sizeof(*hows); i++) {
		begin_with(rules_without_snat());
		hows[i]();
		ck_assert(die_and_adopt(rules_without_snat()));
		require_fates(TALKS - !!i, !!i, 0);
		finish();
	}
}
END_TEST

START_TEST(a_farm_that_is_gone_has_none)
{
	struct rules *rules = fixture_rules(3);

	begin();
	rules->farms[0].gone = true;
	ck_assert(die_and_adopt(rules));
	require_fates(0, TALKS, 0);
	finish();
}
END_TEST

static struct rules *two_of_one_vip(void)
{
	struct rules *rules = fixture_two_farms();

	rules->farms[1].vip = rules->farms[0].vip;
	fixture_set_ports(&rules->farms[0], 80, 80);
	fixture_set_ports(&rules->farms[1], 443, 443);
	rules->farms[1].ports[0] = be16_from(443);
	return rules;
}

/* A VIP has several farms, by its ports. */
START_TEST(the_farm_is_found_by_the_port_as_well)
{
	struct talk talk;

	engine_start_shared(&engine, two_of_one_vip(), &table);
	talk_open(&talk, &engine, fixture_client(1), 20000, 443);
	ck_assert(die_and_adopt(two_of_one_vip()));
	require_fates(1, 0, 0);
	require_goes_on(&talk);
	finish();
}
END_TEST

/* ---- What is mended ---- */

static void no_such_place(void)
{
	changed()->hop = 0xfff0;
}

static void mac_of_a_group(void)
{
	place_of_hop()->hop.mac.b[0] |= 1;
}

static void too_many_tags(void)
{
	place_of_hop()->hop.ntags = FRAME_TAGS_MAX + 1;
}

static void bits_that_mean_nothing(void)
{
	place_of_hop()->hop.unused = 1;
}

START_TEST(where_the_client_can_not_be_is_forgotten)
{
	static void (*const hows[])(void) = {no_such_place, mac_of_a_group, too_many_tags,
	                                     bits_that_mean_nothing};

	for (unsigned i = 0; i < sizeof(hows) / sizeof(*hows); i++) {
		begin();
		hows[i]();
		ck_assert(die_and_adopt(fixture_rules(3)));
		require_fates(TALKS, 0, 0);
		ck_assert_uint_eq(changed()->hop, HOPS_NOWHERE);
		require_goes_on(&talks[CHANGED]);
		finish();
	}
}
END_TEST

START_TEST(times_to_come_are_now)
{
	struct flow_cold *cold;

	begin();
	cold = table.arrays[TABLE_COLD].memory;
	changed()->last = UINT32_MAX;
	memset(cold[CHANGED].created_ms, 0xff, sizeof(cold[CHANGED].created_ms));
	ck_assert(die_and_adopt(fixture_rules(3)));
	require_fates(TALKS, 0, 0);
	ck_assert_uint_le(changed()->last, balance_tick(balance(), engine.now));
	ck_assert_uint_le(flows_created_ms(&balance()->flows, CHANGED),
	                  balance_ms(balance(), engine.now));
	finish();
}
END_TEST

/* The one for which it made way is gone. */
START_TEST(who_goes_on_is_found_by_his_client)
{
	begin();
	changed()->flags |= FLOW_CLIENT_UNLISTED;
	ck_assert(die_and_adopt(fixture_rules(3)));
	require_fates(TALKS, 0, 0);
	require_goes_on(&talks[CHANGED]);
	finish();
}
END_TEST

/* ---- More than there is room for ---- */

/* Fills all places that are left with flows in that state. */
static void fill(enum flow_state state)
{
	const uint32_t places = (uint32_t)table.arrays[TABLE_FLOWS].elements;

	for (uint32_t f = TALKS; f < places; f++) {
		struct flow *flow = flow_of_talk(f);

		*flow = *changed();
		flow->state = state & 7;
		flow->arrive[CLIENT].sport = be16_from((uint16_t)(30000 + f));
		flow->arrive[SERVER].dport = be16_from((uint16_t)(30000 + f));
	}
}

START_TEST(no_more_than_there_is_room_for)
{
	uint32_t capacity;

	begin();
	capacity = balance()->flows.capacity;
	fill(FLOW_OPEN);
	ck_assert(die_and_adopt(fixture_rules(3)));
	require_fates(capacity, 0, balance()->flows.places - capacity);
	finish();
}
END_TEST

START_TEST(no_more_half_open_than_there_may_be)
{
	uint32_t most;

	begin();
	fill(FLOW_HALF_OPEN);
	table.keep_half_open = true;
	ck_assert(die_and_adopt(fixture_rules(3)));
	table.keep_half_open = false;
	most = balance()->most_half_open;
	ck_assert_uint_lt(most, balance()->flows.capacity);
	ck_assert_uint_eq(balance()->flows.openings.list.length, most);
	require_fates(TALKS + most, 0, balance()->flows.places - TALKS - most);
	finish();
}
END_TEST

/* ---- IPv6 ---- */

/* Has flows of IPv4 be those of IPv6 between fixture_ip6() of the same addresses. */
static void become_ipv6(const struct rules *rules)
{
	struct table_head *head = table.arrays[TABLE_HEAD].memory;
	struct ip6 *client6 = table.arrays[TABLE_CLIENT6].memory;
	struct ip6 *names = table.arrays[TABLE_NAMES].memory;

	memcpy(names, rules->names, rules->nnames * sizeof(*names));
	head->nnames = rules->nnames;
	for (unsigned i = 0; i < TALKS; i++) {
		struct flow *flow = flow_of_talk(i);

		client6[i] = fixture_ip6(flow->arrive[CLIENT].src);
		flow->arrive[CLIENT].src = name_hashed(head->factors6, &client6[i]);
		flow->arrive[CLIENT].dst = rules->farms[0].vip;
		flow->arrive[SERVER].src = rules->servers[flow->server].address;
		flow->arrive[SERVER].dst = rules->farms[0].snat[0];
	}
}

static void another_client(void)
{
	struct ip6 *client6 = table.arrays[TABLE_CLIENT6].memory;

	client6[CHANGED].b[15] ^= 1;
}

static void name_of_nothing(void)
{
	changed()->arrive[CLIENT].dst = name_of(0xfffff0);
}

static void name_that_is_none_any_more(void)
{
	changed()->arrive[CLIENT].dst = name_of(500);
}

static void too_many_names(void)
{
	struct table_head *head = table.arrays[TABLE_HEAD].memory;

	head->nnames = FLOWS_NAMES_MAX + 1;
}

START_TEST(ipv6_names_are_those_that_there_are)
{
	static const struct {
		void (*how)(void);
		unsigned unfit;
	} cases[] = {{nothing, 0},
	             {another_client, 1},
	             {name_of_nothing, 1},
	             {name_that_is_none_any_more, 1},
	             {too_many_names, TALKS}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rules *rules = fixture_rules(3);

		fixture_make_ipv6(rules);
		begin();
		become_ipv6(rules);
		cases[i].how();
		ck_assert(die_and_adopt(rules));
		require_fates(TALKS - cases[i].unfit, cases[i].unfit, 0);
		finish();
	}
}
END_TEST

Suite *adopt_checks_suite(void)
{
	const TTest *const tests[] = {what_can_not_be_is_forgotten,
	                              what_does_not_fit_is_reset,
	                              a_port_that_rules_no_longer_give_out_goes_on,
	                              without_snat_servers_see_clients,
	                              a_farm_that_is_gone_has_none,
	                              the_farm_is_found_by_the_port_as_well,
	                              where_the_client_can_not_be_is_forgotten,
	                              times_to_come_are_now,
	                              who_goes_on_is_found_by_his_client,
	                              no_more_than_there_is_room_for,
	                              no_more_half_open_than_there_may_be,
	                              ipv6_names_are_those_that_there_are,
	                              NULL};

	return suite_of("adopt_checks", tests);
}
