/*
 * Every key of lb.ini: its name, its bounds, its default, and where it goes in the rules.
 *
 * A key is one row in the table of its section, one function that sets it and one that shows it; a
 * new one needs no line of code anywhere else. A setter sees its own value only. What two keys or
 * two sections say about each other is checked once all are set (crosscheck.c). The keys of a
 * section are set in the table's order, not the file's, after all defaults: so a preset, which
 * stands first, never overrides what is written out.
 */
#include "keys.h"
#include "check_keys.h"
#include "farm_keys.h"
#include "filter_keys.h"
#include "net_keys.h"
#include "server_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char *const no_yes[] = {"no", "yes", NULL};
static const char *const fast_paths[] = {
        [FAST_PATH_AUTO] = "auto", [FAST_PATH_KERNEL] = "kernel", [FAST_PATH_OFF] = "off", NULL};
static const char *const on_exits[] = {[ON_EXIT_KEEP] = "keep", [ON_EXIT_CUT] = "cut", NULL};

/* ---- [bridge] ---- */

static int bridge_outside_mac(struct target *target, struct value *value)
{
	int ret = value_mac(value, &target->rules->outside_mac);

	target->rules->has_outside_mac = ret == 0;
	return ret;
}

static void show_bridge_outside_mac(const struct target *target, struct shown *shown)
{
	if (target->rules->has_outside_mac)
		show_mac(shown, &target->rules->outside_mac);
}

static int bridge_inside_mac(struct target *target, struct value *value)
{
	int ret = value_mac(value, &target->rules->inside_mac);

	target->rules->has_inside_mac = ret == 0;
	return ret;
}

static void show_bridge_inside_mac(const struct target *target, struct shown *shown)
{
	if (target->rules->has_inside_mac)
		show_mac(shown, &target->rules->inside_mac);
}

static int bridge_max_connections(struct target *target, struct value *value)
{
	return value_number(value, 1, RULES_CONNECTIONS_MAX, &target->rules->max_connections);
}

static void show_bridge_max_connections(const struct target *target, struct shown *shown)
{
	show_number(shown, target->rules->max_connections);
}

static int bridge_max_half_open(struct target *target, struct value *value)
{
	return value_number(value, 1, RULES_HALF_OPEN_MAX, &target->rules->max_half_open);
}

static void show_bridge_max_half_open(const struct target *target, struct shown *shown)
{
	show_number(shown, target->rules->max_half_open);
}

static int bridge_workers(struct target *target, struct value *value)
{
	if (value_is(value, "auto")) {
		target->rules->workers = 0;
		return 0;
	}
	if (value_number(value, 1, RULES_WORKERS_MAX, &target->rules->workers) == 0)
		return 0;
	return value_wrong(value, value->text, "is not a number from 1 to %u, nor auto",
	                   RULES_WORKERS_MAX);
}

static void show_bridge_workers(const struct target *target, struct shown *shown)
{
	if (target->rules->workers)
		show_number(shown, target->rules->workers);
	else
		show_text(shown, "auto");
}

static int bridge_rush(struct target *target, struct value *value)
{
	unsigned rush;
	int ret = value_word(value, no_yes, &rush);

	if (ret == 0)
		target->rules->rush = rush;
	return ret;
}

static void show_bridge_rush(const struct target *target, struct shown *shown)
{
	show_text(shown, no_yes[target->rules->rush]);
}

static int bridge_link_mirror(struct target *target, struct value *value)
{
	unsigned link_mirror;
	int ret = value_word(value, no_yes, &link_mirror);

	if (ret == 0)
		target->rules->link_mirror = link_mirror;
	return ret;
}

static void show_bridge_link_mirror(const struct target *target, struct shown *shown)
{
	show_text(shown, no_yes[target->rules->link_mirror]);
}

static int bridge_fast_path(struct target *target, struct value *value)
{
	unsigned fast_path;
	int ret = value_word(value, fast_paths, &fast_path);

	if (ret == 0)
		target->rules->fast_path = (enum rules_fast_path)fast_path;
	return ret;
}

static void show_bridge_fast_path(const struct target *target, struct shown *shown)
{
	show_text(shown, fast_paths[target->rules->fast_path]);
}

