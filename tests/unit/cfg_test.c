/*
 * cfg_load(): every key and every default, and that what is shown of them reads back.
 */
#include "rules_text.h"
#include "suites.h"

#include "../../cfg/changes.h"
#include "../../cfg/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* What FARM_X and SERVER_A come out as, around what is under test. */
#define CHECKS " check= every=5000/2000 fall=3 rise=2"
#define TIMES  " wlc persist=0 idle=1800000 on=0/0"
#define SNAT   " snat=10.0.0.40 from=1024-65535"
#define X      "name=x vip=10.0.0.40 ports=80"
#define X6     "name=x vip=2001:db8::40 ports=80"
#define FROM   " from=1024-65535 connlog=none"

/* ---- keys that are right ---- */

static void check_right(const struct right *right)
{
	char *text = compose(right->file, right->line);
	struct rules *rules = expect_rules(text);
	struct line line = {0};

	if (strcmp(right->file, WITH_BRIDGE) == 0)
		say_bridge(&line, rules);
	else if (strcmp(right->file, WITH_SERVER) == 0)
		say_server(&line, rules, &rules->servers[0]);
	else if (strcmp(right->file, WITH_CHECK) == 0)
		say_check(&line, &rules->scripts[0]);
	else if (strcmp(right->file, WITH_FILTER) == 0)
		say_filter(&line, &rules->filters[0]);
	else
		say_farm(&line, rules, &rules->farms[0]);
	ck_assert_str_eq(line.text, right->rules);
	rules_free(rules);
	free(text);
}

