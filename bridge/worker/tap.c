/*
 * A frame is rewritten in its place, so what came is copied before, and looked at when it is known
 * what has become of it. Records go through a ring that the worker fills and another thread
 * empties: when it is full they are lost, and counted.
 */
#include "tap.h"

#include "../../lb/rules.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct came {
	uint32_t len, kept;
	uint8_t side;
	uint8_t bytes[TAP_BYTES];
};

struct tap {
	struct tap_wish wish;
	struct came came[PORT_BURST];
	_Alignas(64) atomic_uint head; /* records taken */
	_Alignas(64) atomic_uint tail; /* and put */
	atomic_ullong lost;
	_Atomic uint64_t passed; /* ns: of tap_passed() */
	lb_time last;            /* of the newest record, */
	uint8_t side;            /* and by which side the newest frame came */
	struct tap_record records[TAP_RECORDS];
};

struct tap *tap_new(const struct tap_wish *wish)
{
	struct tap *tap = aligned_alloc(64, (sizeof(*tap) + 63) / 64 * 64);

	if (!tap)
		return NULL;
	memset(tap, 0, offsetof(struct tap, records));
	tap->wish = *wish;
	return tap;
}

void tap_free(struct tap *tap)
{
	free(tap);
}

void tap_passed(struct tap *tap, lb_time now)
{
	atomic_store_explicit(&tap->passed, now.ns, memory_order_release);
}

static uint32_t kept_of(uint32_t len)
{
	return len < TAP_BYTES ? len : TAP_BYTES;
}

void tap_before(struct tap *tap, const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n && i < PORT_BURST; i++) {
		struct came *came = &tap->came[i];

		came->len = frames[i].len;
		came->kept = kept_of(frames[i].len);
		came->side = frames[i].side;
		memcpy(came->bytes, frames[i].data, came->kept);
	}
}

static bool passes(const struct tap *tap, const uint8_t *bytes, uint32_t len, uint32_t kept)
{
	return !tap->wish.filter || bpf_filter(tap->wish.filter, bytes, len, kept);
}

static void put(struct tap *tap, const struct tap_record *head, const uint8_t *bytes)
{
	const unsigned tail = atomic_load_explicit(&tap->tail, memory_order_relaxed);
	struct tap_record *record = &tap->records[tail % TAP_RECORDS];

	if (tail - atomic_load_explicit(&tap->head, memory_order_acquire) == TAP_RECORDS) {
		atomic_fetch_add(&tap->lost, 1);
		return;
	}
	memcpy(record, head, offsetof(struct tap_record, bytes));
	memcpy(record->bytes, bytes, head->kept);
	atomic_store_explicit(&tap->tail, tail + 1, memory_order_release);
}

static bool is_meant(const struct tap_wish *wish, const struct verdict *v)
{
	if (wish->why >= 0)
		return v->why == wish->why;
	/* a frame that is handed over is seen by the other worker's tap */
	if (wish->dropped)
		return v->act == LB_DROP && !lb_why_is_arrival((enum lb_why)v->why);
	return v->act != LB_HAND_OVER;
}

/* The time of a record. Frames that another worker has handed over may come from both sides in one
 * burst, of one time: they are told apart by a nanosecond, as of those of one time a replay takes
 * the outside's first (offline.c). */
static lb_time time_of(struct tap *tap, unsigned side, lb_time now)
{
	if (now.ns <= tap->last.ns)
		now.ns = tap->last.ns + (side != tap->side);
	tap->side = (uint8_t)side;
	return tap->last = now;
}

void tap_after(struct tap *tap, unsigned i, const struct frame *frame, const struct verdict *v,
               uint16_t server, int sent, lb_time now)
{
	const struct came *came = &tap->came[i];
	struct tap_record record = {.len = came->len,
	                            .kept = came->kept,
	                            .side = came->side,
	                            .why = v->why,
	                            .server = server,
	                            .flow = UINT32_MAX};
	bool in, out;

	if (i >= PORT_BURST || !is_meant(&tap->wish, v))
		return;
	if (v->act == LB_FORWARD)
		record.flow = v->flow;
	in = passes(tap, came->bytes, came->len, came->kept);
	out = sent >= 0 && passes(tap, frame->data, frame->len, kept_of(frame->len));
	if (in || out)
		record.time = time_of(tap, came->side, now);
	if (in || (out && tap->wish.both))
		put(tap, &record, came->bytes);
	if (sent < 0 || !(out || (in && tap->wish.both)))
		return;
	record.out = true;
	record.side = (uint8_t)sent;
	record.len = frame->len;
	record.kept = kept_of(frame->len);
	put(tap, &record, frame->data);
}

void tap_sent(struct tap *tap, const struct frame *frame, unsigned side, const char *what,
              lb_time now)
{
	const struct tap_record record = {.time = now.ns > tap->last.ns ? now : tap->last,
	                                  .len = frame->len,
	                                  .kept = kept_of(frame->len),
	                                  .side = (uint8_t)side,
	                                  .out = true,
	                                  .what = what,
	                                  .server = SERVER_NONE,
	                                  .flow = UINT32_MAX};

	if (tap->wish.why < 0 && !tap->wish.dropped &&
	    passes(tap, frame->data, frame->len, record.kept))
		put(tap, &record, frame->data);
}

bool tap_take(struct tap *tap, struct tap_record *ret)
{
	const unsigned head = atomic_load_explicit(&tap->head, memory_order_relaxed);
	const struct tap_record *record = &tap->records[head % TAP_RECORDS];

	if (head == atomic_load_explicit(&tap->tail, memory_order_acquire))
		return false;
	memcpy(ret, record, offsetof(struct tap_record, bytes) + record->kept);
	atomic_store_explicit(&tap->head, head + 1, memory_order_release);
	return true;
}

lb_time tap_next(const struct tap *tap, bool *ret_any)
{
	/* read first: then every record that was put before it was set is seen */
	const uint64_t passed = atomic_load_explicit(&tap->passed, memory_order_acquire);
	const unsigned head = atomic_load_explicit(&tap->head, memory_order_relaxed);

	*ret_any = head != atomic_load_explicit(&tap->tail, memory_order_acquire);
	return *ret_any ? tap->records[head % TAP_RECORDS].time : (lb_time){passed};
}

uint64_t tap_lost(const struct tap *tap)
{
	return atomic_load(&tap->lost);
}
