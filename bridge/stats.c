/*
 * The counters as JSON.
 *
 * All names in it are from lb.ini, where only letters, digits, dots, dashes and underscores are
 * allowed, so nothing needs escaping. A file is written beside its place and then renamed: whoever
 * reads it never sees half of one.
 */
#include "stats.h"

#include "log.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_address(FILE *out, const struct rules *rules, be32 ip)
{
	char text[TEXT_ADDRESS_BYTES];

	fprintf(out, "\"%s\"", text_address(rules, ip, text));
}

static void print_frames(FILE *out, const uint64_t whys[LB_NWHYS])
{
	uint64_t acts[LB_NACTS] = {0}, received = 0;

	for (unsigned i = 0; i < LB_NWHYS; i++) {
		acts[lb_why_act((enum lb_why)i)] += whys[i];
		received += whys[i];
	}
	fprintf(out,
	        "\"frames\":{\"received\":%" PRIu64 ",\"bridged\":%" PRIu64
	        ",\"forwarded\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"dropped\":%" PRIu64
	        "},\n \"reasons\":{",
	        received, acts[LB_BRIDGE], acts[LB_FORWARD], acts[LB_ANSWER], acts[LB_DROP]);
	for (unsigned i = 0, n = 0; i < LB_NWHYS; i++)
		if (whys[i])
			fprintf(out, "%s\"%s\":%" PRIu64, n++ ? "," : "",
			        lb_why_name((enum lb_why)i), whys[i]);
	fprintf(out, "},\n");
}

static void print_flows(FILE *out, const struct balance *balance)
{
	const struct balance_counts *counts = &balance->counts;

	fprintf(out,
	        " \"flows\":{\"open\":%" PRIu32 ",\"created\":%" PRIu64 ",\"closed\":%" PRIu64
	        ",\"idle_expired\":%" PRIu64 ",\"server_down\":%" PRIu64 ",\"reload\":%" PRIu64
	        ",\"evicted\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"half_open\":%" PRIu32
	        ",\"quarantined\":%" PRIu32 ",\"quarantine_cut\":%" PRIu64
	        ",\"resets_sent\":%" PRIu64 ",\"capacity\":%" PRIu32 "},\n",
	        balance_open_flows(balance), counts->created,
	        counts->ended[ENDED_FIN] + counts->ended[ENDED_RST], counts->ended[ENDED_IDLE],
	        counts->ended[ENDED_SERVER_DOWN], counts->ended[ENDED_RELOAD],
	        counts->ended[ENDED_EVICTED], counts->refused, balance->flows.half_open.length,
	        balance_quarantined(balance), counts->quarantine_cut, counts->resets,
	        balance->flows.capacity);
}

static void print_port(FILE *out, const char *side, const struct port *port)
{
	const struct port_counts *counts = &port->counts;

	fprintf(out,
	        "\"%s\":{\"name\":\"%s\",\"received\":%" PRIu64 ",\"sent\":%" PRIu64
	        ",\"send_failed\":%" PRIu64 ",\"missed\":%" PRIu64 "}",
	        side, port->name, counts->received, counts->sent, counts->send_failed,
	        counts->missed);
}

static void print_bridge(FILE *out, const struct worker *worker)
{
	const struct connlog_counts connlog = connlog_counts(worker->connlog);
	const struct neigh_counts *neigh = neigh_counts(worker->setup.neigh);

	fprintf(out, " \"ports\":{");
	print_port(out, "outside", worker->ports[OUTSIDE]);
	fprintf(out, ",");
	print_port(out, "inside", worker->ports[INSIDE]);
	fprintf(out,
	        "},\n \"arp\":{\"waited\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"conflicts\":%" PRIu64
	        "},\n",
	        neigh->waited, neigh->lost, worker->conflicts);
	fprintf(out, " \"connlog\":{\"written\":%" PRIu64 ",\"lost\":%" PRIu64 "},\n",
	        connlog.written, connlog.lost + lb_balance(worker->lb)->ended.lost);
}

