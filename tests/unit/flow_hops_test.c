/*
 * Where the clients of flows are: the hops that they hold.
 */
#include "flow_fixture.h"

#include <stdlib.h>

static struct hop hop_of(uint32_t n)
{
	struct hop hop = {.mac = {{2, 0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}},
	                  .side = n & 1};

	return hop;
}

static void set_client(uint32_t f, const struct hop *hop)
{
	uint16_t place = hops_take(&flows.hops, hop, hop, flows_at(&flows, f)->last);

	flows_set_client(&flows, f, place, hop);
}

/* As many clients as flows, each behind a hop of its own: says how many had to keep theirs. */
static uint32_t take_hops(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct hop hop = hop_of(i);

		set_client(add(i), &hop);
	}
	for (uint32_t f = 0; f < n; f++) {
		struct hop hop = hop_of(f);

		require(hop_eq(flows_client(&flows, f), &hop));
	}
	return flows.hops.places[HOPS_OWN].users;
}

static void no_hop_is_held(void)
{
	for (uint32_t p = 0; p < flows.hops.nplaces; p++)
		require_eq(flows.hops.places[p].users, 0);
}

/* However many hops there are, each client is found behind its own. */
START_TEST(clients_of_many_hops)
{
	const struct {
		uint32_t flows, own_max;
	} cases[] = {{1, 0}, {8, 0}, {1000, 5}, {4096, 0}, {20000, 5}, {60000, 15000}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t n = cases[i].flows;

		begin(n);
		ck_assert_uint_le(take_hops(n), cases[i].own_max);
		for (uint32_t f = 0; f < n; f++)
			flows_remove(&flows, f);
		no_hop_is_held();
		free(mem);
	}
}
END_TEST

/* What a flow that rests needs for its queues is where others keep their hops. */
START_TEST(who_rests_keeps_no_hop)
{
	const uint32_t n = 60000;
	const uint64_t later_ms = 1000 * FLOW_MS_PER_TICK;
	uint32_t kept = 0;

	begin(n);
	take_hops(n);
	for (uint32_t f = 0; f < n; f++)
		flows_set_state(&flows, f, FLOW_OPEN);
	for (uint32_t f = 0; f < n; f += 2) /* makes room */
		flows_remove(&flows, f);
	for (uint32_t f = 1; f < n; f += 2) {
		const struct hop hop = hop_of(f);
		const bool is_own = flows_at(&flows, f)->hop == HOPS_OWN;

		flows_reset(&flows, f, CLIENT, later_ms);
		require(flows_at(&flows, f)->hop != HOPS_OWN);
		require(hop_eq(flows_client(&flows, f), &hop));
		kept += is_own;
	}
	require_eq(flows.quarantine.length, n / 2);
	require_eq(flows.hops.places[HOPS_OWN].users, 0);
	ck_assert_uint_gt(kept, 100);
	for (uint32_t f = 1; f < n; f += 2) {
		flows_revive(&flows, f);
		flows_remove(&flows, f);
	}
	no_hop_is_held();
	free(mem);
}
END_TEST

/* One that can't keep a hop stays where it was. */
START_TEST(who_rests_moves_to_no_hop_of_its_own)
{
	const struct hop before = hop_of(1), after = hop_of(2);
	uint32_t f, next;

	begin(CAPACITY);
	f = add(1);
	next = add(2);
	set_client(f, &before);
	flows_quarantine(&flows, f, 0, 5);
	flows_quarantine(&flows, next, 0, 5);
	hops_take_place(&flows.hops, HOPS_OWN); /* as if there had been no room */
	flows_set_client(&flows, f, HOPS_OWN, &after);
	require(hop_eq(flows_client(&flows, f), &before));
	require_eq(flows_next_resting(&flows, f), next);
	flows_remove(&flows, f);
	flows_remove(&flows, next);
	no_hop_is_held();
	free(mem);
}
END_TEST