static const struct right rights[] = {
        {WITH_BRIDGE, "", "none none max=1000000 workers=1"},
        {WITH_BRIDGE, "outside_mac = 02:00:00:00:aB:01",
         "02:00:00:00:ab:01 none max=1000000 workers=1"},
        {WITH_BRIDGE, "inside_mac = 02-00-00-00-00-02",
         "none 02:00:00:00:00:02 max=1000000 workers=1"},
        {WITH_BRIDGE, "max_connections = 1", "none none max=1 workers=1"},
        {WITH_BRIDGE, "max_connections = 67108864", "none none max=67108864 workers=1"},
        {WITH_BRIDGE, "max_half_open = 1", "none none max=1000000 half=1 workers=1"},
        {WITH_BRIDGE, "max_half_open = 1048576", "none none max=1000000 half=1048576 workers=1"},
        {WITH_BRIDGE, "workers = 64", "none none max=1000000 workers=64"},
        {WITH_BRIDGE, "workers = auto", "none none max=1000000 workers=0"},
        {WITH_BRIDGE, "WORKERS=2#two", "none none max=1000000 workers=2"},
        {WITH_BRIDGE, "rush = yes", "none none max=1000000 workers=1"},
        {WITH_BRIDGE, "rush = No", "none none max=1000000 workers=1 rush=no"},
        {WITH_BRIDGE, "link_mirror = Yes", "none none max=1000000 workers=1 link_mirror"},
        {WITH_BRIDGE, "link_mirror = no", "none none max=1000000 workers=1"},
        {WITH_BRIDGE, "fast_path = Auto", "none none max=1000000 workers=1"},
        {WITH_BRIDGE, "fast_path = kernel", "none none max=1000000 workers=1 fast_path=kernel"},
        {WITH_BRIDGE, "fast_path = off", "none none max=1000000 workers=1 fast_path=off"},
        {WITH_BRIDGE, "on_exit = keep", "none none max=1000000 workers=1"},
        {WITH_BRIDGE, "on_exit = cut", "none none max=1000000 workers=1 on_exit=cut"},
        {WITH_BRIDGE, "mode = Transparent", "none none max=1000000 workers=1"},
        {WITH_BRIDGE, "mode = routed", "none none max=1000000 workers=1 routed"},
        {WITH_BRIDGE, "mode = one-armed", "none none max=1000000 workers=1 one-armed"},
        {WITH_BRIDGE, "routing = yes", "none none max=1000000 workers=1 routing"},
        {WITH_BRIDGE, "routing = no", "none none max=1000000 workers=1"},
        {WITH_BRIDGE, "gateway = 10.0.0.1", "none none max=1000000 workers=1 by=10.0.0.1"},
        {WITH_BRIDGE, "gateway = fd00::1 , 10.0.0.1",
         "none none max=1000000 workers=1 by=10.0.0.1 by=fd00::1"},
        {WITH_BRIDGE, "outside_address = 10.0.0.40/24",
         "none none max=1000000 workers=1 0:0000..0028/120"},
        {WITH_BRIDGE, "inside_address = 192.168.0.40/1, fd00::40/128",
         "none none max=1000000 workers=1 1:0000..0028/97 1:fd00..0040/128"},
        {WITH_BRIDGE, "workers\t=\t'3'\t; three", "none none max=1000000 workers=3"},

        {WITH_FARM, "", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_PORTS, "ports = 5074, 5060,5061 , 5071 - 5073,5060",
         "name=x vip=10.0.0.40 ports=5060,5061,5071,5072,5073,5074" CHECKS TIMES SNAT
         " connlog=none"},
        {WITH_PORTS, "ports = 1, 65535",
         "name=x vip=10.0.0.40 ports=1,65535" CHECKS TIMES SNAT " connlog=none"},
        {WITH_PORTS, "ports = 443:4443, 80 : 8080,5060-5061, 7000 - 7002:17000- 17002",
         "name=x vip=10.0.0.40 ports=80,443,5060,5061,7000,7001,7002 "
         "at=8080,4443,5060,5061,17000,17001,17002" CHECKS TIMES SNAT " connlog=none"},
        {WITH_PORTS, "ports = 80:8080, 81:8080, 65535:1, 80:8080",
         "name=x vip=10.0.0.40 ports=80,81,65535 at=8080,8080,1" CHECKS TIMES SNAT " connlog=none"},
        {WITH_PORTS, "ports = 80:80", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_PORTS, "preset = ocs2007r2\nports = 443:4443\ncheck = 4443\nscheduler = rr",
         "name=x vip=10.0.0.40 ports=443 at=4443 check=4443 every=5000/2000 fall=3 rise=2 rr "
         "persist=0 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "check = none", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "check = 5061, 444",
         X " check=444,5061 every=5000/2000 fall=3 rise=2" TIMES SNAT " connlog=none"},
        {WITH_FARM, "check = 1-16",
         X " check=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 every=5000/2000 fall=3 rise=2" TIMES SNAT
           " connlog=none"},
        {WITH_FARM, "check = 5061 TLS, 444,80  http  /a\t200-299,80 http /b, 80 http /a 200-299",
         X " check=80,80,444,5061 0:http /a 200-299 1:http /b 3:tls every=5000/2000 fall=3 "
           "rise=2" TIMES SNAT " connlog=none"},
        {WITH_FARM, "check = 5060 - 5061 sip, 443 tls www.example.com",
         X " check=443,5060,5061 0:tls www.example.com 1:sip 2:sip every=5000/2000 fall=3 "
           "rise=2" TIMES SNAT " connlog=none"},
        {WITH_FARM, "check_interval = 1h",
         X " check= every=3600000/2000 fall=3 rise=2" TIMES SNAT " connlog=none"},
        {WITH_FARM, "check_interval = 100ms\ncheck_timeout = 100ms",
         X " check= every=100/100 fall=3 rise=2" TIMES SNAT " connlog=none"},
        {WITH_FARM, "check_timeout = 10ms",
         X " check= every=5000/10 fall=3 rise=2" TIMES SNAT " connlog=none"},
        {WITH_FARM, "fall = 1\nrise = 100",
         X " check= every=5000/2000 fall=1 rise=100" TIMES SNAT " connlog=none"},
        {WITH_FARM, "scheduler = wlc", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "scheduler = lc",
         X CHECKS " lc persist=0 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "scheduler = wrr",
         X CHECKS " wrr persist=0 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "scheduler = RR",
         X CHECKS " rr persist=0 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "scheduler = source",
         X CHECKS " source persist=0 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "scheduler = hash",
         X CHECKS " hash persist=0 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "scheduler = fastest",
         X CHECKS " fastest persist=0 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "allow = 192.0.2.0/24, 2001:db8::/32, ::/0",
         X CHECKS TIMES SNAT " connlog=none lists=1/0/1"},
        {WITH_FARM, "deny = 0.0.0.0/0, 192.0.2.1", X CHECKS TIMES SNAT " connlog=none lists=3/0/0"},
        {WITH_FARM, "allow = 192.0.2.0/24\ndeny = 192.0.2.0/24, 192.0.2.8/29",
         X CHECKS TIMES SNAT " connlog=none lists=3/0/1"},
        {WITH_FARM, "client_exempt = 255.255.255.255",
         X CHECKS TIMES SNAT " connlog=none lists=0/3/0"},
        {WITH_FARM, "client_connections = 50000\nclient_rate = 1000000",
         X CHECKS TIMES SNAT " connlog=none limits=50000/1000000/0/0/0"},
        {WITH_FARM,
         "client_connections = off\nclient_rate = off\nclient_burst = rate\nblock_for = off"
         "\non_limit = reset",
         X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "client_rate = 1\nclient_burst = 1000000\nblock_for = 1s\non_limit = drop",
         X CHECKS TIMES SNAT " connlog=none limits=0/1/1000000/1000/1"},
        {WITH_FARM, "persist = off", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "persist = 5m",
         X CHECKS " wlc persist=300000 idle=1800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "idle_timeout = 1s",
         X CHECKS " wlc persist=0 idle=1000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "idle_timeout = 7d",
         X CHECKS " wlc persist=0 idle=604800000 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "idle_timeout = 1500ms",
         X CHECKS " wlc persist=0 idle=1500 on=0/0" SNAT " connlog=none"},
        {WITH_FARM, "on_idle = reset\non_down = reset", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "on_idle = drop",
         X CHECKS " wlc persist=0 idle=1800000 on=1/0" SNAT " connlog=none"},
        {WITH_FARM, "on_down = keep",
         X CHECKS " wlc persist=0 idle=1800000 on=0/1" SNAT " connlog=none"},
        {WITH_FARM, "all_down = Keep", X CHECKS TIMES SNAT " connlog=none all_down=keep"},
        {WITH_FARM, "all_down = out", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "observe = 1", X CHECKS TIMES SNAT " connlog=none observe=1"},
        {WITH_FARM, "observe = 1000", X CHECKS TIMES SNAT " connlog=none observe=1000"},
        {WITH_FARM, "observe = off", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "agent = 1", X CHECKS TIMES SNAT " connlog=none agent=1"},
        {WITH_FARM, "agent = 65535", X CHECKS TIMES SNAT " connlog=none agent=65535"},
        {WITH_FARM, "agent = off", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "snat = off", X CHECKS TIMES " snat= from=1024-65535 connlog=none"},
        {WITH_FARM, "snat = 10.0.0.47, 10.0.0.40, 10.0.0.46-10.0.0.48",
         X CHECKS TIMES
         " snat=10.0.0.47,10.0.0.40,10.0.0.46,10.0.0.48 from=1024-65535 connlog=none"},
        {WITH_FARM, "snat_ports = 2000-2999, 1024,2500-3000 , 3001",
         X CHECKS TIMES " snat=10.0.0.40 from=1024-1024,2000-3001 connlog=none"},
        {WITH_FARM, "snat_ports = 1-65535",
         X CHECKS TIMES " snat=10.0.0.40 from=1-65535 connlog=none"},
        {WITH_FARM, "connlog = -", X CHECKS TIMES SNAT " connlog=-"},
        {WITH_FARM, "connlog = \"/var/log/a b;c\" ; a log",
         X CHECKS TIMES SNAT " connlog=/var/log/a b;c"},
        {WITH_FARM, "vlan = off", X CHECKS TIMES SNAT " connlog=none"},
        {WITH_FARM, "vlan = 1", X CHECKS TIMES SNAT " connlog=none vlan=1"},
        {WITH_FARM, "vlan = 4094", X CHECKS TIMES SNAT " connlog=none vlan=4094"},

        {WITH_FARM6, "", X6 CHECKS TIMES " snat=2001:db8::40" FROM},
        {WITH_FARM6, "snat = off", X6 CHECKS TIMES " snat=" FROM},
        {WITH_FARM6, "snat = 2001:DB8:0::40, fd00::fffe - fd00::1:1, fd00::ffff",
         X6 CHECKS TIMES " snat=2001:db8::40,fd00::fffe,fd00::ffff,fd00::1:0,fd00::1:1" FROM},

        {WITH_SERVER, "", "name=a farm=0 address=10.0.0.41 weight=1 active mac=none max=0"},
        {WITH_SERVER, "weight = 0",
         "name=a farm=0 address=10.0.0.41 weight=0 active mac=none max=0"},
        {WITH_SERVER, "weight = 100",
         "name=a farm=0 address=10.0.0.41 weight=100 active mac=none max=0"},
        {WITH_SERVER, "state = active",
         "name=a farm=0 address=10.0.0.41 weight=1 active mac=none max=0"},
        {WITH_SERVER, "state = standby",
         "name=a farm=0 address=10.0.0.41 weight=1 standby mac=none max=0"},
        {WITH_SERVER, "state = last_resort",
         "name=a farm=0 address=10.0.0.41 weight=1 last_resort mac=none max=0"},
        {WITH_SERVER, "state = drain",
         "name=a farm=0 address=10.0.0.41 weight=1 drain mac=none max=0"},
        {WITH_SERVER, "state = disabled",
         "name=a farm=0 address=10.0.0.41 weight=1 disabled mac=none max=0"},
        {WITH_SERVER, "mac = 02:00:00:00:00:41",
         "name=a farm=0 address=10.0.0.41 weight=1 active mac=02:00:00:00:00:41 max=0"},
        {WITH_SERVER, "max_connections = 5000",
         "name=a farm=0 address=10.0.0.41 weight=1 active mac=none max=5000"},
        {WITH_SERVER, "vlan = 7",
         "name=a farm=0 address=10.0.0.41 weight=1 active mac=none max=0 vlan=7"},

        {WITH_CHECK, "expect = +PONG",
         "name=c send= expect=2b504f4e47/ffffffffff where=0 number=0-0"},
        {WITH_CHECK, "expect = A\nsend = a\\r\\n\\t\\\\\\x00\\{01 02ff}",
         "name=c send=610d0a095c000102ff expect=41/ff where=0 number=0-0"},
        {WITH_CHECK, "expect = \"\\?\\m42e2; # '\"",
         "name=c send= expect=00423b20232027/00e2ffffffffff where=0 number=0-0"},
        {WITH_CHECK, "expect = A\nmatch = Substring\nnumber = 0-65535",
         "name=c send= expect=41/ff where=1 number=0-65535"},
        {WITH_CHECK, "expect = A\nmatch = prefix\nnumber = 220",
         "name=c send= expect=41/ff where=0 number=220-220"},

        {WITH_FILTER, "match = tcp[13] & 2 != 0\naction = Drop",
         "name=f match=tcp[13] & 2 != 0 sides=3 action=1 rate=0 log=0"},
        {WITH_FILTER, "action = pass\nmatch = Any\nside = outside\nrate = 10000000\nlog = yes",
         "name=f match= sides=1 action=0 rate=10000000 log=1"},
        {WITH_FILTER, "action = count\nside = inside\nrate = 1\nmatch = vlan 7\nlog = no",
         "name=f match=vlan 7 sides=2 action=3 rate=1 log=0"},
        {WITH_FILTER, "action = reset\nside = both\nmatch = tcp\nrate = off",
         "name=f match=tcp sides=3 action=2 rate=0 log=0"},
};

