/*
 * The path of a burst through the engine.
 */
#ifndef LB_PATH_H
#define LB_PATH_H

#include "engine.h"

enum {
	PATH_BURST = 32, /* frames that go through the steps together */
	PATH_AHEAD = 12, /* of these, for how many what IPv6 needs besides is fetched ahead */
};

/* Decides upon n frames, PATH_BURST at most: see lb_input(). */
void path_input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret);

#endif
