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

void history_begin(struct history *history, int64_t second)
{
	const int64_t longest = (int64_t)HISTORY_WEEK * PER_MINUTE;

	if (second == history->second)
		return; /* the newest place is written again */
	if (!history->second || second - history->second > longest)
		history->second = second - 1; /* all that there was is too old */
	while (history->second < second)
		clear_second(history, ++history->second);
}

static struct series *find(const struct history *history, const char *name)
{
	for (unsigned i = 0; i < history->nseries; i++)
		if (!strcmp(history->series[i]->name, name))
			return history->series[i];
	return NULL;
}

static struct series *add(struct history *history, const char *name)
{
	struct series *series;

	if (history->nseries == HISTORY_SERIES_MAX || strlen(name) >= HISTORY_NAME_BYTES)
		return NULL;
	series = calloc(1, sizeof(*series));
	if (!series)
		return NULL;
	strcpy(series->name, name);
	forget(series->hour, HISTORY_HOUR);
	forget(series->week, HISTORY_WEEK);
	history->series[history->nseries++] = series;
	return series;
}

void history_note(struct history *history, const char *name, double value)
{
	struct series *series = find(history, name);

	if (!series && !(series = add(history, name)))
		return;
	if (isnan(value))
		return;
	series->hour[history->second % HISTORY_HOUR] = (float)value;
	series->sum += value;
	series->n++;
	series->week[history->second / PER_MINUTE % HISTORY_WEEK] =
	        (float)(series->sum / series->n);
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

/* Names are joined by commas. */
static bool is_among(const char *names, const char *name)
{
	const size_t len = strlen(name);
	size_t n;

	for (; *names; names += n + (names[n] == ',')) {
		n = strcspn(names, ",");
		if (n == len && !strncmp(names, name, len))
			return true;
	}
	return false;
}

/* Each once, however often it is asked for: what a request costs is bounded by what there is. */
void history_print(const struct history *history, FILE *out, enum history_range range,
                   const char *names, int64_t offset)
{
	unsigned n = 0;

	fprintf(out, "{\"step\":%d,\"end\":%" PRId64 ",\"series\":{",
	        range == HISTORY_BY_SECOND ? 1 : PER_MINUTE, history->second + offset);
	for (unsigned i = 0; i < history->nseries; i++) {
		if (!is_among(names, history->series[i]->name))
			continue;
		fprintf(out, "%s", n++ ? "," : "");
		print_series(history, out, range, history->series[i]);
	}
	fprintf(out, "}}");
}
