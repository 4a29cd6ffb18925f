/*
 * Following fragments.
 *
 * TCP avoids fragments, but a path with a small MTU and without DF makes them. Only the first one
 * holds the ports, so only it can be looked up; the others are known by source, destination,
 * identification and VLAN, and are rewritten in their addresses alone: TCP's checksum, which stands
 * in the first one, accounts for the pseudo header of all. Nothing is put together here.
 *
 * Each datagram has a bitmap of the 8-byte blocks that have come, so that an overlap is seen at
 * once: what overlaps isn't passed on (RFC 5722 says so for IPv6, for reasons that hold for both).
 * One of which all has come is forgotten: the next with its identification is another.
 *
 * Behind us many clients have one address, and so have many servers. Each has numbered its
 * datagrams by itself; so they get other identifications, in turn, or the receiver would put one
 * together of two.
 *
 * Datagrams and waiting fragments are bounded; the oldest datagram gives way to a new one, and to
 * what is to wait: else a few fragments every ten seconds, of whomever, would deny the others.
 */
#include "frag.h"

#include "sched.h"
#include "wire.h"

enum {
	BLOCK_BYTES = 8, /* RFC 791: the unit of the fragment offset */
	BLOCKS = 65536 / BLOCK_BYTES,
	WORD_BITS = 64,
};

struct frag_datagram {
	be32 src, dst; /* or names */
	be32 id;
	struct hop from; /* whose VLAN the others come by as well */
	bool used, decided;
	bool complete;        /* all of it has come: what comes with its id is another one */
	uint16_t come, total; /* blocks, in all; 0: the last one hasn't come */
	lb_time began;
	struct frag_route route;
	uint64_t blocks[BLOCKS / WORD_BITS];
};

struct frag_held {
	uint32_t datagram;
	bool used;
	struct frame frame;
	uint8_t bytes[FRAME_HEADROOM + FRAG_HELD_BYTES];
};

void frags_lay_out(struct frags *frags, struct arena *arena)
{
	*frags = (struct frags){
	        .datagrams = arena_take(arena, FRAG_DATAGRAMS, sizeof(*frags->datagrams)),
	        .held = arena_take(arena, FRAG_HELD, sizeof(*frags->held)),
	};
	if (!frags->datagrams)
		return;
	memset(frags->datagrams, 0, FRAG_DATAGRAMS * sizeof(*frags->datagrams));
	memset(frags->held, 0, FRAG_HELD * sizeof(*frags->held));
}

static void forget(struct frags *frags, uint32_t d)
{
	frags->datagrams[d].used = false;
	for (unsigned i = 0; frags->nheld && i < FRAG_HELD; i++) {
		if (!frags->held[i].used || frags->held[i].datagram != d)
			continue;
		frags->held[i].used = false;
		frags->nheld--;
		frags->expired++;
	}
}

/* The datagram that the packet is of; a new one, at the oldest's expense if need be. */
static uint32_t find(struct frags *frags, const struct packet *packet, lb_time now)
{
	uint32_t best = 0;

	for (uint32_t d = 0; d < FRAG_DATAGRAMS; d++) {
		const struct frag_datagram *datagram = &frags->datagrams[d];

		if (datagram->used && !datagram->complete &&
		    be32_eq(datagram->id, packet->frag_id) &&
		    be32_eq(datagram->src, packet->tuple.src) &&
		    be32_eq(datagram->dst, packet->tuple.dst) &&
		    hop_shares_vlan(&datagram->from, &packet->from))
			return d;
		if (frags->datagrams[best].used &&
		    (!datagram->used || datagram->began.ns < frags->datagrams[best].began.ns))
			best = d;
	}
	if (frags->datagrams[best].used) {
		frags->evicted++;
		forget(frags, best);
	}
	frags->datagrams[best] = (struct frag_datagram){.src = packet->tuple.src,
	                                                .dst = packet->tuple.dst,
	                                                .id = packet->frag_id,
	                                                .from = packet->from,
	                                                .used = true,
	                                                .began = now};
	return best;
}

/* Marks n blocks from first; false, with nothing marked, if one of them has come before. */
static bool mark(struct frag_datagram *datagram, uint32_t first, uint32_t n)
{
	for (uint32_t b = first; b < first + n; b++)
		if (datagram->blocks[b / WORD_BITS] >> b % WORD_BITS & 1)
			return false;
	for (uint32_t b = first; b < first + n; b++)
		datagram->blocks[b / WORD_BITS] |= 1ull << b % WORD_BITS;
	return true;
}

/* Forgets the datagram that has waited for its first fragment for longest, but not d. There is one,
 * as all places are taken, unless they are d's or about to be released. */
static void make_room(struct frags *frags, uint32_t d)
{
	uint32_t oldest = d;

	for (unsigned i = 0; i < FRAG_HELD; i++) {
		const uint32_t other = frags->held[i].datagram;

		if (other != d && !frags->datagrams[other].decided &&
		    (oldest == d ||
		     frags->datagrams[other].began.ns < frags->datagrams[oldest].began.ns))
			oldest = other;
	}
	if (oldest == d)
		return;
	frags->evicted++;
	forget(frags, oldest);
}

/* A free place for what is to wait, or NULL. */
static struct frag_held *find_place(struct frags *frags)
{
	for (unsigned i = 0; i < FRAG_HELD; i++)
		if (!frags->held[i].used)
			return &frags->held[i];
	return NULL;
}

