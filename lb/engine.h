/*
 * What the engine holds, for the files that its steps are in; everyone else has lb.h.
 */
#ifndef LB_ENGINE_H
#define LB_ENGINE_H

#include "balance.h"
#include "frag.h"
#include "owner.h"
#include "refuse.h"
#include "router.h"
#include "screen.h"
#include "verdict.h"
#include "way.h"

struct lb {
	struct mac macs[NSIDES];
	uint32_t mtus[NSIDES];
	struct balance balance;
	struct frags frags;
	uint64_t whys[LB_NWHYS];
	struct refuse refuse;
	struct barred_counts barred; /* what has been taken of these */
	uint8_t held;                /* see lb_hold() */
	bool bypassed;               /* see lb_bypass() */
};

static inline const struct rules *engine_rules(const struct lb *lb)
{
	return lb->balance.farms->rules;
}

static inline struct scene engine_scene(const struct lb *lb)
{
	const bool has_stack = rules_has_stack(engine_rules(lb));

	return (struct scene){.macs = lb->macs,
	                      .farms = lb->balance.farms,
	                      .factors6 = lb->balance.flows.factors6,
	                      .has_stack = has_stack,
	                      .held = lb->held,
	                      .is_special = has_stack || lb->held};
}

/* Where a packet that came from the end in ref goes. */
static inline void engine_route(const struct lb *lb, uint32_t ref, struct verdict *v)
{
	const struct flows *flows = &lb->balance.flows;

	v->flow = flow_of(ref);
	way_of_flow(&v->way, end_of(ref) == CLIENT, flows_at(flows, v->flow)->server,
	            flows_client(flows, v->flow));
}

/* If the packet goes to a client whose place on the network isn't known. */
static inline bool engine_is_nowhere(const struct lb *lb, uint32_t ref)
{
	return end_of(ref) == SERVER &&
	       flows_at(&lb->balance.flows, flow_of(ref))->hop == HOPS_NOWHERE;
}

/* If a packet for which this worker has no flow, and which arrives in vlan as key says, is another
 * worker's: then its verdict is settled. */
static inline bool engine_is_elsewhere(const struct lb *lb, const struct flow_key *key,
                                       const struct ip6 *src6, const struct ip6 *dst6,
                                       uint16_t vlan, struct verdict *v)
{
	const struct farms *farms = lb->balance.farms;

	if (farms->share.n == 1)
		return false;
	v->worker = (uint16_t)owner_of(farms, &key->tuple, src6, dst6, vlan);
	if (v->worker == farms->share.worker)
		return false;
	verdict_settle(v, WHY_HANDED_OVER);
	return true;
}

/* If the frame's TTL or hop limit lets it go no further than here. Never so on a cable, which
 * doesn't count them. */
static inline bool engine_is_spent(const struct lb *lb, const struct frame *frame)
{
	return rules_has_stack(engine_rules(lb)) && router_is_last(frame);
}

#endif
