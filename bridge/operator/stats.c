/*
 * The figures as JSON: what is counted as the lists of counters.h have it.
 *
 * Names from lb.ini have only letters, digits, dots, dashes and underscores, so they need no
 * escaping, but an interface may be called nearly anything.
 */
#include "stats.h"

#include "rates.h"

#include "../process/log.h"
#include "../process/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { STATS_NAME_BYTES = 6 * 128 + 1 /* ALTIFNAMSIZ, all escaped */ };

static void print_address(FILE *out, const struct rules *rules, be32 ip)
{
	char text[TEXT_ADDRESS_BYTES];

	fprintf(out, "\"%s\"", text_address(rules, ip, text));
}

static const char *word(bool is)
{
	return is ? "true" : "false";
}

static void print_frames(FILE *out, const struct snapshot *snapshot)
{
	const uint64_t *whys = snapshot->sum.whys;

	fprintf(out,
	        " \"frames\":{\"received\":%" PRIu64 ",\"bridged\":%" PRIu64
	        ",\"forwarded\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"dropped\":%" PRIu64
	        "},\n \"reasons\":{",
	        snapshot_received(snapshot), snapshot_frames(snapshot, LB_BRIDGE),
	        snapshot_frames(snapshot, LB_FORWARD), snapshot_frames(snapshot, LB_ANSWER),
	        snapshot_frames(snapshot, LB_DROP));
	for (unsigned i = 0, n = 0; i < LB_NWHYS; i++)
		if (whys[i] && i != WHY_HANDED_OVER)
			fprintf(out, "%s\"%s\":%" PRIu64, n++ ? "," : "",
			        lb_why_name((enum lb_why)i), whys[i]);
	fprintf(out, "},\n \"refusals\":{");
	for (unsigned i = 0, n = 0; i < LB_NWHYS; i++)
		if (whys[i] && lb_why_refuses((enum lb_why)i))
			fprintf(out, "%s\"%s\":%" PRIu64, n++ ? "," : "",
			        lb_why_name((enum lb_why)i), whys[i]);
	fprintf(out, "},\n");
}

/* A group on each line. What says yes or no is true or false. */
static void print_counters(FILE *out, const struct snapshot *snapshot)
{
	const char *group = "";

	for (unsigned i = 0; i < NCOUNTERS; i++) {
		const struct counter_name *name = &counter_names[i];
		const uint64_t value = snapshot->sum.counters[i];

		if (!strcmp(name->group, group))
			fprintf(out, ",");
		else
			fprintf(out, "%s \"%s\":{", *group ? "},\n" : "", name->group);
		group = name->group;
		fprintf(out, "\"%s\":", name->member);
		if (i == COUNTER_FAST_PATH_ACTIVE)
			fprintf(out, "%s", word(value));
		else
			fprintf(out, "%" PRIu64, value);
	}
	fprintf(out, "},\n");
}

static void print_members(FILE *out, const struct counter_name *names, const uint64_t *values,
                          unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fprintf(out, ",\"%s\":%" PRIu64, names[i].member, values[i]);
}

static void print_rate(FILE *out, const struct rates *rates, const char *member, uint64_t from,
                       uint64_t to)
{
	fprintf(out, ",\"%s_s\":%.1f", member, rates_of(rates, from, to));
}

/* Of each reason that there has been. */
static void print_refusal_rates(FILE *out, const struct rates *rates)
{
	const uint64_t *from = rates->from.sum.whys, *to = rates->to.sum.whys;

	for (unsigned i = 0, n = 0; i < LB_NWHYS; i++)
		if (to[i] && lb_why_refuses((enum lb_why)i))
			fprintf(out, "%s\"%s\":%.1f", n++ ? "," : "", lb_why_name((enum lb_why)i),
			        rates_of(rates, from[i], to[i]));
}

