/*
 * The keys of [bridge] that say how tmbridge stands in the network.
 */
#ifndef CFG_NET_KEYS_H
#define CFG_NET_KEYS_H

#include "key.h"

int bridge_mode(struct target *target, struct value *value);
void show_bridge_mode(const struct target *target, struct shown *shown);
int bridge_routing(struct target *target, struct value *value);
void show_bridge_routing(const struct target *target, struct shown *shown);
int bridge_gateway(struct target *target, struct value *value);
void show_bridge_gateway(const struct target *target, struct shown *shown);
int bridge_outside_address(struct target *target, struct value *value);
void show_bridge_outside_address(const struct target *target, struct shown *shown);
int bridge_inside_address(struct target *target, struct value *value);
void show_bridge_inside_address(const struct target *target, struct shown *shown);

#endif
