/*
 * What the engine costs: bench-engine [-r RUNS] [-c HELD] [-j FILE] [-q] [FLOWS...]
 *
 * RUNS: how often each figure is measured. HELD: the flows that the table holds while connections
 * come and go. FILE gets the figures as JSON. -q: only see that it works, with short runs. FLOWS:
 * established flows, rows of IPv4 and IPv6 for each. All times are processor time of lb_input() and
 * lb_poll(), without the writing of the frames.
 */
#include "adoption.h"
#include "measure.h"
#include "sole.h"
#include "traffic.h"

#include "../../lb/wire.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	ROWS_MAX = 16,
	PACKETS = 1 << 21,  /* of a run */
	PROGRAM_SHARE = 16, /* of these that go through the programs, thrice */
	BATCH = 1 << 14,    /* connections of a run */
	QUICK = 64,         /* parts of those that do for a trial */
	FRAME_SMALL = 64,
	FRAME_SMALL_IPV6 = 80, /* the least that holds data is 75 */
	FRAME_LARGE = 1500,
	WORKERS = 2,
};

struct options {
	unsigned runs;
	uint32_t packets, batch; /* of a run */
	uint32_t held;
	const char *json;
	uint32_t flows[ROWS_MAX];
	unsigned nflows;
};

/* Established flows: a row of the table. */
struct row {
	uint32_t flows, frame_bytes;
	bool ipv6;
	size_t bytes; /* of memory */
	struct figure ns;
	struct figure floor_ns;   /* IPv4 */
	struct figure program_ns; /* likewise, where programs can be loaded */
};

struct figures {
	struct row rows[3 * ROWS_MAX + 1];
	unsigned nrows;
	struct figure new_ns, per_s, expiry_ns, second_us;
	double bytes_per_flow;
	struct figure adoption_ms;
	struct figure scaling;
	struct sole sole;
};

static void measure_floor(const struct options *options, struct traffic *traffic, struct row *row)
{
	traffic->bare = true;
	figure_add(&row->floor_ns,
	           (double)traffic_data(traffic, row->frame_bytes, options->packets) /
	                   options->packets);
	traffic->bare = false;
}

/* By the programs in the kernel, where they can be loaded. */
static void measure_program(const struct options *options, struct row *row)
{
	const uint32_t packets = options->packets / PROGRAM_SHARE;
	struct program *program;
	struct subject subject;
	struct traffic traffic;

	subject_make(&subject, row->flows, false);
	program = program_open(&subject);
	if (program) {
		traffic_make(&traffic, &subject, row->flows, false);
		traffic_open(&traffic, 0, row->flows);
		traffic.program = program;
		for (unsigned run = 0; run < options->runs; run++)
			figure_add(&row->program_ns,
			           (double)traffic_data(&traffic, row->frame_bytes, packets) /
			                   packets);
		traffic_free(&traffic);
	}
	program_close(program);
	subject_free(&subject);
}

static void measure_rows(const struct options *options, struct figures *figures, uint32_t flows,
                         bool ipv6)
{
	const uint32_t sizes[] = {ipv6 ? FRAME_SMALL_IPV6 : FRAME_SMALL, FRAME_LARGE};
	struct row *rows = &figures->rows[figures->nrows];
	unsigned n = ipv6 ? 1 : 2;
	struct subject subject;
	struct traffic traffic;

	subject_make(&subject, flows, ipv6);
	traffic_make(&traffic, &subject, flows, ipv6);
	traffic_open(&traffic, 0, flows);
	for (unsigned i = 0; i < n; i++)
		rows[i] = (struct row){.flows = flows,
		                       .frame_bytes = sizes[i],
		                       .ipv6 = ipv6,
		                       .bytes = subject.bytes};
	for (unsigned run = 0; run < options->runs; run++)
		for (unsigned i = 0; i < n; i++) {
			figure_add(&rows[i].ns,
			           (double)traffic_data(&traffic, sizes[i], options->packets) /
			                   options->packets);
			if (!ipv6)
				measure_floor(options, &traffic, &rows[i]);
		}
	figures->nrows += n;
	traffic_free(&traffic);
	subject_free(&subject);
	if (!ipv6)
		measure_program(options, &rows[0]);
}

