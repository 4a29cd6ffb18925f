/*
 * Fragments of balanced packets.
 */
#ifndef LB_PIECES_H
#define LB_PIECES_H

#include "engine.h"

/* The last step for a fragment, which settles its verdict: a first fragment goes where its packet
 * would, the others where that one went; one that came before it waits (frag.h). */
void pieces_input(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                  struct verdict *v);

/* Takes out a fragment that waited, with its verdict: see lb_take_fragment(). */
bool pieces_take(struct lb *lb, struct frame *ret, struct verdict *ret_verdict);

#endif
