/*
 * How TCP that gets no flow is turned away.
 */
#ifndef LB_REFUSE_H
#define LB_REFUSE_H

#include "verdict.h"

struct refuse {
	lb_time paid; /* token bucket: up to when RSTs are paid for */
};

/* The bucket begins full. */
void refuse_begin(struct refuse *refuse, lb_time now);

/* An answer that resets the packet's sender: RFC 9293, 3.10.7.1. */
void refuse_rst(struct verdict *v, enum lb_why why, const struct packet *packet);

/* The same as far as the rate allows, else WHY_RST_LIMITED. */
void refuse_limited(struct refuse *refuse, struct verdict *v, enum lb_why why,
                    const struct packet *packet, lb_time now);

#endif
