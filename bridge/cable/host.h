/*
 * What the host has beside tmbridge, where that is no cable: addresses, and routes to servers.
 */
#ifndef BRIDGE_HOST_H
#define BRIDGE_HOST_H

#include "link.h"
#include "../../lb/rules.h"

/*
 * The host's addresses, those of the interfaces of these indices (0: none) as being on that side.
 * Link-local and loopback ones don't count, nor more than RULES_NETS_MAX. Returns 0 or a negative
 * errno.
 */
int host_nets(struct mnl_socket *socket, const int indices[NSIDES], struct rules_nets *ret);

/*
 * Asks the kernel for the way to each server of the file, or (gone) to each that is gone from it,
 * and notes it in rules, unless these name a gateway for it. One that isn't reached by these
 * interfaces is left as it is, and logged. Returns 0 or a negative errno: -EOVERFLOW if the rules
 * have too many names of IPv6 addresses.
 */
int host_routes(struct mnl_socket *socket, const int indices[NSIDES], struct rules *rules,
                bool gone);

/* If the host's addresses and routes are still those by which rules were made. */
bool host_is_as(struct mnl_socket *socket, const int indices[NSIDES], const struct rules *rules);

/* host_nets() and host_routes() for rules that are loaded before a socket is open. */
void host_ask(const char *const names[NSIDES], struct rules_nets *ret);
int host_settle(const char *const names[NSIDES], struct rules *rules);

#endif
