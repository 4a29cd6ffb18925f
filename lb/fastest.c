/*
 * Connect times, and the choice by them.
 *
 * The cost of a server is the mean of its connect times, times the connections that it is still to
 * answer and this one, for its weight. Two are drawn by lot, and the cheaper one is taken (the
 * power of two choices, Mitzenmacher 2001; the cost is Finagle's). As two are drawn, and as
 * connections that aren't answered yet count, a server that has been fast doesn't get all of the
 * next ones; and one that hangs gets no more, though its mean was good. A mean that no answer
 * renews halves every FASTEST_FORGET_S, so that a server that was slow is tried again. The lots are
 * the same sequence after each start.
 */
#include "fastest.h"

/* A new connect time counts in the mean by 1 / 2^3; a mean that isn't known is taken for this. */
enum { FASTEST_MEAN_SHIFT = 3, FASTEST_UNKNOWN_NS = 1000 };

/* So many halvings leave nothing of any mean: see the assertion below. */
enum { FASTEST_HALVINGS_MAX = 30 };

/* How many times the mean has been halved by now. */
static unsigned halvings(const struct answers *answers, lb_time now)
{
	const uint64_t n = (now.ns - answers->last.ns) / (FASTEST_FORGET_S * LB_NS_PER_S);

	return n < FASTEST_HALVINGS_MAX ? (unsigned)n : FASTEST_HALVINGS_MAX;
}

uint32_t fastest_mean_ns(const struct answers *answers, lb_time now)
{
	return answers->mean_ns >> halvings(answers, now);
}

void fastest_note(struct answers *answers, uint64_t ns, lb_time now)
{
	const int64_t most = FASTEST_UNANSWERED_NS,
	              took = ns < FASTEST_UNANSWERED_NS ? (int64_t)ns + !ns : most; /* 0: unknown */
	int64_t before = answers->mean_ns ? answers->mean_ns - took : 0;

	before -= before / (1 << FASTEST_MEAN_SHIFT);
	answers->mean_ns = (uint32_t)(took + before / (1 << halvings(answers, now)));
	answers->last = now;
}

uint64_t fastest_cost(const struct answers *answers, uint32_t unanswered, uint32_t weight,
                      lb_time now)
{
	const uint64_t ns = FASTEST_UNKNOWN_NS + (uint64_t)fastest_mean_ns(answers, now);

	return (ns * (unanswered + 1) << 8) / weight;
}

static_assert(RULES_HALF_OPEN_MAX <= 1 << 20 && FASTEST_UNANSWERED_NS < 1 << 30, "fastest_cost()");

/* splitmix64 (Steele, Lea and Flood 2014) */
unsigned fastest_draw(uint64_t *draws, unsigned n)
{
	uint64_t x = ++*draws * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((x >> 32) * n >> 32);
}
