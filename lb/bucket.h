/*
 * A bucket of tokens, kept as one time: the one up to which all has been spent. What the bucket
 * holds is the time since then, in ns, and never more than its depth.
 */
#ifndef LB_BUCKET_H
#define LB_BUCKET_H

#include "bytes.h"

/* Spends cost_ns of a bucket that holds depth_ns at most; false, with nothing spent, if it doesn't
 * hold so much. */
static inline bool bucket_pay(uint64_t *paid_ns, uint64_t cost_ns, uint64_t depth_ns, lb_time now)
{
	if (now.ns - *paid_ns > depth_ns)
		*paid_ns = now.ns - depth_ns;
	if (now.ns - *paid_ns < cost_ns)
		return false;
	*paid_ns += cost_ns;
	return true;
}

/* The same of one that is kept in 32 bits, as ms. */
static inline bool bucket_pay_ms(uint32_t *paid_ms, uint32_t cost_ms, uint32_t depth_ms,
                                 uint32_t now_ms)
{
	if (now_ms - *paid_ms > depth_ms)
		*paid_ms = now_ms - depth_ms;
	if (now_ms - *paid_ms < cost_ms)
		return false;
	*paid_ms += cost_ms;
	return true;
}

#endif
