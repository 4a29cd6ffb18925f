/*
 * How long things took: the counts themselves, what the engine notes in them, and as metrics.
 */
#include "fixture.h"
#include "suites.h"

#include "../../bridge/operator/metrics.h"
#include "../../cfg/cfg.h"
#include "../../lb/times.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACK = 0x10, SYN = 0x02, MS = 1000000 };

static struct engine engine;
static struct talk talk;

static const struct server_times *times_of(unsigned server)
{
	return &lb_balance(engine.lb)->farms->times[server];
}

START_TEST(bounds_ascend_and_counts_go_to_theirs)
{
	const struct times_bounds *const all[] = {&times_connect, &times_flow, &times_burst};

	for (unsigned k = 0; k < 3; k++) {
		struct times times = {0};

		for (unsigned i = 0; i < TIMES_BOUNDS; i++) {
			require(i == 0 || all[k]->ns[i] > all[k]->ns[i - 1]);
			times_note(&times, all[k], all[k]->ns[i]);
			require_eq(times.counts[i], 1);
			times_note(&times, all[k], all[k]->ns[i] + 1);
			require_eq(times.counts[i + 1], 1);
			times.counts[i + 1] = 0;
		}
		times_note(&times, all[k], UINT64_MAX / 2);
		require_eq(times.counts[TIMES_BOUNDS], 1);
	}
}
END_TEST

START_TEST(quantiles_are_between_their_bounds)
{
	struct times times = {0}, more = {0};

	ck_assert_uint_eq(times_quantile(&times, &times_connect, 0.5), 0);
	for (unsigned i = 0; i < 99; i++)
		times_note(&times, &times_connect, 700000);
	times_note(&more, &times_connect, 2 * LB_NS_PER_S);
	times_add(&times, &more);
	ck_assert_uint_eq(times_count(&times), 100);
	ck_assert_uint_eq(times.sum_ns, 99 * 700000 + 2 * LB_NS_PER_S);
	ck_assert(times_quantile(&times, &times_connect, 0.5) > 500000);
	ck_assert(times_quantile(&times, &times_connect, 0.5) < 1000000);
	ck_assert(times_quantile(&times, &times_connect, 0.995) > LB_NS_PER_S);
	ck_assert_uint_eq(times_quantile(&times, &times_connect, 1), 3 * LB_NS_PER_S);
	times_note(&times, &times_connect, 60 * LB_NS_PER_S);
	ck_assert_uint_eq(times_quantile(&times, &times_connect, 1), 10 * LB_NS_PER_S);
}
END_TEST

