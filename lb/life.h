/*
 * The states of a balanced connection, and its end: flow, server and SNAT port, given back
 * together.
 */
#ifndef LB_LIFE_H
#define LB_LIFE_H

#include "balance.h"

/* The tick at which the flow expires if no packet comes; and has it looked at by then. */
uint32_t life_deadline(const struct balance *balance, const struct flow *flow);
void life_check(struct balance *balance, uint32_t flow);

/* The flow's client sticks to its server, from the flow's last packet on; nobody's, if it isn't
 * open yet. is_new: it has just become so. */
void life_persist(struct balance *balance, const struct flow *flow, bool is_new, lb_time now);

/* If the server of the flow has no use for it: its farm is gone, or it is down. */
bool life_is_unserved(const struct balance *balance, const struct flow *flow);

/* How old the flow is, in ns. */
uint64_t life_age_ns(const struct balance *balance, uint32_t flow, lb_time now);

/* If its server has answered its SYN; that it has, or won't; and what `observe` is told of it: for
 * a client who asks in vain that comes once he has asked for OBSERVE_PATIENCE_MS, which is_observed
 * says. */
bool life_is_answered(const struct flow *flow);
void life_note_answer(struct balance *balance, uint32_t flow, bool answered, lb_time now);
void life_observe(struct balance *balance, uint32_t flow, bool answered);
bool life_is_observed(const struct balance *balance, uint32_t flow);

/* The live flow that still waits beside the newer one, or FLOW_NONE. */
uint32_t life_older(const struct balance *balance, uint32_t flow);

/* From live to reset, or if there was no connection yet to quarantine; and back to what it was. */
void life_reset(struct balance *balance, uint32_t flow, enum end by, lb_time now);
void life_revive(struct balance *balance, uint32_t flow, lb_time now);

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
 * Records the flows that are open, which stay so, unless they go on without this process, and those
 * that have been reset and might still revive, for when nothing will come any more: those from
 * *cursor on, as many as records may wait. False if there is none left.
 */
bool life_bury_all(struct balance *balance, uint32_t *cursor, bool go_on, lb_time now);

#endif
