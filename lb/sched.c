/*
 * The schedulers.
 *
 * All but `source` are one comparison: the server with the least load is next, and among equals the
 * one whose turn is earliest. Load is connections for the weight (wlc), connections (lc), or
 * nothing (wrr, rr); a connection that is being closed doesn't count. Turns are virtual time: a
 * connection moves its server's turn on by 1/weight (rr and lc: by 1), so that turns rotate in
 * proportion to the weights; they begin staggered, so that a heavy server's turns are spread
 * between the others'. A server that was left out for a while resumes at the farm's present time
 * rather than collecting the turns that it missed (start-time fair queueing, Goyal, Vin and Cheng
 * 1996).
 *
 * `source` is rendezvous hashing (Thaler and Ravishankar 1998) of the client's and the server's
 * addresses, so that the loss of a server moves only its own clients; weights enter as in
 * Schindelhauer and Schomaker 2005: the greatest log(hash) / weight wins. It is not keyed: two
 * boxes, and the same box after a restart, shall agree.
 */
#include "sched.h"

#include "tuple.h"

#define SCHED_TURN (1ull << 32) /* of weight 1 */

static bool is_weighted(const struct rules_farm *farm)
{
	return farm->scheduler == SCHED_WLC || farm->scheduler == SCHED_WRR;
}

static bool is_by_load(const struct rules_farm *farm)
{
	return farm->scheduler == SCHED_WLC || farm->scheduler == SCHED_LC;
}

static unsigned weight_of(const struct sched *sched, unsigned server)
{
	const struct rules_server *rule = &sched->rules->servers[server];

	return is_weighted(&sched->rules->farms[rule->farm]) ? rule->weight : 1;
}

/* At which turn of n the server begins that is the farm's i-th: each worker's first is another. */
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
	if (!sched->servers)
		return;
	memset(sched->servers, 0, rules->nservers * sizeof(*sched->servers));
	memset(sched->turns, 0, rules->nfarms * sizeof(*sched->turns));
	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct rules_farm *farm = &rules->farms[rules->servers[s].farm];

		if (weight_of(sched, s))
			sched->servers[s].turn =
			        SCHED_TURN / weight_of(sched, s) / farm->nservers *
			        first_turn(share, s - farm->server, farm->nservers);
	}
}

static bool is_in_state(const struct sched *sched, unsigned server, enum rules_state state)
{
	const struct rules_server *rule = &sched->rules->servers[server];

	return rule->state == state && rule->weight > 0 &&
	       health_of(sched->health, server) == HEALTH_UP;
}

static bool any_in_state(const struct sched *sched, unsigned farm, enum rules_state state)
{
	const struct rules_farm *rule = &sched->rules->farms[farm];

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++)
		if (is_in_state(sched, s, state))
			return true;
	return false;
}

/* The state that a server must have to get connections now. */
static enum rules_state state_in_charge(const struct sched *sched, unsigned farm)
{
	return any_in_state(sched, farm, STATE_ACTIVE) ? STATE_ACTIVE : STATE_STANDBY;
}

bool sched_may_take(const struct sched *sched, unsigned server)
{
	return is_in_state(sched, server,
	                   state_in_charge(sched, sched->rules->servers[server].farm));
}

bool sched_is_up(const struct sched *sched, unsigned farm)
{
	return any_in_state(sched, farm, STATE_ACTIVE) || any_in_state(sched, farm, STATE_STANDBY);
}

static bool is_full(const struct sched *sched, unsigned server)
{
	uint32_t most = sched->rules->servers[server].max_connections;

	return most && sched->servers[server].connections >= share_of_limit(sched->share, most);
}

bool sched_has_room(const struct sched *sched, unsigned server)
{
	return sched_may_take(sched, server) && !is_full(sched, server);
}