START_TEST(a_right_key_is_taken)
{
	check_right(&rights[_i]);
}
END_TEST

/* ---- presets ---- */

#define OCS        "name=x vip=10.0.0.40 ports=135,443,444,5060,5061,5065,5069,5071,5072,5073,5074,8404"
#define OCS_CHECKS " check=444,5061 every=5000/2000 fall=3 rise=2"

static const struct right presets[] = {
        {WITH_PRESET, "", OCS OCS_CHECKS TIMES SNAT " connlog=none"},
        {WITH_PRESET, "ports = 5061",
         "name=x vip=10.0.0.40 ports=5061" OCS_CHECKS TIMES SNAT " connlog=none"},
        {WITH_OTHER, "preset = ocs2007r2-tls",
         OCS " check=444,5061 0:tls 1:tls every=5000/2000 fall=3 rise=2" TIMES SNAT
             " connlog=none"},
        {WITH_PRESET, "check = none", OCS CHECKS TIMES SNAT " connlog=none"},
        {WITH_PRESET, "check = 8404",
         OCS " check=8404 every=5000/2000 fall=3 rise=2" TIMES SNAT " connlog=none"},
        {WITH_PRESET, "scheduler = rr\nidle_timeout = 1h",
         OCS OCS_CHECKS " rr persist=0 idle=3600000 on=0/0" SNAT " connlog=none"},
};

