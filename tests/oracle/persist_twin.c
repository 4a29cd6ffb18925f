/*
 * Who sticks to which server, against a list of all that was ever noted.
 *
 * The table may forget a client for want of room, but says how often it did so; it never says what
 * wasn't noted last.
 */
#include "../unit/fixture.h"
#include "../unit/random.h"
#include "../unit/suites.h"

#include "../../lb/persist.h"

#include <stdlib.h>

enum { CLIENTS = 300, VIPS = 2, ROUNDS = 200000, LONGEST = 50 };

struct note {
	bool known; /* not forgotten, as far as can be told */
	uint16_t server;
	uint32_t until;
};

static struct note notes[VIPS][CLIENTS];
static struct persist persist;

static void *begin(uint32_t room)
{
	const struct hash_key key = {{random_next(), random_next()}};
	struct arena measure = {0}, arena = {0};

	persist_lay_out(&persist, &measure, room, &key);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(arena.base, 0xa5, measure.used);
	persist_lay_out(&persist, &arena, room, &key);
	memset(notes, 0, sizeof(notes));
	return arena.base;
}

static be32 vip_of(unsigned vip)
{
	return ip4(10, 0, (uint8_t)vip, 40);
}

/* Returns if what must be there was forgotten. */
static bool find(unsigned vip, unsigned client, uint32_t now)
{
	struct note *note = &notes[vip][client];
	bool must = note->known && note->until > now;
	uint16_t server;

	if (!persist_find(&persist, vip_of(vip), fixture_client(client), now, &server)) {
		note->known = false;
		return must;
	}
	require(must);
	require_eq(server, note->server);
	return false;
}

static void note(unsigned vip, unsigned client, uint32_t now)
{
	struct note *old = &notes[vip][client];
	struct note new = {true, (uint16_t)random_below(5), now + 1 + random_below(LONGEST)};

	persist_note(&persist, vip_of(vip), fixture_client(client), new.server, now, new.until);
	if (old->known && old->server == new.server && old->until > new.until)
		new.until = old->until;
	*old = new;
}

/* How many that it shouldn't have been forgotten. */
static uint64_t churn(uint32_t room, unsigned clients)
{
	void *mem = begin(room);
	uint64_t forgotten = 0;
	uint32_t now = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned vip = random_below(VIPS), client = random_below(clients);

		now += random_below(8) == 0;
		forgotten += find(vip, client, now);
		if (random_below(3) == 0)
			note(vip, client, now);
		require(forgotten <= persist.evicted);
	}
	free(mem);
	return forgotten;
}

START_TEST(room_for_all)
{
	require_eq(churn(1000000, CLIENTS), 0);
	require_eq(persist.evicted, 0);
}
END_TEST

START_TEST(little_room)
{
	require(churn(CLIENTS, CLIENTS) > 0);
	require(churn(1, CLIENTS) > 0);
	require_eq(churn(1, 2), 0); /* of two VIPs: a set */
}
END_TEST

Suite *persist_twin_suite(void)
{
	const TTest *const tests[] = {room_for_all, little_room, NULL};

	return suite_of("persist_twin", tests);
}
