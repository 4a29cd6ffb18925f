/*
 * Rows are kept until all have come, as only then it is known how wide a column is.
 */
#include "table.h"

#include "../process/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
	TABLE_COLUMNS_MAX = 24,
	TABLE_WIDTH = 100,   /* of a line on a terminal, except for TABLE_WIDE */
	TABLE_GAP = 2,       /* between columns */
	TABLE_TEXT_MIN = 12, /* texts aren't cut to less than that */
	TABLE_CELL_BYTES = 1024,
	CELL_BYTES = 24,
	CELLS = 8,
};

struct row {
	char *json; /* all of the record, for TABLE_JSON */
	char *cells[TABLE_COLUMNS_MAX];
	double numbers[TABLE_COLUMNS_MAX];
};

struct table {
	const struct column *columns;
	enum table_format format;
	bool header;
	unsigned ncolumns;
	struct row *rows;
	size_t n, room;
};

/* ---- Values ---- */

static char *cell(void)
{
	static char cells[CELLS][CELL_BYTES];
	static unsigned next;

	return cells[next++ % CELLS];
}

const char *table_bytes(double n)
{
	static const char units[] = " kMGTP";
	unsigned unit = 0;
	char *text = cell();

	while (n >= 1000 && units[unit + 1]) {
		n /= 1000;
		unit++;
	}
	if (!unit)
		snprintf(text, CELL_BYTES, "%.0f", n);
	else
		snprintf(text, CELL_BYTES, n < 10 ? "%.1f%c" : "%.0f%c", n, units[unit]);
	return text;
}

const char *table_duration(double seconds)
{
	unsigned long s = (unsigned long)seconds;
	char *text = cell();

	if (seconds < 10)
		snprintf(text, CELL_BYTES, "%.1fs", seconds);
	else if (s < 100)
		snprintf(text, CELL_BYTES, "%lus", s);
	else if (s < 3600)
		snprintf(text, CELL_BYTES, "%lum%lus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, CELL_BYTES, "%luh%lum", s / 3600, s % 3600 / 60);
	else
		snprintf(text, CELL_BYTES, "%lud%luh", s / 86400, s % 86400 / 3600);
	return text;
}

double table_age(const char *time_text)
{
	struct tm tm = {0};
	const char *rest = time_text ? strptime(time_text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	double fraction = rest ? strtod(rest, NULL) : 0, age;

	if (!rest)
		return 0;
	age = (double)clock_wall() / LB_NS_PER_S - (double)timegm(&tm) - fraction;
	return age > 0 ? age : 0;
}

/* ---- Rows ---- */

struct table *table_new(const struct column *columns, enum table_format format, bool header)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	*table = (struct table){.columns = columns, .format = format, .header = header};
	while (columns[table->ncolumns].title)
		table->ncolumns++;
	return table;
}

void table_free(struct table *table)
{
	for (size_t i = 0; table && i < table->n; i++) {
		free(table->rows[i].json);
		for (unsigned c = 0; c < table->ncolumns; c++)
			free(table->rows[i].cells[c]);
	}
	if (table)
		free(table->rows);
	free(table);
}

/* As it came, for programs. */
static char *plain(const json_t *value)
{
	char *text = NULL;

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (!value || json_is_null(value))
		return strdup("");
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
	return text;
}

static char *shown(const struct column *column, const json_t *value)
{
	if (!value || json_is_null(value))
		return strdup("-");
	switch (column->kind) {
	case COLUMN_BYTES:
		return strdup(table_bytes(json_number_value(value)));
	case COLUMN_AGE:
		return strdup(table_duration(table_age(json_string_value(value))));
	case COLUMN_MS:
		return strdup(table_duration(json_number_value(value) / 1000));
	default:
		return plain(value);
	}
}

void table_add(struct table *table, const json_t *record)
{
	struct row *row;

	if (table->n == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		struct row *rows = realloc(table->rows, room * sizeof(*rows));

		if (!rows)
			return;
		table->rows = rows;
		table->room = room;
	}
	row = &table->rows[table->n++];
	row->json = table->format == TABLE_JSON
	                    ? json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(15))
	                    : NULL;
	for (unsigned c = 0; c < table->ncolumns; c++) {
		const struct column *column = &table->columns[c];
		const json_t *value = json_object_get(record, column->member);

		row->numbers[c] = column->kind == COLUMN_AGE ? table_age(json_string_value(value))
		                                             : json_number_value(value);
		row->cells[c] = table->format == TABLE_CSV ? plain(value) : shown(column, value);
	}
}

struct order {
	unsigned column;
	bool by_number;
};

static int compare(const void *a, const void *b, void *arg)
{
	const struct row *first = a, *second = b;
	const struct order *order = arg;
	const double x = first->numbers[order->column], y = second->numbers[order->column];

	if (order->by_number)
		return x < y ? 1 : x > y ? -1 : 0;
	return strcmp(first->cells[order->column], second->cells[order->column]);
}

