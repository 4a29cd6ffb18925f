/*
 * Every key of lb.ini: its name, its bounds, its default, and where it goes in the rules.
 *
 * A key is one row in the table of its section and one function that sets it; a new one needs no
 * line anywhere else. A setter sees its own value only. What two keys or two sections say about
 * each other is checked once all are set (crosscheck.c). The keys of a section are set in the
 * table's order, not the file's: so a preset, which stands first, never overrides what is written
 * out.
 */
#include "keys.h"
#include "nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

enum {
	CHECKS_MAX = 16, /* ports to probe on each server: more than a few say nothing new */
	CHECK_INTERVAL_MIN_MS = 100,
	CHECK_INTERVAL_MAX_MS = 3600 * 1000,
	CHECK_TIMEOUT_MIN_MS = 10,
	CHECK_TIMEOUT_MAX_MS = CHECK_INTERVAL_MAX_MS,
	VLAN_MAX = 4094,    /* IEEE 802.1Q: 4095 is reserved */
	IN_A_ROW_MAX = 100, /* fall and rise */
	PERSIST_MIN_MS = 1000,
	PERSIST_MAX_MS = 7 * 86400 * 1000,
	IDLE_TIMEOUT_MIN_MS = 1000,
	IDLE_TIMEOUT_MAX_MS = 7 * 86400 * 1000,

	DEFAULT_CONNECTIONS = 1000000,
	DEFAULT_WORKERS = 1,
	DEFAULT_CHECK_INTERVAL_MS = 5000,
	DEFAULT_CHECK_TIMEOUT_MS = 2000,
	DEFAULT_FALL = 3,
	DEFAULT_RISE = 2,
	DEFAULT_IDLE_TIMEOUT_MS = 30 * 60 * 1000,
	DEFAULT_WEIGHT = 1,
};

static bool is(const struct value *value, const char *word)
{
	return strcasecmp(value->text, word) == 0;
}

/* ---- [bridge] ---- */

static int bridge_outside_mac(struct target *target, struct value *value)
{
	int ret = value_mac(value, &target->rules->outside_mac);

	target->rules->has_outside_mac = ret == 0;
	return ret;
}

static int bridge_inside_mac(struct target *target, struct value *value)
{
	int ret = value_mac(value, &target->rules->inside_mac);

	target->rules->has_inside_mac = ret == 0;
	return ret;
}

static int bridge_max_connections(struct target *target, struct value *value)
{
	return value_number(value, 1, RULES_CONNECTIONS_MAX, &target->rules->max_connections);
}

static int bridge_workers(struct target *target, struct value *value)
{
	if (is(value, "auto")) {
		target->rules->workers = 0;
		return 0;
	}
	if (value_number(value, 1, RULES_WORKERS_MAX, &target->rules->workers) == 0)
		return 0;
	return value_wrong(value, value->text, "is not a number from 1 to %u, nor auto",
	                   RULES_WORKERS_MAX);
}

static int bridge_link_mirror(struct target *target, struct value *value)
{
	static const char *const words[] = {"no", "yes", NULL};
	unsigned link_mirror;
	int ret = value_word(value, words, &link_mirror);

	if (ret == 0)
		target->rules->link_mirror = link_mirror;
	return ret;
}

static int bridge_fast_path(struct target *target, struct value *value)
{
	static const char *const words[] = {[FAST_PATH_AUTO] = "auto",
	                                    [FAST_PATH_KERNEL] = "kernel",
	                                    [FAST_PATH_OFF] = "off",
	                                    NULL};
	unsigned word;
	int ret = value_word(value, words, &word);

	if (ret == 0)
		target->rules->fast_path = word;
	return ret;
}

static int bridge_on_exit(struct target *target, struct value *value)
{
	static const char *const words[] = {[ON_EXIT_KEEP] = "keep", [ON_EXIT_CUT] = "cut", NULL};
	unsigned word;
	int ret = value_word(value, words, &word);

	if (ret == 0)
		target->rules->on_exit = word;
	return ret;
}

