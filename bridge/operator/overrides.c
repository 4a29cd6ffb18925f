/*
 * Rules are immutable, and replaced whole. So an operator's change is a reload: the text in force
 * is read once more, and the overrides are laid over the new rules before anybody uses these.
 * Flows, counts and verdicts are kept as they are by any reload.
 */
#include "overrides.h"

#include "../process/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *override_key_name(enum override_key key)
{
	return key == OVERRIDE_STATE ? "state" : "weight";
}

const char *override_value(enum override_key key, uint32_t value, char ret[OVERRIDE_VALUE_BYTES])
{
	if (key == OVERRIDE_STATE)
		return rules_state_words[value];
	snprintf(ret, OVERRIDE_VALUE_BYTES, "%" PRIu32, value);
	return ret;
}

static struct override *find(const struct overrides *overrides, const char *server,
                             enum override_key key)
{
	for (unsigned i = 0; i < overrides->n; i++) {
		const struct override *override = &overrides->all[i];

		if (override->key == key && !strcmp(override->server, server))
			return (struct override *) override;
	}
	return NULL;
}

const struct override *overrides_find(const struct overrides *overrides, const char *server,
                                      enum override_key key)
{
	return find(overrides, server, key);
}

bool overrides_set(struct overrides *overrides, const struct override *override)
{
	struct override *at = find(overrides, override->server, override->key);

	if (!at && overrides->n == OVERRIDES_MAX)
		return false;
	if (!at)
		at = &overrides->all[overrides->n++];
	*at = *override;
	return true;
}

static void forget(struct overrides *overrides, struct override *override)
{
	*override = overrides->all[--overrides->n];
}

void overrides_drop(struct overrides *overrides, const char *server, enum override_key key)
{
	struct override *override = find(overrides, server, key);

	if (override)
		forget(overrides, override);
}

static struct rules_server *server_named(const struct rules *rules, const char *name)
{
	for (unsigned s = 0; s < rules->nservers; s++)
		if (!strcmp(rules->servers[s].name, name))
			return &rules->servers[s];
	return NULL;
}

static uint32_t value_of(const struct rules_server *server, enum override_key key)
{
	return key == OVERRIDE_STATE ? server->state : server->weight;
}

/* Lays the override over rules. False if it is to be forgotten: the file has no such server, or
 * another value than it had. */
static bool apply(const struct override *override, const struct rules *rules)
{
	struct rules_server *server = server_named(rules, override->server);

	if (!server || value_of(server, override->key) != override->in_file)
		return false;
	if (override->key == OVERRIDE_STATE)
		server->state = (enum rules_state) override->value;
	else
		server->weight = (uint8_t) override->value;
	return true;
}

void overrides_apply(struct overrides *overrides, struct rules *rules)
{
	unsigned i = 0;

	while (i < overrides->n) {
		struct override *override = &overrides->all[i];

		if (apply(override, rules)) {
			i++;
			continue;
		}
		log_info("server %s: %s: what an operator said of it is over: the file says "
		         "something else than it did",
		         override->server, override_key_name(override->key));
		forget(overrides, override);
	}
}
