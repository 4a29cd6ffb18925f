/*
 * Strangers in a flood.
 *
 * Anybody can send SYNs in as many names as he likes, and each that is let in costs its server more
 * than it costs us. Three things tell a client from such a flood. He has opened a connection
 * before, which takes an answer that only who has the address can give. Or he doesn't give up: a
 * SYN that nobody answers is sent again after 1 s (RFC 6298, 2), or 3 s by old ones. And he comes
 * slowly.
 *
 * So while half of max_half_open are taken, or more frames wait than can be dealt with soon, or did
 * within the last STRANGERS_PRESSED_MS
 *
 * - who has opened a connection in the last STRANGERS_KNOWN_S is let in, STRANGERS_KNOWN_SYNS times
 *   a second: whoever floods in his name takes no more than that, of him or of us;
 * - of others STRANGERS_PER_S a second are; and as many again that ask for the second time. Those
 *   that are not are told nothing: a client asks again, and a RST would send him away;
 * - a SYN that repeats one that was let in goes on to the server STRANGERS_REPEATS_PER_S times a
 *   second: else a few addresses and ports would do for a flood that passes.
 *
 * Who is turned away may be made to ask again at once, and is let in then (challenges.c).
 *
 * What a second's tokens hold may be used at once, but while frames wait only what a small part of
 * one does: a flood's first SYNs, each of which costs as much as many that are turned away, would
 * fill all the room that there is for frames, and what finds none is lost whoever has sent it.
 *
 * Known clients are preferred at a server as well whose max_connections half-open flows have taken
 * (wish.c).
 *
 * Known clients are kept in sets of STRANGERS_WAYS, in which who has opened one longest ago makes
 * way. They are known as limits.h knows them, so that who has a whole IPv6 network is one of them.
 * Who has asked is a Bloom filter, of the present STRANGERS_PERIOD_MS and the ones before it: so it
 * is remembered for one to two of them. Of 300,000 SYNs a second one in 28 is taken for one that
 * has been sent before; of a million nearly half, which is more than are let in, and then clients
 * who aren't known must ask more often.
 */
#include "strangers.h"

#include "bucket.h"

#include <string.h>

enum {
	STRANGERS_PER_S = 20000,
	STRANGERS_REPEATS_PER_S = 5000,
	STRANGERS_PRESSED_MS = 1000,
	STRANGERS_PRESSED_SAVE_MS = 50, /* tokens of so long may be used at once meanwhile */
	STRANGERS_KNOWN_S = 1800,
	STRANGERS_KNOWN_SYNS = 250,
	STRANGERS_CLIENTS = 32768,
	STRANGERS_WAYS = 4,
	STRANGERS_BITS_LOG = 23, /* of all workers together, and the least of one */
	STRANGERS_BITS_LOG_MIN = 18,
	STRANGERS_BITS = 3, /* of a SYN */
	STRANGERS_PERIOD_MS = 3000,
};

enum { STRANGERS_SETS = STRANGERS_CLIENTS / STRANGERS_WAYS };

static_assert(STRANGERS_KNOWN_SYNS <= UINT16_MAX, "client.syns");
static_assert(STRANGERS_WAYS * sizeof(struct strangers_client) == 64, "a set is a cache line");
static_assert(STRANGERS_PER_S % STRANGERS_REPEATS_PER_S == 0, "the one costs so many of the other");

/* The number of bits of one worker's filter, as a power of two: a worker gets its share of a flood
 * only. */
static unsigned bits_log_of(const struct share *share)
{
	unsigned log = STRANGERS_BITS_LOG;

	while (log > STRANGERS_BITS_LOG_MIN && 1u << (STRANGERS_BITS_LOG - log) < share->n)
		log--;
	return log;
}

static size_t bytes_of(const struct strangers *strangers)
{
	return ((size_t)1 << strangers->bits_log) / 8;
}

void strangers_lay_out(struct strangers *strangers, struct arena *arena, const struct share *share,
                       const struct hash_key *key, lb_time now)
{
	*strangers = (struct strangers){.bits_log = bits_log_of(share),
	                                .key = *key,
	                                .begun = now,
	                                .cost_ns = share_cost_ns(share, STRANGERS_PER_S)};
	strangers->clients =
	        arena_take_zeroed(arena, STRANGERS_CLIENTS, sizeof(*strangers->clients));
	for (unsigned i = 0; i < 2; i++)
		strangers->asked[i].words = arena_take(arena, bytes_of(strangers), 1);
}

static uint64_t age_s(const struct strangers *strangers, lb_time now)
{
	return (now.ns - strangers->begun.ns) / LB_NS_PER_S;
}

static struct strangers_client *set_of(const struct strangers *strangers, uint64_t client)
{
	const uint64_t hash = siphash(&strangers->key, &client, 1);

	return &strangers->clients[((hash & 0xffffffff) * STRANGERS_SETS >> 32) * STRANGERS_WAYS];
}

static struct strangers_client *find(const struct strangers *strangers, uint64_t client)
{
	struct strangers_client *set = set_of(strangers, client);

