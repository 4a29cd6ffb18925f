/*
 * Who is remembered for what he opened when there are more clients than places.
 */
#include "limits_fixture.h"
#include "random.h"
#include "suites.h"

#include <stdlib.h>

/* ---- The table ---- */

/* A flood from all over makes nobody forgotten who is blocked, or who has used half of what he may
 * by connections that were open. */
START_TEST(the_worst_are_not_forgotten)
{
	enum { WORST = 200, FLOOD = 400000 };
	struct limits limits = {0};
	void *mem = aligned_alloc(ARENA_ALIGN, limits_size());
	const struct hash_key key = {{random_next(), random_next()}};
	lb_time now = {100 * LB_NS_PER_S};
	struct limits_asker asker;
	struct ip6 ip;

	begin();
	farm()->client_rate = 10;
	farm()->client_connections = 10;
	farm()->block_for_ms = 600000;
	limits_begin(&limits, &key);
	limits_use(&limits, mem);
	for (unsigned c = 0; c < WORST; c++) {
		ip = ip6_mapped(fixture_client(c));
		asker = limits_asker(rules, 0, &ip);
		for (unsigned i = 0; i < 5 + 5 * (c & 1); i++)
			limits_opened(&limits, &asker, now);
		ck_assert_uint_eq(limits_judge(&limits, &asker, &ip, now),
		                  c & 1 ? WHY_CLIENT_CONNECTIONS : WHY_FLOW_NEW);
	}
	for (unsigned i = 0; i < FLOOD; i++) {
		now.ns += 1000;
		ip = ip6_mapped(be32_from(0x40000000 + (uint32_t)random_below(1 << 28)));
		asker = limits_asker(rules, 0, &ip);
		if (limits_judge(&limits, &asker, &ip, now) == WHY_FLOW_NEW)
			limits_begun(&limits, &asker, now);
	}
	for (unsigned c = 0; c < WORST; c++) {
		ip = ip6_mapped(fixture_client(c));
		asker = limits_asker(rules, 0, &ip);
		for (unsigned i = 5 + 5 * (c & 1); i < 10; i++)
			ck_assert(limits_opened(&limits, &asker, now));
		ck_assert_uint_eq(limits_judge(&limits, &asker, &ip, now), WHY_CLIENT_CONNECTIONS);
	}
	ck_assert_uint_eq(limits.counts.forgotten, 0);
	ck_assert_uint_eq(limits.counts.clients, LIMITS_CLIENTS);
	free(mem);
	rules_free(rules);
}
END_TEST

/* An address that has opened all that it may, has asked once more, and so is blocked; or for whom
 * there was no room. */
static bool block_one(struct limits *limits, uint32_t address, lb_time now)
{
	const struct ip6 ip = ip6_mapped(be32_from(address));
	const struct limits_asker asker = limits_asker(rules, 0, &ip);

	limits_opened(limits, &asker, now);
	limits_judge(limits, &asker, &ip, now);
	return limits_judge(limits, &asker, &ip, now) == WHY_CLIENT_BLOCKED;
}

static bool is_blocked(struct limits *limits, uint32_t address, lb_time now)
{
	const struct ip6 ip = ip6_mapped(be32_from(address));
	const struct limits_asker asker = limits_asker(rules, 0, &ip);

	return limits_judge(limits, &asker, &ip, now) == WHY_CLIENT_BLOCKED;
}

/* Each place has somebody who is blocked: nobody who comes then takes one, by SYNs or by
 * connections. */
START_TEST(a_table_full_of_the_worst_forgets_none)
{
	enum { BASE = 0x40000000, MANY = 1 << 19, FLOOD = 1 << 17 };
	struct limits limits = {0};
	void *mem = aligned_alloc(ARENA_ALIGN, limits_size());
	const struct hash_key key = {{1, 2}};
	lb_time now = {100 * LB_NS_PER_S};
	uint8_t *blocked = calloc(MANY, 1);
	uint64_t n = 0;

	begin();
	farm()->client_rate = 1;
	farm()->client_burst = 1;
	farm()->block_for_ms = 600000;
	limits_begin(&limits, &key);
	limits_use(&limits, mem);
	for (uint32_t i = 0; i < MANY && n < LIMITS_CLIENTS; i++)
		n += blocked[i] = block_one(&limits, BASE + i, now);
	require_eq(n, LIMITS_CLIENTS);
	require_eq(limits.counts.clients, LIMITS_CLIENTS);
	require(!block_one(&limits, BASE - 1, now)); /* one more */
	for (uint32_t i = 0; i < FLOOD; i++) {
		const struct ip6 ip = ip6_mapped(be32_from(BASE + (1u << 28) + i));
		const struct limits_asker asker = limits_asker(rules, 0, &ip);

		require_eq(limits_judge(&limits, &asker, &ip, now), WHY_FLOW_NEW);
		limits_begun(&limits, &asker, now);
	}
	for (uint32_t i = 0; i < MANY; i++)
		require_eq(is_blocked(&limits, BASE + i, now), blocked[i]);
	free(blocked);
	free(mem);
	rules_free(rules);
}
END_TEST

Suite *limits_table_suite(void)
{
	const TTest *const tests[] = {
	        the_worst_are_not_forgotten,
	        a_table_full_of_the_worst_forgets_none,
	        NULL,
	};

	return suite_of("limits_table", tests);
}
