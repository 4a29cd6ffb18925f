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
	bool sure;
	uint16_t server;
	uint32_t until;
};

static struct note notes[VIPS][CLIENTS];
static struct persist persist;
static uint16_t hoped;

static void *begin(uint32_t room)
{
	const struct hash_key key = {{random_next(), random_next()}};
	struct arena measure = {0}, arena = {0};

	persist_lay_out(&persist, &measure, room, &key);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(arena.base, 0xa5, measure.used);
	persist_lay_out(&persist, &arena, room, &key);
	memset(notes, 0, sizeof(notes));
	hoped = 0;
	return arena.base;
}

static struct persist_key of(unsigned vip, unsigned client)
{
	return (struct persist_key){ip4(10, 0, (uint8_t)vip, 40), fixture_client(client), 0,
	                            UINT16_MAX};
}

/* Returns if what must be there was forgotten. What was only hoped may be. */
static bool find(unsigned vip, unsigned client, uint32_t now)
{
	struct note *note = &notes[vip][client];
	bool lives = note->known && note->until > now, must = lives && note->sure;
	bool sure = random_below(2);
	uint16_t server;

	if (!persist_find(&persist, of(vip, client), sure, now, &server)) {
		note->known &= sure && !note->sure;
		return must;
	}
	require(lives && (!sure || note->sure));
	require_eq(server, note->server);
	return false;
}

static void note(unsigned vip, unsigned client, uint32_t now)
{
	struct note *old = &notes[vip][client];
	struct note new = {true, true, (uint16_t)(60000 + random_below(5)),
	                   now + 1 + random_below(LONGEST)};

	persist_note(&persist, of(vip, client), new.server, now, new.until);
	if (old->known && old->server == new.server && old->until > new.until)
		new.until = old->until;
	*old = new;
}

/*
 * If it is taken can't be said: so it is looked for at once, and what is said must be old or new.
 */
static void hope(unsigned vip, unsigned client, uint32_t now)
{
	struct note *old = &notes[vip][client];
	/* a server that nothing else names: so that it can be said what is found */
	struct note new = {true, false, hoped = (uint16_t)((hoped + 1) % 60000),
	                   now + 1 + random_below(LONGEST)};
	bool lives = old->known && old->until > now;
	uint64_t evicted = persist.evicted;
	uint16_t server;

	persist_hope(&persist, of(vip, client), new.server, now, new.until);
	require_eq(persist.evicted, evicted);
	if (!persist_find(&persist, of(vip, client), false, now, &server))
		require(!lives || !old->sure || persist.evicted);
	else if (lives && server == old->server)
		return;
	else
		require(server == new.server && !(lives && old->sure && !persist.evicted));
	if (!lives || !old->sure || persist.evicted)
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
		switch (random_below(6)) {
		case 0:
		case 1:
			note(vip, client, now);
			break;
		case 2:
			hope(vip, client, now);
			break;
		}
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
