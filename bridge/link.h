/*
 * What the kernel says about a network interface.
 */
#ifndef BRIDGE_LINK_H
#define BRIDGE_LINK_H

#include "../lb/bytes.h"

struct link {
	int index;
	bool up; /* administratively */
	bool ethernet;
	uint32_t mtu;   /* bytes */
	int master;     /* index of the bridge, bond or the like that it belongs to, or 0 */
	struct mac mac; /* if ethernet */
};

/*
 * Looks the interface up in this network namespace. Returns 0, -ENODEV if there is none, or another
 * negative errno.
 */
int link_query(const char *name, struct link *ret);

#endif
