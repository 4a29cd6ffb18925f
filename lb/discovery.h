/*
 * ARP and neighbour discovery: what is answered, and what they say about where somebody is.
 */
#ifndef LB_DISCOVERY_H
#define LB_DISCOVERY_H

#include "scene.h"

/* Settles the verdict of an ARP packet, for which it isn't settled yet but as one that isn't for
 * us; sets in v who was sighted, heard, or claims an address of ours. */
void discovery_arp(const struct scene *scene, const struct packet *packet, struct verdict *v);

/* The same of an IPv6 frame that may be neighbour discovery: true if it is, and settled. Parses it
 * into packet as far as it gets. */
bool discovery_nd(const struct scene *scene, struct frame *frame, struct packet *packet,
                  struct verdict *v);

#endif
