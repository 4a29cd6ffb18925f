/*
 * Whoever else is on the wire: who says what has nothing to do with a connection, or can't be.
 */
#ifndef ORACLE_STRANGERS_H
#define ORACLE_STRANGERS_H

#include "hosts.h"

/* Makes a frame of a stranger's; and the next one of a flood of them. */
void strangers_make(struct hosts *hosts, struct made *ret);
void strangers_flood(struct hosts *hosts, struct made *ret);

#endif