static enum frag_result hold(struct frags *frags, const struct frame *frame, uint32_t d)
{
	struct frag_held *place;

	if (frame->len > FRAG_HELD_BYTES)
		return FRAG_NO_ROOM;
	if (frags->nheld == FRAG_HELD)
		make_room(frags, d);
	place = find_place(frags);
	if (!place)
		return FRAG_NO_ROOM;
	memcpy(place->bytes + FRAME_HEADROOM, frame->data, frame->len);
	place->frame = *frame;
	place->frame.data = place->bytes + FRAME_HEADROOM;
	place->frame.headroom = FRAME_HEADROOM;
	place->frame.port_data = NULL;
	place->datagram = d;
	place->used = true;
	frags->nheld++;
	return FRAG_WAITS;
}

static bool has_held(const struct frags *frags, uint32_t d)
{
	for (unsigned i = 0; frags->nheld && i < FRAG_HELD; i++)
		if (frags->held[i].used && frags->held[i].datagram == d)
			return true;
	return false;
}

/* What has come of the datagram is all of it: it only remains for those that wait. */
static void note_come(struct frags *frags, uint32_t d, uint32_t end, uint32_t blocks, bool more)
{
	struct frag_datagram *datagram = &frags->datagrams[d];

	datagram->come = (uint16_t)(datagram->come + blocks);
	if (!more)
		datagram->total = (uint16_t)end;
	if (!datagram->total || datagram->come < datagram->total)
		return;
	datagram->complete = true;
	datagram->used = has_held(frags, d);
}

enum frag_result frags_take(struct frags *frags, const struct frame *frame,
                            const struct packet *packet, lb_time now,
                            const struct frag_route **ret_route, uint32_t *ret_datagram)
{
	uint32_t offset = packet->frag_offset, d;
	uint32_t blocks = (packet->l4_len + BLOCK_BYTES - 1u) / BLOCK_BYTES;
	struct frag_datagram *datagram;

	if (!blocks || offset / BLOCK_BYTES + blocks > BLOCKS ||
	    (offset ? offset < TCP_HEADER_BYTES : packet->l4_len < TCP_HEADER_BYTES))
		return FRAG_TINY;
	d = find(frags, packet, now);
	datagram = &frags->datagrams[d];
	if (!mark(datagram, offset / BLOCK_BYTES, blocks))
		return FRAG_OVERLAPS;
	note_come(frags, d, offset / BLOCK_BYTES + blocks, blocks, packet->frag_more);
	*ret_datagram = d;
	if (!offset)
		return FRAG_FIRST;
	if (!datagram->decided)
		return hold(frags, frame, d);
	*ret_route = &datagram->route;
	return FRAG_ROUTED;
}

static uint32_t hash_of(const struct frag_route *route)
{
	uint32_t hash = word32_load(&route->src) * 0x9e3779b1u ^ word32_load(&route->dst);

	for (unsigned i = 0; i < sizeof(route->src6); i += sizeof(uint32_t)) {
		hash = (hash ^ word32_load(route->src6.b + i)) * 0x9e3779b1u;
		hash = (hash ^ hash >> 15 ^ word32_load(route->dst6.b + i)) * 0x9e3779b1u;
	}
	return hash >> 16;
}

void frags_seed(struct frags *frags, const struct hash_key *key)
{
	for (uint64_t i = 0; i < FRAG_IDS; i++)
		frags->ids[i] = (uint32_t)siphash(key, &i, 1);
}

be32 frags_new_id(struct frags *frags, const struct frag_route *route, const struct share *share,
                  bool ipv6)
{
	const uint32_t of_ipv4 = (UINT16_MAX + 1u) / share->n; /* that this worker may give */
	uint32_t n = frags->ids[hash_of(route) % FRAG_IDS]++;

	n = ipv6 ? n : n % of_ipv4;
	return be32_from(n * share->n + share->worker);
}

void frags_decide(struct frags *frags, uint32_t datagram, const struct frag_route *route)
{
	frags->datagrams[datagram].route = *route;
	frags->datagrams[datagram].decided = true;
}

bool frags_release(struct frags *frags, struct frame *ret, const struct frag_route **ret_route)
{
	for (unsigned i = 0; frags->nheld && i < FRAG_HELD; i++) {
		struct frag_held *held = &frags->held[i];

		if (!held->used || !frags->datagrams[held->datagram].decided)
			continue;
		held->used = false;
		frags->nheld--;
		*ret = held->frame;
		*ret_route = &frags->datagrams[held->datagram].route;
		return true;
	}
	return false;
}

void frags_renumber(struct frags *frags, const uint16_t *map)
{
	for (uint32_t d = 0; d < FRAG_DATAGRAMS; d++) {
		struct frag_datagram *datagram = &frags->datagrams[d];

		if (!datagram->used || !datagram->decided ||
		    datagram->route.way.server == SERVER_NONE)
			continue;
		datagram->route.way.server = map[datagram->route.way.server];
		if (datagram->route.way.server == SERVER_NONE)
			forget(frags, d);
	}
}

void frags_expire(struct frags *frags, lb_time now)
{
	if (now.ns - frags->looked.ns < LB_NS_PER_S)
		return;
	frags->looked = now;
	for (uint32_t d = 0; d < FRAG_DATAGRAMS; d++)
		if (frags->datagrams[d].used &&
		    now.ns - frags->datagrams[d].began.ns > FRAG_TIMEOUT_S * LB_NS_PER_S)
			forget(frags, d);
}
