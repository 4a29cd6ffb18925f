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
	const struct object_memory *names = &maps->loaded.maps[LOADED_NAMES];

	if (rules->nnames && rules->nnames <= names->elements)
		memcpy(names->at, rules->names, rules->nnames * sizeof(*rules->names));
}

static struct fastpath_way *ways_in(const struct maps *maps, uint32_t half)
{
	return maps->all_ways + (half & 1) * FASTPATH_WAYS;
}

static void find_memory(struct maps *maps)
{
	const struct object_memory *memory = maps->loaded.maps;

	maps->conf = memory[LOADED_CONF].at;
	maps->addresses = memory[LOADED_ADDRESSES].at;
	maps->counts = memory[LOADED_COUNTS].at;
	maps->all_ways = memory[LOADED_WAYS].at;
	maps->ways = ways_in(maps, maps->conf->ways_half);
	maps->parts = memory[LOADED_PARTS].at;
}

static int begin_anew(struct maps *maps, const struct wanted *wanted)
{
	const struct rules *rules = wanted->rules;

	maps->conf->layout = FASTPATH_LAYOUT;
	maps->conf->table_places = wanted->elements[LOADED_ADDRESSES] / 2;
	maps->conf->share = wanted->shares[0];
	maps->conf->client6 = rules->nnames != 0;
	maps->conf->mode = rules->mode;
	maps->conf->routes = rules_has_stack(rules);
	maps->conf->max_connections = rules->max_connections;
	maps->conf->max_half_open = rules->max_half_open;
	memcpy(maps->parts, wanted->parts, wanted->n * sizeof(*wanted->parts));
	return maps_set_rules(maps, rules);
}

static void note_maps(struct maps *maps)
{
	for (unsigned i = 0; i < LOADED_MAPS; i++)
		maps->conf->maps[i] = loaded_map_id(&maps->loaded, i);
}

int maps_pin(struct maps *maps, const struct pins *pins)
{
	int err;

	if (!maps->inherited)
		note_maps(maps);
	err = loaded_pin(&maps->loaded, pins);
	if (err < 0 || !maps->inherited)
		return err;
	note_maps(maps); /* those of IPv6 may be new */
	__atomic_store_n(&maps->conf->client6,
	                 maps->loaded.maps[LOADED_TABLE + TABLE_CLIENT6].elements > 1,
	                 __ATOMIC_RELEASE);
	return 0;
}

static void set_elements(struct wanted *wanted, uint32_t places)
{
	wanted->elements[LOADED_CONF] = 1;
	wanted->elements[LOADED_ADDRESSES] = 2 * places;
	wanted->elements[LOADED_COUNTS] = loaded_processors();
	wanted->elements[LOADED_WAYS] = 2 * FASTPATH_WAYS;
	wanted->elements[LOADED_NAMES] = wanted->rules->nnames ? RULES_NAMES_MAX : 1;
	wanted->elements[LOADED_PARTS] = RULES_WORKERS_MAX;
	wanted->elements[LOADED_FILTERS] = wanted->elements[LOADED_FILTER_SEEN] =
	        FILTER_PARTS * FILTER_PART;
	wanted->elements[LOADED_FILTER_COUNTS] = FILTER_PARTS * FILTER_PART * loaded_processors();
	lay_out(wanted);
}

/* If the arrays that were left lie as this process would lay them out. */
static bool lie_so(const struct heritage *heritage, const struct wanted *wanted)
{
	for (unsigned a = 0; a < TABLE_NARRAYS; a++)
		if (a != TABLE_CLIENT6 &&
		    heritage->elements[LOADED_TABLE + a] != wanted->elements[LOADED_TABLE + a])
			return false;
	return heritage->elements[LOADED_COUNTS] >= wanted->elements[LOADED_COUNTS] &&
	       heritage->elements[LOADED_FILTER_COUNTS] >= wanted->elements[LOADED_FILTER_COUNTS] &&
	       heritage->elements[LOADED_WAYS] == wanted->elements[LOADED_WAYS] &&
	       heritage->elements[LOADED_ADDRESSES] == 2 * heritage->conf.table_places;
}

