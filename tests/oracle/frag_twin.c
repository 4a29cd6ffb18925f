/*
 * The fragment table against a list of packets with a mark for each byte that has come.
 *
 * Fewer packets and waiting fragments than there is room for, so that nothing is given up: what
 * becomes of each fragment is then certain. bridge/OPERATING.md, "fragments", and frag.h.
 */
#include "../unit/fixture.h"
#include "../unit/random.h"
#include "../unit/suites.h"

#include "../../lb/frag.h"

#include <stdlib.h>

enum {
	PACKETS = 40, /* ids in use; each has few fragments, so that no more than FRAG_HELD wait */
	UNITS = 24,   /* of 8 bytes, of a packet */
	MAY_WAIT = 20,
	ROUNDS = 60000,
	TCP_UNITS = 3, /* the TCP header's, 20 bytes */
};

struct twin {
	bool there;
	lb_time began;
	bool decided;
	bool come[UNITS];
	unsigned waiting;
};

static struct twin twins[PACKETS];
static struct frags frags;
static struct built whole, piece;
static unsigned waiting;

static void *begin(void)
{
	struct arena measure = {0}, arena = {0};

	frags_lay_out(&frags, &measure);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(arena.base, 0xa5, measure.used);
	frags_lay_out(&frags, &arena);
	memset(twins, 0, sizeof(twins));
	waiting = 0;
	return arena.base;
}

/* What has been there for FRAG_TIMEOUT_S is forgotten, and what waits in it. */
static void expire(lb_time now)
{
	for (unsigned i = 0; i < PACKETS; i++) {
		struct twin *t = &twins[i];

		if (!t->there || now.ns <= t->began.ns + FRAG_TIMEOUT_S * LB_NS_PER_S)
			continue;
		waiting -= t->waiting;
		t->there = false;
	}
}

static bool is_complete(const struct twin *t)
{
	bool all = true;

	for (unsigned u = 0; u < UNITS; u++)
		all &= t->come[u];
	return all;
}

static enum frag_result expected(struct twin *t, unsigned from, unsigned to, lb_time now)
{
	if (from == 0 ? to < TCP_UNITS : from < TCP_UNITS)
		return FRAG_TINY;
	if (!t->there || is_complete(t))
		*t = (struct twin){.there = true, .began = now};
	for (unsigned u = from; u < to; u++)
		if (t->come[u])
			return FRAG_OVERLAPS;
	for (unsigned u = from; u < to; u++)
		t->come[u] = true;
	if (from == 0)
		return FRAG_FIRST;
	return t->decided ? FRAG_ROUTED : FRAG_WAITS;
}

static void build(unsigned id, unsigned from, unsigned to, struct packet *ret)
{
	struct spec spec = spec_syn(fixture_client(id % 2), 40000, 443);

	/* each client is in two VLANs */
	spec.ntags = 1;
	spec.tpid[0] = 0x88a8;
	spec.tci[0] = (uint16_t)(id / 2 % 2);
	spec.id = (uint16_t)(id / 4 + 1);
	spec.flags = 0x10;
	spec.tcp_options = 0;
	spec.payload = UNITS * 8 - 20;
	frames_tcp(&whole, &spec);
	frames_fragment(&piece, &whole, from * 8, (to - from) * 8);
	parse_frame(&piece.frame, ret);
	require(parse_ip(&piece.frame, ret));
	require(ret->is_fragment);
}

/* The first one's way is for those that waited as well. */
static void decide(struct twin *t, uint32_t datagram, unsigned id)
{
	const struct frag_route route = {.flow = id, .way.server = SERVER_NONE};
	const struct frag_route *got;
	struct frame frame;

	frags_decide(&frags, datagram, &route);
	t->decided = true;
	for (; t->waiting; t->waiting--, waiting--) {
		require(frags_release(&frags, &frame, &got));
		require_eq(got->flow, id);
	}
	require(!frags_release(&frags, &frame, &got));
}

static void come(unsigned id, lb_time now)
{
	unsigned from =
	        random_below(3) ? TCP_UNITS * random_below(UNITS / TCP_UNITS) : random_below(UNITS);
	unsigned to = from + 1 + random_below(UNITS - from < 6 ? UNITS - from : 6);
	struct twin *t = &twins[id];
	const struct frag_route *route = NULL;
	uint32_t datagram;
	struct packet packet;
	enum frag_result want;

	if (from != 0 && waiting >= MAY_WAIT && !(t->there && t->decided && !is_complete(t)))
		return;
	build(id, from, to, &packet);
	want = expected(t, from, to, now);
	require_eq(frags_take(&frags, &piece.frame, &packet, now, &route, &datagram), want);
	if (want == FRAG_ROUTED)
		require_eq(route->flow, id);
	if (want == FRAG_WAITS) {
		t->waiting++;
		waiting++;
	}
	if (want == FRAG_FIRST)
		decide(t, datagram, id);
}

START_TEST(as_the_twin)
{
	lb_time now = {LB_NS_PER_S};
	void *mem = begin();

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (random_below(60) == 0) {
			/* it looks once a second; a little more, so that nothing is due at once */
			now.ns += (1000 + random_below(2000)) * LB_NS_PER_MS + 1;
			frags_expire(&frags, now);
			expire(now);
		}
		come(random_below(PACKETS), now);
		require_eq(frags.nheld, waiting);
	}
	require_eq(frags.evicted, 0);
	free(mem);
}
END_TEST

Suite *frag_twin_suite(void)
{
	const TTest *const tests[] = {as_the_twin, NULL};

	return suite_of("frag_twin", tests);
}
