/*
 * Who of a farm's servers may take a connection, and the order in which they are next.
 *
 * The order is one comparison: the server with the least load is next, and among equals the one
 * whose turn is earliest. The schedulers differ in what counts (RULES_SCHEDULERS): load is
 * connections for the weight (wlc), connections (lc), or nothing (wrr, rr); a connection that is
 * being closed doesn't count. Turns are virtual time: a connection moves its server's turn on by
 * 1/weight (rr and lc: by 1), so that turns rotate in proportion to the weights; they begin
 * staggered, so that a heavy server's turns are spread between the others'. A server that was left
 * out for a while resumes at the farm's present time rather than collecting the turns that it
 * missed (start-time fair queueing, Goyal, Vin and Cheng 1996).
 *
 * So the servers that may take connections are kept in a heap, the next one on top: a choice is
 * O(1), and what changes one server's load or turn moves it by O(log n). Which servers these are,
 * and their shares while one ramps up, changes seldom: then the heap is made anew.
 *
 * Schedulers that choose otherwise than by this order are in pick.c, as is the choice itself.
 */
#include "sched.h"

/*
 * The turn of weight 1. Fine enough for weights up to 100 and for turns that begin staggered; and
 * coarse enough that turns can still be compared when a server has been out for 2^42 connections.
 */
#define SCHED_TURN (1u << 20)

static bool is_weighted(const struct rules_farm *farm)
{
#define BY_WEIGHT(enumerator, word, by_load, by_weight) [enumerator] = (by_weight),
	static const bool by_weight[] = {RULES_SCHEDULERS(BY_WEIGHT)};
#undef BY_WEIGHT

	return by_weight[farm->scheduler];
}

static bool is_by_load(const struct rules_farm *farm)
{
#define BY_LOAD(enumerator, word, by_load, by_weight) [enumerator] = (by_load),
	static const bool by_load[] = {RULES_SCHEDULERS(BY_LOAD)};
#undef BY_LOAD

	return by_load[farm->scheduler];
}

static unsigned weight_of(const struct sched *sched, unsigned server)
{
	const struct rules_server *rule = &sched->rules->servers[server];

	return is_weighted(&sched->rules->farms[rule->farm]) ? rule->weight : 1;
}

/* The turn, of n, at which the i-th server of a farm begins: another one in each worker, so that
 * not all workers begin with the same server. */
static unsigned first_turn(const struct share *share, unsigned i, unsigned n)
{
	return (i + n - share->worker % n) % n;
}

void sched_lay_out(struct sched *sched, struct arena *arena, const struct rules *rules,
                   const struct share *share, const struct health *health)
{
	sched->rules = rules;
	sched->share = share;
	sched->health = health;
	sched->servers = arena_take(arena, rules->nservers, sizeof(*sched->servers));
	sched->turns = arena_take(arena, rules->nfarms, sizeof(*sched->turns));
	sched->farms = arena_take(arena, rules->nfarms, sizeof(*sched->farms));
	sched->heap = arena_take(arena, rules->nservers, sizeof(*sched->heap));
	if (!sched->servers)
		return;
	memset(sched->servers, 0, rules->nservers * sizeof(*sched->servers));
	memset(sched->turns, 0, rules->nfarms * sizeof(*sched->turns));
	memset(sched->farms, 0, rules->nfarms * sizeof(*sched->farms));
	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct rules_farm *farm = &rules->farms[rules->servers[s].farm];
		struct sched_server *state = &sched->servers[s];

		state->step = weight_of(sched, s) ? SCHED_TURN / weight_of(sched, s) : 0;
		sched->farms[rules->servers[s].farm].draws = (uint64_t)share->worker << 48;
		state->turn = (uint64_t)state->step / farm->nservers *
		              first_turn(share, s - farm->server, farm->nservers);
	}
}

bool sched_is_in_state(const struct sched *sched, unsigned server, enum rules_state state)
{
	const struct rules_server *rule = &sched->rules->servers[server];

	return rule->state == state && rule->weight > 0 && health_takes(sched->health, server);
}

