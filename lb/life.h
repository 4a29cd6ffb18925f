/*
 * How a balanced connection goes on and ends: flow, server and SNAT port, given back together.
 */
#ifndef LB_LIFE_H
#define LB_LIFE_H

#include "balance.h"

/*
 * If packet is what the flow goes on with, from where it always came: then it needs no checksum to
 * be believed. See tcp_is_expected(). And notes such a one.
 */
bool life_expects(const struct balance *balance, uint32_t ref, const struct packet *packet);
void life_goes_on(struct balance *balance, uint32_t ref, const struct packet *packet, uint32_t len,
                  lb_time now);

/* Counts a packet of the flow, of len bytes as a frame, that came from the end in ref: which alone
 * keeps no flow. */
void life_count(struct balance *balance, uint32_t ref, uint32_t len);

/* Judges a packet of the flow, of len bytes as a frame, that came from the end in ref undamaged,
 * and notes what follows from it. Counted is each. */
void life_packet(struct balance *balance, uint32_t ref, const struct packet *packet, uint32_t len,
                 lb_time now);

/* The tick at which the flow expires if no packet comes; and has it looked at by then. */
uint32_t life_deadline(const struct balance *balance, const struct flow *flow);
void life_check(struct balance *balance, uint32_t flow);

/* The flow's client sticks to its server, from the flow's last packet on; nobody's, if it isn't
 * open yet. is_new: it has just become so. */
void life_persist(struct balance *balance, const struct flow *flow, bool is_new, lb_time now);

/* If the server of the flow has no use for it: its farm is gone, or it is down. */
bool life_is_unserved(const struct balance *balance, const struct flow *flow);

/* From live to quarantine; flags (FLOW_...) are added to the flow's. */
void life_end(struct balance *balance, uint32_t flow, enum ended_why why, uint8_t flags,
              lb_time now);

/* From reset to quarantine. Any other state stays. */
void life_bury(struct balance *balance, uint32_t flow);

/* From reset or quarantine to nothing; early, for another's sake. */
void life_forget(struct balance *balance, uint32_t flow);
void life_cut_quarantine(struct balance *balance, uint32_t flow);

/* Ends a half-open flow and forgets it at once, without a word to its ends: so the client's next
 * SYN gets another server. life_evict(): for another's sake. */
void life_drop(struct balance *balance, uint32_t flow, enum ended_why why, lb_time now);
void life_evict(struct balance *balance, uint32_t flow, lb_time now);

/*
 * If a SYN of its client's makes another flow beside the live one: its server is given no
 * connections any more. A server that has answered already may go on with that, unless it is down.
 */
bool life_gives_way(const struct balance *balance, const struct flow *flow);

/* Makes way for that: drops the half-open flow ref, and returns FLOW_NONE or an older one that key
 * finds then; one that was open stays, and is returned. */
uint32_t life_give_way(struct balance *balance, const struct flow_key *key, uint32_t ref,
                       lb_time now);

/* Notes that the flow, just made, has taken key from old (a reference, or FLOW_NONE). */
void life_take_over(struct balance *balance, uint32_t flow, uint32_t old);

/*
 * The reference that a packet of the client's is of: ref, half-open, or an older flow beside which
 * that was made: if the older one goes on by it, the SYN was a stranger's, and ref's flow has its
 * client no more.
 */
uint32_t life_resolve(struct balance *balance, uint32_t ref, const struct packet *packet,
                      lb_time now);

/*
 * Records the flows that are open, which stay so, unless they go on without this process, and those
 * that have been reset and might still revive, for when nothing will come any more: those from
 * *cursor on, as many as records may wait. False if there is none left.
 */
bool life_bury_all(struct balance *balance, uint32_t *cursor, bool go_on, lb_time now);

#endif
