/*
 * Rows are kept until all have come, as only then it is known how wide a column is. There may be a
 * million of them: of each no more is kept than what will be printed, and what it is sorted by.
 */
#include "table.h"

#include "../process/clock.h"
#include "../process/log.h"

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
	TABLE_FEW_BYTES = 1024, /* most records take no more */
	CELL_BYTES = 24, /* of table_bytes() and table_duration(), who have so many by turns: */
	CELLS = 8,
};

struct row {
	/* of TABLE_JSON the record, else the cells that are shown, each with its zero */
	char *text;
	char *key;     /* what it is sorted by, if that is a text, within text; or NULL */
	double number; /* if it is a number */
};

struct table {
	const struct column *columns;
	enum table_format format;
	bool header;
	unsigned ncolumns;
	bool sorts;
	unsigned by; /* a column, if it sorts; ncolumns: there is none of that name */
	struct row *rows;
	size_t n, room;
	bool lacks_rows; /* memory has run out for one */
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

static unsigned find_column(const struct table *table, const char *name)
{
	unsigned c = 0;

	while (c < table->ncolumns && strcasecmp(name, table->columns[c].title) &&
	       strcmp(name, table->columns[c].member))
		c++;
	return c;
}

struct table *table_new(const struct column *columns, enum table_format format, bool header,
                        const char *by)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table) {
		log_error("out of memory");
		return NULL;
	}
	*table =
	        (struct table){.columns = columns, .format = format, .header = header, .sorts = by};
	while (columns[table->ncolumns].title)
		table->ncolumns++;
	table->by = by ? find_column(table, by) : table->ncolumns;
	return table;
}

void table_free(struct table *table)
{
	for (size_t i = 0; table && i < table->n; i++)
		free(table->rows[i].text);
	if (table)
		free(table->rows);
	free(table);
}

/* NULL if memory runs out. (Where json_dumps() finds no room for a member's name it leaves that
 * out, and returns the rest.) */
static char *dump(const json_t *value, size_t flags)
{
	char few[TABLE_FEW_BYTES];
	const size_t len = json_dumpb(value, few, sizeof(few), flags);
	char *text = len ? malloc(len + 1) : NULL;

	if (!text)
		return NULL;
	if (len <= sizeof(few))
		memcpy(text, few, len);
	else if (json_dumpb(value, text, len, flags) != len) {
		free(text);
		return NULL;
	}
	text[len] = 0;
	return text;
}

