/*
 * Files that are right, what they are warned of, and what is no text file.
 */
#include "cfg_file.h"
#include "memory.h"
#include "suites.h"

#include "../../cfg/cfg.h"

enum { NOBODY = 65534 };

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files that are right ---- */

static const char *const right_files[] = {
        /* two farms may share a SNAT address, and a server and its port */
        FARM_X "snat = 10.0.0.60\n" FARM_Y "snat = 10.0.0.60\n" SERVER_A
               "[server b]\nfarm = y\naddress = 10.0.0.42\n",
        FARM_X "snat = 10.0.0.60\n"
               "[farm y]\nvip = 10.0.0.50\nports = 81\nsnat = 10.0.0.60\n" SERVER_A
               "[server b]\nfarm = y\naddress = 10.0.0.41\n",
        /* if they share all SNAT ports, or none */
        FARM_X "snat = 10.0.0.60\n" FARM_Y "snat = 10.0.0.60\n" SERVER_A
               "[server b]\nfarm = y\naddress = 10.0.0.41\n",
        FARM_X "snat = 10.0.0.60\nsnat_ports = 1024-2047, 4000\n" FARM_Y
               "snat = 10.0.0.60\nsnat_ports = 2048-3999, 4001\n" SERVER_A
               "[server b]\nfarm = y\naddress = 10.0.0.41\n",
        /* several farms on one VIP, with other ports; of a server, too */
        FARM_X SERVER_A "[farm y]\nvip = 10.0.0.40\nports = 79, 81:80\n"
                        "[server b]\nfarm = y\naddress = 10.0.0.41\n",
        FARM_X "vlan = 5\n[farm y]\nvip = 10.0.0.40\nports = 81\nvlan = 5\n" SERVER_A,
        /* and a server without sharing a SNAT address */
        FARM_X FARM_Y SERVER_A "[server b]\nfarm = y\naddress = 10.0.0.41\n",
        /* a farm and a server may have the same name; case doesn't matter */
        FARM_X "[Server X]\nFARM = X\naddress = 10.0.0.41\n",
        /* snat = off needs no SNAT ports */
        "[farm x]\nvip = 10.0.0.40\nports = 1-65535\nsnat = off\n" SERVER_A,
        /* pools: of many ports there is one for all of them */
        "[farm x]\nvip = 10.0.0.40\nports = 1-65\nsnat = 10.0.1.0-10.0.1.255\n" SERVER_A,
        /* service ports may be SNAT ports of an address that is no VIP */
        "[farm x]\nvip = 10.0.0.40\nports = 135, 1024-65535\nsnat = 10.0.0.60\n" SERVER_A,
        "[farm x]\nvip = 10.0.0.40\nports = 1-65535\nsnat = 10.0.0.40, 10.0.0.60\n" SERVER_A,
        /* each worker has one SNAT port at least, on whichever address */
        "[bridge]\nworkers = 4\n" FARM_X "snat_ports = 2000-2003\n" SERVER_A,
        "[bridge]\nworkers = 4\n" FARM_X "snat_ports = 1024-1027\n" SERVER_A,
        "[bridge]\nworkers = 2\n[farm x]\nvip = 10.0.0.40\nports = 2001\nsnat_ports = 2000-2001\n"
        "snat = 10.0.0.40, 10.0.0.60\n" SERVER_A,
        "[bridge]\nworkers = 64\n" FARM_X "snat_ports = 2000-2063\n" SERVER_A,
        /* a section's kind and name stand apart by any blanks */
        "[farm\tx]\nvip = 10.0.0.40\nports = 80\n[server  \t a]\nfarm = x\naddress = 10.0.0.41\n",
        /* blanks, CRLF, no line feed at the end, UTF-8 in comments */
        "\t[ farm x ]\r\n  vip\t=10.0.0.40\r\n\r\nports= 80   \r\n# caf\xc3\xa9\r\n" SERVER_A
        "weight = 1",
};

START_TEST(a_right_file_is_taken)
{
	struct rules *rules = expect_rules(right_files[_i]);

	ck_assert_str_eq(rules->farms[0].name, "x");
	ck_assert_uint_eq(rules->farms[0].nservers, 1);
	rules_free(rules);
}
END_TEST

START_TEST(servers_stand_by_farm)
{
	static const char *const names[] = {"a", "b", "d", "c"};
	struct rules *rules =
	        expect_rules("[server d]\nfarm = y\naddress = 10.0.0.44\n" SERVER_A FARM_X FARM_Y
	                     "[server c]\nfarm = y\naddress = 10.0.0.43\n"
	                     "[server b]\nfarm = x\naddress = 10.0.0.42\n");

	ck_assert_uint_eq(rules->farms[0].server, 0);
	ck_assert_uint_eq(rules->farms[0].nservers, 2);
	ck_assert_uint_eq(rules->farms[1].server, 2);
	ck_assert_uint_eq(rules->farms[1].nservers, 2);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_str_eq(rules->servers[i].name, names[i]);
	rules_free(rules);
}
END_TEST

