/*
 * What is known of a server's health when rules are replaced.
 */
#include "reload_fixture.h"

#include <stdlib.h>

static struct rules *checked_rules(unsigned nservers, unsigned nchecks)
{
	struct rules *rules = fixture_rules(nservers);
	struct rules_farm *farm = &rules->farms[0];

	farm->checks = calloc(nchecks, sizeof(*farm->checks));
	for (unsigned i = 0; i < nchecks; i++)
		farm->checks[i] = farm->ports[i];
	farm->nchecks = nchecks;
	return rules;
}

START_TEST(verdicts_go_along)
{
	engine_start(&engine, checked_rules(3, 1));
	lb_probed(engine.lb, 0, 0, true, engine.now);
	for (unsigned i = 0; i < 3; i++)
		lb_probed(engine.lb, 1, 0, false, engine.now);
	engine_reload(&engine, checked_rules(4, 2));
	ck_assert_int_eq(health_of(&balance()->farms->health, 0), HEALTH_UP);
	ck_assert_int_eq(health_of(&balance()->farms->health, 1), HEALTH_DOWN);
	ck_assert_int_eq(health_of(&balance()->farms->health, 2), HEALTH_UNKNOWN);
	ck_assert_int_eq(health_of(&balance()->farms->health, 3), HEALTH_UNKNOWN);
	/* the new check of the first one fails for real */
	for (unsigned i = 0; i < 3; i++)
		lb_probed(engine.lb, 0, 1, false, engine.now);
	ck_assert_int_eq(health_of(&balance()->farms->health, 0), HEALTH_DOWN);
	/* without checks all are up */
	engine_reload(&engine, fixture_rules(4));
	for (unsigned s = 0; s < 4; s++)
		ck_assert_int_eq(health_of(&balance()->farms->health, s), HEALTH_UP);
	engine_stop(&engine);
}
END_TEST

static enum health_verdict health_of_first(void)
{
	return health_of(&balance()->farms->health, 0);
}

/* What nobody has checked isn't believed: who was away comes back as somebody new. */
START_TEST(server_that_was_away_is_unknown)
{
	for (unsigned removed = 0; removed < 2; removed++) {
		struct rules *rules = checked_rules(2, 1);

		engine_start(&engine, checked_rules(2, 1));
		lb_probed(engine.lb, 0, 0, true, engine.now);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		ck_assert_uint_eq(talk.server, 0);
		if (removed)
			rules->servers[0].address = ip4(10, 0, 0, 99);
		else
			rules->servers[0].state = STATE_DISABLED;
		engine_reload(&engine, rules);
		check_goes_on(&talk, fixture_server(0));
		engine_wait_ms(&engine, 60 * S);
		engine_reload(&engine, checked_rules(2, 1));
		ck_assert_int_eq(health_of_first(), HEALTH_UNKNOWN);
		check_goes_on(&talk, fixture_server(0));
		lb_probed(engine.lb, 0, 0, true, engine.now);
		ck_assert_int_eq(health_of_first(), HEALTH_UP);
		ck_assert_uint_eq(health_ramp(&balance()->farms->health, 0, engine.now), 1);
		ck_assert_uint_eq(balance()->farms->health.servers[0].probes_ok, 2);
		engine_stop(&engine);
	}
}
END_TEST

/* Who is away is probed while he has flows, and they end with him. */
START_TEST(server_that_is_away_may_die)
{
	for (unsigned removed = 0; removed < 2; removed++) {
		struct rules *rules = checked_rules(2, 1);
		unsigned server;

		engine_start(&engine, checked_rules(2, 1));
		lb_probed(engine.lb, 0, 0, true, engine.now);
		lb_probed(engine.lb, 1, 0, true, engine.now);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		if (removed)
			rules->servers[talk.server].address = ip4(10, 0, 0, 99);
		else
			rules->servers[talk.server].state = STATE_DISABLED;
		engine_reload(&engine, rules);
		server = removed ? 2 : talk.server;
		for (unsigned i = 0; i < 3; i++)
			lb_probed(engine.lb, server, 0, false, engine.now);
		engine_wait_ms(&engine, 100);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_SERVER_DOWN], 1);
		engine_stop(&engine);
	}
}
END_TEST

/* Checks that the file has only got since a server is gone from it aren't his: who never had to
 * answer them loses nothing by that. One that he has answered counts. */