/* As it came, for programs. */
static char *plain(const json_t *value)
{
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (!value || json_is_null(value))
		return strdup("");
	return dump(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
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

static bool is_shown(const struct table *table, unsigned column)
{
	return table->format != TABLE_TEXT || !table->columns[column].wide;
}

static char *cell_of(const struct table *table, unsigned c, const json_t *record)
{
	const json_t *value = json_object_get(record, table->columns[c].member);

	return table->format == TABLE_CSV ? plain(value) : shown(&table->columns[c], value);
}

static void set_key(const struct table *table, const json_t *record, struct row *row)
{
	const struct column *column = &table->columns[table->by];
	const json_t *value = json_object_get(record, column->member);

	row->number = column->kind == COLUMN_AGE ? table_age(json_string_value(value))
	                                         : json_number_value(value);
}

static bool has_text_key(const struct table *table)
{
	return table->by < table->ncolumns && table->columns[table->by].kind == COLUMN_TEXT;
}

/* Joins texts, each with its zero, and frees them. NULL if memory runs out, or one is missing. */
static char *join(char *const *texts, unsigned n, size_t *ret_last)
{
	size_t len = 0, at = 0;
	bool whole = true;
	char *all;

	for (unsigned i = 0; i < n; i++) {
		whole &= texts[i] != NULL;
		len += (texts[i] ? strlen(texts[i]) : 0) + 1;
	}
	all = whole ? malloc(len + 1) : NULL;
	for (unsigned i = 0; i < n; i++) {
		*ret_last = at;
		if (all)
			at += (size_t)(stpcpy(all + at, texts[i]) - (all + at)) + 1;
		free(texts[i]);
	}
	return all;
}

static struct row *new_row(struct table *table)
{
	if (table->n == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		struct row *rows = realloc(table->rows, room * sizeof(*rows));

		if (!rows)
			return NULL;
		table->rows = rows;
		table->room = room;
	}
	return &table->rows[table->n];
}

/* Sets *ret; false if memory runs out. */
static bool make_row(const struct table *table, const json_t *record, struct row *ret)
{
	char *texts[TABLE_COLUMNS_MAX + 1];
	unsigned n = 0;
	size_t last = 0;

	if (table->format == TABLE_JSON)
		texts[n++] = dump(record, JSON_COMPACT | JSON_REAL_PRECISION(15));
	for (unsigned c = 0; table->format != TABLE_JSON && c < table->ncolumns; c++)
		if (is_shown(table, c))
			texts[n++] = cell_of(table, c, record);
	if (has_text_key(table))
		texts[n++] = cell_of(table, table->by, record);
	*ret = (struct row){.text = join(texts, n, &last)};
	if (!ret->text)
		return false;
	if (has_text_key(table))
		ret->key = ret->text + last;
	else if (table->by < table->ncolumns)
		set_key(table, record, ret);
	return true;
}

void table_add(struct table *table, const json_t *record)
{
	struct row *row = new_row(table);

	if (row && make_row(table, record, row))
		table->n++;
	else
		table->lacks_rows = true;
}

bool table_is_whole(const struct table *table)
{
	return !table->lacks_rows;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

static int compare_numbers(const void *a, const void *b)
{
	const double x = ((const struct row *)a)->number, y = ((const struct row *)b)->number;

	return x < y ? 1 : x > y ? -1 : 0;
}

bool table_sort(struct table *table)
{
	if (!table->sorts)
		return true;
	if (table->by == table->ncolumns)
		return false;
	if (table->n)
		qsort(table->rows, table->n, sizeof(*table->rows),
		      has_text_key(table) ? compare_texts : compare_numbers);
	return true;
}

void table_offer(const struct table *table, struct nearest *nearest)
{
	for (unsigned c = 0; c < table->ncolumns; c++)
		nearest_offer(nearest, table->columns[c].member);
}

/* ---- Printing ---- */

/* Where each of the columns that are shown is in a row. */
static void find_cells(const struct table *table, const struct row *row,
                       const char *ret[TABLE_COLUMNS_MAX])
{
	const char *at = row->text;

	for (unsigned c = 0; c < table->ncolumns; c++) {
		ret[c] = "";
		if (!is_shown(table, c))
			continue;
		ret[c] = at;
		at += strlen(at) + 1;
	}
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
	const char *cells[TABLE_COLUMNS_MAX];

	for (unsigned c = 0; table->header && c < table->ncolumns; c++)
		printf("%s%s", c ? "," : "", table->columns[c].member);
	if (table->header)
		putchar('\n');
	for (size_t i = 0; i < n; i++) {
		find_cells(table, &table->rows[i], cells);
		for (unsigned c = 0; c < table->ncolumns; c++) {
			fputs(c ? "," : "", stdout);
			print_csv_cell(cells[c]);
		}
		putchar('\n');
	}
}

static void print_json(const struct table *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		puts(table->rows[i].text);
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
static void print_line(const struct table *table, const int *widths, const char *const *cells)
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

static void widen(const struct table *table, size_t n, int *widths)
{
	const char *cells[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < n; i++) {
		find_cells(table, &table->rows[i], cells);
		for (unsigned c = 0; c < table->ncolumns; c++)
			if ((int)strlen(cells[c]) > widths[c])
				widths[c] = (int)strlen(cells[c]);
	}
}

static void print_text(const struct table *table, size_t n)
{
	const char *cells[TABLE_COLUMNS_MAX];
	int widths[TABLE_COLUMNS_MAX] = {0};

	for (unsigned c = 0; table->header && c < table->ncolumns; c++)
		widths[c] = (int)strlen(table->columns[c].title);
	widen(table, n, widths);
	if (table->format == TABLE_TEXT && isatty(STDOUT_FILENO))
		fit(table, widths);
	if (table->header)
		print_line(table, widths, NULL);
	for (size_t i = 0; i < n; i++) {
		find_cells(table, &table->rows[i], cells);
		print_line(table, widths, cells);
	}
}

void table_print(const struct table *table, unsigned limit)
{
	const size_t n = limit != TABLE_ALL && limit < table->n ? limit : table->n;

	if (table->format == TABLE_CSV)
		print_csv(table, n);
	else if (table->format == TABLE_JSON)
		print_json(table, n);
	else
		print_text(table, n);
}
