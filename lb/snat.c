/*
 * SNAT port pools.
 *
 * A port is unique for each (SNAT address, server, service port), so each of these is a pool: a
 * bitmap of busy ports, and above it a bitmap of words without a free one. The next port is the
 * first free one after the last handed out, so that a port rests until all others had their turn
 * (a server may still hold the old connection in TIME_WAIT; the flow's quarantine guarantees the
 * time, this order adds what is possible). Each pool begins at a place that depends on the key. Who
 * wants a certain port may have it without that order, if it is free.
 *
 * Ports outside snat_ports or of another worker, and the service ports of a VIP of the same
 * address, are marked busy for good: so a packet to address:port is either a client's or a
 * server's, never both.
 */
#include "snat.h"

enum { PORTS = 65536, WORD = 64, WORDS = PORTS / WORD, ALL_WORDS = WORDS / WORD };

/* Ports as a bitmap. */
struct snat_ports {
	uint64_t bits[WORDS];
};

struct snat_pool {
	uint64_t busy[WORDS];
	uint64_t full[ALL_WORDS]; /* busy[i] has no free port */
};

/* Which port of a pool is next: apart from its bitmaps, so that asking touches none of them. */
struct snat_next {
	uint32_t last; /* handed out last */
	uint32_t port; /* the first free one after that, or PORTS */
};

static void mark_busy(struct snat_pool *pool, uint32_t port)
{
	uint64_t *word = &pool->busy[port / WORD];

	*word |= 1ull << port % WORD;
	if (!~*word)
		pool->full[port / WORD / WORD] |= 1ull << port / WORD % WORD;
}

static void mark_free(struct snat_pool *pool, uint32_t port)
{
	pool->busy[port / WORD] &= ~(1ull << port % WORD);
	pool->full[port / WORD / WORD] &= ~(1ull << port / WORD % WORD);
}

/* The first clear bit at or after from among n (a multiple of 64) in map, or n. */
static uint32_t find_clear(const uint64_t *map, uint32_t n, uint32_t from)
{
	for (uint32_t w = from / WORD; w < n / WORD; w++) {
		uint64_t clear = ~map[w];

		if (w == from / WORD)
			clear &= ~0ull << from % WORD;
		if (clear)
			return w * WORD + (uint32_t)__builtin_ctzll(clear);
	}
	return n;
}

/* The first free port at or after from, or PORTS; a constant number of steps. */
static uint32_t find_free(const struct snat_pool *pool, uint32_t from)
{
	uint32_t in_word = find_clear(&pool->busy[from / WORD], WORD, from % WORD);
	uint32_t word;

	if (in_word < WORD)
		return from / WORD * WORD + in_word;
	if (from / WORD + 1 == WORDS)
		return PORTS;
	word = find_clear(pool->full, WORDS, from / WORD + 1);
	if (word == WORDS)
		return PORTS;
	return word * WORD + find_clear(&pool->busy[word], WORD, 0);
}

/* Finds the pool's next port anew. */
static void find_next(struct snat *snat, uint32_t p)
{
	struct snat_next *next = &snat->next[p];

	next->port = next->last + 1 < PORTS ? find_free(&snat->pools[p], next->last + 1) : PORTS;
	if (next->port == PORTS)
		next->port = find_free(&snat->pools[p], 0);
}

static void set_port(struct snat_ports *ports, uint32_t port, bool on)
{
	uint64_t bit = 1ull << port % WORD;

	ports->bits[port / WORD] =
	        on ? ports->bits[port / WORD] | bit : ports->bits[port / WORD] & ~bit;
}

/* The ports of address that farm may hand out. */
static void init_allowed(struct snat_ports *allowed, const struct rules *rules,
                         const struct share *share, const struct rules_farm *farm, be32 address)
{
	memset(allowed, 0, sizeof(*allowed));
	for (unsigned r = 0; r < farm->nsnat_ports; r++)
		for (uint32_t p = farm->snat_ports[r].first; p <= farm->snat_ports[r].last; p++)
			set_port(allowed, p, p % share->n == share->worker);
	for (unsigned f = 0; f < rules->nfarms; f++)
		for (unsigned i = 0;
		     be32_eq(rules->farms[f].vip, address) && i < rules->farms[f].nports; i++)
			set_port(allowed, be16_get(rules->farms[f].ports[i]), false);
	for (uint32_t p = RULES_PROBE_PORT; p < RULES_PROBE_PORT + RULES_PROBE_PORTS; p++)
		set_port(allowed, p, false);
}

