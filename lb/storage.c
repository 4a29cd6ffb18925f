/*
 * Where the flow table lies: its arrays, as parts of the engine's own memory or as maps that
 * others read as well (table.h); and what its head says to these.
 *
 * All of it is written once at the start, so that no page fault waits on the packet path; but a
 * table that another process left keeps what it says (adopt.c).
 */
#include "flows.h"

#include "notes.h"

static const struct flow_list empty_list = {FLOW_NONE, FLOW_NONE, 0};

#define CHECK(constant, name, type)                                                                \
	static_assert(sizeof(type) % TABLE_ALIGN == 0, "else a map would put gaps between them");
TABLE_ARRAYS(CHECK)
#undef CHECK

static void take_shared(struct flows *flows, struct arena *arena)
{
	flows->head = table_take(arena, TABLE_HEAD, 1, sizeof(*flows->head));
	flows->flow = table_take(arena, TABLE_FLOWS, flows->places, sizeof(*flows->flow));
	flows->cold = table_take(arena, TABLE_COLD, flows->places, sizeof(*flows->cold));
	flows->spare = table_take(arena, TABLE_SPARE, flows->places, sizeof(*flows->spare));
	flows->names = NULL;
	if (arena->table)
		flows->names =
		        table_take(arena, TABLE_NAMES, FLOWS_NAMES_MAX, sizeof(*flows->names));
	flows->notes = NULL;
	if (arena->table)
		flows->notes = table_take(arena, TABLE_NOTES, notes_words(flows->places),
		                          sizeof(*flows->notes));
	if (arena->table)
		flows->client6 =
		        table_take(arena, TABLE_CLIENT6, flows->places, sizeof(*flows->client6));
	index_lay_out(&flows->index, arena, 2 * flows->capacity);
	hops_lay_out(&flows->hops, arena, flows->capacity);
}

void flows_lay_out(struct flows *flows, struct arena *arena, uint32_t capacity, uint32_t half_open,
                   struct hash_key key)
{
	*flows = (struct flows){.capacity = capacity,
	                        .places = capacity + FLOWS_REST,
	                        .key = key,
	                        .free = empty_list,
	                        .doomed = empty_list,
	                        .quarantine = empty_list};
	factors_make(flows->factors, sizeof(flows->factors) / sizeof(uint64_t), &key, 0);
	factors_make(flows->factors6, sizeof(flows->factors6) / sizeof(uint64_t), &key,
	             FLOWS_FACTORS6);
	take_shared(flows, arena);
	openings_lay_out(&flows->openings, arena, half_open);
	flows->resting = (struct queues){flows->spare, sizeof(*flows->spare), NULL};
	flows->check_at = arena_take(arena, flows->places, sizeof(*flows->check_at));
	flows->stamps = arena_take(arena, flows->places, sizeof(*flows->stamps));
	if (!flows->flow)
		return;
	/* written now, so that no page fault waits on the packet path */
	memset(flows->check_at, 0xff, flows->places * sizeof(*flows->check_at));
	memset(flows->stamps, 0, flows->places * sizeof(*flows->stamps));
	if (table_keeps(arena))
		return;
	memset(flows->head, 0, sizeof(*flows->head));
	memset(flows->flow, 0, flows->places * sizeof(*flows->flow));
	memset(flows->cold, 0, flows->places * sizeof(*flows->cold));
	memset(flows->spare, 0, flows->places * sizeof(*flows->spare));
	if (flows->client6)
		memset(flows->client6, 0, flows->places * sizeof(*flows->client6));
	if (flows->notes)
		memset(flows->notes, 0, notes_words(flows->places) * sizeof(*flows->notes));
}

void flows_announce(struct flows *flows, lb_time epoch)
{
	*flows->head = (struct table_head){
	        .flows = flows->places,
	        .nbuckets = flows->index.nbuckets,
	        .nplaces = flows->hops.nplaces,
	        .key = {flows->key.k[0], flows->key.k[1]},
	        .epoch_ns = epoch.ns,
	        .nnames = flows->head->nnames,
	        .noted = 1, /* a program may have noted something before this */
	};
	memcpy(flows->head->factors, flows->factors, sizeof(flows->factors));
	memcpy(flows->head->factors6, flows->factors6, sizeof(flows->factors6));
	BOTH_WRITE_LAST(flows->head->layout, TABLE_LAYOUT);
}

void flows_note_names(struct flows *flows, const struct ip6 *names, uint32_t n)
{
	if (!flows->names)
		return;
	if (n)
		memcpy(flows->names, names, n * sizeof(*names));
	BOTH_WRITE_LAST(flows->head->nnames, n);
}

size_t flows_ip6_size(const struct flows *flows)
{
	struct arena arena = {0};

	arena_take(&arena, flows->places, sizeof(*flows->client6));
	return arena.used;
}

void flows_use_ip6(struct flows *flows, void *mem)
{
	flows->client6 = mem;
	memset(mem, 0, flows_ip6_size(flows)); /* no page fault on the packet path */
}
