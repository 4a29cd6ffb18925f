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
 * where the first answer comes from. Its last place serves meanwhile. So nobody can take away a
 * server that is alive, and one whose card was changed is found without a word from it.
 *
 * Servers of several farms that have an address in common, in the same VLAN, are one neighbour. An
 * event costs the same however many there are: a hash finds them by address, a heap by time.
 */
#include "neigh.h"

#include "own.h"
#include "pace.h"
#include "timers.h"
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

#define NEIGH_NONE UINT32_MAX

enum neigh_state {
	NEIGH_UNKNOWN,
	NEIGH_KNOWN,
	NEIGH_LOST, /* it doesn't answer at its last place */
};

enum neigh_search {
	SEARCH_NONE,
	SEARCH_DIRECT, /* it is asked itself */
	SEARCH_ALL,    /* everybody is asked */
};

struct neighbour {
	be32 address;
	uint16_t vlan;  /* rules_server_vlan() */
	uint8_t state;  /* enum neigh_state */
	uint8_t search; /* enum neigh_search */
	uint8_t tries;  /* requests sent in this search */
	bool fixed;     /* by lb.ini */
	bool claimed;   /* to be at other */
	bool is_found;  /* on the list of those that neigh_next_found() tells */
	struct hop hop, other;
	lb_time heard;   /* it was where it is known to be */
	lb_time doubted; /* it was asked itself last */
	uint32_t server; /* the first of its servers */
	uint32_t same;   /* the next neighbour of the same hash */
	uint32_t found;  /* the next one on that list */
};

struct neigh_table {
	const struct rules *rules;
	bool leads;
	struct neighbour *neighbours;
	uint32_t n;
	struct timers *timers; /* by neighbour: its next question */
	uint32_t *of;          /* by rules.servers[]: its neighbour */
	uint32_t
	        *next_server; /* by rules.servers[]: the next one of its neighbour, or NEIGH_NONE */
	uint32_t *hashed;     /* the first neighbour of each hash, or NEIGH_NONE */
	uint32_t mask;
	uint32_t found;         /* the first neighbour of those found, or NEIGH_NONE */
	uint32_t found_server;  /* of it, the next server to be told */
	struct pace pace;       /* of questions */
	struct waiting waiting; /* by neighbour */
	struct neigh_event events[NEIGH_EVENTS];
	unsigned event, nevents; /* the oldest, and how many there are */
	struct neigh_counts counts;
};

/* ---- Finding one ---- */

static uint32_t *place_of(const struct neigh_table *table, be32 address)
{
	uint64_t spread = be32_get(address) * 0x9e3779b97f4a7c15ull;

	return &table->hashed[(uint32_t)(spread >> 32) & table->mask];
}

/* The neighbour of exactly that, which isn't fixed, or NEIGH_NONE. */
static uint32_t find(const struct neigh_table *table, be32 address, uint16_t vlan)
{
	uint32_t i = *place_of(table, address);

	while (i != NEIGH_NONE && !(be32_eq(table->neighbours[i].address, address) &&
	                            table->neighbours[i].vlan == vlan))
		i = table->neighbours[i].same;
	return i;
}

static struct neighbour *neighbour_of(const struct neigh_table *table, unsigned server)
{
	return &table->neighbours[table->of[server]];
}

static uint32_t number_of(const struct neigh_table *table, const struct neighbour *n)
{
	return (uint32_t)(n - table->neighbours);
}

/* ---- Searching ---- */

static void search(struct neigh_table *table, struct neighbour *n, enum neigh_search how,
                   lb_time from)
{
	n->search = (uint8_t)how;
	n->tries = 0;
	timers_set(table->timers, number_of(table, n), from);
}

static void end_search(struct neigh_table *table, struct neighbour *n)
{
	n->search = SEARCH_NONE;
	n->tries = 0;
	timers_set(table->timers, number_of(table, n), TIMERS_NEVER);
}

/* Asks it, where it was known to be, or else everybody. What is underway goes on. */
static void ask_again(struct neigh_table *table, struct neighbour *n, lb_time from)
{
	if (!n->fixed && n->search == SEARCH_NONE)
		search(table, n, n->state == NEIGH_KNOWN ? SEARCH_DIRECT : SEARCH_ALL, from);
}

/* ---- Beginning and end ---- */

/* Makes a neighbour for the server, or lets it have that of another one. */
static void add_server(struct neigh_table *table, unsigned s)
{
	const struct rules_server *rule = &table->rules->servers[s];
	uint16_t vlan = rules_server_vlan(table->rules, s);
	const be32 next = way_next(table->rules, s);
	uint32_t i = rule->has_mac ? NEIGH_NONE : find(table, next, vlan);
	struct neighbour *n;

	if (i == NEIGH_NONE) {
		i = table->n++;
		table->neighbours[i] =
		        (struct neighbour){.address = next, .vlan = vlan, .server = NEIGH_NONE};
		if (!rule->has_mac) {
			table->neighbours[i].same = *place_of(table, next);
			*place_of(table, next) = i;
		}
	}
	n = &table->neighbours[i];
	table->of[s] = i;
	table->next_server[s] = NEIGH_NONE;
	if (n->server == NEIGH_NONE) {
		n->server = s;
	} else {
		table->next_server[s] = table->next_server[n->server];
		table->next_server[n->server] = s;
	}
	if (rule->has_mac) {
		n->hop = way_everybody(way_home(table->rules, s), rule->vlan);
		n->hop.mac = rule->mac;
		n->state = NEIGH_KNOWN;
		n->fixed = true;
	} else if (rule->state != STATE_DISABLED && table->leads) {
		n->search = SEARCH_ALL;
	}
}

