/*
 * The table of addresses that the programs look at.
 */
#ifndef BRIDGE_KNOWN_H
#define BRIDGE_KNOWN_H

#include "shared.h"

/* How many places either half of the map `addresses` should have for rules, with room to grow.
 * Returns 0 if memory runs out. */
uint32_t known_places(const struct rules *rules);

/*
 * Writes the addresses of rules into the half of places that conf doesn't use. Returns 0, -ENOMEM,
 * or -E2BIG if they don't fit.
 */
int known_prepare(struct fastpath_conf *conf, struct fastpath_address *places,
                  const struct rules *rules);

/* Has conf use that half. */
void known_use(struct fastpath_conf *conf);

/* What the address is in that VLAN, as the programs find it: ADDRESS_..., or 0. */
uint32_t known_kinds(const struct fastpath_conf *conf, const struct fastpath_address *places,
                     const struct fastpath_key *key, uint16_t vlan);

#endif