/* A server is in its farm's VLAN, unless it says that it is in none or in another. */
START_TEST(servers_are_in_their_farm_s_vlan)
{
	static const uint16_t vlans[] = {5, 0, 9};
	struct rules *rules =
	        expect_rules(FARM_X "vlan = 5\n" SERVER_A
	                            "[server b]\nfarm = x\naddress = 10.0.0.42\nvlan = off\n"
	                            "[server c]\nfarm = x\naddress = 10.0.0.43\nvlan = 9\n");

	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(rules->servers[i].vlan, vlans[i]);
	rules_free(rules);
}
END_TEST

/* Whichever allocation fails: one error that says so, and nothing is left behind (which the address
 * sanitizer sees). */
START_TEST(memory_may_run_out_anywhere)
{
	static const char text[] = "[bridge]\nworkers = 1\n" FARM_X
	                           "snat = 10.0.0.40\nsnat_ports = 2000-2999\ncheck = 80\n"
	                           "connlog = -\n" SERVER_A FARM_X6_NAMED SERVER_B6;
	unsigned n = 1;

	write_bytes(text, strlen(text));
	for (;; n++) {
		struct outcome outcome = {0};

		memory_fail_at(n);
		outcome.ret = cfg_load(cfg_path, NULL, take_note, &outcome, &outcome.rules);
		if (!memory_has_failed()) {
			ck_assert_int_eq(outcome.ret, 0);
			rules_free(outcome.rules);
			break;
		}
		ck_assert_int_eq(outcome.ret, -ENOMEM);
		ck_assert_uint_eq(outcome.errors, 1);
		ck_assert_str_eq(outcome.error, "lb.ini: Cannot allocate memory");
	}
	ck_assert_uint_gt(n, 15);
}
END_TEST

/* The tests run in the project's root. */
START_TEST(the_example_is_right)
{
	struct outcome outcome = load_path("cfg/example.ini");

	ck_assert_msg(outcome.ret == 0, "%s", outcome.error);
	ck_assert_uint_eq(outcome.rules->nfarms, 1);
	ck_assert_uint_eq(outcome.rules->nservers, 2);
	ck_assert_uint_eq(outcome.rules->farms[0].nports, 12);
	rules_free(outcome.rules);
}
END_TEST

/* ---- warnings ---- */

#define NOT_READ                                                                                   \
	" is a comment, and not read: a list has commas, and in quotes it is part of the value"
#define NO_TAKER                                                                                   \
	"lb.ini:1: [farm x] all its servers have weight 0, drain or are disabled: every new "      \
	"connection will be refused"

static const struct wrong warnings[] = {
        {WITH_FARM, "check = none\nidle_timeout = 1h\nscheduler = wlc\npersist = off", ""},
        {WITH_SERVER, "max_connections = 0", ""},
        {WITH_SERVER, "weight = 2;443", "lb.ini:7: [server a] weight: ;443" NOT_READ},
        {WITH_SERVER, "weight = 2#443 ; 444", "lb.ini:7: [server a] weight: #443 ; 444" NOT_READ},
        {WITH_SERVER, "weight = 2 ;443", ""},
        {WITH_SERVER, "weight = 2; 443", ""},
        {WITH_SERVER, "weight = 2;", ""},
        {WITH_SERVER, "weight = \"2\";443", ""},
        {WITH_CHECK, "expect = A", ""},
        {WITH_FARM, "[check c]\nexpect = A", "lb.ini:4: [check c] is used by no farm's check"},
        {WITH_SERVER, "weight = 0", NO_TAKER},
        {WITH_SERVER, "state = drain", NO_TAKER},
        {WITH_SERVER, "state = disabled", NO_TAKER},
        {WITH_SERVER, "state = standby\nweight = 0", NO_TAKER},
        {WITH_SERVER, "state = standby", ""},
        {WITH_SERVER, "state = last_resort", ""},
        {WITH_SERVER, "weight = 0\n[server b]\nfarm = x\naddress = 10.0.0.42", ""},
        {WITH_PRESET, "ports = 444, 80",
         "lb.ini:3: [farm x] ports: 5061 isn't among them, but the preset checks it on each "
         "server: "
         "write check = to have others checked"},
        {WITH_PRESET, "ports = 444, 80\ncheck = 444, 5061", ""},
        {WITH_PRESET, "ports = 444, 80\ncheck = none", ""},
        {WITH_PRESET, "ports = 444, 5061", ""},
        {WITH_PRESET, "", ""},
        {WITH_FARM, "check = 81", ""},
        {WITH_PORTS, "ports = 80:8080\ncheck = 80",
         "lb.ini:4: [farm x] check: 80 of the VIP is 8080 of the servers, which is what is checked "
         "there"},
        {WITH_PORTS, "ports = 80:8080, 81:80\ncheck = 80, 8080, 81",
         "lb.ini:4: [farm x] check: 81 of the VIP is 80 of the servers, which is what is checked "
         "there"},
        {WITH_PORTS, "ports = 80:8080, 443\ncheck = 8080, 443, 9000", ""},
        {WITH_PRESET, "ports = 444, 5061:5062",
         "lb.ini:3: [farm x] ports: 5061 isn't among them, but the preset checks it on each "
         "server: write check = to have others checked"},
        {WITH_PRESET, "ports = 444, 5060:5061", ""},
        {WITH_FARM, "client_connections = 2\nclient_burst = 5\nblock_for = 1m",
         "lb.ini:5: [farm x] client_burst: does nothing without client_rate\n"
         "lb.ini:6: [farm x] block_for: does nothing without client_rate"},
        {WITH_FARM, "deny = 10.0.0.0/8\nclient_exempt = 10.0.0.1",
         "lb.ini:5: [farm x] client_exempt: does nothing without client_rate or "
         "client_connections"},
        {WITH_FARM, "observe = 5\nall_down = keep",
         "lb.ini:4: [farm x] observe: does nothing without check\n"
         "lb.ini:5: [farm x] all_down: does nothing without check"},
        {WITH_FARM, "observe = 5\nagent = 9999\nclient_burst = rate\nblock_for = off", ""},
        {WITH_FARM,
         "check = 80\nobserve = 5\nall_down = keep\nclient_rate = 1\nclient_burst = 5\n"
         "block_for = 1m\nclient_exempt = 10.0.0.1",
         ""},
        {WITH_BRIDGE, "workers = 1", ""},
        {WITH_BRIDGE, "workers = auto", ""},
        {WITH_BRIDGE,
         "workers = auto\n[farm y]\nvip = 10.0.0.50\nports = 80\n"
         "snat_ports = 2000-2062\n[server b]\nfarm = y\naddress = 10.0.0.42",
         "lb.ini:6: [farm y] snat_ports: leaves none for worker 16, should workers = auto be that "
         "many: any 64 in a row are enough"},
        {FARM_Y WITH_FARM, "",
         "lb.ini:1: [farm y] has no server: every connection will be refused"},
};

