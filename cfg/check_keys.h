/*
 * The keys of [check NAME].
 */
#ifndef CFG_CHECK_KEYS_H
#define CFG_CHECK_KEYS_H

#include "key.h"

extern const struct key check_keys[];

#endif
