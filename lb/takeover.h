/*
 * Rules that follow upon others, at a reload.
 */
#ifndef LB_TAKEOVER_H
#define LB_TAKEOVER_H

#include "rules.h"

#include <stddef.h>

/*
 * For a reload: takes over from old what its flows still need.
 *
 * Servers of old that have flows (referenced[server]) and aren't in rules any more are added to
 * rules as gone, and so are their farms if these are gone too. They are reached as way_settle()
 * says by rules, whatever it was by old. A farm follows upon one of the same VIP: one with a port
 * of it, else one of the same name, else any if each is the only farm of that VIP. A server is
 * known by its farm and address. What follows upon several takes over from the first one.
 * rules_server.was and .is_heir say what follows upon what, and so does ret_map: by old's server
 * numbers those in rules, or SERVER_NONE for servers that nobody references.
 *
 * IPv6 addresses that old has named get the same names in rules.
 *
 * SNAT addresses that aren't in rules any more but are used stay, behind the others
 * (rules_farm.nkept): RULES_SNAT_KEPT_MAX at most, and unless rules have them for somebody else.
 * used says which these are: for each farm of old its addresses (those that it kept already
 * included), and behind them if it has flows without SNAT; or is NULL: any may be used.
 *
 * Returns 0, or -ENOMEM, -E2BIG (more than RULES_SERVERS_KEPT_MAX servers) or -EOVERFLOW (more than
 * RULES_NAMES_MAX names): then rules may hold some of them, and are only good for rules_free().
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