/*
 * Of all flows in quarantine, in ns. The time until the first of them is due goes by at once: what
 * a table costs that is only looked through is another figure.
 */
static uint64_t expire_all(struct subject *subject)
{
	const struct balance *balance = lb_balance(subject->lb);
	uint64_t start = measure_ns();

	subject_pass(subject, (BALANCE_QUARANTINE_S - 1) * LB_NS_PER_S);
	while (balance_quarantined(balance))
		subject_pass(subject, LB_NS_PER_MS);
	return measure_since(start);
}

/* A second in which nothing expires, in ns. */
static uint64_t pass_second(struct subject *subject)
{
	uint64_t start = measure_ns();

	for (unsigned ms = 0; ms < 1000; ms++)
		subject_pass(subject, LB_NS_PER_MS);
	return measure_since(start);
}

/* Opens, uses, closes and expires n connections; adds up what each figure needs. */
static void measure_connections(const struct options *options, struct traffic *traffic,
                                struct figures *figures)
{
	static const struct step steps[] = {{CLIENT, TCP_SYN, 0, WHY_FLOW_NEW},
	                                    {SERVER, TCP_SYN | TCP_ACK, 0, WHY_FLOW_HIT},
	                                    {CLIENT, TCP_ACK, 0, WHY_FLOW_HIT},
	                                    {CLIENT, TCP_ACK, FRAME_SMALL, WHY_FLOW_HIT},
	                                    {SERVER, TCP_ACK, FRAME_SMALL, WHY_FLOW_HIT},
	                                    {CLIENT, TCP_FIN | TCP_ACK, 0, WHY_FLOW_HIT},
	                                    {SERVER, TCP_FIN | TCP_ACK, 0, WHY_FLOW_HIT},
	                                    {CLIENT, TCP_ACK, 0, WHY_FLOW_HIT}};
	const uint32_t n = options->batch;
	uint64_t spent[sizeof(steps) / sizeof(*steps)], sum = 0, expiry;

	traffic_renew(traffic, options->held, n);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		spent[i] = traffic_step(traffic, &steps[i], options->held, n);
		sum += spent[i];
	}
	expiry = expire_all(traffic->subject);
	figure_add(&figures->new_ns, (double)spent[0] / n);
	figure_add(&figures->expiry_ns, (double)expiry / n);
	figure_add(&figures->second_us, (double)pass_second(traffic->subject) / 1e3);
	figure_add(&figures->per_s, 1e9 * n / (double)(sum + expiry));
}

static void measure_life(const struct options *options, struct figures *figures)
{
	struct subject subject;
	struct traffic traffic;

	subject_make(&subject, options->held + 2 * options->batch, false);
	traffic_make(&traffic, &subject, options->held + options->batch, false);
	traffic_open(&traffic, 0, options->held);
	for (unsigned run = 0; run < options->runs; run++)
		measure_connections(options, &traffic, figures);
	traffic_free(&traffic);
	subject_free(&subject);
}

static void measure_memory_per_flow(const struct options *options, struct figures *figures)
{
	struct subject subject;

	subject_make(&subject, options->held, false);
	figures->bytes_per_flow = (double)subject.bytes / options->held;
	subject_free(&subject);
}

/* A worker: an engine of its own, on a processor of its own. */
struct worker {
	struct traffic traffic;
	uint32_t packets;
	unsigned processor;
	uint64_t ns;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	measure_pin(worker->processor);
	worker->ns = traffic_data(&worker->traffic, FRAME_SMALL, worker->packets);
	return NULL;
}

/* Packets a second of the first n workers at the same time. */
static double rate_of(struct worker *workers, unsigned n)
{
	pthread_t threads[WORKERS];
	double rate = 0;

	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			measure_fail("no thread");
	for (unsigned i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		rate += 1e9 * workers[i].packets / (double)workers[i].ns;
	}
	return rate;
}

