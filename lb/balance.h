/*
 * Balanced connections: what is kept of them. Flow, server and SNAT port are taken together
 * (admit.h) and given back together (life.h).
 */
#ifndef LB_BALANCE_H
#define LB_BALANCE_H

#include "anew.h"
#include "challenges.h"
#include "ended.h"
#include "farms.h"
#include "flows.h"
#include "own.h"
#include "parse.h"
#include "persist.h"
#include "limits.h"
#include "segment.h"
#include "strangers.h"
#include "waits.h"
#include "rewrite.h"
#include "why.h"

/*
 * How long flows are kept. Half-open: outlasts the gap before Linux's and Windows' last but one
 * retransmission of a SYN (16 s). Closing: FINs are repeated for about as long. Quarantine: the
 * TIME_WAIT of Windows Server 2008 and later is 120 s, of Linux 60 s; where the server closed
 * second or was reset it has no TIME_WAIT, only a last ACK may have to be repeated.
 *
 * Reset: as conntrack's CLOSE. What the end that was reset says in the first BALANCE_CROSSING_MS of
 * that may have been underway when the RST came.
 */
enum {
	BALANCE_HALF_OPEN_S = 30,
	BALANCE_CLOSING_S = 60,
	BALANCE_QUARANTINE_S = 120,
	BALANCE_QUARANTINE_SHORT_S = 10,
	BALANCE_RESET_S = 10,
	BALANCE_CROSSING_MS = 1000,
};

enum { ENDED_WHYS = ENDED_EXIT + 1 };

struct balance_counts {
	uint64_t created;           /* = open flows + the sum of ended */
	uint64_t ended[ENDED_WHYS]; /* by enum ended_why */
	uint64_t refused;           /* SYNs to a service port that were turned away */
	uint64_t quarantine_cut;    /* quarantined flows given up early, for their place or port */
	uint64_t passed_over;       /* times that a server wasn't chosen for want of a SNAT port */
	uint64_t own_port;          /* flows whose SNAT port is the client's own port's number */
	uint64_t revived;           /* flows that went on after a RST: no longer in ended */
	uint64_t wrong_side;        /* in a server's name, in handshakes, from where it can't be */
	uint64_t resets;            /* RSTs sent to the ends of flows that we ended */
};

struct balance {
	struct farms *farms;
	struct flows flows; /* as many places as may be open and half-open */
	uint32_t most_open; /* connections beyond which none are begun */
	uint32_t most_half_open;
	uint32_t strays; /* flows from before a reload whose SNAT port isn't one of the present
	                    pools */
	struct persist persist;
	struct anew anew;
	struct segment segment;
	struct waits waits;
	struct limits limits;
	struct strangers strangers;
	struct challenges challenges;
	struct ended_ring ended;
	struct balance_counts counts;
	lb_time epoch;         /* when tick 0 was */
	lb_time swept;         /* up to when flows have been looked at for expiry */
	uint32_t cursor;       /* the flow at which looking goes on */
	uint32_t look_left;    /* flows still to be looked at whether they are due or not */
	uint32_t look_reached; /* how far the table reached when that was counted */
	uint32_t reap_cursor;  /* the same, for flows of servers that are down or gone */
	uint32_t reap_left;    /* flows still to be looked at for that */
	uint32_t reap_reached; /* how far the table reached when that was counted */
	bool is_barring;       /* flows are counted in limits.barred, as some farm has limits */
	bool has_moved;        /* since a reload not all flows have been looked at for that */
	uint32_t follow_cursor, follow_left; /* flows still to be looked at by follow_look() */
	uint32_t follow_began;               /* tick of that */
	uint32_t reset; /* flows that may revive: ended, but not yet recorded as such */
};

/* Milliseconds since the table was made. */
static inline uint64_t balance_ms(const struct balance *balance, lb_time now)
{
	return (now.ns - balance->epoch.ns) / LB_NS_PER_MS;
}

/* Microseconds since the last of them. */
static inline uint16_t balance_us(const struct balance *balance, lb_time now)
{
	return (uint16_t)((now.ns - balance->epoch.ns) % LB_NS_PER_MS / (LB_NS_PER_MS / 1000));
}

/* The time in ticks (flow.h). */
static inline uint32_t balance_tick(const struct balance *balance, lb_time now)
{
	return flow_tick(now, balance->epoch);
}

