/*
 * The maps, as the process fills them.
 *
 * What the programs need is memory that both have: so nothing of this needs the kernel once the
 * maps are there. What a program may read while it changes is published last and withdrawn first.
 */
#include "maps.h"

#include "known.h"
#include "../../lb/lb.h"

#include <errno.h>

/* The engine's arrays begin at multiples of so many elements: at multiples of ARENA_ALIGN bytes. */
enum { PART_ALIGN = ARENA_ALIGN / TABLE_ALIGN };

struct wanted {
	const struct rules *rules;
	const struct share *shares; /* by worker */
	unsigned n;
	uint32_t elements[LOADED_MAPS];
	struct fastpath_part parts[RULES_WORKERS_MAX];
};

/* Lays out the workers' arrays one behind the other. Those of IPv6 clients aren't there if the
 * rules have no IPv6. */
static void lay_out(struct wanted *wanted)
{
	uint32_t *elements = &wanted->elements[LOADED_TABLE];
	struct table table;

	for (unsigned k = 0; k < wanted->n; k++) {
		lb_table_sizes(wanted->rules, &wanted->shares[k], &table);
		for (unsigned a = 0; a < TABLE_NARRAYS; a++) {
			uint32_t room = (uint32_t)table.arrays[a].elements + PART_ALIGN - 1;

			wanted->parts[k].base[a] = a == TABLE_HEAD ? k : elements[a];
			elements[a] += room - room % PART_ALIGN;
		}
	}
	elements[TABLE_HEAD] = wanted->n;
	if (!wanted->rules->nnames)
		elements[TABLE_CLIENT6] = 1;
}

static void set_names(struct maps *maps, const struct rules *rules)
{
	const struct loaded_memory *names = &maps->loaded.maps[LOADED_NAMES];

	if (rules->nnames && rules->nnames <= names->elements)
		memcpy(names->at, rules->names, rules->nnames * sizeof(*rules->names));
}

static void begin(struct maps *maps, const struct wanted *wanted)
{
	const struct loaded_memory *memory = maps->loaded.maps;

	maps->conf = memory[LOADED_CONF].at;
	maps->addresses = memory[LOADED_ADDRESSES].at;
	maps->counts = memory[LOADED_COUNTS].at;
	maps->ways = memory[LOADED_WAYS].at;
	maps->parts = memory[LOADED_PARTS].at;
	maps->conf->layout = FASTPATH_LAYOUT;
	maps->conf->table_places = wanted->elements[LOADED_ADDRESSES] / 2;
	maps->conf->share = wanted->shares[0];
	maps->conf->client6 = wanted->rules->nnames != 0;
	memcpy(maps->parts, wanted->parts, wanted->n * sizeof(*wanted->parts));
	set_names(maps, wanted->rules);
}

static void set_elements(struct wanted *wanted, uint32_t places)
{
	wanted->elements[LOADED_CONF] = 1;
	wanted->elements[LOADED_ADDRESSES] = 2 * places;
	wanted->elements[LOADED_COUNTS] = loaded_processors();
	wanted->elements[LOADED_WAYS] = RULES_SERVERS_KEPT_MAX;
	wanted->elements[LOADED_NAMES] = wanted->rules->nnames ? RULES_NAMES_MAX : 1;
	wanted->elements[LOADED_PARTS] = RULES_WORKERS_MAX;
	lay_out(wanted);
}

int maps_open(struct maps *maps, const struct rules *rules, const struct share *shares, unsigned n)
{
	struct wanted wanted = {.rules = rules, .shares = shares, .n = n};
	const uint32_t places = known_places(rules);
	int err;

	*maps = (struct maps){0};
	if (!places)
		return -ENOMEM;
	set_elements(&wanted, places);
	err = loaded_open(&maps->loaded, wanted.elements);
	if (err < 0)
		return err;
	begin(maps, &wanted);
	return known_fill(maps->conf, maps->addresses, rules);
}

void maps_close(struct maps *maps)
{
	loaded_close(&maps->loaded);
}

int maps_set_rules(struct maps *maps, const struct rules *rules)
{
	set_names(maps, rules);
	return known_fill(maps->conf, maps->addresses, rules);
}

void maps_table(const struct maps *maps, unsigned worker, struct table *ret)
{
	for (unsigned a = 0; a < TABLE_NARRAYS; a++) {
		uint8_t *map = maps->loaded.maps[LOADED_TABLE + a].at;

		ret->arrays[a].memory =
		        map + maps->parts[worker].base[a] * ret->arrays[a].element_bytes;
	}
	if (!maps->conf->client6)
		ret->arrays[TABLE_CLIENT6].memory = NULL;
}

void maps_hold(struct maps *maps, bool held)
{
	__atomic_store_n(&maps->conf->held, held, __ATOMIC_SEQ_CST);
}

void maps_set_way(struct maps *maps, unsigned server, const struct hop *hop)
{
	struct fastpath_way *way = &maps->ways[server];

	if (hop && way->known && hop_eq(&way->hop, hop))
		return;
	__atomic_store_n(&way->known, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!hop)
		return;
	way->hop = *hop;
	__atomic_store_n(&way->known, 1, __ATOMIC_RELEASE);
}

bool maps_used_way(struct maps *maps, unsigned server)
{
	struct fastpath_way *way = &maps->ways[server];

	if (!__atomic_load_n(&way->used, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&way->used, 0, __ATOMIC_RELAXED);
	return true;
}

void maps_count(const struct maps *maps, struct fastpath_counts *ret)
{
	uint64_t *sum = (uint64_t *)ret;

	*ret = (struct fastpath_counts){0};
	for (unsigned cpu = 0; cpu < maps->loaded.maps[LOADED_COUNTS].elements; cpu++) {
		const uint64_t *counts = (const uint64_t *)&maps->counts[cpu];

		for (unsigned i = 0; i < sizeof(*ret) / sizeof(*sum); i++)
			sum[i] += __atomic_load_n(&counts[i], __ATOMIC_RELAXED);
	}
}
