/*
 * A bundle: a directory with all that a replay of a capture takes.
 */
#ifndef BRIDGE_PACK_H
#define BRIDGE_PACK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct pack;

/*
 * Makes the directory, which only its owner may read: the key and the rules are in it. Frames in it
 * have snap bytes at most. NULL, with the reason logged, if it can't, or if it is there already.
 */
struct pack *pack_open(const char *directory, int snap);

/* Adds a line of what the replay begins with (operator/bundle.c); pack may be NULL. */
void pack_line(struct pack *pack, const char *line);

/* Adds the frame of a record, of which n bytes are there. */
void pack_frame(struct pack *pack, const json_t *record, const uint8_t *bytes, uint32_t n);

/* 0, or the negative errno of what first could not be written; pack may be NULL. */
int pack_error(const struct pack *pack);

/* False, with the reason logged, if not all could be written. pack may be NULL: true. */
bool pack_close(struct pack *pack);

#endif
