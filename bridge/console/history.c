/*
 * Rings, one place for each second and for each minute. A minute's value is the mean of its
 * seconds' that were known, and is written anew with each of them.
 */
#include "history.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PER_MINUTE = 60 };

struct series {
	char name[HISTORY_NAME_BYTES];
	int64_t last; /* of the newest value; at first when it began */
	float hour[HISTORY_HOUR], week[HISTORY_WEEK];
	double sum; /* of this minute */
	unsigned n;
};

struct history {
	int64_t second; /* now; 0: nothing has been noted */
	unsigned nseries;
	struct series *series[HISTORY_SERIES_MAX];
};

struct history *history_new(void)
{
	return calloc(1, sizeof(struct history));
}

void history_free(struct history *history)
{
	for (unsigned i = 0; history && i < history->nseries; i++)
		free(history->series[i]);
	free(history);
}

static void forget(float *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		values[i] = NAN;
}

static void clear_second(struct history *history, int64_t second)
{
	for (unsigned i = 0; i < history->nseries; i++) {
		struct series *series = history->series[i];

		series->hour[second % HISTORY_HOUR] = NAN;
		if (second % PER_MINUTE)
			continue;
		series->week[second / PER_MINUTE % HISTORY_WEEK] = NAN;
		series->sum = 0;
		series->n = 0;
	}
}

static void clear_all(struct history *history)
{
	for (unsigned i = 0; i < history->nseries; i++) {
		struct series *series = history->series[i];

		forget(series->hour, HISTORY_HOUR);
		forget(series->week, HISTORY_WEEK);
		series->sum = 0;
		series->n = 0;
	}
}

void history_begin(struct history *history, int64_t second)
{
	const int64_t longest = (int64_t)HISTORY_WEEK * PER_MINUTE;

	if (second == history->second)
		return; /* the newest place is written again */
	if (!history->second || second - history->second > longest) {
		clear_all(history); /* nothing of it is within the longest span */
		history->second = second;
	}
	while (history->second < second)
		clear_second(history, ++history->second);
}

static struct series *find(const struct history *history, const char *name, size_t len)
{
	for (unsigned i = 0; i < history->nseries; i++) {
		const char *known = history->series[i]->name;

		if (!strncmp(known, name, len) && !known[len])
			return history->series[i];
	}
	return NULL;
}

static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~' || *name == '"' || *name == '\\')
			return false;
	return true;
}

/* The place of one that has had no value for as long as anybody looks back by the second: a server
 * that was renamed or removed. NULL: there is none. */
static struct series *forgotten(const struct history *history)
{
	for (unsigned i = 0; i < history->nseries; i++)
		if (history->second - history->series[i]->last > HISTORY_HOUR)
			return history->series[i];
	return NULL;
}

static struct series *new_series(struct history *history)
{
	struct series *series;

	if (history->nseries == HISTORY_SERIES_MAX)
		return forgotten(history);
	series = calloc(1, sizeof(*series));
	if (series)
		history->series[history->nseries++] = series;
	return series;
}

static struct series *add(struct history *history, const char *name)
{
	struct series *series;

	if (strlen(name) >= HISTORY_NAME_BYTES || !is_plain(name) ||
	    !(series = new_series(history)))
		return NULL;
	strcpy(series->name, name);
	series->last = history->second;
	series->sum = 0;
	series->n = 0;
	forget(series->hour, HISTORY_HOUR);
	forget(series->week, HISTORY_WEEK);
	return series;
}

void history_note(struct history *history, const char *name, double value)
{
	struct series *series = find(history, name, strlen(name));

	if (!series && !(series = add(history, name)))
		return;
	if (isnan(value))
		return;
	series->last = history->second;
	series->hour[history->second % HISTORY_HOUR] = (float)value;
	series->sum += value;
	series->n++;
	series->week[history->second / PER_MINUTE % HISTORY_WEEK] =
	        (float)(series->sum / series->n);
}

/* False if memory runs out. */
static bool pick(struct history *picked, const struct series *series)
{
	struct series *copy;

	if (!series || find(picked, series->name, strlen(series->name)))
		return true;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return false;
	*copy = *series;
	picked->series[picked->nseries++] = copy;
	return true;
}

struct history *history_pick(const struct history *history, const char *names)
{
	struct history *picked = history_new();
	size_t n;

	if (!picked)
		return NULL;
	picked->second = history->second;
	for (unsigned i = 0; *names && i < HISTORY_PICKED_MAX; i++) {
		n = strcspn(names, ",");
		if (!pick(picked, find(history, names, n))) {
			history_free(picked);
			return NULL;
		}
		names += n + (names[n] == ',');
	}
	return picked;
}

static void print_series(const struct history *history, FILE *out, enum history_range range,
                         const struct series *series)
{
	const bool seconds = range == HISTORY_BY_SECOND;
	const unsigned n = seconds ? HISTORY_HOUR : HISTORY_WEEK;
	const int64_t newest = seconds ? history->second : history->second / PER_MINUTE;
	const float *values = seconds ? series->hour : series->week;

	fprintf(out, "\"%s\":[", series->name);
	for (unsigned i = 1; i <= n; i++) {
		const float value = values[(newest + i) % n];

		if (isnan(value))
			fprintf(out, "%snull", i > 1 ? "," : "");
		else
			fprintf(out, "%s%.6g", i > 1 ? "," : "", (double)value);
	}
	fprintf(out, "]");
}

void history_print(const struct history *history, FILE *out, enum history_range range,
                   int64_t offset)
{
	fprintf(out, "{\"step\":%d,\"end\":%" PRId64 ",\"series\":{",
	        range == HISTORY_BY_SECOND ? 1 : PER_MINUTE, history->second + offset);
	for (unsigned i = 0; i < history->nseries; i++) {
		fprintf(out, "%s", i ? "," : "");
		print_series(history, out, range, history->series[i]);
	}
	fprintf(out, "}}");
}
