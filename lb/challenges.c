/*
 * Challenges: an ACK to who has sent a SYN, of a number that he hasn't sent. Each TCP answers that
 * with a RST of the same number (RFC 9293, 3.10.7.3; it is how half-open connections are found,
 * 3.5.1) and goes on as if nothing had come. Linux then sends its SYN again within 10 ms.
 *
 * The number is a hash with a key of addresses, ports and the present CHALLENGES_PERIOD_MS, so
 * nothing is kept of who is challenged, and who can name the number has got it. It is taken for an
 * answer in that period and the next.
 *
 * A host that has sent nothing, as somebody has used its address, answers likewise (RFC 9293,
 * 3.10.7.1). So an answer makes nobody known. It lets in what such a host doesn't send, the same
 * SYN once more, and CHALLENGES_LET_IN_PER_S of these. They are kept in CHALLENGES_ANSWERS places,
 * where the latest has its own.
 *
 * A challenge is no longer than the SYN that it answers. So that it is still nothing to flood
 * others with, there are CHALLENGES_PER_S of them, and about 30 a second for an IPv4 /24 or IPv6
 * /48. For a network there are two places of CHALLENGES_PLACES, by a hash with a key, and others
 * who have one of them have another second one: so a flood from some hundreds of networks leaves
 * nearly all others their challenges. While frames wait there are fewer, as sending one takes
 * longer than to turn two SYNs away.
 */
#include "challenges.h"

#include "bucket.h"

#include <string.h>

enum {
	CHALLENGES_PER_S = 100000,
	CHALLENGES_PRESSED = 5,      /* a fifth of these while frames wait */
	CHALLENGES_AT_ONCE_MS = 100, /* those of so long may be used at once */
	CHALLENGES_PLACES = 65536,
	CHALLENGES_PLACE_MS = 256, /* what a place saves up */
	CHALLENGES_PLACE_COST_MS = 64,
	CHALLENGES_PERIOD_MS = 3000,
	CHALLENGES_ANSWERS = 8192,
	CHALLENGES_LET_IN_PER_S = 20000,
};

void challenges_lay_out(struct challenges *challenges, struct arena *arena,
                        const struct share *share, const struct hash_key *key, lb_time now)
{
	*challenges = (struct challenges){.key = *key,
	                                  .begun = now,
	                                  .cost_ns = share_cost_ns(share, CHALLENGES_PER_S),
	                                  .place_cost_ms = CHALLENGES_PLACE_COST_MS * share->n,
	                                  .let_in_cost_ns =
	                                          share_cost_ns(share, CHALLENGES_LET_IN_PER_S)};
	challenges->paid_ms =
	        arena_take_zeroed(arena, CHALLENGES_PLACES, sizeof(*challenges->paid_ms));
	challenges->answers =
	        arena_take_zeroed(arena, CHALLENGES_ANSWERS, sizeof(*challenges->answers));
}

static uint64_t age_ms(const struct challenges *challenges, lb_time now)
{
	return (now.ns - challenges->begun.ns) / LB_NS_PER_MS;
}

/* Of who sends from these addresses and ports, in that period. */
static uint32_t number_of(const struct challenges *challenges, const struct packet *packet,
                          uint64_t period)
{
	uint64_t words[6];
	unsigned n = 1;

	if (packet->src6) {
		memcpy(words, packet->src6, sizeof(*packet->src6));
		memcpy(words + 2, packet->dst6, sizeof(*packet->dst6));
		n = 4;
	} else {
		words[0] = tuple_addresses(&packet->tuple);
	}
	words[n] = period;
	words[n + 1] = (uint64_t)(n * sizeof(*words)) << 56 | tuple_ports(&packet->tuple);
	return (uint32_t)siphash(&challenges->key, words, n + 2);
}

/* Pays for a challenge out of what is left for the packet's network. */
static bool pay_network(struct challenges *challenges, const struct packet *packet, lb_time now)
{
	const uint64_t network = packet_network(packet);
	const uint64_t hash = siphash(&challenges->key, &network, 1);
	const uint32_t cost = challenges->place_cost_ms;
	const uint32_t depth = cost > CHALLENGES_PLACE_MS ? cost : CHALLENGES_PLACE_MS;
	const uint32_t ms = (uint32_t)age_ms(challenges, now) + depth;
	uint32_t *paid = challenges->paid_ms;

	return bucket_pay_ms(&paid[(uint32_t)hash % CHALLENGES_PLACES], cost, depth, ms) ||
	       bucket_pay_ms(&paid[(hash >> 32) % CHALLENGES_PLACES], cost, depth, ms);
}

/* The same out of what is left in all. */
static bool pay(struct challenges *challenges, bool pressed, lb_time now)
{
	const uint64_t cost_ns = challenges->cost_ns * (pressed ? CHALLENGES_PRESSED : 1u);

	return bucket_pay(&challenges->paid_ns, cost_ns, CHALLENGES_AT_ONCE_MS * LB_NS_PER_MS, now);
}

bool challenges_make(struct challenges *challenges, const struct packet *syn, bool pressed,
                     lb_time now, uint32_t *ack)
{
	const uint64_t period = age_ms(challenges, now) / CHALLENGES_PERIOD_MS;

	*ack = number_of(challenges, syn, period);
	if (*ack - syn->seq - 1 < syn->seq_len) /* that would acknowledge it */
		return false;
	if (!pay_network(challenges, syn, now) || !pay(challenges, pressed, now))
		return false;
	challenges->answers_until.ns = now.ns + 2 * CHALLENGES_PERIOD_MS * LB_NS_PER_MS;
	return true;
}

static bool is_answer(const struct challenges *challenges, const struct packet *rst, lb_time now)
{
	const uint64_t period = age_ms(challenges, now) / CHALLENGES_PERIOD_MS;

	return now.ns < challenges->answers_until.ns &&
	       (rst->seq == number_of(challenges, rst, period) ||
	        rst->seq == number_of(challenges, rst, period - 1));
}

static struct challenges_answer *place_of(const struct challenges *challenges, uint64_t hash)
{
	return &challenges->answers[hash % CHALLENGES_ANSWERS];
}

bool challenges_answer(struct challenges *challenges, const struct packet *rst, uint64_t hash,
                       lb_time now)
{
	if (!is_answer(challenges, rst, now))
		return false;
	*place_of(challenges, hash) = (struct challenges_answer){
	        .hash = (uint32_t)hash, .until_ms = age_ms(challenges, now) + CHALLENGES_PERIOD_MS};
	return true;
}

bool challenges_let_in(struct challenges *challenges, uint64_t hash, lb_time now)
{
	struct challenges_answer *answer = place_of(challenges, hash);

	if (answer->hash != (uint32_t)hash || answer->until_ms <= age_ms(challenges, now) ||
	    !bucket_pay(&challenges->let_in_paid_ns, challenges->let_in_cost_ns,
	                CHALLENGES_AT_ONCE_MS * LB_NS_PER_MS, now))
		return false;
	answer->until_ms = 0;
	return true;
}