START_TEST(server_that_is_gone_fails_by_his_own_checks)
{
	enum { GONE = 2, NEW_ONE_FAILS = 0, OWN_ONE_FAILS, NEW_ONE_WAS_GOOD, WAYS };

	for (unsigned way = 0; way < WAYS; way++) {
		be32 address;

		engine_start(&engine, checked_rules(2, 1));
		for (unsigned s = 0; s < 2; s++)
			lb_probed(engine.lb, s, 0, true, engine.now);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		address = fixture_server(talk.server);
		for (unsigned reloads = 0; reloads < 2; reloads++) {
			struct rules *rules = checked_rules(2, 2);

			rules->servers[be32_eq(address, fixture_server(1))].address =
			        ip4(10, 0, 0, 99);
			engine_reload(&engine, rules);
			ck_assert(engine.rules->servers[GONE].gone);
			for (unsigned i = 0; i < 5; i++)
				lb_probed(engine.lb, GONE, 1, false, engine.now);
			engine_wait_ms(&engine, 100);
			check_goes_on(&talk, address);
		}
		lb_probed(engine.lb, GONE, 1, way == NEW_ONE_WAS_GOOD, engine.now);
		for (unsigned i = 0; i < 3; i++)
			lb_probed(engine.lb, GONE, way != OWN_ONE_FAILS, false, engine.now);
		engine_wait_ms(&engine, 100);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_SERVER_DOWN], way != NEW_ONE_FAILS);
		engine_stop(&engine);
	}
}
END_TEST

/* Who comes back, though disabled, is in the file with all the checks there are. */
START_TEST(server_that_comes_back_disabled_fails_by_all_checks)
{
	struct rules *rules = checked_rules(2, 2);
	unsigned server;

	engine_start(&engine, checked_rules(2, 1));
	for (unsigned s = 0; s < 2; s++)
		lb_probed(engine.lb, s, 0, true, engine.now);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	server = talk.server;
	rules->servers[server].address = ip4(10, 0, 0, 99);
	engine_reload(&engine, rules);
	rules = checked_rules(2, 2);
	rules->servers[server].state = STATE_DISABLED;
	engine_reload(&engine, rules);
	for (unsigned i = 0; i < 3; i++)
		lb_probed(engine.lb, server, 1, false, engine.now);
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_SERVER_DOWN], 1);
	engine_stop(&engine);
}
END_TEST

static struct rules *disabled_rules(void)
{
	struct rules *rules = checked_rules(2, 1);

	rules->servers[0].state = STATE_DISABLED;
	return rules;
}

/* However often rules are replaced meanwhile: what its probes have found is not forgotten. */
START_TEST(server_that_is_away_may_die_over_reloads)
{
	engine_start(&engine, checked_rules(2, 1));
	lb_probed(engine.lb, 0, 0, true, engine.now);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_eq(talk.server, 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(balance()->counts.ended[ENDED_SERVER_DOWN], 0);
		engine_reload(&engine, disabled_rules());
		if (!i)
			ck_assert_int_eq(health_of_first(), HEALTH_UNKNOWN);
		lb_probed(engine.lb, 0, 0, false, engine.now);
		engine_wait_ms(&engine, 100);
	}
	ck_assert_uint_eq(balance()->counts.ended[ENDED_SERVER_DOWN], 1);
	engine_reload(&engine, disabled_rules());
	ck_assert_int_eq(health_of_first(), HEALTH_DOWN);
	engine_reload(&engine, checked_rules(2, 1));
	ck_assert_int_eq(health_of_first(), HEALTH_UNKNOWN);
	engine_stop(&engine);
}
END_TEST

/* A new check is believed to be good where the others are, whatever an operator or an agent says
 * of the server meanwhile. */
START_TEST(what_others_say_is_no_check)
{
	const struct agent down = {.down = true, .percent = 100}, up = {.percent = 100};

	for (unsigned good = 0; good < 2; good++)
		for (unsigned by_agent = 0; by_agent < 2; by_agent++) {
			struct rules *before = checked_rules(1, 1), *after = checked_rules(1, 2);

			before->farms[0].agent = after->farms[0].agent = be16_from(9000);
			engine_start(&engine, before);
			if (good)
				lb_probed(engine.lb, 0, 0, true, engine.now);
			if (by_agent)
				lb_agent(engine.lb, 0, &down, engine.now);
			else
				lb_force_health(engine.lb, 0, good ? HEALTH_DOWN : HEALTH_UP,
				                engine.now);
			engine_reload(&engine, after);
			lb_probed(engine.lb, 0, 0, true, engine.now);
			lb_agent(engine.lb, 0, &up, engine.now);
			lb_force_health(engine.lb, 0, HEALTH_UNKNOWN, engine.now);
			ck_assert_int_eq(health_of_first(), good ? HEALTH_UP : HEALTH_UNKNOWN);
			engine_stop(&engine);
		}
}
END_TEST