START_TEST(a_preset_gives_way_to_keys)
{
	check_right(&presets[_i]);
}
END_TEST

/* If a line of text sets the key. */
static bool sets(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (strncasecmp(text, key, len) == 0 && strchr(" \t=", text[len]))
			return true;
	return false;
}

/* If the row comes out as the one that adds nothing to the same file. */
static bool is_plain(const struct right *row, const struct right *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!*rows[i].line && strcmp(rows[i].file, row->file) == 0)
			return strcmp(rows[i].rules, row->rules) == 0;
	return false;
}

static bool has_row(enum section section, const char *key, const struct right *rows, size_t n)
{
	static const char *const files[] = {WITH_BRIDGE, WITH_FARM, WITH_SERVER, WITH_CHECK,
	                                    WITH_FILTER};

	for (size_t i = 0; i < n; i++) {
		bool is_farm =
		        strcmp(rows[i].file, WITH_BRIDGE) && strcmp(rows[i].file, WITH_SERVER) &&
		        strcmp(rows[i].file, WITH_CHECK) && strcmp(rows[i].file, WITH_FILTER);
		const char *file = is_farm ? WITH_FARM : rows[i].file;

		if (strcmp(file, files[section]) == 0 &&
		    (sets(rows[i].file, key) ||
		     (sets(rows[i].line, key) && !is_plain(&rows[i], rows, n))))
			return true;
	}
	return false;
}

