/*
 * How often our addresses are announced again when another host claims them.
 */
#ifndef BRIDGE_DEFENCE_H
#define BRIDGE_DEFENCE_H

#include "../../lb/frame.h"
#include "../../lb/rules.h"

enum {
	/* a VIP and as many SNAT addresses as a farm may have: an old balancer that is switched on
	 * again claims them all at once */
	DEFENCE_PLACES = 1 + RULES_SNAT_MAX,
	/* RFC 5227's DEFEND_INTERVAL: more often two hosts would shout at each other */
	DEFENCE_S = 10,
};

/* All zeros: none yet. */
struct defence {
	struct {
		be32 address;
		uint16_t vlan;
		bool used;
		bool again; /* it was claimed since */
		lb_time at;
	} last[DEFENCE_PLACES];
	unsigned owed; /* how many were claimed since */
};

/*
 * If the address, which somebody claims in that VLAN, may be announced now (RFC 5227, 2.4 b); if so
 * that is noted as done, else defence_next() has it once the time is over. False as well if
 * DEFENCE_PLACES others have just been announced.
 */
bool defence_may(struct defence *defence, be32 address, uint16_t vlan, lb_time now);

/* The next address that was claimed again too soon, and is to be announced now; noted as done.
 * Returns false, and sets nothing, if there is none. */
bool defence_next(struct defence *defence, lb_time now, be32 *ret_address, uint16_t *ret_vlan);

#endif
