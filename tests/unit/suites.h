/*
 * The suites of the unit tests, one for each unit.
 */
#ifndef UNIT_SUITES_H
#define UNIT_SUITES_H

#include <check.h>
#include <stdint.h>

Suite *announcer_suite(void);
Suite *balance_suite(void);
Suite *capture_suite(void);
Suite *carrier_suite(void);
Suite *cfg_suite(void);
Suite *cfg_bounds_suite(void);
Suite *cfg_changes_suite(void);
Suite *cfg_right_suite(void);
Suite *cfg_values_suite(void);
Suite *cfg_wrong_suite(void);
Suite *chat_suite(void);
Suite *csum_suite(void);
Suite *ended_suite(void);
Suite *edges_suite(void);
Suite *express_suite(void);
Suite *fastest_suite(void);
Suite *limits_suite(void);
Suite *listener_suite(void);
Suite *firewall_suite(void);
Suite *filters_suite(void);
Suite *fastpath_suite(void);
Suite *flow_suite(void);
Suite *table_suite(void);
Suite *lane_suite(void);
Suite *adopt_suite(void);
Suite *frag_suite(void);
Suite *frag_twin_suite(void);
Suite *icmp_suite(void);
Suite *inbox_suite(void);
Suite *index_suite(void);
Suite *inlet_suite(void);
Suite *ipv6_suite(void);
Suite *judge_suite(void);
Suite *kept_suite(void);
Suite *known_suite(void);
Suite *l2_suite(void);
Suite *lb_suite(void);
Suite *lb_ends_suite(void);
Suite *log_suite(void);
Suite *logfile_suite(void);
Suite *manager_suite(void);
Suite *mirror_suite(void);
Suite *neigh_suite(void);
Suite *numbers_suite(void);
Suite *options_suite(void);
Suite *oracle_suite(void);
Suite *page_suite(void);
Suite *parse_suite(void);
Suite *persist_suite(void);
Suite *persist_twin_suite(void);
Suite *reload_suite(void);
Suite *precedence_suite(void);
Suite *probes_suite(void);
Suite *revive_suite(void);
Suite *rewrite_suite(void);
Suite *sched_suite(void);
Suite *segments_suite(void);
Suite *segment_suite(void);
Suite *topology_suite(void);
Suite *services_suite(void);
Suite *share_suite(void);
Suite *steer_suite(void);
Suite *snat_suite(void);
Suite *snat_twin_suite(void);
Suite *tcp_suite(void);
Suite *text_suite(void);
Suite *timers_suite(void);
Suite *times_suite(void);
Suite *tuple_suite(void);
Suite *vlan_suite(void);
Suite *vnet_suite(void);

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
