/*
 * Of a bundle: what a worker remembers of clients.
 */
#ifndef BRIDGE_BUNDLE_CLIENTS_H
#define BRIDGE_BUNDLE_CLIENTS_H

#include "../worker/worker.h"

#include <stdio.h>

/*
 * Which server they stick to (lb/persist.h), and how near they are to their limits (lb/limits.h).
 */
struct bundle_clients {
	struct persist_entry *sticky;
	struct limits_client *limited;
	uint32_t nsticky, nlimited, room_sticky, room_limited;
};

/* By the worker: asks for room for those that there are. */
void bundle_clients_count(struct bundle_clients *clients, const struct worker *worker);

/* Takes that room: false if memory runs out. */
bool bundle_clients_make(struct bundle_clients *clients);
void bundle_clients_free(struct bundle_clients *clients);

/* By the worker: copies them; some that have come since may find no room. */
void bundle_clients_take(struct bundle_clients *clients, const struct worker *worker);

/* As lines of an answer, of the worker of that number; offset as for bundle_text(). */
void bundle_clients_print(FILE *out, const struct bundle_clients *clients,
                          const struct rules *rules, unsigned worker, uint64_t offset);

#endif
