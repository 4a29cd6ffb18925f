/*
 * Values that are wrong: every message with its line.
 */
#include "cfg_file.h"
#include "suites.h"

#include "../../cfg/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- values that are wrong ---- */

static const struct wrong wrong_values[] = {
        {WITH_BRIDGE, "outside_mac = 02:00:00:00:00",
         "lb.ini:2: [bridge] outside_mac: 02:00:00:00:00 is not a MAC address such as "
         "02:00:00:00:00:41"},
        {WITH_BRIDGE, "outside_mac = 02:00:00:00:00:01:02",
         "lb.ini:2: [bridge] outside_mac: 02:00:00:00:00:01:02 is not a MAC address such as "
         "02:00:00:00:00:41"},
        {WITH_BRIDGE, "inside_mac = 02:00:00:00:00:0g",
         "lb.ini:2: [bridge] inside_mac: 02:00:00:00:00:0g is not a MAC address such as "
         "02:00:00:00:00:41"},
        {WITH_BRIDGE, "inside_mac = 02:00-00:00:00:01",
         "lb.ini:2: [bridge] inside_mac: 02:00-00:00:00:01 is not a MAC address such as "
         "02:00:00:00:00:41"},
        {WITH_BRIDGE, "inside_mac =",
         "lb.ini:2: [bridge] inside_mac: an empty value is not a MAC address such as "
         "02:00:00:00:00:41"},
        {WITH_BRIDGE, "mode = out-of-path",
         "lb.ini:2: [bridge] mode: out-of-path is not for OCS, which doesn't support it: what goes "
         "past tmbridge is neither reset nor timed out; use one-armed"},
        {WITH_BRIDGE, "mode = bridged",
         "lb.ini:2: [bridge] mode: bridged is not one of: transparent, routed, one-armed"},
        {WITH_BRIDGE, "routing = maybe",
         "lb.ini:2: [bridge] routing: maybe is not one of: no, yes"},
        {WITH_BRIDGE, "gateway = 10.0.0.1, 10.0.0.2",
         "lb.ini:2: [bridge] gateway: 10.0.0.2 is a second gateway of its version of IP"},
        {WITH_BRIDGE, "gateway = 10.0.0.1,",
         "lb.ini:2: [bridge] gateway: 10.0.0.1, has a comma too many"},
        {WITH_BRIDGE, "outside_address = 10.0.0.40",
         "lb.ini:2: [bridge] outside_address: 10.0.0.40 is not an address with its prefix length, "
         "such as 10.0.0.40/24"},
        {WITH_BRIDGE, "inside_address = 10.0.0.40/33",
         "lb.ini:2: [bridge] inside_address: 10.0.0.40/33 is not an address with its prefix "
         "length, such as 10.0.0.40/24"},
        {WITH_BRIDGE, "max_half_open = 0",
         "lb.ini:2: [bridge] max_half_open: 0 is not a number from 1 to 1048576"},
        {WITH_BRIDGE, "max_half_open = 1048577",
         "lb.ini:2: [bridge] max_half_open: 1048577 is not a number from 1 to 1048576"},
        {WITH_BRIDGE, "max_connections = 0",
         "lb.ini:2: [bridge] max_connections: 0 is not a number from 1 to 67108864"},
        {WITH_BRIDGE, "max_connections = 67108865",
         "lb.ini:2: [bridge] max_connections: 67108865 is not a number from 1 to 67108864"},
        {WITH_BRIDGE, "max_connections = 18446744073709551617",
         "lb.ini:2: [bridge] max_connections: 18446744073709551617 is not a number from 1 to "
         "67108864"},
        {WITH_BRIDGE, "max_connections = +5",
         "lb.ini:2: [bridge] max_connections: +5 is not a number from 1 to 67108864"},
        {WITH_BRIDGE, "max_connections = 5k",
         "lb.ini:2: [bridge] max_connections: 5k is not a number from 1 to 67108864"},
        {WITH_BRIDGE, "workers = 65",
         "lb.ini:2: [bridge] workers: 65 is not a number from 1 to 64, nor auto"},
        {WITH_BRIDGE, "workers = 0",
         "lb.ini:2: [bridge] workers: 0 is not a number from 1 to 64, nor auto"},
        {WITH_BRIDGE, "rush = 1", "lb.ini:2: [bridge] rush: 1 is not one of: no, yes"},
        {WITH_BRIDGE, "link_mirror = maybe",
         "lb.ini:2: [bridge] link_mirror: maybe is not one of: no, yes"},
        {WITH_BRIDGE, "fast_path = on",
         "lb.ini:2: [bridge] fast_path: on is not one of: auto, kernel, off"},
        {WITH_BRIDGE, "on_exit = go", "lb.ini:2: [bridge] on_exit: go is not one of: keep, cut"},

        {WITH_PORTS, "ports = 70000",
         "lb.ini:3: [farm x] ports: 70000 is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = 80, 0", "lb.ini:3: [farm x] ports: 0 is not a TCP port (1-65535)"},
        {WITH_PORTS,
         "ports = 80:", "lb.ini:3: [farm x] ports: an empty value is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = :80",
         "lb.ini:3: [farm x] ports: an empty value is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = 80:8080:1",
         "lb.ini:3: [farm x] ports: 8080:1 is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = 80:65536",
         "lb.ini:3: [farm x] ports: 65536 is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = 10.0.0.41:8080",
         "lb.ini:3: [farm x] ports: 10.0.0.41 is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = 80-89:8089-8080",
         "lb.ini:3: [farm x] ports: 8089 to 8080 runs backwards: 8080-8089 is right"},
        {WITH_PORTS, "ports = 80-89:8080",
         "lb.ini:3: [farm x] ports: 80-89:8080 goes from 10 ports to one: 80-89:8080-8089 is one "
         "for each"},
        {WITH_PORTS, "ports = 80-89:65527",
         "lb.ini:3: [farm x] ports: 80-89:65527 goes from 10 ports to 1"},
        {WITH_PORTS, "ports = 80:8080-8081",
         "lb.ini:3: [farm x] ports: 80:8080-8081 goes from 1 port to 2"},
        {WITH_PORTS, "ports = 80:8080, 79-80:90-91",
         "lb.ini:3: [farm x] ports: 79-80:90-91 goes to port 91 of the servers, but 80 goes to "
         "8080 already"},
        {WITH_PORTS, "ports = 80:8080, 80",
         "lb.ini:3: [farm x] ports: 80 goes to port 80 of the servers, but 80 goes to 8080 "
         "already"},
        {WITH_PORTS, "ports = 80:8080 443",
         "lb.ini:3: [farm x] ports: 80:8080 443 has a blank where a comma belongs: 80:8080, 443"},
        {WITH_FARM, "check = 80:8080",
         "lb.ini:4: [farm x] check: 80:8080 is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = http", "lb.ini:3: [farm x] ports: http is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = 80-",
         "lb.ini:3: [farm x] ports: an empty value is not a TCP port "
         "(1-65535)"},
        {WITH_PORTS, "ports = 80-90-100",
         "lb.ini:3: [farm x] ports: 90-100 is not a TCP port (1-65535)"},
        {WITH_PORTS, "ports = 90-80",
         "lb.ini:3: [farm x] ports: 90 to 80 runs backwards: 80-90 is right"},
        {WITH_PORTS, "ports = 80,,81", "lb.ini:3: [farm x] ports: 80,,81 has a comma too many"},
        {WITH_PORTS, "ports = 80,", "lb.ini:3: [farm x] ports: 80, has a comma too many"},
        {WITH_PORTS, "ports =",
         "lb.ini:3: [farm x] ports: an empty value is not a TCP port "
         "(1-65535)"},
        {WITH_PORTS, "ports = 80 81",
         "lb.ini:3: [farm x] ports: 80 81 has a blank where a comma belongs: 80, 81"},
        {WITH_PORTS, "ports = 80:8080 443:4443 5060 - 5061",
         "lb.ini:3: [farm x] ports: 80:8080 443:4443 5060 - 5061 has a blank where a comma "
         "belongs: 80:8080, 443:4443, 5060 - 5061"},
        {WITH_FARM, "check = 443\t80  81, 82",
         "lb.ini:4: [farm x] check: 443?80  81, 82 has a blank where a comma belongs: 443, 80, "
         "81"},
        {WITH_PORTS, "ports = 0123456789012345678901234567890123456789x",
         "lb.ini:3: [farm x] ports: 0123456789012345678901234567890123456789... is not a TCP port "
         "(1-65535)"},
        {WITH_PORTS, "preset = ocs2007",
         "lb.ini:3: [farm x] preset: ocs2007 is not one of: ocs2007r2, ocs2007r2-tls"},
        {WITH_FARM, "check = 65536", "lb.ini:4: [farm x] check: 65536 is not a TCP port (1-65535)"},
        {WITH_FARM, "check = 1-17",
         "lb.ini:4: [farm x] check: 1-17 is 17 checks, but a server has at most 16"},
        {WITH_FARM, "check_interval = 5",
         "lb.ini:4: [farm x] check_interval: 5 has no unit: 5s, or one of ms, m, h, d"},
        {WITH_FARM, "check_interval = 99ms",
         "lb.ini:4: [farm x] check_interval: 99ms is not from 100ms to 1h"},
        {WITH_FARM, "check_timeout = 61m",
         "lb.ini:4: [farm x] check_timeout: 61m is not from 10ms to 1h"},
        {WITH_FARM, "fall = 0", "lb.ini:4: [farm x] fall: 0 is not a number from 1 to 100"},
        {WITH_FARM, "rise = 101", "lb.ini:4: [farm x] rise: 101 is not a number from 1 to 100"},
        {WITH_FARM, "deny = 192.0.2.1/24",
         "lb.ini:4: [farm x] deny: 192.0.2.1/24 isn't where its network begins: 192.0.2.0/24"},
        {WITH_FARM, "deny = 2001:db8::1/64",
         "lb.ini:4: [farm x] deny: 2001:db8::1/64 isn't where its network begins: 2001:db8::/64"},
        {WITH_FARM, "deny = 192.0.2.0/33",
         "lb.ini:4: [farm x] deny: 192.0.2.0/33 has no prefix length from 0 to 32"},
        {WITH_FARM, "deny = 192.0.2.0/24 192.0.3.0/24",
         "lb.ini:4: [farm x] deny: 192.0.2.0/24 192.0.3.0/24 has a blank where a comma belongs: "
         "192.0.2.0/24, 192.0.3.0/24"},
        {WITH_FARM, "deny = 192.0.2.1 - 192.0.2.9",
         "lb.ini:4: [farm x] deny: 192.0.2.1 - 192.0.2.9 is a range and not one address, nor a "
         "prefix such as 192.0.2.0/24"},
        {WITH_FARM, "deny = 2001:db8::1-2001:db8::9",
         "lb.ini:4: [farm x] deny: 2001:db8::1-2001:db8::9 is a range and not one address, nor a "
         "prefix such as 192.0.2.0/24"},
        {WITH_FARM, "deny = web-servers",
         "lb.ini:4: [farm x] deny: web-servers is not an address, nor a prefix such as "
         "192.0.2.0/24"},
        {WITH_FARM, "allow = ::/129",
         "lb.ini:4: [farm x] allow: ::/129 has no prefix length from 0 to 128"},
        {WITH_FARM, "client_exempt = office",
         "lb.ini:4: [farm x] client_exempt: office is not an address, nor a prefix such as "
         "192.0.2.0/24"},
        {WITH_FARM, "deny = 192.0.2.1, ,",
         "lb.ini:4: [farm x] deny: 192.0.2.1, , has a comma too many"},
        {WITH_FARM, "deny = @/nowhere/deny.txt",
         "lb.ini:4: [farm x] deny: /nowhere/deny.txt can't be read: No such file or directory"},
        {WITH_FARM, "deny = @/dev/null",
         "lb.ini:4: [farm x] deny: /dev/null can't be read: it is no regular file"},
        {WITH_FARM, "client_connections = 50001",
         "lb.ini:4: [farm x] client_connections: 50001 is not a number from 1 to 50000, nor off"},
        {WITH_FARM, "client_rate = 0",
         "lb.ini:4: [farm x] client_rate: 0 is not a number from 1 to 1000000, nor off"},
        {WITH_FARM, "client_burst = 0",
         "lb.ini:4: [farm x] client_burst: 0 is not a number from 1 to 1000000, nor rate"},
        {WITH_FARM, "block_for = 999ms",
         "lb.ini:4: [farm x] block_for: 999ms is not from 1s to 7d"},
        {WITH_FARM, "on_limit = hang",
         "lb.ini:4: [farm x] on_limit: hang is not one of: reset, drop"},
        {WITH_FARM, "scheduler = wcl",
         "lb.ini:4: [farm x] scheduler: wcl is not one of: wlc, lc, wrr, rr, source, hash, "
         "fastest"},
        {WITH_FARM, "persist = yes",
         "lb.ini:4: [farm x] persist: yes is not a duration such as 500ms, 90s, 30m, 1h or 1d"},
        {WITH_FARM, "persist = 0s", "lb.ini:4: [farm x] persist: 0s is not from 1s to 7d"},
        {WITH_FARM, "idle_timeout = 999ms",
         "lb.ini:4: [farm x] idle_timeout: 999ms is not from 1s to 7d"},
        {WITH_FARM, "idle_timeout = 8d",
         "lb.ini:4: [farm x] idle_timeout: 8d is not from 1s to 7d"},
        {WITH_FARM, "idle_timeout = 4294967295d",
         "lb.ini:4: [farm x] idle_timeout: 4294967295d is not from 1s to 7d"},
        {WITH_FARM, "idle_timeout = 4294967296d",
         "lb.ini:4: [farm x] idle_timeout: 4294967296d is not a duration such as 500ms, 90s, 30m, "
         "1h or 1d"},
        {WITH_FARM, "idle_timeout = 1h30m",
         "lb.ini:4: [farm x] idle_timeout: 1h30m is not a duration such as 500ms, 90s, 30m, 1h or "
         "1d"},
        {WITH_FARM, "on_idle = rst", "lb.ini:4: [farm x] on_idle: rst is not one of: reset, drop"},
        {WITH_FARM, "on_down = drop",
         "lb.ini:4: [farm x] on_down: drop is not one of: reset, keep"},
        {WITH_FARM, "snat = 10.0.0.47-10.0.0.45",
         "lb.ini:4: [farm x] snat: 10.0.0.47 to 10.0.0.45 runs backwards: 10.0.0.45-10.0.0.47 is "
         "right"},
        {WITH_FARM, "snat = 10.0.0.45-47",
         "lb.ini:4: [farm x] snat: 47 ends a range, which has two whole addresses: "
         "10.0.0.45-10.0.0.47"},
        {WITH_FARM, "snat = 10.0.0.45-.47",
         "lb.ini:4: [farm x] snat: .47 ends a range, which has two whole addresses: "
         "10.0.0.45-10.0.0.47"},
        {WITH_FARM, "snat = 10.0.0.45-256",
         "lb.ini:4: [farm x] snat: 256 is not an IPv4 address such as 10.0.0.40"},
        {WITH_FARM, "snat = 10.0.0.45 10.0.0.46",
         "lb.ini:4: [farm x] snat: 10.0.0.45 10.0.0.46 has a blank where a comma belongs: "
         "10.0.0.45, 10.0.0.46"},
        {WITH_FARM, "snat = 10.0.0.40/24",
         "lb.ini:4: [farm x] snat: 10.0.0.40/24 has a prefix length, but is to be one address: "
         "10.0.0.40"},
        {WITH_FARM, "snat = 10.0.1.0-10.0.2.0",
         "lb.ini:4: [farm x] snat: 10.0.1.0-10.0.2.0 has more than 256 addresses, which is the "
         "most"},
        {WITH_FARM, "snat = 224.0.0.1",
         "lb.ini:4: [farm x] snat: 224.0.0.1 is a multicast address, but a host's is needed"},
        {WITH_FARM, "snat =",
         "lb.ini:4: [farm x] snat: an empty value is not an IPv4 address such as 10.0.0.40"},
        {WITH_FARM, "snat_ports = 1024-65536",
         "lb.ini:4: [farm x] snat_ports: 65536 is not a TCP port (1-65535)"},
        {WITH_FARM, "connlog = \"\"",
         "lb.ini:4: [farm x] connlog: an empty value is not a file's path, nor - for stdout"},
        {WITH_FARM, "vlan = 0", "lb.ini:4: [farm x] vlan: 0 is not a number from 1 to 4094"},
        {WITH_FARM, "vlan = 4095", "lb.ini:4: [farm x] vlan: 4095 is not a number from 1 to 4094"},
        {WITH_FARM, "vlan = on", "lb.ini:4: [farm x] vlan: on is not a number from 1 to 4094"},

        {WITH_FARM6, "snat = fd00::2-fd00::1",
         "lb.ini:4: [farm x] snat: fd00::2 to fd00::1 runs backwards: fd00::1-fd00::2 is right"},
        {WITH_FARM6, "snat = fd00::1-ff",
         "lb.ini:4: [farm x] snat: ff ends a range, which has two whole addresses: "
         "fd00::1-fd00::ff"},
        {WITH_FARM6, "snat = 10.0.0.1-fd00::1",
         "lb.ini:4: [farm x] snat: 10.0.0.1 to fd00::1 mixes IPv4 and IPv6"},
        {WITH_FARM6, "snat = fd00::-fd00::100",
         "lb.ini:4: [farm x] snat: fd00::-fd00::100 has more than 256 addresses, which is the "
         "most"},
        {WITH_FARM6, "snat = fd00::40, 10.0.0.40",
         "lb.ini:4: [farm x] snat: 10.0.0.40 is not an IPv6 address as the VIP is"},
        {WITH_FARM, "snat = 10.0.0.40, fd00::40",
         "lb.ini:4: [farm x] snat: fd00::40 is not an IPv4 address as the VIP is"},
        {FARM_X SERVER_A6 "%s", "",
         "lb.ini:6: [server a] address: 2001:db8::41 is not an IPv4 address as the VIP is"},
        {FARM_X6 SERVER_A "%s", "",
         "lb.ini:6: [server a] address: 10.0.0.41 is not an IPv6 address as the VIP is"},

        {WITH_VIP, "vip = ocspool",
         "lb.ini:2: [farm x] vip: ocspool is not an IPv4 address such as 10.0.0.40"},

        {WITH_SERVER, "weight = 101",
         "lb.ini:7: [server a] weight: 101 is not a number from 0 to 100"},
        {WITH_SERVER, "weight = -1",
         "lb.ini:7: [server a] weight: -1 is not a number from 0 to 100"},
        {WITH_SERVER, "state = up",
         "lb.ini:7: [server a] state: up is not one of: active, standby, last_resort, drain, "
         "disabled"},
        {WITH_SERVER, "mac = 01:00:5e:00:00:01",
         "lb.ini:7: [server a] mac: 01:00:5e:00:00:01 is a multicast MAC address, but an "
         "interface's is needed"},
        {WITH_SERVER, "mac = ff:ff:ff:ff:ff:ff",
         "lb.ini:7: [server a] mac: ff:ff:ff:ff:ff:ff is a multicast MAC address, but an "
         "interface's is needed"},
        {WITH_SERVER, "mac = 00:00:00:00:00:00",
         "lb.ini:7: [server a] mac: 00:00:00:00:00:00 is no interface's MAC address"},
        {WITH_SERVER, "vlan = 4095",
         "lb.ini:7: [server a] vlan: 4095 is not a number from 1 to 4094"},
        {WITH_SERVER, "max_connections = 67108865",
         "lb.ini:7: [server a] max_connections: 67108865 is not a number from 0 to 67108864"},

        {WITH_FARM, "all_down = up", "lb.ini:4: [farm x] all_down: up is not one of: out, keep"},
        {WITH_FARM, "observe = 0",
         "lb.ini:4: [farm x] observe: 0 is not a number from 1 to 1000, nor off"},
        {WITH_FARM, "agent = 65536",
         "lb.ini:4: [farm x] agent: 65536 is not a TCP port (1-65535), nor off"},
        {WITH_FARM, "check = 80 tsl",
         "lb.ini:4: [farm x] check: tsl is no check: did you mean `tls`?"},
        {WITH_FARM, "check = 80 something",
         "lb.ini:4: [farm x] check: something is no check: there are tls, http, smtp, ldap, sip, "
         "rpc, mssql, redis, pgsql, and [check NAME]s"},
        {WITH_FARM, "check = tls", "lb.ini:4: [farm x] check: tls is not a TCP port (1-65535)"},
        {WITH_FARM, "check = 443 tls,", "lb.ini:4: [farm x] check: 443 tls, has a comma too many"},
        {WITH_FARM, "check = 25 smtp mx.example.com",
         "lb.ini:4: [farm x] check: mx.example.com is too much for smtp, which takes, each once: "
         "nothing"},
        {WITH_FARM, "check = 80 http /a /b",
         "lb.ini:4: [farm x] check: /b is too much for http, which takes, each once: a path such "
         "as /health, a name, numbers such as 200-399"},
        {WITH_FARM, "check = 80 http 399-200",
         "lb.ini:4: [farm x] check: 399-200 is not numbers such as 200 or 200-399, at most 65535"},
        {WITH_FARM, "check = 443 tls www/x",
         "lb.ini:4: [farm x] check: www/x is not a name such as www.example.com"},
        {WITH_CHECK, "expect = A\\q",
         "lb.ini:9: [check c] expect: \\q is no escape: there are \\r \\n \\t \\\\ \\xHH "
         "\\{HH HH...} \\? \\mHHMM"},
        {WITH_CHECK, "expect = A\nsend = A\\?",
         "lb.ini:10: [check c] send: \\? is no escape: there are \\r \\n \\t \\\\ \\xHH "
         "\\{HH HH...}"},
        {WITH_CHECK, "expect = A\\{01 0}",
         "lb.ini:9: [check c] expect: 0} is not two hexadecimal digits, as in \\{16 03 01}"},
        {WITH_CHECK, "expect = A\\{01", "lb.ini:9: [check c] expect: {01 has no closing brace"},
        {WITH_CHECK, "expect = \"\"",
         "lb.ini:9: [check c] expect: an empty value is what any server answers"},
        {WITH_CHECK, "expect = A\nnumber = 65536",
         "lb.ini:10: [check c] number: 65536 is not numbers such as 200 or 200-399, at most 65535"},
        {WITH_CHECK, "expect = A\nmatch = all",
         "lb.ini:10: [check c] match: all is not one of: prefix, substring"},
        {WITH_CHECK, "",
         "lb.ini:8: [check c] expect: a check needs what the server is to answer, "
         "such as expect = +PONG"},
        {FARM_X SERVER_A "[filter f]\n%s\n", "action = pass",
         "lb.ini:7: [filter f] match: a filter needs a pcap-filter expression, such as match = tcp "
         "port 22"},
        {FARM_X SERVER_A "[filter f]\n%s\n", "match = tcp",
         "lb.ini:7: [filter f] action: a filter needs what to do: pass, drop, reset or count"},
        {FARM_X SERVER_A "[filter f]\nmatch = tcp\naction = pass\n%s\n", "side = left",
         "lb.ini:10: [filter f] side: left is not one of: outside, inside, both"},
        {FARM_X SERVER_A "[filter f]\nmatch = tcp\naction = pass\n%s\n", "log = maybe",
         "lb.ini:10: [filter f] log: maybe is not one of: no, yes"},
        {FARM_X SERVER_A "[filter f]\nmatch = tcp\n%s\n", "action = reject",
         "lb.ini:9: [filter f] action: reject is not one of: pass, drop, reset, count"},
        {FARM_X SERVER_A "[filter f]\nmatch = tcp\naction = pass\n%s\n", "rate = 0",
         "lb.ini:10: [filter f] rate: 0 is not a number from 1 to 10000000, nor off"},
        {FARM_X SERVER_A "[filter f]\nmatch = tcp\naction = drop\n%s\n", "rate = 1",
         "lb.ini:10: [filter f] rate: all is dropped: action = pass drops what is above"},
        {FARM_X "%s\n[check SMTP]\nexpect = 220\n", "check = 25 smtp",
         "lb.ini:5: [check smtp] smtp has a meaning already: choose another name"},
};

