/*
 * Rules that follow upon others, at a reload.
 */
#ifndef LB_TAKEOVER_H
#define LB_TAKEOVER_H

#include "rules.h"

/*
 * For a reload: adds to rules, as gone, the servers of old that have flows (referenced[server]) and
 * aren't in rules any more, and their farms if these are gone too. A farm follows upon one of the
 * same VIP: with a port of it, else of the same name, else if both are the only ones. A server is
 * known by its farm and address; what follows upon several takes over from the first one. IPv6
 * addresses that old has named get the same names in rules, and go on having them. Fills in
 * rules_server.was and .is_heir, and ret_map, from old's server numbers to those in rules, or
 * SERVER_NONE for what nobody references. Returns 0, or -ENOMEM, -E2BIG (more than
 * RULES_SERVERS_KEPT_MAX servers) or -EOVERFLOW (more than RULES_NAMES_MAX names): then rules may
 * hold some of them, and are only good for rules_free().
 */
int takeover_rules(struct rules *rules, const struct rules *old, const bool *referenced,
                   uint16_t *ret_map);

#endif
