/*
 * What lb.ini is made of: its sections and keys, and which line each stands in.
 */
#ifndef CFG_WHERE_H
#define CFG_WHERE_H

#include "file.h"
#include "keys.h"
#include "note.h"
#include "values.h"

enum { WHERE_LINE_BYTES_MAX = 1000 }; /* iniparser reads lines into 1024 bytes */

/* One section; lines count from 1. */
struct where_section {
	enum section section;
	char title[VALUES_TITLE_BYTES]; /* in lower case: "farm ocspool" */
	unsigned line;
	unsigned key_line[KEYS_MAX]; /* by place in section_keys(); 0 = not given */
	bool wrong[KEYS_MAX];        /* likewise: its value was refused, or it is missing */
	bool refused; /* a line was refused: maybe of the key that seems to be missing */
};

struct where {
	struct notes *notes;
	struct where_section *sections; /* in the file's order */
	unsigned n;
	unsigned count[SECTIONS];
	bool refused; /* a section was, or a line before all: its keys aren't there */
};

/*
 * Goes over a file: fills in *ret_where, and adds to values what is right. Every mistake is noted,
 * and then left out, so that the rest can be looked at all the same. where_free() releases
 * *ret_where in any case. Returns 0 whatever the file holds, or -ENOMEM.
 */
int where_read(struct notes *notes, const struct file *file, struct values *values,
               struct where *ret_where);
void where_free(struct where *where);

/* The name within a section's title; empty for [bridge]. */
const char *where_name(const struct where_section *section);

/* The section of that kind and name, or NULL. Takes time in proportion to the sections. */
const struct where_section *where_find(const struct where *where, enum section section,
                                       const char *name);

/* Whether key, which is one of section_keys(), is in section. */
bool where_has(const struct where_section *section, const char *key);

/* Whether rules have what the file says of key, or its default: no error of its own was noted. */
bool where_is_right(const struct where_section *section, const char *key);

/* The line of key in section, or the section's own if it isn't there or key is NULL. */
unsigned where_line(const struct where_section *section, const char *key);

/* Note "path:line: [title] key: text"; key may be NULL. where_error() returns -EINVAL. */
int where_error(const struct where *where, const struct where_section *section, const char *key,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void where_warning(const struct where *where, const struct where_section *section, const char *key,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
