/*
 * What a reload has changed, for the log.
 *
 * The lines are put together while both rules are there, and logged when the new ones are in force,
 * as a reload may fail up to then. There are 50 of them at most, so that a file that is new as a
 * whole doesn't fill the log.
 */
#include "changed.h"

#include "process/log.h"
#include "../cfg/changes.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHANGED_MAX = 50, CHANGED_BYTES = 600 };

struct changed {
	unsigned n;
	char lines[CHANGED_MAX][CHANGED_BYTES];
};

static void add(void *ctx, const char *text)
{
	struct changed *changed = ctx;

	if (changed->n < CHANGED_MAX)
		snprintf(changed->lines[changed->n], CHANGED_BYTES, "%s", text);
	changed->n++;
}

struct changed *changed_of(const struct rules *old, const struct rules *rules)
{
	struct changed *changed = calloc(1, sizeof(*changed));

	if (changed)
		changes(old, rules, add, changed);
	return changed;
}

void changed_say(const struct changed *changed, const char *file, const char *how)
{
	struct details details = {.n = 0};

	if (changed)
		details_number(&details, "changes", changed->n);
	log_with(LOG_INFO, &details, "%s: %s%s", file, how,
	         changed && !changed->n ? ": no key has changed" : "");
	for (unsigned i = 0; changed && i < changed->n && i < CHANGED_MAX; i++)
		log_info("%s: %s", file, changed->lines[i]);
	if (changed && changed->n > CHANGED_MAX)
		log_info("%s: and %u more changes", file, changed->n - CHANGED_MAX);
}

void changed_free(struct changed *changed)
{
	free(changed);
}
