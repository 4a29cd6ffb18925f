/*
 * What the keys and sections of lb.ini say about each other.
 */
#ifndef CFG_CROSSCHECK_H
#define CFG_CROSSCHECK_H

#include "where.h"

/*
 * Checks rules whose keys are set, defaults are filled in and servers stand by farm, against each
 * other: notes each mistake that isn't another one's consequence, and may note warnings. Returns 0
 * however many there are, or -ENOMEM.
 */
int crosscheck(const struct where *where, const struct rules *rules);

#endif
