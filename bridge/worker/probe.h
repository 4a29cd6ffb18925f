/*
 * A probe: one check of one server, again and again.
 */
#ifndef BRIDGE_PROBE_H
#define BRIDGE_PROBE_H

#include "neigh.h"
#include "chat.h"
#include "../../lb/lb.h"

struct probe {
	uint16_t server, check;
	bool has_begun; /* before */
	bool is_spread; /* over the interval */
	be16 port;      /* ours */
	uint32_t phase; /* its place among all, in 2^-32: where it goes when they are spread */
	uint32_t round; /* says from which port, and with which number, it connects next */
	lb_time next;   /* while it rests: when it begins */
	struct chat chat;
};

/* If it asks the server's agent. */
static inline bool probe_is_agent(const struct rules *rules, unsigned server, unsigned check)
{
	return check == rules->farms[rules->servers[server].farm].nchecks;
}

static inline bool probe_rests(const struct probe *probe)
{
	return probe->chat.state == CHAT_OVER;
}

struct probe_result {
	uint16_t server;
	uint16_t check; /* of the farm's checks, or their number: its agent */
	bool ok;
	lb_time began;        /* when it was */
	struct fault fault;   /* what was probed, and if not ok what happened */
	const uint8_t *heard; /* nheard bytes that the server said, until the next probe */
	unsigned nheard;
};

/* What all probes of a worker have in common. */
struct probe_world {
	const struct rules *rules;
	const struct health *health;
	struct neigh_table *neigh;
	struct chat_rooms *rooms;
};

enum { PROBES_OUT_MAX = CHAT_SAYS_MAX }; /* segments that one call adds to out, at most */

/* Which server a probe connects to, and from which address of ours. */
be32 probe_server(const struct rules *rules, const struct probe *probe);
be32 probe_own_address(const struct rules *rules, const struct probe *probe);
be16 probe_server_port(const struct rules *rules, const struct probe *probe);

/* What it sends and expects; NULL: it only connects. */
const struct script *probe_script(const struct rules *rules, const struct probe *probe);

/* Begins to connect, if it rests, from port; the first SYN goes with the following probe_poll(). */
void probe_begin(struct probe *probe, be16 port, uint32_t isn, lb_time now);

/* Leaves out a probe that is due to begin: sets when the next one is. */
void probe_pass(const struct probe_world *world, struct probe *probe, lb_time now);

/*
 * Goes on: to be called when it is due. Adds segments to be sent to out, and returns true and sets
 * *ret if it has ended.
 */
bool probe_poll(const struct probe_world *world, struct probe *probe, lb_time now,
                struct own_list *out, struct probe_result *ret);

/*
 * The same for a segment that has come from the server, to whichever port of ours, or for what ICMP
 * says of one to it. frame is what reply is about.
 */
bool probe_answer(const struct probe_world *world, struct probe *probe,
                  const struct probe_reply *reply, const struct frame *frame, lb_time now,
                  struct own_list *out, struct probe_result *ret);

/* Ends it without a result, and sends nothing. */
void probe_drop(const struct probe_world *world, struct probe *probe);

/* Has the next one come sooner, if the check's verdict is in doubt; to be called when lb_probed()
 * has had the result. */
void probe_hurry(const struct probe_world *world, struct probe *probe, lb_time now);

/* When it has something to do next. */
lb_time probe_due(const struct probe_world *world, const struct probe *probe);

#endif
