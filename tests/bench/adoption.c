#include "adoption.h"

#include "traffic.h"

static const struct hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

/* Moves the engine of subject, which has no flow yet, to arrays apart. */
static void move_apart(struct subject *subject, struct table *table, struct memory arrays[])
{
	memory_free(&subject->lb_memory);
	if (memory_take(&subject->lb_memory, lb_table_sizes(subject->rules, &share_whole, table)) <
	    0)
		measure_fail("no memory");
	for (unsigned i = 0; i < TABLE_NARRAYS; i++) {
		struct table_array *array = &table->arrays[i];

		if (memory_take(&arrays[i], array->elements * array->element_bytes) < 0)
			measure_fail("no memory");
		array->memory = arrays[i].at;
	}
	subject->lb = lb_init_shared(subject->lb_memory.at, table, subject->farms, &key,
	                             subject_macs, subject->now);
}

static double adopt_ms(struct subject *subject, struct table *table, void *scratch, uint32_t flows)
{
	struct adoption adoption;
	uint64_t start;

	subject->farms = farms_init(subject->farms_memory.at, subject->rules, &share_whole, &key,
	                            subject->now);
	start = measure_ns();
	subject->lb = lb_adopt(subject->lb_memory.at, table, scratch, subject->farms, subject_macs,
	                       subject->now, &adoption);
	start = measure_since(start);
	if (!subject->lb || adoption.open != flows)
		measure_fail("not all flows were adopted");
	return (double)start / 1e6;
}

void adoption_measure(struct figure *ret, uint32_t flows, unsigned runs)
{
	struct memory arrays[TABLE_NARRAYS], scratch;
	struct subject subject;
	struct traffic traffic;
	struct table table = {0};

	subject_make(&subject, flows, false);
	move_apart(&subject, &table, arrays);
	traffic_make(&traffic, &subject, flows, false);
	traffic_open(&traffic, 0, flows);
	if (memory_take(&scratch, arrays[TABLE_BUCKETS].bytes) < 0)
		measure_fail("no memory");
	for (unsigned run = 0; run < runs; run++)
		figure_add(ret, adopt_ms(&subject, &table, scratch.at, flows));
	memory_free(&scratch);
	for (unsigned i = 0; i < TABLE_NARRAYS; i++)
		memory_free(&arrays[i]);
	traffic_free(&traffic);
	subject_free(&subject);
}
