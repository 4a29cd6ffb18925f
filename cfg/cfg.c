/*
 * From lb.ini to rules, in steps that each end the work if they fail:
 *
 * 1. where.c goes over the file: it is well-formed, all names are known, and their lines are too.
 * 2. iniparser reads the values.
 * 3. Every section gets its place in the rules, and its defaults; farms first, as servers name
 * them.
 * 4. Every key is set (keys.c), section after section, and what is left to fill in is filled in.
 * 5. crosscheck.c compares the sections with each other.
 *
 * Nothing is printed, and nothing is kept from one call to the next. Not for two threads at once:
 * iniparser's error callback is global.
 */
#include "crosscheck.h"

#include <errno.h>
#include <iniparser/iniparser.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	VLAN_OF_FARM = UINT16_MAX, /* until all sections have been read */
	SNAT_PORT_FIRST = 1024,    /* the default; lower ones are system ports (RFC 6335) */
	SNAT_PORT_LAST = 65535,
};

/* What is at hand while one file is read. */
struct load {
	const struct where *where;
	const dictionary *values;
	struct rules *rules;
};

/* ---- places and defaults ---- */

static int rules_place(struct rules *rules, const struct where *where)
{
	/* One too many, so that none at all isn't taken for a lack of memory. */
	rules->farms = calloc(where->count[SECTION_FARM] + 1, sizeof(*rules->farms));
	rules->servers = calloc(where->count[SECTION_SERVER] + 1, sizeof(*rules->servers));
	if (!rules->farms || !rules->servers)
		return note_errno(where->notes, ENOMEM);
	keys_default_bridge(rules);
	for (unsigned i = 0; i < where->n; i++) {
		const char *name = where_name(&where->sections[i]);

		if (where->sections[i].section == SECTION_FARM) {
			struct rules_farm *farm = &rules->farms[rules->nfarms++];

			strcpy(farm->name, name);
			keys_default_farm(farm);
		} else if (where->sections[i].section == SECTION_SERVER) {
			struct rules_server *server = &rules->servers[rules->nservers++];

			strcpy(server->name, name);
			keys_default_server(server);
		}
	}
	return 0;
}

/* A farm's snat and snat_ports, unless they were given. snat = off is given, and leaves none. */
static int farm_fill_in(struct rules_farm *farm, const struct where_section *section)
{
	if (!where_has(section, "snat")) {
		farm->snat = calloc(1, sizeof(*farm->snat));
		if (!farm->snat)
			return -ENOMEM;
		farm->snat[0] = farm->vip;
		farm->nsnat = 1;
	}
	if (!where_has(section, "snat_ports")) {
		farm->snat_ports = calloc(1, sizeof(*farm->snat_ports));
		if (!farm->snat_ports)
			return -ENOMEM;
		farm->snat_ports[0] = (struct port_range){SNAT_PORT_FIRST, SNAT_PORT_LAST};
		farm->nsnat_ports = 1;
	}
	return 0;
}

/* Puts the servers of each farm together, in the file's order. */
static int servers_group(struct rules *rules)
{
	struct rules_server *grouped = calloc(rules->nservers + 1, sizeof(*grouped));
	unsigned n = 0;

	if (!grouped)
		return -ENOMEM;
	for (unsigned i = 0; i < rules->nfarms; i++) {
		rules->farms[i].server = n;
		for (unsigned j = 0; j < rules->nservers; j++)
			if (rules->servers[j].farm == i)
				grouped[n++] = rules->servers[j];
		rules->farms[i].nservers = n - rules->farms[i].server;
	}
	free(rules->servers);
	rules->servers = grouped;
	return 0;
}

/* ---- values ---- */

/* iniparser prints to stderr unless it is given something else to call. */
static int say_nothing(const char *fmt, ...)
{
	(void)fmt;
	return 0;
}

static int values_read(const struct notes *notes, dictionary **ret_values)
{
	dictionary *values;

	iniparser_set_error_callback(say_nothing);
	values = iniparser_load(notes->path);
	iniparser_set_error_callback(NULL);
	if (!values)
		return note_error(notes, 0, "can't be read a second time");
	*ret_values = values;
	return 0;
}

static const char *value_text(const struct load *load, const struct where_section *section,
                              const struct key *key)
{
	char name[2 * WHERE_TITLE_BYTES];

	snprintf(name, sizeof(name), "%s:%s", section->title, key->name);
	return iniparser_getstring(load->values, name, NULL);
}

static int set_key(const struct load *load, const struct where_section *section,
                   const struct key *key, struct target *target)
{
	struct value value = {.text = value_text(load, section, key)};
	int ret;

	if (!value.text)
		return where_error(load->where, section, key->name,
		                   "is gone: the file changed while it was read");
	ret = key->set(target, &value);
	if (ret == -EINVAL)
		return where_error(load->where, section, key->name, "%s", value.why);
	return ret ? note_errno(load->where->notes, -ret) : 0;
}

static int set_section(const struct load *load, const struct where_section *section)
{
	const struct key *keys = section_keys(section->section);
	struct target target = keys_target(load->rules, section->section, where_name(section));
	int ret = 0;

	for (unsigned i = 0; ret == 0 && keys[i].name; i++) {
		if (section->key_line[i])
			ret = set_key(load, section, &keys[i], &target);
		else if (keys[i].missing)
			ret = where_error(load->where, section, keys[i].name, "%s",
			                  keys[i].missing);
	}
	if (ret == 0 && target.server && !where_has(section, "vlan"))
		target.server->vlan = VLAN_OF_FARM;
	if (ret == 0 && target.farm && farm_fill_in(target.farm, section))
		ret = note_errno(load->where->notes, ENOMEM);
	return ret;
}

/* Servers are in their farm's VLAN unless they say otherwise. */
static void servers_fill_in(struct rules *rules)
{
	for (unsigned i = 0; i < rules->nservers; i++)
		if (rules->servers[i].vlan == VLAN_OF_FARM)
			rules->servers[i].vlan = rules->farms[rules->servers[i].farm].vlan;
}

static int set_all(const struct load *load)
{
	int ret = rules_place(load->rules, load->where);

	for (unsigned i = 0; ret == 0 && i < load->where->n; i++)
		ret = set_section(load, &load->where->sections[i]);
	if (ret == 0 && servers_group(load->rules))
		ret = note_errno(load->where->notes, ENOMEM);
	if (ret == 0)
		servers_fill_in(load->rules);
	return ret;
}

/* ---- the whole ---- */

static int rules_build(const struct where *where, const dictionary *values,
                       struct rules **ret_rules)
{
	struct load load = {where, values, calloc(1, sizeof(struct rules))};
	int ret;

	if (!load.rules)
		return note_errno(where->notes, ENOMEM);
	ret = set_all(&load);
	if (ret == 0)
		ret = crosscheck(where, load.rules);
	if (ret) {
		rules_free(load.rules);
		return ret;
	}
	*ret_rules = load.rules;
	return 0;
}

int cfg_load(const char *path, cfg_note *note, void *ctx, struct rules **ret_rules)
{
	struct notes notes = {path, note, ctx};
	struct where where;
	dictionary *values = NULL;
	int ret = where_read(&notes, &where);

	if (ret)
		return ret;
	ret = values_read(&notes, &values);
	if (ret == 0) {
		ret = rules_build(&where, values, ret_rules);
		iniparser_freedict(values);
	}
	where_free(&where);
	return ret;
}
