/*
 * The engine's arrays in memory of their own: the same engine.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../lb/wire.h"

#include <stdlib.h>

enum { GUARD = 4096, FILL = 0xa5 };

/* Memory for each array, which ends where it should, and begins there. */
static void give_memory(struct table *table)
{
	for (unsigned i = 0; i < TABLE_NARRAYS; i++) {
		struct table_array *array = &table->arrays[i];
		size_t bytes = array->elements * array->element_bytes;
		uint8_t *memory = aligned_alloc(GUARD, 3 * GUARD + bytes / GUARD * GUARD);

		memset(memory, FILL, 3 * GUARD + bytes / GUARD * GUARD);
		array->memory = memory + GUARD;
	}
}

static void take_memory_back(struct table *table)
{
	for (unsigned i = 0; i < TABLE_NARRAYS; i++) {
		const struct table_array *array = &table->arrays[i];
		size_t bytes = array->elements * array->element_bytes;
		uint8_t *memory = array->memory;

		for (size_t at = 0; at < GUARD; at++) {
			require_eq(memory[-1 - (ptrdiff_t)at], FILL);
			require_eq(memory[bytes + at], FILL);
		}
		free(memory - GUARD);
	}
}

/* Moves an engine, which has done nothing yet, to arrays of its own. */
static void move_apart(struct engine *engine, struct table *table)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const struct hash_key key = {{0, 0}};
	size_t size = lb_table_sizes(engine->rules, &share_whole, table);

	engine_take_memory(engine, size);
	memset(engine->mem, FILL, size);
	give_memory(table);
	engine->lb = lb_init_shared(engine->mem, table, engine->farms_mem, &key, macs, engine->now);
}

START_TEST(sizes_add_up)
{
	const uint32_t capacities[] = {1, 2, 3, 1000, 1000000};
	struct rules *rules = fixture_rules(2);
	struct table table;

	for (unsigned c = 0; c < sizeof(capacities) / sizeof(*capacities); c++) {
		size_t bytes, whole;

		rules->max_connections = capacities[c];
		whole = lb_size(rules, &share_whole);
		bytes = lb_table_sizes(rules, &share_whole, &table);
		for (unsigned i = 0; i < TABLE_NARRAYS; i++) {
			ck_assert_uint_gt(table.arrays[i].elements, 0);
			ck_assert_uint_eq(table.arrays[i].element_bytes % TABLE_ALIGN, 0);
			/* which an engine in one piece takes later, or has no need of */
			if (i != TABLE_CLIENT6 && i != TABLE_NAMES && i != TABLE_NOTES)
				bytes += table.arrays[i].elements * table.arrays[i].element_bytes;
		}
		ck_assert_uint_ge(whole, bytes);
		ck_assert_uint_le(whole - bytes, TABLE_NARRAYS * ARENA_ALIGN);
	}
	rules_free(rules);
}
END_TEST

static void same_input(struct engine *a, struct engine *b, const struct spec *spec)
{
	struct built first, second;
	struct verdict v, w;

	frames_tcp(&first, spec);
	frames_tcp(&second, spec);
	v = engine_input(a, &first);
	w = engine_input(b, &second);
	require_eq(v.why, w.why);
	require_eq(v.flow, w.flow);
	require_eq(first.frame.len, second.frame.len);
	require(!memcmp(first.frame.data, second.frame.data, first.frame.len));
}

/* Whatever comes, both engines say the same; and what's in the arrays is what readers will find. */
START_TEST(apart_is_the_same)
{
	struct engine whole, apart;
	struct table table;
	const struct table_head *head;

	engine_start(&whole, fixture_rules(2));
	engine_start(&apart, fixture_rules(2));
	move_apart(&apart, &table);
	for (unsigned i = 0; i < 20000; i++) {
		const uint8_t flags[] = {TCP_SYN, TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST};
		struct spec spec = spec_syn(fixture_client(random_below(50)),
		                            (uint16_t)(1024 + random_below(50)), 443);

		spec.flags = flags[random_below(4)];
		spec.src.b[5] = (uint8_t)random_below(200);
		same_input(&whole, &apart, &spec);
		if (random_below(100) == 0) {
			engine_wait_ms(&whole, 1000);
			engine_wait_ms(&apart, 1000);
		}
	}
	head = table.arrays[TABLE_HEAD].memory;
	require_eq(head->layout, TABLE_LAYOUT);
	require_eq(head->flows, table.arrays[TABLE_FLOWS].elements);
	require_eq(head->nbuckets, table.arrays[TABLE_BUCKETS].elements);
	require_eq(head->nplaces, table.arrays[TABLE_PLACES].elements);
	require(table.arrays[TABLE_FLOWS].memory == lb_balance(apart.lb)->flows.flow);
	engine_stop(&whole);
	engine_stop(&apart);
	take_memory_back(&table);
}
END_TEST

Suite *table_suite(void)
{
	const TTest *const tests[] = {sizes_add_up, apart_is_the_same, NULL};

	return suite_of("table", tests);
}
