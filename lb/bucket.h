/*
 * A bucket of tokens, as a time: that up to when all is paid for. How long ago that is, is what the
 * bucket holds.
 */
#ifndef LB_BUCKET_H
#define LB_BUCKET_H

#include "bytes.h"

/* Takes what costs that many ns, of a bucket that holds depth_ns at most; false if it doesn't hold
 * so much. */
static inline bool bucket_pay(uint64_t *paid_ns, uint64_t cost_ns, uint64_t depth_ns, lb_time now)
{
	if (now.ns - *paid_ns > depth_ns)
		*paid_ns = now.ns - depth_ns;
	if (now.ns - *paid_ns < cost_ns)
		return false;
	*paid_ns += cost_ns;
	return true;
}

#endif
