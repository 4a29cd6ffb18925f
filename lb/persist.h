/*
 * Which server a client address sticks to.
 */
#ifndef LB_PERSIST_H
#define LB_PERSIST_H

#include "arena.h"
#include "rules.h"
#include "tuple.h"

enum persist_state {
	PERSIST_FREE,
	PERSIST_HOPED, /* of a client who has asked for a connection, but has none yet */
	PERSIST_SURE,
};

struct persist_entry {
	be32 client;
	be32 vip;
	uint32_t until; /* tick (flow.h) */
	uint16_t server;
	uint16_t state; /* enum persist_state */
};

struct persist {
	struct persist_entry *entries;
	uint32_t nsets;
	struct hash_key key;
	uint64_t evicted; /* sure entries given up before their time, for newer ones */
};

/* Takes room for at least one, and about clients, client addresses from arena. */
void persist_lay_out(struct persist *persist, struct arena *arena, uint32_t clients,
                     const struct hash_key *key);

/* The server that the client sticks to in the farm of vip at tick now; false if none. With sure,
 * what is hoped doesn't count. */
bool persist_find(const struct persist *persist, be32 vip, be32 client, bool sure, uint32_t now,
                  uint16_t *ret_server);

/* Notes that it does, until a tick, or longer if that was noted of the same server before. */
void persist_note(struct persist *persist, be32 vip, be32 client, uint16_t server, uint32_t now,
                  uint32_t until);

/*
 * The same of a client who may be a made-up one: so that what he asks for at once goes together. It
 * takes no place from what is sure, and changes nothing that was noted before.
 */
void persist_hope(struct persist *persist, be32 vip, be32 client, uint16_t server, uint32_t now,
                  uint32_t until);

/* When servers are numbered anew: map says how, UINT16_MAX being gone. */
void persist_renumber(struct persist *persist, const uint16_t *map);

#endif
