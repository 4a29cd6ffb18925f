/*
 * The keys of [filter NAME].
 */
#ifndef CFG_FILTER_KEYS_H
#define CFG_FILTER_KEYS_H

#include "key.h"

extern const struct key filter_keys[];

#endif