static void measure_scaling(const struct options *options, struct figures *figures)
{
	static struct worker workers[WORKERS];
	static struct subject subjects[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++) {
		subject_make(&subjects[i], options->held / WORKERS, false);
		traffic_make(&workers[i].traffic, &subjects[i], options->held / WORKERS, false);
		traffic_open(&workers[i].traffic, 0, options->held / WORKERS);
		workers[i].processor = i;
		workers[i].packets = options->packets;
	}
	for (unsigned run = 0; run < options->runs; run++) {
		double one = rate_of(workers, 1);

		figure_add(&figures->scaling, rate_of(workers, WORKERS) / one);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		traffic_free(&workers[i].traffic);
		subject_free(&subjects[i]);
	}
}

static void print_figure(const char *what, const char *unit, const struct figure *figure,
                         int digits)
{
	printf("%-44s %11.*f %11.*f %11.*f  %s\n", what, digits, figure_min(figure), digits,
	       figure_median(figure), digits, figure_max(figure), unit);
}

/* The row of as many flows by IPv4, frames being small; or NULL. */
static const struct row *row_of_ipv4(const struct figures *figures, uint32_t flows)
{
	for (unsigned i = 0; i < figures->nrows; i++)
		if (!figures->rows[i].ipv6 && figures->rows[i].flows == flows)
			return &figures->rows[i];
	return NULL;
}

static void print_ratio(const char *what, const struct figure *figure, const struct figure *of)
{
	printf("%-44s %11s %11.2f\n", what, "", figure_median(figure) / figure_median(of));
}

static void print_row(const struct figures *figures, const struct row *row)
{
	const struct row *ipv4 = row_of_ipv4(figures, row->flows);
	char what[64];

	snprintf(what, sizeof(what), "established %9u flows, %4u bytes, %s", row->flows,
	         row->frame_bytes, row->ipv6 ? "IPv6" : "IPv4");
	print_figure(what, "ns a packet", &row->ns, 1);
	if (row->ipv6 && ipv4)
		print_ratio("  of IPv4", &row->ns, &ipv4->ns);
	if (row->ipv6)
		return;
	print_figure("  floor: found and rewritten, no more", "ns a packet", &row->floor_ns, 1);
	print_ratio("  of the floor", &row->ns, &row->floor_ns);
	if (row->program_ns.n)
		print_figure("  by the programs in the kernel", "ns a packet", &row->program_ns, 0);
}

static void print_memory(const struct row *row)
{
	printf("%-44s %11.1f %24s MiB, %.1f bytes a flow\n",
	       row->ipv6 ? "memory for them, IPv6" : "memory for them",
	       (double)row->bytes / (1 << 20), "", (double)row->bytes / row->flows);
}

static void print_table(const struct options *options, const struct figures *figures)
{
	measure_print_machine(stdout);
	printf("runs       %u of %u packets or %u connections, bursts of %d\n\n", options->runs,
	       options->packets, options->batch, TRAFFIC_BURST);
	printf("%-44s %11s %11s %11s\n", "", "minimum", "median", "maximum");
	for (unsigned i = 0; i < figures->nrows; i++) {
		print_row(figures, &figures->rows[i]);
		if (i + 1 == figures->nrows || figures->rows[i + 1].bytes != figures->rows[i].bytes)
			print_memory(&figures->rows[i]);
	}
	printf("with %u flows in the table:\n", options->held);
	print_figure("  new flow (SYN)", "ns", &figures->new_ns, 1);
	print_figure("  whole connections, 8 packets and expiry", "a second", &figures->per_s, 0);
	print_figure("  expiry", "ns a flow", &figures->expiry_ns, 1);
	print_figure("  looking for what expires", "us a second", &figures->second_us, 0);
	print_figure("  adopting them from another process", "ms", &figures->adoption_ms, 1);
	printf("%-44s %11.1f\n", "  memory, bytes a flow", figures->bytes_per_flow);
	print_figure("two engines on two processors, against one", "times", &figures->scaling, 2);
	sole_print(&figures->sole, print_figure);
}

