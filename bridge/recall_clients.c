/*
 * Servers and farms are found by their names. A client of IPv6 whom the rules know is named by
 * number, which other rules may have given to another address.
 */
#include "recall_clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recalled_sticky {
	uint16_t worker;
	char server[RULES_NAME_BYTES];
	be32 client;
	uint32_t until;
	bool sure;
};

struct recalled_limited {
	uint16_t worker;
	char farm[RULES_NAME_BYTES];
	struct limits_client client;
	lb_time blocked;
};

/* The format's names are of 63 characters. */
static_assert(RULES_NAME_BYTES == 64, "sscanf()");

bool recall_take_sticky(struct recall_clients *clients, char *rest)
{
	struct recalled_sticky *sticky = recall_grow(&clients->sticky, sizeof(*sticky));
	uint32_t client;
	int sure;

	if (!sticky || sscanf(rest, "%" SCNu16 " %63s %8" SCNx32 " %" SCNu32 " %d", &sticky->worker,
	                      sticky->server, &client, &sticky->until, &sure) != 5)
		return false;
	sticky->client = be32_from(client);
	sticky->sure = sure;
	return true;
}

bool recall_take_limited(struct recall_clients *clients, char *rest)
{
	struct recalled_limited *limited = recall_grow(&clients->limited, sizeof(*limited));

	return limited &&
	       sscanf(rest, "%" SCNu16 " %63s %16" SCNx64 " %" SCNd64 " %" SCNd64 " %" SCNu64,
	              &limited->worker, limited->farm, &limited->client.key,
	              &limited->client.asked_ns, &limited->client.opened_ns,
	              &limited->blocked.ns) == 6;
}

void recall_free_clients(struct recall_clients *clients)
{
	free(clients->sticky.items);
	free(clients->limited.items);
}

/* The name by which the rules know the client; false if that can't be told. */
static bool rename_client(const struct worker *worker, const struct ip6 *names, uint32_t nnames,
                          bool ipv6, be32 *client)
{
	if (!ipv6 || name_is_hashed(*client))
		return true;
	return name_is_ipv6(*client) && name_index(*client) < nnames &&
	       addresses_name(&worker->setup.farms->addresses, &names[name_index(*client)], client);
}

static void stick(struct worker *worker, const struct recalled_sticky *sticky,
                  const struct ip6 *names, uint32_t nnames, lb_time now)
{
	const struct rules *rules = worker->setup.rules;
	be32 client = sticky->client;

	for (unsigned s = 0; s < rules->nservers; s++) {
		const bool ipv6 = name_is_ipv6(rules->farms[rules->servers[s].farm].vip);

		if (strcmp(rules->servers[s].name, sticky->server))
			continue;
		if (rename_client(worker, names, nnames, ipv6, &client))
			lb_recall_sticky(worker->lb, s, client, sticky->until, sticky->sure, now);
		return;
	}
}

static void limit(struct worker *worker, const struct recalled_limited *limited, lb_time now)
{
	const struct rules *rules = worker->setup.rules;

	for (unsigned f = 0; f < rules->nfarms; f++)
		if (!strcmp(rules->farms[f].name, limited->farm) && limits_any(&rules->farms[f]))
			lb_recall_limited(worker->lb, f, &limited->client, limited->blocked, now);
}

void recall_clients(const struct recall_clients *clients, struct worker *worker,
                    const struct ip6 *names, uint32_t nnames, lb_time now)
{
	const struct recalled_sticky *sticky = (const void *)clients->sticky.items;
	const struct recalled_limited *limited = (const void *)clients->limited.items;

	for (uint32_t i = 0; i < clients->sticky.n; i++)
		if (sticky[i].worker == worker->share.worker)
			stick(worker, &sticky[i], names, nnames, now);
	for (uint32_t i = 0; i < clients->limited.n; i++)
		if (limited[i].worker == worker->share.worker)
			limit(worker, &limited[i], now);
}