static void print_server(FILE *out, const struct farms *farms, unsigned s)
{
	const struct rules_server *rule = &farms->rules->servers[s];
	const struct server *server = &farms->sched.servers[s];
	const struct health_server *health = &farms->health.servers[s];

	fprintf(out, "    {\"name\":\"%s\",\"address\":", rule->name);
	print_address(out, farms->rules, rule->address);
	fprintf(out,
	        ",\"state\":\"%s\",\"health\":\"%s\",\"weight\":%u,\"connections\":%" PRIu32
	        ",\"connections_total\":%" PRIu64 ",\"probes_ok\":%" PRIu64
	        ",\"probes_failed\":%" PRIu64 ",\"removed\":%s}",
	        rules_state_name(rule->state), health_name(health_of(&farms->health, s)),
	        rule->weight, server->connections, server->connections_total, health->probes_ok,
	        health->probes_failed, rule->gone ? "true" : "false");
}

static void print_farm(FILE *out, const struct farms *farms, unsigned f)
{
	const struct rules_farm *farm = &farms->rules->farms[f];
	const uint32_t *in_use = &farms->snat.in_use[farms->snat.farms[f].address];

	fprintf(out, "  {\"name\":\"%s\",\"vip\":", farm->name);
	print_address(out, farms->rules, farm->vip);
	fprintf(out, ",\"up\":%s,\"removed\":%s,\n   \"snat\":[",
	        sched_is_up(&farms->sched, f) ? "true" : "false", farm->gone ? "true" : "false");
	for (unsigned i = 0; i < farm->nsnat; i++) {
		fprintf(out, "%s{\"address\":", i ? "," : "");
		print_address(out, farms->rules, farm->snat[i]);
		fprintf(out, ",\"ports_in_use\":%" PRIu32 "}", in_use[i]);
	}
	fprintf(out, "],\n   \"servers\":[\n");
	for (unsigned i = 0; i < farm->nservers; i++) {
		print_server(out, farms, farm->server + i);
		fprintf(out, "%s\n", i + 1 < farm->nservers ? "," : "");
	}
	fprintf(out, "   ]}");
}

static void print_farms(FILE *out, const struct farms *farms)
{
	fprintf(out, " \"farms\":[\n");
	for (unsigned f = 0; f < farms->rules->nfarms; f++) {
		print_farm(out, farms, f);
		fprintf(out, "%s\n", f + 1 < farms->rules->nfarms ? "," : "");
	}
	fprintf(out, " ]}\n");
}

static void print(FILE *out, const struct worker *worker, lb_time uptime)
{
	fprintf(out, "{\"version\":\"" TMBRIDGE_VERSION "\",\"uptime_s\":%.3f,\n ",
	        (double)uptime.ns / (double)LB_NS_PER_S);
	print_frames(out, lb_whys(worker->lb));
	print_flows(out, lb_balance(worker->lb));
	print_bridge(out, worker);
	print_farms(out, worker->setup.farms);
}

static int write_file(const struct worker *worker, lb_time uptime, const char *path)
{
	char *beside = NULL;
	FILE *out = NULL;
	int err = 0;

	if (asprintf(&beside, "%s.new", path) < 0)
		return -ENOMEM;
	out = fopen(beside, "w");
	if (!out) {
		err = -errno;
		goto done;
	}
	print(out, worker, uptime);
	if (ferror(out))
		err = -EIO;
	if (fclose(out) != 0 && !err)
		err = -errno;
	if (!err && rename(beside, path) < 0)
		err = -errno;
	if (err)
		unlink(beside);
done:
	if (err)
		log_error("%s: statistics: %s", path, strerror(-err));
	free(beside);
	return err;
}

int stats_write(const struct worker *worker, lb_time uptime, const char *path)
{
	struct stat st;

	/* a device or pipe (/dev/stdout) can't be replaced by renaming */
	if (strcmp(path, "-") != 0 && (stat(path, &st) < 0 || S_ISREG(st.st_mode)))
		return write_file(worker, uptime, path);
	FILE *out = strcmp(path, "-") ? fopen(path, "w") : stdout;

	if (!out) {
		log_error("%s: statistics: %m", path);
		return -errno;
	}
	print(out, worker, uptime);
	fflush(out);
	if (out != stdout)
		fclose(out);
	return 0;
}
