/*
 * One thread asks for the figures, for all viewers: so a hundred of them cost the load balancer no
 * more than one.
 *
 * A rate is made of two records. Counters that are less than before are those of another process:
 * then there is no rate for once.
 */
#include "feed.h"

#include "query.h"
#include "../process/clock.h"
#include "../process/log.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FEED_EVENTS = 100, FEED_WAIT_S = 2 };

/* How long after the beginning of a second its figures are taken: so much earlier or later it is
 * still the same one's. */
#define FEED_LATE_NS (100 * LB_NS_PER_MS)

struct feed {
	const char *instance;
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	bool stop;
	uint64_t number; /* of the news */
	char *news;      /* what feed_wait() returns */
	struct history *history;
	json_t *before;        /* the record before, or NULL */
	json_int_t last_event; /* that is known; -1: none yet */
};

/* ---- History ---- */

static double number_at(const json_t *object, const char *a, const char *b)
{
	const json_t *member = json_object_get(object, a);

	return b ? json_number_value(json_object_get(member, b)) : json_number_value(member);
}

/* By how much the member a, or b of a, has grown in a second; NAN if that isn't known. */
static double rate(const json_t *now, const json_t *before, const char *a, const char *b,
                   double seconds)
{
	const double grown = number_at(now, a, b) - number_at(before, a, b);

	return before && seconds > 0 && grown >= 0 ? grown / seconds : NAN;
}

static const json_t *named(const json_t *array, const json_t *name)
{
	size_t i;
	const json_t *object;

	json_array_foreach(array, i, object) if (json_equal(json_object_get(object, "name"),
	                                                    name)) return object;
	return NULL;
}

static void note_server(struct history *history, const char *farm, const json_t *server,
                        const json_t *before, double seconds)
{
	const char *name = json_string_value(json_object_get(server, "name"));
	char series[HISTORY_NAME_BYTES];

	if (!name || json_is_true(json_object_get(server, "removed")))
		return;
	snprintf(series, sizeof(series), "%s/%s:flows", farm, name);
	history_note(history, series, number_at(server, "connections", NULL));
	snprintf(series, sizeof(series), "%s/%s:new", farm, name);
	history_note(history, series, rate(server, before, "connections_total", NULL, seconds));
}

static void note_farms(struct feed *feed, const json_t *record, double seconds)
{
	const json_t *farm, *server;
	size_t f, s;

	json_array_foreach(json_object_get(record, "farms"), f, farm)
	{
		const json_t *before = named(json_object_get(feed->before, "farms"),
		                             json_object_get(farm, "name"));
		const char *name = json_string_value(json_object_get(farm, "name"));

		if (!name || json_is_true(json_object_get(farm, "removed")))
			continue;
		json_array_foreach(json_object_get(farm, "servers"), s, server) note_server(
		        feed->history, name, server,
		        named(json_object_get(before, "servers"), json_object_get(server, "name")),
		        seconds);
	}
}

/* Takes record over. */
static void note(struct feed *feed, json_t *record)
{
	const double seconds =
	        number_at(record, "uptime_s", NULL) - number_at(feed->before, "uptime_s", NULL);
	const json_t *before = feed->before;

	history_begin(feed->history, (int64_t)(clock_now().ns / LB_NS_PER_S));
	history_note(feed->history, "open", number_at(record, "flows", "open"));
	history_note(feed->history, "new", rate(record, before, "flows", "created", seconds));
	history_note(feed->history, "refused", rate(record, before, "flows", "refused", seconds));
	history_note(feed->history, "frames", rate(record, before, "frames", "received", seconds));
	note_farms(feed, record, seconds);
	json_decref(feed->before);
	feed->before = record;
}

/* ---- News ---- */

/* Replaces the news by text, which it takes over. */
static void publish(struct feed *feed, char *text)
{
	free(feed->news);
	feed->news = text;
	feed->number++;
	pthread_cond_broadcast(&feed->changed);
}

/* Lines of events that are new, as messages. */
static void print_events(struct feed *feed, FILE *out, char *lines)
{
	char *rest = NULL;
	json_int_t last = feed->last_event;

	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		json_t *record = json_loads(line, 0, NULL);
		const json_t *event = json_object_get(record, "event");

		if (json_is_integer(event) && json_integer_value(event) > feed->last_event) {
			last = json_integer_value(event);
			fprintf(out, "event: log\ndata: %s\n\n", line);
		}
		json_decref(record);
	}
	feed->last_event = last;
}

