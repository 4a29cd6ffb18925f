/*
 * How a balanced connection goes on: packet by packet.
 */
#ifndef LB_PROGRESS_H
#define LB_PROGRESS_H

#include "balance.h"

/*
 * progress_expects(): if packet has the numbers with which the flow goes on (tcp_is_expected()) and
 * comes from where its packets came before: such a packet is believed without a look at its
 * checksum. progress_goes_on() notes such a packet, of len bytes as a frame.
 */
bool progress_expects(const struct balance *balance, uint32_t ref, const struct packet *packet);
void progress_goes_on(struct balance *balance, uint32_t ref, const struct packet *packet,
                      uint32_t len, lb_time now);

/* Counts a packet of the flow, of len bytes as a frame, that came from the end in ref. That doesn't
 * move the flow's deadline. */
void progress_count(struct balance *balance, uint32_t ref, uint32_t len);

/* Judges a packet of the flow, of len bytes as a frame, that came undamaged from the end in ref;
 * counts it, and if it is acceptable changes the flow by what it says. */
void progress_packet(struct balance *balance, uint32_t ref, const struct packet *packet,
                     uint32_t len, lb_time now);

/*
 * Takes what a program has noted of the flow's end (notes.h), and ends the flow accordingly; or
 * takes it of all flows, as long as there is room for the records of their ends: true if there are
 * more.
 */
void progress_take(struct balance *balance, uint32_t flow, lb_time now);
bool progress_take_all(struct balance *balance, lb_time now);

/*
 * Decides to which of two flows of one client and port a packet of the client's belongs: to ref,
 * which is half-open, or to the older one beside which that was made. If the packet has the older
 * one's numbers, the SYN that began the newer one was a stranger's: then the newer flow is taken
 * out of the index for its client. Returns the reference.
 */
uint32_t progress_resolve(struct balance *balance, uint32_t ref, const struct packet *packet,
                          lb_time now);

#endif
