/*
 * The flow table: finding by both tuples, lists, room, and who is due.
 */
#include "flow_fixture.h"
#include "random.h"

#include <stdlib.h>

static uint32_t find(struct tuple tuple)
{
	const struct flow_key key = {.tuple = tuple};

	return flows_find(&flows, &key, flows_hash(&flows, &tuple, false));
}

START_TEST(found_by_either_end)
{
	uint32_t f;

	begin(CAPACITY);
	require_eq(find(client_tuple(3)), FLOW_NONE);
	f = add(3);
	require_eq(flow_of(find(client_tuple(3))), f);
	require_eq(end_of(find(client_tuple(3))), CLIENT);
	require_eq(flow_of(find(server_tuple(3))), f);
	require_eq(end_of(find(server_tuple(3))), SERVER);
	require_eq(find(tuple_reverse(client_tuple(3))), FLOW_NONE);
	require_eq(flows_at(&flows, f)->state, FLOW_HALF_OPEN);
	require_eq(flows_at(&flows, f)->server, 7);
	require_eq(flows_at(&flows, f)->last, 100);
	require_eq(flows_created_ms(&flows, f), 10000);
	free(mem);
}
END_TEST

START_TEST(removed_is_gone_and_its_place_free)
{
	uint32_t f;

	begin(1);
	f = add(1);
	require(!flows_have_room(&flows));
	flows_quarantine(&flows, f, 0, 200);
	require(!flow_is_live(flows_at(&flows, f)));
	require_eq(flow_of(find(client_tuple(1))), f);
	flows_remove(&flows, f);
	require_eq(find(client_tuple(1)), FLOW_NONE);
	require_eq(find(server_tuple(1)), FLOW_NONE);
	/* its place is used again, but only after FLOWS_REST others */
	for (uint32_t i = 0; i < FLOWS_REST; i++) {
		uint32_t g = add(2 + i);

		require(g != f && !flows_have_room(&flows));
		flows_remove(&flows, g);
	}
	require_eq(add(2), f);
	require_eq(flows_bytes(&flows, f, CLIENT), 0);
	free(mem);
}
END_TEST

START_TEST(unlisted_client_leaves_the_server_s_end)
{
	uint32_t old, new;
	const struct tuple arrive[2] = {client_tuple(1), server_tuple(2)};

	begin(CAPACITY);
	old = add(1);
	flows_quarantine(&flows, old, 0, 200);
	flows_unlist_client(&flows, old);
	flows_unlist_client(&flows, old);
	require_eq(find(client_tuple(1)), FLOW_NONE);
	require_eq(flow_of(find(server_tuple(1))), old);
	new = flows_add(&flows, arrive, NULL, 7, 10000, 400);
	require_eq(flow_of(find(client_tuple(1))), new);
	flows_remove(&flows, old);
	require_eq(flow_of(find(client_tuple(1))), new);
	require_eq(find(server_tuple(1)), FLOW_NONE);
	free(mem);
}
END_TEST

START_TEST(reopened_is_as_new)
{
	uint32_t f;

	begin(CAPACITY);
	f = add(1);
	flows_at(&flows, f)->flags = FLOW_RST_SENT | FLOW_SEQ_KNOWN;
	flows_count(&flows, f, SERVER, 99, 150);
	flows_quarantine(&flows, f, 0, 200);
	flows_reopen(&flows, f, 30000);
	require_eq(flows.quarantine.length, 0);
	require_eq(flows_at(&flows, f)->state, FLOW_HALF_OPEN);
	require_eq(flows_at(&flows, f)->flags, 0);
	require_eq(flows_packets(&flows, f, SERVER), 0);
	require_eq(flows_at(&flows, f)->last, 300);
	require_eq(flows_bytes(&flows, f, SERVER), 0);
	require_eq(flow_of(find(client_tuple(1))), f);
	require_eq(flow_of(find(server_tuple(1))), f);
	free(mem);
}
END_TEST

START_TEST(quarantine_is_first_in_first_out)
{
	uint32_t f[3];

	begin(CAPACITY);
	for (uint32_t i = 0; i < 3; i++)
		f[i] = add(i);
	flows_quarantine(&flows, f[1], 0, 10);
	flows_quarantine(&flows, f[0], 0, 11);
	flows_quarantine(&flows, f[2], 0, 12);
	require_eq(flows.quarantine.head, f[1]);
	flows_remove(&flows, f[0]); /* from the middle */
	require_eq(flows.quarantine.head, f[1]);
	require_eq(flows.quarantine.tail, f[2]);
	require_eq(flows.quarantine.length, 2);
	flows_remove(&flows, f[1]);
	flows_remove(&flows, f[2]);
	require_eq(flows.quarantine.head, FLOW_NONE);
	require_eq(flows.quarantine.tail, FLOW_NONE);
	free(mem);
}
END_TEST