static struct rules *rules_with_agent(uint16_t port)
{
	struct rules *rules = checked_rules(2, 1);

	rules->farms[0].agent = be16_from(port);
	return rules;
}

/* An operator's word, or an agent's, ends a server's flows; the former outlives a reload, the
 * latter one that leaves the agent where it is. */
START_TEST(what_others_say_counts_over_reloads)
{
	const struct agent down = {.down = true, .percent = 100};

	for (unsigned by_agent = 0; by_agent < 2; by_agent++) {
		engine_start(&engine, rules_with_agent(9000));
		lb_probed(engine.lb, 0, 0, true, engine.now);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		ck_assert_uint_eq(talk.server, 0);
		if (by_agent)
			lb_agent(engine.lb, 0, &down, engine.now);
		else
			lb_force_health(engine.lb, 0, HEALTH_DOWN, engine.now);
		engine_wait_ms(&engine, 100);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_SERVER_DOWN], 1);
		engine_reload(&engine, rules_with_agent(9000));
		ck_assert_int_eq(health_of_first(), HEALTH_DOWN);
		engine_reload(&engine, rules_with_agent(9001));
		ck_assert_int_eq(health_of_first(), by_agent ? HEALTH_UP : HEALTH_DOWN);
		lb_force_health(engine.lb, 0, HEALTH_UNKNOWN, engine.now);
		ck_assert_int_eq(health_of_first(), HEALTH_UP);
		engine_stop(&engine);
	}
}
END_TEST

static struct rules *keeping_rules(unsigned nservers)
{
	struct rules *rules = checked_rules(nservers, 1);

	rules->farms[0].all_down = ALL_DOWN_KEEP;
	return rules;
}

static void probe_first(unsigned n, bool ok)
{
	for (unsigned s = 0; s < n; s++)
		lb_probed(engine.lb, s, 0, ok, engine.now);
}

/* Who hasn't been asked yet is no proof that the others could be reached. */
START_TEST(a_new_server_ends_no_all_down_keep)
{
	const struct health *health;

	engine_start(&engine, keeping_rules(2));
	probe_first(2, true);
	for (unsigned i = 0; i < 4; i++)
		probe_first(2, false);
	engine_reload(&engine, keeping_rules(3));
	health = &balance()->farms->health;
	ck_assert_uint_eq(health->farms[0].kept, 2);
	probe_first(2, false);
	ck_assert_int_eq(health_of_first(), HEALTH_UP);
	lb_probed(engine.lb, 2, 0, true, engine.now);
	ck_assert_int_eq(health_of_first(), HEALTH_UP);
	probe_first(2, false);
	ck_assert_int_eq(health_of_first(), HEALTH_DOWN);
	ck_assert_int_eq(health_of(health, 2), HEALTH_UP);
	ck_assert_uint_eq(health->farms[0].kept, 0);
	engine_stop(&engine);
}
END_TEST

/* Nor is one that is disabled, whatever its probes say: it neither fails with the others, nor
 * proves that they could be reached. */
START_TEST(who_is_disabled_ends_no_all_down_keep)
{
	for (unsigned fall = 1; fall <= 3; fall += 2) {
		struct rules *rules = keeping_rules(3);

		rules->servers[2].state = STATE_DISABLED;
		rules->farms[0].fall = fall;
		engine_start(&engine, rules);
		probe_first(3, true);
		for (unsigned i = 0; i < 4; i++) {
			lb_probed(engine.lb, 0, 0, false, engine.now);
			lb_probed(engine.lb, 2, 0, i % 2, engine.now);
			ck_assert_int_eq(health_of_first(), HEALTH_UP);
		}
		for (unsigned i = 0; i < 4; i++) {
			probe_first(2, false);
			lb_probed(engine.lb, 2, 0, i % 2, engine.now);
			ck_assert_int_eq(health_of_first(), HEALTH_UP);
		}
		ck_assert_uint_eq(balance()->farms->health.farms[0].kept, 2);
		engine_stop(&engine);
	}
}
END_TEST

Suite *reload_verdicts_suite(void)
{
	const TTest *const tests[] = {
	        verdicts_go_along,
	        server_that_was_away_is_unknown,
	        server_that_is_away_may_die,
	        server_that_is_gone_fails_by_his_own_checks,
	        server_that_comes_back_disabled_fails_by_all_checks,
	        server_that_is_away_may_die_over_reloads,
	        what_others_say_is_no_check,
	        what_others_say_counts_over_reloads,
	        a_new_server_ends_no_all_down_keep,
	        who_is_disabled_ends_no_all_down_keep,
	        NULL,
	};

	return suite_of("reload_verdicts", tests);
}
