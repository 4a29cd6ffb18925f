/*
 * A family of metrics is a name with its type, and a line for each set of labels (OpenMetrics 1.0).
 *
 * What counters.h lists comes from there, by its group and member; a port's and a server's counters
 * have names of their own where the member alone would be another family's. Counters never fall
 * here. In the statistics flows.closed does when a flow that was reset goes on; here what was taken
 * back is left in.
 *
 * Lines grow with servers and with farms, never with both, nor with ports; what has many lines, as
 * histograms do, is of a farm.
 */
#include "metrics.h"

#include "../process/log.h"
#include "../process/text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const sides[NSIDES] = {[OUTSIDE] = "outside", [INSIDE] = "inside"};

static const char *const acts[LB_NACTS] = {[LB_BRIDGE] = "bridged",
                                           [LB_FORWARD] = "forwarded",
                                           [LB_ANSWER] = "answered",
                                           [LB_DROP] = "dropped"};

static const char *const port_names[NPORT_COUNTERS] = {[PORT_COUNTER_RECEIVED] = "received_frames",
                                                       [PORT_COUNTER_SENT] = "sent_frames",
                                                       [PORT_COUNTER_SEND_FAILED] =
                                                               "send_failed_frames",
                                                       [PORT_COUNTER_MISSED] = "missed_frames"};

static const char *const server_names[NSERVER_COUNTERS] = {
        [SERVER_COUNTER_CONNECTIONS] = "open_flows",
        [SERVER_COUNTER_HALF_OPEN] = "half_open_flows",
        [SERVER_COUNTER_CONNECTIONS_TOTAL] = "flows"};

static double seconds(uint64_t ns)
{
	return (double)ns / (double)LB_NS_PER_S;
}

static void begin(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE tmbridge_%s %s\n# HELP tmbridge_%s %s.\n", name, type, name, help);
}

static void begin_unit(FILE *out, const char *name, const char *type, const char *unit,
                       const char *help)
{
	fprintf(out, "# TYPE tmbridge_%s %s\n# UNIT tmbridge_%s %s\n# HELP tmbridge_%s %s.\n", name,
	        type, name, unit, name, help);
}

static const char *type_of(enum counter_kind kind)
{
	return kind == COUNTER_GROWS ? "counter" : "gauge";
}

static const char *total(enum counter_kind kind)
{
	return kind == COUNTER_GROWS ? "_total" : "";
}

/* ---- The process ---- */

static void print_process(FILE *out, const struct snapshot *snapshot)
{
	begin(out, "build", "info", "The program");
	fprintf(out, "tmbridge_build_info{version=\"" TMBRIDGE_VERSION "\"} 1\n");
	begin_unit(out, "start_time_seconds", "gauge", "seconds",
	           "When it started to balance, in Unix time");
	fprintf(out, "tmbridge_start_time_seconds %.3f\n",
	        seconds(snapshot->started.ns + snapshot->offset));
}

static void print_frames(FILE *out, const struct snapshot *snapshot)
{
	begin(out, "frames", "counter", "Frames by what became of them and why: all that came");
	for (unsigned i = 0; i < LB_NWHYS; i++)
		if (lb_why_act((enum lb_why)i) != LB_HAND_OVER)
			fprintf(out,
			        "tmbridge_frames_total{act=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
			        acts[lb_why_act((enum lb_why)i)], lb_why_name((enum lb_why)i),
			        snapshot->sum.whys[i]);
}

/* A counter's value, with what the statistics take back again. */
static uint64_t value_of(const struct figures *sum, unsigned i)
{
	return sum->counters[i] +
	       (i == COUNTER_FLOWS_CLOSED ? sum->counters[COUNTER_FLOWS_REVIVED] : 0);
}

static void print_counters(FILE *out, const struct snapshot *snapshot)
{
	char name[64];

	for (unsigned i = 0; i < NCOUNTERS; i++) {
		const struct counter_name *counter = &counter_names[i];

		snprintf(name, sizeof(name), "%s_%s", counter->group, counter->member);
		begin(out, name, type_of(counter->kind), counter->help);
		fprintf(out, "tmbridge_%s%s %" PRIu64 "\n", name, total(counter->kind),
		        value_of(&snapshot->sum, i));
	}
}

/* ---- Ports ---- */

static void print_links(FILE *out, const struct snapshot *snapshot)
{
	begin(out, "port_up", "gauge", "1 if the interface has a link");
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct port *port = snapshot->ports[side];
		const char *state = port->link.state;

		if (port->is_none)
			continue;
		fprintf(out, "tmbridge_port_up{side=\"%s\"} %d\n", sides[side],
		        !state || !strcmp(state, "up"));
	}
}

