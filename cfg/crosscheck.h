/*
 * What the keys and sections of lb.ini say about each other.
 */
#ifndef CFG_CROSSCHECK_H
#define CFG_CROSSCHECK_H

#include "where.h"

/*
 * Checks rules whose keys are set, defaults are filled in and servers stand by farm, against each
 * other. Returns 0; or notes the error and returns a negative errno. May note warnings.
 */
int crosscheck(const struct where *where, const struct rules *rules);

#endif