/* Of the last second, for who asks a running one. */
static void print_rates(FILE *out, const struct snapshot *snapshot)
{
	const struct rates *rates = snapshot->rates;
	const uint64_t *from, *to;

	if (!rates)
		return;
	from = rates->from.sum.counters;
	to = rates->to.sum.counters;
	fprintf(out, " \"rates\":{\"created\":%.1f,\"refused\":%.1f,\"refusals\":{",
	        rates_of(rates, from[COUNTER_FLOWS_CREATED], to[COUNTER_FLOWS_CREATED]),
	        rates_of(rates, from[COUNTER_FLOWS_REFUSED], to[COUNTER_FLOWS_REFUSED]));
	print_refusal_rates(out, rates);
	fprintf(out, "}},\n");
}

static void print_port(FILE *out, const struct snapshot *snapshot, enum side side)
{
	static const char *const sides[NSIDES] = {"outside", "inside"};
	const struct rates *rates = snapshot->rates;
	const struct port *port = snapshot->ports[side];
	char name[STATS_NAME_BYTES];

	fprintf(out, "\"%s\":{\"name\":\"%s\"", sides[side],
	        text_json(port->name, name, sizeof(name)));
	if (port->link.state)
		fprintf(out, ",\"link\":\"%s\",\"mtu\":%" PRIu32, port->link.state, port->link.mtu);
	print_members(out, port_counter_names, snapshot->sum.ports[side], NPORT_COUNTERS);
	for (unsigned i = 0; rates && i < NPORT_COUNTERS; i++)
		print_rate(out, rates, port_counter_names[i].member, rates->from.sum.ports[side][i],
		           rates->to.sum.ports[side][i]);
	fprintf(out, "}");
}

static void print_ports(FILE *out, const struct snapshot *snapshot)
{
	fprintf(out, " \"ports\":{");
	for (unsigned side = 0; side < NSIDES; side++) {
		if (snapshot->ports[side]->is_none)
			continue;
		fprintf(out, "%s", side ? "," : "");
		print_port(out, snapshot, (enum side)side);
	}
	fprintf(out, "},\n");
}

static void print_time(FILE *out, const char *member, const struct snapshot *snapshot, lb_time time)
{
	char text[TEXT_TIME_BYTES];

	fprintf(out, ",\"%s\":\"%s\"", member, text_time(time, snapshot->offset, text));
}

/* The last probe that failed, if any has. */
static void print_fault(FILE *out, const struct snapshot *snapshot, const struct fault *fault)
{
	char why[FAULT_TEXT_BYTES], escaped[6 * FAULT_TEXT_BYTES];

	if (fault->kind == FAULT_NONE) {
		fprintf(out, ",\"failed_port\":null,\"failed_check\":null,\"failed_reason\":null"
		             ",\"failed_why\":null,\"failed_at\":null");
		return;
	}
	fprintf(out,
	        ",\"failed_port\":%u,\"failed_check\":\"%s\",\"failed_reason\":\"%s\""
	        ",\"failed_why\":\"%s\"",
	        be16_get(fault->port), *fault->check ? fault->check : "connect",
	        fault_name((enum fault_kind)fault->kind),
	        text_json(fault_why(fault, why), escaped, sizeof(escaped)));
	print_time(out, "failed_at", snapshot, fault->at);
}

/* What the server's agent has said, if it has one. */
static void print_agent(FILE *out, const struct snapshot *snapshot, unsigned s)
{
	const struct agent *agent = &snapshot->sum.healths[s].health.agent;

	if (!rules_has_agent(&snapshot->rules->farms[snapshot->rules->servers[s].farm])) {
		fprintf(out, ",\"agent_says\":null,\"agent_percent\":null"
		             ",\"agent_max_connections\":null");
		return;
	}
	fprintf(out,
	        ",\"agent_says\":\"%s\",\"agent_percent\":%u,\"agent_max_connections\":%" PRIu32,
	        agent_word(agent), agent->percent, agent->max_connections);
}

/* How many probes have failed for which reason. */
static void print_failures(FILE *out, const struct server_faults *faults)
{
	fprintf(out, ",\"failures\":{");
	for (unsigned i = 1; i < NFAULTS; i++)
		fprintf(out, "%s\"%s\":%u", i > 1 ? "," : "", fault_name((enum fault_kind)i),
		        faults->n[i]);
	fprintf(out, "}");
}

