/*
 * What the log says of servers and farms.
 */
#ifndef BRIDGE_EVENTS_H
#define BRIDGE_EVENTS_H

#include "probes.h"
#include "../port/port.h"
#include "../../lb/lb.h"

enum { EVENTS_CLAIMS = 8 }; /* lines of claimed addresses in the time of one */

/* What limits how often one kind of line is said. */
struct events_limit {
	lb_time said;
	uint64_t since; /* events of that kind since the last line */
	bool ever;
};

struct events {
	bool *farm_up;      /* by rules.farms[]: as the log said last */
	bool *farm_kept;    /* likewise: `all_down = keep` keeps servers in */
	bool *agent_silent; /* by rules.servers[]: likewise */
	struct events_limit refused[LB_NWHYS];
	struct {
		be32 address;
		struct events_limit limit;
	} claims[EVENTS_CLAIMS];                       /* of addresses of ours */
	struct events_limit moved, attempted, suspect; /* servers */
};

/* Returns 0, or -ENOMEM. farms is what is so at the start, which isn't worth a line. */
int events_init(struct events *events, const struct farms *farms);
void events_free(struct events *events);

/* Notes how the farm is, without a line in the log. */
void events_note_farm(struct events *events, const struct farms *farms, unsigned farm);

/* Takes over from old what the log said last, and when. */
void events_inherit(struct events *events, const struct events *old);

/*
 * Says that a server's verdict has changed because of result, having been what it was for so long;
 * and if its farm came up or went down with it.
 */
void events_verdict(struct events *events, const struct farms *farms,
                    const struct probe_result *result, enum health_verdict was, uint64_t for_ns);

/* Says if the farm came up or went down. */
void events_farm(struct events *events, const struct farms *farms, unsigned farm);

/* Says if `all_down = keep` has begun to keep servers of the farm in, or no longer does. */
void events_kept(struct events *events, const struct farms *farms, unsigned farm);

/* Says if the server's agent doesn't answer any more, or does again; and what else it says now. */
void events_agent(struct events *events, const struct rules *rules,
                  const struct probe_result *result);

/* Says, now and then, that a SYN was refused for a reason of our own. */
void events_refused(struct events *events, const struct farms *farms, const struct verdict *verdict,
                    lb_time now);

/* Says, now and then of each address, that somebody on the side of port claims one of ours. */
void events_conflict(struct events *events, const struct rules *rules, const char *port,
                     const struct sighting *who, lb_time now);

/* Says, now and then, that a server is probed at once as clients get no answer. */
void events_suspect(struct events *events, const struct rules *rules, unsigned server, lb_time now);

/* Adds n refusals of other workers, for that reason, to what the next line says. */
void events_refused_elsewhere(struct events *events, enum lb_why why, uint64_t n);

/* Says, now and then, that the filter has matched: frame, which port has received, is the last one;
 * over: above its rate. */
void events_filtered(struct events_limit *limit, const struct rules_filter *filter, bool over,
                     const char *port, const struct frame *frame, lb_time now);

/* Says, now and then, that a server has moved, or that somebody has claimed so though it hasn't. */
void events_neighbour(struct events *events, const struct rules *rules,
                      struct port *const ports[NSIDES], const struct neigh_event *what,
                      lb_time now);

#endif
