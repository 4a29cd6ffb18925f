/*
 * SNAT port pools.
 *
 * A port is unique for each (SNAT address, server's address, server's port), whichever farms go
 * there, so each of these is a pool: a bitmap of busy ports, and above it a bitmap of words without
 * a free one. The next port is the first free one after the last handed out, so that a port rests
 * until all others had their turn (a server may still hold the old connection in TIME_WAIT; the
 * flow's quarantine guarantees the time, this order adds what is possible). Each pool begins at a
 * place that depends on the key. A port that is asked for by number is handed out of that order, if
 * it is free.
 *
 * A farm finds its pools by slots, one for each server, SNAT address and service; slots of several
 * farms, or of services that go to the same port, may name the same pool. A farm of very many
 * services has one pool for all ports of a server, and with it those who share the server and the
 * address. Farms with other snat_ports have other pools: these don't meet, the configuration sees
 * to that.
 *
 * A pool begins as a copy of a blank (blanks.c), in which the ports that may never be handed
 * out are busy.
 */
#include "snat.h"

#include "both.h"

/* Finds the pool's next port anew. */
static void find_next(struct snat *snat, uint32_t p)
{
	struct snat_next *next = &snat->next[p];

	next->port = next->last + 1 < POOL_PORTS ? pool_find_free(&snat->pools[p], next->last + 1)
	                                         : POOL_PORTS;
	if (next->port == POOL_PORTS)
		next->port = pool_find_free(&snat->pools[p], 0);
}

/* ---- Pools ---- */

/* What identifies a pool. */
struct snat_key {
	be32 address, server;
	be16 port;      /* of the server; 0: all */
	uint16_t ports; /* snat_farm.ports */
};

static const be16 all_ports;

static bool key_eq(const struct snat_key *a, const struct snat_key *b)
{
	return be32_eq(a->address, b->address) && be32_eq(a->server, b->server) &&
	       be16_eq(a->port, b->port) && a->ports == b->ports;
}

/* The place in the index of the pool with that key; or an empty one, where it would be. */
static uint32_t *find_key(const struct snat *snat, const struct snat_key *key)
{
	static const struct hash_key unkeyed; /* only rules fill it */
	const struct tuple place = {key->address, key->server, key->port, be16_from(key->ports)};
	uint32_t i = (uint32_t)tuple_hash(&unkeyed, &place) & snat->index_mask;

	while (snat->index[i] && !key_eq(&snat->keys[snat->index[i] - 1], key))
		i = (i + 1) & snat->index_mask;
	return &snat->index[i];
}

bool snat_has_one_pool(const struct rules_farm *farm)
{
	return farm->nports > RULES_POOLED_PORTS_MAX;
}

static uint32_t slot_of(const struct snat *snat, unsigned server, unsigned address,
                        unsigned service)
{
	const struct rules_server *rule = &snat->rules->servers[server];
	const struct rules_farm *farm = &snat->rules->farms[rule->farm];
	unsigned per_server = rules_pools_per_server(farm);

	if (per_server == 1)
		service = 0;
	return snat->farms[rule->farm].slot +
	       ((server - farm->server) * farm->nsnat + address) * per_server + service;
}

uint32_t snat_pool_of(const struct snat *snat, unsigned server, unsigned address, unsigned service)
{
	return snat->pool_of[slot_of(snat, server, address, service)];
}

static void make_pool(struct snat *snat, uint32_t p, const struct snat_key *key,
                      const struct pool *blank, const struct hash_key *hash_key)
{
	const struct tuple place = {.src = be32_from(p)};

	snat->pools[p] = *blank;
	snat->keys[p] = *key;
	snat->next[p].last = (uint16_t)tuple_hash(hash_key, &place);
	snat->next[p].taken = 0;
	find_next(snat, p);
}

/* The number of the pool for a farm's server, address and service: one that is there, or else *n,
 * which is made and counted. */
