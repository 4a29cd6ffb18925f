/*
 * Which servers may be chosen at all: by state, health, room, what an agent says, and how far a
 * server that returns has got.
 */
#include "sched_fixture.h"

START_TEST(standby_only_while_no_active_is_up)
{
	begin(2);
	rules->servers[1].state = STATE_STANDBY;
	ck_assert(!sched_may_take(&sched, 1));
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(open_one(), 0);
	rules->servers[0].state = STATE_DRAIN;
	rules_changed();
	ck_assert(sched_may_take(&sched, 1));
	ck_assert(sched_is_up(&sched, 0));
	ck_assert_uint_eq(open_one(), 1);
	rules->servers[0].state = STATE_ACTIVE;
	rules_changed();
	ck_assert_uint_eq(open_one(), 0);
	end();
}
END_TEST

START_TEST(last_resort_only_while_no_standby_is_up)
{
	begin(3);
	rules->servers[1].state = STATE_STANDBY;
	rules->servers[2].state = STATE_LAST_RESORT;
	ck_assert_uint_eq(open_one(), 0);
	ck_assert(!sched_may_take(&sched, 2));
	rules->servers[0].state = STATE_DRAIN;
	rules_changed();
	ck_assert(!sched_may_take(&sched, 2));
	ck_assert_uint_eq(open_one(), 1);
	rules->servers[1].state = STATE_DRAIN;
	rules_changed();
	ck_assert(sched_may_take(&sched, 2));
	ck_assert(sched_is_up(&sched, 0));
	ck_assert_uint_eq(open_one(), 2);
	rules->servers[2].weight = 0;
	rules_changed();
	ck_assert(!sched_is_up(&sched, 0));
	rules->servers[0].state = STATE_ACTIVE;
	rules->servers[2].weight = 1;
	rules_changed();
	ck_assert_uint_eq(open_one(), 0);
	end();
}
END_TEST

START_TEST(max_connections_is_kept)
{
	begin(2);
	rules->servers[0].max_connections = 3;
	for (unsigned i = 0; i < 20; i++)
		open_one();
	ck_assert_uint_eq(sched.servers[0].connections, 3);
	rules->servers[1].max_connections = 17;
	rules_changed();
	ck_assert_uint_eq(pick_server(&sched, 0, fixture_client(1), be16_from(0), now),
	                  SERVER_NONE);
	ck_assert(sched_is_up(&sched, 0));
	sched_closed(&sched, 0, true);
	ck_assert_uint_eq(open_one(), 0);
	end();
}
END_TEST

/* One that is full comes after those that aren't, but before nobody while one would make room. */
START_TEST(half_open_ones_make_room)
{
	for (unsigned i = 0; i < RULES_NSCHEDULERS; i++) {
		begin(2);
		rules->farms[0].scheduler = (enum rules_scheduler)i;
		rules->servers[0].max_connections = rules->servers[1].max_connections = 2;
		rules_changed();
		for (unsigned c = 0; c < 4; c++)
			sched_opened(&sched,
			             pick_server(&sched, 0, fixture_client(1), be16_from(0), now));
		ck_assert_uint_eq(sched.servers[0].connections, 2);
		ck_assert(sched_is_full(&sched, 0) && sched_has_room(&sched, 0));
		sched_half_open_no_more(&sched, 0);
		sched_half_open_no_more(&sched, 0);
		ck_assert(!sched_has_room(&sched, 0));
		ck_assert_uint_eq(pick_server(&sched, 0, fixture_client(1), be16_from(0), now), 1);
		sched_closed(&sched, 0, true);
		ck_assert_uint_eq(pick_server(&sched, 0, fixture_client(1), be16_from(0), now), 0);
		sched_opened(&sched, 0);
		sched_half_open_no_more(&sched, 0);
		sched_half_open_no_more(&sched, 1);
		sched_half_open_no_more(&sched, 1);
		ck_assert_uint_eq(pick_server(&sched, 0, fixture_client(1), be16_from(0), now),
		                  SERVER_NONE);
		end();
	}
}
END_TEST