/* What most clients, and nearly all, waited for the server's answer. */
static void print_connect(FILE *out, const struct times *times)
{
	static const struct {
		const char *member;
		double share;
	} shares[] = {{"connect_p50_ms", 0.5}, {"connect_p99_ms", 0.99}};

	for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		fprintf(out, ",\"%s\":%.3f", shares[i].member,
		        (double)times_quantile(times, &times_connect, shares[i].share) /
		                (double)LB_NS_PER_MS);
}

/* What an operator has said over what the file says. */
static void print_override(FILE *out, const struct snapshot *snapshot, unsigned s,
                           enum override_key key)
{
	const struct override *override =
	        snapshot->overrides
	                ? overrides_find(snapshot->overrides, snapshot->rules->servers[s].name, key)
	                : NULL;
	char value[OVERRIDE_VALUE_BYTES];

	if (override)
		fprintf(out, ",\"%s_in_file\":\"%s\"", override_key_name(key),
		        override_value(key, override->in_file, value));
}

/* Of n servers together, from that one on. */
static void print_server_rates(FILE *out, const struct snapshot *snapshot, unsigned s, unsigned n)
{
	static const struct {
		const char *member;
		enum server_counter counter;
	} shown[] = {{"created", SERVER_COUNTER_CONNECTIONS_TOTAL},
	             {"client_bytes", SERVER_COUNTER_CLIENT_BYTES},
	             {"server_bytes", SERVER_COUNTER_SERVER_BYTES}};
	const struct rates *rates = snapshot->rates;

	for (unsigned i = 0; rates && i < sizeof(shown) / sizeof(shown[0]); i++) {
		uint64_t from = 0, to = 0;

		for (unsigned k = 0; k < n; k++) {
			from += rates->from.sum.servers[s + k][shown[i].counter];
			to += rates->to.sum.servers[s + k][shown[i].counter];
		}
		print_rate(out, rates, shown[i].member, from, to);
	}
}

static void print_server(FILE *out, const struct snapshot *snapshot, unsigned s)
{
	const struct rules_server *rule = &snapshot->rules->servers[s];
	const struct health_server *health = &snapshot->sum.healths[s].health;

	fprintf(out, "    {\"name\":\"%s\",\"address\":", rule->name);
	print_address(out, snapshot->rules, rule->address);
	fprintf(out, ",\"state\":\"%s\",\"health\":\"%s\"", rules_state_words[rule->state],
	        health_name(snapshot_health(snapshot, s)));
	print_time(out, "since", snapshot, health->since);
	fprintf(out, ",\"weight\":%u", rule->weight);
	print_members(out, server_counter_names, snapshot->sum.servers[s], NSERVER_COUNTERS);
	print_server_rates(out, snapshot, s, 1);
	print_connect(out, &snapshot->sum.times[s].connect);
	fprintf(out, ",\"probes_ok\":%" PRIu64 ",\"probes_failed\":%" PRIu64, health->probes_ok,
	        health->probes_failed);
	print_fault(out, snapshot, &snapshot->sum.healths[s].faults.last);
	print_failures(out, &snapshot->sum.healths[s].faults);
	print_agent(out, snapshot, s);
	print_override(out, snapshot, s, OVERRIDE_STATE);
	print_override(out, snapshot, s, OVERRIDE_WEIGHT);
	fprintf(out, ",\"removed\":%s}", word(rule->gone));
}

/* The set of SNAT ports that is used up first, if any is used. */
static void print_fullest(FILE *out, const struct snapshot *snapshot, unsigned f)
{
	const struct snat_fill *fill = snapshot->fullest ? &snapshot->fullest[f] : NULL;

	fprintf(out, ",\n   \"snat_fullest\":");
	if (!fill || !fill->taken) {
		fprintf(out, "null");
		return;
	}
	fprintf(out, "{\"address\":");
	print_address(out, snapshot->rules, snapshot->rules->farms[f].snat[fill->address]);
	fprintf(out, ",\"server\":\"%s\",\"port\":", snapshot->rules->servers[fill->server].name);
	if (be16_get(fill->port))
		fprintf(out, "%u", be16_get(fill->port));
	else
		fprintf(out, "null");
	fprintf(out, ",\"ports_in_use\":%" PRIu32 ",\"ports\":%" PRIu32 "}", fill->taken,
	        fill->room);
}

