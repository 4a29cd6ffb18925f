/*
 * A key of lb.ini, and what it is set in.
 */
#ifndef CFG_KEY_H
#define CFG_KEY_H

#include "cfg.h"
#include "show.h"
#include "value.h"

#include <limits.h>
#include <string.h>

enum { KEYS_MAX = 32 }; /* of one section */

/* The farm of a server whose key of that name is wrong or missing. */
#define KEYS_NO_FARM UINT_MAX

/* The rules being filled in, and which farm, server, check or filter of them a section is about. */
struct target {
	struct rules *rules;
	const char *file;           /* that is being read; NULL: none, as for defaults */
	cfg_expression *expression; /* or NULL */
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
static inline int key_find(const struct key *keys, const char *name)
{
	for (int i = 0; keys[i].name; i++)
		if (strcmp(keys[i].name, name) == 0)
			return i;
	return -1;
}

#endif