static bool is_another(const void *of, unsigned server)
{
	return server != *(const unsigned *)of;
}

/* The best of those that pass, whatever the scheduler. */
START_TEST(who_does_not_pass_is_passed_over)
{
	unsigned but;

	for (unsigned i = 0; i < RULES_NSCHEDULERS; i++) {
		begin(3);
		rules->farms[0].scheduler = (enum rules_scheduler)i;
		rules_changed();
		for (but = 0; but < 3; but++) {
			uint16_t first = pick_server(&sched, 0, fixture_client(1), be16_from(0),
			                             now),
			         next = pick_server_if(&sched, 0, fixture_client(1), be16_from(0),
			                               now, is_another, &but);

			ck_assert(next != but && next < 3);
			if (i != SCHED_FASTEST && first != but) /* that draws anew each time */
				ck_assert_uint_eq(next, first);
		}
		end();
	}
	begin(1);
	but = 0;
	ck_assert_uint_eq(
	        pick_server_if(&sched, 0, fixture_client(1), be16_from(0), now, is_another, &but),
	        SERVER_NONE);
	end();
}
END_TEST

START_TEST(checked_server_waits_for_its_first_success)
{
	begin_with(checked_rules(2, 2));
	ck_assert(!sched_is_up(&sched, 0));
	ck_assert(!health_report(&health, 1, 0, true, now));
	ck_assert(!sched_is_up(&sched, 0));
	ck_assert(health_report(&health, 1, 1, true, now));
	ck_assert_int_eq(health_of(&health, 1), HEALTH_UP);
	ck_assert_int_eq(health_of(&health, 0), HEALTH_UNKNOWN);
	ck_assert_uint_eq(open_one(), 1);
	end();
}
END_TEST

START_TEST(fall_and_rise)
{
	begin_with(checked_rules(1, 2));
	health_report(&health, 0, 0, true, now);
	health_report(&health, 0, 1, true, now);
	/* two failures, a success, and two more are no three in a row; nor do two checks add up */
	for (unsigned i = 0; i < 2; i++) {
		health_report(&health, 0, 0, false, now);
		health_report(&health, 0, 0, false, now);
		ck_assert(health_in_doubt(&health, 0, 0));
		ck_assert(!health_report(&health, 0, 1, false, now));
		health_report(&health, 0, 0, true, now);
		ck_assert(!health_in_doubt(&health, 0, 0));
	}
	ck_assert(health_report(&health, 0, 1, false, now));
	ck_assert_int_eq(health_of(&health, 0), HEALTH_DOWN);
	ck_assert(!sched_is_up(&sched, 0));
	ck_assert(!health_report(&health, 0, 1, true, now));
	ck_assert(!health_report(&health, 0, 1, false, now));
	ck_assert(!health_report(&health, 0, 1, true, now));
	ck_assert(health_report(&health, 0, 1, true, now));
	ck_assert_int_eq(health_of(&health, 0), HEALTH_UP);
	ck_assert_uint_eq(health.servers[0].probes_failed, 8);
	ck_assert_uint_eq(health.servers[0].probes_ok, 7);
	end();
}
END_TEST

static void fail_all(unsigned nservers, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		for (unsigned s = 0; s < nservers; s++)
			health_report(&health, s, 0, false, now);
}

START_TEST(when_all_fail_at_once_they_are_kept_if_so_wished)
{
	for (unsigned keep = 0; keep < 2; keep++) {
		begin_with(checked_rules(3, 1));
		rules->farms[0].all_down = keep ? ALL_DOWN_KEEP : ALL_DOWN_OUT;
		rules->servers[2].state = STATE_DRAIN; /* one more that is asked */
		for (unsigned s = 0; s < 3; s++)
			health_report(&health, s, 0, true, now);
		fail_all(3, 1);
		ck_assert_uint_eq(health.farms[0].kept, 0);
		fail_all(3, 5);
		ck_assert_int_eq(health_of(&health, 0), keep ? HEALTH_UP : HEALTH_DOWN);
		ck_assert_uint_eq(health.farms[0].kept, keep ? 3 : 0);
		health_report(&health, 1, 0, true, now);
		ck_assert(health_report(&health, 0, 0, false, now) == keep);
		ck_assert_int_eq(health_of(&health, 0), HEALTH_DOWN);
		ck_assert_uint_eq(health.farms[0].kept, keep); /* the third, until it is asked */
		end();
	}
}
END_TEST