static void print_ports(FILE *out, const struct snapshot *snapshot)
{
	char name[64];

	print_links(out, snapshot);
	for (unsigned i = 0; i < NPORT_COUNTERS; i++) {
		const struct counter_name *counter = &port_counter_names[i];

		snprintf(name, sizeof(name), "port_%s",
		         port_names[i] ? port_names[i] : counter->member);
		begin(out, name, type_of(counter->kind), counter->help);
		for (unsigned side = 0; side < NSIDES; side++) {
			if (snapshot->ports[side]->is_none)
				continue;
			fprintf(out, "tmbridge_%s%s{side=\"%s\"} %" PRIu64 "\n", name,
			        total(counter->kind), sides[side], snapshot->sum.ports[side][i]);
		}
	}
}

/* ---- Farms ---- */

static void print_snat(FILE *out, const struct snapshot *snapshot)
{
	const struct rules *rules = snapshot->rules;
	const uint64_t *in_use = snapshot->sum.snat_in_use;
	char address[TEXT_ADDRESS_BYTES];

	begin(out, "snat_ports_in_use", "gauge", "SNAT ports of flows, those that rest included");
	for (unsigned f = 0; f < rules->nfarms; in_use += rules_all_snat(&rules->farms[f++]))
		for (unsigned i = 0; i < rules_all_snat(&rules->farms[f]) && !rules->farms[f].gone;
		     i++)
			fprintf(out,
			        "tmbridge_snat_ports_in_use{farm=\"%s\",address=\"%s\"} %" PRIu64
			        "\n",
			        rules->farms[f].name,
			        text_address(rules, rules->farms[f].snat[i], address), in_use[i]);
}

static void print_farms(FILE *out, const struct snapshot *snapshot)
{
	const struct rules *rules = snapshot->rules;

	begin(out, "farm_up", "gauge", "1 if the farm has a server that takes flows");
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (!rules->farms[f].gone)
			fprintf(out, "tmbridge_farm_up{farm=\"%s\"} %d\n", rules->farms[f].name,
			        snapshot->sum.farm_up[f]);
	print_snat(out, snapshot);
}

/* ---- Servers ---- */

static void print_labels(FILE *out, const struct rules *rules, unsigned s)
{
	fprintf(out, "farm=\"%s\",server=\"%s\"", rules->farms[rules->servers[s].farm].name,
	        rules->servers[s].name);
}

/* One that is gone from the file isn't shown: another may have its name. */
static void print_server_line(FILE *out, const char *name, const struct rules *rules, unsigned s,
                              uint64_t value)
{
	if (rules->servers[s].gone)
		return;
	fprintf(out, "tmbridge_server_%s{", name);
	print_labels(out, rules, s);
	fprintf(out, "} %" PRIu64 "\n", value);
}

static void print_probes(FILE *out, const struct snapshot *snapshot, unsigned s)
{
	const struct health_server *health = &snapshot->sum.healths[s].health;

	if (snapshot->rules->servers[s].gone)
		return;
	for (unsigned failed = 0; failed < 2; failed++) {
		fprintf(out, "tmbridge_server_probes_total{");
		print_labels(out, snapshot->rules, s);
		fprintf(out, ",result=\"%s\"} %" PRIu64 "\n", failed ? "failed" : "ok",
		        failed ? health->probes_failed : health->probes_ok);
	}
}

static void print_health(FILE *out, const struct snapshot *snapshot)
{
	const struct rules *rules = snapshot->rules;

	begin(out, "server_up", "gauge", "1 if the server is up by its checks, or has none");
	for (unsigned s = 0; s < rules->nservers; s++)
		print_server_line(out, "up", rules, s, snapshot_health(snapshot, s) == HEALTH_UP);
	begin(out, "server_weight", "gauge", "The server's weight; 0: it takes no new flows");
	for (unsigned s = 0; s < rules->nservers; s++)
		print_server_line(out, "weight", rules, s, rules->servers[s].weight);
	begin(out, "server_probes", "counter", "Probes of health checks");
	for (unsigned s = 0; s < rules->nservers; s++)
		print_probes(out, snapshot, s);
}

static void print_servers(FILE *out, const struct snapshot *snapshot)
{
	const struct rules *rules = snapshot->rules;
	char name[64], line[72];

	print_health(out, snapshot);
	for (unsigned i = 0; i < NSERVER_COUNTERS; i++) {
		const struct counter_name *counter = &server_counter_names[i];

		snprintf(name, sizeof(name), "%s",
		         server_names[i] ? server_names[i] : counter->member);
		snprintf(line, sizeof(line), "server_%s", name);
		begin(out, line, type_of(counter->kind), counter->help);
		snprintf(line, sizeof(line), "%s%s", name, total(counter->kind));
		for (unsigned s = 0; s < rules->nservers; s++)
			print_server_line(out, line, rules, s, snapshot->sum.servers[s][i]);
	}
}

/* ---- Histograms ---- */