static void choose(const struct heritage *heritage, const struct wanted *wanted,
                   int ret_reuse[LOADED_MAPS])
{
	const bool any = heritage && lie_so(heritage, wanted);
	const bool ip6_begins = any && !heritage->conf.client6 && wanted->rules->nnames;

	for (unsigned i = 0; i < LOADED_MAPS; i++)
		ret_reuse[i] = any && !(ip6_begins && loaded_is_ip6(i)) ? heritage->maps[i] : -1;
}

int maps_open(struct maps *maps, const struct rules *rules, const struct share *shares, unsigned n,
              const struct heritage *heritage, const struct loaded_guard *guard)
{
	struct wanted wanted = {.rules = rules, .shares = shares, .n = n};
	const uint32_t places = known_places(rules);
	struct fastpath_counts before;
	int reuse[LOADED_MAPS], err;

	*maps = (struct maps){0};
	if (!places)
		return -ENOMEM;
	set_elements(&wanted, places);
	choose(heritage, &wanted, reuse);
	maps->inherited = reuse[LOADED_CONF] >= 0;
	if ((err = loaded_open(&maps->loaded, wanted.elements, reuse, guard)) < 0)
		return err;
	find_memory(maps);
	maps_count(maps, &before);
	maps->before = before;
	for (unsigned s = 0; s < 2 * FASTPATH_WAYS; s++)
		maps->all_ways[s].sum = (struct flow_sum){{0}}; /* of a process before this one */
	return maps->inherited ? 0 : begin_anew(maps, &wanted);
}

void maps_close(struct maps *maps)
{
	loaded_close(&maps->loaded);
}

int maps_prepare_rules(struct maps *maps, const struct rules *rules)
{
	int err;

	set_names(maps, rules); /* names are only added: those that there are keep their meaning */
	err = known_prepare(maps->conf, maps->addresses, rules);
	maps->prepared = err ? NULL : rules;
	return err;
}

