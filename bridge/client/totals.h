/*
 * What tables show of a status that isn't in it.
 */
#ifndef BRIDGE_TOTALS_H
#define BRIDGE_TOTALS_H

#include <jansson.h>

/*
 * Adds to each server its `farm` and, once there are rates, `bits_s`: what its flows carry a
 * second, both ways. Adds to each farm `connections`, `nservers`, `nup` and, likewise, `bits_s`.
 */
void totals_add(json_t *status);

#endif
