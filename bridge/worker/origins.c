/*
 * A hash of lists; origins are numbered in the order in which they were added, and none is ever
 * taken out. What is asked for costs the same however many share an origin.
 */
#include "origins.h"

#include "../../lb/rules.h"

#include <stdlib.h>
#include <string.h>

struct origin {
	struct tuple arrival; /* without our port */
	uint32_t next;        /* the next origin of the same hash */
	uint32_t first;       /* its user that comes first */
	uint32_t last[RULES_PROBE_PORTS];
};

struct origins {
	struct hash_key key;
	struct origin *all;
	uint32_t n;
	uint32_t *hashed; /* the first origin of each hash */
	uint32_t mask;
};

static struct tuple without_port(const struct tuple *arrival)
{
	return (struct tuple){.src = arrival->src, .dst = arrival->dst, .sport = arrival->sport};
}

struct origins *origins_new(uint32_t n, const struct hash_key *key)
{
	struct origins *origins = calloc(1, sizeof(*origins));
	uint32_t places = 1;

	if (!origins)
		return NULL;
	while (places < 2 * n)
		places *= 2;
	origins->key = *key;
	origins->mask = places - 1;
	origins->all = calloc(n + 1u, sizeof(*origins->all));
	origins->hashed = malloc(places * sizeof(*origins->hashed));
	if (!origins->all || !origins->hashed) {
		origins_free(origins);
		return NULL;
	}
	memset(origins->hashed, 0xff, places * sizeof(*origins->hashed)); /* ORIGINS_NONE */
	return origins;
}

void origins_free(struct origins *origins)
{
	if (!origins)
		return;
	free(origins->hashed);
	free(origins->all);
	free(origins);
}

static uint32_t *place_of(const struct origins *origins, const struct tuple *key)
{
	return &origins->hashed[tuple_hash(&origins->key, key) & origins->mask];
}

uint32_t origins_find(const struct origins *origins, const struct tuple *arrival)
{
	const struct tuple key = without_port(arrival);
	uint32_t i = *place_of(origins, &key);

	while (i != ORIGINS_NONE && !tuple_eq(&origins->all[i].arrival, &key))
		i = origins->all[i].next;
	return i;
}

uint32_t origins_add(struct origins *origins, const struct tuple *arrival, uint32_t user)
{
	const struct tuple key = without_port(arrival);
	uint32_t i = origins_find(origins, arrival), *place;

	if (i != ORIGINS_NONE)
		return i;
	place = place_of(origins, &key);
	i = origins->n++;
	origins->all[i] = (struct origin){.arrival = key, .next = *place, .first = user};
	memset(origins->all[i].last, 0xff, sizeof(origins->all[i].last)); /* ORIGINS_NONE */
	*place = i;
	return i;
}

uint32_t origins_last(const struct origins *origins, uint32_t origin, be16 port)
{
	return rules_is_probe_port(port)
	               ? origins->all[origin].last[be16_get(port) - RULES_PROBE_PORT]
	               : ORIGINS_NONE;
}

uint32_t origins_user(const struct origins *origins, uint32_t origin, be16 port)
{
	const uint32_t last = origins_last(origins, origin, port);

	return last == ORIGINS_NONE ? origins->all[origin].first : last;
}

void origins_use(struct origins *origins, uint32_t origin, be16 port, uint32_t user)
{
	if (rules_is_probe_port(port))
		origins->all[origin].last[be16_get(port) - RULES_PROBE_PORT] = user;
}
