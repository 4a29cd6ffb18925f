/*
 * The keys of [farm NAME].
 */
#include "farm_keys.h"
#include "checks.h"
#include "limit_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

enum {
	CHECK_INTERVAL_MIN_MS = 100,
	CHECK_INTERVAL_MAX_MS = 3600 * 1000,
	CHECK_TIMEOUT_MIN_MS = 10,
	CHECK_TIMEOUT_MAX_MS = CHECK_INTERVAL_MAX_MS,
	IN_A_ROW_MAX = 100, /* fall and rise */
	OBSERVE_MAX = 1000,
	PERSIST_MIN_MS = 1000,
	PERSIST_MAX_MS = 7 * 86400 * 1000,
	IDLE_TIMEOUT_MIN_MS = 1000,
	IDLE_TIMEOUT_MAX_MS = 7 * 86400 * 1000,
};

static const char *const on_idles[] = {[ON_IDLE_RESET] = "reset", [ON_IDLE_DROP] = "drop", NULL};
static const char *const all_downs[] = {[ALL_DOWN_OUT] = "out", [ALL_DOWN_KEEP] = "keep", NULL};
static const char *const on_downs[] = {[ON_DOWN_RESET] = "reset", [ON_DOWN_KEEP] = "keep", NULL};

static int farm_vip(struct target *target, struct value *value)
{
	return value_address(value, target->rules, &target->farm->vip);
}

static void show_farm_vip(const struct target *target, struct shown *shown)
{
	show_addresses(shown, target->rules, &target->farm->vip, 1);
}

static int farm_ports(struct target *target, struct value *value)
{
	be16 *before = target->farm->ports, *server_ports_before = target->farm->server_ports;
	int ret = value_services(value, &target->farm->ports, &target->farm->server_ports,
	                         &target->farm->nports);

	if (ret == 0) {
		free(before);
		free(server_ports_before);
	}
	return ret;
}

static void show_farm_ports(const struct target *target, struct shown *shown)
{
	show_services(shown, target->farm->ports, target->farm->server_ports, target->farm->nports);
}

static int farm_check(struct target *target, struct value *value)
{
	return value_checks(value, target->rules, target->farm);
}

static void show_farm_check(const struct target *target, struct shown *shown)
{
	show_checks(shown, target->rules, target->farm);
}

static int farm_check_interval(struct target *target, struct value *value)
{
	return value_duration(value, CHECK_INTERVAL_MIN_MS, CHECK_INTERVAL_MAX_MS,
	                      &target->farm->check_interval_ms);
}

static void show_farm_check_interval(const struct target *target, struct shown *shown)
{
	show_duration(shown, target->farm->check_interval_ms);
}

static int farm_check_timeout(struct target *target, struct value *value)
{
	return value_duration(value, CHECK_TIMEOUT_MIN_MS, CHECK_TIMEOUT_MAX_MS,
	                      &target->farm->check_timeout_ms);
}

static void show_farm_check_timeout(const struct target *target, struct shown *shown)
{
	show_duration(shown, target->farm->check_timeout_ms);
}

static int farm_fall(struct target *target, struct value *value)
{
	return value_number(value, 1, IN_A_ROW_MAX, &target->farm->fall);
}

static void show_farm_fall(const struct target *target, struct shown *shown)
{
	show_number(shown, target->farm->fall);
}

static int farm_rise(struct target *target, struct value *value)
{
	return value_number(value, 1, IN_A_ROW_MAX, &target->farm->rise);
}

static void show_farm_rise(const struct target *target, struct shown *shown)
{
	show_number(shown, target->farm->rise);
}

static int farm_scheduler(struct target *target, struct value *value)
{
	unsigned scheduler;
	int ret = value_word(value, rules_scheduler_words, &scheduler);

	if (ret == 0)
		target->farm->scheduler = (enum rules_scheduler)scheduler;
	return ret;
}

static void show_farm_scheduler(const struct target *target, struct shown *shown)
{
	show_text(shown, rules_scheduler_words[target->farm->scheduler]);
}

static int farm_persist(struct target *target, struct value *value)
{
	if (value_is(value, "off")) {
		target->farm->persist_ms = 0;
		return 0;
	}
	return value_duration(value, PERSIST_MIN_MS, PERSIST_MAX_MS, &target->farm->persist_ms);
}

