/*
 * The keys of [server NAME].
 */
#ifndef CFG_SERVER_KEYS_H
#define CFG_SERVER_KEYS_H

#include "key.h"

/* The last one's name is NULL. */
extern const struct key server_keys[];

#endif
