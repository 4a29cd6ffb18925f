/*
 * To which worker a packet belongs for which this one has no flow.
 */
#ifndef LB_OWNER_H
#define LB_OWNER_H

#include "farms.h"

/*
 * The worker to whom a TCP packet belongs that arrives in vlan with this tuple, which is for us or,
 * with `snat = off`, from a server. src6 and dst6 are the addresses of IPv6, else NULL.
 */
unsigned owner_of(const struct farms *farms, const struct tuple *arriving, const struct ip6 *src6,
                  const struct ip6 *dst6, uint16_t vlan);

#endif
