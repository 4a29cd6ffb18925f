/*
 * What hosts and strangers leave to chance.
 */
#ifndef ORACLE_CHANCE_H
#define ORACLE_CHANCE_H

#include "hosts.h"

#include "../unit/random.h"

enum {
	PAYLOAD = 300,
	FAR = 1 << 30,
};

static inline bool chance_one_in(uint32_t n)
{
	return random_below(n) == 0;
}

static inline struct mac chance_mac(uint8_t kind, uint8_t last)
{
	return (struct mac){{2, 0, 0, 0, kind, last}};
}

static inline struct hop chance_hop(enum side side, struct mac mac)
{
	struct hop hop = {.mac = mac, .side = side & 1};

	hop.ntags = chance_one_in(3) ? random_below(3) & 3 : 0;
	for (unsigned i = 0; i < hop.ntags; i++)
		hop.tci[i] = be16_from((uint16_t)(chance_one_in(2) ? random_below(65536)
		                                                   : WORLD_VLAN + random_below(3)));
	hop.tpid0 = hop.ntags > 0 ? random_below(3) & 3 : 0;
	hop.tpid1 = hop.ntags > 1 ? random_below(3) & 3 : 0;
	return hop;
}

/* Mostly in the VLAN that is right, 0 being none, or any. */
static inline struct hop chance_hop_in(unsigned vlan, enum side side, struct mac mac)
{
	struct hop hop = {.mac = mac, .side = side & 1, .ntags = 1};

	if (!vlan || chance_one_in(12))
		return chance_hop(side, mac);
	hop.tci[0] = be16_from((uint16_t)(random_below(16) << 12 | vlan));
	return hop;
}

static inline const struct rules_farm *hosts_farm(const struct hosts *hosts, unsigned farm)
{
	return &hosts->world->rules->farms[farm];
}

/* Interception is by IP address: any MAC address but a group's will do. */
static inline struct mac chance_to(enum side side)
{
	return chance_one_in(4) ? chance_mac(9, (uint8_t)random_next()) : world_mac(side);
}

static inline unsigned chance_farm(const struct hosts *hosts)
{
	return random_below(hosts->world->rules->nfarms);
}

#endif
