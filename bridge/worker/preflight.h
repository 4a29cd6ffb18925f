/*
 * What would go wrong, said before the wire is taken.
 */
#ifndef BRIDGE_PREFLIGHT_H
#define BRIDGE_PREFLIGHT_H

#include "../port/port.h"
#include "../../lb/rules.h"

/*
 * Looks at both interfaces, named by enum side. Returns 0, or a negative errno with the first thing
 * that is wrong logged.
 */
int preflight_interfaces(const char *const names[NSIDES], bool may_be_down);

/*
 * Asks on both open ports, for a third of a second, whether anybody has one of the rules' VIPs or
 * SNAT addresses already (RFC 5227), and whether the ports are connected to each other. What else
 * arrives meanwhile is lost. Returns as preflight_interfaces().
 */
int preflight_addresses(struct port *ports[NSIDES], const struct rules *rules);

#endif
