/*
 * A probe: TCP connects to one checked port of a server.
 */
#ifndef BRIDGE_PROBE_H
#define BRIDGE_PROBE_H

#include "neigh.h"
#include "../../lb/lb.h"

enum probe_state { PROBE_RESTS, PROBE_CONNECTS, PROBE_CLOSES };

struct probe {
	uint16_t server, check;
	uint8_t state;  /* enum probe_state */
	uint8_t syns;   /* sent; 0 also while the server's place isn't known */
	uint8_t anew;   /* times that it has begun anew as it met what was left over */
	bool has_begun; /* before */
	bool is_spread; /* over the interval */
	uint32_t phase; /* its place among all, in 2^-32: where it goes when they are spread */
	uint32_t round; /* says from which port, and with which number, it connects next */
	uint32_t isn, rcv_next;
	be16 port; /* ours */
	lb_time started, sent, next;
};

struct probe_result {
	uint16_t server;
	uint16_t check; /* of the farm's checks */
	bool ok;
	lb_time began;   /* when it was */
	const char *why; /* if not ok: what happened */
};

/* What all probes of a worker have in common. */
struct probe_world {
	const struct rules *rules;
	const struct health *health;
	struct neigh_table *neigh;
};

enum { PROBES_OUT_MAX = 2 }; /* segments that one call adds to out, at most */

/* Whom a probe asks, and from where. */
be32 probe_server(const struct rules *rules, const struct probe *probe);
be32 probe_own_address(const struct rules *rules, const struct probe *probe);
be16 probe_server_port(const struct rules *rules, const struct probe *probe);

/* Begins to connect, if it rests, from port; the first SYN goes with the following probe_poll(). */
void probe_begin(struct probe *probe, be16 port, uint32_t isn, lb_time now);

/* Leaves one out that is due to begin. */
void probe_pass(const struct probe_world *world, struct probe *probe, lb_time now);

/*
 * Goes on: to be called when it is due. Adds segments to be sent to out, and returns true and sets
 * *ret if it has ended.
 */
bool probe_poll(const struct probe_world *world, struct probe *probe, lb_time now,
                struct own_list *out, struct probe_result *ret);

/* The same for a segment that has come from the server, to whichever port of ours. */
bool probe_answer(const struct probe_world *world, struct probe *probe,
                  const struct probe_reply *reply, lb_time now, struct own_list *out,
                  struct probe_result *ret);

/* Has it come sooner again, if its verdict is in doubt; to be called when that has been told. */
void probe_hurry(const struct probe_world *world, struct probe *probe, lb_time now);

/* When it has something to do next. */
lb_time probe_due(const struct probe_world *world, const struct probe *probe);

#endif
