/*
 * Checks what no key can know by itself: one farm's keys against each other here, addresses in
 * claims.c, SNAT ports in snat.c.
 *
 * Nothing is said of keys that were refused, nor of what is missing because a line was refused:
 * once that has been corrected, the rest is noted.
 */
#include "crosscheck.h"

#include "claims.h"
#include "scripts.h"
#include "snat.h"

#include <stdio.h>

static const struct where_section *farm_where(const struct where *where,
                                              const struct rules_farm *farm)
{
	return where_find(where, SECTION_FARM, farm->name);
}

/* Whether none of the farm's keys of these names, up to a NULL, was refused. */
static bool are_right(const struct where_section *section, const char *const *keys)
{
	for (; *keys; keys++)
		if (!where_is_right(section, *keys))
			return false;
	return true;
}

/* The message goes to the key that was written, and so can be changed. */
static void check_times(const struct where *where, const struct rules_farm *farm,
                        const struct where_section *section)
{
	static const char *const keys[] = {"check_timeout", "check_interval", NULL};
	char timeout[VALUE_DURATION_BYTES], interval[VALUE_DURATION_BYTES];

	if (farm->check_timeout_ms <= farm->check_interval_ms || !are_right(section, keys))
		return;
	value_duration_text(farm->check_timeout_ms, timeout);
	value_duration_text(farm->check_interval_ms, interval);
	if (where_has(section, "check_timeout"))
		where_error(where, section, "check_timeout",
		            "%s is longer than check_interval, %s%s", timeout, interval,
		            where_has(section, "check_interval") ? "" : " by default");
	else
		where_error(where, section, "check_interval",
		            "%s is shorter than check_timeout, %s by default", interval, timeout);
}

/* A flow can't change from one version of IP to the other on its way. */
static void check_family(const struct where *where, const struct rules *rules,
                         const struct rules_farm *farm, const struct where_section *section)
{
	const char *family = name_is_ipv6(farm->vip) ? "IPv6" : "IPv4";
	char text[VALUE_ADDRESS_BYTES];

	for (unsigned i = 0; i < farm->nsnat; i++)
		if (name_is_ipv6(farm->snat[i]) != name_is_ipv6(farm->vip)) {
			where_error(where, section, "snat", "%s is not an %s address as the VIP is",
			            value_address_text(rules, farm->snat[i], text), family);
			break;
		}
	for (unsigned i = farm->server; i < farm->server + farm->nservers; i++) {
		const struct rules_server *server = &rules->servers[i];
		const struct where_section *at = where_find(where, SECTION_SERVER, server->name);

		if (where_is_right(at, "address") &&
		    name_is_ipv6(server->address) != name_is_ipv6(farm->vip))
			where_error(where, at, "address", "%s is not an %s address as the VIP is",
			            value_address_text(rules, server->address, text), family);
	}
}

/* Notes keys that only make sense where tmbridge is a cable: in other modes the host has VLANs, as
 * interfaces of their own, and all that isn't for us. */
static void check_mode(const struct where *where, const struct rules *rules,
                       const struct rules_farm *farm, const struct where_section *section)
{
	static const char only_a_cable[] =
	        "is for mode = transparent: else run tmbridge on the VLAN's interface";

	if (!rules_has_stack(rules))
		return;
	if (!farm->nsnat && where_is_right(section, "snat"))
		where_error(
		        where, section, "snat",
		        "off is for mode = transparent: else the servers' answers wouldn't pass "
		        "here");
	if (farm->vlan && where_is_right(section, "vlan"))
		where_error(where, section, "vlan", only_a_cable);
	for (unsigned i = farm->server; i < farm->server + farm->nservers; i++) {
		const struct where_section *at =
		        where_find(where, SECTION_SERVER, rules->servers[i].name);

		if (rules->servers[i].vlan && where_has(at, "vlan") && where_is_right(at, "vlan"))
			where_error(where, at, "vlan", only_a_cable);
	}
}

static void check_farm(const struct where *where, const struct rules *rules,
                       const struct rules_farm *farm)
{
	static const char *const of_ports[] = {"preset", "ports", NULL};
	static const char *const of_snat[] = {"preset", "vip", "ports", "snat", "snat_ports", NULL};
	const struct where_section *section = farm_where(where, farm);

	if (farm->nports == 0 && are_right(section, of_ports) && !section->refused)
		where_error(where, section, "ports",
		            "a farm needs TCP ports, such as ports = 443, 5060-5061");
	if (farm->nsnat && are_right(section, of_snat))
		snat_check(where, rules, farm, section);
	check_times(where, farm, section);
	check_mode(where, rules, farm, section);
	if (where_is_right(section, "vip"))
		check_family(where, rules, farm, section);
}

/* Who has written how tmbridge stands in the network means what he says: a cable, or a router. */
static bool says_mode(const struct where *where)
{
	const struct where_section *bridge = where_find(where, SECTION_BRIDGE, "");

	return bridge && where_has(bridge, "mode");
}

static void check_farms(const struct where *where, const struct rules *rules)
{
	if (rules->nfarms == 0 && !where->refused && !says_mode(where))
		note_error(where->notes, 0,
		           "no farm: there must be a section such as [farm ocspool], or "
		           "mode = transparent in [bridge] for a cable alone");
	for (unsigned i = 0; i < rules->nfarms; i++)
		check_farm(where, rules, &rules->farms[i]);
}