START_TEST(a_wrong_value_is_refused)
{
	char *text = compose(wrong_values[_i].file, wrong_values[_i].line);

	expect_error(text, wrong_values[_i].error);
	free(text);
}
END_TEST

/* If a row is of that key: "... [farm x] KEY: ...". */
static bool is_refused(enum section section, const char *key)
{
	char what[64];

	snprintf(what, sizeof(what), "] %s: ", key);
	for (size_t i = 0; i < ROWS(wrong_values); i++) {
		const char *title = strchr(wrong_values[i].error, '[');

		if (title &&
		    strncmp(title + 1, section_name(section), strlen(section_name(section))) == 0 &&
		    strstr(title, what))
			return true;
	}
	return false;
}

/* Whoever adds a key adds a row of what it doesn't take. Only that a server's farm is there is said
 * of the whole file (cfg_wrong_test.c). */
START_TEST(each_key_refuses_something)
{
	for (unsigned section = 0; section < SECTIONS; section++) {
		const struct key *keys = section_keys((enum section)section);

		for (unsigned i = 0; keys[i].name; i++)
			ck_assert_msg(is_refused((enum section)section, keys[i].name) ||
			                      strcmp(keys[i].name, "farm") == 0,
			              "no row of the wrong values is of [%s] %s",
			              section_name((enum section)section), keys[i].name);
	}
}
END_TEST

