/*
 * What a reload says that it has changed.
 */
#include "rules_text.h"
#include "suites.h"

#include "../../cfg/changes.h"
#include "../../lb/takeover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what a reload changes ---- */

static const struct {
	const char *old, *now, *changes;
} changed[] = {
        {FARM_X SERVER_A, FARM_X SERVER_A, ""},
        /* written out, or in another order or another way */
        {FARM_X SERVER_A,
         SERVER_A "state = active\n[farm x]\nports = 80,80\nvip = 10.0.0.40\nsnat = 10.0.0.40\n"
                  "vlan = off\n[bridge]\nworkers = 1\n",
         ""},
        {FARM_X SERVER_A,
         "[bridge]\nmax_connections = 5\nlink_mirror = yes\n" FARM_X
         "idle_timeout = 90m\nscheduler = rr\ncheck = 80-82\nvlan = 5\nconnlog = /a b\n" SERVER_A
         "weight = 3\nstate = drain\nmac = 02:00:00:00:00:41\n",
         "[bridge] max_connections: 1000000 -> 5\n"
         "[bridge] link_mirror: no -> yes\n"
         "[farm x] check: none -> 80-82\n"
         "[farm x] scheduler: wlc -> rr\n"
         "[farm x] idle_timeout: 30m -> 90m\n"
         "[farm x] vlan: off -> 5\n"
         "[farm x] connlog: none -> /a b\n"
         "[server a] weight: 1 -> 3\n"
         "[server a] state: active -> drain\n"
         "[server a] mac: none -> 02:00:00:00:00:41\n"
         "[server a] vlan: off -> 5\n"},
        {FARM_X "snat = 10.0.0.40, 10.0.0.60-10.0.0.62\n" SERVER_A, FARM_X "snat = off\n" SERVER_A,
         "[farm x] snat: 10.0.0.40, 10.0.0.60-10.0.0.62 -> off\n"},
        {FARM_X SERVER_A, FARM_X "preset = ocs2007r2\n" SERVER_A,
         "[farm x] check: none -> 444, 5061\n"},
        /* sections come, go, and move to another farm */
        {FARM_X FARM_Y SERVER_A "[server b]\nfarm = x\naddress = 10.0.0.42\n",
         FARM_X "[farm z]\nvip = 10.0.0.50\nports = 80\n"
                "[server c]\nfarm = x\naddress = 10.0.0.42\n"
                "[server a]\nfarm = z\naddress = 10.0.0.43\n",
         "[farm z] is new\n"
         "[server c] is new\n"
         "[server a] farm: x -> z\n"
         "[server a] address: 10.0.0.41 -> 10.0.0.43\n"
         "[farm y] is gone\n"
         "[server b] is gone\n"},
        {FARM_X "check = 80 c\n[check c]\nexpect = A\n[check d]\nexpect = B\n",
         FARM_X "check = 81 c, 80\n[check c]\nexpect = A\\x00\nsend = \\r\n"
                "[check e]\nexpect = B\n",
         "[farm x] check: 80 c -> 80, 81 c\n"
         "[check c] send: none -> \\r\n"
         "[check c] expect: A -> A\\x00\n"
         "[check e] is new\n"
         "[check d] is gone\n"},
        {FARM_X "[filter f]\nmatch = tcp\naction = count\n"
                "[filter g]\nmatch = udp\naction = drop\n",
         FARM_X "[filter f]\nmatch = any\naction = pass\nside = inside\nrate = 5\nlog = yes\n"
                "[filter h]\nmatch = udp\naction = drop\n",
         "[filter f] match: tcp -> any\n"
         "[filter f] side: both -> inside\n"
         "[filter f] action: count -> pass\n"
         "[filter f] rate: off -> 5\n"
         "[filter f] log: no -> yes\n"
         "[filter h] is new\n"
         "[filter g] is gone\n"},
        /* names of IPv6 addresses are each file's own */
        {FARM_X6 SERVER_A6, "[farm y]\nvip = fd00::1\nports = 80\n" FARM_X6 SERVER_A6,
         "[farm y] is new\n"},
};