static const struct key bridge_keys[] = {
        {"outside_mac", bridge_outside_mac, NULL},
        {"inside_mac", bridge_inside_mac, NULL},
        {"max_connections", bridge_max_connections, NULL},
        {"workers", bridge_workers, NULL},
        {"link_mirror", bridge_link_mirror, NULL},
        {"fast_path", bridge_fast_path, NULL},
        {"on_exit", bridge_on_exit, NULL},
        {NULL, NULL, NULL},
};

/* ---- [farm NAME] ---- */

static int farm_vip(struct target *target, struct value *value)
{
	return value_address(value, target->rules, &target->farm->vip);
}

static int set_ports(struct value *value, be16 **ports, unsigned *nports)
{
	be16 *before = *ports;
	int ret = value_ports(value, ports, nports);

	if (ret == 0)
		free(before);
	return ret;
}

static int farm_ports(struct target *target, struct value *value)
{
	return set_ports(value, &target->farm->ports, &target->farm->nports);
}

static int farm_check(struct target *target, struct value *value)
{
	struct rules_farm *farm = target->farm;
	int ret;

	if (is(value, "none")) {
		farm->nchecks = 0;
		return 0;
	}
	ret = set_ports(value, &farm->checks, &farm->nchecks);
	if (ret == 0 && farm->nchecks > CHECKS_MAX)
		return value_wrong(value, value->text, "is %u ports, but at most %u can be checked",
		                   farm->nchecks, CHECKS_MAX);
	return ret;
}

static int farm_check_interval(struct target *target, struct value *value)
{
	return value_duration(value, CHECK_INTERVAL_MIN_MS, CHECK_INTERVAL_MAX_MS,
	                      &target->farm->check_interval_ms);
}

static int farm_check_timeout(struct target *target, struct value *value)
{
	return value_duration(value, CHECK_TIMEOUT_MIN_MS, CHECK_TIMEOUT_MAX_MS,
	                      &target->farm->check_timeout_ms);
}

static int farm_fall(struct target *target, struct value *value)
{
	return value_number(value, 1, IN_A_ROW_MAX, &target->farm->fall);
}

static int farm_rise(struct target *target, struct value *value)
{
	return value_number(value, 1, IN_A_ROW_MAX, &target->farm->rise);
}

static int farm_scheduler(struct target *target, struct value *value)
{
	static const char *const words[] = {
	        [SCHED_WLC] = "wlc", [SCHED_LC] = "lc",         [SCHED_WRR] = "wrr",
	        [SCHED_RR] = "rr",   [SCHED_SOURCE] = "source", NULL,
	};
	unsigned scheduler;
	int ret = value_word(value, words, &scheduler);

	if (ret == 0)
		target->farm->scheduler = (enum rules_scheduler)scheduler;
	return ret;
}

static int farm_persist(struct target *target, struct value *value)
{
	if (is(value, "off")) {
		target->farm->persist_ms = 0;
		return 0;
	}
	return value_duration(value, PERSIST_MIN_MS, PERSIST_MAX_MS, &target->farm->persist_ms);
}

static int farm_idle_timeout(struct target *target, struct value *value)
{
	return value_duration(value, IDLE_TIMEOUT_MIN_MS, IDLE_TIMEOUT_MAX_MS,
	                      &target->farm->idle_timeout_ms);
}

static int farm_on_idle(struct target *target, struct value *value)
{
	static const char *const words[] = {
	        [ON_IDLE_RESET] = "reset", [ON_IDLE_DROP] = "drop", NULL};
	unsigned on_idle;
	int ret = value_word(value, words, &on_idle);

	if (ret == 0)
		target->farm->on_idle = (enum rules_on_idle)on_idle;
	return ret;
}

static int farm_on_down(struct target *target, struct value *value)
{
	static const char *const words[] = {
	        [ON_DOWN_RESET] = "reset", [ON_DOWN_KEEP] = "keep", NULL};
	unsigned on_down;
	int ret = value_word(value, words, &on_down);

	if (ret == 0)
		target->farm->on_down = (enum rules_on_down)on_down;
	return ret;
}

