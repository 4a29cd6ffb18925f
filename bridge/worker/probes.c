/*
 * All probes.
 *
 * The first ones leave at once, or as fast as probes may (PROBES_PER_MS); the following are spread
 * over the interval.
 *
 * They come from RULES_PROBE_PORTS source ports in turn, which flows never get. Farms may have a
 * SNAT address and a server in common: their probes of one port don't use the same source port at a
 * time, and who finds none free waits.
 *
 * Servers that are disabled, or gone from the rules, have probes too, which begin only while these
 * have flows: whose end is the farm's on_down.
 *
 * An event costs the same however many probes there are: which is due next says a heap by time, and
 * to which one an answer belongs its origin (origins.c).
 */
#include "probes.h"

#include "../process/least.h"
#include "origins.h"
#include "pace.h"

#include <stdatomic.h>
#include <stdlib.h>

#define PROBE_NONE UINT32_MAX

enum {
	PROBES_ROOMS = 256,    /* answers that come in pieces, at a time */
	PROBES_BUSY_MS = 10,   /* until one that found no port of ours looks again */
	PROBES_AGAIN_MS = 100, /* from one to the next of a suspect: the least check_interval */
};

struct probes {
	struct probe_world world;
	struct hash_key key;
	struct probe *probes;
	uint32_t n;
	struct least *timers;   /* by probe: when it is due, in ns */
	uint32_t *first;        /* by rules.servers[]: its first check's probe, or PROBE_NONE */
	atomic_bool *has_flows; /* by rules.servers[]: see probes_note_flows() */
	struct origins *origins;
	uint32_t *origin; /* by probe */
	uint32_t *was;    /* by probe: which one of probes_trace()'s it is, or PROBE_NONE */
	struct pace pace; /* of events */
};

static unsigned nprobes_of(const struct rules *rules, unsigned server)
{
	return rules_probes(&rules->farms[rules->servers[server].farm]);
}

/* If the probe's server is probed now. */
static bool is_wanted(const struct probes *probes, unsigned server)
{
	return !rules_is_left(&probes->world.rules->servers[server]) ||
	       atomic_load(&probes->has_flows[server]);
}

/* ---- Finding one ---- */

/* What a server's answer to the probe arrives with, but for our port. */
static struct tuple arrival_of(const struct probes *probes, const struct probe *probe)
{
	const struct rules *rules = probes->world.rules;

	return (struct tuple){.src = probe_server(rules, probe),
	                      .dst = probe_own_address(rules, probe),
	                      .sport = probe_server_port(rules, probe)};
}

static uint32_t number_of(const struct probes *probes, const struct probe *probe)
{
	return (uint32_t)(probe - probes->probes);
}

/* The one that uses our port now or did so last, or else any of this arrival. */
static struct probe *find(const struct probes *probes, const struct tuple *arrival)
{
	const uint32_t origin = origins_find(probes->origins, arrival);

	return origin == ORIGINS_NONE
	               ? NULL
	               : &probes->probes[origins_user(probes->origins, origin, arrival->dport)];
}

static struct probe *probe_of(const struct probes *probes, unsigned server, unsigned check)
{
	uint32_t first = probes->n ? probes->first[server] : PROBE_NONE;

	return first == PROBE_NONE ? NULL : &probes->probes[first + check];
}

/* ---- Beginning and end ---- */

static uint32_t count(const struct rules *rules)
{
	uint32_t n = 0;

	for (unsigned s = 0; s < rules->nservers; s++)
		n += nprobes_of(rules, s);
	return n;
}

static void add(struct probes *probes, unsigned server, unsigned check, uint32_t n, lb_time now)
{
	uint32_t i = probes->n++;
	struct probe *probe = &probes->probes[i];
	struct tuple arrival;

	*probe = (struct probe){.server = (uint16_t)server,
	                        .check = (uint16_t)check,
	                        .phase = (uint32_t)(((uint64_t)i << 32) / n),
	                        .next = now};
	arrival = arrival_of(probes, probe);
	probes->origin[i] = origins_add(probes->origins, &arrival, i);
	least_note(probes->timers, i, now.ns);
}

static void add_all(struct probes *probes, uint32_t n, lb_time now)
{
	const struct rules *rules = probes->world.rules;

	for (unsigned s = 0; s < rules->nservers; s++) {
		unsigned nchecks = nprobes_of(rules, s);

		probes->first[s] = nchecks ? probes->n : PROBE_NONE;
		for (unsigned c = 0; c < nchecks; c++)
			add(probes, s, c, n, now);
	}
	least_order(probes->timers);
}

/* If a check expects answers, which may come in pieces. */
static bool needs_rooms(const struct rules *rules)
{
	bool any = rules->nscripts;

	for (unsigned f = 0; f < rules->nfarms && !any; f++)
		any = rules_has_agent(&rules->farms[f]);
	return any;
}

