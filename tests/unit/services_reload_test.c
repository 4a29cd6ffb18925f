/*
 * Several farms on one VIP, and services at other ports of the servers, by a reload.
 */
#include "services_fixture.h"
#include "suites.h"

#include <stdlib.h>

/* ---- Reload ---- */

static uint32_t connections(unsigned server)
{
	return lb_balance(engine.lb)->farms->sched.servers[server].connections;
}

/* What of the talks each server has, those of farm f being its own from server 2 f on. */
static void count_talks(const struct talk *talks, unsigned n, unsigned f, unsigned ret[4])
{
	for (unsigned k = 0; k < n; k++)
		ret[2 * f + talks[k].server % 2]++;
}

static void check_counts(const unsigned want[4])
{
	const struct sched *sched = &lb_balance(engine.lb)->farms->sched;

	for (unsigned s = 0; s < 4; s++) {
		require_eq(sched->servers[s].connections, want[s]);
		require_eq(sched->servers[s].load, want[s]);
		require_eq(sched->servers[s].flows, want[s]);
		require_eq(sched->servers[s].half_open, 0);
	}
}

/* One farm is split in two, with the same servers, and these are one again. */
START_TEST(farms_of_a_vip_are_split_and_merged)
{
	static const uint16_t both[] = {80, 443}, first[] = {80}, second[] = {443};
	struct talk web[4], sip[6];

	for (unsigned i = 0; i < 3; i++) {
		struct rules *rules = i == 1 ? two_on_a_vip() : fixture_rules(2);

		set_ports(&rules->farms[0], i == 1 ? first : both, i == 1 ? 1 : 2);
		if (i == 1) {
			set_ports(&rules->farms[1], second, 1);
			for (unsigned s = 0; s < 2; s++)
				rules->servers[2 + s].address = rules->servers[s].address;
		}
		if (!i)
			engine_start(&engine, rules);
		else
			engine_reload(&engine, rules);
		for (unsigned k = 0; !i && k < 6; k++) {
			talk_open(&sip[k], &engine, fixture_client(k), 40001, 443);
			if (k < 4)
				talk_open(&web[k], &engine, fixture_client(k), 40000, 80);
		}
		if (i == 1) {
			unsigned want[4] = {0};

			count_talks(web, 4, 0, want);
			count_talks(sip, 6, 1, want);
			check_counts(want);
		} else {
			require(connections(0) == 5 && connections(1) == 5);
		}
		for (unsigned k = 0; k < 4; k++)
			require_eq(talk_send(&web[k], SERVER, ACK | PSH, 10).why, WHY_FLOW_HIT);
		for (unsigned k = 0; k < 6; k++)
			require_eq(talk_send(&sip[k], CLIENT, ACK | PSH, 10).why, WHY_FLOW_HIT);
	}
	for (unsigned k = 0; k < 6; k++)
		talk_close(&sip[k], SERVER);
	require_eq(connections(0) + connections(1), 4);
	require_eq(times_count(&lb_balance(engine.lb)->farms->times[0].connect) +
	                   times_count(&lb_balance(engine.lb)->farms->times[1].connect),
	           10);
	engine_stop(&engine);
}
END_TEST

