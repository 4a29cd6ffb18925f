/*
 * Frames that wait are few and small: the first SYN of a server that hasn't been heard of yet. What
 * is larger or too many is dropped, and TCP sends it again.
 */
#include "waiting.h"

#include "../../lb/csum.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

/* Makes a partial checksum a full one: the frame will leave without the port's offload data. */
static void complete_checksum(struct frame *frame)
{
	struct packet packet;
	uint8_t *field;

	if (!(frame->flags & FRAME_CSUM_PARTIAL))
		return;
	parse_frame(frame, &packet);
	if (!parse_ip(frame, &packet) || packet.protocol != IPPROTO_NUM_TCP ||
	    frame->len < (uint32_t)packet.l4 + packet.l4_len || packet.l4_len < TCP_HEADER_BYTES)
		return;
	/* the field holds the pseudo header's sum: adding all up includes it */
	field = frame->data + packet.l4 + TCP_CHECKSUM;
	csum_store(field,
	           (uint16_t)~csum_fold(csum_add(0, frame->data + packet.l4, packet.l4_len)));
	frame->flags &= (uint8_t)~FRAME_CSUM_PARTIAL;
}

bool waiting_put(struct waiting *waiting, uint32_t what, const struct frame *frame)
{
	struct waiting_frame *place = waiting->frames;

	if (waiting->n == WAITING_SLOTS || frame->len > WAITING_BYTES)
		return false;
	while (place->used)
		place++;
	memcpy(place->bytes + FRAME_HEADROOM, frame->data, frame->len);
	place->frame = *frame;
	place->frame.data = place->bytes + FRAME_HEADROOM;
	place->frame.headroom = FRAME_HEADROOM;
	place->frame.port_data = NULL;
	complete_checksum(&place->frame);
	place->what = what;
	place->order = waiting->order++;
	place->used = true;
	place->ready = false;
	waiting->n++;
	return true;
}

void waiting_release(struct waiting *waiting, uint32_t what)
{
	for (unsigned i = 0; waiting->n && i < WAITING_SLOTS; i++)
		waiting->frames[i].ready |= waiting->frames[i].what == what;
}

unsigned waiting_drop(struct waiting *waiting, uint32_t what)
{
	unsigned n = 0;

	for (unsigned i = 0; waiting->n && i < WAITING_SLOTS; i++) {
		if (!waiting->frames[i].used || waiting->frames[i].what != what)
			continue;
		waiting->frames[i].used = false;
		waiting->n--;
		n++;
	}
	return n;
}

bool waiting_next(struct waiting *waiting, struct frame *ret, uint32_t *ret_what)
{
	struct waiting_frame *first = NULL;

	for (unsigned i = 0; waiting->n && i < WAITING_SLOTS; i++) {
		struct waiting_frame *place = &waiting->frames[i];

		if (place->used && place->ready && (!first || place->order < first->order))
			first = place;
	}
	if (!first)
		return false;
	first->used = false;
	waiting->n--;
	*ret = first->frame;
	*ret_what = first->what;
	return true;
}