/* Takes the memory for n probes. False if there isn't enough. */
static bool take_memory(struct probes *probes, uint32_t n)
{
	probes->probes = calloc(n + 1u, sizeof(*probes->probes));
	probes->origin = calloc(n + 1u, sizeof(*probes->origin));
	probes->was = malloc((n + 1u) * sizeof(*probes->was));
	probes->origins = origins_new(n, &probes->key);
	probes->first = calloc(probes->world.rules->nservers + 1u, sizeof(*probes->first));
	probes->has_flows = calloc(probes->world.rules->nservers + 1u, sizeof(*probes->has_flows));
	probes->timers = least_new(n);
	probes->world.rooms = chat_rooms_new(needs_rooms(probes->world.rules) ? PROBES_ROOMS : 0);
	if (probes->was)
		memset(probes->was, 0xff, (n + 1u) * sizeof(*probes->was)); /* PROBE_NONE */
	return probes->probes && probes->origin && probes->was && probes->origins &&
	       probes->first && probes->has_flows && probes->timers && probes->world.rooms;
}

struct probes *probes_new(const struct rules *rules, const struct share *share,
                          const struct health *health, struct neigh_table *neigh,
                          const struct hash_key *key, lb_time now)
{
	struct probes *probes = calloc(1, sizeof(*probes));
	uint32_t n = share->worker ? 0 : count(rules);

	if (!probes)
		return NULL;
	*probes = (struct probes){.world = {.rules = rules, .health = health, .neigh = neigh},
	                          .key = *key};
	if (!take_memory(probes, n)) {
		probes_free(probes);
		return NULL;
	}
	if (n)
		add_all(probes, n, now);
	return probes;
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	least_free(probes->timers);
	chat_rooms_free(probes->world.rooms);
	origins_free(probes->origins);
	free(probes->origin);
	free(probes->was);
	free(probes->has_flows);
	free(probes->first);
	free(probes->probes);
	free(probes);
}

static const struct rules_server *rule_of(const struct probes *probes, const struct probe *probe)
{
	return &probes->world.rules->servers[probe->server];
}

/* If both are the same check, by their own rules, from the same address. */
static bool is_same(const struct probes *a, const struct probe *pa, const struct probes *b,
                    const struct probe *pb)
{
	const struct tuple arrivals[] = {arrival_of(a, pa), arrival_of(b, pb)};

	return tuple_eq(&arrivals[0], &arrivals[1]) &&
	       script_eq(probe_script(a->world.rules, pa), probe_script(b->world.rules, pb));
}

/* The old one of this probe, or PROBE_NONE: of the server who had the flows of this one's. */
static uint32_t find_old(const struct probes *old, const struct probes *probes,
                         const struct probe *probe)
{
	const struct rules_server *rule = rule_of(probes, probe);
	const unsigned was = rule->was - 1u;

	if (!rule->is_heir || !rule->was)
		return PROBE_NONE;
	for (unsigned c = 0; c < nprobes_of(old->world.rules, was); c++) {
		const struct probe *before = probe_of(old, was, c);

		if (before && is_same(old, before, probes, probe))
			return number_of(old, before);
	}
	return PROBE_NONE;
}

/* Notes that the probe, which has a conversation, has its port, whoever had it before. */
static void note_port(struct probes *probes, const struct probe *probe)
{
	const uint32_t i = number_of(probes, probe), origin = probes->origin[i];
	const uint32_t last = origins_last(probes->origins, origin, probe->port);

	if (last == ORIGINS_NONE || !probe_rests(probe))
		origins_use(probes->origins, origin, probe->port, i);
}

/* Takes over the old probe's conversation. */
static void take_over(struct probes *probes, struct probe *probe, struct probe *old)
{
	const struct probe own = *probe;

	*probe = *old;
	probe->server = own.server;
	probe->check = own.check;
	probe->phase = own.phase;
	old->chat = (struct chat){.state = CHAT_OVER};
	least_note(probes->timers, number_of(probes, probe), probe_due(&probes->world, probe).ns);
	if (probe->has_begun)
		note_port(probes, probe);
}

/* Conversations that went over have their answers in the rooms of old, if that has any. */
static void take_rooms(struct probes *probes, struct probes *old)
{
	struct chat_rooms *rooms = probes->world.rooms;

	for (uint32_t i = 0; i < old->n; i++)
		probe_drop(&old->world, &old->probes[i]);
	if (!needs_rooms(old->world.rules))
		return;
	probes->world.rooms = old->world.rooms;
	old->world.rooms = rooms;
}

/* Which server's, and which check's, it is doesn't change while a probe is there. */
void probes_trace(struct probes *probes, const struct probes *old)
{
	for (uint32_t i = 0; i < probes->n; i++) {
		const struct probe *probe = &probes->probes[i];
		const uint32_t was = find_old(old, probes, probe);

		/* one who comes back is probed at once */
		if (was != PROBE_NONE && (rules_is_left(rule_of(probes, probe)) ||
		                          !rules_is_left(rule_of(old, &old->probes[was]))))
			probes->was[i] = was;
	}
}