/* What the searches that have been begun or taken over say of the timers. */
static void set_timers(struct neigh_table *table)
{
	for (uint32_t i = 0; i < table->n; i++)
		timers_note(table->timers, i,
		            table->neighbours[i].search == SEARCH_NONE ? TIMERS_NEVER
		                                                       : (lb_time){0});
	timers_order(table->timers);
}

/* False if there isn't enough. */
static bool take_memory(struct neigh_table *table)
{
	unsigned n = table->rules->nservers;
	uint32_t places = 16;

	while (places < 2 * n)
		places *= 2;
	table->mask = places - 1;
	table->neighbours = calloc(n + 1u, sizeof(*table->neighbours));
	table->of = calloc(n + 1u, sizeof(*table->of));
	table->next_server = calloc(n + 1u, sizeof(*table->next_server));
	table->hashed = malloc(places * sizeof(*table->hashed));
	table->timers = timers_new(n);
	if (!table->neighbours || !table->of || !table->next_server || !table->hashed ||
	    !table->timers)
		return false;
	memset(table->hashed, 0xff, places * sizeof(*table->hashed)); /* NEIGH_NONE */
	return true;
}

struct neigh_table *neigh_new(const struct rules *rules, bool leads)
{
	struct neigh_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->rules = rules;
	table->leads = leads;
	table->found = NEIGH_NONE;
	if (!take_memory(table)) {
		neigh_free(table);
		return NULL;
	}
	for (unsigned s = 0; s < rules->nservers; s++)
		add_server(table, s);
	set_timers(table);
	return table;
}

void neigh_free(struct neigh_table *table)
{
	if (!table)
		return;
	timers_free(table->timers);
	free(table->hashed);
	free(table->next_server);
	free(table->of);
	free(table->neighbours);
	free(table);
}

void neigh_recall(struct neigh_table *table, unsigned server, const struct hop *hop)
{
	struct neighbour *n = neighbour_of(table, server);

	if (n->state != NEIGH_UNKNOWN)
		return;
	n->state = NEIGH_KNOWN;
	n->hop = *hop;
	if (n->search != SEARCH_NONE)
		n->search = SEARCH_DIRECT;
}

static void inherit(struct neighbour *n, const struct neighbour *old)
{
	if (old->state == NEIGH_UNKNOWN)
		return;
	n->state = old->state;
	n->hop = old->hop;
	n->other = old->other;
	n->claimed = old->claimed;
	n->heard = old->heard;
	n->doubted = old->doubted;
	n->search = old->search;
}

void neigh_inherit(struct neigh_table *table, const struct neigh_table *old)
{
	table->counts = old->counts;
	for (uint32_t i = 0; i < table->n; i++) {
		struct neighbour *n = &table->neighbours[i];
		uint32_t o = n->fixed ? NEIGH_NONE : find(old, n->address, n->vlan);

		if (o != NEIGH_NONE)
			inherit(n, &old->neighbours[o]);
	}
	set_timers(table);
}

/* ---- Frames that wait ---- */

void neigh_wait(struct neigh_table *table, unsigned server, const struct frame *frame)
{
	ask_again(table, neighbour_of(table, server), (lb_time){0});
	if (!waiting_put(&table->waiting, table->of[server], frame)) {
		table->counts.lost++;
		return;
	}
	table->counts.waited++;
	if (neighbour_of(table, server)->state != NEIGH_UNKNOWN)
		waiting_release(&table->waiting, table->of[server]);
}

bool neigh_next_ready(struct neigh_table *table, struct frame *ret, const struct hop **ret_hop)
{
	uint32_t i;

	if (!waiting_next(&table->waiting, ret, &i))
		return false;
	*ret_hop = &table->neighbours[i].hop;
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
	table->found = number_of(table, n);
	table->found_server = n->server;
}

bool neigh_next_found(struct neigh_table *table, unsigned *ret)
{
	struct neighbour *n;

	if (table->found == NEIGH_NONE)
		return false;
	*ret = table->found_server;
	table->found_server = table->next_server[table->found_server];
	if (table->found_server != NEIGH_NONE)
		return true;
	n = &table->neighbours[table->found];
	n->is_found = false;
	table->found = n->found;
	if (table->found != NEIGH_NONE)
		table->found_server = table->neighbours[table->found].server;
	return true;
}

struct sighting neigh_place(const struct neigh_table *table, unsigned server)
{
	const struct neighbour *n = neighbour_of(table, server);

