/*
 * What the tests of neighbours begin with: a table, servers, and a clock that is turned by hand.
 */
#ifndef UNIT_NEIGH_FIXTURE_H
#define UNIT_NEIGH_FIXTURE_H

#include "fixture.h"

#include "../../bridge/worker/neigh.h"

static struct rules *rules;
static struct neigh_table *table;
static lb_time now;

static inline void begin(unsigned nservers, bool has_mac)
{
	rules = fixture_rules(nservers);
	for (unsigned s = 0; s < nservers; s++)
		rules->servers[s].has_mac = has_mac;
	now = (lb_time){1000 * LB_NS_PER_S};
	table = neigh_new(rules, true);
}

static inline void end(void)
{
	neigh_free(table);
	rules_free(rules);
}

static inline void wait_ms(uint64_t ms)
{
	now.ns += ms * LB_NS_PER_MS;
}

static inline struct sighting sighting_of(unsigned server, uint8_t mac, enum side side)
{
	return (struct sighting){.ip = fixture_server(server),
	                         .hop = {.mac = mac_of(mac), .side = side & 1},
	                         .overrides = true};
}

static inline bool is_mac(const struct hop *hop, uint8_t last)
{
	const struct mac mac = mac_of(last);

	return mac_eq(&hop->mac, &mac);
}

static inline bool see(unsigned server, uint8_t mac)
{
	struct sighting sighting = sighting_of(server, mac, INSIDE);

	return neigh_sighted(table, &sighting, now);
}

#endif
