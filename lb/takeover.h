/*
 * Rules that follow upon others, at a reload.
 */
#ifndef LB_TAKEOVER_H
#define LB_TAKEOVER_H

#include "rules.h"

#include <stddef.h>

/*
 * For a reload: adds to rules, as gone, the servers of old that have flows (referenced[server]) and
 * aren't in rules any more, and their farms if these are gone too. These servers are reached as
 * way_settle() says by rules, whatever it was by old. A farm follows upon one of the same VIP: with
 * a port of it, else of the same name, else if both are the only ones. A server is known by its
 * farm and address; what follows upon several takes over from the first one. IPv6 addresses that
 * old has named get the same names in rules, and go on having them. Fills in rules_server.was and
 * .is_heir, and ret_map, from old's server numbers to those in rules, or SERVER_NONE for what
 * nobody references. Of SNAT addresses that aren't in rules any more those that are used stay
 * behind the others (rules_farm.nkept), RULES_SNAT_KEPT_MAX at most and unless rules have them for
 * somebody else; used says which: for each farm of old its addresses (those that it kept already
 * included) and then if it has flows without SNAT; or is NULL: any may be. Returns 0, or -ENOMEM,
 * -E2BIG (more than RULES_SERVERS_KEPT_MAX servers) or -EOVERFLOW (more than RULES_NAMES_MAX
 * names): then rules may hold some of them, and are only good for rules_free().
 */
int takeover_rules(struct rules *rules, const struct rules *old, const bool *referenced,
                   const bool *used, uint16_t *ret_map);

/* If takeover_rules() would keep more addresses now than it did when rules were made: then[] is the
 * used[] that it was given, and now[] how that is by now. */
bool takeover_misses(const struct rules *rules, const struct rules *old, const bool *then,
                     const bool *now);

/* Gives rules the n names of IPv6 addresses that there were before, and after them those of
 * addresses that are new. Fails as takeover_rules() does. */
int takeover_names(struct rules *rules, const struct ip6 *before, uint32_t n);

/* How many elements used[] has for rules. */
size_t takeover_count_snat(const struct rules *rules);

#endif