	for (unsigned i = 0; i < STRANGERS_WAYS; i++)
		if (set[i].key == client)
			return &set[i];
	return NULL;
}

void strangers_met(struct strangers *strangers, uint64_t client, lb_time now)
{
	struct strangers_client *set = set_of(strangers, client), *place = find(strangers, client);

	if (!place) {
		place = set;
		for (unsigned i = 1; i < STRANGERS_WAYS; i++)
			if (place->key && (!set[i].key || set[i].opened_s < place->opened_s))
				place = &set[i];
		*place = (struct strangers_client){.key = client};
	}
	place->opened_s = (uint32_t)age_s(strangers, now);
}

/* What is noted of the client, if he has opened a connection lately; else NULL. */
static struct strangers_client *find_met(const struct strangers *strangers, uint64_t client,
                                         lb_time now)
{
	struct strangers_client *known = find(strangers, client);

	return known && age_s(strangers, now) - known->opened_s <= STRANGERS_KNOWN_S ? known : NULL;
}

bool strangers_have_met(const struct strangers *strangers, uint64_t client, lb_time now)
{
	return find_met(strangers, client, now);
}

bool strangers_is_known(struct strangers *strangers, uint64_t client, lb_time now)
{
	struct strangers_client *known = find_met(strangers, client, now);
	const uint16_t second = (uint16_t)age_s(strangers, now);

	if (!known)
		return false;
	if (known->second != second) {
		known->second = second;
		known->syns = 0;
	}
	if (known->syns >= STRANGERS_KNOWN_SYNS)
		return false;
	known->syns++;
	return true;
}

/* Makes asked[0] that of the present period, moving or forgetting older ones. */
static void keep_up(struct strangers *strangers, lb_time now)
{
	const uint64_t period =
	        (now.ns - strangers->begun.ns) / (STRANGERS_PERIOD_MS * LB_NS_PER_MS);
	const struct strangers_asked latest = strangers->asked[0];

	if (period == strangers->period)
		return;
	strangers->asked[0] = strangers->asked[1];
	strangers->asked[1] = latest;
	strangers->asked[0].any = false;
	if (period > strangers->period + 1)
		strangers->asked[1].any = false;
	strangers->period = period;
}

/* Only the lower half of the hash is as good as drawn at random (tuple_multilinear()), so all of
 * its bits are made of that. */
static void bits_of(const struct strangers *strangers, uint64_t hash, uint32_t ret[STRANGERS_BITS])
{
	const uint32_t half = (uint32_t)hash, shift = 32 - strangers->bits_log;

	ret[0] = half >> shift;
	ret[1] = half * SHARE_FACTOR_1 >> shift;
	ret[2] = half * SHARE_FACTOR_2 >> shift;
}

static bool has(const struct strangers_asked *asked, const uint32_t bits[STRANGERS_BITS])
{
	bool ret = asked->any;

	for (unsigned i = 0; ret && i < STRANGERS_BITS; i++)
		ret = asked->words[bits[i] / 64] >> bits[i] % 64 & 1;
	return ret;
}

/* If a SYN of that hash has been turned away lately; if not, notes that it is now. */
static bool asks_again(struct strangers *strangers, uint64_t hash)
{
	struct strangers_asked *asked = strangers->asked;
	uint32_t bits[STRANGERS_BITS];

	bits_of(strangers, hash, bits);
	if (has(&asked[0], bits) || has(&asked[1], bits))
		return true;
	if (!asked->any)
		memset(asked->words, 0, bytes_of(strangers));
	asked->any = true;
	for (unsigned i = 0; i < STRANGERS_BITS; i++)
		asked->words[bits[i] / 64] |= (uint64_t)1 << bits[i] % 64;
	return false;
}

/* Takes n tokens of such a bucket; false if there aren't as many. */
static bool pay(const struct strangers *strangers, uint64_t *paid_ns, unsigned n, lb_time now)
{
	const uint64_t depth_ns = strangers_is_pressed(strangers, now)
	                                  ? STRANGERS_PRESSED_SAVE_MS * LB_NS_PER_MS
	                                  : LB_NS_PER_S;

	return bucket_pay(paid_ns, n * strangers->cost_ns, depth_ns, now);
}

void strangers_press(struct strangers *strangers, lb_time now)
{
	strangers->pressed_until.ns = now.ns + STRANGERS_PRESSED_MS * LB_NS_PER_MS;
}

bool strangers_admit(struct strangers *strangers, uint64_t client, uint64_t hash, lb_time now)
{
	if (strangers_is_known(strangers, client, now) ||
	    pay(strangers, &strangers->first_paid_ns, 1, now))
		return true;
	keep_up(strangers, now);
	return asks_again(strangers, hash) && pay(strangers, &strangers->again_paid_ns, 1, now);
}

bool strangers_repeats(struct strangers *strangers, uint64_t client, lb_time now)
{
	return strangers_is_known(strangers, client, now) ||
	       pay(strangers, &strangers->repeats_paid_ns,
	           STRANGERS_PER_S / STRANGERS_REPEATS_PER_S, now);
}