static void show_farm_persist(const struct target *target, struct shown *shown)
{
	if (target->farm->persist_ms)
		show_duration(shown, target->farm->persist_ms);
	else
		show_text(shown, "off");
}

static int farm_idle_timeout(struct target *target, struct value *value)
{
	return value_duration(value, IDLE_TIMEOUT_MIN_MS, IDLE_TIMEOUT_MAX_MS,
	                      &target->farm->idle_timeout_ms);
}

static void show_farm_idle_timeout(const struct target *target, struct shown *shown)
{
	show_duration(shown, target->farm->idle_timeout_ms);
}

static int farm_on_idle(struct target *target, struct value *value)
{
	unsigned on_idle;
	int ret = value_word(value, on_idles, &on_idle);

	if (ret == 0)
		target->farm->on_idle = (enum rules_on_idle)on_idle;
	return ret;
}

static void show_farm_on_idle(const struct target *target, struct shown *shown)
{
	show_text(shown, on_idles[target->farm->on_idle]);
}

static int farm_on_down(struct target *target, struct value *value)
{
	unsigned on_down;
	int ret = value_word(value, on_downs, &on_down);

	if (ret == 0)
		target->farm->on_down = (enum rules_on_down)on_down;
	return ret;
}

static void show_farm_on_down(const struct target *target, struct shown *shown)
{
	show_text(shown, on_downs[target->farm->on_down]);
}

static int farm_all_down(struct target *target, struct value *value)
{
	unsigned all_down;
	int ret = value_word(value, all_downs, &all_down);

	if (ret == 0)
		target->farm->all_down = (enum rules_all_down)all_down;
	return ret;
}

static void show_farm_all_down(const struct target *target, struct shown *shown)
{
	show_text(shown, all_downs[target->farm->all_down]);
}

static int farm_observe(struct target *target, struct value *value)
{
	uint32_t observe = 0;

	if (!value_is(value, "off") && !value_read_number(value->text, 1, OBSERVE_MAX, &observe))
		return value_wrong(value, value->text, "is not a number from 1 to %u, nor off",
		                   OBSERVE_MAX);
	target->farm->observe = (uint16_t)observe;
	return 0;
}

static void show_farm_observe(const struct target *target, struct shown *shown)
{
	if (target->farm->observe)
		show_number(shown, target->farm->observe);
	else
		show_text(shown, "off");
}

static int farm_agent(struct target *target, struct value *value)
{
	uint32_t port = 0;

	if (!value_is(value, "off") && !value_read_number(value->text, 1, UINT16_MAX, &port))
		return value_wrong(value, value->text, "is not a TCP port (1-65535), nor off");
	target->farm->agent = be16_from((uint16_t)port);
	return 0;
}

static void show_farm_agent(const struct target *target, struct shown *shown)
{
	if (be16_get(target->farm->agent))
		show_number(shown, be16_get(target->farm->agent));
	else
		show_text(shown, "off");
}

static int farm_snat(struct target *target, struct value *value)
{
	if (value_is(value, "off"))
		return 0;
	return value_addresses(value, target->rules, &target->farm->snat, &target->farm->nsnat);
}

static void show_farm_snat(const struct target *target, struct shown *shown)
{
	if (target->farm->nsnat == 0)
		show_text(shown, "off");
	show_addresses(shown, target->rules, target->farm->snat, target->farm->nsnat);
}

static int farm_snat_ports(struct target *target, struct value *value)
{
	struct port_range *before = target->farm->snat_ports;
	int ret = value_port_ranges(value, &target->farm->snat_ports, &target->farm->nsnat_ports);

	if (ret == 0)
		free(before);
	return ret;
}

static void show_farm_snat_ports(const struct target *target, struct shown *shown)
{
	show_port_ranges(shown, target->farm->snat_ports, target->farm->nsnat_ports);
}

static int farm_vlan(struct target *target, struct value *value)
{
	return value_vlan(value, &target->farm->vlan);
}

static void show_farm_vlan(const struct target *target, struct shown *shown)
{
	show_vlan(shown, target->farm->vlan);
}

static int farm_connlog(struct target *target, struct value *value)
{
	if (!*value->text)
		return value_wrong(value, "", "is not a file's path, nor - for stdout");
	target->farm->connlog = strdup(value->text);
	return target->farm->connlog ? 0 : -ENOMEM;
}

static void show_farm_connlog(const struct target *target, struct shown *shown)
{
	if (target->farm->connlog)
		show_text(shown, target->farm->connlog);
}

