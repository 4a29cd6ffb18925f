/*
 * How a balanced connection comes into being.
 */
#ifndef LB_ADMIT_H
#define LB_ADMIT_H

#include "balance.h"

/*
 * Makes a flow for the SYN packet, which is to the farm's service port of index service and belongs
 * to no live flow: key finds nothing, or old, which is in quarantine. Returns WHY_FLOW_NEW and sets
 * *ret_ref to the flow and its client end, or the reason for which there is none.
 */
enum lb_why admit_open(struct balance *balance, const struct packet *packet,
                       const struct flow_key *key, uint32_t old, unsigned farm, unsigned service,
                       lb_time now, uint32_t *ret_ref);

/*
 * Fetches into the cache the bucket of the index where that will put what the server sends, as far
 * as can be told: what comes in between may change it.
 */
void admit_foresee(struct balance *balance, const struct packet *packet, unsigned farm,
                   unsigned service);

#endif
