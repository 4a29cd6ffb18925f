/*
 * cfg_load(): every key, every default, and every message with its line.
 *
 * Each case is a whole lb.ini, or a few lines put into one that is right otherwise, and what must
 * come of it: the rules as one line of text, or the exact finding. Files are written as lb.ini to a
 * directory of their own; findings begin with that path, which the comparison cuts off.
 */
#include "memory.h"
#include "suites.h"

#include "../../cfg/changes.h"
#include "../../cfg/keys.h"
#include "../../cfg/cfg.h"
#include "../../lb/takeover.h"

#include <arpa/inet.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TEXT_BYTES = 2048,
	FILE_BYTES_MAX = 1 << 20,
	LINE_BYTES_MAX = 1000,
	NOBODY = 65534,
};

/* ---- the file and what came of it ---- */

static char dir[] = "/tmp/tmbridge-cfg-XXXXXX";
static char path[sizeof(dir) + sizeof("/lb.ini")];

static void setup(void)
{
	strcpy(dir + sizeof(dir) - sizeof("XXXXXX"), "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lb.ini", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void write_bytes(const char *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

struct outcome {
	int ret;
	struct rules *rules;
	unsigned errors, warnings;
	char error[TEXT_BYTES];   /* without the directory; all of them, a line each */
	char last[TEXT_BYTES];    /* the last one again */
	char warning[TEXT_BYTES]; /* all of them, a line each */
};

static void take_note(void *ctx, bool is_error, const char *text)
{
	struct outcome *outcome = ctx;
	size_t skip = strncmp(text, dir, strlen(dir)) ? 0 : strlen(dir) + 1;
	char *to = is_error ? outcome->error : outcome->warning;
	size_t used = strlen(to);

	ck_assert_ptr_null(strchr(text, '\n'));
	if (is_error)
		outcome->errors++;
	else
		outcome->warnings++;
	snprintf(to + used, TEXT_BYTES - used, "%s%s", used ? "\n" : "", text + skip);
	if (is_error)
		snprintf(outcome->last, TEXT_BYTES, "%s", text + skip);
}

/* Loads path; checks what the contract says of every call. */
static struct outcome load_path(const char *from)
{
	struct outcome outcome = {0};

	outcome.ret = cfg_load(from, take_note, &outcome, &outcome.rules);
	ck_assert_int_eq(outcome.errors > 0, outcome.ret != 0);
	ck_assert_int_eq(outcome.ret == 0, outcome.rules != NULL);
	return outcome;
}

static struct outcome load(const char *text)
{
	write_bytes(text, strlen(text));
	return load_path(path);
}

static void expect_error(const char *text, const char *error)
{
	struct outcome outcome = load(text);

	ck_assert_msg(outcome.ret, "no error, but expected: %s\n%s", error, text);
	ck_assert_str_eq(outcome.error, error);
	ck_assert_int_eq(outcome.ret, -EINVAL);
}

static void expect_first_error(const char *text, const char *error)
{
	struct outcome outcome = load(text);

	ck_assert_int_eq(outcome.ret, -EINVAL);
	ck_assert_msg(!strncmp(outcome.error, error, strlen(error)), "%s", outcome.error);
}

static struct rules *expect_rules(const char *text)
{
	struct outcome outcome = load(text);

	ck_assert_msg(outcome.ret == 0, "%s\n%s", outcome.error, text);
	return outcome.rules;
}

static void expect_warnings(const char *text, const char *warnings)
{
	struct outcome outcome = load(text);

	ck_assert_msg(outcome.ret == 0, "%s\n%s", outcome.error, text);
	ck_assert_str_eq(outcome.warning, warnings);
	rules_free(outcome.rules);
}

/* ---- rules as text ---- */

struct line {
	char text[TEXT_BYTES];
	size_t used;
};

static void say(struct line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct line *line, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line->text + line->used, sizeof(line->text) - line->used, fmt, ap);
	va_end(ap);
	line->used += (size_t)len;
	ck_assert_uint_lt(line->used, sizeof(line->text));
}

static void say_address(struct line *line, const struct rules *rules, be32 address)
{
	char text[INET6_ADDRSTRLEN];

	if (name_is_ipv6(address))
		inet_ntop(AF_INET6, rules_ip6(rules, address), text, sizeof(text));
	else
		inet_ntop(AF_INET, address.b, text, sizeof(text));
	say(line, "%s", text);
}

static void say_vlan(struct line *line, uint16_t vlan)
{
	if (vlan)
		say(line, " vlan=%u", vlan);
}

static void say_mac(struct line *line, bool has, struct mac mac)
{
	if (!has)
		say(line, "none");
	for (unsigned i = 0; has && i < sizeof(mac.b); i++)
		say(line, "%s%02x", i ? ":" : "", mac.b[i]);
}

static void say_ports(struct line *line, const char *name, const be16 *ports, unsigned n)
{
	say(line, " %s=", name);
	for (unsigned i = 0; i < n; i++)
		say(line, "%s%u", i ? "," : "", be16_get(ports[i]));
}

static void say_farm(struct line *line, const struct rules *rules, const struct rules_farm *farm)
{
	say(line, "name=%s vip=", farm->name);
	say_address(line, rules, farm->vip);
	say_ports(line, "ports", farm->ports, farm->nports);
	if (farm->server_ports)
		say_ports(line, "at", farm->server_ports, farm->nports);
	say_ports(line, "check", farm->checks, farm->nchecks);
	for (unsigned i = 0; i < farm->nchecks; i++)
		if (rules_script(rules, farm, i))
			say(line, " %u:%s", i, rules_script(rules, farm, i)->text);
	say(line, " every=%u/%u fall=%u rise=%u", farm->check_interval_ms, farm->check_timeout_ms,
	    farm->fall, farm->rise);
	say(line, " %s persist=%u idle=%u on=%d/%d snat=", rules_scheduler_words[farm->scheduler],
	    farm->persist_ms, farm->idle_timeout_ms, farm->on_idle, farm->on_down);
	for (unsigned i = 0; i < farm->nsnat; i++) {
		say(line, "%s", i ? "," : "");
		say_address(line, rules, farm->snat[i]);
	}
	say(line, " from=");
	for (unsigned i = 0; i < farm->nsnat_ports; i++)
		say(line, "%s%u-%u", i ? "," : "", farm->snat_ports[i].first,
		    farm->snat_ports[i].last);
	say(line, " connlog=%s", farm->connlog ? farm->connlog : "none");
	if (farm->all_down == ALL_DOWN_KEEP)
		say(line, " all_down=keep");
	if (farm->observe)
		say(line, " observe=%u", farm->observe);
	if (rules_has_agent(farm))
		say(line, " agent=%u", be16_get(farm->agent));
	if (farm->access.n || farm->exempt.n)
		say(line, " lists=%u/%u/%d", farm->access.n, farm->exempt.n, farm->allows_only);
	if (farm->client_connections || farm->client_rate || farm->client_burst ||
	    farm->block_for_ms || farm->on_limit)
		say(line, " limits=%u/%u/%u/%u/%d", farm->client_connections, farm->client_rate,
		    farm->client_burst, farm->block_for_ms, farm->on_limit);
	say_vlan(line, farm->vlan);
}

static void say_server(struct line *line, const struct rules *rules,
                       const struct rules_server *server)
{
	say(line, "name=%s farm=%u address=", server->name, server->farm);
	say_address(line, rules, server->address);
	say(line, " weight=%u %s mac=", server->weight, rules_state_words[server->state]);
	say_mac(line, server->has_mac, server->mac);
	say(line, " max=%u", server->max_connections);
	say_vlan(line, server->vlan);
}

static void say_nets(struct line *line, const struct rules *rules)
{
	if (rules->mode != MODE_TRANSPARENT)
		say(line, " %s", rules_mode_words[rules->mode]);
	if (rules->routing)
		say(line, " routing");
	for (unsigned i = 0; i < 2; i++) {
		be32 gateway = i ? rules->gateway6 : rules->gateway4;

		if (be32_get(gateway)) {
			say(line, " by=");
			say_address(line, rules, gateway);
		}
	}
	for (unsigned i = 0; i < rules->nets.n; i++) {
		const uint8_t *b = rules->nets.all[i].address.b;

		say(line, " %u:%02x%02x..%02x%02x/%u", rules->nets.all[i].side, b[0], b[1], b[14],
		    b[15], rules->nets.all[i].prefix);
	}
}

static void say_bytes(struct line *line, const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		say(line, "%02x", bytes[i]);
}

static void say_check(struct line *line, const struct script *script)
{
	say(line, "name=%s send=", script->text);
	say_bytes(line, script->send, script->nsend);
	say(line, " expect=");
	say_bytes(line, script->expect, script->nexpect);
	say(line, "/");
	say_bytes(line, script->mask, script->nexpect);
	say(line, " where=%u number=%u-%u", script->where, script->low, script->high);
}

static void say_filter(struct line *line, const struct rules_filter *filter)
{
	say(line, "name=%s line=%u match=%s sides=%u action=%u rate=%u log=%d", filter->name,
	    filter->line, filter->match, filter->sides, filter->action, filter->rate, filter->log);
}

static void say_bridge(struct line *line, const struct rules *rules)
{
	say_mac(line, rules->has_outside_mac, rules->outside_mac);
	say(line, " ");
	say_mac(line, rules->has_inside_mac, rules->inside_mac);
	static const char *const fast_paths[] = {[FAST_PATH_AUTO] = "",
	                                         [FAST_PATH_KERNEL] = " fast_path=kernel",
	                                         [FAST_PATH_OFF] = " fast_path=off"};

	say(line, " max=%u", rules->max_connections);
	if (rules->max_half_open != 65536)
		say(line, " half=%u", rules->max_half_open);
	say(line, " workers=%u%s%s%s", rules->workers, rules->link_mirror ? " link_mirror" : "",
	    fast_paths[rules->fast_path], rules->on_exit == ON_EXIT_CUT ? " on_exit=cut" : "");
	say_nets(line, rules);
}

/* ---- keys that are right ---- */

/* Files of one section with one line more. %s: that line. */
#define SERVER_A    "[server a]\nfarm = x\naddress = 10.0.0.41\n"
#define FARM_X      "[farm x]\nvip = 10.0.0.40\nports = 80\n"
#define FARM_Y      "[farm y]\nvip = 10.0.0.50\nports = 80\n"
#define WITH_BRIDGE "[bridge]\n%s\n" FARM_X SERVER_A
#define WITH_FARM   FARM_X "%s\n" SERVER_A
#define WITH_SERVER FARM_X SERVER_A "%s\n"
#define WITH_CHECK  FARM_X "check = 80 c\n" SERVER_A "[check c]\n%s\n"
#define WITH_FILTER FARM_X SERVER_A "[filter f]\n%s\n"
#define WITH_PORTS  "[farm x]\nvip = 10.0.0.40\n%s\n" SERVER_A

/* The same of IPv6. */
#define SERVER_A6  "[server a]\nfarm = x\naddress = 2001:db8::41\n"
#define FARM_X6    "[farm x]\nvip = 2001:db8::40\nports = 80\n"
#define WITH_FARM6 FARM_X6 "%s\n" SERVER_A6

#define FARM_X6_NAMED "[farm x6]\nvip = 2001:db8::40\nports = 80\n"
#define SERVER_B6     "[server b]\nfarm = x6\naddress = 2001:db8::41\n"

/* What FARM_X and SERVER_A come out as, around what is under test. */
#define CHECKS " check= every=5000/2000 fall=3 rise=2"
#define TIMES  " wlc persist=0 idle=1800000 on=0/0"
#define SNAT   " snat=10.0.0.40 from=1024-65535"
#define X      "name=x vip=10.0.0.40 ports=80"
#define X6     "name=x vip=2001:db8::40 ports=80"
#define FROM   " from=1024-65535 connlog=none"

struct right {
	const char *file, *line, *rules;
};

static char *compose(const char *file, const char *line)
{
	char *text;
	size_t len = strlen(file) + strlen(line) + 1;

	text = malloc(len);
	ck_assert_ptr_nonnull(text);
/* The formats are the macros above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, len, file, line);
#pragma GCC diagnostic pop
	return text;
}

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
         "name=f line=8 match=tcp[13] & 2 != 0 sides=3 action=1 rate=0 log=0"},
        {WITH_FILTER, "action = pass\nmatch = Any\nside = outside\nrate = 10000000\nlog = yes",
         "name=f line=9 match= sides=1 action=0 rate=10000000 log=1"},
        {WITH_FILTER, "action = count\nside = inside\nrate = 1\nmatch = vlan 7\nlog = no",
         "name=f line=11 match=vlan 7 sides=2 action=3 rate=1 log=0"},
        {WITH_FILTER, "action = reset\nside = both\nmatch = tcp\nrate = off",
         "name=f line=10 match=tcp sides=3 action=2 rate=0 log=0"},
};

START_TEST(a_right_key_is_taken)
{
	check_right(&rights[_i]);
}
END_TEST

/* ---- presets ---- */

#define WITH_PRESET "[farm x]\nvip = 10.0.0.40\n%s\npreset = ocs2007r2\n" SERVER_A
#define WITH_OTHER  "[farm x]\nvip = 10.0.0.40\n%s\n" SERVER_A
#define OCS         "name=x vip=10.0.0.40 ports=135,443,444,5060,5061,5065,5069,5071,5072,5073,5074,8404"
#define OCS_CHECKS  " check=444,5061 every=5000/2000 fall=3 rise=2"

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

/* ---- values that are wrong ---- */

struct wrong {
	const char *file, *line, *error;
};

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
         "lb.ini:3: [farm x] ports: 8080 443 is not a TCP port (1-65535)"},
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
        {WITH_FARM, "allow = ::/129",
         "lb.ini:4: [farm x] allow: ::/129 has no prefix length from 0 to 128"},
        {WITH_FARM, "client_exempt = office",
         "lb.ini:4: [farm x] client_exempt: office is not an address, nor a prefix such as "
         "192.0.2.0/24"},
        {WITH_FARM, "deny = 192.0.2.1, ,",
         "lb.ini:4: [farm x] deny: 192.0.2.1, , has a comma too many"},
        {WITH_FARM, "deny = @/nowhere/deny.txt",
         "lb.ini:4: [farm x] deny: /nowhere/deny.txt can't be read: No such file or directory"},
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
        {FARM_X "ries = 1\n", "lb.ini:4: [farm x] unknown key `ries`: did you mean `rise`?"},
        {FARM_X "[bridge]\nmax connections = 1\n",
         "lb.ini:5: [bridge] unknown key `max connections`: did you mean `max_connections`?"},
        {FARM_X "[bridge]\ncolour = 1\n",
         "lb.ini:5: [bridge] unknown key `colour`: there are outside_mac, "
         "inside_mac, max_connections, max_half_open, workers, link_mirror, fast_path, on_exit, "
         "mode, routing, "
         "gateway, outside_address, inside_address"},
        {"[bridge]\nmode = routed\n" FARM_X "snat = off\n",
         "lb.ini:6: [farm x] snat: off is for mode = transparent: else the servers' answers "
         "wouldn't pass here"},
        {FARM_X "vlan = 5\n[bridge]\nmode = one-armed\n",
         "lb.ini:4: [farm x] vlan: is for mode = transparent: else run tmbridge on the VLAN's "
         "interface"},
        {FARM_X FARM_Y FARM_X, "lb.ini:7: [farm x] is there twice: first in line 1"},
        {FARM_X SERVER_A "[Server A]\n", "lb.ini:7: [server a] is there twice: first in line 4"},
        {"[bridge]\n[bridge]\n", "lb.ini:2: [bridge] is there twice: first in line 1"},
        {FARM_X "VIP = 10.0.0.41\n", "lb.ini:4: [farm x] vip: is there twice: first in line 2"},

        /* what must be there */
        {"", "lb.ini: no farm: there must be a section such as [farm ocspool]"},
        {"[bridge]\n", "lb.ini: no farm: there must be a section such as [farm ocspool]"},
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

START_TEST(no_more_farms_and_servers_than_there_is_room_for)
{
	size_t size = FILE_BYTES_MAX, used = 0;
	char *text = malloc(size);

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 0; i <= RULES_FARMS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used, "[farm f%u]\n", i);
	expect_first_error(text, "lb.ini:1025: more than 1024 [farm NAME] sections\n");
	used = 0;
	for (unsigned i = 0; i <= RULES_SERVERS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used, "[server s%u]\n", i);
	expect_first_error(text, "lb.ini:4097: more than 4096 [server NAME] sections\n");
	free(text);
}
END_TEST

START_TEST(a_full_file_is_taken)
{
	size_t size = FILE_BYTES_MAX, used = 0;
	char *text = malloc(size);
	struct rules *rules;

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 0; i < RULES_FARMS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used,
		                         "[farm f%u]\nvip=10.0.%u.%u\nports=%u\n", i, i >> 8,
		                         i & 255, i + 1);
	for (unsigned i = 0; i < RULES_SERVERS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used,
		                         "[server s%u]\nfarm=f%u\naddress=10.1.%u.%u\n", i,
		                         i % RULES_FARMS_MAX, i >> 8, i & 255);
	rules = expect_rules(text);
	ck_assert_uint_eq(rules->nfarms, RULES_FARMS_MAX);
	ck_assert_uint_eq(rules->nservers, RULES_SERVERS_MAX);
	for (unsigned i = 0; i < rules->nservers; i++)
		ck_assert_uint_eq(rules->servers[i].farm, i / 4);
	rules_free(rules);
	free(text);
}
END_TEST

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