/* If it looks like a flood of SYNs: half of the half-open places are taken, or so many frames wait
 * to be read that the frames which begin a connection are put off (strangers.h). */
static inline bool balance_is_flooded(const struct balance *balance, lb_time now)
{
	return strangers_is_pressed(&balance->strangers, now) ||
	       balance->flows.openings.list.length >=
	               balance->most_half_open - balance->most_half_open / 2;
}

/*
 * Takes the table for this share of rules.max_connections flows and of rules.max_half_open, one at
 * least of either, and all else that a reload leaves alone.
 */
void balance_lay_out(struct balance *balance, struct arena *arena, const struct rules *rules,
                     const struct share *share, struct hash_key key, lb_time now);

/* The addresses and ports with which the flow's packets arrive from end; and those with which a
 * packet leaves that came from the flow's end in ref. */
void balance_arrival(const struct balance *balance, uint32_t flow, enum end end,
                     struct rewrite_to *ret);
void balance_departure(const struct balance *balance, uint32_t ref, struct rewrite_to *ret);

/* The address of the flow's client; of IPv4 as ip6_mapped(). */
struct ip6 balance_client(const struct balance *balance, uint32_t flow);

/* The flow's client as limits_key() names him; and who has sent the packet. */
uint64_t balance_client_key(const struct balance *balance, uint32_t flow);
uint64_t balance_sender_key(const struct packet *packet);

/*
 * A stray is a flow from before a reload whose SNAT port the present rules don't hand out, or of
 * whose service or SNAT address they know nothing. balance_locate_port() sets *ret to where the
 * flow's port stands in the pools of the present rules, or returns false: `snat = off`, or they
 * don't know it. balance_give_port_back() frees that port, if there is one.
 */
bool balance_is_stray(const struct balance *balance, const struct flow *flow);
bool balance_locate_port(const struct balance *balance, const struct flow *flow,
                         struct snat_port *ret);
void balance_give_port_back(struct balance *balance, const struct flow *flow);

/*
 * Marks a port as taken that a flow of the server had under other rules. Returns false if these
 * rules don't hand that port out: then the flow is a stray. Two flows may have had the port, from
 * pools that are one pool now: from then on a port that looks free is looked up in the table, as if
 * there were strays.
 */
bool balance_keep_port(struct balance *balance, uint16_t server, struct snat_port port);

/* The flow's client as its farm's limits know him. */
struct limits_asker balance_asker(const struct balance *balance, uint32_t flow);

/* Counts the open connections of clients whose farm limits these, from the flows. */
void balance_count_clients(struct balance *balance, lb_time now);

/* Counts in limits.barred that the flow begins, or is forgotten: the SYNs of a flow aren't dropped
 * there. */
void balance_bar_flow(struct balance *balance, uint32_t flow, bool begins);

static inline void balance_note_flow(struct balance *balance, uint32_t flow, bool begins)
{
	if (__builtin_expect(balance->is_barring, 0))
		balance_bar_flow(balance, flow, begins);
}

/* From now on notes in barred which SYNs would only be refused again, if the rules have limits for
 * clients. */
void balance_use_barred(struct balance *balance, struct barred *barred);

/* Has balance use farms, while there are no flows yet: else it is balance_move()'s to do. */
void balance_begin(struct balance *balance, struct farms *farms);

/*
 * Puts a flow whose state has just become half-open, reset or quarantined into its queues.
 * balance_queue_new() is for a flow that has just been made, with its SNAT port; NULL: it has none.
 */
void balance_queue_new(struct balance *balance, uint32_t flow, const struct snat_port *port);
void balance_queue(struct balance *balance, uint32_t flow);

/*
 * Moves all flows to other rules, whose state is in farms; map says the new number of each server
 * that has flows. The old state is no longer referenced.
 */
void balance_move(struct balance *balance, struct farms *farms, const uint16_t *map);

/*
 * Marks in ret, by rules.servers[], the servers that flows, live or quarantined, refer to. From
 * whichever thread: what other threads do meanwhile may or may not be seen.
 */
void balance_referenced(const struct balance *balance, bool *ret);

/* Likewise the SNAT addresses that flows may have, as takeover.h has them. */
void balance_referenced_snat(const struct balance *balance, bool *ret);

/* Flows that are live, those of them that aren't half-open, and those in quarantine. */
uint32_t balance_established(const struct balance *balance);
uint32_t balance_open_flows(const struct balance *balance);
uint32_t balance_quarantined(const struct balance *balance);

#endif
