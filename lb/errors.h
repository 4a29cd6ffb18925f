/*
 * ICMP errors about what tmbridge has sent on.
 */
#ifndef LB_ERRORS_H
#define LB_ERRORS_H

#include "engine.h"

/* The last step for an error (REST_ICMP_ERROR): translates it for the other end of the flow that it
 * is about, or settles it otherwise. */
void errors_input(struct lb *lb, struct frame *frame, const struct job *job, struct verdict *v);

#endif
