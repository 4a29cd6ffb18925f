/*
 * How a balanced connection goes on: packet by packet.
 */
#ifndef LB_PROGRESS_H
#define LB_PROGRESS_H

#include "balance.h"

/*
 * If packet is what the flow goes on with, from where it always came: then it needs no checksum to
 * be believed. See tcp_is_expected(). And notes such a one.
 */
bool progress_expects(const struct balance *balance, uint32_t ref, const struct packet *packet);
void progress_goes_on(struct balance *balance, uint32_t ref, const struct packet *packet,
                      uint32_t len, lb_time now);

/* Counts a packet of the flow, of len bytes as a frame, that came from the end in ref: which alone
 * keeps no flow. */
void progress_count(struct balance *balance, uint32_t ref, uint32_t len);

/* Judges a packet of the flow, of len bytes as a frame, that came from the end in ref undamaged,
 * and notes what follows from it. Counted is each. */
void progress_packet(struct balance *balance, uint32_t ref, const struct packet *packet,
                     uint32_t len, lb_time now);

/*
 * What another writer of the table has noted of the flow's end (notes.h): what follows from it; and
 * of all flows', as many as records may wait for: true if there are more.
 */
void progress_take(struct balance *balance, uint32_t flow, lb_time now);
bool progress_take_all(struct balance *balance, lb_time now);

/*
 * The reference that a packet of the client's is of: ref, half-open, or an older flow beside which
 * that was made: if the older one goes on by it, the SYN was a stranger's, and ref's flow has its
 * client no more.
 */
uint32_t progress_resolve(struct balance *balance, uint32_t ref, const struct packet *packet,
                          lb_time now);

#endif
