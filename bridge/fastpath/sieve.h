/*
 * Which filters can match a frame at all: few fields are looked up instead of asking each filter.
 *
 * Of each kind of cut (cuts.h) there is a step, which has each field that filters have something to
 * say about, with the filters that each number of it leaves. What passes all steps is asked.
 */
#ifndef BRIDGE_SIEVE_H
#define BRIDGE_SIEVE_H

#include "cuts.h"
#include "expression.h"

enum {
	SIEVE_FIELDS = 16, /* of a step, at most: filters that need more pass it in any case */
	SIEVE_CUTS = 3200, /* of a field, likewise: the kernel's jumps don't reach farther */
};

/* Of a field: from[i] is the first number of the i-th interval, from[0] is 0; filters[i] are those
 * that it leaves, by bit. */
struct sieve_field {
	struct field field;
	uint32_t n;
	uint32_t *from;
	uint64_t *filters;
};

struct sieve_step {
	uint64_t always; /* those that pass whatever there is */
	uint32_t n;
	struct sieve_field fields[SIEVE_FIELDS];
};

struct sieve {
	uint64_t asked; /* all of its filters */
	uint32_t n;
	struct sieve_step steps[CUTS_KINDS];
};

/* Of those of the expressions whose bits are in asked (64 at most). Returns 0; or -ENOMEM, and
 * *ret is NULL. */
int sieve_new(const struct expression *expressions, uint64_t asked, struct sieve **ret);
void sieve_free(struct sieve *sieve); /* it may be NULL */

/* Those that may match the frame of which len bytes are there. All others don't. */
uint64_t sieve_pass(const struct sieve *sieve, const uint8_t *data, uint32_t len);

/* Those that pass all steps whatever there is. */
uint64_t sieve_always(const struct sieve *sieve);

#endif
