/*
 * A check's conversation with a server that says anything, at any time: each ends once, says no
 * more than it may, gives its room back, and is good only if what the server has said, byte by byte
 * and in order, is what was expected.
 *
 * Of the input the first bytes make a script and what the server has to say; the rest are events: a
 * part of that, right or at wrong numbers, a RST, an ICMP error, or time.
 */
#include "ensure.h"

#include "../../bridge/worker/answer.h"
#include "../../bridge/worker/chat.h"
#include "../../lb/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ISN = 0xffffff00, PEER = 0x7fffff00, STREAM = 4096, ROOMS = 1, TIMEOUT_MS = 2000 };

/* What is left of the input; zeros behind its end. */
struct input {
	const uint8_t *at, *end;
};

static uint8_t take8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint16_t take16(struct input *in)
{
	uint16_t high = take8(in);

	return (uint16_t)(high << 8 | take8(in));
}

struct world {
	struct script script;
	uint8_t send[8], expect[8], mask[8], stream[STREAM];
	unsigned nstream;
	struct chat chat;
	struct chat_terms terms;
	struct chat_says says;
	uint32_t base; /* the number of the server's first byte */
	lb_time now;
	unsigned ends;
};

static void make(struct world *w, struct input *in)
{
	const uint8_t kind = take8(in);

	w->script = (struct script){.send = w->send,
	                            .expect = w->expect,
	                            .mask = w->mask,
	                            .nsend = take8(in) % 9,
	                            .nexpect = 1 + take8(in) % 8,
	                            .where = kind % 3};
	if (kind & 0x40) {
		w->script.low = take16(in) % 1000;
		w->script.high = (uint16_t)(w->script.low + 1 + take8(in));
	}
	for (unsigned i = 0; i < w->script.nexpect; i++) {
		w->expect[i] = take8(in);
		w->mask[i] = kind & 0x80 ? take8(in) : 0xff;
	}
	w->nstream = take16(in) % STREAM;
	for (unsigned i = 0; i < w->nstream; i++)
		w->stream[i] = i < 64 ? take8(in) : w->stream[i % 61];
	w->terms = (struct chat_terms){.script = kind & 0x20 ? NULL : &w->script,
	                               .timeout_ns = TIMEOUT_MS * LB_NS_PER_MS,
	                               .rooms = chat_rooms_new(ROOMS)};
	ENSURE(w->terms.rooms);
}

/* ---- the twin: slow, and with no state ---- */

static bool fits_at(const struct script *s, const uint8_t *bytes, unsigned n, unsigned at)
{
	uint64_t number = 0;
	unsigned i;

	if (at + s->nexpect > n)
		return false;
	for (i = 0; i < s->nexpect; i++)
		if ((bytes[at + i] & s->mask[i]) != (s->expect[i] & s->mask[i]))
			return false;
	if (!s->high)
		return true;
	at += s->nexpect;
	for (i = at; i < n && i - at < 12 && bytes[i] >= '0' && bytes[i] <= '9'; i++)
		number = number * 10 + (bytes[i] - '0');
	return i > at && i - at <= 5 && number >= s->low && number <= s->high;
}

static bool fits(const struct script *s, const uint8_t *bytes, unsigned n)
{
	if (s->where == SCRIPT_LINE)
		return n > 0;
	for (unsigned at = 0; at < n; at++)
		if (fits_at(s, bytes, n, at))
			return true;
		else if (s->where == SCRIPT_PREFIX)
			return false;
	return false;
}

/* ---- what comes of it ---- */

static void check_says(struct world *w)
{
	ENSURE(w->says.n <= CHAT_SAYS_MAX);
	for (unsigned i = 0; i < w->says.n; i++) {
		const struct chat_segment *s = &w->says.segments[i];

		ENSURE(s->len <= sizeof(w->send));
		ENSURE(!s->len || s->data == w->send);
		if (s->flags & TCP_ACK && w->chat.state != CHAT_OVER)
			ENSURE(s->ack == w->chat.rcv_next);
	}
}

