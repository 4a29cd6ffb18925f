/*
 * Where the servers are.
 *
 * Each server is asked for, by ARP or neighbour discovery, at start, inside; later whenever a frame
 * waits for it, first inside and then on both sides, once a second. Whatever such frame a server
 * sends counts as an answer (RFC 826's merge), also one on its way to somebody else. A server with
 * `mac =` in lb.ini is inside, at that address, and never asked for.
 *
 * One that is known is asked again, itself and nobody else, when it is used after a minute of
 * silence, when it doesn't answer SYNs or probes, and when somebody says that it is elsewhere
 * (unreachability detection, RFC 4861, 7.3). If it answers it stays where it is, whatever others
 * say. If it doesn't, it is where they say; or, if nobody does, it is asked for as at first, and is
 * where the first answer comes from. Its last place serves meanwhile. So a forged claim can't move
 * a server that is alive, and one that gets another network card is found even if it announces
 * nothing.
 */
#include "neigh.h"

#include "neighbours.h"
#include "pace.h"
#include "waiting.h"

#include <stdlib.h>

enum {
	NEIGH_TRIES = 3,       /* RFC 4861's MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT */
	NEIGH_RETRY_MS = 1000, /* RFC 1122, 2.3.2.1: at most one broadcast request a second */
	NEIGH_DIRECT_MS = 250, /* a neighbour that is there answers within a few */
	NEIGH_CALM_MS = 1000,  /* from an answer on: it isn't asked at every claim or doubt */
	NEIGH_STALE_S = 60,    /* RFC 1122, 2.3.2.1: "on the order of a minute" */
	NEIGH_EVENTS = 16,
	NEIGH_PER_MS = 32, /* questions: of many servers, they don't stall the wire */
};

struct neigh_table {
	struct neighbours all;
	bool leads;
	uint32_t found;         /* the first neighbour of those found, or NEIGH_NONE */
	uint32_t found_server;  /* of it, the next server to be told */
	struct pace pace;       /* of questions */
	struct waiting waiting; /* by neighbour */
	struct neigh_event events[NEIGH_EVENTS];
	unsigned event, nevents; /* the oldest, and how many there are */
	struct neigh_counts counts;
};

/* ---- Beginning and end ---- */

struct neigh_table *neigh_new(const struct rules *rules, bool leads)
{
	struct neigh_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->leads = leads;
	table->found = NEIGH_NONE;
	if (!neighbours_init(&table->all, rules, leads)) {
		neigh_free(table);
		return NULL;
	}
	return table;
}

void neigh_free(struct neigh_table *table)
{
	if (!table)
		return;
	neighbours_free(&table->all);
	free(table);
}

void neigh_recall(struct neigh_table *table, unsigned server, const struct hop *hop)
{
	struct neighbour *n = neighbours_of(&table->all, server);

	if (n->state != NEIGH_UNKNOWN || !neighbours_may_be_at(&table->all, n, hop))
		return;
	n->state = NEIGH_KNOWN;
	n->hop = *hop;
	if (n->search != SEARCH_NONE)
		n->search = SEARCH_DIRECT;
}

void neigh_trace(struct neigh_table *table, const struct neigh_table *old)
{
	neighbours_trace(&table->all, &old->all);
}

void neigh_inherit(struct neigh_table *table, const struct neigh_table *old)
{
	table->counts = old->counts;
	neighbours_inherit(&table->all, &old->all);
}

/* ---- Searching ---- */

static void search(struct neigh_table *table, struct neighbour *n, enum neigh_search how,
                   lb_time from)
{
	n->search = (uint8_t)how;
	n->tries = 0;
	least_set(table->all.timers, neighbours_number(&table->all, n), from.ns);
}

static void end_search(struct neigh_table *table, struct neighbour *n)
{
	n->search = SEARCH_NONE;
	n->tries = 0;
	least_set(table->all.timers, neighbours_number(&table->all, n), LEAST_NONE);
}

/* Begins a search for the neighbour: at its known place, if it has one, or else by asking
 * everybody. A search that is underway goes on. */
static void ask_again(struct neigh_table *table, struct neighbour *n, lb_time from)
{
	if (!n->fixed && n->asker != NEIGH_NONE && n->search == SEARCH_NONE)
		search(table, n, n->state == NEIGH_KNOWN ? SEARCH_DIRECT : SEARCH_ALL, from);
}

/* ---- Frames that wait ---- */

void neigh_wait(struct neigh_table *table, unsigned server, const struct frame *frame)
{
	const struct neighbour *n = neighbours_of(&table->all, server);

	ask_again(table, neighbours_of(&table->all, server), (lb_time){0});
	if ((n->state == NEIGH_UNKNOWN && n->asker == NEIGH_NONE) ||
	    !waiting_put(&table->waiting, table->all.of[server], frame)) {
		table->counts.lost++;
		return;
	}
	table->counts.waited++;
	if (n->state != NEIGH_UNKNOWN)
		waiting_release(&table->waiting, table->all.of[server]);
}

