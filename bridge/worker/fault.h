/*
 * The last probe of a server that failed.
 */
#ifndef BRIDGE_FAULT_H
#define BRIDGE_FAULT_H

#include "../../lb/frame.h"

enum { FAULT_BYTES = 64 };

struct fault {
	char why[FAULT_BYTES]; /* what happened; empty: none has failed yet */
	uint16_t port;         /* the one that was checked, in host order */
	lb_time when;
};

#endif