/* A preset is a list of keys and the values that they then have. */
static const char *const ocs2007r2[][2] = {
        {"ports", "5061, 5060, 135, 443, 444, 5065, 5069, 5071, 5072, 5073, 5074, 8404"},
        {"check", "5061, 444"},
        {"scheduler", "wlc"},
        {"idle_timeout", "30m"},
        {NULL, NULL},
};

/* The same, noticing a Front End that accepts connections and hangs. */
static const char *const ocs2007r2_tls[][2] = {
        {"ports", "5061, 5060, 135, 443, 444, 5065, 5069, 5071, 5072, 5073, 5074, 8404"},
        {"check", "5061 tls, 444 tls"},
        {"scheduler", "wlc"},
        {"idle_timeout", "30m"},
        {NULL, NULL},
};

static int farm_preset(struct target *target, struct value *value)
{
	static const char *const words[] = {"ocs2007r2", "ocs2007r2-tls", NULL};
	static const char *const(*const presets[])[2] = {ocs2007r2, ocs2007r2_tls};
	const struct key *keys = farm_keys;
	unsigned preset;
	int ret = value_word(value, words, &preset);

	for (unsigned i = 0; ret == 0 && presets[preset][i][0]; i++) {
		int key = key_find(keys, presets[preset][i][0]);
		struct value preset_value = {.text = presets[preset][i][1]};

		ret = keys[key].set(target, &preset_value);
	}
	return ret;
}

static void show_farm_preset(const struct target *target, struct shown *shown)
{
	/* the rules have the values that it stands for, not its name */
	(void)target, (void)shown;
}

const struct key farm_keys[] = {
        /* name, set, show, default, what to say if it must be there and isn't */
        {"preset", farm_preset, show_farm_preset, NULL, NULL},
        {"vip", farm_vip, show_farm_vip, NULL,
         "a farm needs a virtual IP, such as vip = 10.0.0.40"},
        {"ports", farm_ports, show_farm_ports, NULL, NULL},
        {"check", farm_check, show_farm_check, "none", NULL},
        {"check_interval", farm_check_interval, show_farm_check_interval, "5s", NULL},
        {"check_timeout", farm_check_timeout, show_farm_check_timeout, "2s", NULL},
        {"fall", farm_fall, show_farm_fall, "3", NULL},
        {"rise", farm_rise, show_farm_rise, "2", NULL},
        {"scheduler", farm_scheduler, show_farm_scheduler, "wlc", NULL},
        {"persist", farm_persist, show_farm_persist, "off", NULL},
        {"idle_timeout", farm_idle_timeout, show_farm_idle_timeout, "30m", NULL},
        {"on_idle", farm_on_idle, show_farm_on_idle, "reset", NULL},
        {"on_down", farm_on_down, show_farm_on_down, "reset", NULL},
        {"all_down", farm_all_down, show_farm_all_down, "out", NULL},
        {"observe", farm_observe, show_farm_observe, "off", NULL},
        {"agent", farm_agent, show_farm_agent, "off", NULL},
        {"vlan", farm_vlan, show_farm_vlan, "off", NULL},
        {"snat", farm_snat, show_farm_snat, NULL, NULL},
        {"snat_ports", farm_snat_ports, show_farm_snat_ports, "1024-65535", NULL},
        {"connlog", farm_connlog, show_farm_connlog, NULL, NULL},
        {"allow", farm_allow, show_farm_allow, NULL, NULL},
        {"deny", farm_deny, show_farm_deny, NULL, NULL},
        {"client_connections", farm_client_connections, show_farm_client_connections, "off", NULL},
        {"client_rate", farm_client_rate, show_farm_client_rate, "off", NULL},
        {"client_burst", farm_client_burst, show_farm_client_burst, "rate", NULL},
        {"block_for", farm_block_for, show_farm_block_for, "off", NULL},
        {"client_exempt", farm_client_exempt, show_farm_client_exempt, NULL, NULL},
        {"on_limit", farm_on_limit, show_farm_on_limit, "reset", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

static_assert(sizeof(farm_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [farm]");

struct rules_farm *farm_find(const struct rules *rules, const char *name)
{
	for (unsigned i = 0; i < rules->nfarms; i++)
		if (strcasecmp(rules->farms[i].name, name) == 0)
			return &rules->farms[i];
	return NULL;
}