bool neigh_next_ready(struct neigh_table *table, struct frame *ret, const struct hop **ret_hop)
{
	uint32_t i;

	if (!waiting_next(&table->waiting, ret, &i))
		return false;
	*ret_hop = &table->all.items[i].hop;
	return true;
}

/* ---- What is heard ---- */

static void note_event(struct neigh_table *table, const struct neighbour *n, bool moved,
                       const struct hop *to)
{
	struct neigh_event *event = &table->events[(table->event + table->nevents) % NEIGH_EVENTS];

	table->counts.moves += moved;
	table->counts.attempts += !moved;
	if (table->nevents == NEIGH_EVENTS)
		return;
	*event = (struct neigh_event){
	        .server = (uint16_t)n->server, .moved = moved, .from = n->hop, .to = *to};
	table->nevents++;
}

bool neigh_next_event(struct neigh_table *table, struct neigh_event *ret)
{
	if (!table->nevents)
		return false;
	*ret = table->events[table->event];
	table->event = (table->event + 1) % NEIGH_EVENTS;
	table->nevents--;
	return true;
}

static void note_found(struct neigh_table *table, struct neighbour *n)
{
	if (n->is_found)
		return;
	n->is_found = true;
	n->found = table->found;
	table->found = neighbours_number(&table->all, n);
	table->found_server = n->server;
}

bool neigh_next_found(struct neigh_table *table, unsigned *ret)
{
	struct neighbour *n;

	if (table->found == NEIGH_NONE)
		return false;
	*ret = table->found_server;
	table->found_server = table->all.next_server[table->found_server];
	if (table->found_server != NEIGH_NONE)
		return true;
	n = &table->all.items[table->found];
	n->is_found = false;
	table->found = n->found;
	if (table->found != NEIGH_NONE)
		table->found_server = table->all.items[table->found].server;
	return true;
}

struct sighting neigh_place(const struct neigh_table *table, unsigned server)
{
	const struct neighbour *n = neighbours_of(&table->all, server);

	return (struct sighting){.ip = n->address, .hop = n->hop, .overrides = true};
}

/* Sets the neighbour's place. */
static void settle_at(struct neigh_table *table, struct neighbour *n, const struct hop *hop,
                      lb_time now)
{
	n->hop = *hop;
	n->state = NEIGH_KNOWN;
	n->heard = now;
	n->claimed = false;
	end_search(table, n);
	waiting_release(&table->waiting, neighbours_number(&table->all, n));
	note_found(table, n);
}

static void move(struct neigh_table *table, struct neighbour *n, const struct hop *hop, lb_time now)
{
	note_event(table, n, true, hop);
	settle_at(table, n, hop, now);
}

/* But for the priority in its tag, which may differ from frame to frame. */
static bool is_same_place(const struct hop *a, const struct hop *b)
{
	return mac_eq(&a->mac, &b->mac) && a->side == b->side && a->ntags == b->ntags &&
	       hop_shares_vlan(a, b);
}

/* Notes a claim that the neighbour is elsewhere, and has it asked where it is known to be: at once
 * or, if it has just answered, later. */
static void claim(struct neigh_table *table, struct neighbour *n, const struct hop *hop)
{
	bool is_first = !n->doubted.ns;

	if (!table->leads)
		return;
	n->claimed = true;
	n->other = *hop;
	ask_again(table, n, (lb_time){is_first ? 0 : n->doubted.ns + NEIGH_CALM_MS * LB_NS_PER_MS});
}

static void hear(struct neigh_table *table, struct neighbour *n, const struct sighting *sighting,
                 lb_time now)
{
	if (n->state == NEIGH_UNKNOWN) {
		settle_at(table, n, &sighting->hop, now);
	} else if (is_same_place(&n->hop, &sighting->hop)) {
		if (n->claimed)
			note_event(table, n, false, &n->other);
		settle_at(table, n, &sighting->hop, now);
	} else if (n->state == NEIGH_LOST) {
		move(table, n, &sighting->hop, now);
	} else if (sighting->overrides) {
		claim(table, n, &sighting->hop);
	} else {
		n->heard = (lb_time){0}; /* stale: RFC 4861, 7.2.5 */
	}
}

