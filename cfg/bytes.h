/*
 * Bytes in lb.ini: text, with escapes for what isn't.
 */
#ifndef CFG_BYTES_H
#define CFG_BYTES_H

#include "show.h"

/* Bytes that are put together, up to a limit; mask only if it is a pattern. */
struct bytes {
	uint8_t *at, *mask; /* the caller's, of max bytes each; mask may be NULL */
	unsigned n, max;
};

/*
 * Adds what text stands for: itself, but for the escapes
 *
 *     \r \n \t \\   as in C
 *     \xHH          a byte
 *     \{HH HH...}   many
 *     \?            of a pattern: any byte
 *     \mHHMM        of a pattern: a byte that is HH in the bits of MM
 *
 * Returns 0, or -EINVAL with value->why filled in, if it is wrong or too long.
 */
int bytes_read(struct value *value, const char *text, struct bytes *ret);

/* Adds n bytes, or a pattern (mask isn't NULL), so that it needs no quotes and reads back. */
void show_bytes(struct shown *shown, const uint8_t *bytes, const uint8_t *mask, unsigned n);

#endif
