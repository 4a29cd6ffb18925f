/*
 * Sixteen at a time, as most are not due.
 */
#include "due.h"

#include <stdbool.h>

enum { SCAN = 16 };

static bool any_due(const uint32_t check_at[SCAN], uint32_t now)
{
	uint32_t due = 0;

	for (unsigned i = 0; i < SCAN; i++)
		due |= check_at[i] <= now;
	return due;
}

uint32_t due_next(const uint32_t *check_at, uint32_t *cursor, uint32_t limit, uint32_t now)
{
	uint32_t i = *cursor;

	while (i < limit && check_at[i] > now)
		i += limit - i >= SCAN && !any_due(&check_at[i], now) ? SCAN : 1;
	*cursor = i < limit ? i + 1 : limit;
	return i < limit ? i : limit;
}
