/*
 * The counters as JSON: sums over the workers, and of probes what the first one knows, which sends
 * them.
 *
 * Names from lb.ini have only letters, digits, dots, dashes and underscores, so they need no
 * escaping, but an interface may be called nearly anything. A file is written beside its place and
 * then renamed: whoever reads it never sees half of one.
 */
#include "stats.h"

#include "../process/files.h"
#include "../process/log.h"
#include "../process/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	STATS_READER_MS = 1000,
	STATS_NAME_BYTES = 6 * 128 + 1, /* ALTIFNAMSIZ, all escaped */
};

static void print_address(FILE *out, const struct rules *rules, be32 ip)
{
	char text[TEXT_ADDRESS_BYTES];

	fprintf(out, "\"%s\"", text_address(rules, ip, text));
}

/* What all workers have counted. */
struct totals {
	uint64_t whys[LB_NWHYS];
	struct balance_counts counts;
	uint64_t open, half_open, quarantined, reset, capacity, half_open_capacity;
	struct port_counts ports[NSIDES];
	struct neigh_counts neigh;
	uint64_t conflicts, records_lost, news_lost;
	uint64_t frags_expired, frags_evicted, persist_evicted;
};

static void add_balance(struct totals *totals, const struct balance *balance)
{
	const struct balance_counts *counts = &balance->counts;

	totals->counts.created += counts->created;
	for (unsigned i = 0; i < ENDED_WHYS; i++)
		totals->counts.ended[i] += counts->ended[i];
	totals->counts.refused += counts->refused;
	totals->counts.quarantine_cut += counts->quarantine_cut;
	totals->counts.revived += counts->revived;
	totals->counts.resets += counts->resets;
	totals->counts.passed_over += counts->passed_over;
	totals->counts.own_port += counts->own_port;
	totals->open += balance_open_flows(balance);
	totals->half_open += balance->flows.half_open.length;
	totals->quarantined += balance_quarantined(balance);
	totals->reset += balance->reset;
	totals->capacity += balance->most_open;
	totals->half_open_capacity += balance->most_half_open;
	totals->records_lost += balance->ended.lost;
	totals->persist_evicted += balance->persist.evicted;
}

static void add_port(struct port_counts *total, const struct port_counts *counts)
{
	total->received += counts->received;
	total->sent += counts->sent;
	total->send_failed += counts->send_failed;
	total->missed += counts->missed;
}

static void add_worker(struct totals *totals, const struct worker *worker)
{
	const struct neigh_counts *neigh = neigh_counts(worker->setup.neigh);

	for (unsigned i = 0; i < LB_NWHYS; i++)
		totals->whys[i] += lb_whys(worker->lb)[i];
	add_balance(totals, lb_balance(worker->lb));
	for (unsigned side = 0; side < NSIDES; side++)
		add_port(&totals->ports[side], &worker->ports[side]->counts);
	totals->neigh.waited += neigh->waited;
	totals->neigh.lost += neigh->lost;
	totals->neigh.moves += neigh->moves;
	totals->neigh.attempts += neigh->attempts;
	totals->conflicts += worker->conflicts;
	totals->frags_expired += lb_frags(worker->lb)->expired;
	totals->frags_evicted += lb_frags(worker->lb)->evicted;
	totals->news_lost += worker->news_lost;
}

/* What the programs in the kernel have counted. */
static void add_fastpath(struct totals *totals, const struct fastpath *fastpath)
{
	struct fastpath_counts counts;

	fastpath_count(fastpath, &counts);
	for (unsigned i = 0; i < LB_NWHYS; i++)
		totals->whys[i] += counts.whys[i];
	for (unsigned side = 0; side < NSIDES; side++) {
		totals->ports[side].received += counts.received[side];
		totals->ports[side].sent += counts.sent[side];
		totals->ports[side].send_failed += counts.too_long[side];
	}
}

static void print_frames(FILE *out, const struct totals *totals)
{
	uint64_t acts[LB_NACTS] = {0}, received = 0;

	for (unsigned i = 0; i < LB_NWHYS; i++) {
		acts[lb_why_act((enum lb_why)i)] += totals->whys[i];
		received += totals->whys[i];
	}
	received -= acts[LB_HAND_OVER]; /* counted where they went */
	fprintf(out,
	        "\"frames\":{\"received\":%" PRIu64 ",\"bridged\":%" PRIu64
	        ",\"forwarded\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"dropped\":%" PRIu64
	        "},\n \"reasons\":{",
	        received, acts[LB_BRIDGE], acts[LB_FORWARD], acts[LB_ANSWER], acts[LB_DROP]);
	for (unsigned i = 0, n = 0; i < LB_NWHYS; i++)
		if (totals->whys[i] && i != WHY_HANDED_OVER)
			fprintf(out, "%s\"%s\":%" PRIu64, n++ ? "," : "",
			        lb_why_name((enum lb_why)i), totals->whys[i]);
	fprintf(out, "},\n");
}

