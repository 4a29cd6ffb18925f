/*
 * Whoever else is on the wire: who says what has nothing to do with a connection, or can't be.
 */
#ifndef ORACLE_STRANGERS_H
#define ORACLE_STRANGERS_H

#include "hosts.h"

/* Makes a frame of a stranger's; and the next one of a flood of them; and the next SYN of a siege,
 * which may be in the name of one of the farm's clients. */
void strangers_make(struct hosts *hosts, struct made *ret);
void strangers_flood(struct hosts *hosts, struct made *ret);
void strangers_besiege(struct hosts *hosts, struct made *ret);

#endif