/* If server a comes before server b. */
static bool comes_before(const struct sched *sched, unsigned a, unsigned b, lb_time now)
{
	const struct server *sa = &sched->servers[a], *sb = &sched->servers[b];
	uint64_t share_a = (uint64_t)weight_of(sched, a) * health_ramp(sched->health, a, now);
	uint64_t share_b = (uint64_t)weight_of(sched, b) * health_ramp(sched->health, b, now);
	uint64_t load_a = sa->load * share_b, load_b = sb->load * share_a;

	if (is_by_load(&sched->rules->farms[sched->rules->servers[a].farm]) && load_a != load_b)
		return load_a < load_b;
	return (int64_t)(sa->turn - sb->turn) < 0;
}

/* -log2(hash / 2^64) in units of 2^-32: the fraction by repeated squaring, bit by bit. */
static uint64_t minus_log2(uint64_t hash)
{
	unsigned zeros = hash ? (unsigned)__builtin_clzll(hash) : 63;
	uint64_t x = (hash | 1) << zeros >> 32, fraction = 0; /* 1.0 <= x < 2.0 in units of 2^-31 */

	for (int bit = 31; bit >= 16; bit--) {
		x = x * x >> 31;
		if (x >> 32) {
			fraction |= 1ull << bit;
			x >>= 1;
		}
	}
	return ((uint64_t)zeros + 1) * (1ull << 32) - fraction;
}

/* The server's address as four bytes that are the same everywhere. */
static be32 address_of(const struct sched *sched, const struct rules_server *rule)
{
	return name_is_ipv6(rule->address) ? ip6_digest(rules_ip6(sched->rules, rule->address))
	                                   : rule->address;
}

/* Less is better. */
static uint64_t source_score(const struct sched *sched, unsigned server, be32 client)
{
	static const struct hash_key unkeyed;
	const struct rules_server *rule = &sched->rules->servers[server];
	const struct tuple pair = {.src = client, .dst = address_of(sched, rule)};

	return minus_log2(tuple_hash(&unkeyed, &pair)) / rule->weight;
}

static bool is_better(const struct sched *sched, unsigned a, unsigned b, be32 client, lb_time now)
{
	if (sched->rules->farms[sched->rules->servers[a].farm].scheduler == SCHED_SOURCE)
		return source_score(sched, a, client) < source_score(sched, b, client);
	return comes_before(sched, a, b, now);
}

uint16_t sched_pick(const struct sched *sched, unsigned farm, be32 client, lb_time now)
{
	const struct rules_farm *rule = &sched->rules->farms[farm];
	enum rules_state state = state_in_charge(sched, farm);
	uint16_t best = SERVER_NONE;

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++)
		if (is_in_state(sched, s, state) && !is_full(sched, s) &&
		    (best == SERVER_NONE || is_better(sched, s, best, client, now)))
			best = (uint16_t)s;
	return best;
}

void sched_opened(struct sched *sched, unsigned server)
{
	struct server *state = &sched->servers[server];
	uint64_t *now = &sched->turns[sched->rules->servers[server].farm];

	state->connections++;
	state->load++;
	state->connections_total++;
	if ((int64_t)(state->turn - *now) > 0)
		*now = state->turn;
	state->turn = *now + SCHED_TURN / weight_of(sched, server);
}

void sched_closing(struct sched *sched, unsigned server)
{
	sched->servers[server].load--;
}

void sched_closed(struct sched *sched, unsigned server, bool was_load)
{
	sched->servers[server].connections--;
	sched->servers[server].load -= was_load;
}

void sched_revived(struct sched *sched, unsigned server, bool was_load)
{
	sched->servers[server].connections++;
	sched->servers[server].load += was_load;
}

void sched_inherit(struct sched *sched, unsigned to, const struct sched *old, unsigned from)
{
	sched->servers[to].connections = old->servers[from].connections;
	sched->servers[to].load = old->servers[from].load;
	sched->servers[to].connections_total = old->servers[from].connections_total;
}
