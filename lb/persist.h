/*
 * Which server a client address sticks to.
 */
#ifndef LB_PERSIST_H
#define LB_PERSIST_H

#include "arena.h"
#include "rules.h"
#include "tuple.h"

/* Of so many farms that share a VIP a client may stick to a server each; of more, noting another
 * one forgets one of these. */
enum { PERSIST_FARMS = 64, PERSIST_WAYS = 4 /* entries of a set: one cache line */ };

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
	struct persist_entry *entries; /* PERSIST_WAYS for each set */
	uint32_t nsets;
	bool any; /* entry, since the last time that all were looked at */
	struct hash_key key;
	uint64_t evicted; /* sure entries given up before their time, for newer ones */
};

/* Takes room for at least one, and about clients, client addresses from arena. */
void persist_lay_out(struct persist *persist, struct arena *arena, uint32_t clients,
                     const struct hash_key *key);

/* A client of a farm. Farms that share the VIP are told apart by their servers, and not by their
 * numbers, so that entries last over a reload. */
struct persist_key {
	be32 vip, client;
	uint16_t first, nservers;
};

/* The client of the farm of rules. */
static inline struct persist_key persist_key(const struct rules_farm *farm, be32 client)
{
	return (struct persist_key){farm->vip, client, (uint16_t)farm->server,
	                            (uint16_t)farm->nservers};
}

/* The server that the client sticks to at tick now; false if none. With sure, only entries that are
 * sure count. */
bool persist_find(const struct persist *persist, struct persist_key key, bool sure, uint32_t now,
                  uint16_t *ret_server);

/* Notes that the client sticks to the server up to a tick, or to a later one that was noted of the
 * same server before. */
void persist_note(struct persist *persist, struct persist_key key, uint16_t server, uint32_t now,
                  uint32_t until);

/*
 * The same of a client who has only sent a SYN, whose address may be forged: so that connections
 * that he begins at once go to one server. It takes no place from what is sure, and changes nothing
 * that was noted before.
 */
void persist_hope(struct persist *persist, struct persist_key key, uint16_t server, uint32_t now,
                  uint32_t until);

/* Goes over to other numbers of servers: map gives the new one by the old one, or SERVER_NONE for a
 * server that is gone. */
void persist_renumber(struct persist *persist, const uint16_t *map);

#endif
