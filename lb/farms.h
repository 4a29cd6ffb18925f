/*
 * The running state that hangs on the rules: which addresses are whose, which servers are up and
 * how loaded, which SNAT ports are taken. A reload makes another one and moves the flows to it
 * (balance_move()).
 */
#ifndef LB_FARMS_H
#define LB_FARMS_H

#include "address.h"
#include "flows.h"
#include "health.h"
#include "kept.h"
#include "observe.h"
#include "rules.h"
#include "sched.h"
#include "services.h"
#include "share.h"
#include "snat.h"
#include "times.h"

struct farms {
	const struct rules *rules;
	struct share share;
	struct addresses addresses;
	struct services services;
	struct health health;
	struct observe observe;
	struct sched sched;
	struct snat snat;
	struct kept kept;
	struct server_times *times; /* by rules.servers[] */
	struct flow_link *queues;   /* heads of queues of flows (flow.h) */
	struct flow_sum *sums;      /* by rules.servers[]: what their flows have carried */
	uint8_t *sides;             /* likewise: on a cable, on which of these they are (way.h) */
	struct mac *macs;           /* likewise: where they have been found; zeros: not known */
};

/* Numbers of heads in queues[]: of a pool's resting flows, of a pool's half-open ones, and of a
 * server's half-open ones. */
static inline uint32_t farms_resting(uint32_t pool)
{
	return 2 * pool;
}

static inline uint32_t farms_half_open(uint32_t pool)
{
	return 2 * pool + 1;
}

static inline uint32_t farms_opening(const struct farms *farms, unsigned server)
{
	return 2 * farms->snat.npools + server;
}

/* The bytes of memory, aligned to ARENA_ALIGN, that farms_init() needs for rules. */
size_t farms_size(const struct rules *rules);

/* Makes one worker's state in mem. rules must stay. */
struct farms *farms_init(void *mem, const struct rules *rules, const struct share *share,
                         const struct hash_key *key, lb_time now);

/* The farm that serves a port of the address, if it is a VIP, and which of its services that is. */
static inline bool farms_service(const struct farms *farms, const struct address *address,
                                 be16 port, unsigned *ret_farm, unsigned *ret_service)
{
	return address->kinds & ADDRESS_VIP &&
	       services_find(&farms->services, addresses_farm(&farms->addresses, address), port,
	                     ret_farm, ret_service);
}

/* If a farm that has the address, as its VIP or for SNAT, has a server that takes connections. */
bool farms_is_up(const struct farms *farms, const struct address *address);

/* If the server may answer a peer, an address of ours or with `snat = off` its client, from there:
 * by its side, and in its VLAN. */
bool farms_may_answer(const struct farms *farms, unsigned server, be32 peer,
                      const struct hop *from);

/* If it is known that what the server sends to such a peer comes from another MAC address, the
 * server's own. */
bool farms_is_elsewhere(const struct farms *farms, unsigned server, be32 peer,
                        const struct mac *mac);

static inline const struct rules_farm *farms_of_server(const struct farms *farms, unsigned server)
{
	return &farms->rules->farms[farms->rules->servers[server].farm];
}

#endif