static int farm_snat(struct target *target, struct value *value)
{
	if (is(value, "off"))
		return 0;
	return value_addresses(value, target->rules, &target->farm->snat, &target->farm->nsnat);
}

static int farm_snat_ports(struct target *target, struct value *value)
{
	return value_port_ranges(value, &target->farm->snat_ports, &target->farm->nsnat_ports);
}

/* A VLAN ID, or off: 0. */
static int set_vlan(struct value *value, uint16_t *ret)
{
	uint32_t vlan = 0;
	int err = is(value, "off") ? 0 : value_number(value, 1, VLAN_MAX, &vlan);

	if (err == 0)
		*ret = (uint16_t)vlan;
	return err;
}

static int farm_vlan(struct target *target, struct value *value)
{
	return set_vlan(value, &target->farm->vlan);
}

static int farm_connlog(struct target *target, struct value *value)
{
	if (!*value->text)
		return value_wrong(value, "", "is not a file's path, nor - for stdout");
	target->farm->connlog = strdup(value->text);
	return target->farm->connlog ? 0 : -ENOMEM;
}

/* A preset is a list of keys and the values that they then have. */
static const char *const ocs2007r2[][2] = {
        {"ports", "5061, 5060, 135, 443, 444, 5065, 5069, 5071, 5072, 5073, 5074, 8404"},
        {"check", "5061, 444"},
        {"scheduler", "wlc"},
        {"idle_timeout", "30m"},
        {NULL, NULL},
};

static int farm_preset(struct target *target, struct value *value)
{
	static const char *const words[] = {"ocs2007r2", NULL};
	static const char *const(*const presets[])[2] = {ocs2007r2};
	const struct key *keys = section_keys(SECTION_FARM);
	unsigned preset;
	int ret = value_word(value, words, &preset);

	for (unsigned i = 0; ret == 0 && presets[preset][i][0]; i++) {
		int key = section_find_key(SECTION_FARM, presets[preset][i][0]);
		struct value preset_value = {.text = presets[preset][i][1]};

		ret = keys[key].set(target, &preset_value);
	}
	return ret;
}

static const struct key farm_keys[] = {
        {"preset", farm_preset, NULL},
        {"vip", farm_vip, "a farm needs a virtual IP, such as vip = 10.0.0.40"},
        {"ports", farm_ports, NULL},
        {"check", farm_check, NULL},
        {"check_interval", farm_check_interval, NULL},
        {"check_timeout", farm_check_timeout, NULL},
        {"fall", farm_fall, NULL},
        {"rise", farm_rise, NULL},
        {"scheduler", farm_scheduler, NULL},
        {"persist", farm_persist, NULL},
        {"idle_timeout", farm_idle_timeout, NULL},
        {"on_idle", farm_on_idle, NULL},
        {"on_down", farm_on_down, NULL},
        {"vlan", farm_vlan, NULL},
        {"snat", farm_snat, NULL},
        {"snat_ports", farm_snat_ports, NULL},
        {"connlog", farm_connlog, NULL},
        {NULL, NULL, NULL},
};

/* ---- [server NAME] ---- */

/* In any case, as iniparser lower-cases the names of sections but not the values. */
static struct rules_farm *find_farm(const struct rules *rules, const char *name)
{
	for (unsigned i = 0; i < rules->nfarms; i++)
		if (strcasecmp(rules->farms[i].name, name) == 0)
			return &rules->farms[i];
	return NULL;
}

static int server_farm(struct target *target, struct value *value)
{
	const struct rules *rules = target->rules;
	struct rules_farm *farm = find_farm(rules, value->text);
	struct nearest nearest = {.word = value->text};

	if (farm) {
		target->server->farm = (unsigned)(farm - rules->farms);
		return 0;
	}
	for (unsigned i = 0; i < rules->nfarms; i++)
		nearest_offer(&nearest, rules->farms[i].name);
	if (nearest_best(&nearest))
		return value_wrong(value, value->text,
		                   "is not a farm of this file: did you mean `%s`?",
		                   nearest_best(&nearest));
	return value_wrong(value, value->text, "is not a farm of this file");
}