static uint32_t pool_for(struct snat *snat, unsigned server, unsigned address, unsigned service,
                         const struct hash_key *key, uint32_t *n)
{
	const struct rules_server *rule = &snat->rules->servers[server];
	const struct rules_farm *farm = &snat->rules->farms[rule->farm];
	const struct snat_farm *state = &snat->farms[rule->farm];
	struct snat_key of = {farm->snat[address], rule->address, all_ports, state->ports};
	uint32_t *place = find_key(snat, &of);

	if (!*place && !snat_has_one_pool(farm)) {
		of.port = rules_server_port(farm, service);
		place = find_key(snat, &of);
	}
	if (!*place) {
		make_pool(snat, *n, &of,
		          &snat->blanks.pools[snat->blanks.of[state->address + address]], key);
		*place = ++*n;
	}
	return *place - 1;
}

/* Makes the pools of the farms that have one pool for all ports of a server, or of the others. */
static void make_pools(struct snat *snat, bool of_all_ports, const struct hash_key *key,
                       uint32_t *n)
{
	for (unsigned f = 0; f < snat->rules->nfarms; f++) {
		const struct rules_farm *farm = &snat->rules->farms[f];
		uint32_t *slot = &snat->pool_of[snat->farms[f].slot];

		if (snat_has_one_pool(farm) != of_all_ports)
			continue;
		for (unsigned s = farm->server; s < farm->server + farm->nservers; s++)
			for (unsigned a = 0; a < farm->nsnat; a++)
				for (unsigned i = 0; i < rules_pools_per_server(farm); i++)
					*slot++ = pool_for(snat, s, a, i, key, n);
	}
}

static bool have_same_ports(const struct rules_farm *a, const struct rules_farm *b)
{
	return a->nsnat_ports == b->nsnat_ports &&
	       (!a->nsnat_ports ||
	        !memcmp(a->snat_ports, b->snat_ports, a->nsnat_ports * sizeof(*a->snat_ports)));
}

static uint16_t first_with_same_ports(const struct rules *rules, unsigned f)
{
	uint16_t first = 0;

	while (!have_same_ports(&rules->farms[first], &rules->farms[f]))
		first++;
	return first;
}

/* Sets where each farm's part of the arrays begins. Returns how many SNAT addresses all farms have,
 * each counted once for each farm. */
static uint32_t lay_out_farms(struct snat *snat, struct arena *arena, const struct rules *rules)
{
	uint32_t addresses = 0;

	snat->farms = arena_take(arena, rules->nfarms, sizeof(*snat->farms));
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const struct rules_farm *farm = &rules->farms[f];

		if (snat->farms)
			snat->farms[f] =
			        (struct snat_farm){.slot = snat->npools,
			                           .address = addresses,
			                           .ports = first_with_same_ports(rules, f)};
		snat->npools += farm->nservers * farm->nsnat * rules_pools_per_server(farm);
		addresses += farm->nsnat;
	}
	return addresses;
}

static void take_tables(struct snat *snat, struct arena *arena, uint32_t addresses)
{
	const uint32_t nblanks = blanks_count(snat->rules);
	uint32_t places = 64;

	while (places < 2 * snat->npools)
		places *= 2;
	snat->index_mask = places - 1;
	snat->index = arena_take(arena, places, sizeof(*snat->index));
	snat->keys = arena_take(arena, snat->npools, sizeof(*snat->keys));
	snat->blanks.pools = arena_take(arena, nblanks, sizeof(*snat->blanks.pools));
	snat->blanks.rooms = arena_take(arena, nblanks, sizeof(*snat->blanks.rooms));
	snat->blanks.of = arena_take(arena, addresses, sizeof(*snat->blanks.of));
	snat->turns = arena_take(arena, snat->rules->nservers, sizeof(*snat->turns));
	snat->in_use = arena_take(arena, addresses, sizeof(*snat->in_use));
	snat->pool_of = arena_take(arena, snat->npools, sizeof(*snat->pool_of));
	snat->next = arena_take(arena, snat->npools, sizeof(*snat->next));
	snat->pools = arena_take(arena, snat->npools, sizeof(*snat->pools));
}