void probes_inherit(struct probes *probes, struct probes *old)
{
	for (uint32_t i = 0; i < probes->n; i++)
		if (probes->was[i] != PROBE_NONE)
			take_over(probes, &probes->probes[i], &old->probes[probes->was[i]]);
	least_order(probes->timers);
	take_rooms(probes, old);
	probes->pace = old->pace;
}

/* ---- What happens to them ---- */

static void set_timer(struct probes *probes, const struct probe *probe)
{
	least_set(probes->timers, number_of(probes, probe), probe_due(&probes->world, probe).ns);
}

static be16 port_of(uint32_t round)
{
	return be16_from((uint16_t)(RULES_PROBE_PORT + round % RULES_PROBE_PORTS));
}

/* If another one with the same addresses, and the same port of the server, has this one now. */
static bool is_taken(const struct probes *probes, const struct probe *probe, be16 port)
{
	const uint32_t i = number_of(probes, probe);
	const uint32_t last = origins_last(probes->origins, probes->origin[i], port);
	const struct probe *other = last == ORIGINS_NONE ? NULL : &probes->probes[last];

	return other && other != probe && !probe_rests(other) && be16_eq(other->port, port);
}

/* Goes on to the next round whose port is free; false if none is. */
static bool find_port(const struct probes *probes, struct probe *probe)
{
	for (unsigned i = 0; i < RULES_PROBE_PORTS; i++, probe->round++)
		if (!is_taken(probes, probe, port_of(probe->round)))
			return true;
	return false;
}

/* From the next port in turn, with a sequence number that goes with it. */
static void begin(struct probes *probes, struct probe *probe, lb_time now)
{
	struct tuple place = arrival_of(probes, probe);

	if (!find_port(probes, probe)) {
		probe->next.ns = now.ns + PROBES_BUSY_MS * LB_NS_PER_MS;
		return;
	}
	place.dst = be32_from(probe->round);
	probe_begin(probe, port_of(probe->round), (uint32_t)tuple_hash(&probes->key, &place), now);
	note_port(probes, probe);
}

bool probes_poll(struct probes *probes, lb_time now, struct own_list *out, struct probe_result *ret)
{
	bool ended = false;

	/* what there is no room or time for follows with a later call */
	while (!ended && least_number(probes->timers) <= now.ns &&
	       out->max - out->n >= PROBES_OUT_MAX &&
	       pace_take(&probes->pace, PROBES_PER_MS, now)) {
		struct probe *probe = &probes->probes[least_first(probes->timers)];

		if (probe_rests(probe) && !is_wanted(probes, probe->server))
			probe_pass(&probes->world, probe, now);
		else if (probe_rests(probe))
			begin(probes, probe, now);
		ended = probe_poll(&probes->world, probe, now, out, ret);
		set_timer(probes, probe);
	}
	return ended;
}

void probes_note_flows(struct probes *probes, unsigned server, bool has_flows)
{
	atomic_store(&probes->has_flows[server], has_flows);
}

void probes_told(struct probes *probes, const struct probe_result *result, lb_time now)
{
	struct probe *probe = probe_of(probes, result->server, result->check);

	if (!probe)
		return;
	probe_hurry(&probes->world, probe, now);
	set_timer(probes, probe);
}

void probes_hurry(struct probes *probes, unsigned server, lb_time now)
{
	const unsigned n = nprobes_of(probes->world.rules, server);

	for (unsigned c = 0; c < n && probe_of(probes, server, c); c++) {
		struct probe *probe = probe_of(probes, server, c);
		const uint64_t soonest = probe->chat.began.ns + PROBES_AGAIN_MS * LB_NS_PER_MS;
		const lb_time next = {soonest > now.ns ? soonest : now.ns};

		if (!probe_rests(probe) || probe->next.ns <= next.ns)
			continue;
		probe->next = next;
		set_timer(probes, probe);
	}
}

void probes_found(struct probes *probes, unsigned server, lb_time now)
{
	unsigned nchecks = nprobes_of(probes->world.rules, server);

	for (unsigned c = 0; c < nchecks && probe_of(probes, server, c); c++) {
		struct probe *probe = probe_of(probes, server, c);

		if (probe->chat.state == CHAT_CONNECTS && !probe->chat.tries)
			least_set(probes->timers, number_of(probes, probe), now.ns);
	}
}

bool probes_reply(struct probes *probes, const struct probe_reply *reply, const struct frame *frame,
                  lb_time now, struct own_list *out, struct probe_result *ret)
{
	struct probe *probe = probes->n ? find(probes, &reply->tuple) : NULL;
	bool ended;

	if (!probe || out->max - out->n < PROBES_OUT_MAX)
		return false;
	ended = probe_answer(&probes->world, probe, reply, frame, now, out, ret);
	set_timer(probes, probe);
	return ended;
}

lb_time probes_due(const struct probes *probes)
{
	return pace_due(&probes->pace, (lb_time){least_number(probes->timers)});
}