START_TEST(each_scheduler_is_tested)
{
	for (unsigned i = 0; i < RULES_NSCHEDULERS; i++) {
		char line[64];
		bool found = false;

		snprintf(line, sizeof(line), "scheduler = %s", rules_scheduler_words[i]);
		for (size_t r = 0; r < sizeof(rights) / sizeof(rights[0]); r++)
			found |= strcasecmp(rights[r].line, line) == 0;
		ck_assert_msg(found, "no row of the good values is %s", line);
	}
}
END_TEST

/* Whoever adds a key adds a row of what it does, which shows in the rules as text above. */
START_TEST(each_key_is_tested)
{
	for (unsigned section = 0; section < SECTIONS; section++) {
		const struct key *keys = section_keys((enum section)section);

		for (unsigned i = 0; keys[i].name; i++)
			ck_assert_msg(has_row((enum section)section, keys[i].name, rights,
			                      sizeof(rights) / sizeof(rights[0])) ||
			                      has_row((enum section)section, keys[i].name, presets,
			                              sizeof(presets) / sizeof(presets[0])),
			              "no row of the good values sets [%s] %s",
			              section_name((enum section)section), keys[i].name);
	}
}
END_TEST

/* ---- values as text ---- */

static void write_section(struct line *line, enum section section, const char *name,
                          const struct target *target)
{
	const struct key *keys = section_keys(section);

	say(line, "[%s%s%s]\n", section_name(section), *name ? " " : "", name);
	for (unsigned i = 0; keys[i].name; i++) {
		struct shown shown = {.used = 0};

		keys[i].show(target, &shown);
		ck_assert_uint_eq(shown.used, strlen(shown.text));
		if (shown.used)
			say(line, strchr(shown.text, ';') ? "%s = '%s'\n" : "%s = %s\n",
			    keys[i].name, shown.text);
	}
}

