/*
 * What differs between two readings of lb.ini.
 *
 * Values are compared as the text that show.h makes of them, so a key that can be shown can be
 * compared, and no key is forgotten. Of a section that is new the keys aren't listed: the file
 * does.
 */
#include "changes.h"
#include "keys.h"

#include <stdio.h>
#include <string.h>

enum {
	VALUE_SHOWN = 200, /* bytes of a value that a line shows */
	LINE_BYTES = 2 * VALUE_SHOWN + RULES_NAME_BYTES + 64,
};

struct changes {
	const struct rules *old, *rules;
	changes_line *line;
	void *ctx;
};

/* "[farm web]" */
static const char *title(enum section section, const char *name,
                         char ret[RULES_NAME_BYTES + sizeof("[server ]")])
{
	sprintf(ret, *name ? "[%s %s]" : "[%s]", section_name(section), name);
	return ret;
}

static void say_section(const struct changes *c, enum section section, const char *name,
                        const char *what)
{
	char text[LINE_BYTES], of[RULES_NAME_BYTES + sizeof("[server ]")];

	snprintf(text, sizeof(text), "%s %s", title(section, name, of), what);
	c->line(c->ctx, text);
}

static const char *or_none(const struct shown *shown)
{
	return shown->used ? shown->text : "none";
}

static const char *dots(const struct shown *shown)
{
	return shown->used > VALUE_SHOWN ? "..." : "";
}

static void say_key(const struct changes *c, enum section section, const char *name,
                    const char *key, const struct shown *old, const struct shown *now)
{
	char text[LINE_BYTES], of[RULES_NAME_BYTES + sizeof("[server ]")];

	snprintf(text, sizeof(text), "%s %s: %.*s%s -> %.*s%s", title(section, name, of), key,
	         VALUE_SHOWN, or_none(old), dots(old), VALUE_SHOWN, or_none(now), dots(now));
	c->line(c->ctx, text);
}

static void compare_keys(const struct changes *c, enum section section, const char *name,
                         const struct target *old, const struct target *now)
{
	const struct key *keys = section_keys(section);

	for (unsigned i = 0; keys[i].name; i++) {
		struct shown was = {.used = 0}, is = {.used = 0};

		keys[i].show(old, &was);
		keys[i].show(now, &is);
		if (strcmp(was.text, is.text))
			say_key(c, section, name, keys[i].name, &was, &is);
	}
}

/* The farm or server of that name which is in the file, or NULL. hint: where it most likely is. */
static struct rules_farm *farm_named(const struct rules *rules, const char *name, unsigned hint)
{
	for (unsigned n = 0; n < rules->nfarms; n++) {
		struct rules_farm *farm = &rules->farms[(hint + n) % rules->nfarms];

		if (!farm->gone && strcmp(farm->name, name) == 0)
			return farm;
	}
	return NULL;
}

static struct rules_server *server_named(const struct rules *rules, const char *name, unsigned hint)
{
	for (unsigned n = 0; n < rules->nservers; n++) {
		struct rules_server *server = &rules->servers[(hint + n) % rules->nservers];

		if (!server->gone && strcmp(server->name, name) == 0)
			return server;
	}
	return NULL;
}