START_TEST(half_open_is_first_in_first_out)
{
	uint32_t f[4];

	begin(CAPACITY);
	for (uint32_t i = 0; i < 4; i++)
		f[i] = add(i);
	ck_assert_uint_eq(flows_first_half_open(&flows), f[0]);
	ck_assert_uint_eq(flows_next_half_open(&flows, f[0]), f[1]);
	ck_assert_uint_eq(flows.openings.list.length, 4);
	flows_set_state(&flows, f[1], FLOW_OPEN);
	flows_set_state(&flows, f[1], FLOW_CLOSING);
	flows_quarantine(&flows, f[0], 0, 5);
	ck_assert_uint_eq(flows_first_half_open(&flows), f[2]);
	flows_reopen(&flows, f[0], 100);
	ck_assert_uint_eq(flows_next_half_open(&flows, f[3]), f[0]);
	ck_assert_uint_eq(flows_next_half_open(&flows, f[0]), FLOW_NONE);
	flows_remove(&flows, f[2]);
	flows_remove(&flows, f[1]);
	ck_assert_uint_eq(flows_first_half_open(&flows), f[3]);
	ck_assert_uint_eq(flows.openings.list.length, 2);
	ck_assert_uint_eq(flows.quarantine.length, 0);
	ck_assert_uint_eq(flows.free.length, 2);
	free(mem);
}
END_TEST

START_TEST(created_holds_years)
{
	const struct tuple arrive[2] = {client_tuple(1), server_tuple(1)};
	const uint64_t years = 10ull * 365 * 24 * 3600 * 1000 + 7;
	uint32_t f;

	begin(CAPACITY);
	f = flows_add(&flows, arrive, NULL, 7, years, FLOW_NEVER);
	ck_assert_uint_eq(flows_created_ms(&flows, f), years);
	ck_assert_uint_eq(flows_at(&flows, f)->last, years / 100);
	free(mem);
}
END_TEST

START_TEST(counts_by_end)
{
	uint32_t f;

	begin(CAPACITY);
	f = add(1);
	flows_count(&flows, f, CLIENT, 60, 500);
	flows_count(&flows, f, SERVER, 1500, 501);
	flows_count(&flows, f, SERVER, UINT32_MAX, 502);
	require_eq(flows_packets(&flows, f, CLIENT), 1);
	require_eq(flows_packets(&flows, f, SERVER), 2);
	require_eq(flows_bytes(&flows, f, CLIENT), 60);
	require_eq(flows_bytes(&flows, f, SERVER), 1500ull + UINT32_MAX);
	require_eq(flows_at(&flows, f)->last, 502);
	free(mem);
}
END_TEST

/* What a server's flows carry is known of whole FLOW_SUM_BYTES, whoever counts, and no longer of
 * one that has ended. */
START_TEST(sums_by_server)
{
	static struct flow_sum sums[8];
	uint64_t bytes = 0, summed = 0;
	uint32_t f;

	begin(CAPACITY);
	memset(sums, 0, sizeof(sums));
	flows_use_sums(&flows, sums);
	f = add(1);
	for (unsigned i = 0; i < 5000; i++) {
		const uint32_t len = i % 11 ? 54 + i : 65535;

		if (i % 2)
			flows_count(&flows, f, SERVER, len, 500);
		else
			summed += lane_count(&flows.cold[f], SERVER, 1, len);
		bytes += len;
		require_eq(sums[flows_at(&flows, f)->server].bytes[SERVER] + summed +
		                   flows_unsummed(&flows, f, SERVER),
		           bytes);
		require(flows_unsummed(&flows, f, SERVER) < 2 * FLOW_SUM_BYTES);
	}
	require_eq(sums[flows_at(&flows, f)->server].bytes[CLIENT], 0);
	summed = sums[flows_at(&flows, f)->server].bytes[SERVER];
	flows_quarantine(&flows, f, 0, 600);
	flows_count(&flows, f, SERVER, 3 * FLOW_SUM_BYTES, 601);
	require_eq(sums[flows_at(&flows, f)->server].bytes[SERVER], summed);
	free(mem);
}
END_TEST

START_TEST(counts_carry)
{
	uint64_t bytes[2] = {0, 0};
	uint32_t f, packets[2] = {0, 0};

	begin(CAPACITY);
	f = add(1);
	for (unsigned i = 0; i < 100000; i++) {
		enum end end = i % 3 ? SERVER : CLIENT;
		uint32_t len = i % 7 ? 54 + i % 1461 : 65550 + i;

		flows_count(&flows, f, end, len, 500);
		bytes[end] += len;
		packets[end]++;
	}
	for (enum end end = CLIENT; end <= SERVER; end++) {
		require_eq(flows_bytes(&flows, f, end), bytes[end]);
		require_eq(flows_packets(&flows, f, end), packets[end]);
	}
	flows.cold[f].bytes[SERVER] = UINT64_MAX - UINT16_MAX;
	flows_at(&flows, f)->bytes[SERVER] = UINT16_MAX;
	require_eq(flows_bytes(&flows, f, SERVER), UINT64_MAX);
	require_eq(flows_packets(&flows, f, SERVER), packets[SERVER]);
	require_eq(flows_bytes(&flows, f, CLIENT), bytes[CLIENT]);
	free(mem);
}
END_TEST

