/*
 * Probes: TCP connects to the checked ports of the servers.
 */
#ifndef BRIDGE_PROBE_H
#define BRIDGE_PROBE_H

#include "neigh.h"
#include "../../lb/lb.h"

struct probes;

struct probe_result {
	uint16_t server;
	uint16_t check; /* of the farm's checks */
	bool ok;
	const char *why; /* if not ok: what happened */
};

/*
 * Makes the probes that rules ask for, all due at once; only the first worker has any. Returns NULL
 * if memory runs out. rules, health and neigh must stay; key makes sequence numbers unpredictable.
 */
struct probes *probes_new(const struct rules *rules, const struct share *share,
                          const struct health *health, struct neigh_table *neigh,
                          const struct hash_key *key, lb_time now);
void probes_free(struct probes *probes);

/* Takes over from old when the checks of servers that stay are next due; the others are due now. */
void probes_inherit(struct probes *probes, const struct probes *old);

/*
 * Does what is due: adds segments to be sent to out, and sets *ret if a probe has ended, which is
 * then to be told to lb_probed(). Call again while it returns true.
 */
bool probes_poll(struct probes *probes, lb_time now, struct own_list *out,
                 struct probe_result *ret);

/* The same for a segment that has come from a server. */
bool probes_reply(struct probes *probes, const struct probe_reply *reply, lb_time now,
                  struct own_list *out, struct probe_result *ret);

/* To be called when a result has been told to lb_probed(): a verdict in doubt is probed sooner. */
void probes_told(struct probes *probes, const struct probe_result *result, lb_time now);

/* When probes_poll() will have something to do next; far in the future if there are no probes. */
lb_time probes_due(const struct probes *probes);

enum { PROBES_OUT_MAX = 2 }; /* segments that one call adds to out, at most */

#endif
