/*
 * Who is due: a scan over the ticks at which flows are to be looked at.
 */
#ifndef LB_DUE_H
#define LB_DUE_H

#include <stdint.h>

/* The first in [*cursor, limit) whose check_at is now or earlier, or limit; *cursor moves behind
 * it, or to limit. */
uint32_t due_next(const uint32_t *check_at, uint32_t *cursor, uint32_t limit, uint32_t now);

#endif
