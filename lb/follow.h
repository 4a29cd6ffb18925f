/*
 * Where clients are: by their packets, and by what ARP and neighbour discovery say.
 */
#ifndef LB_FOLLOW_H
#define LB_FOLLOW_H

#include "balance.h"

/* A packet of the flow that was judged, and is acceptable, came from its client by this hop. */
void follow_packet(struct balance *balance, uint32_t flow, const struct hop *from);

/* Somebody whose address isn't ours said where it is. True if that was news. */
bool follow_sighting(struct balance *balance, const struct sighting *sighting, lb_time now);

/*
 * Looks through flows for those of neighbours that have only now become known; a call takes bounded
 * time. True if there is more to do.
 */
bool follow_look(struct balance *balance, lb_time now);

#endif
