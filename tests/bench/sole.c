/*
 * The scheduler with a thousand servers, and a pool of SNAT ports that is nearly empty of them.
 */
#include "sole.h"

#include "../../lb/pick.h"
#include "../../lb/snat.h"

#include <stdlib.h>

enum {
	SERVERS = 1000,
	CONNECTIONS = 100000, /* that they hold */
	PICKS = 20000,        /* of a run */
	PORTS = 64512,
	TAKES = 1 << 19,
};

static uint32_t below(uint64_t *random, uint32_t n)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

static struct rules *make_rules(unsigned nservers, enum rules_scheduler scheduler)
{
	static be16 port = {{0x13, 0xc4}};
	static be32 vip = {{10, 0, 0, 40}};
	static struct port_range range = {1024, 65535};
	static struct rules_farm farm;
	static struct rules_server servers[SERVERS];
	static struct rules rules;

	farm = (struct rules_farm){
	        .vip = vip, .ports = &port, .nports = 1, .snat = &vip, .nsnat = 1};
	farm.snat_ports = &range;
	farm.nsnat_ports = 1;
	farm.scheduler = scheduler;
	farm.nservers = nservers;
	for (unsigned s = 0; s < nservers; s++)
		servers[s] = (struct rules_server){.address = be32_from(0x0a010000 + s),
		                                   .weight = (uint8_t)(1 + s % 10)};
	rules = (struct rules){
	        .farms = &farm, .nfarms = 1, .servers = servers, .nservers = nservers};
	return &rules;
}

static double pick_ns(struct sched *sched, uint16_t *held, unsigned n, uint64_t *random)
{
	const lb_time now = {1000 * LB_NS_PER_S};
	uint64_t start = measure_ns();

	for (unsigned i = 0; i < n; i++) {
		unsigned ended = below(random, CONNECTIONS);

		sched_closed(sched, held[ended], true);
		held[ended] = pick_server(sched, 0, be32_from(below(random, UINT32_MAX)),
		                          be16_from((uint16_t)below(random, UINT16_MAX)), now);
		sched_opened(sched, held[ended]);
	}
	return (double)measure_since(start) / n;
}

static void measure_pick(struct figure *ret, enum rules_scheduler scheduler, unsigned runs,
                         unsigned part)
{
	const struct rules *rules = make_rules(SERVERS, scheduler);
	static uint16_t held[CONNECTIONS];
	const lb_time now = {1000 * LB_NS_PER_S};
	struct arena arena = {.base = aligned_alloc(ARENA_ALIGN, 1 << 20)};
	struct health health;
	struct sched sched;
	uint64_t random = 1;

	health_lay_out(&health, &arena, rules, now);
	sched_lay_out(&sched, &arena, rules, &share_whole, &health);
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		held[i] = (uint16_t)(i % SERVERS);
		sched_opened(&sched, held[i]);
	}
	for (unsigned run = 0; run < runs; run++)
		figure_add(ret, pick_ns(&sched, held, PICKS / part, &random));
	free(arena.base);
}

/* Takes a port and gives one back, chosen at random, while nheld of the pool are taken. */
static double port_ns(struct snat *snat, struct snat_port *held, uint32_t nheld, unsigned n,
                      uint64_t *random)
{
	uint64_t start = measure_ns();

	for (unsigned i = 0; i < n; i++) {
		uint32_t given = below(random, nheld);
		struct snat_port port = {0};

		if (!snat_take(snat, 0, 0, 0, &port))
			measure_fail("no port left");
		snat_give_back(snat, 0, held[given]);
		held[given] = port;
	}
	return (double)measure_since(start) / n;
}

static void measure_ports(struct figure *ret, unsigned percent, unsigned runs, unsigned part)
{
	static const struct hash_key key;
	const struct rules *rules = make_rules(1, SCHED_WLC);
	static struct snat_port held[PORTS];
	const uint32_t nheld = PORTS / 100 * percent;
	struct arena arena = {.base = aligned_alloc(ARENA_ALIGN, 1 << 20)};
	struct snat snat;
	uint64_t random = 1;

	snat_lay_out(&snat, &arena, rules, &share_whole, &key);
	for (uint32_t i = 0; i < nheld; i++)
		if (!snat_take(&snat, 0, 0, 0, &held[i]))
			measure_fail("no port left");
	for (unsigned run = 0; run < runs; run++)
		figure_add(ret, port_ns(&snat, held, nheld, TAKES / part, &random));
	free(arena.base);
}

void sole_measure(struct sole *sole, unsigned runs, unsigned part)
{
	for (unsigned i = 0; i < RULES_NSCHEDULERS; i++)
		measure_pick(&sole->pick[i], (enum rules_scheduler)i, runs, part);
	measure_ports(&sole->port_half, 50, runs, part);
	measure_ports(&sole->port_full, 99, runs, part);
}

void sole_print(const struct sole *sole, sole_printer *print)
{
	char what[64];

	for (unsigned i = 0; i < RULES_NSCHEDULERS; i++) {
		snprintf(what, sizeof(what), "choice among %d servers, %s", SERVERS,
		         rules_scheduler_words[i]);
		print(what, "ns", &sole->pick[i], 1);
	}
	print("SNAT port taken and given back, 50 % taken", "ns", &sole->port_half, 1);
	print("SNAT port taken and given back, 99 % taken", "ns", &sole->port_full, 1);
}