static const struct {
	const char *address, *error;
} wrong_addresses[] = {
        {"10.0.0", "10.0.0 is not an IPv4 address such as 10.0.0.40"},
        {"10.0.0.256", "10.0.0.256 is not an IPv4 address such as 10.0.0.40"},
        {"10.0.0.040", "10.0.0.040 is not an IPv4 address such as 10.0.0.40"},
        {"10.0.0.40/24", "10.0.0.40/24 has a prefix length, but is to be one address: 10.0.0.40"},
        {"10.0.0/24", "10.0.0/24 is not an IPv4 address such as 10.0.0.40"},
        {"10.0.0.40:80",
         "10.0.0.40:80 has a port: the address is 10.0.0.40, and ports have keys of their own"},
        {"10.0.0.40:", "10.0.0.40: has a port: the address is 10.0.0.40, and ports have keys of "
                       "their own"},
        {"10.0.0:80", "10.0.0:80 is not an IPv6 address such as 2001:db8::40"},
        {"2001:db8::40/64",
         "2001:db8::40/64 has a prefix length, but is to be one address: 2001:db8::40"},
        {"[2001:db8::40]:80",
         "[2001:db8::40]:80 has brackets, and maybe a port: the address is 2001:db8::40"},
        {"[2001:db8::40]",
         "[2001:db8::40] has brackets, and maybe a port: the address is 2001:db8::40"},
        {"::1", "::1 is a loopback address, but a host's is needed"},
        {"ocspool", "ocspool is not an IPv4 address such as 10.0.0.40"},
        {"", "an empty value is not an IPv4 address such as 10.0.0.40"},
        {"0.0.0.0", "0.0.0.0 is no host's address (0.0.0.0/8), but a host's is needed"},
        {"0.1.2.3", "0.1.2.3 is no host's address (0.0.0.0/8), but a host's is needed"},
        {"127.0.0.1", "127.0.0.1 is a loopback address, but a host's is needed"},
        {"224.0.0.1", "224.0.0.1 is a multicast address, but a host's is needed"},
        {"239.255.255.255", "239.255.255.255 is a multicast address, but a host's is needed"},
        {"240.0.0.1", "240.0.0.1 is a reserved address (240.0.0.0/4), but a host's is needed"},
        {"255.255.255.255", "255.255.255.255 is the broadcast address, but a host's is needed"},
        {"2001:db8::g", "2001:db8::g is not an IPv6 address such as 2001:db8::40"},
        {"2001:db8::40%eth0", "2001:db8::40%eth0 is not an IPv6 address such as 2001:db8::40"},
        {"::", ":: is no host's address (::), but a host's is needed"},
        {"ff02::1", "ff02::1 is a multicast address, but a host's is needed"},
        {"::ffff:10.0.0.40",
         "::ffff:10.0.0.40 is an IPv4 address in IPv6 (::ffff:0:0/96), but a host's is needed"},
};

