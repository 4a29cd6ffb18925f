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

/* All buckets begin full. */
void refuse_begin(struct refuse *refuse, const struct hash_key *key, lb_time now);

/*
 * An answer that resets the packet's sender (RFC 9293, 3.10.7.1), as far as the limits of its kind
 * and of its source allow, else WHY_RST_LIMITED.
 */
void refuse(struct refuse *refuse, struct verdict *v, enum lb_why why, const struct packet *packet,
            lb_time now);

/* After WHY_RST_LIMITED: up to when it stays so for the packet's source, at least. */
lb_time refuse_until(const struct refuse *refuse, enum lb_why why, const struct packet *packet,
                     lb_time now);

/* The same by an ICMP error, else WHY_ICMP_LIMITED: says if so. What it is has to be added. */
bool refuse_by_icmp(struct refuse *refuse, struct verdict *v, enum lb_why why,
                    const struct packet *packet, lb_time now);

#endif
