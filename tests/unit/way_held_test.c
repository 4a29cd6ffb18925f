/*
 * The way to a server as the programs read it, in user space: whoever is held up before any of his
 * reads, and then sees the server somewhere else, sends to one place or to the other, or leaves it
 * to the process; and to nowhere made of two.
 */
static void pause_reader(void);
#define BOTH_STEP()  pause_reader()
#define BOTH_FENCE() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#include "fixture.h"
#include "suites.h"

#include "../../bridge/fastpath/maps.h"
#include "../../lb/lane.h"
/* what has the programs' maps as variables is the last one, and written for clang */
#define typeof __typeof__
#include "../../bridge/fastpath/way.bpf.h"

enum { PLACES = 3 };

static struct rules *rules;
static struct fastpath_way all_ways[2 * FASTPATH_WAYS];
static struct maps server_maps = {.all_ways = all_ways, .ways = all_ways};
static struct fastpath_conf server_conf;
static unsigned steps; /* of the reader, until the process goes on */
static const unsigned *moves;

/* They differ in each word. */
static struct hop place(unsigned i)
{
	const uint8_t n = (uint8_t)(0x10 * i);

	return (struct hop){.mac = {{2, n, n, n, n, n}},
	                    .tci[0] = be16_from((uint16_t)(i + 1)),
	                    .ntags = i & 1,
	                    .side = INSIDE};
}

/* PLACES: nobody knows where. */
static void put(unsigned i)
{
	const struct hop hop = place(i);

	maps_set_way(&server_maps, rules, 0, i < PLACES ? &hop : NULL);
}

static void pause_reader(void)
{
	if (steps && --steps == 0)
		for (const unsigned *move = moves; *move <= PLACES; move++)
			put(*move);
}

static void *element(void *map, const void *key)
{
	const uint32_t i = *(const uint32_t *)key;

	return map == (void *)&ways && i < 2 * FASTPATH_WAYS ? &all_ways[i] : NULL;
}

/* Reads the way, held up at that step. False if there is none. */
static bool read_at(unsigned step)
{
	const struct tuple arrives = {.dst = fixture_vip()};
	const struct found found = {.end = CLIENT, .lane.to.dst = fixture_server(0)};
	union hop_copy to = {.words = {0}};
	bool is_one = false;

	put(0);
	steps = step;
	if (find_server(&server_conf, &found, &arrives, &to)) {
		for (unsigned i = 0; i < PLACES; i++) {
			const struct hop hop = place(i);

			is_one |= hop_eq(&to.hop, &hop);
		}
		ck_assert_msg(is_one, "of two, held up at step %u", step);
	}
	return steps == 0;
}

START_TEST(who_is_held_up_sees_one_place)
{
	static const unsigned ways_to_move[][4] = {{1, -1u},    {PLACES, -1u}, {PLACES, 1, -1u},
	                                           {1, 2, -1u}, {1, 0, -1u},   {1, PLACES, 0, -1u}};
	unsigned n;

	rules = fixture_rules(2);
	bpf_map_lookup_elem = element;
	moves = ways_to_move[_i];
	for (n = 0; read_at(n + 1); n++)
		;
	ck_assert_uint_gt(
	        n, 5); /* which half, what is known, three words of the hop, if it still is */
	rules_free(rules);
	(void)find_among;
}
END_TEST

Suite *way_held_suite(void)
{
	Suite *suite = suite_create("way_held");
	TCase *tcase = tcase_create("way_held");

	tcase_add_loop_test(tcase, who_is_held_up_sees_one_place, 0, 6);
	suite_add_tcase(suite, tcase);
	return suite;
}
