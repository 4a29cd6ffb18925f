/*
 * The sections and keys that lb.ini may have.
 */
#ifndef CFG_KEYS_H
#define CFG_KEYS_H

#include "key.h"

enum section { SECTION_BRIDGE, SECTION_FARM, SECTION_SERVER, SECTION_CHECK, SECTION_FILTER };

enum { SECTIONS = SECTION_FILTER + 1 };

/* The word that a section begins with: "farm". */
const char *section_name(enum section section);

/* The keys of a section, in the order to set them in; the last one's name is NULL. */
const struct key *section_keys(enum section section);

/* The place in section_keys() of the key name, or -1. */
int section_find_key(enum section section, const char *name);

/* Writes the sections that have a key of that name, " [bridge] [server]". Returns if any has. */
bool keys_elsewhere(const char *name, char *ret, size_t size);

/* Points at what the section of that name is about; it must be in rules. */
struct target keys_target(struct rules *rules, enum section section, const char *name);

/* Sets the keys of what target is about to their defaults. Returns 0 or -ENOMEM. */
int keys_set_defaults(enum section section, struct target *target);

#endif