static bool any_in_state(const struct sched *sched, unsigned farm, enum rules_state state)
{
	const struct rules_farm *rule = &sched->rules->farms[farm];

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++)
		if (sched_is_in_state(sched, s, state))
			return true;
	return false;
}

enum rules_state sched_state_in_charge(const struct sched *sched, unsigned farm)
{
	if (any_in_state(sched, farm, STATE_ACTIVE))
		return STATE_ACTIVE;
	return any_in_state(sched, farm, STATE_STANDBY) ? STATE_STANDBY : STATE_LAST_RESORT;
}

bool sched_may_take(const struct sched *sched, unsigned server)
{
	if (sched_is_in_state(sched, server, STATE_ACTIVE))
		return true;
	return sched_is_in_state(sched, server,
	                         sched_state_in_charge(sched, sched->rules->servers[server].farm));
}

bool sched_is_up(const struct sched *sched, unsigned farm)
{
	return any_in_state(sched, farm, sched_state_in_charge(sched, farm));
}

static const struct agent *agent_of(const struct sched *sched, unsigned server)
{
	return &sched->health->servers[server].agent;
}

/* The percentage of n that the server's agent says, but at least 1. */
static uint32_t part_of(const struct sched *sched, unsigned server, uint32_t n)
{
	const uint32_t part = n * agent_of(sched, server)->percent / AGENT_PERCENT_MAX;

	return part ? part : 1;
}

static uint32_t limit_of(const struct sched *sched, unsigned server)
{
	const uint32_t says = agent_of(sched, server)->max_connections;
	uint32_t most = sched->rules->servers[server].max_connections;

	if (says && (!most || says < most))
		most = says;
	return most ? share_of_limit(sched->share, most) : UINT32_MAX;
}

bool sched_is_full(const struct sched *sched, unsigned server)
{
	return sched->servers[server].connections >= limit_of(sched, server);
}

bool sched_has_room(const struct sched *sched, unsigned server)
{
	return sched_may_take(sched, server) &&
	       (!sched_is_full(sched, server) || sched->servers[server].half_open);
}

/* Half-open connections that are no few: with less than these a newcomer may as well be refused, as
 * those who have just begun are as likely honest. */
enum { SCHED_CROWD = 16 };

bool sched_is_crowded(const struct sched *sched, unsigned server)
{
	const struct sched_server *state = &sched->servers[server];

	return state->half_open >= SCHED_CROWD &&
	       state->half_open >= state->connections - state->half_open;
}

static struct heap heap_of(struct sched *sched, unsigned farm)
{
	const struct rules_farm *rule = &sched->rules->farms[farm];

	return (struct heap){sched->servers, sched->heap + rule->server, sched->farms[farm].n,
	                     is_by_load(rule)};
}

/* Moves the server to its place in the heap after its rank or turn has changed: sooner says if it
 * comes earlier than before. */
static void move(struct sched *sched, unsigned server, bool sooner)
{
	const unsigned farm = sched->rules->servers[server].farm;
	const struct heap heap = heap_of(sched, farm);
	unsigned place = sched->servers[server].place;

	if (!sched->farms[farm].is_made || place == SERVER_NONE)
		return;
	sched->servers[server].rank = heap_rank(&heap, &sched->servers[server]);
	place = sooner ? heap_rise(&heap, place, (uint16_t)server)
	               : heap_sink(&heap, place, (uint16_t)server);
	heap_put(&heap, place, (uint16_t)server);
}

/* Puts a server into the heap that may take connections now. */
static void enter(struct sched *sched, unsigned f, unsigned server, lb_time now)
{
	struct sched_farm *farm = &sched->farms[f];
	struct sched_server *state = &sched->servers[server];
	const struct heap heap = heap_of(sched, f);
	lb_time until = health_ramp_until(sched->health, server, now);

	state->step = SCHED_TURN / weight_of(sched, server);
	if (is_weighted(&sched->rules->farms[f]))
		state->step = state->step * AGENT_PERCENT_MAX / agent_of(sched, server)->percent;
	state->share = part_of(sched, server,
	                       weight_of(sched, server) * health_ramp(sched->health, server, now));
	state->limit = limit_of(sched, server);
	state->rank = heap_rank(&heap, state);
	if (until.ns < farm->until.ns)
		farm->until = until;
	heap_put(&heap, heap_rise(&heap, farm->n, (uint16_t)server), (uint16_t)server);
	farm->n++;
}