/* The first line alone, without its line feed. */
static char *first_line(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void ask_events(struct feed *feed, FILE *out)
{
	struct answer answer;
	char line[64];

	snprintf(line, sizeof(line), "events --limit %d", FEED_EVENTS);
	query(&(struct question){.instance = feed->instance, .line = line, .limit = QUERY_ALL},
	      &answer);
	pthread_mutex_lock(&feed->lock);
	if (!answer.why && answer.exit == 0)
		print_events(feed, out, answer.text);
	pthread_mutex_unlock(&feed->lock);
	free(answer.text);
}

/* Another process counts its events from the beginning. */
static bool is_anew(const struct feed *feed, const json_t *record)
{
	return number_at(record, "uptime_s", NULL) < number_at(feed->before, "uptime_s", NULL);
}

static void ask(struct feed *feed)
{
	struct answer answer;
	json_t *record;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	query(&(struct question){.instance = feed->instance, .line = "status", .limit = QUERY_ALL},
	      &answer);
	record = !answer.why && answer.exit == 0 ? json_loads(first_line(answer.text), 0, NULL)
	                                         : NULL;
	if (record)
		fprintf(out, "event: figures\ndata: %s\n\n", answer.text);
	else
		fprintf(out, "event: away\ndata: {\"exit\":%d,\"why\":\"%s\"}\n\n", answer.exit,
		        answer.why ? answer.why : "tmbridge gives no figures");
	free(answer.text);
	if (record && is_anew(feed, record))
		feed->last_event = -1;
	if (record)
		ask_events(feed, out);
	fclose(out);
	pthread_mutex_lock(&feed->lock);
	if (record)
		note(feed, record);
	publish(feed, text);
	pthread_mutex_unlock(&feed->lock);
}

/* Until the next second; false at the end. */
static bool wait_for_next(struct feed *feed)
{
	const struct timespec next =
	        clock_in(LB_NS_PER_S - clock_now().ns % LB_NS_PER_S + FEED_LATE_NS);
	bool goes_on;

	pthread_mutex_lock(&feed->lock);
	while (!feed->stop && pthread_cond_timedwait(&feed->changed, &feed->lock, &next) == 0)
		;
	goes_on = !feed->stop;
	pthread_mutex_unlock(&feed->lock);
	return goes_on;
}

static void *run(void *arg)
{
	struct feed *feed = arg;

	do
		ask(feed);
	while (wait_for_next(feed));
	return NULL;
}

struct feed *feed_start(const char *instance)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (!feed || !(feed->history = history_new())) {
		free(feed);
		log_error("console: out of memory");
		return NULL;
	}
	feed->instance = instance;
	feed->last_event = -1;
	pthread_mutex_init(&feed->lock, NULL);
	clock_condition(&feed->changed);
	if (pthread_create(&feed->thread, NULL, run, feed) == 0)
		return feed;
	log_error("console: starting a thread: %m");
	history_free(feed->history);
	free(feed);
	return NULL;
}

void feed_stop(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	feed->stop = true;
	pthread_cond_broadcast(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
	pthread_join(feed->thread, NULL);
}

void feed_free(struct feed *feed)
{
	history_free(feed->history);
	json_decref(feed->before);
	free(feed->news);
	free(feed);
}

char *feed_wait(struct feed *feed, uint64_t *seen)
{
	const struct timespec until = clock_in(FEED_WAIT_S * LB_NS_PER_S);
	char *ret;

	pthread_mutex_lock(&feed->lock);
	while (!feed->stop && feed->number == *seen &&
	       pthread_cond_timedwait(&feed->changed, &feed->lock, &until) == 0)
		;
	ret = feed->stop                             ? NULL
	      : feed->number == *seen || !feed->news ? strdup("")
	                                             : strdup(feed->news);
	*seen = feed->number;
	pthread_mutex_unlock(&feed->lock);
	return ret;
}

void feed_print_history(struct feed *feed, FILE *out, enum history_range range, const char *names)
{
	struct history *picked;

	pthread_mutex_lock(&feed->lock);
	picked = history_pick(feed->history, names);
	pthread_mutex_unlock(&feed->lock);
	if (picked) /* printing takes long: nobody's news wait for it */
		history_print(picked, out, range, (int64_t)(clock_wall_offset() / LB_NS_PER_S));
	history_free(picked);
}