static void nothing_changes(void *ctx, const char *text)
{
	ck_abort_msg("%s\n%s", text, (const char *)ctx);
}

/* What is shown of a file's rules is a file of the same rules. */
START_TEST(what_is_shown_reads_back)
{
	char *text = compose(rights[_i].file, rights[_i].line);
	struct rules *rules = expect_rules(text), *again;
	struct line line = {0};

	write_section(&line, SECTION_BRIDGE, "", &(struct target){.rules = rules});
	for (unsigned i = 0; i < rules->nfarms; i++)
		write_section(&line, SECTION_FARM, rules->farms[i].name,
		              &(struct target){.rules = rules, .farm = &rules->farms[i]});
	for (unsigned i = 0; i < rules->nservers; i++)
		write_section(&line, SECTION_SERVER, rules->servers[i].name,
		              &(struct target){.rules = rules, .server = &rules->servers[i]});
	for (unsigned i = 0; i < rules->nscripts && rules->scripts[i].is_section; i++)
		write_section(&line, SECTION_CHECK, rules->scripts[i].text,
		              &(struct target){.rules = rules, .script = &rules->scripts[i]});
	for (unsigned i = 0; i < rules->nfilters; i++)
		write_section(&line, SECTION_FILTER, rules->filters[i].name,
		              &(struct target){.rules = rules, .filter = &rules->filters[i]});
	free(text);
	again = expect_rules(line.text);
	changes(rules, again, nothing_changes, line.text);
	if (strcmp(rights[_i].file, WITH_BRIDGE) && strcmp(rights[_i].file, WITH_SERVER) &&
	    strcmp(rights[_i].file, WITH_CHECK) && strcmp(rights[_i].file, WITH_FILTER)) {
		struct line farm = {0};

		say_farm(&farm, again, &again->farms[0]);
		ck_assert_str_eq(farm.text, rights[_i].rules);
	}
	rules_free(rules);
	rules_free(again);
}
END_TEST

Suite *cfg_suite(void)
{
	Suite *suite = suite_create("cfg");
	TCase *tcase = tcase_create("cfg");

	tcase_add_checked_fixture(tcase, cfg_file_setup, cfg_file_teardown);
	tcase_add_loop_test(tcase, a_right_key_is_taken, 0, ROWS(rights));
	tcase_add_loop_test(tcase, what_is_shown_reads_back, 0, ROWS(rights));
	tcase_add_loop_test(tcase, a_preset_gives_way_to_keys, 0, ROWS(presets));
	tcase_add_test(tcase, each_scheduler_is_tested);
	tcase_add_test(tcase, each_key_is_tested);
	suite_add_tcase(suite, tcase);
	return suite;
}