static void init_pool(struct snat_pool *pool, const struct snat_ports *allowed)
{
	memset(pool, 0, sizeof(*pool));
	for (uint32_t w = 0; w < WORDS; w++) {
		pool->busy[w] = ~allowed->bits[w];
		if (!~pool->busy[w])
			pool->full[w / WORD] |= 1ull << w % WORD;
	}
}

static uint32_t pool_of(const struct snat *snat, unsigned server, unsigned address,
                        unsigned service)
{
	const struct rules_server *rule = &snat->rules->servers[server];
	const struct rules_farm *farm = &snat->rules->farms[rule->farm];
	unsigned per_server = rules_pools_per_server(farm);

	if (per_server == 1)
		service = 0;
	return snat->farms[rule->farm].pool +
	       ((server - farm->server) * farm->nsnat + address) * per_server + service;
}

static void init_farm(struct snat *snat, unsigned f, const struct share *share,
                      const struct hash_key *key)
{
	const struct rules_farm *farm = &snat->rules->farms[f];
	struct snat_ports *allowed = &snat->allowed[snat->farms[f].address];
	unsigned per_server = rules_pools_per_server(farm);
	uint32_t n = farm->nservers * farm->nsnat * per_server;

	for (unsigned i = 0; i < farm->nsnat; i++)
		init_allowed(&allowed[i], snat->rules, share, farm, farm->snat[i]);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t p = snat->farms[f].pool + i;
		const struct tuple place = {.src = be32_from(p)};

		init_pool(&snat->pools[p], &allowed[i / per_server % farm->nsnat]);
		snat->next[p].last = (uint16_t)tuple_hash(key, &place);
		find_next(snat, p);
	}
}

/* A bit for each address, which it may share with others. */
static uint32_t address_bit(be32 address)
{
	return be32_get(address) * 0x9e3779b1u >> 16;
}

/* Finds the farms with an address that another one has, or that looks like it. */
static void find_shared(struct snat *snat)
{
	struct snat_ports once = {{0}}, again = {{0}}; /* by address_bit() */
	const struct rules *rules = snat->rules;

	for (unsigned f = 0; f < rules->nfarms; f++)
		for (unsigned i = 0; i < rules->farms[f].nsnat; i++) {
			const uint32_t bit = address_bit(rules->farms[f].snat[i]);

			again.bits[bit / WORD] |= once.bits[bit / WORD] & 1ull << bit % WORD;
			set_port(&once, bit, true);
		}
	for (unsigned f = 0; f < rules->nfarms; f++)
		for (unsigned i = 0; i < rules->farms[f].nsnat; i++) {
			const uint32_t bit = address_bit(rules->farms[f].snat[i]);

			snat->farms[f].shared |= again.bits[bit / WORD] >> bit % WORD & 1;
		}
}

void snat_lay_out(struct snat *snat, struct arena *arena, const struct rules *rules,
                  const struct share *share, const struct hash_key *key)
{
	uint32_t addresses = 0;

	*snat = (struct snat){.rules = rules};
	snat->farms = arena_take(arena, rules->nfarms, sizeof(*snat->farms));
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const struct rules_farm *farm = &rules->farms[f];

		if (snat->farms)
			snat->farms[f] =
			        (struct snat_farm){.pool = snat->npools, .address = addresses};
		snat->npools += farm->nservers * farm->nsnat * rules_pools_per_server(farm);
		addresses += farm->nsnat;
	}
	snat->allowed = arena_take(arena, addresses, sizeof(*snat->allowed));
	snat->turns = arena_take(arena, rules->nservers, sizeof(*snat->turns));
	snat->in_use = arena_take(arena, addresses, sizeof(*snat->in_use));
	snat->next = arena_take(arena, snat->npools, sizeof(*snat->next));
	snat->pools = arena_take(arena, snat->npools, sizeof(*snat->pools));
	if (!snat->pools)
		return;
	memset(snat->turns, 0, rules->nservers * sizeof(*snat->turns));
	memset(snat->in_use, 0, addresses * sizeof(*snat->in_use));
	find_shared(snat);
	for (unsigned f = 0; f < rules->nfarms; f++)
		init_farm(snat, f, share, key);
}

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
	return pool_of(snat, server, address_of(snat, farm, server, i), service);
}