	return (struct sighting){.ip = n->address, .hop = n->hop, .overrides = true};
}

/* The neighbour is there from now on. */
static void settle_at(struct neigh_table *table, struct neighbour *n, const struct hop *hop,
                      lb_time now)
{
	n->hop = *hop;
	n->state = NEIGH_KNOWN;
	n->heard = now;
	n->claimed = false;
	end_search(table, n);
	waiting_release(&table->waiting, number_of(table, n));
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
	       hop_vlan(a) == hop_vlan(b);
}

/* Somebody says that it is elsewhere. It is asked, unless it has just answered: then later. */
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
	const uint16_t vlan = hop_vlan(&sighting->hop);
	bool any = false;

	if (mac_is_group(&sighting->hop.mac))
		return false;
	for (uint32_t i = *place_of(table, sighting->ip); i != NEIGH_NONE;
	     i = table->neighbours[i].same) {
		struct neighbour *n = &table->neighbours[i];

		if (!be32_eq(n->address, sighting->ip) || !vlan_matches(n->vlan, vlan))
			continue;
		hear(table, n, sighting, now);
		any = true;
	}
	return any;
}

void neigh_placed(struct neigh_table *table, const struct sighting *place, lb_time now)
{
	const uint16_t vlan = hop_vlan(&place->hop);

	for (uint32_t i = *place_of(table, place->ip); i != NEIGH_NONE;
	     i = table->neighbours[i].same)
		if (be32_eq(table->neighbours[i].address, place->ip) &&
		    vlan_matches(table->neighbours[i].vlan, vlan))
			settle_at(table, &table->neighbours[i], &place->hop, now);
}

/* ---- What is asked ---- */

const struct hop *neigh_find(struct neigh_table *table, unsigned server, lb_time now)
{
	struct neighbour *n = neighbour_of(table, server);

	if (n->state == NEIGH_UNKNOWN)
		return NULL;
	if (!n->fixed && n->search == SEARCH_NONE &&
	    now.ns - n->heard.ns > NEIGH_STALE_S * LB_NS_PER_S)
		ask_again(table, n, now);
	return &n->hop;
}

const struct hop *neigh_known(const struct neigh_table *table, unsigned server)
{
	const struct neighbour *n = neighbour_of(table, server);

	return n->state == NEIGH_UNKNOWN ? NULL : &n->hop;
}

bool neigh_is_there(const struct neigh_table *table, unsigned server)
{
	return neighbour_of(table, server)->state == NEIGH_KNOWN;
}

void neigh_doubt(struct neigh_table *table, unsigned server, lb_time now)
{
	struct neighbour *n = neighbour_of(table, server);

	if (n->fixed || n->search != SEARCH_NONE ||
	    (n->state == NEIGH_KNOWN && now.ns - n->heard.ns < NEIGH_CALM_MS * LB_NS_PER_MS))
		return;
	ask_again(table, n, now);
}

static void fill_question(const struct neigh_table *table, const struct neighbour *n,
                          struct neigh_question *ret)
{
	const struct rules_server *rule = &table->rules->servers[n->server];
	const struct rules_farm *farm = &table->rules->farms[rule->farm];

	*ret = (struct neigh_question){.sender = farm->nsnat ? farm->snat[0] : farm->vip,
	                               .target = n->address,
	                               .vlan = rule->vlan,
	                               .sides = way_search(table->rules, n->server, n->tries),
	                               .is_direct = n->search == SEARCH_DIRECT,
	                               .to = n->hop};
}

/* Nobody has answered to the last question either: what follows. */
static void give_up(struct neigh_table *table, struct neighbour *n, lb_time now)
{
	if (n->search == SEARCH_ALL) {
		end_search(table, n);
		table->counts.lost += waiting_drop(&table->waiting, number_of(table, n));
	} else if (n->claimed) {
		move(table, n, &n->other, now);
	} else {
		n->state = NEIGH_LOST;
		search(table, n, SEARCH_ALL, now);
	}
}

bool neigh_next_question(struct neigh_table *table, lb_time now, struct neigh_question *ret)
{
	while (timers_due(table->timers).ns <= now.ns &&
	       pace_take(&table->pace, NEIGH_PER_MS, now)) {
		struct neighbour *n = &table->neighbours[timers_first(table->timers)];
		unsigned ms = n->search == SEARCH_DIRECT ? NEIGH_DIRECT_MS : NEIGH_RETRY_MS;

		if (n->tries >= NEIGH_TRIES) {
			give_up(table, n, now);
			continue;
		}
		fill_question(table, n, ret);
		n->tries++;
		if (n->search == SEARCH_DIRECT)
			n->doubted = now;
		timers_set(table->timers, number_of(table, n),
		           (lb_time){now.ns + ms * LB_NS_PER_MS});
		return true;
	}
	return false;
}

lb_time neigh_due(const struct neigh_table *table)
{
	return pace_due(&table->pace, timers_due(table->timers));
}

const struct neigh_counts *neigh_counts(const struct neigh_table *table)
{
	return &table->counts;
}