static void print_flows(FILE *out, const struct totals *totals)
{
	const struct balance_counts *counts = &totals->counts;

	fprintf(out,
	        " \"flows\":{\"open\":%" PRIu64 ",\"created\":%" PRIu64 ",\"closed\":%" PRIu64
	        ",\"idle_expired\":%" PRIu64 ",\"server_down\":%" PRIu64 ",\"reload\":%" PRIu64
	        ",\"evicted\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"half_open\":%" PRIu64
	        ",\"quarantined\":%" PRIu64 ",\"quarantine_cut\":%" PRIu64 ",\"reset\":%" PRIu64
	        ",\"revived\":%" PRIu64 ",\"resets_sent\":%" PRIu64 ",\"passed_over\":%" PRIu64
	        ",\"own_port\":%" PRIu64 ",\"capacity\":%" PRIu64 ",\"half_open_capacity\":%" PRIu64
	        "},\n",
	        totals->open, counts->created, counts->ended[ENDED_FIN] + counts->ended[ENDED_RST],
	        counts->ended[ENDED_IDLE], counts->ended[ENDED_SERVER_DOWN],
	        counts->ended[ENDED_RELOAD], counts->ended[ENDED_EVICTED], counts->refused,
	        totals->half_open, totals->quarantined, counts->quarantine_cut, totals->reset,
	        counts->revived, counts->resets, counts->passed_over, counts->own_port,
	        totals->capacity, totals->half_open_capacity);
}

static void print_port(FILE *out, const char *side, const struct port *port,
                       const struct port_counts *counts)
{
	char name[STATS_NAME_BYTES];

	fprintf(out, "\"%s\":{\"name\":\"%s\"", side, text_json(port->name, name, sizeof(name)));
	if (port->link.state)
		fprintf(out, ",\"link\":\"%s\",\"mtu\":%" PRIu32, port->link.state, port->link.mtu);
	fprintf(out,
	        ",\"received\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"send_failed\":%" PRIu64
	        ",\"missed\":%" PRIu64 "}",
	        counts->received, counts->sent, counts->send_failed, counts->missed);
}

static void print_bridge(FILE *out, const struct workers *workers, const struct totals *totals)
{
	const struct connlog_counts connlog = connlog_counts(workers->connlog);
	struct port *const *ports = workers->worker[0].ports;

	fprintf(out,
	        " \"workers\":{\"running\":%u,\"handed_over\":%" PRIu64 ",\"news_lost\":%" PRIu64
	        "},\n \"ports\":{",
	        workers->n, totals->whys[WHY_HANDED_OVER], totals->news_lost);
	print_port(out, "outside", ports[OUTSIDE], &totals->ports[OUTSIDE]);
	fprintf(out, ",");
	print_port(out, "inside", ports[INSIDE], &totals->ports[INSIDE]);
	fprintf(out,
	        "},\n \"arp\":{\"waited\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"conflicts\":%" PRIu64
	        ",\"moves\":%" PRIu64 ",\"attempts\":%" PRIu64 "},\n",
	        totals->neigh.waited, totals->neigh.lost, totals->conflicts, totals->neigh.moves,
	        totals->neigh.attempts);
	fprintf(out,
	        " \"frags\":{\"expired\":%" PRIu64 ",\"evicted\":%" PRIu64
	        "},\n \"persist\":{\"evicted\":%" PRIu64 "},\n",
	        totals->frags_expired, totals->frags_evicted, totals->persist_evicted);
	fprintf(out, " \"connlog\":{\"written\":%" PRIu64 ",\"lost\":%" PRIu64 "},\n",
	        connlog.written, connlog.lost + totals->records_lost);
}

/* What of all that the programs in the kernel have done, and what they have handed on. */
static void print_fastpath(FILE *out, const struct fastpath *fastpath)
{
	struct fastpath_counts counts = {0};

	if (fastpath)
		fastpath_count(fastpath, &counts);
	fprintf(out,
	        " \"fast_path\":{\"active\":%s,\"bridged\":%" PRIu64 ",\"forwarded\":%" PRIu64
	        ",\"punted\":%" PRIu64 "},\n",
	        fastpath_is_active(fastpath) ? "true" : "false", counts.whys[WHY_NOT_OURS],
	        counts.whys[WHY_FLOW_HIT], counts.punted[OUTSIDE] + counts.punted[INSIDE]);
}

static void print_server(FILE *out, const struct workers *workers, unsigned s)
{
	const struct farms *farms = workers->worker[0].setup.farms;
	const struct rules_server *rule = &farms->rules->servers[s];
	const struct health_server *health = &farms->health.servers[s];
	uint64_t connections = 0, total = 0;

	for (unsigned k = 0; k < workers->n; k++) {
		connections += workers->worker[k].setup.farms->sched.servers[s].connections;
		total += workers->worker[k].setup.farms->sched.servers[s].connections_total;
	}
	fprintf(out, "    {\"name\":\"%s\",\"address\":", rule->name);
	print_address(out, farms->rules, rule->address);
	fprintf(out,
	        ",\"state\":\"%s\",\"health\":\"%s\",\"weight\":%u,\"connections\":%" PRIu64
	        ",\"connections_total\":%" PRIu64 ",\"probes_ok\":%" PRIu64
	        ",\"probes_failed\":%" PRIu64 ",\"removed\":%s}",
	        rules_state_words[rule->state],
	        health_name(rule->state == STATE_DISABLED ? HEALTH_UNKNOWN
	                                                  : health_of(&farms->health, s)),
	        rule->weight, connections, total, health->probes_ok, health->probes_failed,
	        rule->gone ? "true" : "false");
}