/* Each farm brings 257 addresses: 63 of them, and the 64th's VIP, leave 192 of 256. */
START_TEST(ipv6_addresses_are_bounded)
{
	enum { FARMS = 64, FARM_TEXT_BYTES = 128 };
	char *text = calloc(FARMS, FARM_TEXT_BYTES), error[TEXT_BYTES];
	size_t used = 0;

	for (unsigned f = 0; f < FARMS; f++)
		used += (size_t)snprintf(text + used, FARM_TEXT_BYTES,
		                         "[farm f%u]\nvip = fd00:0:%x::40\nports = 80\n"
		                         "snat = fd01:0:%x::-fd01:0:%x::ff\n",
		                         f, f, f, f);
	snprintf(error, sizeof(error),
	         "lb.ini:%u: [farm f%u] snat: fd01:0:%x::-fd01:0:%x::ff is one IPv6 address too "
	         "many: at most %u",
	         FARMS * 4, FARMS - 1, FARMS - 1, FARMS - 1, RULES_NAMES_MAX);
	expect_error(text, error);
	free(text);
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
		outcome.ret = cfg_load(path, take_note, &outcome, &outcome.rules);
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

#define NO_TAKER                                                                                   \
	"lb.ini:1: [farm x] all its servers have weight 0, drain or are disabled: every new "      \
	"connection will be refused"

static const struct wrong warnings[] = {
        {WITH_FARM, "check = none\nidle_timeout = 1h\nscheduler = wlc\npersist = off", ""},
        {WITH_SERVER, "max_connections = 0", ""},
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

static void expect_failure(const char *from, int ret, const char *error)
{
	struct outcome outcome = load_path(from);

	ck_assert_int_eq(outcome.ret, ret);
	ck_assert_str_eq(outcome.error, error);
}

START_TEST(a_file_that_cannot_be_read_is_an_error)
{
	char below[sizeof(path) + sizeof("/lb.ini")];

	expect_failure(path, -ENOENT, "lb.ini: No such file or directory");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	expect_failure(path, -EISDIR, "lb.ini: Is a directory");
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_failure(path, -EINVAL, "lb.ini: is not a regular file");
	ck_assert_int_eq(unlink(path), 0);
	write_bytes("", 0);
	snprintf(below, sizeof(below), "%s/lb.ini", path);
	expect_failure(below, -ENOTDIR, "lb.ini/lb.ini: Not a directory");
	expect_failure("/dev/null", -EINVAL, "/dev/null: is not a regular file");
}
END_TEST

START_TEST(a_file_that_may_not_be_read_is_an_error)
{
	bool is_root = geteuid() == 0;

	write_bytes(FARM_X, strlen(FARM_X));
	ck_assert_int_eq(chmod(path, 0), 0);
	if (is_root)
		ck_assert_int_eq(seteuid(NOBODY), 0);
	expect_failure(path, -EACCES, "lb.ini: Permission denied");
	if (is_root)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(a_file_has_at_most_a_mebibyte)
{
	char *text = malloc(FILE_BYTES_MAX + 1);
	size_t len = strlen(FARM_X SERVER_A);
	struct outcome outcome;

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', FILE_BYTES_MAX + 1);
	memcpy(text, FARM_X SERVER_A, len);
	write_bytes(text, FILE_BYTES_MAX);
	outcome = load_path(path);
	ck_assert_int_eq(outcome.ret, 0);
	rules_free(outcome.rules);
	write_bytes(text, FILE_BYTES_MAX + 1);
	expect_failure(path, -EINVAL,
	               "lb.ini: 1048577 bytes: a configuration file has at most 1048576");
	free(text);
}
END_TEST

/* A line of len bytes: FARM_X's connlog, quoted. */
static void write_long_line(size_t len)
{
	char text[TEXT_BYTES] = FARM_X "connlog = '";
	size_t begin = strlen(FARM_X), used = strlen(text);

	memset(text + used, 'x', begin + len - used - 1);
	strcpy(text + begin + len - 1, "'\n");
	write_bytes(text, strlen(text));
}

START_TEST(a_line_has_at_most_1000_bytes)
{
	struct outcome outcome;

	write_long_line(LINE_BYTES_MAX);
	outcome = load_path(path);
	ck_assert_int_eq(outcome.ret, 0);
	ck_assert_uint_eq(strlen(outcome.rules->farms[0].connlog),
	                  LINE_BYTES_MAX - strlen("connlog = ''"));
	rules_free(outcome.rules);
	write_long_line(LINE_BYTES_MAX + 1);
	expect_failure(path, -EINVAL, "lb.ini:4: 1001 bytes: a line has at most 1000");
}
END_TEST

START_TEST(a_zero_byte_is_an_error)
{
	static const char text[] = FARM_X "ports\0 = 81\n";

	write_bytes(text, sizeof(text) - 1);
	expect_failure(path, -EINVAL, "lb.ini:4: byte 0x00: this is not a text file");
}
END_TEST

/* A path may hold any byte, and a terminal believes some of them. */
START_TEST(a_message_is_printable)
{
	expect_failure("/nowhere/\033[2J\n", -ENOENT, "/nowhere/?[2J?: No such file or directory");
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

Suite *cfg_suite(void)
{
	Suite *suite = suite_create("cfg");
	TCase *tables = tcase_create("tables"), *files = tcase_create("files");

	tcase_add_checked_fixture(tables, setup, teardown);
	tcase_add_loop_test(tables, a_right_key_is_taken, 0, ROWS(rights));
	tcase_add_loop_test(tables, what_is_shown_reads_back, 0, ROWS(rights));
	tcase_add_loop_test(tables, a_reload_says_what_changed, 0, ROWS(changed));
	tcase_add_loop_test(tables, a_preset_gives_way_to_keys, 0, ROWS(presets));
	tcase_add_loop_test(tables, a_wrong_value_is_refused, 0, ROWS(wrong_values));
	tcase_add_loop_test(tables, an_address_that_no_host_can_have_is_refused, 0,
	                    ROWS(wrong_addresses));
	tcase_add_loop_test(tables, a_wrong_file_is_refused, 0, ROWS(wrong_files));
	tcase_add_loop_test(tables, all_mistakes_are_reported, 0, ROWS(wrong_many));
	tcase_add_loop_test(tables, a_right_file_is_taken, 0, ROWS(right_files));
	tcase_add_loop_test(tables, what_has_no_effect_is_warned_of, 0, ROWS(warnings));
	suite_add_tcase(suite, tables);

	tcase_add_checked_fixture(files, setup, teardown);
	tcase_add_test(files, each_key_is_tested);
	tcase_add_test(files, what_was_gone_before_is_not_said_again);
	tcase_add_test(files, a_long_change_is_cut);
	tcase_add_test(files, of_very_many_mistakes_the_rest_is_counted);
	tcase_add_test(files, no_more_farms_and_servers_than_there_is_room_for);
	tcase_add_test(files, a_full_file_is_taken);
	tcase_add_test(files, servers_stand_by_farm);
	tcase_add_test(files, servers_are_in_their_farm_s_vlan);
	tcase_add_test(files, ipv6_addresses_are_bounded);
	tcase_add_test(files, memory_may_run_out_anywhere);
	tcase_add_test(files, the_example_is_right);
	tcase_add_test(files, a_file_that_cannot_be_read_is_an_error);
	tcase_add_test(files, a_file_that_may_not_be_read_is_an_error);
	tcase_add_test(files, a_file_has_at_most_a_mebibyte);
	tcase_add_test(files, a_line_has_at_most_1000_bytes);
	tcase_add_test(files, a_zero_byte_is_an_error);
	tcase_add_test(files, a_message_is_printable);
	suite_add_tcase(suite, files);
	return suite;
}
