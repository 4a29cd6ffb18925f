/*
 * The states of a balanced connection, and its end: flow, server and SNAT port, given back
 * together.
 */
#ifndef LB_LIFE_H
#define LB_LIFE_H

#include "balance.h"

/* The tick at which the flow expires if no packet comes; and has expire.c look at it by then. */
uint32_t life_deadline(const struct balance *balance, const struct flow *flow);
void life_check(struct balance *balance, uint32_t flow);

/* Has the flow's client stick to its server, counted from the flow's last packet; does nothing if
 * the flow isn't open yet. is_new: it has just been opened. */
void life_persist(struct balance *balance, const struct flow *flow, bool is_new, lb_time now);

/* If the flow's server serves it no more: the farm is gone, or the server is down. */
bool life_is_unserved(const struct balance *balance, const struct flow *flow);

/* How old the flow is, in ns. */
uint64_t life_age_ns(const struct balance *balance, uint32_t flow, lb_time now);

/*
 * If the flow's server has answered its SYN. Notes that it has, or that it won't any more. And
 * notes for observe.h that it has or hasn't; a client who gets no answer counts there only when he
 * has waited for OBSERVE_PATIENCE_MS, which life_is_observed() says.
 */
bool life_is_answered(const struct flow *flow);
void life_note_answer(struct balance *balance, uint32_t flow, bool answered, lb_time now);
void life_observe(struct balance *balance, uint32_t flow, bool answered);
bool life_is_observed(const struct balance *balance, uint32_t flow);

/* The live flow that still waits beside the newer one, or FLOW_NONE. */
uint32_t life_older(const struct balance *balance, uint32_t flow);

/* Ends a live flow by a RST of `by`: it goes to reset, or to quarantine if it was never open. The
 * other function brings one that was reset back to what it was. */
void life_reset(struct balance *balance, uint32_t flow, enum end by, lb_time now);
void life_revive(struct balance *balance, uint32_t flow, lb_time now);

/* Ends a live flow: it goes to quarantine; flags (FLOW_...) are added to the flow's. */
void life_end(struct balance *balance, uint32_t flow, enum ended_why why, uint8_t flags,
              lb_time now);

/*
 * Records the end of a flow of another process that has ended with nobody there: that a program has
 * noted, as if it had been this process's; or that the other one had no time to record, as the flow
 * might have been revived. Nothing of one in quarantine. To be called before its state is changed.
 */
void life_ended_before(struct balance *balance, uint32_t flow);

/* Moves a flow from reset to quarantine; one in another state stays as it is. */
void life_bury(struct balance *balance, uint32_t flow);

/* Forgets a flow that was reset or is in quarantine; and one in quarantine before its time, as its
 * place or port is needed. */
void life_forget(struct balance *balance, uint32_t flow);
void life_cut_quarantine(struct balance *balance, uint32_t flow);

/* Ends a half-open flow and forgets it at once, without a word to its ends: so the client's next
 * SYN gets another server. life_evict() is that where its place is needed for another flow. */
void life_drop(struct balance *balance, uint32_t flow, enum ended_why why, lb_time now);
void life_evict(struct balance *balance, uint32_t flow, lb_time now);

/*
 * If a SYN of its client's begins another flow though this one is live: because its server gets no
 * more connections. A flow whose server has answered already goes on, unless that is down.
 */
bool life_gives_way(const struct balance *balance, const struct flow *flow);

/* Makes way for that other flow: if ref is half-open, drops it and returns what key finds then, an
 * older flow or FLOW_NONE; one that is open stays, and is returned. */
uint32_t life_give_way(struct balance *balance, const struct flow_key *key, uint32_t ref,
                       lb_time now);

/* Notes that the flow, just made, has taken key from old (a reference, or FLOW_NONE). Another one
 * whose place is needed for that is dropped, and gives its client back. */
void life_take_over(struct balance *balance, uint32_t flow, uint32_t old, lb_time now);

/*
 * Records the flows that are open, which stay so, unless they go on without this process, and those
 * that have been reset and might still revive, for when nothing will come any more: those from
 * *cursor on, as many as records may wait. False if there is none left.
 */
bool life_bury_all(struct balance *balance, uint32_t *cursor, bool go_on, lb_time now);

#endif
