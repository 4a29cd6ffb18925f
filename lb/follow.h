/*
 * Where clients are: by their packets, and by what ARP and neighbour discovery say.
 */
#ifndef LB_FOLLOW_H
#define LB_FOLLOW_H

#include "balance.h"

/* Notes that an acceptable packet of the flow's client came by this hop: from now on the client is
 * answered there. */
void follow_packet(struct balance *balance, uint32_t flow, const struct hop *from);

/* Notes where an address that isn't ours is, as its owner says by ARP or neighbour discovery; flows
 * of that client go with it. True if that was news. */
bool follow_sighting(struct balance *balance, const struct sighting *sighting, lb_time now);

/*
 * Looks through flows for those of neighbours that have only now become known; a call takes bounded
 * time. True if there is more to do.
 */
bool follow_look(struct balance *balance, lb_time now);

#endif
