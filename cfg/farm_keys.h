/*
 * The keys of [farm NAME].
 */
#ifndef CFG_FARM_KEYS_H
#define CFG_FARM_KEYS_H

#include "keys.h"

/* The last one's name is NULL. */
extern const struct key farm_keys[];

#endif
