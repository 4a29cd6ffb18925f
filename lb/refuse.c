/*
 * RSTs to those who get no flow. What any stranger can ask for at any rate is answered at a limited
 * one: enough for clients, too little for a reflector.
 *
 * The kinds are limited apart, so that nobody can use up one by asking for another. Of each kind
 * there are two buckets, one for sources that ask seldom and one for those that ask often, and a
 * source may have no more than a share of either. So a flood from one network, or from as many as
 * somebody controls, takes nothing from those who ask now and then. A source is an IPv4 /24 or an
 * IPv6 /48, of which even a forger can name a limited number only. Sources share REFUSE_SOURCES
 * places, by a hash with a key. If a flood comes from all over the IPv4 address space, each place
 * asks often, and others get only their part of the rate.
 *
 * A bucket is kept as the time up to which all is paid for: its level is how long ago that is. A
 * source's rises to REFUSE_SOURCE_MS. While it is above half of that the source asks seldom, and an
 * answer costs it REFUSE_SELDOM_MS: 16 at once, and two a second. A source that wants more asks
 * often: then an answer costs REFUSE_OFTEN_MS, of a level of REFUSE_OFTEN_MOST_MS at the most: 500
 * at once, and 500 a second, which is half of what all get.
 */
#include "refuse.h"

#include "bucket.h"
#include "wire.h"

enum { SELDOM, OFTEN };

enum {
	REFUSE_PER_S = 1000,
	REFUSE_BURST = 1000,
	REFUSE_SOURCE_MS = 16000,
	REFUSE_SELDOM_MS = 500,
	REFUSE_OFTEN_MS = 2,
	REFUSE_OFTEN_MOST_MS = 1000,
};

#define REFUSE_COST (LB_NS_PER_S / REFUSE_PER_S)

void refuse_begin(struct refuse *refuse, const struct hash_key *key, lb_time now)
{
	refuse->key = *key;
	refuse->begun = now;
	for (unsigned kind = 0; kind < REFUSE_KINDS; kind++) {
		struct refuse_limit *limit = &refuse->limits[kind];

		limit->paid_ns[SELDOM] = limit->paid_ns[OFTEN] =
		        now.ns - REFUSE_COST * REFUSE_BURST;
		for (unsigned i = 0; i < REFUSE_SOURCES; i++)
			limit->paid_ms[i] = 0u - REFUSE_SOURCE_MS;
	}
}

static enum refuse_kind kind_of(enum lb_why why)
{
	if (why == WHY_NO_FLOW)
		return REFUSE_NO_FLOW;
	if (why == WHY_FILTER_RESET)
		return REFUSE_FILTERED;
	return why == WHY_PORT_NOT_SERVED ? REFUSE_PORT_NOT_SERVED : REFUSE_SYN;
}

/* The place of the packet's source. */
static unsigned source_of(const struct refuse *refuse, const struct packet *packet)
{
	const uint64_t word = packet_network(packet);

	return siphash(&refuse->key, &word, 1) % REFUSE_SOURCES;
}

/* Takes a token; false if there is none. */
static bool pay(uint64_t *paid_ns, lb_time now)
{
	return bucket_pay(paid_ns, REFUSE_COST, REFUSE_COST * REFUSE_BURST, now);
}

/* Takes cost out of a source's bucket, which is filled up to `most` at the most. */
static void pay_ms(uint32_t *paid, uint32_t ms, uint32_t most, uint32_t cost)
{
	if (ms - *paid > most)
		*paid = ms - most;
	*paid += cost;
}

static bool is_allowed(struct refuse *refuse, enum refuse_kind kind, const struct packet *packet,
                       lb_time now)
{
	struct refuse_limit *limit = &refuse->limits[kind];
	uint32_t *paid = &limit->paid_ms[source_of(refuse, packet)];
	uint32_t ms = (uint32_t)((now.ns - refuse->begun.ns) / LB_NS_PER_MS);

	if (ms - *paid > REFUSE_SOURCE_MS / 2 && pay(&limit->paid_ns[SELDOM], now))
		pay_ms(paid, ms, REFUSE_SOURCE_MS, REFUSE_SELDOM_MS);
	else if (ms - *paid >= REFUSE_OFTEN_MS && pay(&limit->paid_ns[OFTEN], now))
		pay_ms(paid, ms, REFUSE_OFTEN_MOST_MS, REFUSE_OFTEN_MS);
	else
		return false;
	return true;
}

void refuse(struct refuse *refuse, struct verdict *v, enum lb_why why, const struct packet *packet,
            lb_time now)
{
	if (!is_allowed(refuse, kind_of(why), packet, now))
		return verdict_settle(v, WHY_RST_LIMITED);
	verdict_answer(v, why, packet, OWN_TCP);
	v->own.tcp_flags = TCP_RST;
	if (packet->tcp_flags & TCP_ACK) {
		v->own.seq = packet->ack;
	} else {
		v->own.tcp_flags |= TCP_ACK;
		v->own.ack = packet->seq + packet->seq_len;
	}
}

/*
 * A source that asks often gets a RST once its own bucket and the one for such sources allow it.
 * One that asks seldom, or soon will, may pay from either bucket of its kind: so the time is that
 * of the one which allows it sooner.
 */
lb_time refuse_until(const struct refuse *refuse, enum lb_why why, const struct packet *packet,
                     lb_time now)
{
	const struct refuse_limit *limit = &refuse->limits[kind_of(why)];
	const uint64_t ms = (now.ns - refuse->begun.ns) / LB_NS_PER_MS;
	const uint32_t since = (uint32_t)ms - limit->paid_ms[source_of(refuse, packet)];
	const bool may_be_seldom = since + REFUSE_OFTEN_MS > REFUSE_SOURCE_MS / 2 &&
	                           limit->paid_ns[SELDOM] < limit->paid_ns[OFTEN];
	lb_time ret = {limit->paid_ns[may_be_seldom ? SELDOM : OFTEN] + REFUSE_COST};

	if (since < REFUSE_OFTEN_MS) {
		const uint64_t his =
		        refuse->begun.ns + (ms + REFUSE_OFTEN_MS - since) * LB_NS_PER_MS;

		ret.ns = his > ret.ns ? his : ret.ns;
	}
	return ret;
}

bool refuse_by_icmp(struct refuse *refuse, struct verdict *v, enum lb_why why,
                    const struct packet *packet, lb_time now)
{
	if (!is_allowed(refuse, REFUSE_ICMP, packet, now)) {
		verdict_settle(v, WHY_ICMP_LIMITED);
		return false;
	}
	verdict_answer(v, why, packet, OWN_ICMP_ERROR);
	return true;
}
