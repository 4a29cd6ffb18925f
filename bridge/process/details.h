/*
 * What a message says, once more for programs: its figures and names as members of their own.
 */
#ifndef BRIDGE_DETAILS_H
#define BRIDGE_DETAILS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DETAILS_MAX = 8,          /* members of a message */
	DETAILS_VALUE_BYTES = 64, /* of a value, with its NUL */
};

struct detail {
	const char *name; /* lower case, digits and _; must stay */
	bool is_text;     /* else a number, true or false */
	char value[DETAILS_VALUE_BYTES];
};

struct details {
	unsigned n;
	struct detail all[DETAILS_MAX];
};

/* Add a member; a text is cut to fit. What is beyond DETAILS_MAX is left out. */
void details_number(struct details *details, const char *name, uint64_t value);
void details_seconds(struct details *details, const char *name, double value);
void details_flag(struct details *details, const char *name, bool value);
void details_text(struct details *details, const char *name, const char *value);
void details_mac(struct details *details, const char *name, const uint8_t mac[6]);

/*
 * The members of a JSON object, each with a comma before it: `,"count":12,"reason":"client_rate"`.
 * Those that don't fit are left out whole. details may be NULL. Returns ret, of size bytes.
 */
const char *details_json(const struct details *details, char *ret, size_t size);

#endif
