/*
 * The path of each packet: the steps that every frame goes through.
 *
 * A burst goes through in three steps, so that memory is fetched while other frames are worked on:
 * screen.c reads each frame and settles all that no flow is needed for; the flows of the rest are
 * prefetched; finish() then takes them one by one, in order. So how frames fall into bursts makes
 * no difference, with one exception: fragments that wait for their first one are sent at the end of
 * the burst that brings it. Where in the index a new flow will stand depends on the flows before
 * it; so that place is fetched when the SYN before it has been settled. Most packets take a short
 * way through it all (express.c), which comes to the same; the others are settled by traffic.c,
 * pieces.c or errors.c.
 */
#include "path.h"

#include "admit.h"
#include "errors.h"
#include "express.h"
#include "follow.h"
#include "pieces.h"
#include "traffic.h"
#include "wire.h"

/* The last step. */
static void finish(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                   struct verdict *v)
{
	const struct scene scene = engine_scene(lb);

	switch (job->rest) {
	case REST_PLAIN:
	case REST_PLAIN_IPV6:
		screen_plain(&scene, frame, job, v);
		return traffic_tcp(lb, frame, job, now, v);
	case REST_TCP:
		return traffic_tcp(lb, frame, job, now, v);
	case REST_FRAGMENT:
		return pieces_input(lb, frame, job, now, v);
	case REST_ICMP_ERROR:
		return errors_input(lb, frame, job, v);
	case REST_NONE:
		if (v->heard)
			v->heard = follow_sighting(&lb->balance, &v->sighting, now);
		break;
	}
}

/* If the flow that the frame may belong to is known by its headers alone. */
static bool has_key(const struct job *job)
{
	return job->rest != REST_NONE && job->rest != REST_FRAGMENT;
}

/* The smaller of both links' MTUs. */
static uint32_t smallest(const struct lb *lb)
{
	const uint32_t *mtus = lb->mtus;

	return mtus[0] && (!mtus[1] || mtus[0] < mtus[1]) ? mtus[0] : mtus[1];
}

/* Decides upon a frame where tmbridge is a router: its TTL is spent, and one that is too long for
 * the next link gets an ICMP error. */
__attribute__((noinline)) static void decide_as_router(struct lb *lb, struct frame *frame,
                                                       struct job *job, uint32_t tick, lb_time now,
                                                       struct verdict *v)
{
	const struct rules *rules = engine_rules(lb);
	struct router_original original = {0};
	uint32_t mtu;

	if (job->rest == REST_NONE)
		return finish(lb, frame, job, now, v);
	router_keep(frame, smallest(lb), &original);
	if (!rest_is_plain(job->rest) || router_is_last(frame) ||
	    !express(&lb->balance, frame, job, tick, v))
		finish(lb, frame, job, now, v);
	if (v->act != LB_FORWARD || v->why == WHY_FRAGMENT_HELD)
		return;
	mtu = lb->mtus[way_side(&v->way, rules)];
	if (original.len && mtu && original.len > mtu)
		return router_too_big(rules, &lb->refuse, frame, &original, mtu, now, v);
	router_spend(frame);
}

