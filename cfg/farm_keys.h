/*
 * The keys of [farm NAME].
 */
#ifndef CFG_FARM_KEYS_H
#define CFG_FARM_KEYS_H

#include "key.h"

/* The last one's name is NULL. */
extern const struct key farm_keys[];

/*
 * The farm of that name, in any case as a file's names are lower-cased but not its values; or NULL.
 */
struct rules_farm *farm_find(const struct rules *rules, const char *name);

#endif
