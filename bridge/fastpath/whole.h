/*
 * What the fast path is made of: for fastpath.c and servers.c, which are its only readers.
 */
#ifndef BRIDGE_WHOLE_H
#define BRIDGE_WHOLE_H

#include "attached.h"
#include "filters.h"
#include "maps.h"
#include "pins.h"

static_assert(sizeof(((struct fastpath_left *)NULL)->ours) / sizeof(uint32_t) >= NSETTINGS,
              "room for all");

struct fastpath {
	struct mnl_socket *socket;
	struct pins pins;
	struct maps maps;
	struct filters filters;
	struct link punts[NSIDES];
	uint64_t refused[NSIDES]; /* of these: as last read */
	struct attached ends[NSIDES];
	bool was_left, inherits, has_begun;
	unsigned holds; /* enum fastpath_hold */
	int unfiltered; /* why the kernel won't have the filters that were prepared last, or 0 */
};

#endif
