/*
 * Which scripts are the same.
 */
#include "script.h"

#include <string.h>

static bool bytes_eq(const uint8_t *a, const uint8_t *b, unsigned n)
{
	return n == 0 || memcmp(a, b, n) == 0;
}

bool script_eq(const struct script *a, const struct script *b)
{
	if (!a || !b)
		return a == b;
	return a->nsend == b->nsend && a->nexpect == b->nexpect && a->low == b->low &&
	       a->high == b->high && a->where == b->where && bytes_eq(a->send, b->send, a->nsend) &&
	       bytes_eq(a->expect, b->expect, a->nexpect) && bytes_eq(a->mask, b->mask, a->nexpect);
}