static void check_pools(const struct where *where, const struct rules *rules)
{
	uint64_t pools = 0;

	for (unsigned i = 0; i < rules->nfarms; i++) {
		const struct rules_farm *farm = &rules->farms[i];

		pools += (uint64_t)rules_pools_per_server(farm) * farm->nservers * farm->nsnat;
		if (pools > RULES_POOLS_MAX) {
			where_error(where, farm_where(where, farm), "snat",
			            "makes %llu pools of SNAT ports (ports x servers x SNAT "
			            "addresses, of all farms so far): at most %u",
			            (unsigned long long)pools, RULES_POOLS_MAX);
			return;
		}
	}
}

static void check_scripts(const struct where *where, const struct rules *rules)
{
	for (unsigned i = 0; i < rules->nscripts; i++) {
		const struct script *script = &rules->scripts[i];

		if (script->is_section && scripts_is_preset(script->text))
			where_error(where, where_find(where, SECTION_CHECK, script->text), NULL,
			            "%s has a meaning already: choose another name", script->text);
	}
}

/* ---- warnings ---- */

static void warn_of_servers(const struct where *where, const struct rules *rules,
                            const struct rules_farm *farm)
{
	bool any = false;

	for (unsigned i = farm->server; i < farm->server + farm->nservers; i++)
		any |= rules->servers[i].weight && rules->servers[i].state <= STATE_LAST_RESORT;
	if (farm->nservers == 0)
		where_warning(where, farm_where(where, farm), NULL,
		              "has no server: every connection will be refused");
	else if (!any)
		where_warning(where, farm_where(where, farm), NULL,
		              "all its servers have weight 0, drain or are disabled: every new "
		              "connection will be refused");
}

/* Whether a service of the farm is at that port of its servers. */
static bool has_server_port(const struct rules_farm *farm, be16 port)
{
	for (unsigned i = 0; i < farm->nports; i++)
		if (be16_eq(rules_server_port(farm, i), port))
			return true;
	return false;
}

/* A check names a port of the servers, where the VIP's may be none. */
static void warn_of_mapped(const struct where *where, const struct rules_farm *farm)
{
	const bool is_written = where_has(farm_where(where, farm), "check");

	for (unsigned i = 0; is_written && farm->server_ports && i < farm->nchecks; i++) {
		const int service = rules_service(farm, farm->checks[i]);

		if (service >= 0 && !has_server_port(farm, farm->checks[i]))
			where_warning(where, farm_where(where, farm), "check",
			              "%u of the VIP is %u of the servers, which is what is "
			              "checked there",
			              be16_get(farm->checks[i]),
			              be16_get(rules_server_port(farm, (unsigned)service)));
	}
}

/* A check of a port that isn't served may be meant, but not one that nobody wrote. */
static void warn_of_preset(const struct where *where, const struct rules_farm *farm)
{
	const struct where_section *section = farm_where(where, farm);

	if (!where_has(section, "preset") || !where_has(section, "ports") ||
	    where_has(section, "check"))
		return;
	for (unsigned i = 0; i < farm->nchecks; i++)
		if (!has_server_port(farm, farm->checks[i]))
			where_warning(where, section, "ports",
			              "%u isn't among them, but the preset checks it on each "
			              "server: write check = to have others checked",
			              be16_get(farm->checks[i]));
}

/* Warns of keys that have no effect, as what they are about isn't in use: who wrote them expects
 * one. */
static void warn_of_idle_keys(const struct where *where, const struct rules_farm *farm)
{
	const bool is_probed = farm->nchecks || rules_has_agent(farm);
	const bool is_limited = farm->client_rate || farm->client_connections;
	const struct {
		const char *key, *needs;
		bool idle;
	} keys[] = {
	        {"client_burst", "client_rate", farm->client_burst && !farm->client_rate},
	        {"block_for", "client_rate", farm->block_for_ms && !farm->client_rate},
	        {"client_exempt", "client_rate or client_connections", !is_limited},
	        {"observe", "check", farm->observe && !is_probed},
	        {"all_down", "check", farm->all_down == ALL_DOWN_KEEP && !farm->nchecks},
	};

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].idle && where_has(farm_where(where, farm), keys[i].key))
			where_warning(where, farm_where(where, farm), keys[i].key,
			              "does nothing without %s", keys[i].needs);
}

static bool is_used(const struct rules *rules, unsigned script)
{
	for (unsigned f = 0; f < rules->nfarms; f++)
		for (unsigned c = 0; c < rules->farms[f].nchecks; c++)
			if (rules->farms[f].scripts[c] == script)
				return true;
	return false;
}

static void warn_of_scripts(const struct where *where, const struct rules *rules)
{
	for (unsigned i = 0; i < rules->nscripts; i++)
		if (rules->scripts[i].is_section && !is_used(rules, i))
			where_warning(where,
			              where_find(where, SECTION_CHECK, rules->scripts[i].text),
			              NULL, "is used by no farm's check");
}

static void check_filters(const struct where *where, const struct rules *rules)
{
	for (unsigned i = 0; i < rules->nfilters; i++)
		if (rules->filters[i].rate && rules->filters[i].action == ON_MATCH_DROP)
			where_error(where,
			            where_find(where, SECTION_FILTER, rules->filters[i].name),
			            "rate", "all is dropped: action = pass drops what is above");
}

int crosscheck(const struct where *where, const struct rules *rules)
{
	int ret;

	check_farms(where, rules);
	check_pools(where, rules);
	check_scripts(where, rules);
	check_filters(where, rules);
	ret = claims_check(where, rules);
	for (unsigned i = 0; i < rules->nfarms && !where->notes->errors; i++) {
		warn_of_servers(where, rules, &rules->farms[i]);
		warn_of_preset(where, &rules->farms[i]);
		warn_of_mapped(where, &rules->farms[i]);
		warn_of_idle_keys(where, &rules->farms[i]);
	}
	if (!where->notes->errors)
		warn_of_scripts(where, rules);
	return ret;
}