START_TEST(an_address_that_no_host_can_have_is_refused)
{
	char text[TEXT_BYTES], error[TEXT_BYTES];

	snprintf(text, sizeof(text), "[farm x]\nvip = %s\nports = 80\n" SERVER_A,
	         wrong_addresses[_i].address);
	snprintf(error, sizeof(error), "lb.ini:2: [farm x] vip: %s", wrong_addresses[_i].error);
	expect_error(text, error);

	snprintf(text, sizeof(text), FARM_X "[server a]\nfarm = x\naddress = %s\n",
	         wrong_addresses[_i].address);
	snprintf(error, sizeof(error), "lb.ini:6: [server a] address: %s",
	         wrong_addresses[_i].error);
	expect_error(text, error);
}
END_TEST

Suite *cfg_values_suite(void)
{
	Suite *suite = suite_create("cfg_values");
	TCase *tcase = tcase_create("cfg_values");

	tcase_add_checked_fixture(tcase, cfg_file_setup, cfg_file_teardown);
	tcase_add_loop_test(tcase, a_wrong_value_is_refused, 0, ROWS(wrong_values));
	tcase_add_test(tcase, each_key_refuses_something);
	tcase_add_loop_test(tcase, an_address_that_no_host_can_have_is_refused, 0,
	                    ROWS(wrong_addresses));
	suite_add_tcase(suite, tcase);
	return suite;
}
