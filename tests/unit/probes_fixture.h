/*
 * What the tests of probes begin with: a farm, where its servers are, and a clock turned by hand.
 */
#ifndef UNIT_PROBES_FIXTURE_H
#define UNIT_PROBES_FIXTURE_H

#include "fixture.h"
#include "suites.h"

#include "../../bridge/worker/probes.h"
#include "../../lb/takeover.h"

#include <stdlib.h>

enum { OUT = 4096, INTERVAL_MS = 5000, TIMEOUT_MS = 2000 };

static const struct hash_key key = {{1, 2}};
static struct rules *rules;
static struct farms *farms;
static void *farms_mem;
static struct neigh_table *neigh;
static struct probes *probes;
static lb_time now;
static struct own items[OUT];
static struct own_list out;
static struct probe_result result;
static unsigned ended; /* results so far */

static inline void set_checks(struct rules_farm *farm, unsigned n)
{
	free(farm->checks);
	farm->nchecks = n;
	farm->checks = calloc(n, sizeof(*farm->checks));
	for (unsigned i = 0; i < n; i++)
		farm->checks[i] = be16_from((uint16_t)(443 + i));
}

static inline void start(void)
{
	size_t bytes = farms_size(rules);

	now = (lb_time){1000 * LB_NS_PER_S};
	farms_mem = aligned_alloc(ARENA_ALIGN, bytes);
	farms = farms_init(farms_mem, rules, &share_whole, &key, now);
	neigh = neigh_new(rules, true);
	probes = probes_new(rules, &share_whole, &farms->health, neigh, &key, now);
	out = (struct own_list){.items = items, .max = OUT};
	ended = 0;
}

static inline void begin(unsigned nservers, unsigned nchecks)
{
	rules = fixture_rules(nservers);
	for (unsigned s = 0; s < nservers; s++)
		rules->servers[s].address = ip4(10, 1, (uint8_t)(s / 256), (uint8_t)s);
	set_checks(&rules->farms[0], nchecks);
	start();
}

static inline void end(void)
{
	probes_free(probes);
	neigh_free(neigh);
	free(farms_mem);
	rules_free(rules);
}

static inline void tell(void)
{
	ended++;
	health_report(&farms->health, result.server, result.check, result.ok, now);
	probes_told(probes, &result, now);
}

/* Does what is due, as a worker does. */
static inline void poll(void)
{
	out.n = 0;
	while (probes_poll(probes, now, &out, &result))
		tell();
}

/* Goes on to when something is due, and does it; returns how many ms that took. */
static inline uint64_t wait_due(void)
{
	uint64_t before = now.ns;

	ck_assert(probes_due(probes).ns != UINT64_MAX);
	if (probes_due(probes).ns > now.ns)
		now = probes_due(probes);
	poll();
	return (now.ns - before) / LB_NS_PER_MS;
}

static inline void answer_to(const struct own *syn, uint8_t flags, uint32_t ack)
{
	const struct probe_reply reply = {
	        .tuple = tuple_reverse(syn->tuple), .seq = 700, .ack = ack, .tcp_flags = flags};

	out.n = 0;
	if (probes_reply(probes, &reply, NULL, now, &out, &result))
		tell();
}

#endif