/* SNAT ports taken of the farm's address of that index. */
static uint64_t ports_in_use(const struct workers *workers, unsigned farm, unsigned address)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k < workers->n; k++) {
		const struct snat *snat = &workers->worker[k].setup.farms->snat;

		sum += snat->in_use[snat->farms[farm].address + address];
	}
	return sum;
}

static void print_farm(FILE *out, const struct workers *workers, unsigned f)
{
	const struct farms *farms = workers->worker[0].setup.farms;
	const struct rules_farm *farm = &farms->rules->farms[f];

	fprintf(out, "  {\"name\":\"%s\",\"vip\":", farm->name);
	print_address(out, farms->rules, farm->vip);
	fprintf(out, ",\"up\":%s,\"removed\":%s,\n   \"snat\":[",
	        sched_is_up(&farms->sched, f) ? "true" : "false", farm->gone ? "true" : "false");
	for (unsigned i = 0; i < farm->nsnat; i++) {
		fprintf(out, "%s{\"address\":", i ? "," : "");
		print_address(out, farms->rules, farm->snat[i]);
		fprintf(out, ",\"ports_in_use\":%" PRIu64 "}", ports_in_use(workers, f, i));
	}
	fprintf(out, "],\n   \"servers\":[\n");
	for (unsigned i = 0; i < farm->nservers; i++) {
		print_server(out, workers, farm->server + i);
		fprintf(out, "%s\n", i + 1 < farm->nservers ? "," : "");
	}
	fprintf(out, "   ]}");
}

static void print_farms(FILE *out, const struct workers *workers)
{
	unsigned n = workers->rules->nfarms;

	fprintf(out, " \"farms\":[\n");
	for (unsigned f = 0; f < n; f++) {
		print_farm(out, workers, f);
		fprintf(out, "%s\n", f + 1 < n ? "," : "");
	}
	fprintf(out, " ]}\n");
}

char *stats_text(const struct workers *workers, lb_time uptime)
{
	struct totals totals = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		log_error("statistics: %m");
		return NULL;
	}
	for (unsigned k = 0; k < workers->n; k++)
		add_worker(&totals, &workers->worker[k]);
	if (workers->fastpath)
		add_fastpath(&totals, workers->fastpath);
	fprintf(out, "{\"version\":\"" TMBRIDGE_VERSION "\",\"uptime_s\":%.3f,\n ",
	        (double)uptime.ns / (double)LB_NS_PER_S);
	print_frames(out, &totals);
	print_flows(out, &totals);
	print_bridge(out, workers, &totals);
	print_fastpath(out, workers->fastpath);
	print_farms(out, workers);
	if (fclose(out) == 0)
		return text;
	log_error("statistics: out of memory");
	free(text);
	return NULL;
}

static int write_file(const char *text, const char *path)
{
	char *beside = NULL;
	FILE *out = NULL;
	int err = 0;

	if (asprintf(&beside, "%s.new", path) < 0)
		return -ENOMEM;
	unlink(beside); /* one that a crash has left may be somebody else's */
	out = fopen(beside, "wx");
	if (!out) {
		err = -errno;
		goto done;
	}
	fputs(text, out);
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

/*
 * All of it, as long as whoever reads a pipe takes some every STATS_READER_MS. A pipe that has room
 * has it for PIPE_BUF bytes (pipe(7)).
 */
static int write_patiently(int fd, const char *text)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};
	size_t left = strlen(text);

	while (left) {
		size_t n = left < PIPE_BUF ? left : PIPE_BUF;
		ssize_t done = poll(&out, 1, STATS_READER_MS) ? write(fd, text, n) : -1;

		if (done < 0)
			return out.revents ? -errno : -ETIMEDOUT;
		text += done;
		left -= (size_t)done;
	}
	return 0;
}

static int complain(const char *path, int err)
{
	if (err)
		log_error("%s: statistics: %s", path,
		          err == -ENXIO ? "nobody reads this pipe" : strerror(-err));
	return err;
}

/* Not by stdio, which would ask for the descriptor's flags: see syscalls.c. */
static int write_in_place(const char *text, const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_TRUNC | O_CLOEXEC);
	int err = fd < 0 ? -errno : write_patiently(fd, text);

	if (fd >= 0)
		close(fd);
	return complain(path, err);
}

int stats_write(const char *text, const char *path)
{
	const struct file_used file = {path, FILE_REPLACE};

	if (!strcmp(path, "-"))
		return complain(path, write_patiently(STDOUT_FILENO, text));
	/* /dev/stdout: neither it nor what it leads to can be replaced by renaming */
	return file_stays(&file) ? write_in_place(text, path) : write_file(text, path);
}
