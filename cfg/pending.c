/*
 * What lb.ini may ask for, but tmbridge does not do yet: one row for each, in pending[].
 *
 * Whoever makes a key work deletes its row and its function here, and nothing else in cfg/. When
 * the table is empty, this file goes.
 */
#include "pending.h"

static bool workers_not_one(const struct target *target)
{
	return target->rules->workers != 1;
}

/* A row counts when its key is in the file and applies() says so. */
static const struct {
	enum section section;
	const char *key;
	bool (*applies)(const struct target *target);
} pending[] = {
        {SECTION_BRIDGE, "workers", workers_not_one},
};

static void warn_section(const struct where *where, const struct where_section *section,
                         const struct target *target)
{
	for (unsigned i = 0; i < sizeof(pending) / sizeof(pending[0]); i++)
		if (pending[i].section == section->section && pending[i].applies(target) &&
		    where_has(section, pending[i].key))
			where_warning(where, section, pending[i].key,
			              "accepted, but has no effect yet");
}

void pending_warn(const struct where *where, struct rules *rules)
{
	for (unsigned i = 0; i < where->n; i++) {
		const struct where_section *section = &where->sections[i];
		struct target target = keys_target(rules, section->section, where_name(section));

		warn_section(where, section, &target);
	}
}