START_TEST(what_has_no_effect_is_warned_of)
{
	char *text = compose(warnings[_i].file, warnings[_i].line);

	expect_warnings(text, warnings[_i].error);
	free(text);
}
END_TEST

/* ---- things that are no text file ---- */

START_TEST(a_file_that_cannot_be_read_is_an_error)
{
	char below[sizeof(cfg_path) + sizeof("/lb.ini")];

	expect_failure(cfg_path, -ENOENT, "lb.ini: No such file or directory");
	ck_assert_int_eq(mkdir(cfg_path, 0700), 0);
	expect_failure(cfg_path, -EISDIR, "lb.ini: Is a directory");
	ck_assert_int_eq(rmdir(cfg_path), 0);
	ck_assert_int_eq(mkfifo(cfg_path, 0600), 0);
	expect_failure(cfg_path, -EINVAL, "lb.ini: is not a regular file");
	ck_assert_int_eq(unlink(cfg_path), 0);
	write_bytes("", 0);
	snprintf(below, sizeof(below), "%s/lb.ini", cfg_path);
	expect_failure(below, -ENOTDIR, "lb.ini/lb.ini: Not a directory");
	expect_failure("/dev/null", -EINVAL, "/dev/null: is not a regular file");
}
END_TEST

START_TEST(a_file_that_may_not_be_read_is_an_error)
{
	bool is_root = geteuid() == 0;

	write_bytes(FARM_X, strlen(FARM_X));
	ck_assert_int_eq(chmod(cfg_path, 0), 0);
	if (is_root)
		ck_assert_int_eq(seteuid(NOBODY), 0);
	expect_failure(cfg_path, -EACCES, "lb.ini: Permission denied");
	if (is_root)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(a_zero_byte_is_an_error)
{
	static const char text[] = FARM_X "ports\0 = 81\n";

	write_bytes(text, sizeof(text) - 1);
	expect_failure(cfg_path, -EINVAL, "lb.ini:4: byte 0x00: this is not a text file");
}
END_TEST

/* A path may hold any byte, and a terminal believes some of them. */
START_TEST(a_message_is_printable)
{
	expect_failure("/nowhere/\033[2J\n", -ENOENT, "/nowhere/?[2J?: No such file or directory");
}
END_TEST

Suite *cfg_right_suite(void)
{
	Suite *suite = suite_create("cfg_right");
	TCase *tcase = tcase_create("cfg_right");

	tcase_add_checked_fixture(tcase, cfg_file_setup, cfg_file_teardown);
	tcase_add_loop_test(tcase, a_right_file_is_taken, 0, ROWS(right_files));
	tcase_add_loop_test(tcase, what_has_no_effect_is_warned_of, 0, ROWS(warnings));
	tcase_add_test(tcase, servers_stand_by_farm);
	tcase_add_test(tcase, servers_are_in_their_farm_s_vlan);
	tcase_add_test(tcase, memory_may_run_out_anywhere);
	tcase_add_test(tcase, the_example_is_right);
	tcase_add_test(tcase, a_file_that_cannot_be_read_is_an_error);
	tcase_add_test(tcase, a_file_that_may_not_be_read_is_an_error);
	tcase_add_test(tcase, a_zero_byte_is_an_error);
	tcase_add_test(tcase, a_message_is_printable);
	suite_add_tcase(suite, tcase);
	return suite;
}