START_TEST(a_server_that_answers_is_timed_once)
{
	engine_start(&engine, fixture_rules(1));
	engine.now.ns += 123456; /* not at a whole ms */
	talk_syn(&talk, &engine, fixture_client(1), 1000, 5061);
	engine.now.ns += 3 * MS + 400000;
	talk_send(&talk, SERVER, SYN | ACK, 0);
	ck_assert_uint_eq(times_count(&times_of(0)->connect), 1);
	ck_assert_uint_ge(times_of(0)->connect.sum_ns, 3 * MS + 399000);
	ck_assert_uint_le(times_of(0)->connect.sum_ns, 3 * MS + 400000 + FLOW_FRACTION_US * 1000);
	talk_send(&talk, CLIENT, ACK, 0);
	talk_send(&talk, SERVER, ACK, 10);
	ck_assert_uint_eq(times_count(&times_of(0)->connect), 1);
	ck_assert_uint_eq(times_count(&times_of(0)->flow), 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(a_flow_is_timed_when_it_ends_and_a_reload_keeps_that)
{
	engine_start(&engine, fixture_rules(2));
	talk_open(&talk, &engine, fixture_client(1), 1000, 5061);
	engine_wait_ms(&engine, 2000);
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(times_count(&times_of(talk.server)->flow), 1);
	ck_assert_uint_ge(times_of(talk.server)->flow.sum_ns, 2 * LB_NS_PER_S);
	ck_assert_uint_le(times_of(talk.server)->flow.sum_ns, 3 * LB_NS_PER_S);
	engine_reload(&engine, fixture_rules(2));
	ck_assert_uint_eq(times_count(&times_of(talk.server)->flow), 1);
	ck_assert_uint_eq(times_count(&times_of(talk.server)->connect), 1);
	engine_stop(&engine);
}
END_TEST

/* ---- Metrics ---- */

static void ignore(void *ctx, bool is_error, const char *text)
{
	(void)ctx;
	ck_assert_msg(!is_error, "%s", text);
}

/* 20 farms of 20 servers. */
static struct rules *many_rules(void)
{
	char path[] = "/tmp/tmbridge-unit-XXXXXX";
	struct rules *rules = NULL;
	FILE *file = fdopen(mkstemp(path), "w");

	for (unsigned f = 0; f < 20; f++) {
		fprintf(file, "[farm farm%u]\nvip = 10.0.%u.250\nports = 80, 443\ncheck = 80\n", f,
		        f);
		for (unsigned s = 0; s < 20; s++)
			fprintf(file, "[server web%u-%u]\nfarm = farm%u\naddress = 10.0.%u.%u\n", f,
			        s, f, f, s + 1);
	}
	fprintf(file, "[filter telnet]\nmatch = tcp port 23\naction = reset\n");
	fprintf(file, "[filter rest]\nmatch = tcp\naction = count\n");
	fclose(file);
	ck_assert_int_eq(cfg_load(path, NULL, ignore, NULL, &rules), 0);
	unlink(path);
	return rules;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* That no line but a comment has the name and labels of another; and says how many there are. */
static unsigned count_lines(char *text)
{
	static char *lines[8192];
	unsigned n = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		require(n < 8192);
		if (*line != '#')
			*strrchr(line, ' ') = '\0';
		lines[n++] = line;
	}
	qsort(lines, n, sizeof(*lines), by_text);
	for (unsigned i = 1; i < n; i++)
		ck_assert_msg(strcmp(lines[i], lines[i - 1]), "%s: twice", lines[i]);
	return n;
}

/* $METRICS gets the text, for somebody else's parser. */
static void keep(const char *text)
{
	FILE *file = getenv("METRICS") ? fopen(getenv("METRICS"), "w") : NULL;

	if (file) {
		fputs(text, file);
		fclose(file);
	}
}

START_TEST(metrics_have_each_line_once_and_are_bounded)
{
	struct rules *rules = many_rules();
	struct port outside = {.name = "eth0"}, inside = {.name = "eth1"};
	struct port *ports[NSIDES] = {[OUTSIDE] = &outside, [INSIDE] = &inside};
	struct snapshot snapshot = {.rules = rules, .ports = ports, .taken = {5}};
	char *text;
	unsigned lines;

	ck_assert_int_eq(figures_init(&snapshot.sum, rules), 0);
	snapshot.sum.whys[WHY_FLOW_HIT] = 7;
	snapshot.sum.counters[COUNTER_FLOWS_CLOSED] = 3;
	snapshot.sum.counters[COUNTER_FLOWS_REVIVED] = 2;
	times_note(&snapshot.sum.times[21].connect, &times_connect, 300000);
	times_note(&snapshot.sum.times[22].connect, &times_connect, 300000);
	snapshot.sum.filters[0] = (struct firewall_counts){5, 2, 3, {7 * LB_NS_PER_S}};
	snapshot.offset = LB_NS_PER_S;
	text = metrics_text(&snapshot);
	ck_assert_ptr_nonnull(text);
	keep(text);
	ck_assert_ptr_nonnull(strstr(text, "\ntmbridge_filter_over_total{filter=\"telnet\"} 2\n"));
	ck_assert_ptr_nonnull(
	        strstr(text, "\ntmbridge_filter_dropped_total{filter=\"telnet\"} 3\n"));
	ck_assert_ptr_nonnull(
	        strstr(text, "\ntmbridge_filter_last_match_timestamp_seconds{filter=\"telnet\"} "
	                     "8.000\n"));
	ck_assert_ptr_nonnull(strstr(
	        text, "\ntmbridge_filter_last_match_timestamp_seconds{filter=\"rest\"} 0.000\n"));
	ck_assert_ptr_nonnull(
	        strstr(text, "\ntmbridge_frames_total{act=\"forwarded\",reason=\"flow_hit\"} 7\n"));
	ck_assert_ptr_nonnull(
	        strstr(text, "\ntmbridge_frames_total{act=\"answered\",reason=\"no_server\"} 0\n"));
	ck_assert_ptr_nonnull(strstr(text, "\ntmbridge_flows_closed_total 5\n"));
	ck_assert_ptr_nonnull(strstr(
	        text, "\ntmbridge_connect_seconds_bucket{farm=\"farm1\",le=\"0.0005\"} 2\n"));
	ck_assert_ptr_nonnull(strstr(text, "\ntmbridge_connect_seconds_count{farm=\"farm1\"} 2\n"));
	ck_assert_str_eq(text + strlen(text) - 6, "# EOF\n");
	/* one that is gone makes room for another of its name */
	rules->servers[1].gone = true;
	strcpy(rules->servers[1].name, rules->servers[0].name);
	rules->farms[3].gone = true;
	strcpy(rules->farms[3].name, rules->farms[0].name);
	lines = count_lines(text);
	ck_assert_uint_lt(lines, 6000);
	free(text);
	text = metrics_text(&snapshot);
	ck_assert_uint_lt(count_lines(text), lines);
	free(text);
	snapshot_free(&snapshot);
	rules_free(rules);
}
END_TEST

Suite *times_suite(void)
{
	const TTest *const tests[] = {bounds_ascend_and_counts_go_to_theirs,
	                              quantiles_are_between_their_bounds,
	                              a_server_that_answers_is_timed_once,
	                              a_flow_is_timed_when_it_ends_and_a_reload_keeps_that,
	                              metrics_have_each_line_once_and_are_bounded,
	                              NULL};

	return suite_of("times", tests);
}
