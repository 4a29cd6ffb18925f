/*
 * Files that are wrong: every message with its line, each once.
 */
#include "cfg_file.h"
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files that are wrong ---- */

#define SHARE_SNAT                                                                                 \
	"farms that share it and a server's port have the same snat_ports, or none in common"
#define NO_PORT_LEFT                                                                               \
	"no port is left for connections: 1008-1023 are the probes', and the service ports of a "  \
	"VIP aren't used as its SNAT ports"

static const struct {
	const char *text, *error;
} wrong_files[] = {
        /* the shape of lines */
        {"; a comment\n\nvip = 10.0.0.40\n", "lb.ini:3: `vip` stands before the first [section]"},
        {FARM_X "what\n", "lb.ini:4: is not a [section], a key = value, nor a ; comment"},
        {FARM_X "= 5\n", "lb.ini:4: is not a [section], a key = value, nor a ; comment"},
        {FARM_X "x", "lb.ini:4: is not a [section], a key = value, nor a ; comment"},
        {FARM_X "what ; snat = off\n",
         "lb.ini:4: is not a [section], a key = value, nor a ; comment"},
        {FARM_X "VIP : 10.0.0.41 ; mine\n",
         "lb.ini:4: between a key and its value stands an equals sign: VIP = 10.0.0.41 "},
        {FARM_X "check: 80\n",
         "lb.ini:4: between a key and its value stands an equals sign: check = 80"},
        {FARM_X "check 80\n",
         "lb.ini:4: between a key and its value stands an equals sign: check = 80"},
        {FARM_X "connlog: /var/log/a=b\n",
         "lb.ini:4: between a key and its value stands an equals sign: connlog = /var/log/a=b"},
        {FARM_X "vipp: 80\n",
         "lb.ini:4: between a key and its value stands an equals sign: vipp = 80"},
        {FARM_X "a sentence = 80\n",
         "lb.ini:4: [farm x] unknown key `a sentence`: there are preset, vip, ports, check, "
         "check_interval, check_timeout, fall, rise, scheduler, persist, idle_timeout, on_idle, "
         "on_down, all_down, observe, agent, vlan, snat, snat_ports, connlog, allow, deny, "
         "client_connections, client_rate, client_burst, block_for, client_exempt, on_limit"},
        {"[farm x\n", "lb.ini:1: a section is a line of its own, such as [farm ocspool]"},
        {"[farm x] ; mine\n", "lb.ini:1: a section is a line of its own, such as [farm ocspool]"},
        {"[farm x] see [1]\n", "lb.ini:1: a section is a line of its own, such as [farm ocspool]"},
        {FARM_X "; a path C:\\\n" SERVER_A,
         "lb.ini:4: ends with a backslash, which would join the next line to it"},
        {FARM_X "snat = 10.0.0.45, \\  \n10.0.0.46\n" SERVER_A,
         "lb.ini:4: ends with a backslash, which would join the next line to it"},
        {FARM_X "connlog = \"a\n",
         "lb.ini:4: [farm x] connlog: a quoted value ends with the same quote"},
        {FARM_X "connlog = 'a' b\n",
         "lb.ini:4: [farm x] connlog: a quoted value ends with the same quote"},
        {"\xef\xbb\xbf" FARM_X, "lb.ini:1: a byte order mark: save the file as UTF-8 without one"},
        {"# \x01\n", "lb.ini:1: byte 0x01: this is not a text file"},
        {"\n\x7f"
         "ELF\n",
         "lb.ini:2: byte 0x7f: this is not a text file"},
        {"[farm x]\rvip = 10.0.0.40\r", "lb.ini:1: byte 0x0d: this is not a text file"},

        /* names */
        {"[frm x]\n", "lb.ini:1: unknown section [frm x]: did you mean [farm x]?"},
        {"[servers]\n", "lb.ini:1: unknown section [servers]: did you mean [server]?"},
        {"[pool x]\n", "lb.ini:1: unknown section [pool x]: there are [bridge], [farm NAME], "
                       "[server NAME], [check NAME] and [filter NAME]"},
        {"[]\n", "lb.ini:1: unknown section []: there are [bridge], [farm NAME], [server NAME], "
                 "[check NAME] and [filter NAME]"},
        {"[farm]\n", "lb.ini:1: [farm] needs a name, such as [farm ocspool]"},
        {"[server]\n", "lb.ini:1: [server] needs a name, such as [server ocsfe01]"},
        {"[bridge x]\n", "lb.ini:1: [bridge x]: [bridge] has no name"},
        {"[farm a b]\n", "lb.ini:1: [farm a b]: a name has only letters, digits, dots, underscores "
                         "and hyphens, at most 63"},
        {"[farm a:b]\n", "lb.ini:1: [farm a:b]: a name has only letters, digits, dots, underscores "
                         "and hyphens, at most 63"},
        {"[farm "
         "0123456789012345678901234567890123456789012345678901234567890123]\n",
         "lb.ini:1: [farm 0123456789012345678901234567890123456789012345678901234567890123]: a "
         "name has only letters, digits, dots, underscores and hyphens, at most 63"},
        {FARM_X "[server a]\nwieght = 1\n",
         "lb.ini:5: [server a] unknown key `wieght`: did you mean `weight`?"},
        {FARM_X "port = 1\n", "lb.ini:4: [farm x] unknown key `port`: did you mean `ports`?"},
        {FARM_X "max_connections = 1\n",
         "lb.ini:4: [farm x] `max_connections` is a key of other sections: [bridge] [server]"},
        {FARM_X "ries = 1\n", "lb.ini:4: [farm x] unknown key `ries`: did you mean `rise`?"},
        {FARM_X "[bridge]\nmax connections = 1\n",
         "lb.ini:5: [bridge] unknown key `max connections`: did you mean `max_connections`?"},
        {FARM_X "[bridge]\ncolour = 1\n",
         "lb.ini:5: [bridge] unknown key `colour`: there are outside_mac, "
         "inside_mac, max_connections, max_half_open, workers, rush, link_mirror, fast_path, "
         "on_exit, "
         "mode, routing, "
         "gateway, outside_address, inside_address"},
        {"[bridge]\nmode = routed\n" FARM_X "snat = off\n",
         "lb.ini:6: [farm x] snat: off is for mode = transparent: else the servers' answers "
         "wouldn't pass here"},
        {FARM_X "vlan = 5\n[bridge]\nmode = one-armed\n",
         "lb.ini:4: [farm x] vlan: is for mode = transparent: else run tmbridge on the VLAN's "
         "interface"},
        {FARM_X SERVER_A "vlan = 5\n[bridge]\nmode = routed\n",
         "lb.ini:7: [server a] vlan: is for mode = transparent: else run tmbridge on the VLAN's "
         "interface"},
        {FARM_X FARM_Y FARM_X, "lb.ini:7: [farm x] is there twice: first in line 1"},
        {FARM_X SERVER_A "[Server A]\n", "lb.ini:7: [server a] is there twice: first in line 4"},
        {"[bridge]\n[bridge]\n", "lb.ini:2: [bridge] is there twice: first in line 1"},
        {FARM_X "VIP = 10.0.0.41\n", "lb.ini:4: [farm x] vip: is there twice: first in line 2"},

        /* what must be there */
        {"", "lb.ini: no farm: there must be a section such as [farm ocspool], or mode = "
             "transparent in [bridge] for a cable alone"},
        {"[bridge]\n", "lb.ini: no farm: there must be a section such as [farm ocspool], or mode = "
                       "transparent in [bridge] for a cable alone"},
        {"[farm x]\nports = 80\n" SERVER_A,
         "lb.ini:1: [farm x] vip: a farm needs a virtual IP, such as vip = 10.0.0.40"},
        {"\n[farm x]\nvip = 10.0.0.40\n" SERVER_A,
         "lb.ini:2: [farm x] ports: a farm needs TCP ports, such as ports = 443, 5060-5061"},
        {FARM_X "[server a]\naddress = 10.0.0.41\n",
         "lb.ini:4: [server a] farm: a server needs the name of its farm, such as farm = ocspool"},
        {FARM_X "[server a]\nfarm = x\n",
         "lb.ini:4: [server a] address: a server needs an address, such as address = "
         "10.0.0.41"},
        {"[farm ocspool]\nvip = 10.0.0.40\nports = 80\n[server a]\nfarm = ocspol\n"
         "address = 10.0.0.41\n",
         "lb.ini:5: [server a] farm: ocspol is not a farm of this file: did you mean `ocspool`?"},
        {FARM_X "[server a]\nfarm = ocspool\naddress = 10.0.0.41\n",
         "lb.ini:5: [server a] farm: ocspool is not a farm of this file"},
        {FARM_X "[server a]\nfarm =\naddress = 10.0.0.41\n",
         "lb.ini:5: [server a] farm: an empty value is not a farm of this file"},

        /* keys against each other */
        {FARM_X "check_timeout = 9s\n" SERVER_A,
         "lb.ini:4: [farm x] check_timeout: 9s is longer than check_interval, 5s by "
         "default"},
        {FARM_X "check_interval = 1s\ncheck_timeout = 3s\n" SERVER_A,
         "lb.ini:5: [farm x] check_timeout: 3s is longer than check_interval, 1s"},
        {FARM_X "check_interval = 500ms\n" SERVER_A,
         "lb.ini:4: [farm x] check_interval: 500ms is shorter than check_timeout, 2s by default"},
        {FARM_X "snat_ports = 80\n" SERVER_A, "lb.ini:4: [farm x] snat_ports: " NO_PORT_LEFT},
        {"[farm x]\nvip = 10.0.0.40\nports = 1-65535\n" SERVER_A,
         "lb.ini:1: [farm x] snat_ports: " NO_PORT_LEFT},
        {"[farm x]\nvip = 10.0.0.40\nports = 1-64\nsnat = 10.0.1.0-10.0.1.255\n" SERVER_A
         "[server b]\nfarm = x\naddress = 10.0.0.42\n"
         "[server c]\nfarm = x\naddress = 10.0.0.43\n",
         "lb.ini:4: [farm x] snat: makes 49152 pools of SNAT ports (ports x servers x SNAT "
         "addresses, of all farms so far): at most 32768"},

        /* SNAT ports: what is left of them, and for whom */
        {FARM_X "snat_ports = 80, 1008-1023\n" SERVER_A,
         "lb.ini:4: [farm x] snat_ports: " NO_PORT_LEFT},
        {FARM_X "snat = 10.0.0.60\nsnat_ports = 1008-1023\n" SERVER_A,
         "lb.ini:5: [farm x] snat_ports: " NO_PORT_LEFT},
        {FARM_X "snat_ports = 2000-2001\n" SERVER_A
                "[farm y]\nvip = 10.0.0.40\nports = 2000-2001\n",
         "lb.ini:4: [farm x] snat_ports: " NO_PORT_LEFT},
        {"[bridge]\nworkers = 4\n" FARM_X "snat_ports = 2000-2002\n" SERVER_A,
         "lb.ini:6: [farm x] snat_ports: leaves none for worker 4 of 4, which has those that are 3 "
         "modulo 4: any 4 in a row are enough"},
        {"[bridge]\nworkers = 4\n" FARM_X "snat_ports = 1008-1026\n" SERVER_A,
         "lb.ini:6: [farm x] snat_ports: leaves none for worker 4 of 4, which has those that are 3 "
         "modulo 4: any 4 in a row are enough"},
        {"[bridge]\nworkers = 2\n[farm x]\nvip = 10.0.0.40\nports = 2001\nsnat_ports = "
         "2000-2001\n" SERVER_A,
         "lb.ini:6: [farm x] snat_ports: leaves none for worker 2 of 2, which has those that are 1 "
         "modulo 2: any 2 in a row are enough"},

        /* addresses against each other */
        {FARM_X "[farm y]\nvip = 10.0.0.40\nports = 81, 79-80\n",
         "lb.ini:6: [farm y] ports: 80 is also a port of [farm x] (line 3), which has the same "
         "VIP"},
        {"[farm y]\nvip = 10.0.0.40\npreset = ocs2007r2\n[farm x]\nvip = 10.0.0.40\nports = "
         "80, 444:80\n" SERVER_A,
         "lb.ini:6: [farm x] ports: 444 is also a port of [farm y] (line 3), which has the same "
         "VIP"},
        {FARM_X "vlan = 5\n[farm y]\nvip = 10.0.0.40\nports = 81\nvlan = 6\n",
         "lb.ini:6: [farm y] vip: 10.0.0.40 is also the VIP of [farm x] (line 2): farms of one "
         "VIP are in the same VLAN"},
        {FARM_X "[farm y]\nvip = 10.0.0.40\nports = 81\nvlan = 6\n",
         "lb.ini:5: [farm y] vip: 10.0.0.40 is also the VIP of [farm x] (line 2): farms of one "
         "VIP are in the same VLAN"},
        /* they share the SNAT ports of a server: all or none */
        {FARM_X SERVER_A "[farm y]\nvip = 10.0.0.40\nports = 81:80\nsnat_ports = 2000-3000\n"
                         "[server b]\nfarm = y\naddress = 10.0.0.41\n",
         "lb.ini:8: [farm y] vip: 10.0.0.40 is also the VIP of [farm x] (line 2): " SHARE_SNAT},
        {FARM_X "snat = 10.0.0.60\n" SERVER_A
                "[farm y]\nvip = 10.0.0.50\nports = 80\nsnat = 10.0.0.60\nsnat_ports = "
                "65535\n[server b]\nfarm = y\naddress = 10.0.0.41\n",
         "lb.ini:11: [farm y] snat: 10.0.0.60 is also a SNAT address of [farm x] (line "
         "4): " SHARE_SNAT},
        {FARM_X "[server a]\nfarm = x\naddress = 10.0.0.40\n",
         "lb.ini:6: [server a] address: 10.0.0.40 is also the VIP of [farm x] (line 2): a server "
         "has an address of its own"},
        {FARM_X "[server a]\nfarm = y\naddress = 10.0.0.40\n" FARM_Y,
         "lb.ini:6: [server a] address: 10.0.0.40 is also the VIP of [farm x] (line 2): a server "
         "has an address of its own"},
        {SERVER_A FARM_X "snat = 10.0.0.40-10.0.0.45\n",
         "lb.ini:7: [farm x] snat: 10.0.0.41 is also the address of [server a] (line 3): a server "
         "has an address of its own"},
        {FARM_X FARM_Y "snat = 10.0.0.40\n",
         "lb.ini:7: [farm y] snat: 10.0.0.40 is also the VIP of [farm x] (line 2): a SNAT address "
         "is no other farm's VIP"},
        {FARM_X "snat = 10.0.0.50\n" FARM_Y,
         "lb.ini:6: [farm y] vip: 10.0.0.50 is also a SNAT address of [farm x] (line 4): a SNAT "
         "address is no other farm's VIP"},
        {FARM_X SERVER_A "[server b]\nfarm = x\naddress = 10.0.0.41\n",
         "lb.ini:9: [server b] address: 10.0.0.41 is also the address of [server a] (line 6): a "
         "farm has each server once"},
};

