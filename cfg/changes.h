/*
 * What differs between two readings of lb.ini.
 */
#ifndef CFG_CHANGES_H
#define CFG_CHANGES_H

#include "../lb/rules.h"

/* Receives one change: a line without a newline, which lives only during the call. */
typedef void changes_line(void *ctx, const char *text);

/*
 * Compares rules with what they were, both as cfg_load() made them (old may have taken over what
 * was gone before: that is passed over), and calls back with one line for each section that has
 * come or gone, and each key that has changed in one that stays: "[farm web] idle_timeout: 30m ->
 * 1h". Sections are known by their names. In the file's order, [bridge] first, what is gone last.
 */
void changes(const struct rules *old, const struct rules *rules, changes_line *line, void *ctx);

#endif
