/*
 * How TCP that gets no flow is turned away.
 */
#ifndef LB_REFUSE_H
#define LB_REFUSE_H

#include "verdict.h"

/* What is turned away is of one of these kinds, each with a limit of its own. */
enum refuse_kind {
	REFUSE_NO_FLOW,
	REFUSE_PORT_NOT_SERVED,
	REFUSE_SYN,      /* to a port that is served */
	REFUSE_FILTERED, /* by a filter */
	REFUSE_ICMP,     /* what is answered with an ICMP error */
	REFUSE_KINDS,
};

enum { REFUSE_SOURCES = 4096 }; /* places for sources; some share one */

struct refuse_limit {
	uint64_t paid_ns[2];              /* up to when resets are paid for: see refuse.c */
	uint32_t paid_ms[REFUSE_SOURCES]; /* the same of each source, since the beginning */
};

struct refuse {
	struct refuse_limit limits[REFUSE_KINDS];
	struct hash_key key;
	lb_time begun;
};

/* Fills all buckets. */
void refuse_begin(struct refuse *refuse, const struct hash_key *key, lb_time now);

/*
 * Settles v: a RST to the packet's sender (RFC 9293, 3.10.7.1) for the reason why, which is paid
 * for; or WHY_RST_LIMITED, if the limit of its kind or of its source allows none.
 */
void refuse(struct refuse *refuse, struct verdict *v, enum lb_why why, const struct packet *packet,
            lb_time now);

/* After WHY_RST_LIMITED: the time before which the packet's source surely gets no RST. */
lb_time refuse_until(const struct refuse *refuse, enum lb_why why, const struct packet *packet,
                     lb_time now);

/* The same by an ICMP error, or WHY_ICMP_LIMITED. True if it is the error: then the caller fills in
 * which one. */
bool refuse_by_icmp(struct refuse *refuse, struct verdict *v, enum lb_why why,
                    const struct packet *packet, lb_time now);

#endif