START_TEST(a_wrong_file_is_refused)
{
	expect_error(wrong_files[_i].text, wrong_files[_i].error);
}
END_TEST

/* All that is wrong, each once; and nothing that only follows from another mistake. */
static const struct {
	const char *text, *errors;
} wrong_many[] = {
        {FARM_X "prots = 81\nwhat\nvlan = 0\n[server a]\nfarm = x\nweight = 101\nmac = 1\n"
                "[server b]\nfarm = x\naddress = 10.0.0.40\n",
         "lb.ini:4: [farm x] unknown key `prots`: did you mean `ports`?\n"
         "lb.ini:5: is not a [section], a key = value, nor a ; comment\n"
         "lb.ini:6: [farm x] vlan: 0 is not a number from 1 to 4094\n"
         "lb.ini:7: [server a] address: a server needs an address, such as address = 10.0.0.41\n"
         "lb.ini:9: [server a] weight: 101 is not a number from 0 to 100\n"
         "lb.ini:10: [server a] mac: 1 is not a MAC address such as 02:00:00:00:00:41\n"
         "lb.ini:13: [server b] address: 10.0.0.40 is also the VIP of [farm x] (line 2): a server "
         "has an address of its own"},
        /* the section isn't known: nor then are its keys, its servers, or that there is no farm */
        {"[frm x]\nvip = 10.0.0.40\nports = 80, 70000\n" SERVER_A,
         "lb.ini:1: unknown section [frm x]: did you mean [farm x]?"},
        {FARM_X "[farm x]\nvip = 5\ncolour = 1\n" SERVER_A,
         "lb.ini:4: [farm x] is there twice: first in line 1"},
        /* nor does what follows belong to the section before one that can't be read */
        {FARM_X SERVER_A "[farm \x01y]\nvip = 10.0.0.50\nports = 80\nweight = 1\n"
                         "\t[farm z] \\\nvip = 10.0.0.51\nports = 80\n",
         "lb.ini:7: byte 0x01: this is not a text file\n"
         "lb.ini:11: ends with a backslash, which would join the next line to it"},
        /* what is missing may be what was misspelt */
        {"[farm x]\nvipp = 10.0.0.40\nprots = 80\n[server a]\nfarm = x\nadress = 10.0.0.41\n",
         "lb.ini:2: [farm x] unknown key `vipp`: did you mean `vip`?\n"
         "lb.ini:3: [farm x] unknown key `prots`: did you mean `ports`?\n"
         "lb.ini:6: [server a] unknown key `adress`: did you mean `address`?"},
        /* a value that is wrong is compared with none */
        {"[farm x]\nvip = 10.0.0\nports = 0\nsnat_ports = 80\ncheck_interval = 1\n"
         "check_timeout = 1h\n" FARM_Y "snat = 10.0.0\nsnat_ports = 80\n"
         "[server a]\nfarm = z\naddress = 1\n[server b]\nfarm = z\naddress = 2\n"
         "[server c]\nfarm = x\naddress = 3\n[server d]\nfarm = y\naddress = 4\n",
         "lb.ini:2: [farm x] vip: 10.0.0 is not an IPv4 address such as 10.0.0.40\n"
         "lb.ini:3: [farm x] ports: 0 is not a TCP port (1-65535)\n"
         "lb.ini:5: [farm x] check_interval: 1 has no unit: 1s, or one of ms, m, h, d\n"
         "lb.ini:10: [farm y] snat: 10.0.0 is not an IPv4 address such as 10.0.0.40\n"
         "lb.ini:13: [server a] farm: z is not a farm of this file\n"
         "lb.ini:14: [server a] address: 1 is not an IPv4 address such as 10.0.0.40\n"
         "lb.ini:16: [server b] farm: z is not a farm of this file\n"
         "lb.ini:17: [server b] address: 2 is not an IPv4 address such as 10.0.0.40\n"
         "lb.ini:20: [server c] address: 3 is not an IPv4 address such as 10.0.0.40\n"
         "lb.ini:23: [server d] address: 4 is not an IPv4 address such as 10.0.0.40"},
        {FARM_X "preset = ocs\nsnat_ports = 80\n[server a]\nfarm = x\naddress = 10.0.0.41\n"
                "[server b]\nfarm = z\naddress = 10.0.0.41\n"
                "[server c]\nfarm = z\naddress = 10.0.0.41\n",
         "lb.ini:4: [farm x] preset: ocs is not one of: ocs2007r2, ocs2007r2-tls\n"
         "lb.ini:10: [server b] farm: z is not a farm of this file\n"
         "lb.ini:13: [server c] farm: z is not a farm of this file"},
        /* several farms, several addresses: one message for each that came later */
        {FARM_X "check_timeout = 6s\n" FARM_Y "check_interval = 1s\n"
                "[farm z]\nvip = 10.0.0.50\nports = 80\nsnat = 10.0.0.40, fd00::1\n",
         "lb.ini:4: [farm x] check_timeout: 6s is longer than check_interval, 5s by default\n"
         "lb.ini:8: [farm y] check_interval: 1s is shorter than check_timeout, 2s by default\n"
         "lb.ini:12: [farm z] snat: fd00::1 is not an IPv4 address as the VIP is\n"
         "lb.ini:12: [farm z] snat: 10.0.0.40 is also the VIP of [farm x] (line 2): a SNAT address "
         "is no other farm's VIP\n"
         "lb.ini:11: [farm z] ports: 80 is also a port of [farm y] (line 7), which has the same "
         "VIP"},
        /* a line that was to go on in the next one */
        {FARM_X "snat = 10.0.0.45, \\\n10.0.0.46\n; a \\\nvlan = 5\n" SERVER_A
                "weight = 1 \\\n[x]\n",
         "lb.ini:4: ends with a backslash, which would join the next line to it\n"
         "lb.ini:6: ends with a backslash, which would join the next line to it\n"
         "lb.ini:11: ends with a backslash, which would join the next line to it\n"
         "lb.ini:12: unknown section [x]: there are [bridge], [farm NAME], [server NAME], "
         "[check NAME] and [filter NAME]"},
};

START_TEST(all_mistakes_are_reported)
{
	expect_error(wrong_many[_i].text, wrong_many[_i].errors);
}
END_TEST

START_TEST(of_very_many_mistakes_the_rest_is_counted)
{
	struct outcome outcome;
	char text[TEXT_BYTES] = FARM_X;

	for (unsigned i = 0; i < 53; i++)
		strcat(text, "what\n");
	outcome = load(text);
	ck_assert_uint_eq(outcome.errors, 51);
	ck_assert_str_eq(outcome.last, "lb.ini: and 3 more");
}
END_TEST

Suite *cfg_wrong_suite(void)
{
	Suite *suite = suite_create("cfg_wrong");
	TCase *tcase = tcase_create("cfg_wrong");

	tcase_add_checked_fixture(tcase, cfg_file_setup, cfg_file_teardown);
	tcase_add_loop_test(tcase, a_wrong_file_is_refused, 0, ROWS(wrong_files));
	tcase_add_loop_test(tcase, all_mistakes_are_reported, 0, ROWS(wrong_many));
	tcase_add_test(tcase, of_very_many_mistakes_the_rest_is_counted);
	suite_add_tcase(suite, tcase);
	return suite;
}
