/*
 * What must hold of a frame for a filter's expression to match it: for each way through the
 * expression to a match, one value that a field of the frame must have on it.
 */
#ifndef BRIDGE_CUTS_H
#define BRIDGE_CUTS_H

#include <stdbool.h>
#include <stdint.h>

struct sock_filter;

/* A part of a frame that an expression loads. Offsets are bytes, and such that the whole is within
 * the image of the frame (struct filter_image). */
struct field {
	uint8_t bytes;  /* 1, 2 or 4, in network order */
	bool is_behind; /* offset begins behind the IPv4 header */
	uint8_t header; /* that begins here, as its own first byte says; else 0 */
	uint16_t offset;
};

static inline bool field_is(const struct field *a, const struct field *b)
{
	return a->bytes == b->bytes && a->is_behind == b->is_behind && a->header == b->header &&
	       a->offset == b->offset;
}

/* The field is there, and its number is one of these. */
struct cut {
	struct field field;
	uint32_t low, high;
};

/*
 * Where each way to a match is cut: at the last comparison with something rare (an address, a
 * port), at the first such one, at the first one with something rare or a protocol, or at the first
 * one with any of these or an EtherType.
 */
enum cuts_kind { CUTS_LAST, CUTS_FIRST, CUTS_PROTOCOL, CUTS_TYPE, CUTS_KINDS };

/* One of these cuts must hold for the expression to match; NULL: nothing is known. */
struct cuts {
	struct cut *cuts[CUTS_KINDS];
	uint32_t n[CUTS_KINDS];
};

/* Returns 0, or -ENOMEM. A cut that another one has as well is left out. */
int cuts_find(const struct sock_filter *expression, uint32_t n, struct cuts *ret);
void cuts_free(struct cuts *cuts);

#endif
