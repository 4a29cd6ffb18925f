/*
 * TCP to us, or from a server: what may be of a flow, or begin one.
 */
#ifndef LB_TRAFFIC_H
#define LB_TRAFFIC_H

#include "engine.h"

/* The last step for TCP: forwards the packet, its flow being known or begun, or settles it
 * otherwise. */
void traffic_tcp(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                 struct verdict *v);

/* Finds the farm and the service that a SYN is for, once: job.is_sought. */
void traffic_seek(const struct lb *lb, struct job *job);

/* If the packet, which belongs to no flow, is what a server would send to a probe. */
bool traffic_is_probe_reply(const struct screen *screen, const struct packet *packet);

#endif