static void print_vlan(FILE *out, uint16_t vlan)
{
	if (vlan)
		fprintf(out, ",\"vlan\":%u", vlan);
	else
		fprintf(out, ",\"vlan\":null");
}

/* in_use is that of the farm's SNAT addresses. */
static void print_farm(FILE *out, const struct snapshot *snapshot, unsigned f,
                       const uint64_t *in_use)
{
	const struct rules *rules = snapshot->rules;
	const struct rules_farm *farm = &rules->farms[f];

	fprintf(out, "  {\"name\":\"%s\",\"vip\":", farm->name);
	print_address(out, rules, farm->vip);
	print_vlan(out, farm->vlan);
	fprintf(out, ",\"up\":%s,\"removed\":%s", word(snapshot->sum.farm_up[f]), word(farm->gone));
	print_server_rates(out, snapshot, farm->server, farm->nservers);
	fprintf(out, ",\n   \"snat\":[");
	for (unsigned i = 0; i < rules_all_snat(farm); i++) {
		fprintf(out, "%s{\"address\":", i ? "," : "");
		print_address(out, rules, farm->snat[i]);
		fprintf(out, ",\"ports_in_use\":%" PRIu64 ",\"removed\":%s}", in_use[i],
		        word(i >= farm->nsnat));
	}
	fprintf(out, "]");
	print_fullest(out, snapshot, f);
	fprintf(out, ",\n   \"servers\":[\n");
	for (unsigned i = 0; i < farm->nservers; i++) {
		print_server(out, snapshot, farm->server + i);
		fprintf(out, "%s\n", i + 1 < farm->nservers ? "," : "");
	}
	fprintf(out, "   ]}");
}

static void print_filters(FILE *out, const struct snapshot *snapshot)
{
	const struct rules *rules = snapshot->rules;
	char time[TEXT_TIME_BYTES];

	fprintf(out, " \"filters\":[");
	for (unsigned i = 0; i < rules->nfilters; i++) {
		const struct rules_filter *rule = &rules->filters[i];
		const struct firewall_counts *counts = &snapshot->sum.filters[i];

		fprintf(out,
		        "%s\n  {\"name\":\"%s\",\"action\":\"%s\",\"matched\":%" PRIu64
		        ",\"over\":%" PRIu64 ",\"dropped\":%" PRIu64,
		        i ? "," : "", rule->name, rules_filter_action_words[rule->action],
		        counts->matched, counts->over, counts->dropped);
		if (counts->matched)
			fprintf(out, ",\"last\":\"%s\"}",
			        text_time(counts->last, snapshot->offset, time));
		else
			fprintf(out, ",\"last\":null}");
	}
	fprintf(out, "],\n");
}

static void print_farms(FILE *out, const struct snapshot *snapshot)
{
	const uint64_t *in_use = snapshot->sum.snat_in_use;
	unsigned n = snapshot->rules->nfarms;

	fprintf(out, " \"farms\":[\n");
	for (unsigned f = 0; f < n; f++) {
		print_farm(out, snapshot, f, in_use);
		in_use += rules_all_snat(&snapshot->rules->farms[f]);
		fprintf(out, "%s\n", f + 1 < n ? "," : "");
	}
	fprintf(out, " ]}\n");
}

char *stats_text(const struct snapshot *snapshot)
{
	const uint64_t ns = snapshot->taken.ns - snapshot->started.ns;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		log_error("statistics: %m");
		return NULL;
	}
	fprintf(out, "{\"version\":\"" TMBRIDGE_VERSION "\",\"uptime_s\":%.3f,\n",
	        (double)ns / (double)LB_NS_PER_S);
	print_frames(out, snapshot);
	print_counters(out, snapshot);
	print_rates(out, snapshot);
	if (snapshot->bypass)
		fprintf(out, " \"bypass\":true,\n");
	print_ports(out, snapshot);
	print_filters(out, snapshot);
	print_farms(out, snapshot);
	if (fclose(out) == 0)
		return text;
	log_error("statistics: out of memory");
	free(text);
	return NULL;
}
