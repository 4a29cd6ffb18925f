/*
 * How many pools a server has is known by the rules only, so a line keeps as many as it has.
 */
#include "recall_turns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whose turn it was, as a worker had it. */
struct recalled_turn {
	uint16_t worker;
	char name[RULES_NAME_BYTES];
	uint64_t server, farm;
	uint32_t address;
	struct growing last; /* uint16_t, by pool */
};

static bool take_last(struct growing *last, char *rest)
{
	char *end = rest;

	while (*rest == ' ') {
		uint16_t *port = recall_grow(last, sizeof(*port));
		const unsigned long n = strtoul(rest + 1, &end, 10);

		if (!port || end == rest + 1 || n > UINT16_MAX)
			return false;
		*port = (uint16_t)n;
		rest = end;
	}
	return !*rest;
}

bool recall_take_turn(struct growing *turns, char *rest)
{
	struct recalled_turn *turn = recall_grow(turns, sizeof(*turn));
	int at = 0;

	return turn &&
	       sscanf(rest, "%" SCNu16 " %63s %" SCNu64 " %" SCNu64 " %" SCNu32 "%n", &turn->worker,
	              turn->name, &turn->server, &turn->farm, &turn->address, &at) == 5 &&
	       take_last(&turn->last, rest + at);
}

void recall_free_turns(struct growing *turns)
{
	struct recalled_turn *all = (void *)turns->items;

	for (uint32_t i = 0; i < turns->n; i++)
		free(all[i].last.items);
	free(all);
}

static void recall_turn(const struct recalled_turn *turn, struct farms *farms,
                        const struct rules *rules, unsigned s)
{
	sched_recall(&farms->sched, s, turn->server, turn->farm);
	if (turn->last.n == snat_pools_of(rules, s))
		snat_recall(&farms->snat, s, turn->address, (const void *)turn->last.items);
}

void recall_turns(const struct growing *turns, struct worker *worker)
{
	const struct recalled_turn *all = (const void *)turns->items;
	const struct rules *rules = worker->setup.rules;

	for (uint32_t i = 0; i < turns->n; i++)
		for (unsigned s = 0; s < rules->nservers; s++)
			if (all[i].worker == worker->share.worker &&
			    !strcmp(all[i].name, rules->servers[s].name))
				recall_turn(&all[i], worker->setup.farms, rules, s);
}