static int bridge_on_exit(struct target *target, struct value *value)
{
	unsigned word;
	int ret = value_word(value, on_exits, &word);

	if (ret == 0)
		target->rules->on_exit = (enum rules_on_exit)word;
	return ret;
}

static void show_bridge_on_exit(const struct target *target, struct shown *shown)
{
	show_text(shown, on_exits[target->rules->on_exit]);
}

static const struct key bridge_keys[] = {
        /* name, set, show, default, what to say if it must be there and isn't */
        {"outside_mac", bridge_outside_mac, show_bridge_outside_mac, NULL, NULL},
        {"inside_mac", bridge_inside_mac, show_bridge_inside_mac, NULL, NULL},
        {"max_connections", bridge_max_connections, show_bridge_max_connections, "1000000", NULL},
        {"max_half_open", bridge_max_half_open, show_bridge_max_half_open, "65536", NULL},
        {"workers", bridge_workers, show_bridge_workers, "1", NULL},
        {"rush", bridge_rush, show_bridge_rush, "yes", NULL},
        {"link_mirror", bridge_link_mirror, show_bridge_link_mirror, "no", NULL},
        {"fast_path", bridge_fast_path, show_bridge_fast_path, "auto", NULL},
        {"on_exit", bridge_on_exit, show_bridge_on_exit, "keep", NULL},
        {"mode", bridge_mode, show_bridge_mode, "transparent", NULL},
        {"routing", bridge_routing, show_bridge_routing, "no", NULL},
        {"gateway", bridge_gateway, show_bridge_gateway, NULL, NULL},
        {"outside_address", bridge_outside_address, show_bridge_outside_address, NULL, NULL},
        {"inside_address", bridge_inside_address, show_bridge_inside_address, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

/* ---- all sections ---- */

static_assert(sizeof(bridge_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [bridge]");

static const struct {
	const char *name;
	const struct key *keys;
} sections[] = {
        [SECTION_BRIDGE] = {"bridge", bridge_keys}, [SECTION_FARM] = {"farm", farm_keys},
        [SECTION_SERVER] = {"server", server_keys}, [SECTION_CHECK] = {"check", check_keys},
        [SECTION_FILTER] = {"filter", filter_keys},
};

static_assert(sizeof(sections) / sizeof(sections[0]) == SECTIONS, "a row for each section");

const char *section_name(enum section section)
{
	return sections[section].name;
}

const struct key *section_keys(enum section section)
{
	return sections[section].keys;
}

int section_find_key(enum section section, const char *name)
{
	return key_find(section_keys(section), name);
}

bool keys_elsewhere(const char *name, char *ret, size_t size)
{
	size_t used = 0;

	for (unsigned i = 0; i < SECTIONS && used < size; i++)
		if (section_find_key((enum section)i, name) >= 0)
			used += (size_t)snprintf(ret + used, size - used, " [%s]",
			                         section_name((enum section)i));
	return used;
}

struct target keys_target(struct rules *rules, enum section section, const char *name)
{
	struct target target = {.rules = rules};

	if (section == SECTION_FARM)
		target.farm = farm_find(rules, name);
	for (unsigned i = 0; section == SECTION_SERVER && i < rules->nservers; i++)
		if (strcmp(rules->servers[i].name, name) == 0)
			target.server = &rules->servers[i];
	for (unsigned i = 0; section == SECTION_CHECK && i < rules->nscripts; i++)
		if (rules->scripts[i].is_section && strcmp(rules->scripts[i].text, name) == 0)
			target.script = &rules->scripts[i];
	for (unsigned i = 0; section == SECTION_FILTER && i < rules->nfilters; i++)
		if (strcmp(rules->filters[i].name, name) == 0)
			target.filter = &rules->filters[i];
	return target;
}

int keys_set_defaults(enum section section, struct target *target)
{
	const struct key *keys = section_keys(section);
	int ret = 0;

	for (unsigned i = 0; ret == 0 && keys[i].name; i++) {
		struct value value = {.text = keys[i].otherwise};

		if (value.text)
			ret = keys[i].set(target, &value);
	}
	return ret;
}