START_TEST(one_that_fails_alone_isnt_kept)
{
	begin_with(checked_rules(2, 1));
	rules->farms[0].all_down = ALL_DOWN_KEEP;
	for (unsigned s = 0; s < 2; s++)
		health_report(&health, s, 0, true, now);
	fail_all(1, 2);
	health_report(&health, 1, 0, true, now);
	fail_all(1, 1);
	ck_assert_int_eq(health_of(&health, 0), HEALTH_DOWN);
	fail_all(2, 5); /* now all do: the last one stays */
	ck_assert_int_eq(health_of(&health, 1), HEALTH_UP);
	end();
}
END_TEST

/* Whoever fails first isn't taken out before another one has been asked: with a small `fall` that
 * would be too soon to know. */
START_TEST(the_first_to_fail_waits_for_another_one_s_word)
{
	for (unsigned fall = 1; fall <= 2; fall++) {
		begin_with(checked_rules(3, 1));
		rules->farms[0].all_down = ALL_DOWN_KEEP;
		rules->farms[0].fall = fall;
		for (unsigned s = 0; s < 3; s++)
			health_report(&health, s, 0, true, now);
		fail_all(1, fall + 1); /* twice as often as the others are asked */
		ck_assert_int_eq(health_of(&health, 0), HEALTH_UP);
		ck_assert_uint_eq(health.farms[0].kept, 0);
		health_report(&health, 1, 0, false, now);
		ck_assert_int_eq(health_of(&health, 1), HEALTH_UP);
		/* the third is good: so it is these two */
		health_report(&health, 2, 0, true, now);
		ck_assert(health_report(&health, 0, 0, false, now));
		for (unsigned i = 1; i < fall; i++)
			ck_assert(!health_report(&health, 1, 0, false, now) || i + 1 == fall);
		health_report(&health, 1, 0, false, now);
		ck_assert_int_eq(health_of(&health, 1), HEALTH_DOWN);
		ck_assert_int_eq(health_of(&health, 2), HEALTH_UP);
		end();
	}
}
END_TEST

static bool agent_says(unsigned server, const char *line)
{
	struct agent agent = health.servers[server].agent;

	agent_take(&agent, (const uint8_t *)line, (unsigned)strlen(line));
	return health_agent(&health, server, &agent, now);
}

START_TEST(an_agent_is_understood)
{
	static const struct {
		const char *line;
		struct agent want;
	} lines[] = {
	        {"", {.percent = 100}},
	        {"\n", {.percent = 100}},
	        {"up 75%\r\nmaint", {.percent = 75}},
	        {"UP, Ready,\t10%", {.percent = 10}},
	        {"down#no disk drain 5%\n", {.down = true, .percent = 100}},
	        {"fail", {.down = true, .percent = 100}},
	        {"failed", {.down = true, .percent = 100}},
	        {"stopped up", {.percent = 100}},
	        {"drain", {.drains = true, .percent = 100}},
	        {"drain maint", {.maint = true, .percent = 100}},
	        {"maint drain", {.drains = true, .percent = 100}},
	        {"maint ready", {.percent = 100}},
	        {"101%", {.percent = 100}},
	        {"0%", {.percent = 0}},
	        {"5% % x% -5% 5 5%%", {.percent = 5}},
	        {"5% 99999999999999999999%", {.percent = 100}},
	        {"maxconn:12", {.percent = 100, .max_connections = 12}},
	        {"maxconn: maxconn:x maxconn:-1", {.percent = 100}},
	        /* more than there can be is no limit that one meets, but the one before is over */
	        {"maxconn:7 maxconn:999999999999", {.percent = 100, .max_connections = UINT32_MAX}},
	        {"maxconn:4294967295", {.percent = 100, .max_connections = UINT32_MAX}},
	        {"maxconn:123456789", {.percent = 100, .max_connections = 123456789}},
	        {"maxconn:7 maxconn:0", {.percent = 100}},
	        {"1% 4294967296%", {.percent = 100}},
	        {"downdowndowndowndown", {.percent = 100}},
	        {"maxconn:00000000000000000000000000000000001", {.percent = 100}},
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct agent agent = agent_silent();

		agent_take(&agent, (const uint8_t *)lines[i].line, (unsigned)strlen(lines[i].line));
		ck_assert_msg(agent_eq(&agent, &lines[i].want), "%s", lines[i].line);
	}
}
END_TEST