void snat_lay_out(struct snat *snat, struct arena *arena, const struct rules *rules,
                  const struct share *share, const struct hash_key *key)
{
	uint32_t addresses, n = 0;

	*snat = (struct snat){.rules = rules};
	addresses = lay_out_farms(snat, arena, rules);
	take_tables(snat, arena, addresses);
	if (!snat->pools)
		return;
	memset(snat->index, 0, (snat->index_mask + 1) * sizeof(*snat->index));
	memset(snat->turns, 0, rules->nservers * sizeof(*snat->turns));
	memset(snat->in_use, 0, addresses * sizeof(*snat->in_use));
	blanks_make(&snat->blanks, rules, share);
	make_pools(snat, true, key, &n);
	make_pools(snat, false, key, &n);
}

/* ---- Ports ---- */

static unsigned address_after(unsigned address, unsigned nsnat)
{
	return address + 1 < nsnat ? address + 1 : 0;
}

/* The farm's address that comes i after the one whose turn it is. */
static unsigned address_of(const struct snat *snat, unsigned farm, unsigned server, unsigned i)
{
	unsigned nsnat = snat->rules->farms[farm].nsnat, address = snat->turns[server] + i;

	return address < nsnat ? address : address - nsnat;
}

uint32_t snat_pool(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                   unsigned i)
{
	return snat_pool_of(snat, server, address_of(snat, farm, server, i), service);
}

/* The place, counted as in snat_pool(), of the first pool from place i on that has a free port;
 * nsnat: there is none. */
static unsigned find_pool(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                          unsigned i)
{
	while (i < snat->rules->farms[farm].nsnat &&
	       snat->next[snat_pool(snat, farm, server, service, i)].port == POOL_PORTS)
		i++;
	return i;
}

bool snat_port_of(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                  unsigned i, be16 port, struct snat_port *ret)
{
	const unsigned address = address_of(snat, farm, server, i);
	const struct snat_port it = {snat_pool_of(snat, server, address, service),
	                             (uint16_t)address, port};

	if (!snat_allows(snat, farm, it))
		return false;
	*ret = it;
	return true;
}

bool snat_is_free(const struct snat *snat, struct snat_port port)
{
	const uint32_t n = be16_get(port.port);

	return !pool_is_busy(&snat->pools[port.pool], n);
}

void snat_take_port(struct snat *snat, unsigned farm, unsigned server, struct snat_port port)
{
	snat_keep(snat, farm, port);
	snat->turns[server] = address_after(port.address, snat->rules->farms[farm].nsnat);
}

/* Sets *ret to the next port of the first pool from place i on that has one; false: none has. */
static bool peek_from(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                      unsigned i, struct snat_port *ret)
{
	unsigned address;
	uint32_t p;

	i = find_pool(snat, farm, server, service, i);
	if (i == snat->rules->farms[farm].nsnat)
		return false;
	address = address_of(snat, farm, server, i);
	p = snat_pool_of(snat, server, address, service);
	*ret = (struct snat_port){p, (uint16_t)address, be16_from((uint16_t)snat->next[p].port)};
	return true;
}

bool snat_peek(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
               struct snat_port *ret)
{
	return peek_from(snat, farm, server, service, 0, ret);
}

/*
 * The next free port of the pool after port, which is free too, going on from the lowest behind the
 * highest; POOL_PORTS if all have been passed: if it would be the one whose turn it is now, or
 * later.
 */
static uint32_t following(const struct snat *snat, uint32_t p, uint32_t port)
{
	const uint32_t first = snat->next[p].port;
	uint32_t next =
	        port + 1 < POOL_PORTS ? pool_find_free(&snat->pools[p], port + 1) : POOL_PORTS;

	if (next == POOL_PORTS)
		next = pool_find_free(&snat->pools[p], 0);
	return (uint16_t)(next - first) > (uint16_t)(port - first) ? next : POOL_PORTS;
}

bool snat_peek_after(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                     struct snat_port *port)
{
	const unsigned nsnat = snat->rules->farms[farm].nsnat;
	const uint32_t next = following(snat, port->pool, be16_get(port->port));
	unsigned i = 0;

	if (next < POOL_PORTS) {
		port->port = be16_from((uint16_t)next);
		return true;
	}
	while (i < nsnat && address_of(snat, farm, server, i) != port->address)
		i++;
	return i < nsnat && peek_from(snat, farm, server, service, i + 1, port);
}

