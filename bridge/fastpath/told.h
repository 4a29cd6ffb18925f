/*
 * What the process has only been told of.
 */
#ifndef BRIDGE_TOLD_H
#define BRIDGE_TOLD_H

#include "shared.h"
#include "../../lb/frame.h"

/* If the frame, which came from a punt device and isn't addressed to us, has crossed already. conf
 * and places are the programs' maps. */
bool told_is_one(const struct fastpath_conf *conf, const struct fastpath_address *places,
                 const struct frame *frame);

#endif