/* If the job is a SYN that will probably make a flow. */
static bool is_opening(const struct job *job)
{
	return job->rest == REST_TCP && job->guess == FLOW_NONE &&
	       (job->packet.tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/*
 * Fetches the client's address for a plain packet of IPv6: not for a whole burst at once, behind
 * all that was fetched before, but for one while another one some places before it is dealt with,
 * as so much more can be on its way. Inlined early: see flows_prefetch_ip6().
 */
static inline __attribute__((always_inline)) void fetch_client6(const struct lb *lb,
                                                                const struct job *job)
{
	if (job->rest == REST_PLAIN_IPV6)
		flows_prefetch_ip6(&lb->balance.flows, job->guess);
}

/* Fetches what the next of these jobs that is a SYN, from the i-th on, will need in the index.
 * Returns which it is, or n. */
static unsigned foresee(struct lb *lb, struct job *jobs, unsigned i, unsigned n)
{
	while (i < n && !is_opening(&jobs[i]))
		i++;
	if (i == n)
		return n;
	traffic_seek(lb, &jobs[i]);
	if (jobs[i].is_served)
		admit_foresee(&lb->balance, &jobs[i].packet, jobs[i].farm, jobs[i].service);
	return i;
}

__attribute__((noinline)) static void decide_all_as_router(struct lb *lb, struct frame *frames,
                                                           unsigned n, struct job *jobs,
                                                           unsigned next, uint32_t tick,
                                                           lb_time now, struct verdict *ret)
{
	const unsigned n6 = lb->balance.flows.client6 ? n : 0;

	for (unsigned i = 0; i < n; i++) {
		if (i + PATH_AHEAD < n6)
			fetch_client6(lb, &jobs[i + PATH_AHEAD]);
		decide_as_router(lb, &frames[i], &jobs[i], tick, now, &ret[i]);
		lb->whys[ret[i].why]++;
		if (i == next)
			next = foresee(lb, jobs, i + 1, n);
	}
}

/* Fetches into the cache what SYNs and the answers to them will need besides, as far as that is
 * known yet. Returns the index of the first SYN, or n. */
__attribute__((noinline)) static unsigned begin_long(struct lb *lb, struct job *jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (jobs[i].rest == REST_TCP && jobs[i].guess != FLOW_NONE)
			flows_fetch_answer(&lb->balance.flows, flow_of(jobs[i].guess));
	return foresee(lb, jobs, 0, n);
}

/*
 * The same for plain frames that open or end a connection: those whose flows aren't open. It is
 * called only if there is one, as there are mostly several then, and so a burst without any pays
 * nothing.
 */
__attribute__((noinline)) static void begin_turning(const struct lb *lb, const struct job *jobs,
                                                    unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (rest_is_plain(jobs[i].rest) && jobs[i].guess != FLOW_NONE)
			flows_fetch_turn(&lb->balance.flows, flow_of(jobs[i].guess));
}

void path_input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret)
{
	const struct scene scene = engine_scene(lb);
	const uint32_t tick = balance_tick(&lb->balance, now);
	const unsigned n6 = lb->balance.flows.client6 ? n : 0; /* frames that may be of IPv6 */
	struct job jobs[PATH_BURST];
	bool any_long = false;    /* TCP that isn't plain, as SYNs are */
	bool any_turning = false; /* plain frames that can't go the short way */
	unsigned next;            /* index of the next SYN */
	unsigned hits = 0;        /* frames that went the short way */

	for (unsigned i = 0; i < n; i++) {
		jobs[i].rest = screen_frame(&scene, &frames[i], &jobs[i], &ret[i]);
		any_long |= jobs[i].rest == REST_TCP;
		if (rest_is_plain(jobs[i].rest))
			jobs[i].hash = flows_hash_read(&lb->balance.flows, &jobs[i].key.tuple);
		else if (has_key(&jobs[i]))
			jobs[i].hash = flows_hash_key(&lb->balance.flows, &jobs[i].key);
	}
	for (unsigned i = 0; i < n; i++)
		if (has_key(&jobs[i]))
			index_prefetch(&lb->balance.flows.index, jobs[i].hash);
	for (unsigned i = 0; i < n; i++)
		if (rest_is_plain(jobs[i].rest) || jobs[i].rest == REST_TCP)
			jobs[i].guess = flows_guess(&lb->balance.flows, jobs[i].hash);
	for (unsigned i = 0; i < n6 && i < PATH_AHEAD; i++)
		fetch_client6(lb, &jobs[i]);
	next = any_long ? begin_long(lb, jobs, n) : n;
	if (__builtin_expect(scene.has_stack, 0))
		return decide_all_as_router(lb, frames, n, jobs, next, tick, now, ret);
	for (unsigned i = 0; i < n; i++) {
		if (i + PATH_AHEAD < n6)
			fetch_client6(lb, &jobs[i + PATH_AHEAD]);
		if (rest_is_plain(jobs[i].rest) &&
		    express(&lb->balance, &frames[i], &jobs[i], tick, &ret[i])) {
			hits++;
			continue;
		}
		if (rest_is_plain(jobs[i].rest) && !any_turning) {
			begin_turning(lb, &jobs[i], n - i);
			any_turning = true;
		}
		finish(lb, &frames[i], &jobs[i], now, &ret[i]);
		lb->whys[ret[i].why]++;
		if (i == next)
			next = foresee(lb, jobs, i + 1, n);
	}
	lb->whys[WHY_FLOW_HIT] += hits;
}
