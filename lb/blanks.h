/*
 * Blanks: how pools of SNAT ports begin. There are many pools, and few blanks to copy.
 */
#ifndef LB_BLANKS_H
#define LB_BLANKS_H

#include "pool.h"
#include "rules.h"
#include "share.h"

struct blanks {
	struct pool *pools; /* by blank: its free ports */
	uint32_t *rooms;    /* by blank: how many these are */
	uint32_t *of; /* its blank, by SNAT address: those of each farm, one farm after the other */
};

/* How many blanks there are: one for each farm, and for each SNAT address that is a VIP. */
uint32_t blanks_count(const struct rules *rules);

/* Makes the blanks, whose arrays have room for so many, for a worker that hands out only the
 * ports of this share. */
void blanks_make(const struct blanks *blanks, const struct rules *rules, const struct share *share);

#endif
