/*
 * Frames before and after.
 *
 * A checksum's error is what its sum is away from 0, modulo 65535, over all bytes that the frame
 * has of what is summed: so it is known of cut frames and first fragments as well.
 */
#include "witness.h"

#include "packets.h"

#include <string.h>

enum { NUM_TCP = 6, NUM_ICMP = 1, NUM_ICMPV6 = 58, FIELDS_MAX = 12 };
enum { TCP_CHECKSUM_AT = 16, TCP_CHECKSUM_END = 18 };

/* Bytes that may change. */
struct fields {
	struct {
		uint32_t at, len;
	} field[FIELDS_MAX];
	unsigned n;
};

/* Of the IP header, of layer 4, and the same of what an ICMP error quotes. */
struct errors {
	uint32_t ip, l4, quoted_ip, quoted_l4;
};

static void add(struct fields *fields, uint32_t at, uint32_t len)
{
	fields->field[fields->n].at = at;
	fields->field[fields->n++].len = len;
}

static void add_addresses(struct fields *fields, const struct parts *parts)
{
	add(fields, parts->l3 + (parts->ipv6 ? 8 : 12), parts->ipv6 ? 32 : 8);
	if (!parts->ipv6)
		add(fields, parts->l3 + 10, 2);
}

/* A fragment gets another identification. */
static void add_identification(struct fields *fields, const uint8_t *p, const struct parts *parts)
{
	uint32_t at = parts->l3 + 40;
	uint8_t next = p[parts->l3 + 6];

	if (!parts->ipv6) {
		if ((p[parts->l3 + 6] & 0x3f) || p[parts->l3 + 7])
			add(fields, parts->l3 + 4, 2);
		return;
	}
	while ((next == 0 || next == 43 || next == 60) && at + 8 <= parts->l4) {
		next = p[at];
		at += 8 + p[at + 1] * 8u;
	}
	if (next == 44 && at + 8 <= parts->l4 && ((p[at + 2] << 8 | p[at + 3]) & 0xfff9))
		add(fields, at + 4, 4);
}

static void add_tcp(struct fields *fields, const struct parts *parts)
{
	add(fields, parts->l4, 4);
	if (parts->end - parts->l4 >= TCP_CHECKSUM_END)
		add(fields, parts->l4 + TCP_CHECKSUM_AT, 2);
}

static struct fields fields_of(const uint8_t *p, const struct parts *parts)
{
	struct fields ret = {.n = 0};
	struct parts quoted;

	add_addresses(&ret, parts);
	add_identification(&ret, p, parts);
	if (parts->later)
		return ret;
	if (parts->protocol == NUM_TCP)
		add_tcp(&ret, parts);
	if (!packets_quoted(p, parts, &quoted))
		return ret;
	add(&ret, parts->l4 + 2, 2);
	add_addresses(&ret, &quoted);
	add_tcp(&ret, &quoted);
	return ret;
}

static uint32_t sum_addresses(const uint8_t *p, const struct parts *parts)
{
	return packets_sum(p + parts->l3 + (parts->ipv6 ? 8 : 12), parts->ipv6 ? 32 : 8, 0);
}

static uint32_t ip_error(const uint8_t *p, const struct parts *parts)
{
	return parts->ipv6 ? 0 : packets_sum(p + parts->l3, parts->l4 - parts->l3, 0);
}

static uint32_t tcp_error(const uint8_t *p, const struct parts *parts)
{
	if (parts->end - parts->l4 < TCP_CHECKSUM_END)
		return 0;
	return packets_sum(p + parts->l4, parts->end - parts->l4, sum_addresses(p, parts));
}

/* Of a partial sum, which has no ports in it and isn't complemented. */
static uint32_t partial_error(const uint8_t *p, const struct parts *parts)
{
	return (packets_sum(p + parts->l4 + TCP_CHECKSUM_AT, 2, 0) + 65535 -
	        sum_addresses(p, parts)) %
	       65535;
}

static uint32_t l4_error(const uint8_t *p, const struct parts *parts, bool partial)
{
	if (parts->later)
		return 0;
	if (parts->protocol == NUM_TCP)
		return partial ? partial_error(p, parts) : tcp_error(p, parts);
	return packets_sum(p + parts->l4, parts->end - parts->l4,
	                   parts->ipv6 ? sum_addresses(p, parts) : 0);
}

static struct errors errors_of(const uint8_t *p, const struct parts *parts, bool partial)
{
	struct errors ret = {.ip = ip_error(p, parts), .l4 = l4_error(p, parts, partial)};
	struct parts quoted;

	if (parts->later || !packets_quoted(p, parts, &quoted))
		return ret;
	ret.quoted_ip = ip_error(p, &quoted);
	ret.quoted_l4 = tcp_error(p, &quoted);
	return ret;
}

void witness_before(struct witness *witness, const struct frame *frame)
{
	witness->len = frame->len;
	witness->flags = frame->flags;
	memcpy(witness->bytes, frame->data,
	       frame->len < WITNESS_BYTES ? frame->len : WITNESS_BYTES);
}

bool witness_same(const struct witness *witness, const struct frame *frame)
{
	return witness->len == frame->len &&
	       !memcmp(witness->bytes, frame->data,
	               frame->len < WITNESS_BYTES ? frame->len : WITNESS_BYTES);
}

static bool is_same_but(const struct fields *fields, const struct witness *witness,
                        const struct frame *frame)
{
	uint8_t bytes[WITNESS_BYTES];

	memcpy(bytes, witness->bytes, witness->len);
	for (unsigned i = 0; i < fields->n; i++)
		memcpy(bytes + fields->field[i].at, frame->data + fields->field[i].at,
		       fields->field[i].len);
	return !memcmp(bytes, frame->data, witness->len);
}

bool witness_translated(const struct witness *witness, const struct frame *frame)
{
	bool partial = witness->flags & FRAME_CSUM_PARTIAL;
	struct parts parts;
	struct fields fields;
	struct errors before, after;

	if (witness->len != frame->len || witness->len > WITNESS_BYTES ||
	    !packets_parts(witness->bytes, witness->len, &parts))
		return false;
	fields = fields_of(witness->bytes, &parts);
	if (!is_same_but(&fields, witness, frame))
		return false;
	before = errors_of(witness->bytes, &parts, partial);
	after = errors_of(frame->data, &parts, partial);
	return !memcmp(&before, &after, sizeof(before));
}
