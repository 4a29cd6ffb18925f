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

static bool has_checks(const struct target *target)
{
	return target->farm->nchecks > 0;
}

static bool scheduler_not_wlc(const struct target *target)
{
	return target->farm->scheduler != SCHED_WLC;
}

static bool persists(const struct target *target)
{
	return target->farm->persist_ms > 0;
}

/* For a key whose default has no effect either: it is said only to whom wrote the key. */
static bool always(const struct target *target)
{
	(void)target;
	return true;
}

static bool snat_off(const struct target *target)
{
	return target->farm->nsnat == 0;
}

static bool state_standby(const struct target *target)
{
	return target->server->state == STATE_STANDBY;
}

static bool state_disabled(const struct target *target)
{
	return target->server->state == STATE_DISABLED;
}

static bool limits_connections(const struct target *target)
{
	return target->server->max_connections > 0;
}

/* A row counts when its key, or else its alt, is in the file and applies() says so. */
static const struct {
	enum section section;
	const char *key, *alt;
	bool (*applies)(const struct target *target);
} pending[] = {
        {SECTION_BRIDGE, "workers", NULL, workers_not_one},
        {SECTION_FARM, "check", "preset", has_checks},
        {SECTION_FARM, "scheduler", NULL, scheduler_not_wlc},
        {SECTION_FARM, "persist", NULL, persists},
        {SECTION_FARM, "on_idle", NULL, always},
        {SECTION_FARM, "on_down", NULL, always},
        {SECTION_FARM, "snat", NULL, snat_off},
        {SECTION_FARM, "connlog", NULL, always},
        {SECTION_SERVER, "state", NULL, state_standby},
        {SECTION_SERVER, "state", NULL, state_disabled},
        {SECTION_SERVER, "max_connections", NULL, limits_connections},
};

static void warn_row(const struct where *where, const struct where_section *section,
                     const char *key, const char *alt)
{
	if (where_has(section, key))
		where_warning(where, section, key, "accepted, but has no effect yet");
	else if (alt && where_has(section, alt))
		where_warning(where, section, alt, "its %s is accepted, but has no effect yet",
		              key);
}

static void warn_section(const struct where *where, const struct where_section *section,
                         const struct target *target)
{
	for (unsigned i = 0; i < sizeof(pending) / sizeof(pending[0]); i++)
		if (pending[i].section == section->section && pending[i].applies(target))
			warn_row(where, section, pending[i].key, pending[i].alt);
}

void pending_warn(const struct where *where, struct rules *rules)
{
	for (unsigned i = 0; i < where->n; i++) {
		const struct where_section *section = &where->sections[i];
		struct target target = keys_target(rules, section->section, where_name(section));

		warn_section(where, section, &target);
	}
}
