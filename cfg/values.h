/*
 * The values of lb.ini, by iniparser.
 *
 * where.c alone decides what is a section and what a key. What it has found right is written down
 * here in one plain form, a "[title]" or a "key = value" a line, and iniparser is given nothing
 * else to read.
 */
#ifndef CFG_VALUES_H
#define CFG_VALUES_H

#include "note.h"

enum { VALUES_TITLE_BYTES = RULES_NAME_BYTES + 8 }; /* of a section's title */

struct values {
	char *text; /* what iniparser is to read */
	size_t used;
	unsigned entries; /* sections and keys in it */
	struct _dictionary_ *dictionary;
};

/*
 * Begins with room for what a file of len bytes can hold. values is zeros before, and values_free()
 * releases it, on failure too. Returns 0 or -ENOMEM.
 */
int values_begin(struct values *values, size_t len);
void values_free(struct values *values);

/*
 * Adds a section, and a key to the section added last. Neither comes twice, and together they take
 * no more room than in the file: assignment is the line from its equals sign on.
 */
void values_add_section(struct values *values, const char *title);
void values_add_key(struct values *values, const char *key, const char *assignment);

/* Reads all that was added. Returns 0; or notes the error and returns a negative errno. */
int values_read(struct values *values, struct notes *notes);

/*
 * The value of a key that was added, without blanks, quotes and comment; lives as long as values.
 */
const char *values_get(const struct values *values, const char *title, const char *key);

/*
 * What is said if iniparser has found other sections or keys than where.c: never, says the fuzzer.
 */
#define VALUES_DISAGREE "iniparser finds other sections and keys in it: please report this file"

#endif