static void write_figure(FILE *to, const char *key, const struct figure *figure)
{
	fprintf(to, "\"%s\":{\"min\":%.2f,\"median\":%.2f,\"max\":%.2f}", key, figure_min(figure),
	        figure_median(figure), figure_max(figure));
}

static void write_json(FILE *to, const struct figures *figures)
{
	const char *separator = "";

	fputs("{\"engine\":[", to);
	for (unsigned i = 0; i < figures->nrows; i++) {
		const struct row *row = &figures->rows[i];

		if (row->ipv6)
			continue;
		fprintf(to, "%s{\"flows\":%u,\"frame_bytes\":%u,", separator, row->flows,
		        row->frame_bytes);
		write_figure(to, "ns_per_packet", &row->ns);
		fputc(',', to);
		write_figure(to, "floor_ns_per_packet", &row->floor_ns);
		if (row->program_ns.n) {
			fputc(',', to);
			write_figure(to, "program_ns_per_packet", &row->program_ns);
		}
		fputc('}', to);
		separator = ",";
	}
	fputs("],", to);
	write_figure(to, "new_flow_ns", &figures->new_ns);
	fputc(',', to);
	write_figure(to, "connections_per_s", &figures->per_s);
	fputc(',', to);
	write_figure(to, "expiry_ns", &figures->expiry_ns);
	fputc(',', to);
	write_figure(to, "adoption_ms", &figures->adoption_ms);
	fprintf(to, ",\"bytes_per_flow\":%.1f}\n", figures->bytes_per_flow);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || !value || value > RULES_CONNECTIONS_MAX)
		measure_fail("%s: not a number from 1 to %d", text, RULES_CONNECTIONS_MAX);
	return (uint32_t)value;
}

static void read_options(int argc, char **argv, struct options *ret)
{
	int option;

	*ret = (struct options){.runs = 5, .packets = PACKETS, .batch = BATCH, .held = 1000000};
	while ((option = getopt(argc, argv, "r:c:j:q")) != -1) {
		if (option == 'r')
			ret->runs = number(optarg);
		else if (option == 'c')
			ret->held = number(optarg);
		else if (option == 'j')
			ret->json = optarg;
		else if (option == 'q')
			ret->packets = PACKETS / QUICK, ret->batch = BATCH / QUICK;
		else
			measure_fail("usage: bench-engine [-r RUNS] [-c HELD] [-j FILE] [-q] "
			             "[FLOWS...]");
	}
	if (argc - optind > ROWS_MAX || ret->runs > MEASURE_RUNS_MAX)
		measure_fail("at most %d rows and %d runs", ROWS_MAX, MEASURE_RUNS_MAX);
	while (optind < argc)
		ret->flows[ret->nflows++] = number(argv[optind++]);
}

static void save_json(const char *path, const struct figures *figures)
{
	FILE *to = fopen(path, "w");

	if (!to)
		measure_fail("%s: %m", path);
	write_json(to, figures);
	if (fclose(to))
		measure_fail("%s: %m", path);
}

int main(int argc, char **argv)
{
	static struct figures figures;
	struct options options;

	read_options(argc, argv, &options);
	measure_pin(1);
	for (unsigned i = 0; i < options.nflows; i++)
		measure_rows(&options, &figures, options.flows[i], false);
	for (unsigned i = 0; i < options.nflows; i++)
		measure_rows(&options, &figures, options.flows[i], true);
	measure_life(&options, &figures);
	measure_memory_per_flow(&options, &figures);
	adoption_measure(&figures.adoption_ms, options.held, options.runs);
	measure_scaling(&options, &figures);
	sole_measure(&figures.sole, options.runs, PACKETS / options.packets);
	print_table(&options, &figures);
	if (options.json)
		save_json(options.json, &figures);
	return 0;
}
