/*
 * Rules as one line of text: whoever adds a key adds how it shows here.
 */
#include "rules_text.h"

#include "suites.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void say(struct line *line, const char *fmt, ...)
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

void say_farm(struct line *line, const struct rules *rules, const struct rules_farm *farm)
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

void say_server(struct line *line, const struct rules *rules, const struct rules_server *server)
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

void say_check(struct line *line, const struct script *script)
{
	say(line, "name=%s send=", script->text);
	say_bytes(line, script->send, script->nsend);
	say(line, " expect=");
	say_bytes(line, script->expect, script->nexpect);
	say(line, "/");
	say_bytes(line, script->mask, script->nexpect);
	say(line, " where=%u number=%u-%u", script->where, script->low, script->high);
}

void say_filter(struct line *line, const struct rules_filter *filter)
{
	say(line, "name=%s match=%s sides=%u action=%u rate=%u log=%d", filter->name, filter->match,
	    filter->sides, filter->action, filter->rate, filter->log);
}

void say_bridge(struct line *line, const struct rules *rules)
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
	say(line, " workers=%u%s%s%s%s", rules->workers, rules->rush ? "" : " rush=no",
	    rules->link_mirror ? " link_mirror" : "", fast_paths[rules->fast_path],
	    rules->on_exit == ON_EXIT_CUT ? " on_exit=cut" : "");
	say_nets(line, rules);
}
