/*
 * Source ports of probes: which probe has which of the RULES_PROBE_PORTS ports of an address of
 * ours, towards one port of one server. Probes of several farms, and of several checks, may share
 * these.
 */
#ifndef BRIDGE_ORIGINS_H
#define BRIDGE_ORIGINS_H

#include "../../lb/tuple.h"

struct origins;

enum { ORIGINS_NONE = UINT32_MAX }; /* no origin, and nobody */

/* Room for n origins. Returns NULL if memory runs out. key makes the places unpredictable. */
struct origins *origins_new(uint32_t n, const struct hash_key *key);
void origins_free(struct origins *origins);

/* An arrival is what a server's answer comes with; its dport doesn't count. Returns the origin's
 * number: of one that there is, or of a new one, whose first user is then that one. */
uint32_t origins_add(struct origins *origins, const struct tuple *arrival, uint32_t user);
uint32_t origins_find(const struct origins *origins, const struct tuple *arrival);

/* The user that began with that port of ours last; if none did, the one that was added first. */
uint32_t origins_user(const struct origins *origins, uint32_t origin, be16 port);

/* The user that began with that port of ours last, or ORIGINS_NONE. */
uint32_t origins_last(const struct origins *origins, uint32_t origin, be16 port);
void origins_use(struct origins *origins, uint32_t origin, be16 port, uint32_t user);

#endif