static void take_change(void *ctx, const char *text)
{
	say(ctx, "%s\n", text);
}

START_TEST(a_reload_says_what_changed)
{
	struct rules *old = expect_rules(changed[_i].old), *now = expect_rules(changed[_i].now);
	struct line line = {0};

	changes(old, now, take_change, &line);
	ck_assert_str_eq(line.text, changed[_i].changes);
	rules_free(old);
	rules_free(now);
}
END_TEST

/* What an earlier reload has left over isn't said again. */
START_TEST(what_was_gone_before_is_not_said_again)
{
	static const bool all[2] = {true, true};
	struct rules *old =
	        expect_rules(FARM_X FARM_Y SERVER_A "[server b]\nfarm = y\naddress = 10.0.0.42\n");
	struct rules *now = expect_rules(FARM_X SERVER_A), *next = expect_rules(FARM_X SERVER_A);
	struct line line = {0};
	uint16_t map[2];

	ck_assert_int_eq(takeover_rules(now, old, all, NULL, map), 0);
	ck_assert_uint_eq(now->nservers, 2);
	changes(now, next, take_change, &line);
	ck_assert_str_eq(line.text, "");
	rules_free(next);
	next = expect_rules(FARM_X FARM_Y SERVER_A "[server b]\nfarm = y\naddress = 10.0.0.42\n");
	changes(now, next, take_change, &line);
	ck_assert_str_eq(line.text, "[farm y] is new\n[server b] is new\n");
	rules_free(old);
	rules_free(now);
	rules_free(next);
}
END_TEST

/* The key is the same, but not what it leads to. */
START_TEST(lists_in_files_are_compared)
{
	struct rules *old = expect_rules(FARM_X "deny = 192.0.2.1\nclient_exempt = 192.0.2.7\n");
	struct rules *now = expect_rules(FARM_X "deny = 192.0.2.1\nclient_exempt = 192.0.2.7\n");
	struct line line = {0};

	changes(old, now, take_change, &line);
	ck_assert_str_eq(line.text, "");
	now->farms[0].access.first[1].b[15]++;
	changes(old, now, take_change, &line);
	ck_assert_str_eq(line.text, "[farm x] allow, deny: a file has another list\n");
	line = (struct line){0};
	now->farms[0].access.first[1].b[15]--;
	now->farms[0].exempt.word[0] = PREFIX_EXEMPT;
	changes(old, now, take_change, &line);
	ck_assert_str_eq(line.text, "[farm x] client_exempt: a file has another list\n");
	rules_free(old);
	rules_free(now);
}
END_TEST

START_TEST(a_long_change_is_cut)
{
	char text[TEXT_BYTES] = FARM_X "snat = 10.0.0.2";
	struct rules *old = expect_rules(FARM_X), *now;
	struct line line = {0};

	for (unsigned i = 4; i < 90; i += 2)
		snprintf(text + strlen(text), 32, ", 10.0.0.%u", 90 + i);
	now = expect_rules(strcat(text, "\n"));
	changes(old, now, take_change, &line);
	ck_assert_uint_eq(line.used,
	                  strlen("[farm x] snat: 10.0.0.40 -> ") + 200 + strlen("...\n"));
	rules_free(old);
	rules_free(now);
}
END_TEST

Suite *cfg_changes_suite(void)
{
	Suite *suite = suite_create("cfg_changes");
	TCase *tcase = tcase_create("cfg_changes");

	tcase_add_checked_fixture(tcase, cfg_file_setup, cfg_file_teardown);
	tcase_add_loop_test(tcase, a_reload_says_what_changed, 0, ROWS(changed));
	tcase_add_test(tcase, what_was_gone_before_is_not_said_again);
	tcase_add_test(tcase, lists_in_files_are_compared);
	tcase_add_test(tcase, a_long_change_is_cut);
	suite_add_tcase(suite, tcase);
	return suite;
}
