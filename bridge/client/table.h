/*
 * Records as a table, for people or for programs.
 */
#ifndef BRIDGE_TABLE_H
#define BRIDGE_TABLE_H

#include "../../cfg/nearest.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

enum table_format { TABLE_TEXT, TABLE_WIDE, TABLE_JSON, TABLE_CSV };

/* How a value is shown to people. */
enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_BYTES, /* 1.5M */
	COLUMN_AGE,   /* a time of RFC 3339, as how long ago */
	COLUMN_MS,    /* a duration in ms */
};

struct column {
	const char *title, *member;
	enum column_kind kind;
	bool wide; /* only in TABLE_WIDE and TABLE_CSV */
};

struct table;

/* The columns, ended by one without a title, must stay. by is the title (in any case) or member of
 * the one that it will be sorted by, or NULL. NULL if memory runs out, which is logged. */
struct table *table_new(const struct column *columns, enum table_format format, bool header,
                        const char *by);
void table_free(struct table *table);

/* Adds a row of the record's members; one for which memory runs out is missing, and
 * table_is_whole() false from then on. */
void table_add(struct table *table, const json_t *record);
bool table_is_whole(const struct table *table);

/* Sorts by that column, the largest number or first text first; false if there is none of that
 * name. */
bool table_sort(struct table *table);

/* Offers the columns' members to whoever looks for the nearest one. */
void table_offer(const struct table *table, struct nearest *nearest);

/* Prints the first rows to stdout: limit of them, or TABLE_ALL. */
#define TABLE_ALL UINT_MAX
void table_print(const struct table *table, unsigned limit);

/* A number in powers of 1000, "1.5M", and a duration, "3d4h": in static room, which the eighth call
 * from then uses again. */
const char *table_bytes(double n);
const char *table_duration(double seconds);

/* Seconds since a time of RFC 3339; 0 if it is none. */
double table_age(const char *time);

#endif
