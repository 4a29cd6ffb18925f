/*
 * When which of our addresses is announced: each one twice.
 */
#ifndef BRIDGE_ANNOUNCER_H
#define BRIDGE_ANNOUNCER_H

#include "pace.h"
#include "walk.h"
#include "../../lb/frame.h"
#include "../../lb/way.h"

enum {
	ANNOUNCER_BOTH = WAY_SIDES,
	ANNOUNCER_TIMES = 2,   /* RFC 5227's ANNOUNCE_NUM; of RFC 4861, 7.2.6, up to 3 */
	ANNOUNCER_PER_MS = 32, /* announcements: of many addresses, they don't stall the wire */
	ANNOUNCER_LOOKS = 256, /* at addresses, at once */
};

/*
 * All zeros: there is nothing to announce. With the announcement of an IPv6 address goes a report
 * that we listen to solicitations for it (MLD). Reports alone are repeated for ever: switches
 * forget them, and there may be no querier that asks for them.
 */
struct announcer {
	uint8_t left[NSIDES]; /* times that all addresses are still to be announced on that side */
	uint8_t going;        /* sides (1 << side) on which that is underway */
	uint8_t side;         /* the next one on which ip is announced; NSIDES: it is done */
	struct walk walk;     /* which has come to: */
	be32 ip;
	uint16_t vlan;
	bool refreshes; /* there are IPv6 addresses */
	bool joins;     /* this round has reports only */
	lb_time next;   /* round */
	struct pace pace;
};

/* Has all addresses of rules announced on the sides whose bits (1 << side) are set, from now on. */
void announcer_begin(struct announcer *announcer, const struct rules *rules, unsigned sides,
                     lb_time now);

/*
 * Takes the next address to be announced now, with its VLAN and side; false if there is none now.
 * An address that several farms share comes once in a round. If addresses are others than at the
 * last call, some come twice or not at all, unless announcer_begin() is called.
 */
bool announcer_next(struct announcer *announcer, const struct addresses *addresses, lb_time now,
                    enum side *ret_side, be32 *ret_address, uint16_t *ret_vlan);

/* If what announcer_next() gave is to be reported only, not announced. */
static inline bool announcer_only_joins(const struct announcer *announcer)
{
	return announcer->joins;
}

/* When announcer_next() will have something; UINT64_MAX: never. */
lb_time announcer_due(const struct announcer *announcer);

#endif