bool neigh_sighted(struct neigh_table *table, const struct sighting *sighting, lb_time now)
{
	bool any = false;

	if (!mac_is_host(&sighting->hop.mac))
		return false;
	for (uint32_t i = *neighbours_place(&table->all, sighting->ip); i != NEIGH_NONE;
	     i = table->all.items[i].same) {
		struct neighbour *n = &table->all.items[i];

		if (!be32_eq(n->address, sighting->ip) ||
		    !neighbours_may_be_at(&table->all, n, &sighting->hop))
			continue;
		hear(table, n, sighting, now);
		any = true;
	}
	return any;
}

void neigh_placed(struct neigh_table *table, const struct sighting *place, lb_time now)
{
	for (uint32_t i = *neighbours_place(&table->all, place->ip); i != NEIGH_NONE;
	     i = table->all.items[i].same) {
		struct neighbour *n = &table->all.items[i];

		if (be32_eq(n->address, place->ip) &&
		    neighbours_may_be_at(&table->all, n, &place->hop))
			settle_at(table, n, &place->hop, now);
	}
}

/* ---- What is asked ---- */

/* If the neighbour must be asked before it is used: it hasn't been heard of for long, or was
 * declared stale, and hasn't been asked just now. */
static bool is_stale(const struct neighbour *n, lb_time now)
{
	return now.ns - n->heard.ns > NEIGH_STALE_S * LB_NS_PER_S &&
	       now.ns - n->doubted.ns >= NEIGH_CALM_MS * LB_NS_PER_MS;
}

const struct hop *neigh_find(struct neigh_table *table, unsigned server, lb_time now)
{
	struct neighbour *n = neighbours_of(&table->all, server);

	if (n->state == NEIGH_UNKNOWN)
		return NULL;
	if (!n->fixed && n->search == SEARCH_NONE && is_stale(n, now))
		ask_again(table, n, now);
	return &n->hop;
}

const struct hop *neigh_known(const struct neigh_table *table, unsigned server)
{
	const struct neighbour *n = neighbours_of(&table->all, server);

	return n->state == NEIGH_UNKNOWN ? NULL : &n->hop;
}

bool neigh_is_there(const struct neigh_table *table, unsigned server)
{
	return neighbours_of(&table->all, server)->state == NEIGH_KNOWN;
}

void neigh_doubt(struct neigh_table *table, unsigned server, lb_time now)
{
	struct neighbour *n = neighbours_of(&table->all, server);

	if (n->fixed || n->search != SEARCH_NONE ||
	    (n->state == NEIGH_KNOWN && now.ns - n->heard.ns < NEIGH_CALM_MS * LB_NS_PER_MS))
		return;
	ask_again(table, n, now);
}

static void fill_question(const struct neigh_table *table, const struct neighbour *n,
                          struct neigh_question *ret)
{
	const struct rules_server *rule = &table->all.rules->servers[n->asker];
	const struct rules_farm *farm = &table->all.rules->farms[rule->farm];

	*ret = (struct neigh_question){.sender = farm->nsnat ? farm->snat[0] : farm->vip,
	                               .target = n->address,
	                               .vlan = rule->vlan,
	                               .sides = way_search(table->all.rules, n->server, n->tries),
	                               .is_direct = n->search == SEARCH_DIRECT,
	                               .to = n->hop};
}

/* Goes on when nobody has answered the last request of a search: asks everybody, or declares the
 * neighbour lost. */
static void give_up(struct neigh_table *table, struct neighbour *n, lb_time now)
{
	if (n->search == SEARCH_ALL) {
		end_search(table, n);
		table->counts.lost +=
		        waiting_drop(&table->waiting, neighbours_number(&table->all, n));
	} else if (n->claimed) {
		move(table, n, &n->other, now);
	} else {
		n->state = NEIGH_LOST;
		search(table, n, SEARCH_ALL, now);
	}
}

bool neigh_next_question(struct neigh_table *table, lb_time now, struct neigh_question *ret)
{
	while (least_number(table->all.timers) <= now.ns &&
	       pace_take(&table->pace, NEIGH_PER_MS, now)) {
		struct neighbour *n = &table->all.items[least_first(table->all.timers)];
		unsigned ms = n->search == SEARCH_DIRECT ? NEIGH_DIRECT_MS : NEIGH_RETRY_MS;

		if (n->tries >= NEIGH_TRIES) {
			give_up(table, n, now);
			continue;
		}
		fill_question(table, n, ret);
		n->tries++;
		if (n->search == SEARCH_DIRECT)
			n->doubted = now;
		least_set(table->all.timers, neighbours_number(&table->all, n),
		          now.ns + ms * LB_NS_PER_MS);
		return true;
	}
	return false;
}

lb_time neigh_due(const struct neigh_table *table)
{
	return pace_due(&table->pace, (lb_time){least_number(table->all.timers)});
}

const struct neigh_counts *neigh_counts(const struct neigh_table *table)
{
	return &table->counts;
}
