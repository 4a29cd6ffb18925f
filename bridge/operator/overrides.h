/*
 * What operators have changed at run time: it lies over the file's rules.
 */
#ifndef BRIDGE_OVERRIDES_H
#define BRIDGE_OVERRIDES_H

#include "../../lb/rules.h"

enum override_key { OVERRIDE_STATE, OVERRIDE_WEIGHT };

/* One key of one server. */
struct override {
	char server[RULES_NAME_BYTES];
	enum override_key key;
	uint32_t value;   /* enum rules_state, or a weight */
	uint32_t in_file; /* what the file says */
	uint32_t uid;     /* who */
	int64_t when_ms;  /* of the day, since 1970 */
};

enum { OVERRIDES_MAX = 1024 };

struct overrides {
	struct override all[OVERRIDES_MAX];
	unsigned n;
};

/* The one of that server and key, or NULL. */
const struct override *overrides_find(const struct overrides *overrides, const char *server,
                                      enum override_key key);

/* Sets one, in place of what there was; what the file says is the server's. False if there are too
 * many. */
bool overrides_set(struct overrides *overrides, const struct override *override);

/* Forgets one, if it is there. */
void overrides_drop(struct overrides *overrides, const char *server, enum override_key key);

/*
 * Lays them over rules that have just been made of the file. Those whose server is gone, or for
 * whom the file says something else than it did, are forgotten, and that is logged.
 */
void overrides_apply(struct overrides *overrides, struct rules *rules);

/* "state", "weight"; and what it is or was, as lb.ini would say it, in static words or ret. */
const char *override_key_name(enum override_key key);
enum { OVERRIDE_VALUE_BYTES = 16 };
const char *override_value(enum override_key key, uint32_t value, char ret[OVERRIDE_VALUE_BYTES]);

#endif
