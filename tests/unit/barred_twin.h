/*
 * What the program before the sockets does with a frame (bridge/fastpath/bouncer.bpf.c), here.
 */
#ifndef UNIT_BARRED_TWIN_H
#define UNIT_BARRED_TWIN_H

#include "../../lb/barred.h"

/* The kernel takes the outermost tag out of a frame before others look at it. */
static inline uint32_t barred_twin_untagged(const struct frame *frame, uint8_t *ret,
                                            uint16_t *ret_vlan, bool *ret_other)
{
	const uint8_t *p = frame->data;
	uint32_t tag = 0;
	unsigned tpid;

	*ret_vlan = VLAN_NONE;
	*ret_other = false;
	if (tpid_of(be16_get(be16_load(p + ETH_TYPE)), &tpid)) {
		tag = FRAME_TAG_BYTES;
		*ret_vlan = be16_get(be16_load(p + ETH_TYPE + 2)) & VLAN_ID_MASK;
		*ret_other = tpid != TPID_8021Q;
	}
	if (frame->len - tag < BARRED_SYN_MIN || frame->len - tag > BARRED_SYN_MAX)
		return 0;
	memcpy(ret, p, ETH_TYPE);
	memcpy(ret + ETH_TYPE, p + ETH_TYPE + tag, frame->len - tag - ETH_TYPE);
	return frame->len - tag;
}

/* If it drops the frame; it is counted then, and *ret is why. */
static inline bool barred_twin_drops(struct barred *barred, const struct frame *frame, lb_time now,
                                     uint32_t *ret)
{
	_Alignas(8) uint8_t room[BARRED_SYN_MAX + 2] = {0};
	struct barred_syn syn;
	uint16_t vlan;
	bool is_other;
	uint32_t len;

	if (!BOTH_READ(barred->last_ns) || frame->len < BARRED_SYN_MIN)
		return false;
	len = barred_twin_untagged(frame, room + 2, &vlan, &is_other);
	if (!len || is_other || !barred_read(room + 2, len, vlan, &syn) ||
	    !barred_find(barred, &syn, now.ns, ret))
		return false;
	barred_count(barred, 0, *ret, frame->side, frame->len);
	return true;
}

#endif
