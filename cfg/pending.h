/*
 * The keys that are accepted, but that nothing acts upon yet.
 */
#ifndef CFG_PENDING_H
#define CFG_PENDING_H

#include "where.h"

/* Notes one warning for each thing in rules that has no effect yet. */
void pending_warn(const struct where *where, struct rules *rules);

#endif