/* labels end with a comma if there are any. */
static void print_histogram(FILE *out, const char *name, const char *labels,
                            const struct times *times, const struct times_bounds *bounds)
{
	uint64_t n = 0;
	const char *end = strchr(labels, ',');
	const int bare = end ? (int)(end - labels) : 0;

	for (unsigned i = 0; i < TIMES_BOUNDS; i++) {
		n += times->counts[i];
		fprintf(out, "tmbridge_%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, labels,
		        seconds(bounds->ns[i]), n);
	}
	n += times->counts[TIMES_BOUNDS];
	fprintf(out, "tmbridge_%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, n);
	fprintf(out, "tmbridge_%s_count%s%.*s%s %" PRIu64 "\n", name, bare ? "{" : "", bare, labels,
	        bare ? "}" : "", n);
	fprintf(out, "tmbridge_%s_sum%s%.*s%s %.9f\n", name, bare ? "{" : "", bare, labels,
	        bare ? "}" : "", seconds(times->sum_ns));
}

static struct server_times of_farm(const struct snapshot *snapshot, unsigned f)
{
	const struct rules_farm *farm = &snapshot->rules->farms[f];
	struct server_times sum = {0};

	for (unsigned i = 0; i < farm->nservers; i++) {
		const struct server_times *times = &snapshot->sum.times[farm->server + i];

		times_add(&sum.connect, &times->connect);
		times_add(&sum.flow, &times->flow);
	}
	return sum;
}

static void print_farm_histogram(FILE *out, const struct snapshot *snapshot, bool connect)
{
	char labels[RULES_NAME_BYTES + 16];

	for (unsigned f = 0; f < snapshot->rules->nfarms; f++) {
		const struct server_times times = of_farm(snapshot, f);

		if (snapshot->rules->farms[f].gone)
			continue;
		snprintf(labels, sizeof(labels), "farm=\"%s\",", snapshot->rules->farms[f].name);
		if (connect)
			print_histogram(out, "connect_seconds", labels, &times.connect,
			                &times_connect);
		else
			print_histogram(out, "flow_duration_seconds", labels, &times.flow,
			                &times_flow);
	}
}

static void print_histograms(FILE *out, const struct snapshot *snapshot)
{
	begin_unit(out, "connect_seconds", "histogram", "seconds",
	           "From a client's SYN to its server's answer");
	print_farm_histogram(out, snapshot, true);
	begin_unit(out, "flow_duration_seconds", "histogram", "seconds",
	           "How long flows lasted that have ended");
	print_farm_histogram(out, snapshot, false);
	begin_unit(out, "burst_seconds", "histogram", "seconds",
	           "How long frames were in the process, of one burst in sixteen");
	print_histogram(out, "burst_seconds", "", &snapshot->sum.bursts, &times_burst);
}

/* ---- Filters ---- */

static void print_filter_counts(FILE *out, const struct snapshot *snapshot, const char *name,
                                const char *help, size_t member)
{
	begin(out, name, "counter", help);
	for (unsigned i = 0; i < snapshot->rules->nfilters; i++) {
		const char *counts = (const char *)&snapshot->sum.filters[i];
		uint64_t value;

		memcpy(&value, counts + member, sizeof(value));
		fprintf(out, "tmbridge_%s_total{filter=\"%s\"} %" PRIu64 "\n", name,
		        snapshot->rules->filters[i].name, value);
	}
}

/* When each matched last; 0: never. */
static void print_filter_times(FILE *out, const struct snapshot *snapshot)
{
	begin_unit(out, "filter_last_match_timestamp_seconds", "gauge", "seconds",
	           "When a filter has matched last, in Unix time; 0: never");
	for (unsigned i = 0; i < snapshot->rules->nfilters; i++) {
		const struct firewall_counts *counts = &snapshot->sum.filters[i];

		fprintf(out, "tmbridge_filter_last_match_timestamp_seconds{filter=\"%s\"} %.3f\n",
		        snapshot->rules->filters[i].name,
		        counts->matched ? seconds(counts->last.ns + snapshot->offset) : 0);
	}
}

static void print_filters(FILE *out, const struct snapshot *snapshot)
{
	print_filter_counts(out, snapshot, "filter_matched", "Packets that a filter has matched",
	                    offsetof(struct firewall_counts, matched));
	print_filter_counts(out, snapshot, "filter_over", "Of these, those above its rate",
	                    offsetof(struct firewall_counts, over));
	print_filter_counts(out, snapshot, "filter_dropped",
	                    "Of these, those that it has dropped or reset",
	                    offsetof(struct firewall_counts, dropped));
	print_filter_times(out, snapshot);
}

char *metrics_text(const struct snapshot *snapshot)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		log_error("metrics: %m");
		return NULL;
	}
	print_process(out, snapshot);
	print_frames(out, snapshot);
	print_counters(out, snapshot);
	print_ports(out, snapshot);
	print_filters(out, snapshot);
	print_farms(out, snapshot);
	print_servers(out, snapshot);
	print_histograms(out, snapshot);
	fprintf(out, "# EOF\n");
	if (fclose(out) == 0)
		return text;
	log_error("metrics: out of memory");
	free(text);
	return NULL;
}
