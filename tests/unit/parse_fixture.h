/*
 * What the tests of reading begin with: a frame that is read with nothing behind its end.
 */
#ifndef UNIT_PARSE_FIXTURE_H
#define UNIT_PARSE_FIXTURE_H

#include "frames.h"

#include "../../lb/parse.h"

#include <stdlib.h>

static inline struct spec tcp_spec(void)
{
	return (struct spec){
	        .dst = mac_of(1),
	        .src = mac_of(9),
	        .side = INSIDE,
	        .from = ip4(10, 9, 0, 1),
	        .to = ip4(10, 0, 0, 40),
	        .sport = 50000,
	        .dport = 5061,
	        .seq = 0x80000001,
	        .ack = 0xfffffff0,
	        .flags = 0x10,
	        .payload = 33,
	};
}

/* Parses a copy that ends with its memory, so that reading on is seen. */
static inline bool parse_copy(const struct built *built, struct packet *ret,
                              bool (*parse)(const struct frame *frame, struct packet *ret))
{
	struct frame frame = built->frame;
	uint8_t *bytes = malloc(frame.len ? frame.len : 1);
	bool ok;

	memcpy(bytes, frame.data, frame.len);
	frame.data = bytes;
	memset(ret, 0xa5, sizeof(*ret));
	ok = parse(&frame, ret);
	free(bytes);
	return ok;
}

static inline bool parse_in_steps(const struct frame *frame, struct packet *ret)
{
	parse_frame(frame, ret);
	if (ret->kind != PACKET_IPV4 || !parse_ip(frame, ret))
		return false;
	parse_l4_checksum_ok(frame, ret);
	return ret->protocol == 6 && parse_tcp(frame, ret);
}

static inline bool parse_all(const struct built *built, struct packet *ret)
{
	return parse_copy(built, ret, parse_in_steps);
}

#endif