static void check(struct world *w, const struct chat_result *result)
{
	const uint32_t heard = w->chat.rcv_next - w->base;

	check_says(w);
	ENSURE(w->chat.nheard <= 1 << 14);
	ENSURE(w->chat.state != CHAT_OVER || !w->chat.room);
	if (result->end == CHAT_GOES_ON)
		return;
	w->ends++;
	ENSURE(w->ends == 1);
	ENSURE((result->end == CHAT_GOOD) == (result->fault == FAULT_NONE));
	ENSURE(result->nheard <= SCRIPT_ANSWER_MAX);
	if (result->nheard)
		ENSURE(!memcmp(result->heard, w->stream, result->nheard));
	if (result->end == CHAT_GOOD && w->terms.script) {
		ENSURE(heard <= w->nstream + 1u);
		ENSURE(fits(&w->script, w->stream, result->nheard));
	}
	if (result->fault == FAULT_UNEXPECTED)
		ENSURE(result->nheard);
}

static void hear(struct world *w, const struct chat_segment *segment)
{
	const struct chat_segment copy = {.flags = segment->flags,
	                                  .seq = segment->seq,
	                                  .ack = segment->ack,
	                                  .data = segment->len ? malloc(segment->len) : NULL,
	                                  .len = segment->len};
	const bool connects = w->chat.state == CHAT_CONNECTS;
	struct chat_result result;

	if (segment->len) /* so that nobody reads behind it, or later */
		memcpy((void *)(uintptr_t)copy.data, segment->data, segment->len);
	result = chat_take(&w->chat, &w->terms, &copy, w->now, &w->says);
	if (connects && w->chat.state != CHAT_CONNECTS)
		w->base = w->chat.rcv_next;
	check(w, &result);
	free((void *)(uintptr_t)copy.data);
}

/* A part of what the server has to say, with FIN at its end if the input says so. */
static void say_part(struct world *w, struct input *in)
{
	unsigned from = take16(in) % (w->nstream + 1), len = take16(in) % (w->nstream + 1 - from);
	const uint8_t how = take8(in);

	if (how & 1)
		from = w->chat.rcv_next - w->base <= w->nstream ? w->chat.rcv_next - w->base : from;
	if (from + len > w->nstream)
		len = w->nstream - from;
	hear(w, &(struct chat_segment){
	                .flags = (uint8_t)(TCP_ACK |
	                                   (from + len == w->nstream && how & 2 ? TCP_FIN : 0)),
	                .seq = w->base + from,
	                .ack = ISN + 1 + (how >> 2 & 0xf),
	                .data = w->stream + from,
	                .len = len});
}

/* Without data, of any flags and numbers, most of them near what is right. */
static void say_odd(struct world *w, struct input *in)
{
	const uint8_t flags = take8(in);

	hear(w,
	     &(struct chat_segment){.flags = flags & (TCP_SYN | TCP_RST | TCP_ACK),
	                            .seq = (flags & 0x80 ? w->chat.rcv_next : w->base) + take8(in),
	                            .ack = ISN + take8(in)});
}

static void event(struct world *w, struct input *in)
{
	struct chat_result result;

	w->says.n = 0;
	switch (take8(in) % 8) {
	case 0:
		hear(w, &(struct chat_segment){
		                .flags = TCP_SYN | TCP_ACK, .seq = PEER, .ack = ISN + 1});
		break;
	case 1:
		say_odd(w, in);
		break;
	case 2:
		result = chat_unreachable(&w->chat, &w->terms, ISN + (take8(in) & 1));
		check(w, &result);
		break;
	case 3:
		w->now.ns += (uint64_t)take16(in) * 100000;
		result = chat_poll(&w->chat, &w->terms, w->now, &w->says);
		check(w, &result);
		break;
	default:
		say_part(w, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct world w = {.now = {LB_NS_PER_S}, .base = PEER + 1};
	struct chat_result result;

	make(&w, &in);
	chat_begin(&w.chat, ISN, w.now);
	chat_connect(&w.chat, w.now, &w.says);
	while (in.at < in.end)
		event(&w, &in);
	/* and then nothing more: it ends in time, with a result */
	for (unsigned i = 0; w.chat.state != CHAT_OVER; i++) {
		ENSURE(i < 10);
		w.now = chat_due(&w.chat, &w.terms).ns > w.now.ns ? chat_due(&w.chat, &w.terms)
		                                                  : w.now;
		w.says.n = 0;
		result = chat_poll(&w.chat, &w.terms, w.now, &w.says);
		check(&w, &result);
	}
	ENSURE(w.ends == 1);
	chat_rooms_free(w.terms.rooms);
	return 0;
}