bool table_sort(struct table *table, const char *by)
{
	for (unsigned c = 0; c < table->ncolumns; c++) {
		struct order order = {c, table->columns[c].kind != COLUMN_TEXT};

		if (strcasecmp(by, table->columns[c].title) && strcmp(by, table->columns[c].member))
			continue;
		qsort_r(table->rows, table->n, sizeof(*table->rows), compare, &order);
		return true;
	}
	return false;
}

void table_offer(const struct table *table, struct nearest *nearest)
{
	for (unsigned c = 0; c < table->ncolumns; c++)
		nearest_offer(nearest, table->columns[c].member);
}

/* ---- Printing ---- */

static bool is_shown(const struct table *table, unsigned column)
{
	return table->format != TABLE_TEXT || !table->columns[column].wide;
}

static void print_csv_cell(const char *text)
{
	if (!strpbrk(text, ",\"\n")) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++)
		printf(*text == '"' ? "\"\"" : "%c", *text);
	putchar('"');
}

static void print_csv(const struct table *table, size_t n)
{
	for (unsigned c = 0; table->header && c < table->ncolumns; c++)
		printf("%s%s", c ? "," : "", table->columns[c].member);
	if (table->header)
		putchar('\n');
	for (size_t i = 0; i < n; i++) {
		for (unsigned c = 0; c < table->ncolumns; c++) {
			fputs(c ? "," : "", stdout);
			print_csv_cell(table->rows[i].cells[c]);
		}
		putchar('\n');
	}
}

static void print_json(const struct table *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		puts(table->rows[i].json ? table->rows[i].json : "{}");
}

/* The column whose texts are longest, of those that may be shorter; or -1. */
static int longest(const struct table *table, const int *widths)
{
	int ret = -1;

	for (unsigned c = 0; c < table->ncolumns; c++)
		if (is_shown(table, c) && table->columns[c].kind == COLUMN_TEXT &&
		    widths[c] > TABLE_TEXT_MIN && (ret < 0 || widths[c] > widths[ret]))
			ret = (int)c;
	return ret;
}

/* Makes lines fit a terminal, as far as texts may be cut: IPv6 addresses are long. */
static void fit(const struct table *table, int *widths)
{
	int total = -TABLE_GAP, c;

	for (unsigned i = 0; i < table->ncolumns; i++)
		total += is_shown(table, i) ? widths[i] + TABLE_GAP : 0;
	for (; total > TABLE_WIDTH && (c = longest(table, widths)) >= 0; total--)
		widths[c]--;
}

/* Of a text that is longer than its column the middle is left out: what it ends with, such as a
 * port, says as much as what it begins with. */
static void put_cell(const char *text, int width, bool left, char ret[TABLE_CELL_BYTES])
{
	const int len = (int)strlen(text), gap = sizeof("..") - 1, tail = (width - gap) / 2;

	if (len <= width)
		snprintf(ret, TABLE_CELL_BYTES, "%*s", left ? -width : width, text);
	else
		snprintf(ret, TABLE_CELL_BYTES, "%.*s..%s", width - gap - tail, text,
		         text + len - tail);
}

/* Numbers to the right, and nothing behind the last column. */
static void print_line(const struct table *table, const int *widths, char *const *cells)
{
	char line[4096], cell[TABLE_CELL_BYTES];
	size_t at = 0;

	for (unsigned c = 0; c < table->ncolumns && at < sizeof(line) - 1; c++) {
		const bool left = table->columns[c].kind == COLUMN_TEXT;
		const char *text = cells ? cells[c] : table->columns[c].title;

		if (!is_shown(table, c))
			continue;
		put_cell(text, widths[c], left, cell);
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%*s%s", at ? TABLE_GAP : 0,
		                       "", cell);
	}
	at = strnlen(line, sizeof(line) - 1);
	while (at && line[at - 1] == ' ')
		at--;
	line[at] = 0;
	puts(line);
}

static void print_text(const struct table *table, size_t n)
{
	int widths[TABLE_COLUMNS_MAX] = {0};

	for (unsigned c = 0; c < table->ncolumns; c++) {
		if (table->header)
			widths[c] = (int)strlen(table->columns[c].title);
		for (size_t i = 0; i < n; i++)
			if ((int)strlen(table->rows[i].cells[c]) > widths[c])
				widths[c] = (int)strlen(table->rows[i].cells[c]);
	}
	if (table->format == TABLE_TEXT && isatty(STDOUT_FILENO))
		fit(table, widths);
	if (table->header)
		print_line(table, widths, NULL);
	for (size_t i = 0; i < n; i++)
		print_line(table, widths, table->rows[i].cells);
}

void table_print(const struct table *table, unsigned limit)
{
	const size_t n = limit && limit < table->n ? limit : table->n;

	if (table->format == TABLE_CSV)
		print_csv(table, n);
	else if (table->format == TABLE_JSON)
		print_json(table, n);
	else
		print_text(table, n);
}
