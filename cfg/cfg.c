/*
 * From lb.ini to rules, in steps:
 *
 * 1. file.c reads the file, once.
 * 2. where.c goes over it, line by line: which sections and keys there are, and where.
 * 3. iniparser reads the values of those (values.c).
 * 4. Every section gets its place in the rules, and its defaults; farms first, as servers name
 *    them.
 * 5. Every key is set (keys.c), section after section, and what is left to fill in is filled in.
 * 6. crosscheck.c compares the sections with each other.
 *
 * A mistake ends none of them: each goes on with what is right, so that one call notes all the
 * mistakes there are. What a key would have said that was refused is passed over from then on.
 *
 * Nothing is printed, and nothing is kept from one call to the next. Not for two threads at once:
 * iniparser's error callback is global.
 */
#include "crosscheck.h"
#include "scripts.h"

#include "../lb/way.h"

#include <errno.h>
#include <stdlib.h>

enum {
	VLAN_OF_FARM = UINT16_MAX, /* until all sections have been read */
	FARM_LAST_PORT_BESIDE_HOST = 32767,
};

/* What is at hand while one file is read. */
struct load {
	struct where where;
	struct values values;
	struct rules *rules;
	const struct cfg_known *known;
};

/* ---- places and defaults ---- */

/* Makes the farm, server, check or filter that a section is about, with its defaults. */
static int section_place(struct rules *rules, const struct where_section *section)
{
	struct target target = {.rules = rules};
	const char *name = where_name(section);

	if (section->section == SECTION_BRIDGE)
		return 0; /* [bridge]: its place is there in any case */
	if (section->section == SECTION_CHECK) {
		if (scripts_add_section(rules, name))
			return -ENOMEM;
		target.script = &rules->scripts[rules->nscripts - 1];
	} else if (section->section == SECTION_FILTER) {
		target.filter = &rules->filters[rules->nfilters++];
		strcpy(target.filter->name, name);
	} else if (section->section == SECTION_FARM) {
		target.farm = &rules->farms[rules->nfarms++];
		strcpy(target.farm->name, name);
	} else {
		target.server = &rules->servers[rules->nservers++];
		strcpy(target.server->name, name);
	}
	return keys_set_defaults(section->section, &target);
}

static int rules_place(struct rules *rules, const struct where *where)
{
	struct target bridge = {.rules = rules};
	int ret;

	/* One too many, so that none at all isn't taken for a lack of memory. */
	rules->farms = calloc(where->count[SECTION_FARM] + 1, sizeof(*rules->farms));
	rules->servers = calloc(where->count[SECTION_SERVER] + 1, sizeof(*rules->servers));
	rules->filters = calloc(where->count[SECTION_FILTER] + 1, sizeof(*rules->filters));
	if (!rules->farms || !rules->servers || !rules->filters)
		return -ENOMEM;
	ret = keys_set_defaults(SECTION_BRIDGE, &bridge);
	for (unsigned i = 0; ret == 0 && i < where->n; i++)
		ret = section_place(rules, &where->sections[i]);
	return ret;
}

/*
 * A farm's SNAT address is its VIP or, routed, ours inside, unless one was given. snat = off is
 * given, and leaves none. Where it may be the host's own address as well, its ports are those that
 * the host's own connections don't have by default (net.ipv4.ip_local_port_range).
 */
static int farm_fill_in(struct rules *rules, struct rules_farm *farm,
                        const struct where_section *section)
{
	int ret;

	if (rules_has_stack(rules) && !where_has(section, "snat_ports") && farm->nsnat_ports)
		farm->snat_ports[0].last = FARM_LAST_PORT_BESIDE_HOST;
	if (where_has(section, "snat"))
		return 0;
	farm->snat = calloc(1, sizeof(*farm->snat));
	if (!farm->snat)
		return -ENOMEM;
	ret = way_snat(rules, farm->vip, &farm->snat[0]);
	farm->nsnat = 1;
	return ret;
}

static int farms_fill_in(struct load *load)
{
	int ret = 0;

	if (load->known->host)
		load->rules->nets = *load->known->host;
	for (unsigned i = 0; i < load->where.n && !ret; i++) {
		const struct where_section *section = &load->where.sections[i];
		struct target target =
		        keys_target(load->rules, section->section, where_name(section));

		if (target.farm)
			ret = farm_fill_in(load->rules, target.farm, section);
	}
	return ret;
}

/* Puts the servers of each farm together, in the file's order; behind them those of none. */
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
	for (unsigned j = 0; j < rules->nservers; j++)
		if (rules->servers[j].farm == KEYS_NO_FARM)
			grouped[n++] = rules->servers[j];
	free(rules->servers);
	rules->servers = grouped;
	return 0;
}

/* ---- values ---- */

/* If what a key names, a farm or a check, may stand in a section that was refused: that it isn't
 * known is no second mistake then. */