void snat_take_next(struct snat *snat, unsigned farm, unsigned server, struct snat_port port)
{
	snat->next[port.pool].last = be16_get(port.port);
	snat_take_port(snat, farm, server, port);
}

bool snat_take(struct snat *snat, unsigned farm, unsigned server, unsigned service,
               struct snat_port *ret)
{
	if (!snat_peek(snat, farm, server, service, ret))
		return false;
	snat_take_next(snat, farm, server, *ret);
	return true;
}

bool snat_locate(const struct snat *snat, unsigned server, unsigned service, be32 address,
                 be16 port, struct snat_port *ret)
{
	const struct rules_farm *farm = &snat->rules->farms[snat->rules->servers[server].farm];

	for (unsigned i = 0; i < farm->nsnat; i++) {
		if (!be32_eq(farm->snat[i], address))
			continue;
		*ret = (struct snat_port){snat_pool_of(snat, server, i, service), (uint16_t)i,
		                          port};
		return true;
	}
	return false;
}

bool snat_allows(const struct snat *snat, unsigned farm, struct snat_port port)
{
	const uint32_t of = snat->blanks.of[snat->farms[farm].address + port.address];
	uint32_t n = be16_get(port.port);

	return !pool_is_busy(&snat->blanks.pools[of], n);
}

static void count_in_use(struct snat *snat, unsigned farm, struct snat_port port, int by)
{
	uint32_t *in_use = &snat->in_use[snat->farms[farm].address + port.address];

	BOTH_WRITE(*in_use, *in_use + (uint32_t)by);
}

void snat_keep(struct snat *snat, unsigned farm, struct snat_port port)
{
	pool_mark_busy(&snat->pools[port.pool], be16_get(port.port));
	if (snat->next[port.pool].port == be16_get(port.port))
		find_next(snat, port.pool);
	count_in_use(snat, farm, port, 1);
	BOTH_WRITE(snat->next[port.pool].taken, snat->next[port.pool].taken + 1);
}

static void free_port(struct snat *snat, uint32_t p, uint16_t port)
{
	struct snat_next *next = &snat->next[p];

	pool_mark_free(&snat->pools[p], port);
	/* is it nearer behind the last one than the one whose turn it was? */
	if (next->port == POOL_PORTS ||
	    (uint16_t)(port - next->last - 1) < (uint16_t)(next->port - next->last - 1))
		next->port = port;
}

void snat_give_back(struct snat *snat, unsigned farm, struct snat_port port)
{
	/* a port kept from before a reload may not be one that these rules allow */
	if (snat_allows(snat, farm, port))
		free_port(snat, port.pool, be16_get(port.port));
	count_in_use(snat, farm, port, -1);
	BOTH_WRITE(snat->next[port.pool].taken, snat->next[port.pool].taken - 1);
}

unsigned snat_pools_of(const struct rules *rules, unsigned server)
{
	const struct rules_farm *farm = &rules->farms[rules->servers[server].farm];

	return farm->nsnat * rules_pools_per_server(farm);
}

/* The number of the i-th pool of a server, by address and service. */
static uint32_t ith_pool(const struct snat *snat, unsigned server, unsigned i)
{
	return snat->pool_of[slot_of(snat, server, 0, 0) + i];
}

uint16_t snat_last(const struct snat *snat, unsigned server, unsigned i)
{
	return (uint16_t)snat->next[ith_pool(snat, server, i)].last;
}

void snat_recall(struct snat *snat, unsigned server, uint32_t address, const uint16_t *last)
{
	const unsigned n = snat_pools_of(snat->rules, server);

	if (address >= snat->rules->farms[snat->rules->servers[server].farm].nsnat)
		return;
	snat->turns[server] = address;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t p = ith_pool(snat, server, i);

		snat->next[p].last = last[i];
		find_next(snat, p);
	}
}
