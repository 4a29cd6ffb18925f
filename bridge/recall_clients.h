/*
 * Of a bundle: what workers remembered of clients (operator/bundle_clients.c).
 */
#ifndef BRIDGE_RECALL_CLIENTS_H
#define BRIDGE_RECALL_CLIENTS_H

#include "recall_lines.h"
#include "worker/worker.h"

struct recall_clients {
	struct growing sticky, limited;
};

/* A line of theirs, without its first word; false if it is none. */
bool recall_take_sticky(struct recall_clients *clients, char *rest);
bool recall_take_limited(struct recall_clients *clients, char *rest);
void recall_free_clients(struct recall_clients *clients);

/* Has the worker remember those of his that fit his rules. names: the IPv6 addresses that names of
 * those rules meant by which the bundle was made. */
void recall_clients(const struct recall_clients *clients, struct worker *worker,
                    const struct ip6 *names, uint32_t nnames, lb_time now);

#endif
