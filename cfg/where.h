/*
 * Where each section and key of lb.ini stands, for messages, and that the file is well-formed.
 */
#ifndef CFG_WHERE_H
#define CFG_WHERE_H

#include "keys.h"
#include "note.h"

enum {
	WHERE_FILE_BYTES_MAX = 1 << 20,
	WHERE_LINE_BYTES_MAX = 1000, /* iniparser reads lines into 1024 bytes */
	WHERE_TITLE_BYTES = RULES_NAME_BYTES + 8,
};

/* One section; lines count from 1. */
struct where_section {
	enum section section;
	char title[WHERE_TITLE_BYTES]; /* as iniparser has it: "farm ocspool" */
	unsigned line;
	unsigned key_line[KEYS_MAX]; /* by place in section_keys(); 0 = not given */
};

struct where {
	const struct notes *notes;
	struct where_section *sections; /* in the file's order */
	unsigned n;
	unsigned count[SECTIONS];
};

/*
 * Reads the file of notes->path and fills in *ret_where, for where_free() to release. Else notes
 * the error and returns a negative errno; there is then nothing to release.
 */
int where_read(const struct notes *notes, struct where *ret_where);
void where_free(struct where *where);

/* The name within a section's title; empty for [bridge]. */
const char *where_name(const struct where_section *section);

/* The section of that kind and name, or NULL. Takes time in proportion to the sections. */
const struct where_section *where_find(const struct where *where, enum section section,
                                       const char *name);

/* Whether key, which is one of section_keys(), is in section. */
bool where_has(const struct where_section *section, const char *key);

/* The line of key in section, or the section's own if it isn't there or key is NULL. */
unsigned where_line(const struct where_section *section, const char *key);

/* Note "path:line: [title] key: text"; key may be NULL. where_error() returns -EINVAL. */
int where_error(const struct where *where, const struct where_section *section, const char *key,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void where_warning(const struct where *where, const struct where_section *section, const char *key,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