START_TEST(what_an_agent_says_counts)
{
	unsigned got[FIXTURE_SERVERS];

	begin(2);
	ck_assert(agent_says(0, "down") && health_of(&health, 0) == HEALTH_DOWN);
	ck_assert(!agent_says(0, "50%") && health_of(&health, 0) == HEALTH_DOWN);
	ck_assert(agent_says(0, "up 100%") && health_of(&health, 0) == HEALTH_UP);
	ck_assert(!agent_says(0, "drain"));
	connect_and_close(10, got);
	ck_assert(got[0] == 0 && got[1] == 10);
	ck_assert(!agent_says(1, "maint") && !sched_is_up(&sched, 0));
	ck_assert(!agent_says(0, "ready 0%") && !sched_is_up(&sched, 0));
	ck_assert(!agent_says(0, "25%") && !agent_says(1, "ready"));
	health.servers[0].ramp = (lb_time){0}; /* that is over */
	for (unsigned i = 0; i < 50; i++)
		open_one();
	ck_assert_uint_eq(sched.servers[0].connections, 10);
	end();
}
END_TEST

START_TEST(an_agent_may_limit_connections)
{
	begin(1);
	agent_says(0, "maxconn:2");
	open_one();
	ck_assert(!sched_is_full(&sched, 0));
	open_one();
	ck_assert(sched_is_full(&sched, 0));
	rules->servers[0].max_connections = 1;
	ck_assert(sched_is_full(&sched, 0));
	end();
}
END_TEST

/* A server that has come back isn't flooded with all that the others have more. */
START_TEST(returning_server_ramps_up)
{
	unsigned last = 0;

	begin_with(checked_rules(2, 1));
	health_report(&health, 0, 0, true, now);
	health_report(&health, 1, 0, true, now);
	ck_assert_uint_eq(health_ramp(&health, 1, now), HEALTH_RAMP_STEPS);
	for (unsigned i = 0; i < 3; i++)
		health_report(&health, 1, 0, false, now);
	for (unsigned i = 0; i < 2; i++)
		health_report(&health, 1, 0, true, now);
	for (unsigned s = 0; s <= HEALTH_RAMP_S; s++) {
		unsigned ramp = health_ramp(&health, 1, (lb_time){now.ns + s * LB_NS_PER_S});

		ck_assert_uint_ge(ramp, last);
		ck_assert_uint_ge(ramp, 1);
		last = ramp;
	}
	ck_assert_uint_eq(last, HEALTH_RAMP_STEPS);
	for (unsigned i = 0; i < 170; i++)
		open_one();
	ck_assert_uint_eq(sched.servers[1].connections, 10);
	end();
}
END_TEST

Suite *sched_who_suite(void)
{
	const TTest *const tests[] = {
	        standby_only_while_no_active_is_up,
	        last_resort_only_while_no_standby_is_up,
	        max_connections_is_kept,
	        half_open_ones_make_room,
	        who_does_not_pass_is_passed_over,
	        checked_server_waits_for_its_first_success,
	        fall_and_rise,
	        when_all_fail_at_once_they_are_kept_if_so_wished,
	        one_that_fails_alone_isnt_kept,
	        the_first_to_fail_waits_for_another_one_s_word,
	        an_agent_is_understood,
	        what_an_agent_says_counts,
	        an_agent_may_limit_connections,
	        returning_server_ramps_up,
	        NULL,
	};

	return suite_of("sched_who", tests);
}
