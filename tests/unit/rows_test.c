/*
 * Answers as tables, when memory runs out: who reads them must not take a part for all.
 */
#include "memory.h"
#include "suites.h"

#include "../../bridge/client/table.h"

#include <stdlib.h>

static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT, false},
                                        {"BYTES", "bytes", COLUMN_BYTES, false},
                                        {"N", "n", COLUMN_NUMBER, true},
                                        {NULL, NULL, COLUMN_TEXT, false}};

/* Of three records; the n-th allocation on the way fails. True if it came to that. */
static bool fill(enum table_format format, const char *by, unsigned n)
{
	json_t *record = json_pack("{s:s, s:i, s:i}", "name", "fe1", "bytes", 1500, "n", 7);
	struct table *table = table_new(columns, format, true, by);
	bool failed;

	memory_fail_at(n);
	for (unsigned i = 0; i < 3; i++)
		table_add(table, record);
	failed = memory_has_failed();
	ck_assert_int_eq(table_is_whole(table), !failed);
	ck_assert(table_sort(table));
	table_free(table);
	json_decref(record);
	return failed;
}

START_TEST(a_row_that_memory_runs_out_for_is_missed)
{
	static const enum table_format formats[] = {TABLE_TEXT, TABLE_WIDE, TABLE_JSON, TABLE_CSV};
	static const char *const by[] = {NULL, "name", "bytes"};
	unsigned n;

	json_set_alloc_funcs(malloc, free);
	for (unsigned f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		for (unsigned b = 0; b < sizeof(by) / sizeof(by[0]); b++) {
			n = 1;
			while (fill(formats[f], by[b], n))
				n++;
			ck_assert_uint_gt(n, 3 + 1); /* one for each row at least */
		}
	}
}
END_TEST

Suite *rows_suite(void)
{
	const TTest *const tests[] = {a_row_that_memory_runs_out_for_is_missed, NULL};

	return suite_of("rows", tests);
}
