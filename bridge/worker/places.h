/*
 * Where servers are, and what follows when that is known.
 */
#ifndef BRIDGE_PLACES_H
#define BRIDGE_PLACES_H

#include "worker.h"

/* Queues a frame in the port of hop's side, with its layer 2. */
void places_forward(struct worker *worker, struct frame *frame, const struct hop *hop, lb_time now);

/* Goes on with what waited for servers whose place has become known, or has changed. */
void places_found(struct worker *worker, lb_time now);

/* The first worker: decides if a server is where it is said to be, and notes it. Another one: sends
 * the first one what is said. */
void places_learn(struct worker *worker, const struct sighting *sighting, lb_time now);

/* Announces again what was claimed once more too soon after it had been defended. */
void places_defend(struct worker *worker, lb_time now);

/* Asks for the servers that are due to be asked for. */
void places_ask(struct worker *worker, lb_time now);

/* Notes what a frame has said of where somebody is, or that somebody claims an address of ours, as
 * v has it. */
void places_note(struct worker *worker, const struct verdict *v, lb_time now);

#endif
