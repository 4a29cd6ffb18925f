/*
 * Rungs of the ladder: each judges one kind of frame, beside the verdict. A mismatch ends the run.
 */
#ifndef ORACLE_JUDGE_H
#define ORACLE_JUDGE_H

#include "parts.h"

/* Sets of reasons. */
#define BIT(why) (1ull << (why))

static_assert(LB_NWHYS <= 64, "sets of reasons are 64 bits");

/* That the reason is one of these. */
void judge_why(const struct verdict *verdict, uint64_t allowed);

/* If the address is a VIP or a SNAT address where frames come from there. */
bool judge_is_ours(const struct model *model, const struct addr *addr, const struct hop *from);

/* If nobody can have sent it: by its address or MAC addresses. */
bool judge_is_martian(const struct model *model, const struct seen *seen);

/* The reasons that outrank all answers, or 0; checked: a bad checksum is one. */
uint64_t judge_odd(const struct model *model, const struct seen *seen, bool checked);

/* That it is answered with a RST for this reason, or not at all for the rate's sake. */
void judge_rst(struct model *model, const struct seen *seen, const struct verdict *verdict,
               enum lb_why why);

/* That a packet of the flow from end was rewritten as it should be. */
void judge_bytes(const struct model *model, const struct flow_model *flow, enum end end,
                 const struct frame *before, const struct frame *after, const struct seen *seen);

/* If it begins a connection. */
bool judge_is_syn(const struct seen *seen);

/* The service that it is to, and its farm; or -1. */
int judge_service_of(const struct model *model, const struct seen *seen, unsigned *ret_farm);

/* If it is to an address of ours, and if not: that it is bridged, or left to the host. */
bool judge_is_for_us(const struct model *model, const struct seen *seen);
void judge_other(const struct model *model, const struct seen *seen, const struct verdict *verdict);

/* A SYN to a service, without a flow. */
void judge_syn(struct model *model, const struct frame *before, const struct frame *after,
               const struct seen *seen, const struct verdict *verdict, unsigned farm,
               unsigned service);

/* A packet of a flow, from end. */
void judge_hit(struct model *model, struct flow_model *flow, enum end end,
               const struct frame *before, const struct frame *after, const struct seen *seen,
               const struct verdict *verdict);

/* Any TCP to us, or to one of whose flows it may be. */
void judge_tcp(struct model *model, const struct frame *before, const struct frame *after,
               const struct seen *seen, const struct verdict *verdict);

#endif
