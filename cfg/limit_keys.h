/*
 * The keys of [farm NAME] that limit clients.
 */
#ifndef CFG_LIMIT_KEYS_H
#define CFG_LIMIT_KEYS_H

#include "key.h"

/* Of each, as a row of farm_keys[] (farm_keys.c). */
int farm_allow(struct target *target, struct value *value);
int farm_deny(struct target *target, struct value *value);
int farm_client_exempt(struct target *target, struct value *value);
int farm_client_connections(struct target *target, struct value *value);
int farm_client_rate(struct target *target, struct value *value);
int farm_client_burst(struct target *target, struct value *value);
int farm_block_for(struct target *target, struct value *value);
int farm_on_limit(struct target *target, struct value *value);
void show_farm_allow(const struct target *target, struct shown *shown);
void show_farm_deny(const struct target *target, struct shown *shown);
void show_farm_client_exempt(const struct target *target, struct shown *shown);
void show_farm_client_connections(const struct target *target, struct shown *shown);
void show_farm_client_rate(const struct target *target, struct shown *shown);
void show_farm_client_burst(const struct target *target, struct shown *shown);
void show_farm_block_for(const struct target *target, struct shown *shown);
void show_farm_on_limit(const struct target *target, struct shown *shown);

#endif
