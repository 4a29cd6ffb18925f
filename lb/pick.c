/*
 * The schedulers: each is a way to choose among the servers that may take a connection.
 *
 * wlc, lc, wrr and rr take the server on top of the farm's heap, which sched.c keeps in order by
 * load and turn. `source` and `hash` compute a score for each server (score.h) and take the least.
 * `fastest` draws two servers by lot and takes the one where a connection costs less (fastest.h).
 * Choosing changes no count of a server's: who opens the connection calls sched_opened().
 */
#include "pick.h"

#include "fastest.h"
#include "score.h"

/* The server, or SERVER_NONE if it is full and has no half-open flow that would make room. */
static uint16_t unless_full(const struct sched *sched, uint16_t server)
{
	return server == SERVER_NONE || sched->servers[server].rank == HEAP_RANK_NEVER ? SERVER_NONE
	                                                                               : server;
}

/* The one on top of the heap. */
static uint16_t first(struct sched *sched, unsigned f, lb_time now)
{
	const struct heap heap = sched_heap(sched, f, now);

	return unless_full(sched, heap.n ? heap.at[0] : SERVER_NONE);
}

/* The first one of those that pass the test. */
static uint16_t first_if(struct sched *sched, unsigned f, lb_time now, pick_test *test,
                         const void *of)
{
	const struct heap heap = sched_heap(sched, f, now);
	uint16_t next = SERVER_NONE;

	for (unsigned i = 0; i < heap.n; i++)
		if ((next == SERVER_NONE || heap_is_before(&heap, heap.at[i], next)) &&
		    test(of, heap.at[i]))
			next = heap.at[i];
	return unless_full(sched, next);
}

static bool passes_all(const void *of, unsigned server)
{
	(void)of;
	(void)server;
	return true;
}

/* The server with the least score, of those that pass the test: of those that aren't full, or, with
 * full, of those that are but have a half-open flow that would make room. */
static uint16_t by_score(const struct sched *sched, unsigned farm, struct asker asker, bool full,
                         pick_test *test, const void *of)
{
	const struct rules_farm *rule = &sched->rules->farms[farm];
	enum rules_state state = sched_state_in_charge(sched, farm);
	uint64_t best = UINT64_MAX, score;
	uint16_t picked = SERVER_NONE;

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++) {
		if (!sched_is_in_state(sched, s, state) || sched_is_full(sched, s) != full ||
		    (full && !sched->servers[s].half_open) || !test(of, s))
			continue;
		score = score_of(sched->rules, s, &asker, best);
		if (score < best) {
			best = score;
			picked = (uint16_t)s;
		}
	}
	return picked;
}

static uint16_t by_hash(const struct sched *sched, unsigned farm, struct asker asker,
                        pick_test *test, const void *of)
{
	uint16_t picked = by_score(sched, farm, asker, false, test, of);

	return picked != SERVER_NONE ? picked : by_score(sched, farm, asker, true, test, of);
}

static uint64_t cost_of(const struct sched_server *server, lb_time now)
{
	return fastest_cost(&server->answers, server->half_open, server->share, now);
}

/* If server a, which isn't full, is a better choice than b, which may be SERVER_NONE. */
static bool is_faster(const struct sched *sched, const struct heap *heap, uint16_t a, uint16_t b,
                      lb_time now)
{
	uint64_t cost_a, cost_b;

	if (sched->servers[a].rank >= HEAP_RANK_LAST || b == SERVER_NONE)
		return sched->servers[a].rank < HEAP_RANK_LAST;
	cost_a = cost_of(&sched->servers[a], now);
	cost_b = cost_of(&sched->servers[b], now);
	return cost_a != cost_b ? cost_a < cost_b : heap_is_before(heap, a, b);
}

/* The better one of picked and, if it passes, server. */
static uint16_t faster(const struct sched *sched, const struct heap *heap, uint16_t server,
                       uint16_t picked, lb_time now, pick_test *test, const void *of)
{
	return is_faster(sched, heap, server, picked, now) && test(of, server) ? server : picked;
}

/* The better one of two that are drawn by lot; if neither will do, the best of all; and if all are
 * full, the first one of the heap that passes. */
static uint16_t fastest(struct sched *sched, unsigned f, lb_time now, pick_test *test,
                        const void *of)
{
	const struct heap heap = sched_heap(sched, f, now);
	uint16_t picked = SERVER_NONE;
	unsigned i, j;

	if (heap.n > 2) {
		i = fastest_draw(&sched->farms[f].draws, heap.n);
		j = fastest_draw(&sched->farms[f].draws, heap.n - 1);
		j += j >= i;
		picked = faster(sched, &heap, heap.at[i], picked, now, test, of);
		picked = faster(sched, &heap, heap.at[j], picked, now, test, of);
	}
	if (picked != SERVER_NONE)
		return picked;
	for (i = 0; i < heap.n; i++)
		picked = faster(sched, &heap, heap.at[i], picked, now, test, of);
	return picked != SERVER_NONE ? picked : first_if(sched, f, now, test, of);
}

/* If the scheduler takes the top of the heap, whoever the client is. This switch and the one in
 * pick_server_if() have no default: a scheduler that is forgotten there doesn't compile. */
static bool goes_by_turn(const struct sched *sched, unsigned farm)
{
	switch (sched->rules->farms[farm].scheduler) {
	case SCHED_WLC:
	case SCHED_LC:
	case SCHED_WRR:
	case SCHED_RR:
		return true;
	case SCHED_SOURCE:
	case SCHED_HASH:
	case SCHED_FASTEST:
	case RULES_NSCHEDULERS:
		break;
	}
	return false;
}

uint16_t pick_server(struct sched *sched, unsigned farm, be32 client, be16 port, lb_time now)
{
	if (goes_by_turn(sched, farm))
		return first(sched, farm, now);
	return pick_server_if(sched, farm, client, port, now, passes_all, NULL);
}

uint16_t pick_foresee(const struct sched *sched, unsigned farm)
{
	if (!goes_by_turn(sched, farm) || !sched->farms[farm].is_made || !sched->farms[farm].n)
		return SERVER_NONE;
	return sched->heap[sched->rules->farms[farm].server];
}

uint16_t pick_server_if(struct sched *sched, unsigned farm, be32 client, be16 port, lb_time now,
                        pick_test *test, const void *of)
{
	switch (sched->rules->farms[farm].scheduler) {
	case SCHED_SOURCE:
		return by_hash(sched, farm, (struct asker){.client = client}, test, of);
	case SCHED_HASH:
		return by_hash(sched, farm, (struct asker){client, port}, test, of);
	case SCHED_FASTEST:
		return fastest(sched, farm, now, test, of);
	case SCHED_WLC:
	case SCHED_LC:
	case SCHED_WRR:
	case SCHED_RR:
	case RULES_NSCHEDULERS:
		break;
	}
	return first_if(sched, farm, now, test, of);
}