/* A half-open flow has a place beside, which it leaves when it opens or ends. */
START_TEST(half_open_flows_have_places)
{
	uint32_t first, f;

	begin(CAPACITY);
	first = add(0);
	f = flows.spare[first].opening;
	require_eq(flows.openings.at[f].flow, first);
	flows_set_state(&flows, first, FLOW_OPEN);
	require_eq(flows.openings.at[f].flow, FLOW_NONE);
	require_eq(flows.spare[add(1)].opening, f); /* the one that was left last is next */
	for (uint32_t i = 0; i < 10 * CAPACITY; i++) {
		const uint32_t other = add(CAPACITY + i);

		require_eq(flows.openings.at[flows.spare[other].opening].flow, other);
		flows_remove(&flows, other);
	}
	require_eq(flows.openings.list.length, 1);
	free(mem);
}
END_TEST

START_TEST(check_at_only_moves_forward)
{
	uint32_t f;

	begin(CAPACITY);
	f = add(1);
	flows_check_by(&flows, f, 500);
	require_eq(flows.check_at[f], 400);
	flows_check_by(&flows, f, 300);
	require_eq(flows.check_at[f], 300);
	flows_check_again(&flows, f, 900);
	require_eq(flows.check_at[f], 900);
	free(mem);
}
END_TEST

/* Whatever piece of the table is asked for, exactly its due flows come, in order. */
START_TEST(next_due_is_the_naive_scan)
{
	begin(CAPACITY);
	for (uint32_t i = 0; i < CAPACITY; i++)
		add(i);
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t from = random_below(CAPACITY + 1),
		         to = from + random_below(CAPACITY + 1 - from);
		uint32_t sparse = 1 + random_below(60), cursor = from, i = from, got;

		for (uint32_t f = 0; f < CAPACITY; f++)
			flows_check_again(&flows, f,
			                  random_below(sparse) ? 1001 + random_below(9) : 1000);
		while ((got = flows_next_due(&flows, &cursor, to, 1000)) != FLOW_NONE) {
			while (i < to && flows.check_at[i] > 1000)
				i++;
			require_eq(got, i++);
			ck_assert_uint_le(cursor, to);
		}
		while (i < to && flows.check_at[i] > 1000)
			i++;
		require_eq(i, to);
		require_eq(cursor, to);
	}
	free(mem);
}
END_TEST

/* Adds and removes at random up to the brim, and looks for everything. */
START_TEST(random_use)
{
	uint32_t flow[CAPACITY * 2], n = 0;

	begin(CAPACITY);
	for (uint32_t i = 0; i < CAPACITY * 2; i++)
		flow[i] = FLOW_NONE;
	for (unsigned round = 0; round < 60000; round++) {
		uint32_t i = random_below(CAPACITY * 2);

		if (flow[i] == FLOW_NONE && n < CAPACITY) {
			flow[i] = add(i);
			n++;
		} else if (flow[i] != FLOW_NONE && random_below(4)) {
			flows_quarantine(&flows, flow[i], 0, round);
			flows_remove(&flows, flow[i]);
			flow[i] = FLOW_NONE;
			n--;
		}
		require(flows_have_room(&flows) == (n < CAPACITY));
		i = random_below(CAPACITY * 2);
		require_eq(find(client_tuple(i)), flow[i] == FLOW_NONE ? FLOW_NONE : flow[i] << 1);
		require_eq(find(server_tuple(i)),
		           flow[i] == FLOW_NONE ? FLOW_NONE : flow[i] << 1 | 1);
	}
	free(mem);
}
END_TEST

Suite *flow_suite(void)
{
	const TTest *const tests[] = {
	        found_by_either_end,
	        removed_is_gone_and_its_place_free,
	        unlisted_client_leaves_the_server_s_end,
	        reopened_is_as_new,
	        quarantine_is_first_in_first_out,
	        half_open_is_first_in_first_out,
	        created_holds_years,
	        counts_by_end,
	        sums_by_server,
	        counts_carry,
	        half_open_flows_have_places,
	        check_at_only_moves_forward,
	        next_due_is_the_naive_scan,
	        random_use,
	        NULL,
	};

	return suite_of("flow", tests);
}
