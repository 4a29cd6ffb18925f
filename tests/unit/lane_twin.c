/* The headers' inline functions pause before each access, in this file only. */
static void pause_twin(void);
#define BOTH_STEP() pause_twin()

#include "lane_twin.h"

#include "../../lb/lane.h"

#include <stdlib.h>

enum { BUCKETS_MAX = 4 };

static _Thread_local struct twin *running; /* in pieces */

static void pause_twin(void)
{
	if (running)
		swapcontext(&running->own, &running->other);
}

static bool find_in(const struct flows *flows, const struct bucket *bucket,
                    const struct tuple *tuple, uint8_t tag, struct lane *ret, uint32_t *ret_ref)
{
	for (uint32_t matches = lane_match(bucket, tag); matches; matches &= matches - 1) {
		*ret_ref = lane_ref(bucket, (unsigned)__builtin_ctz(matches));
		if (flow_of(*ret_ref) < flows->places &&
		    lane_look(flows_at(flows, flow_of(*ret_ref)), end_of(*ret_ref), tuple, ret))
			return true;
	}
	return false;
}

static bool find(const struct flows *flows, const struct tuple *tuple, struct lane *ret,
                 uint32_t *ret_ref)
{
	const uint64_t hash = flows_hash(flows, tuple, false);
	uint32_t b = index_home(flows->index.nbuckets, hash);

	for (unsigned n = 0; n < BUCKETS_MAX; n++) {
		const struct bucket *bucket = &flows->index.buckets[b];

		if (find_in(flows, bucket, tuple, index_tag(hash), ret, ret_ref))
			return true;
		if (!lane_passed(bucket))
			return false;
		b = b + 1 == flows->index.nbuckets ? 0 : b + 1;
	}
	return false;
}

/* Where the flow's client is. */
static bool find_hop(const struct flows *flows, uint32_t f, struct hop *ret)
{
	const uint16_t place = lane_hop(flows_at(flows, f));

	*ret = place == HOPS_OWN ? hop_load(&flows->spare[f])
	                         : hop_load(&flows->hops.places[place]);
	return place != HOPS_NOWHERE && ret->ntags <= FRAME_TAGS_MAX;
}

/* As lane_note() does it, or for one with FIN the rest as well. */
static bool note(const struct flows *flows, uint32_t ref, const struct packet *packet,
                 uint32_t tick)
{
	const uint32_t f = flow_of(ref);
	uint64_t *word = &flows->notes[notes_at(f)];
	uint8_t how;

	if (!(packet->tcp_flags & TCP_FIN))
		return lane_note(flows_at(flows, f), end_of(ref), packet, tick);
	if (!lane_note_last(flows_at(flows, f), end_of(ref), packet, tick, notes_of(word, f), &how))
		return false;
	if (how)
		notes_put(flows->head, word, &flows->notes[notes_group_at(flows->places, f)], f,
		          how);
	return true;
}

bool twin_run(const struct flows *flows, const struct twin_segment *segment, uint32_t tick,
              struct twin_way *ret)
{
	const struct packet packet = {.tcp_flags = segment->is_last ? TCP_ACK | TCP_FIN : TCP_ACK,
	                              .seq = segment->seq,
	                              .ack = segment->ack,
	                              .seq_len = segment->len + segment->is_last,
	                              .window = segment->window};
	struct lane lane;
	uint32_t ref;

	if (!find(flows, &segment->tuple, &lane, &ref) ||
	    !find_hop(flows, flow_of(ref), &ret->client) || !note(flows, ref, &packet, tick))
		return false;
	ret->to = lane.to;
	lane_count(&flows->cold[flow_of(ref)], end_of(ref), 1, segment->len + 54);
	return true;
}

/* makecontext() passes ints only. */
static void run(unsigned high, unsigned low)
{
	struct twin *twin = (struct twin *)((uintptr_t)high << 32 | low);

	twin->forwarded = twin_run(twin->flows, &twin->segment, twin->tick, &twin->way);
	twin->done = true;
}

void twin_begin(struct twin *twin, const struct flows *flows, const struct twin_segment *segment,
                uint32_t tick)
{
	twin->flows = flows;
	twin->segment = *segment;
	twin->tick = tick;
	twin->done = twin->forwarded = false;
	if (getcontext(&twin->own) < 0)
		abort();
	twin->own.uc_stack.ss_sp = twin->stack;
	twin->own.uc_stack.ss_size = sizeof(twin->stack);
	twin->own.uc_link = &twin->other;
	makecontext(&twin->own, (void (*)(void))run, 2, (unsigned)((uintptr_t)twin >> 32),
	            (unsigned)(uintptr_t)twin);
}

bool twin_go_on(struct twin *twin)
{
	if (twin->done)
		return false;
	running = twin;
	if (swapcontext(&twin->other, &twin->own) < 0)
		abort();
	running = NULL;
	return !twin->done;
}
