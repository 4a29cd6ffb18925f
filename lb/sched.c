/*
 * Weighted least connections, with rotating ties.
 *
 * The server with the fewest connections for its weight is next; one that is being closed doesn't
 * count, so that connect-and-close leaves no load behind. Among equals the turn decides:
 * each server has a virtual time that moves on by 1/weight whenever it gets a connection, and the
 * earliest is next. So connections that come and go one at a time rotate, in proportion to the
 * weights. A server that was left out for a while resumes at the farm's present time rather than
 * collecting the turns that it missed (start-time fair queueing, Goyal, Vin and Cheng 1996).
 */
#include "sched.h"

#define SCHED_TURN (1ull << 32) /* of weight 1 */

void sched_lay_out(struct sched *sched, struct arena *arena, const struct rules *rules)
{
	sched->rules = rules;
	sched->servers = arena_take(arena, rules->nservers, sizeof(*sched->servers));
	sched->turns = arena_take(arena, rules->nfarms, sizeof(*sched->turns));
	if (!sched->servers)
		return;
	memset(sched->servers, 0, rules->nservers * sizeof(*sched->servers));
	memset(sched->turns, 0, rules->nfarms * sizeof(*sched->turns));
}

bool sched_may_take(const struct sched *sched, unsigned server)
{
	const struct rules_server *rule = &sched->rules->servers[server];

	return rule->state == STATE_ACTIVE && rule->weight > 0;
}

bool sched_is_up(const struct sched *sched, unsigned farm)
{
	const struct rules_farm *rule = &sched->rules->farms[farm];

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++)
		if (sched_may_take(sched, s))
			return true;
	return false;
}

/* If server a comes before server b. */
static bool comes_before(const struct sched *sched, unsigned a, unsigned b)
{
	const struct server *sa = &sched->servers[a], *sb = &sched->servers[b];
	uint64_t load_a = (uint64_t)sa->load * sched->rules->servers[b].weight;
	uint64_t load_b = (uint64_t)sb->load * sched->rules->servers[a].weight;

	return load_a < load_b || (load_a == load_b && sa->turn < sb->turn);
}

uint16_t sched_pick(const struct sched *sched, unsigned farm)
{
	const struct rules_farm *rule = &sched->rules->farms[farm];
	uint16_t best = SERVER_NONE;

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++)
		if (sched_may_take(sched, s) &&
		    (best == SERVER_NONE || comes_before(sched, s, best)))
			best = (uint16_t)s;
	return best;
}

void sched_opened(struct sched *sched, unsigned server)
{
	const struct rules_server *rule = &sched->rules->servers[server];
	struct server *state = &sched->servers[server];
	uint64_t *now = &sched->turns[rule->farm];

	state->connections++;
	state->load++;
	state->connections_total++;
	if (state->turn > *now)
		*now = state->turn;
	state->turn = *now + SCHED_TURN / rule->weight;
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