static bool same_list(const struct prefixes *a, const struct prefixes *b)
{
	return a->n == b->n && (!a->n || (!memcmp(a->first, b->first, a->n * sizeof(*a->first)) &&
	                                  !memcmp(a->word, b->word, a->n)));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Compares lists that stand in files of their own: these may have changed though the key is what it
 * was. */
static void compare_lists(const struct changes *c, const struct rules_farm *old,
                          const struct rules_farm *now)
{
	if (same_text(old->allow, now->allow) && same_text(old->deny, now->deny) &&
	    !same_list(&old->access, &now->access))
		say_section(c, SECTION_FARM, now->name, "allow, deny: a file has another list");
	if (same_text(old->client_exempt, now->client_exempt) &&
	    !same_list(&old->exempt, &now->exempt))
		say_section(c, SECTION_FARM, now->name, "client_exempt: a file has another list");
}

static void compare_farms(const struct changes *c)
{
	for (unsigned i = 0; i < c->rules->nfarms; i++) {
		struct target now = {.rules = (struct rules *)c->rules,
		                     .farm = &c->rules->farms[i]};
		struct target old = {.rules = (struct rules *)c->old,
		                     .farm = farm_named(c->old, now.farm->name, i)};

		if (!old.farm) {
			say_section(c, SECTION_FARM, now.farm->name, "is new");
			continue;
		}
		compare_keys(c, SECTION_FARM, now.farm->name, &old, &now);
		compare_lists(c, old.farm, now.farm);
	}
}

static void compare_servers(const struct changes *c)
{
	for (unsigned i = 0; i < c->rules->nservers; i++) {
		struct target now = {.rules = (struct rules *)c->rules,
		                     .server = &c->rules->servers[i]};
		struct target old = {.rules = (struct rules *)c->old,
		                     .server = server_named(c->old, now.server->name, i)};

		if (old.server)
			compare_keys(c, SECTION_SERVER, now.server->name, &old, &now);
		else
			say_section(c, SECTION_SERVER, now.server->name, "is new");
	}
}

/* The number of the [check NAME] of that name, or nscripts. */
static unsigned script_named(const struct rules *rules, const char *name)
{
	unsigned i = 0;

	while (i < rules->nscripts &&
	       (!rules->scripts[i].is_section || strcmp(rules->scripts[i].text, name)))
		i++;
	return i;
}

static void compare_scripts(const struct changes *c)
{
	for (unsigned i = 0; i < c->rules->nscripts && c->rules->scripts[i].is_section; i++) {
		struct script *script = &c->rules->scripts[i];
		const unsigned before = script_named(c->old, script->text);
		struct target now = {.rules = (struct rules *)c->rules, .script = script};
		struct target old = {.rules = (struct rules *)c->old};

		if (before == c->old->nscripts) {
			say_section(c, SECTION_CHECK, script->text, "is new");
			continue;
		}
		old.script = &c->old->scripts[before];
		compare_keys(c, SECTION_CHECK, script->text, &old, &now);
	}
}

/* The number of the filter of that name, or nfilters. */
static unsigned filter_named(const struct rules *rules, const char *name)
{
	unsigned i = 0;

	while (i < rules->nfilters && strcmp(rules->filters[i].name, name))
		i++;
	return i;
}

static void compare_filters(const struct changes *c)
{
	for (unsigned i = 0; i < c->rules->nfilters; i++) {
		struct rules_filter *filter = &c->rules->filters[i];
		const unsigned before = filter_named(c->old, filter->name);
		struct target now = {.rules = (struct rules *)c->rules, .filter = filter};
		struct target old = {.rules = (struct rules *)c->old};

		if (before == c->old->nfilters) {
			say_section(c, SECTION_FILTER, filter->name, "is new");
			continue;
		}
		old.filter = &c->old->filters[before];
		compare_keys(c, SECTION_FILTER, filter->name, &old, &now);
	}
}

static void say_gone(const struct changes *c)
{
	for (unsigned i = 0; i < c->old->nfarms; i++)
		if (!c->old->farms[i].gone && !farm_named(c->rules, c->old->farms[i].name, i))
			say_section(c, SECTION_FARM, c->old->farms[i].name, "is gone");
	for (unsigned i = 0; i < c->old->nservers; i++)
		if (!c->old->servers[i].gone && !server_named(c->rules, c->old->servers[i].name, i))
			say_section(c, SECTION_SERVER, c->old->servers[i].name, "is gone");
	for (unsigned i = 0; i < c->old->nscripts && c->old->scripts[i].is_section; i++)
		if (script_named(c->rules, c->old->scripts[i].text) == c->rules->nscripts)
			say_section(c, SECTION_CHECK, c->old->scripts[i].text, "is gone");
	for (unsigned i = 0; i < c->old->nfilters; i++)
		if (filter_named(c->rules, c->old->filters[i].name) == c->rules->nfilters)
			say_section(c, SECTION_FILTER, c->old->filters[i].name, "is gone");
}

void changes(const struct rules *old, const struct rules *rules, changes_line *line, void *ctx)
{
	const struct changes c = {old, rules, line, ctx};
	const struct target was = {.rules = (struct rules *)old},
	                    is = {.rules = (struct rules *)rules};

	compare_keys(&c, SECTION_BRIDGE, "", &was, &is);
	compare_farms(&c);
	compare_servers(&c);
	compare_scripts(&c);
	compare_filters(&c);
	say_gone(&c);
}