static int server_address(struct target *target, struct value *value)
{
	return value_address(value, target->rules, &target->server->address);
}

static int server_weight(struct target *target, struct value *value)
{
	uint32_t weight;
	int ret = value_number(value, 0, RULES_WEIGHT_MAX, &weight);

	if (ret == 0)
		target->server->weight = (uint8_t)weight;
	return ret;
}

static int server_state(struct target *target, struct value *value)
{
	static const char *const words[] = {
	        [STATE_ACTIVE] = "active",
	        [STATE_STANDBY] = "standby",
	        [STATE_DRAIN] = "drain",
	        [STATE_DISABLED] = "disabled",
	        NULL,
	};
	unsigned state;
	int ret = value_word(value, words, &state);

	if (ret == 0)
		target->server->state = (enum rules_state)state;
	return ret;
}

static int server_mac(struct target *target, struct value *value)
{
	int ret = value_mac(value, &target->server->mac);

	target->server->has_mac = ret == 0;
	return ret;
}

static int server_vlan(struct target *target, struct value *value)
{
	return set_vlan(value, &target->server->vlan);
}

static int server_max_connections(struct target *target, struct value *value)
{
	return value_number(value, 0, RULES_CONNECTIONS_MAX, &target->server->max_connections);
}

static const struct key server_keys[] = {
        {"farm", server_farm, "a server needs the name of its farm, such as farm = ocspool"},
        {"address", server_address, "a server needs an address, such as address = 10.0.0.41"},
        {"weight", server_weight, NULL},
        {"state", server_state, NULL},
        {"mac", server_mac, NULL},
        {"vlan", server_vlan, NULL},
        {"max_connections", server_max_connections, NULL},
        {NULL, NULL, NULL},
};

/* ---- all sections ---- */

static_assert(sizeof(bridge_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [bridge]");
static_assert(sizeof(farm_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [farm]");
static_assert(sizeof(server_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [server]");

static const struct {
	const char *name;
	const struct key *keys;
} sections[] = {
        [SECTION_BRIDGE] = {"bridge", bridge_keys},
        [SECTION_FARM] = {"farm", farm_keys},
        [SECTION_SERVER] = {"server", server_keys},
};

static_assert(sizeof(sections) / sizeof(sections[0]) == SECTIONS, "a row for each section");

const char *section_name(enum section section)
{
	return sections[section].name;
}

const struct key *section_keys(enum section section)
{
	return sections[section].keys;
}

int section_find_key(enum section section, const char *name)
{
	const struct key *keys = section_keys(section);

	for (int i = 0; keys[i].name; i++)
		if (strcmp(keys[i].name, name) == 0)
			return i;
	return -1;
}

struct target keys_target(struct rules *rules, enum section section, const char *name)
{
	struct target target = {.rules = rules};

	if (section == SECTION_FARM)
		target.farm = find_farm(rules, name);
	for (unsigned i = 0; section == SECTION_SERVER && i < rules->nservers; i++)
		if (strcmp(rules->servers[i].name, name) == 0)
			target.server = &rules->servers[i];
	return target;
}

void keys_default_bridge(struct rules *rules)
{
	rules->max_connections = DEFAULT_CONNECTIONS;
	rules->workers = DEFAULT_WORKERS;
	rules->fast_path = FAST_PATH_OFF;
	rules->on_exit = ON_EXIT_CUT;
}

void keys_default_farm(struct rules_farm *farm)
{
	farm->check_interval_ms = DEFAULT_CHECK_INTERVAL_MS;
	farm->check_timeout_ms = DEFAULT_CHECK_TIMEOUT_MS;
	farm->fall = DEFAULT_FALL;
	farm->rise = DEFAULT_RISE;
	farm->scheduler = SCHED_WLC;
	farm->idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS;
	farm->on_idle = ON_IDLE_RESET;
	farm->on_down = ON_DOWN_RESET;
}

void keys_default_server(struct rules_server *server)
{
	server->weight = DEFAULT_WEIGHT;
	server->state = STATE_ACTIVE;
}
