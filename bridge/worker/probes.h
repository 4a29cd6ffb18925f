/*
 * All probes: one for each check of each server.
 */
#ifndef BRIDGE_PROBES_H
#define BRIDGE_PROBES_H

#include "probe.h"

struct probes;

/*
 * Makes the probes that rules ask for, all due at once; only the first worker has any. Returns NULL
 * if memory runs out. rules, health and neigh must stay; key makes sequence numbers unpredictable.
 */
struct probes *probes_new(const struct rules *rules, const struct share *share,
                          const struct health *health, struct neigh_table *neigh,
                          const struct hash_key *key, lb_time now);
void probes_free(struct probes *probes);

/* Finds the checks of old that are of the same servers, while the worker goes on with these. */
void probes_trace(struct probes *probes, const struct probes *old);

/*
 * Takes over from old, the one traced, the checks of servers that stay, as they are; the others are
 * due now. Of old nothing is left but its memory.
 */
void probes_inherit(struct probes *probes, struct probes *old);

/*
 * Does what is due: adds segments to be sent to out, and sets *ret if a probe has ended, for the
 * caller to call lb_probed() with. Call again while it returns true. Of what is due at once it does
 * PROBES_PER_MS in each millisecond.
 */
enum { PROBES_PER_MS = 64 };
bool probes_poll(struct probes *probes, lb_time now, struct own_list *out,
                 struct probe_result *ret);

/* The same for what has come from a server, or by ICMP, in frame. */
bool probes_reply(struct probes *probes, const struct probe_reply *reply, const struct frame *frame,
                  lb_time now, struct own_list *out, struct probe_result *ret);

/*
 * Notes if a server has flows: one that is disabled or gone is probed as long as it has some,
 * others always. From any thread.
 */
void probes_note_flows(struct probes *probes, unsigned server, bool has_flows);

/* To be called when a result has been told to lb_probed(): a verdict in doubt is probed sooner. */
void probes_told(struct probes *probes, const struct probe_result *result, lb_time now);

/* The server is in doubt: has those of its probes that rest begin with the next probes_poll(). */
void probes_hurry(struct probes *probes, unsigned server, lb_time now);

/* Has the probes that waited for the server's place, which is known now, go on with the next
 * probes_poll(). */
void probes_found(struct probes *probes, unsigned server, lb_time now);

/* When probes_poll() will have something to do next; far in the future if there are no probes. */
lb_time probes_due(const struct probes *probes);

#endif