/* A farm that is gone is, though its VIP has another one; and a new name changes nothing. */
START_TEST(a_farm_that_leaves_its_vip_is_gone)
{
	struct rules *rules = two_on_a_vip();
	struct talk stays, goes;

	engine_start(&engine, rules);
	talk_open(&stays, &engine, fixture_client(1), 40000, 443);
	talk_open(&goes, &engine, fixture_client(1), 40001, 80);
	rules = two_on_a_vip();
	strcpy(rules->farms[0].name, "farm1");
	strcpy(rules->farms[1].name, "farm0");
	engine_reload(&engine, rules);
	engine_wait_ms(&engine, 2000);
	require_eq(talk_send(&goes, SERVER, ACK | PSH, 10).why, WHY_FLOW_HIT);
	require(connections(0) + connections(1) == 1 && connections(2) + connections(3) == 1);
	rules = two_on_a_vip();
	strcpy(rules->farms[0].name, "other");
	strcpy(rules->farms[1].name, "another");
	engine_reload(&engine, rules);
	engine_wait_ms(&engine, 2000);
	require_eq(talk_send(&goes, SERVER, ACK | PSH, 10).why, WHY_FLOW_HIT);
	engine_reload(&engine, fixture_rules(2));
	engine_wait_ms(&engine, 2000);
	require_eq(lb_balance(engine.lb)->counts.ended[ENDED_RELOAD], 1);
	require_eq(talk_send(&stays, SERVER, ACK | PSH, 10).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

/* What is open goes on to the port that the server knows; what begins goes to the new one; and no
 * tuple is used twice, whatever goes there later. */
START_TEST(another_port_of_the_server_by_reload)
{
	static const uint16_t to[][3] = {{8080, 4430, 443}, {9090, 4430, 443}, {9090, 8080, 443}};
	struct talk first[100], later[100];

	for (unsigned i = 0; i < 3; i++) {
		struct rules *rules = two_on_a_vip();

		map_ports(&rules->farms[1], to[i]);
		fixture_set_snat_ports(&rules->farms[1], 2000, 2199);
		if (!i)
			engine_start(&engine, rules);
		else
			engine_reload(&engine, rules);
		for (unsigned k = 0; !i && k < 100; k++)
			talk_open(&first[k], &engine, fixture_client(k), 40000, 80);
		for (unsigned k = 0; i == 2 && k < 100; k++) {
			talk_open(&later[k], &engine, fixture_client(k), 40001, 442);
			require_eq(later[k].server_port, 8080);
			for (unsigned n = 0; n < 100; n++)
				require(first[n].server % 2 != later[k].server % 2 ||
				        first[n].snat_port != later[k].snat_port);
		}
		for (unsigned k = 0; k < 100; k++)
			require_eq(talk_send(&first[k], SERVER, ACK | PSH, 1).why, WHY_FLOW_HIT);
		if (i) {
			struct talk other;

			talk_open(&other, &engine, fixture_client(1), (uint16_t)(41000 + i), 80);
			require_eq(other.server_port, 9090);
		}
	}
	for (unsigned k = 0; k < 100; k++) {
		talk_close(&first[k], CLIENT);
		require_eq(talk_send(&later[k], SERVER, ACK | PSH, 1).why, WHY_FLOW_HIT);
	}
	engine_wait_ms(&engine, 130 * 1000);
	require_eq(lb_balance(engine.lb)->strays, 0);
	engine_stop(&engine);
}
END_TEST

/* Who uses his port again is sent where the service is now, and not where his last connection was:
 * whether another service is there, or the servers see his own port anyway. */
START_TEST(a_port_used_again_goes_where_the_service_is_now)
{
	static const uint16_t to[][3] = {{8080, 4430, 443}, {9090, 8080, 443}};
	struct talk first[20], again;
	unsigned same = 0;

	for (unsigned snat_off = 0; snat_off < 2; snat_off++) {
		for (unsigned i = 0; i < 2; i++) {
			struct rules *rules = two_on_a_vip();

			map_ports(&rules->farms[1], to[i]);
			if (snat_off)
				fixture_set_snat(&rules->farms[1], NULL, 0);
			if (!i)
				engine_start(&engine, rules);
			else
				engine_reload(&engine, rules);
			for (unsigned k = 0; !i && k < 20; k++) {
				talk_open(&first[k], &engine, fixture_client(k), 40000, 80);
				talk_close(&first[k], CLIENT);
			}
		}
		for (unsigned k = 0; k < 20; k++) {
			struct spec syn = spec_syn(fixture_client(k), 40000, 80);

			syn.seq = 500000000;
			require_eq(talk_syn_from(&again, &engine, &syn).why, WHY_FLOW_NEW);
			require_eq(again.server_port, 9090);
			same += again.server == first[k].server;
		}
		engine_stop(&engine);
	}
	require(same > 0);
}
END_TEST

/* Old flows have ports that are another farm's from now on: these get others. */
START_TEST(snat_ports_that_become_another_farm_s)
{
	struct talk first[100], later[100];

	for (unsigned i = 0; i < 2; i++) {
		struct rules *rules = same_servers();

		fixture_set_snat_ports(&rules->farms[0], 2000, (uint16_t)(i ? 2099 : 2199));
		fixture_set_snat_ports(&rules->farms[1], (uint16_t)(i ? 2100 : 2200), 2299);
		if (i)
			engine_reload(&engine, rules);
		else
			engine_start(&engine, rules);
		for (unsigned k = 0; k < 100; k++)
			talk_open(i ? &later[k] : &first[k], &engine, fixture_client(k),
			          (uint16_t)(2100 + k), i ? 5062 : 443);
	}
	for (unsigned k = 0; k < 100; k++)
		for (unsigned n = 0; n < 100; n++)
			require(first[n].server % 2 != later[k].server % 2 ||
			        first[n].snat_port != later[k].snat_port);
	for (unsigned k = 0; k < 100; k++)
		require_eq(talk_send(&first[k], SERVER, ACK | PSH, 1).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

/* Both farms have the same servers, and n SNAT ports. Without `moved` 443 and 5062 go to the same
 * port of them, and server 1 has no weight; with it 443 goes elsewhere, and all have. */
static struct rules *with_few_ports(uint16_t n, bool moved, enum rules_scheduler scheduler)
{
	static const uint16_t elsewhere[] = {8443, 444, 5060, 5061};
	struct rules *rules = same_servers();

	for (unsigned f = 0; f < 2; f++) {
		fixture_set_snat_ports(&rules->farms[f], 2000, (uint16_t)(2000 + n - 1));
		rules->farms[f].scheduler = scheduler;
	}
	if (moved)
		map_ports(&rules->farms[0], elsewhere);
	else
		rules->servers[1].weight = 0;
	return rules;
}

/* All ports of a server look free by the present rules, and flows from before the reload have them:
 * so it can't be had, and the other one serves for as long as it has any. */
START_TEST(a_server_whose_ports_strays_have_is_passed_over)
{
	const uint16_t sizes[] = {1, 4, 255, 256}, n = sizes[_i % 4];
	struct talk held[256], talk;

	engine_start(&engine, with_few_ports(n, false, (enum rules_scheduler)(_i / 4)));
	for (unsigned k = 0; k < n; k++)
		talk_open(&held[k], &engine, fixture_client(k), 40000, 443);
	engine_reload(&engine, with_few_ports(n, true, (enum rules_scheduler)(_i / 4)));
	require_eq(lb_balance(engine.lb)->strays, n);
	for (unsigned k = 0; k < n; k++) {
		talk_open(&talk, &engine, fixture_client(k), 40001, 5062);
		require_eq(talk.server, 1); /* by its address */
	}
	require_eq(talk_syn(&talk, &engine, fixture_client(n), 40001, 5062).why,
	           WHY_SNAT_EXHAUSTED);
	talk_close(&held[0], CLIENT);
	engine_wait_ms(&engine, 130 * 1000);
	talk_open(&talk, &engine, fixture_client(n), 40001, 5062);
	require_eq(talk.server, 0);
	for (unsigned k = 1; k < n; k++)
		require_eq(talk_send(&held[k], SERVER, ACK | PSH, 1).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

/* Who comes from another farm of the VIP isn't unknown. */
START_TEST(verdicts_go_with_a_farm_that_is_split)
{
	static const uint16_t both[] = {80, 443}, first[] = {80}, second[] = {443};
	const struct farms *farms;

	for (unsigned i = 0; i < 2; i++) {
		struct rules *rules = i ? two_on_a_vip() : fixture_rules(2);

		set_ports(&rules->farms[0], i ? first : both, i ? 1 : 2);
		for (unsigned f = 0; f < 1 + i; f++) {
			if (f)
				set_ports(&rules->farms[1], second, 1);
			rules->farms[f].nchecks = 1;
			rules->farms[f].checks = calloc(1, sizeof(be16));
			rules->farms[f].checks[0] = be16_from(443);
		}
		for (unsigned s = 0; i && s < 2; s++)
			rules->servers[2 + s].address = rules->servers[s].address;
		if (i)
			engine_reload(&engine, rules);
		else
			engine_start(&engine, rules);
		for (unsigned n = 0; !i && n < 3; n++)
			for (unsigned s = 0; s < 2; s++)
				lb_probed(engine.lb, s, 0, s, engine.now);
	}
	farms = lb_balance(engine.lb)->farms;
	for (unsigned s = 0; s < 4; s++)
		require_eq(health_of(&farms->health, s), s % 2 ? HEALTH_UP : HEALTH_DOWN);
	engine_stop(&engine);
}
END_TEST

Suite *services_reload_suite(void)
{
	const TTest *const tests[] = {
	        farms_of_a_vip_are_split_and_merged,
	        a_farm_that_leaves_its_vip_is_gone,
	        another_port_of_the_server_by_reload,
	        a_port_used_again_goes_where_the_service_is_now,
	        snat_ports_that_become_another_farm_s,
	        verdicts_go_with_a_farm_that_is_split,
	        NULL,
	};
	Suite *suite = suite_of("services_reload", tests);
	TCase *tcase = tcase_create("strays");

	tcase_add_loop_test(tcase, a_server_whose_ports_strays_have_is_passed_over, 0,
	                    4 * RULES_NSCHEDULERS);
	suite_add_tcase(suite, tcase);
	return suite;
}