/* The place, counted as in snat_pool(), of a pool with a free port; nsnat: there is none. */
static unsigned find_pool(const struct snat *snat, unsigned farm, unsigned server, unsigned service)
{
	unsigned i = 0;

	while (i < snat->rules->farms[farm].nsnat &&
	       snat->next[snat_pool(snat, farm, server, service, i)].port == PORTS)
		i++;
	return i;
}

bool snat_has_free(const struct snat *snat, unsigned farm, unsigned server, unsigned service)
{
	return find_pool(snat, farm, server, service) < snat->rules->farms[farm].nsnat;
}

bool snat_port_of(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                  unsigned i, be16 port, struct snat_port *ret)
{
	const unsigned address = address_of(snat, farm, server, i);
	const struct snat_port it = {pool_of(snat, server, address, service), (uint16_t)address,
	                             port};

	if (!snat_allows(snat, farm, it))
		return false;
	*ret = it;
	return true;
}

bool snat_is_free(const struct snat *snat, struct snat_port port)
{
	const uint32_t n = be16_get(port.port);

	return !(snat->pools[port.pool].busy[n / WORD] >> n % WORD & 1);
}

void snat_take_port(struct snat *snat, unsigned farm, unsigned server, struct snat_port port)
{
	snat_keep(snat, farm, port);
	snat->turns[server] = address_after(port.address, snat->rules->farms[farm].nsnat);
}

bool snat_take(struct snat *snat, unsigned farm, unsigned server, unsigned service,
               struct snat_port *ret)
{
	const unsigned i = find_pool(snat, farm, server, service);
	const unsigned address = address_of(snat, farm, server, i);
	uint32_t p;

	if (i == snat->rules->farms[farm].nsnat)
		return false;
	p = pool_of(snat, server, address, service);
	*ret = (struct snat_port){p, (uint16_t)address, be16_from((uint16_t)snat->next[p].port)};
	snat->next[p].last = snat->next[p].port;
	snat_take_port(snat, farm, server, *ret);
	return true;
}

bool snat_locate(const struct snat *snat, unsigned server, unsigned service, be32 address,
                 be16 port, struct snat_port *ret)
{
	const struct rules_farm *farm = &snat->rules->farms[snat->rules->servers[server].farm];

	for (unsigned i = 0; i < farm->nsnat; i++) {
		if (!be32_eq(farm->snat[i], address))
			continue;
		*ret = (struct snat_port){pool_of(snat, server, i, service), (uint16_t)i, port};
		return true;
	}
	return false;
}

bool snat_allows(const struct snat *snat, unsigned farm, struct snat_port port)
{
	const struct snat_ports *allowed = &snat->allowed[snat->farms[farm].address + port.address];
	uint32_t n = be16_get(port.port);

	return allowed->bits[n / WORD] >> n % WORD & 1;
}

void snat_keep(struct snat *snat, unsigned farm, struct snat_port port)
{
	mark_busy(&snat->pools[port.pool], be16_get(port.port));
	if (snat->next[port.pool].port == be16_get(port.port))
		find_next(snat, port.pool);
	snat->in_use[snat->farms[farm].address + port.address]++;
}

static void free_port(struct snat *snat, uint32_t p, uint16_t port)
{
	struct snat_next *next = &snat->next[p];

	mark_free(&snat->pools[p], port);
	/* the first one after last is now this one? */
	if (next->port == PORTS ||
	    (uint16_t)(port - next->last - 1) < (uint16_t)(next->port - next->last - 1))
		next->port = port;
}

void snat_give_back(struct snat *snat, unsigned farm, struct snat_port port)
{
	/* a port kept from before a reload may not be one that these rules allow */
	if (snat_allows(snat, farm, port))
		free_port(snat, port.pool, be16_get(port.port));
	snat->in_use[snat->farms[farm].address + port.address]--;
}
