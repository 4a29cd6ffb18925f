/*
 * Both tables are looked through by the worker, which reads them once to count and once to copy:
 * some ms if millions may be remembered, and nothing where the rules have no use for it.
 */
#include "bundle_clients.h"

#include <inttypes.h>
#include <stdlib.h>

enum { CLIENTS_SPARE = 1024 /* that may come until they are copied */ };

static bool any_sticks(const struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (rules->farms[f].persist_ms)
			return true;
	return false;
}

/* Goes over the table, and copies what there is room for. Returns how many there are. */
static uint32_t take_sticky(struct bundle_clients *clients, const struct worker *worker)
{
	const struct persist *persist = &lb_balance(worker->lb)->persist;
	const size_t places =
	        any_sticks(worker->setup.rules) ? (size_t)persist->nsets * PERSIST_WAYS : 0;
	uint32_t n = 0;

	for (size_t i = 0; i < places; i++) {
		if (persist->entries[i].state == PERSIST_FREE)
			continue;
		if (n < clients->room_sticky)
			clients->sticky[n] = persist->entries[i];
		n++;
	}
	return n;
}

static uint32_t take_limited(struct bundle_clients *clients, const struct worker *worker)
{
	const struct limits *limits = &lb_balance(worker->lb)->limits;
	uint32_t n = 0;

	for (unsigned i = 0; i < limits_places(limits); i++) {
		if (limits->clients[i].farm == LIMITS_NO_FARM)
			continue;
		if (n < clients->room_limited)
			clients->limited[n] = limits->clients[i];
		n++;
	}
	return n;
}

void bundle_clients_count(struct bundle_clients *clients, const struct worker *worker)
{
	const uint32_t nsticky = take_sticky(clients, worker);
	const uint32_t nlimited = take_limited(clients, worker);

	clients->room_sticky = nsticky + CLIENTS_SPARE;
	clients->room_limited = nlimited + CLIENTS_SPARE;
}

bool bundle_clients_make(struct bundle_clients *clients)
{
	clients->sticky = calloc(clients->room_sticky + 1u, sizeof(*clients->sticky));
	clients->limited = calloc(clients->room_limited + 1u, sizeof(*clients->limited));
	return clients->sticky && clients->limited;
}

void bundle_clients_free(struct bundle_clients *clients)
{
	free(clients->sticky);
	free(clients->limited);
}

static uint32_t at_most(uint32_t n, uint32_t most)
{
	return n < most ? n : most;
}

void bundle_clients_take(struct bundle_clients *clients, const struct worker *worker)
{
	clients->nsticky = at_most(take_sticky(clients, worker), clients->room_sticky);
	clients->nlimited = at_most(take_limited(clients, worker), clients->room_limited);
}

void bundle_clients_print(FILE *out, const struct bundle_clients *clients,
                          const struct rules *rules, unsigned worker, uint64_t offset)
{
	for (uint32_t i = 0; i < clients->nsticky; i++) {
		const struct persist_entry *entry = &clients->sticky[i];

		fprintf(out, "{\"bundle\":\"sticky %u %s %08" PRIx32 " %" PRIu32 " %d\"}\n", worker,
		        rules->servers[entry->server].name, be32_get(entry->client), entry->until,
		        entry->state == PERSIST_SURE);
	}
	for (uint32_t i = 0; i < clients->nlimited; i++) {
		const struct limits_client *client = &clients->limited[i];
		const uint64_t blocked = client->blocked_t * LIMITS_TENTH_NS + offset;

		fprintf(out,
		        "{\"bundle\":\"limited %u %s %016" PRIx64 " %" PRId64 " %" PRId64
		        " %" PRIu64 "\"}\n",
		        worker, rules->farms[client->farm].name, client->key,
		        client->asked_ns + (int64_t)offset, client->opened_ns + (int64_t)offset,
		        client->blocked_t ? blocked : 0);
	}
}
