/*
 * TCP to us, or from a server: packets that may belong to a flow, or begin one.
 */
#ifndef LB_TRAFFIC_H
#define LB_TRAFFIC_H

#include "engine.h"

/* The last step for TCP, which settles the packet's verdict: forwards it as its flow says, which it
 * may begin, or does what is due where there is none. */
void traffic_tcp(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                 struct verdict *v);

/* Sets in job the farm and the service that a SYN is for, unless that was done: job.is_sought. */
void traffic_seek(const struct lb *lb, struct job *job);

/* If the packet, which belongs to no flow, is what a server would send to a probe. */
bool traffic_is_probe_reply(const struct scene *scene, const struct packet *packet);

#endif