static void make_heap(struct sched *sched, unsigned f, lb_time now)
{
	const struct rules_farm *rule = &sched->rules->farms[f];
	enum rules_state state = sched_state_in_charge(sched, f);

	sched->farms[f] = (struct sched_farm){.changes = sched->health->changes,
	                                      .until = {UINT64_MAX},
	                                      .draws = sched->farms[f].draws,
	                                      .is_made = true};
	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++) {
		sched->servers[s].place = SERVER_NONE;
		if (sched_is_in_state(sched, s, state))
			enter(sched, f, s, now);
	}
}

struct heap sched_heap(struct sched *sched, unsigned f, lb_time now)
{
	const struct sched_farm *farm = &sched->farms[f];

	if (!farm->is_made || farm->changes != sched->health->changes || now.ns >= farm->until.ns)
		make_heap(sched, f, now);
	return heap_of(sched, f);
}

void sched_answered(struct sched *sched, unsigned server, uint64_t ns, lb_time now)
{
	fastest_note(&sched->servers[server].answers, ns, now);
}

void sched_opened(struct sched *sched, unsigned server)
{
	struct sched_server *state = &sched->servers[server];
	uint64_t *now = &sched->turns[sched->rules->servers[server].farm];

	state->connections++;
	state->half_open++;
	state->load++;
	state->connections_total++;
	if ((int64_t)(state->turn - *now) > 0)
		*now = state->turn;
	state->turn = *now + state->step;
	/* a full server that had no half-open connection has one now, which would make room */
	move(sched, server, state->rank == HEAP_RANK_NEVER);
}

void sched_half_open_no_more(struct sched *sched, unsigned server)
{
	struct sched_server *state = &sched->servers[server];

	state->half_open--;
	if (!state->half_open && heap_is_full(state))
		move(sched, server, false);
}

void sched_adopt(struct sched *sched, unsigned server, bool is_load)
{
	struct sched_server *state = &sched->servers[server];

	state->connections++;
	state->load += is_load;
	state->connections_total++;
	sched->farms[sched->rules->servers[server].farm].is_made = false;
}

void sched_closing(struct sched *sched, unsigned server)
{
	sched->servers[server].load--;
	move(sched, server, true);
}

void sched_closed(struct sched *sched, unsigned server, bool was_load)
{
	sched->servers[server].connections--;
	sched->servers[server].load -= was_load;
	move(sched, server, true);
}

void sched_revived(struct sched *sched, unsigned server, bool was_load)
{
	sched->servers[server].connections++;
	sched->servers[server].load += was_load;
	move(sched, server, false);
}

void sched_inherit(struct sched *sched, unsigned to, const struct sched *old, unsigned from)
{
	sched->servers[to].connections += old->servers[from].connections;
	sched->servers[to].half_open += old->servers[from].half_open;
	sched->servers[to].load += old->servers[from].load;
	sched->servers[to].flows += old->servers[from].flows;
	sched->servers[to].connections_total += old->servers[from].connections_total;
	sched->servers[to].answers = old->servers[from].answers;
	sched->farms[sched->rules->servers[to].farm].is_made = false;
}

void sched_reassign(struct sched *sched, unsigned from, unsigned to, bool is_live,
                    bool is_half_open, bool is_load)
{
	struct sched_server *left = &sched->servers[from], *right = &sched->servers[to];

	left->flows--;
	right->flows++;
	left->connections -= is_live;
	right->connections += is_live;
	left->half_open -= is_half_open;
	right->half_open += is_half_open;
	left->load -= is_load;
	right->load += is_load;
	sched->farms[sched->rules->servers[from].farm].is_made = false;
	sched->farms[sched->rules->servers[to].farm].is_made = false;
}

void sched_recall(struct sched *sched, unsigned server, uint64_t turn, uint64_t farm_turn)
{
	const unsigned farm = sched->rules->servers[server].farm;

	sched->servers[server].turn = turn;
	sched->turns[farm] = farm_turn;
	sched->farms[farm].is_made = false;
}
