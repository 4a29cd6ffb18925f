/*
 * Client addresses that stick to their servers.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../lb/persist.h"

#include <stdlib.h>

static struct persist persist;
static void *mem;

static void begin(uint32_t clients)
{
	const struct hash_key key = {{random_next(), random_next()}};
	struct arena measure = {0}, arena = {0};

	persist_lay_out(&persist, &measure, clients, &key);
	mem = arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(mem, 0xa5, measure.used);
	persist_lay_out(&persist, &arena, clients, &key);
	ck_assert_uint_eq(arena.used, measure.used);
}

/* Of a farm with all servers. */
static struct persist_key of(be32 vip, unsigned client)
{
	return (struct persist_key){vip, fixture_client(client), 0, UINT16_MAX};
}

static void note(unsigned client, uint16_t server, uint32_t now, uint32_t until)
{
	persist_note(&persist, of(fixture_vip(), client), server, now, until);
}

/* The server, or UINT16_MAX. */
static uint16_t find(unsigned client, uint32_t now)
{
	uint16_t server = UINT16_MAX;

	if (!persist_find(&persist, of(fixture_vip(), client), false, now, &server))
		ck_assert_uint_eq(server, UINT16_MAX);
	return server;
}

START_TEST(remembered_until_its_time)
{
	uint16_t server;

	begin(100);
	ck_assert_uint_eq(find(1, 0), UINT16_MAX);
	note(1, 0, 10, 20);
	ck_assert_uint_eq(find(1, 10), 0);
	ck_assert_uint_eq(find(1, 19), 0);
	ck_assert_uint_eq(find(1, 20), UINT16_MAX);
	ck_assert(!persist_find(&persist, of(ip4(10, 0, 1, 40), 1), false, 15, &server));
	note(1, 3, 15, 40);
	ck_assert_uint_eq(find(1, 39), 3);
	ck_assert_uint_eq(persist.evicted, 0);
	free(mem);
}
END_TEST

START_TEST(room_for_one)
{
	begin(0);
	for (unsigned c = 0; c < 100; c++) {
		note(c, (uint16_t)c, 1, 100 + c);
		ck_assert_uint_eq(find(c, 1), c);
	}
	free(mem);
}
END_TEST

/* The one that would expire first gives way, and an expired one isn't counted as given up. */
START_TEST(soonest_to_expire_gives_way)
{
	begin(0); /* one set of four */
	for (unsigned c = 0; c < 4; c++)
		note(c, 0, 1, 50 - c);
	note(9, 1, 1, 60);
	ck_assert_uint_eq(find(3, 1), UINT16_MAX);
	ck_assert_uint_eq(persist.evicted, 1);
	for (unsigned c = 0; c < 3; c++)
		ck_assert_uint_eq(find(c, 1), 0);
	note(10, 1, 49, 90);
	ck_assert_uint_eq(persist.evicted, 1);
	ck_assert_uint_eq(find(2, 1), UINT16_MAX);
	free(mem);
}
END_TEST

/* It may forget, but never says anything but what was noted last. */
START_TEST(never_wrong)
{
	static uint16_t last[2000];
	unsigned known = 0;

	begin(1000);
	memset(last, 0xff, sizeof(last));
	for (unsigned i = 0; i < 20000; i++) {
		unsigned c = random_below(2000);
		uint16_t got = find(c, i);

		require(got == UINT16_MAX || got == last[c]);
		last[c] = (uint16_t)random_below(50);
		note(c, last[c], i, i + 5000);
		require_eq(find(c, i), last[c]);
	}
	for (unsigned c = 0; c < 2000; c++)
		known += find(c, 20000) != UINT16_MAX;
	ck_assert_uint_gt(known, 700);
	free(mem);
}
END_TEST

/* Whoever made them up: not even if there is room for four only. */
START_TEST(hope_takes_nothing_from_who_is_sure)
{
	uint16_t server;

	begin(0);
	note(1, 1, 1, 100);
	note(2, 2, 1, 100);
	for (unsigned c = 0; c < 100; c++)
		persist_hope(&persist, of(fixture_vip(), c), 7, 1, 1000);
	ck_assert_uint_eq(find(1, 1), 1);
	ck_assert_uint_eq(find(2, 1), 2);
	ck_assert_uint_eq(persist.evicted, 0);
	note(3, 3, 1, 100);
	note(4, 4, 1, 100);
	persist_hope(&persist, of(fixture_vip(), 50), 7, 1, 1000);
	for (unsigned c = 1; c <= 4; c++)
		ck_assert_uint_eq(find(c, 1), c);
	ck_assert_uint_eq(persist.evicted, 0);
	persist_hope(&persist, of(fixture_vip(), 50), 7, 100, 1000);
	ck_assert_uint_eq(find(50, 100), 7);
	ck_assert(!persist_find(&persist, of(fixture_vip(), 50), true, 100, &server));
	free(mem);
}
END_TEST

