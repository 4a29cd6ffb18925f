/*
 * Where servers are, and what follows when that is known.
 */
#ifndef BRIDGE_PLACES_H
#define BRIDGE_PLACES_H

#include "worker.h"

/* Queues a frame in the port of hop's side, with its layer 2. */
void places_forward(struct worker *worker, struct frame *frame, const struct hop *hop, lb_time now);

/* Servers whose place is known, or another one, since: what waited for that goes on. */
void places_found(struct worker *worker, lb_time now);

/* Notes where a server is said to be; so does the first worker, who decides upon it. */
void places_learn(struct worker *worker, const struct sighting *sighting, lb_time now);

/* Asks for the servers that are due to be asked for. */
void places_ask(struct worker *worker, lb_time now);

/* Notes what a frame has said of somebody's place, or against our having an address. */
void places_note(struct worker *worker, const struct verdict *v, lb_time now);

#endif
