/*
 * What a reload has changed, for the log.
 */
#ifndef BRIDGE_CHANGED_H
#define BRIDGE_CHANGED_H

#include "../lb/rules.h"

/* Lines to be said once the reload has taken place, when the old rules are gone. */
struct changed;

/* Compares; NULL if memory runs out, which changed_say() takes as well. rules are as cfg_load()
 * made them. */
struct changed *changed_of(const struct rules *old, const struct rules *rules);

/* Logs "file: reloaded" and the changes, a line each, the first 50 of them. */
void changed_say(const struct changed *changed, const char *file, const char *how);

void changed_free(struct changed *changed);

#endif