static bool follows_from_another(const struct load *load, const struct where_section *section,
                                 const struct key *key)
{
	return load->where.refused &&
	       ((section->section == SECTION_SERVER && strcmp(key->name, "farm") == 0) ||
	        (section->section == SECTION_FARM && strcmp(key->name, "check") == 0));
}

static int set_key(struct load *load, struct where_section *section, const struct key *key,
                   struct target *target)
{
	struct value value = {.text = values_get(&load->values, section->title, key->name)};
	int ret;

	if (!value.text)
		return note_error(load->where.notes, 0, VALUES_DISAGREE);
	ret = key->set(target, &value);
	if (ret == -EINVAL && !follows_from_another(load, section, key))
		where_error(&load->where, section, key->name, "%s", value.why);
	return ret;
}

/* A key that isn't there. Returns -EINVAL if it must be. */
static int miss_key(const struct load *load, const struct where_section *section,
                    const struct key *key)
{
	if (key->missing && !section->refused)
		where_error(&load->where, section, key->name, "%s", key->missing);
	return key->missing ? -EINVAL : 0;
}

/* Fails only for lack of memory. */
static int set_section(struct load *load, struct where_section *section)
{
	const struct key *keys = section_keys(section->section);
	struct target target = keys_target(load->rules, section->section, where_name(section));

	target.file = load->where.notes->path;
	target.expression = load->known->expression;
	for (unsigned i = 0; keys[i].name; i++) {
		int ret = 0;

		if (!section->key_line[i])
			ret = miss_key(load, section, &keys[i]);
		else if (!section->wrong[i])
			ret = set_key(load, section, &keys[i], &target);
		if (ret && ret != -EINVAL)
			return ret;
		section->wrong[i] |= ret != 0;
	}
	if (target.server && !where_is_right(section, "farm"))
		target.server->farm = KEYS_NO_FARM;
	if (target.server && !where_has(section, "vlan"))
		target.server->vlan = VLAN_OF_FARM;
	return 0;
}

/* Servers are in their farm's VLAN unless they say otherwise. */
static void servers_fill_in(struct rules *rules)
{
	for (unsigned i = 0; i < rules->nservers; i++) {
		struct rules_server *server = &rules->servers[i];

		if (server->vlan == VLAN_OF_FARM && server->farm != KEYS_NO_FARM)
			server->vlan = rules->farms[server->farm].vlan;
	}
}

static int set_all(struct load *load)
{
	int ret = rules_place(load->rules, &load->where);

	for (unsigned i = 0; ret == 0 && i < load->where.n; i++)
		ret = set_section(load, &load->where.sections[i]);
	if (ret == 0)
		ret = farms_fill_in(load);
	if (ret == 0)
		ret = servers_group(load->rules);
	if (ret == 0)
		servers_fill_in(load->rules);
	way_settle(load->rules);
	return ret;
}

/* ---- the whole ---- */

/* Returns 0 however many mistakes were noted, or a negative errno that was not. */
static int rules_build(struct load *load)
{
	int ret;

	load->rules = calloc(1, sizeof(*load->rules));
	if (!load->rules)
		return -ENOMEM;
	ret = set_all(load);
	return ret ? ret : crosscheck(&load->where, load->rules);
}

static int load_file(struct load *load, struct notes *notes, const struct file *file)
{
	int ret = values_begin(&load->values, file->len);

	if (ret == 0)
		ret = where_read(notes, file, &load->values, &load->where);
	if (ret == 0 && values_read(&load->values, notes) == 0)
		ret = rules_build(load);
	return ret ? note_errno(notes, -ret) : 0;
}

int cfg_read(const char *path, cfg_note *note, void *ctx, struct cfg_text *ret)
{
	struct notes notes = {.path = path, .note = note, .ctx = ctx};
	struct file file = {0};
	int err = file_read(&notes, &file);

	note_rest(&notes);
	if (err)
		free(file.bytes);
	else
		*ret = (struct cfg_text){file.bytes, file.len};
	return err;
}

int cfg_load_text(const char *path, const struct cfg_text *text, const struct cfg_known *known,
                  cfg_note *note, void *ctx, struct rules **ret_rules)
{
	static const struct cfg_known nothing;
	const struct file file = {text->bytes, text->len};
	struct notes notes = {.path = path, .note = note, .ctx = ctx};
	struct load load = {.known = known ? known : &nothing};
	int ret = load_file(&load, &notes, &file);

	if (ret == 0 && notes.errors)
		ret = -EINVAL;
	note_rest(&notes);
	if (ret)
		rules_free(load.rules);
	else
		*ret_rules = load.rules;
	where_free(&load.where);
	values_free(&load.values);
	return ret;
}

int cfg_load(const char *path, const struct cfg_known *known, cfg_note *note, void *ctx,
             struct rules **ret_rules)
{
	struct cfg_text text;
	int ret = cfg_read(path, note, ctx, &text);

	if (ret)
		return ret;
	ret = cfg_load_text(path, &text, known, note, ctx, ret_rules);
	free(text.bytes);
	return ret;
}