int maps_set_rules(struct maps *maps, const struct rules *rules)
{
	int err = maps->prepared == rules ? 0 : maps_prepare_rules(maps, rules);

	maps->prepared = NULL;
	if (!err)
		known_use(maps->conf);
	return err;
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

void maps_hold(struct maps *maps, enum fastpath_held held)
{
	__atomic_store_n(&maps->conf->held, held, __ATOMIC_SEQ_CST);
}

static struct ip6 address_of(const struct rules *rules, unsigned server)
{
	const be32 address = rules->servers[server].address;

	return name_is_ipv6(address) ? *rules_ip6(rules, address) : ip6_mapped(address);
}

/* Whose way it is: of a server of rules, or of nobody. */
static struct fastpath_way way_of(const struct rules *rules, unsigned server)
{
	struct fastpath_way way = {.known = 0};

	if (server >= rules->nservers)
		return way;
	way.address = address_of(rules, server);
	way.name = rules->servers[server].address;
	way.vip = rules->farms[rules->servers[server].farm].vip;
	return way;
}

static void forget_way(struct fastpath_way *way)
{
	__atomic_store_n(&way->known, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void set_way(struct fastpath_way *way, const struct fastpath_way *whose,
                    const struct hop *hop)
{
	if (hop && way->known && hop_eq(&way->hop, hop) && ip6_eq(&way->address, &whose->address) &&
	    fastpath_is_way(way, whose->name, whose->vip))
		return;
	forget_way(way);
	if (!hop)
		return;
	way->address = whose->address;
	way->name = whose->name;
	way->vip = whose->vip;
	way->hop = *hop;
	way->times = (uint8_t)(way->times % UINT8_MAX + 1);
	__atomic_store_n(&way->known, way->times, __ATOMIC_RELEASE);
}

void maps_set_way(struct maps *maps, const struct rules *rules, unsigned server,
                  const struct hop *hop)
{
	const struct fastpath_way whose = way_of(rules, server);

	set_way(&maps->ways[server], &whose, hop);
}

/* Adds to sum what was added to the way's since this was done last; sum may be NULL. */
static void take_sum(struct fastpath_way *way, struct flow_sum *sum)
{
	for (unsigned end = 0; end < 2; end++) {
		uint64_t *bytes = &way->sum.bytes[end], is = 0;

		if (__atomic_load_n(bytes, __ATOMIC_RELAXED))
			is = __atomic_exchange_n(bytes, 0, __ATOMIC_RELAXED);
		if (sum)
			sum->bytes[end] += is;
	}
}

/* ---- Servers that get other numbers ---- */

static bool is_way_of(const struct fastpath_way *way, const struct rules *rules, unsigned server)
{
	const struct ip6 address = address_of(rules, server);
	const uint16_t vlan = rules_server_vlan(rules, server);

	return way->known && ip6_eq(&way->address, &address) &&
	       vlan_matches(vlan, hop_vlan(&way->hop));
}

bool maps_have_other_names(const struct maps *maps, const struct rules *rules)
{
	const struct object_memory *names = &maps->loaded.maps[LOADED_TABLE + TABLE_NAMES];
	const struct table_head *head = maps->loaded.maps[LOADED_TABLE + TABLE_HEAD].at;
	const uint32_t n = head->nnames;

	return n && (n > rules->nnames || n > names->elements ||
	             memcmp(names->at, rules->names, n * sizeof(*rules->names)) != 0);
}

bool maps_have_other_numbers(const struct maps *maps, const struct rules *rules)
{
	for (unsigned s = 0; s < FASTPATH_WAYS; s++) {
		const struct fastpath_way *way = &maps->ways[s], whose = way_of(rules, s);

		if (way->known && (s >= rules->nservers || !is_way_of(way, rules, s) ||
		                   !fastpath_is_way(way, whose.name, whose.vip)))
			return true;
	}
	return false;
}

/* The way of the server among the first n, or NULL: mostly it has the number that it had. */
static const struct fastpath_way *find_way(const struct fastpath_way *ways, unsigned n,
                                           const struct rules *rules, unsigned server)
{
	if (is_way_of(&ways[server], rules, server))
		return &ways[server];
	for (unsigned s = 0; s < n; s++)
		if (is_way_of(&ways[s], rules, server))
			return &ways[s];
	return NULL;
}

/* The half in use stays as it is, for flows whose servers have no new number yet, and for the next
 * process if this one dies in between. */
void maps_renumber(struct maps *maps, const struct rules *rules)
{
	const uint32_t half = maps->conf->ways_half & 1;
	const struct fastpath_way *before = ways_in(maps, half);
	unsigned n = FASTPATH_WAYS;

	while (n && !before[n - 1].known)
		n--;
	maps->ways = ways_in(maps, !half);
	for (unsigned s = 0; s < FASTPATH_WAYS; s++) {
		const struct fastpath_way *way =
		        s < rules->nservers ? find_way(before, n, rules, s) : NULL;

		maps_set_way(maps, rules, s, way ? &way->hop : NULL);
	}
}

/* If all that have flows keep their numbers. Where farms share the VIP, flows may go to another
 * server than their old one's heir: to one that follows upon it as well. */
static bool keep_numbers(const struct rules *rules, const uint16_t *map, unsigned n)
{
	bool keep = true;

	for (unsigned s = 0; s < n; s++)
		keep &= map[s] == SERVER_NONE || map[s] == s;
	for (unsigned s = 0; s < rules->nservers; s++)
		keep &= !rules->servers[s].was || rules->servers[s].was == s + 1;
	return keep;
}

bool maps_renumber_by(struct maps *maps, const struct rules *rules, const uint16_t *map, unsigned n)
{
	const struct fastpath_way *before = maps->ways;

	if (keep_numbers(rules, map, n))
		return false;
	maps->ways = ways_in(maps, !(maps->conf->ways_half & 1));
	for (unsigned s = 0; s < FASTPATH_WAYS; s++)
		take_sum(&maps->ways[s], NULL); /* discards what a program added too late, after
		                                   this half was left */
	for (unsigned s = 0; s < n; s++)
		if (map[s] != SERVER_NONE && is_way_of(&before[s], rules, map[s]))
			maps_set_way(maps, rules, map[s], &before[s].hop);
	for (unsigned s = 0; s < rules->nservers; s++) {
		const unsigned was = rules->servers[s].was;

		if (was && !maps->ways[s].known && is_way_of(&before[was - 1], rules, s))
			maps_set_way(maps, rules, s, &before[was - 1].hop);
	}
	return true;
}

/* The way of the same server of the same VIP, or NULL. */
static struct fastpath_way *heir_of(const struct maps *maps, const struct fastpath_way *way)
{
	for (unsigned s = 0; s < FASTPATH_WAYS; s++)
		if (maps->ways[s].known && fastpath_is_way(&maps->ways[s], way->name, way->vip))
			return &maps->ways[s];
	return NULL;
}

/* Moves what flows have carried by the numbers of before to the numbers in use. */
static void pass_on_sums(const struct maps *maps, struct fastpath_way *before)
{
	for (unsigned s = 0; s < FASTPATH_WAYS; s++) {
		struct flow_sum sum = {{0}};
		struct fastpath_way *heir;

		take_sum(&before[s], &sum);
		if (!(sum.bytes[CLIENT] | sum.bytes[SERVER]) || !(heir = heir_of(maps, &before[s])))
			continue;
		for (unsigned end = 0; end < 2; end++)
			__atomic_fetch_add(&heir->sum.bytes[end], sum.bytes[end], __ATOMIC_RELAXED);
	}
}

void maps_renumbered(struct maps *maps, const uint16_t *map, unsigned n, struct flow_sum *sums)
{
	const uint32_t half = maps->ways != ways_in(maps, 0);
	struct fastpath_way *before = ways_in(maps, !half);

	__atomic_store_n(&maps->conf->ways_half, half, __ATOMIC_SEQ_CST);
	for (unsigned s = 0; s < FASTPATH_WAYS; s++)
		if (before[s].known)
			forget_way(&before[s]);
	for (unsigned s = 0; s < n; s++)
		take_sum(&before[s], map[s] != SERVER_NONE ? &sums[map[s]] : NULL);
	if (!map)
		pass_on_sums(maps, before);
}

bool maps_way(const struct maps *maps, unsigned server, struct hop *ret)
{
	*ret = maps->ways[server].hop;
	return maps->ways[server].known;
}

bool maps_used_way(struct maps *maps, unsigned server)
{
	struct fastpath_way *way = &maps->ways[server];

	if (!__atomic_load_n(&way->used, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&way->used, 0, __ATOMIC_RELAXED);
	return true;
}

void maps_take_sums(struct maps *maps, unsigned n, struct flow_sum *sums)
{
	for (unsigned s = 0; s < n; s++)
		take_sum(&maps->ways[s], &sums[s]);
}

void maps_count(const struct maps *maps, struct fastpath_counts *ret)
{
	const uint64_t *before = (const uint64_t *)&maps->before;
	uint64_t *sum = (uint64_t *)ret;

	*ret = (struct fastpath_counts){0};
	for (unsigned cpu = 0; cpu < maps->loaded.maps[LOADED_COUNTS].elements; cpu++) {
		const uint64_t *counts = (const uint64_t *)&maps->counts[cpu];

		for (unsigned i = 0; i < FASTPATH_NCOUNTS; i++)
			sum[i] += __atomic_load_n(&counts[i], __ATOMIC_RELAXED);
	}
	for (unsigned i = 0; i < FASTPATH_NCOUNTS; i++)
		sum[i] -= before[i];
}
