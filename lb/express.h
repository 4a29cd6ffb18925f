/*
 * The short way through the engine, which most packets take: a segment of an open connection that
 * neither begins nor ends anything.
 */
#ifndef LB_EXPRESS_H
#define LB_EXPRESS_H

#include "balance.h"
#include "screen.h"

/*
 * Forwards a plain frame and settles ret, tick being the time, as the long way would. False,
 * nothing having been changed, if the frame must go that way.
 */
bool express(struct balance *balance, struct frame *frame, const struct job *job, uint32_t tick,
             struct verdict *ret);

#endif