START_TEST(first_hope_counts_until_it_is_sure)
{
	uint16_t server;

	begin(100);
	persist_hope(&persist, of(fixture_vip(), 1), 5, 1, 30);
	persist_hope(&persist, of(fixture_vip(), 1), 6, 1, 30);
	ck_assert_uint_eq(find(1, 1), 5);
	ck_assert(!persist_find(&persist, of(fixture_vip(), 1), true, 1, &server));
	note(1, 6, 1, 20);
	ck_assert_uint_eq(find(1, 1), 6);
	ck_assert(persist_find(&persist, of(fixture_vip(), 1), true, 1, &server));
	ck_assert_uint_eq(find(1, 20), UINT16_MAX);
	persist_hope(&persist, of(fixture_vip(), 1), 5, 20, 30);
	ck_assert_uint_eq(find(1, 20), 5);
	free(mem);
}
END_TEST

/* Farms of one VIP don't know of each other, whatever the number of their servers becomes. */
START_TEST(each_farm_of_a_vip_has_its_own)
{
	const uint16_t map[] = {7, 8, 2, 3};
	struct rules_farm a = {.vip = fixture_vip(), .server = 0, .nservers = 2},
	                  b = {.vip = fixture_vip(), .server = 2, .nservers = 2};
	const be32 client = fixture_client(1);
	uint16_t server;

	begin(100);
	persist_note(&persist, persist_key(&b, client), 2, 1, 100); /* a's first one more */
	ck_assert(!persist_find(&persist, persist_key(&a, client), false, 1, &server));
	free(mem);
	begin(100);
	persist_note(&persist, persist_key(&a, client), 1, 1, 100);
	ck_assert(!persist_find(&persist, persist_key(&b, client), false, 1, &server));
	persist_note(&persist, persist_key(&b, client), 2, 1, 100);
	persist_hope(&persist, persist_key(&b, client), 3, 1, 100);
	ck_assert(persist_find(&persist, persist_key(&a, client), true, 1, &server) && server == 1);
	ck_assert(persist_find(&persist, persist_key(&b, client), true, 1, &server) && server == 2);
	ck_assert_uint_eq(persist.evicted, 0);
	persist_renumber(&persist, map);
	a.server = 7;
	ck_assert(persist_find(&persist, persist_key(&a, client), true, 1, &server) && server == 8);
	ck_assert(persist_find(&persist, persist_key(&b, client), true, 1, &server) && server == 2);
	free(mem);
}
END_TEST

/* As many as there may be, and one more: one of those that were before gives way then. */
START_TEST(many_farms_of_a_vip)
{
	static const unsigned counts[] = {1, 4, 5, 9, PERSIST_FARMS, PERSIST_FARMS + 1};

	for (unsigned n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
		struct rules_farm farm = {.vip = fixture_vip(), .nservers = 2};
		unsigned found = 0;
		uint16_t server;

		begin(10000);
		for (unsigned f = 0; f < counts[n]; f++) {
			farm.server = 2 * f;
			persist_note(&persist, persist_key(&farm, fixture_client(1)),
			             (uint16_t)(2 * f + 1), 1, 100 + f);
		}
		for (unsigned f = 0; f < counts[n]; f++) {
			farm.server = 2 * f;
			if (!persist_find(&persist, persist_key(&farm, fixture_client(1)), true, 1,
			                  &server))
				continue;
			require_eq(server, 2 * f + 1);
			found++;
		}
		require_eq(found, counts[n] <= PERSIST_FARMS ? counts[n] : PERSIST_FARMS);
		require_eq(persist.evicted, counts[n] > PERSIST_FARMS);
		free(mem);
	}
}
END_TEST

START_TEST(renumbered)
{
	const uint16_t map[] = {2, UINT16_MAX, 0};

	begin(100);
	for (unsigned c = 0; c < 3; c++)
		note(c, (uint16_t)c, 1, 100);
	persist_renumber(&persist, map);
	ck_assert_uint_eq(find(0, 1), 2);
	ck_assert_uint_eq(find(1, 1), UINT16_MAX);
	ck_assert_uint_eq(find(2, 1), 0);
	persist_renumber(&persist, map); /* and again */
	ck_assert_uint_eq(find(0, 1), 0);
	ck_assert_uint_eq(find(2, 1), 2);
	free(mem);
}
END_TEST

/* Also if nothing is sure. */
START_TEST(hope_is_renumbered)
{
	const uint16_t map[] = {2, UINT16_MAX};

	begin(100);
	persist_hope(&persist, of(fixture_vip(), 1), 0, 1, 100);
	persist_hope(&persist, of(fixture_vip(), 2), 1, 1, 100);
	persist_renumber(&persist, map);
	ck_assert_uint_eq(find(1, 1), 2);
	ck_assert_uint_eq(find(2, 1), UINT16_MAX);
	free(mem);
}
END_TEST

Suite *persist_suite(void)
{
	const TTest *const tests[] = {remembered_until_its_time,
	                              room_for_one,
	                              soonest_to_expire_gives_way,
	                              never_wrong,
	                              hope_takes_nothing_from_who_is_sure,
	                              first_hope_counts_until_it_is_sure,
	                              each_farm_of_a_vip_has_its_own,
	                              many_farms_of_a_vip,
	                              renumbered,
	                              hope_is_renumbered,
	                              NULL};

	return suite_of("persist", tests);
}
