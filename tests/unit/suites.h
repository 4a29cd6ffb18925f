/*
 * The suites of the unit tests, one for each unit.
 */
#ifndef UNIT_SUITES_H
#define UNIT_SUITES_H

#include <check.h>
#include <stdint.h>

/* Each suite by its name; NAME_suite() makes it. One that is missing here is never run. */
#define SUITES(X)                                                                                  \
	X(adopt)                                                                                   \
	X(adopt_checks)                                                                            \
	X(announcer)                                                                               \
	X(answers)                                                                                 \
	X(balance)                                                                                 \
	X(balance_full)                                                                            \
	X(balance_ports)                                                                           \
	X(barred)                                                                                  \
	X(barred_full)                                                                             \
	X(best)                                                                                    \
	X(capture)                                                                                 \
	X(carrier)                                                                                 \
	X(cfg)                                                                                     \
	X(cfg_bounds)                                                                              \
	X(cfg_changes)                                                                             \
	X(cfg_right)                                                                               \
	X(cfg_values)                                                                              \
	X(cfg_wrong)                                                                               \
	X(challenges)                                                                              \
	X(chat)                                                                                    \
	X(clock)                                                                                   \
	X(console_guard)                                                                           \
	X(console_history)                                                                         \
	X(console_seats)                                                                           \
	X(csum)                                                                                    \
	X(edges)                                                                                   \
	X(edges_wrong)                                                                             \
	X(ended)                                                                                   \
	X(errand)                                                                                  \
	X(express)                                                                                 \
	X(fastest)                                                                                 \
	X(fastpath)                                                                                \
	X(fastpath_edges)                                                                          \
	X(fastpath_names)                                                                          \
	X(fastpath_twins)                                                                          \
	X(fastpath_ways)                                                                           \
	X(fastpath_wire)                                                                           \
	X(fastpath_workers)                                                                        \
	X(filters)                                                                                 \
	X(filters_exchange)                                                                        \
	X(filters_peek)                                                                            \
	X(filters_merged)                                                                          \
	X(firewall)                                                                                \
	X(flow)                                                                                    \
	X(flow_hops)                                                                               \
	X(frag)                                                                                    \
	X(frag_table)                                                                              \
	X(frag_twin)                                                                               \
	X(icmp)                                                                                    \
	X(inbox)                                                                                   \
	X(index)                                                                                   \
	X(inlet)                                                                                   \
	X(ipv6)                                                                                    \
	X(ipv6_names)                                                                              \
	X(ipv6_nd)                                                                                 \
	X(ipv6_only)                                                                               \
	X(judge)                                                                                   \
	X(judge_anew)                                                                              \
	X(kept)                                                                                    \
	X(kept_ports)                                                                              \
	X(known)                                                                                   \
	X(l2)                                                                                      \
	X(lane)                                                                                    \
	X(lane_order)                                                                              \
	X(lb)                                                                                      \
	X(lb_ends)                                                                                 \
	X(lb_farms)                                                                                \
	X(lb_flow)                                                                                 \
	X(lb_others)                                                                               \
	X(lb_rst)                                                                                  \
	X(lb_wire)                                                                                 \
	X(least)                                                                                   \
	X(limits)                                                                                  \
	X(limits_count)                                                                            \
	X(limits_table)                                                                            \
	X(link)                                                                                    \
	X(listener)                                                                                \
	X(log)                                                                                     \
	X(logfile)                                                                                 \
	X(manager)                                                                                 \
	X(mirror)                                                                                  \
	X(neigh)                                                                                   \
	X(neigh_claims)                                                                            \
	X(numbers)                                                                                 \
	X(options)                                                                                 \
	X(oracle)                                                                                  \
	X(outlet)                                                                                  \
	X(page)                                                                                    \
	X(parse)                                                                                   \
	X(parse_bounds)                                                                            \
	X(persist)                                                                                 \
	X(persist_twin)                                                                            \
	X(precedence)                                                                              \
	X(priority)                                                                                \
	X(probes)                                                                                  \
	X(probes_reload)                                                                           \
	X(quantity)                                                                                \
	X(refuse)                                                                                  \
	X(reload)                                                                                  \
	X(reload_numbers)                                                                          \
	X(reload_verdicts)                                                                         \
	X(request)                                                                                 \
	X(revive)                                                                                  \
	X(rewrite)                                                                                 \
	X(rows)                                                                                    \
	X(rush)                                                                                    \
	X(sched)                                                                                   \
	X(sched_who)                                                                               \
	X(segment)                                                                                 \
	X(segments)                                                                                \
	X(services)                                                                                \
	X(services_reload)                                                                         \
	X(share)                                                                                   \
	X(snat)                                                                                    \
	X(snat_pools)                                                                              \
	X(snat_twin)                                                                               \
	X(steer)                                                                                   \
	X(strangers)                                                                               \
	X(syscalls)                                                                                \
	X(table)                                                                                   \
	X(tap)                                                                                     \
	X(tcp)                                                                                     \
	X(tcp_strays)                                                                              \
	X(text)                                                                                    \
	X(time_wait)                                                                               \
	X(times)                                                                                   \
	X(topology)                                                                                \
	X(tuple)                                                                                   \
	X(vlan)                                                                                    \
	X(vnet)                                                                                    \
	X(way_held)

#define DECLARE_SUITE(name) Suite *name##_suite(void);
SUITES(DECLARE_SUITE)

/*
 * ck_assert() and ck_assert_uint_eq() for loops: Check's own write a message to the parent process
 * each time, also when all is well.
 */
#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("'%s' doesn't hold", #condition);                             \
	} while (0)

#define require_eq(a, b)                                                                           \
	do {                                                                                       \
		uintmax_t require_a = (uintmax_t)(a), require_b = (uintmax_t)(b);                  \
                                                                                                   \
		if (require_a != require_b)                                                        \
			ck_abort_msg("%s is %ju, %s is %ju", #a, require_a, #b, require_b);        \
	} while (0)

/* A suite of one case named name, made of the tests up to NULL. */
Suite *suite_of(const char *name, const TTest *const *tests);

#endif
