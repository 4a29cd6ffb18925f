/*
 * Strangers in a flood.
 *
 * Anybody can send SYNs in as many names as he likes, and each that is let in costs its server more
 * than it costs us. Three things tell a client from such a flood. He has opened a connection
 * before, which takes an answer that only who has the address can give. Or he doesn't give up: a
 * SYN that nobody answers is sent again after 1 s (RFC 6298, 2), or 3 s by old ones. And he comes
 * slowly.
 *
 * So while half of max_half_open are taken
 *
 * - who has opened a connection in the last STRANGERS_KNOWN_S is let in, STRANGERS_KNOWN_SYNS times
 *   a second: whoever floods in his name takes no more than that, of him or of us;
 * - of others STRANGERS_PER_S a second are; and as many again that ask for the second time. Those
 * that are not are told nothing: a client asks again, and a RST would send him away.
 *
 * Known clients are kept in sets of STRANGERS_WAYS, in which who has opened one longest ago makes
 * way. Who has asked is a Bloom filter, of the present STRANGERS_PERIOD_MS and the ones before it:
 * so it is remembered for one to two of them. At 100,000 SYNs a second one in 14 is taken for one
 * that has been sent before; at 300,000 two in five, and then clients who aren't known must ask
 * more often.
 */
#include "strangers.h"

#include "bucket.h"

#include <string.h>

enum {
	STRANGERS_PER_S = 20000,
	STRANGERS_KNOWN_S = 1800,
	STRANGERS_KNOWN_SYNS = 250,
	STRANGERS_CLIENTS = 32768,
	STRANGERS_WAYS = 4,
	STRANGERS_BITS_LOG = 21,
	STRANGERS_PERIOD_MS = 3000,
	STRANGERS_UNIT_S = 2, /* 36 hours have that many in 16 bits */
};

enum {
	STRANGERS_SETS = STRANGERS_CLIENTS / STRANGERS_WAYS,
	STRANGERS_BITS = 1 << STRANGERS_BITS_LOG,
	STRANGERS_WORDS = STRANGERS_BITS / 64,
};

static_assert(STRANGERS_KNOWN_SYNS <= UINT8_MAX, "client.syns");
static_assert(sizeof(struct strangers_client) == 8, "a set in half a cache line");

void strangers_lay_out(struct strangers *strangers, struct arena *arena, const struct share *share,
                       const struct hash_key *key, lb_time now)
{
	const uint32_t rate = share_of_limit(share, STRANGERS_PER_S);

	*strangers = (struct strangers){
	        .key = *key, .begun = now, .cost_ns = LB_NS_PER_S / (rate ? rate : 1)};
	strangers->clients = arena_take(arena, STRANGERS_CLIENTS, sizeof(*strangers->clients));
	for (unsigned i = 0; i < 2; i++)
		strangers->asked[i].words = arena_take(arena, STRANGERS_WORDS, sizeof(uint64_t));
	if (!strangers->clients)
		return;
	memset(strangers->clients, 0, STRANGERS_CLIENTS * sizeof(*strangers->clients));
	for (unsigned i = 0; i < 2; i++)
		memset(strangers->asked[i].words, 0, STRANGERS_WORDS * sizeof(uint64_t));
}

static uint64_t age_s(const struct strangers *strangers, lb_time now)
{
	return (now.ns - strangers->begun.ns) / LB_NS_PER_S;
}

static uint16_t unit(const struct strangers *strangers, lb_time now)
{
	return (uint16_t)(age_s(strangers, now) / STRANGERS_UNIT_S);
}

static struct strangers_client *set_of(const struct strangers *strangers, be32 client)
{
	uint64_t hash = strangers->key.k[0] + (strangers->key.k[1] | 1) * be32_get(client);

	hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15; /* odd */
	return &strangers->clients[((hash >> 32) * STRANGERS_SETS >> 32) * STRANGERS_WAYS];
}

static struct strangers_client *find(const struct strangers *strangers, be32 client)
{
	struct strangers_client *set = set_of(strangers, client);

	for (unsigned i = 0; i < STRANGERS_WAYS; i++)
		if (be32_eq(set[i].address, client))
			return &set[i];
	return NULL;
}

void strangers_met(struct strangers *strangers, be32 client, lb_time now)
{
	const uint16_t u = unit(strangers, now);
	struct strangers_client *set = set_of(strangers, client), *place = find(strangers, client);

	if (!place) {
		place = set;
		for (unsigned i = 1; i < STRANGERS_WAYS; i++)
			if ((uint16_t)(u - set[i].opened_u) > (uint16_t)(u - place->opened_u))
				place = &set[i];
		*place = (struct strangers_client){.address = client};
	}
	place->opened_u = u;
}

/* If the client is known, and hasn't asked too often in this second. */
static bool is_known(struct strangers *strangers, be32 client, lb_time now)
{
	struct strangers_client *known = find(strangers, client);
	const uint8_t second = (uint8_t)age_s(strangers, now);

	if (!known || (uint16_t)(unit(strangers, now) - known->opened_u) >
	                      STRANGERS_KNOWN_S / STRANGERS_UNIT_S)
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

static void forget(struct strangers_asked *asked)
{
	if (asked->any)
		memset(asked->words, 0, STRANGERS_WORDS * sizeof(*asked->words));
	asked->any = false;
}

/* Sees to it that asked[0] is the present period's. */
static void keep_up(struct strangers *strangers, lb_time now)
{
	const uint64_t period =
	        (now.ns - strangers->begun.ns) / (STRANGERS_PERIOD_MS * LB_NS_PER_MS);
	const struct strangers_asked latest = strangers->asked[0];

	if (period == strangers->period)
		return;
	strangers->asked[0] = strangers->asked[1];
	strangers->asked[1] = latest;
	forget(&strangers->asked[0]);
	if (period > strangers->period + 1)
		forget(&strangers->asked[1]);
	strangers->period = period;
}

static bool has(const struct strangers_asked *asked, uint32_t bit)
{
	return asked->words[bit / 64] >> bit % 64 & 1;
}

/* If a SYN of that hash has been turned away lately; if not, it has now. */
static bool asks_again(struct strangers *strangers, uint64_t hash)
{
	const uint32_t a = (uint32_t)hash % STRANGERS_BITS,
	               b = (uint32_t)(hash >> (64 - STRANGERS_BITS_LOG));
	struct strangers_asked *asked = strangers->asked;

	for (unsigned i = 0; i < 2; i++)
		if (asked[i].any && has(&asked[i], a) && has(&asked[i], b))
			return true;
	asked->words[a / 64] |= (uint64_t)1 << a % 64;
	asked->words[b / 64] |= (uint64_t)1 << b % 64;
	asked->any = true;
	return false;
}

/* Takes a token of those of a second; false if there is none. */
static bool pay(const struct strangers *strangers, uint64_t *paid_ns, lb_time now)
{
	return bucket_pay(paid_ns, strangers->cost_ns, LB_NS_PER_S, now);
}

bool strangers_admit(struct strangers *strangers, be32 client, uint64_t hash, lb_time now)
{
	if (is_known(strangers, client, now) || pay(strangers, &strangers->first_paid_ns, now))
		return true;
	keep_up(strangers, now);
	return asks_again(strangers, hash) && pay(strangers, &strangers->again_paid_ns, now);
}
