/*
 * The sections and keys that lb.ini may have.
 */
#ifndef CFG_KEYS_H
#define CFG_KEYS_H

#include "show.h"
#include "value.h"

#include <limits.h>
#include <string.h>

enum section { SECTION_BRIDGE, SECTION_FARM, SECTION_SERVER, SECTION_CHECK, SECTION_FILTER };

enum {
	SECTIONS = SECTION_FILTER + 1,
	KEYS_MAX = 32, /* of one section */
};

/* The farm of a server whose key of that name is wrong or missing. */
#define KEYS_NO_FARM UINT_MAX

/* The rules being filled in, and which farm, server, check or filter of them a section is about. */
struct target {
	struct rules *rules;
	const char *file; /* that is being read; NULL: none, as for defaults */
	struct rules_farm *farm;
	struct rules_server *server;
	struct script *script;
	struct rules_filter *filter;
};

struct key {
	const char *name;
	/* Returns 0, -EINVAL with value->why filled in, or another negative errno. */
	int (*set)(struct target *target, struct value *value);
	/* Adds the value, as it would be written; nothing, if there is none. */
	void (*show)(const struct target *target, struct shown *shown);
	/* The value of a key that isn't given, which is set first; NULL: none, or another key's. */
	const char *otherwise;
	/* For a key that must be there: what to say when it isn't. */
	const char *missing;
};

/* The place of a name among keys, of which the last one's is NULL; or -1. */
static inline int keys_find(const struct key *keys, const char *name)
{
	for (int i = 0; keys[i].name; i++)
		if (strcmp(keys[i].name, name) == 0)
			return i;
	return -1;
}

/* The word that a section begins with: "farm". */
const char *section_name(enum section section);

/* The keys of a section, in the order to set them in; the last one's name is NULL. */
const struct key *section_keys(enum section section);

/* The place in section_keys() of the key name, or -1. */
int section_find_key(enum section section, const char *name);

/* Points at what the section of that name is about; it must be in rules. */
struct target keys_target(struct rules *rules, enum section section, const char *name);

/* Sets the keys of what target is about to their defaults. Returns 0 or -ENOMEM. */
int keys_set_defaults(enum section section, struct target *target);

#endif