/* A place that its last user has given back goes to no other hop for a while. */
START_TEST(hops_rest)
{
	struct hop hop = hop_of(0), other;
	const struct hops_place *places;
	uint16_t place;
	uint32_t n = 0;

	begin(CAPACITY);
	places = flows.hops.places;
	place = hops_take(&flows.hops, &hop, &hop, 100);
	hops_give_back(&flows.hops, place, 100);
	for (uint32_t i = 1; n < HOPS_WAYS; i++) { /* others that would like it */
		other = hop_of(i);
		n += hops_take(&flows.hops, &other, &other, 100 + HOPS_REST - 1) == HOPS_OWN;
	}
	require(hop_eq(&places[place].hop, &hop));
	require_eq(hops_take(&flows.hops, &hop, &hop, 100), place); /* but to the same */
	hops_give_back(&flows.hops, place, 100);
	for (uint32_t i = 1; hop_eq(&places[place].hop, &hop); i++) {
		other = hop_of(1000 + i);
		hops_take(&flows.hops, &other, &other, 100 + HOPS_REST);
	}
	require_eq(places[place].users, 1);
	free(mem);
}
END_TEST

START_TEST(client_moves)
{
	struct hop a = hop_of(1), b = hop_of(2);
	uint32_t f, g;
	uint16_t place;

	begin(CAPACITY);
	f = add(1);
	g = add(2);
	set_client(f, &a);
	set_client(g, &a);
	place = flows_at(&flows, f)->hop;
	require_eq(flows_at(&flows, g)->hop, place);
	require_eq(flows.hops.places[place].users, 2);
	set_client(f, &b);
	require_eq(flows.hops.places[place].users, 1);
	require(hop_eq(flows_client(&flows, f), &b));
	require(hop_eq(flows_client(&flows, g), &a));
	b.tci[0] = be16_from(5); /* what a tag changes is another hop */
	b.ntags = 1;
	set_client(f, &b);
	require(hop_eq(flows_client(&flows, f), &b));
	flows_quarantine(&flows, f, 0, 200);
	flows_reopen(&flows, f, 30000);
	require_eq(flows_at(&flows, f)->hop, HOPS_NOWHERE);
	require_eq(flows.hops.places[HOPS_NOWHERE].users, 1);
	flows_remove(&flows, f);
	flows_remove(&flows, g);
	no_hop_is_held();
	free(mem);
}
END_TEST

/* A flow that kept its hop itself is answered there when it rests, too, wherever those are answered
 * meanwhile whose packets come from there: as one whose neighbour is known by another address. */
START_TEST(who_rests_isnt_moved_by_others)
{
	const struct hop here = hop_of(1), there = hop_of(2), elsewhere = hop_of(3);
	uint32_t f, g;
	uint16_t place;

	begin(2);
	f = add(1);
	g = add(2);
	flows_set_client(&flows, f, HOPS_OWN, &here);
	hops_take_place(&flows.hops, HOPS_OWN); /* as if there had been no room */
	place = hops_take(&flows.hops, &here, &there, 100);
	flows_set_client(&flows, g, place, &there);
	flows_quarantine(&flows, f, 0, 100);
	require(hop_eq(flows_client(&flows, f), &here));
	hops_answer(&flows.hops, hops_find(&flows.hops, &here), &elsewhere);
	require(hop_eq(flows_client(&flows, f), &here));
	require(hop_eq(flows_client(&flows, g), &elsewhere));
	flows_remove(&flows, f);
	flows_remove(&flows, g);
	no_hop_is_held();
	free(mem);
}
END_TEST

Suite *flow_hops_suite(void)
{
	const TTest *const tests[] = {
	        clients_of_many_hops,
	        who_rests_keeps_no_hop,
	        who_rests_moves_to_no_hop_of_its_own,
	        hops_rest,
	        client_moves,
	        who_rests_isnt_moved_by_others,
	        NULL,
	};

	return suite_of("flow_hops", tests);
}
