/*
 * Runs all unit tests. CK_FORK, CK_RUN_SUITE and CK_VERBOSITY are Check's; SEED repeats a run.
 */
#include "random.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_S = 60 };

Suite *suite_of(const char *name, const TTest *const *tests)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, TIMEOUT_S);
	for (; *tests; tests++)
		tcase_add_test(tcase, *tests);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	Suite *(*const suites[])(void) = {
	        chat_suite,        csum_suite,      tuple_suite,      parse_suite,
	        rewrite_suite,     index_suite,     table_suite,      flow_suite,
	        tcp_suite,         snat_suite,      sched_suite,      balance_suite,
	        lb_suite,          lb_ends_suite,   cfg_suite,        cfg_bounds_suite,
	        cfg_changes_suite, cfg_right_suite, cfg_values_suite, cfg_wrong_suite,
	        frag_suite,        icmp_suite,      ipv6_suite,       persist_suite,
	        ended_suite,       express_suite,   reload_suite,     options_suite,
	        l2_suite,          neigh_suite,     capture_suite,    mirror_suite,
	        carrier_suite,     share_suite,     revive_suite,     edges_suite,
	        steer_suite,       oracle_suite,    snat_twin_suite,  persist_twin_suite,
	        frag_twin_suite,   vnet_suite,      log_suite,        logfile_suite,
	        timers_suite,      text_suite,      page_suite,       probes_suite,
	        vlan_suite,        known_suite,     fastpath_suite,   judge_suite,
	        inlet_suite,       segments_suite,  segment_suite,    topology_suite,
	        inbox_suite,       numbers_suite,   announcer_suite,  lane_suite,
	        adopt_suite,       manager_suite,   services_suite,   times_suite,
	        fastest_suite,     limits_suite,    firewall_suite,   precedence_suite,
	        kept_suite,        listener_suite,  filters_suite,
	};
	SRunner *runner = srunner_create(NULL);
	int failed;

	random_choose_seed(getenv("SEED"));
	printf("SEED=%llu\n", (unsigned long long)random_seed());
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		srunner_add_suite(runner, suites[i]());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
