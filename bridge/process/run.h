/*
 * The directory of a running tmbridge: what others find it by, and what outlives it.
 */
#ifndef BRIDGE_RUN_H
#define BRIDGE_RUN_H

#include "../../lb/frame.h"

#include <stddef.h>

#define RUN_DIRECTORY "/run/tmbridge"

enum { RUN_PATH_BYTES = 108 }; /* a socket's path, with the zero behind it (unix(7)) */

/* Its path, by the names of the interfaces (an inside without a name: there is none), and makes it.
 * Returns 0 or a negative errno; ret is set in any case but -ENAMETOOLONG. */
int run_directory(const char *const names[NSIDES], char ret[RUN_PATH_BYTES]);

#endif
