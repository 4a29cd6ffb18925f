/*
 * Queues of flows, each oldest first.
 */
#ifndef LB_QUEUES_H
#define LB_QUEUES_H

#include "flow.h"

/*
 * A flow stands in up to three queues, each oldest first: by its state (see struct flows), the one
 * of its pool of SNAT ports, and while it is half-open the one of its server. The latter two are
 * rings through a head, which belongs to the farms: so who leaves need not know which it was.
 */
enum flow_queue { FLOW_BY_STATE, FLOW_BY_POOL, FLOW_BY_SERVER, FLOW_QUEUES };

/* A flow, or FLOW_HEAD and the number of a head; FLOW_NONE: the end, or it stands in no queue. */
struct flow_link {
	uint32_t next, prev;
};

#define FLOW_HEAD (1u << 31)

struct flow_links {
	struct flow_link in[FLOW_QUEUES];
};

struct flow_list {
	uint32_t head, tail; /* FLOW_NONE: empty */
	uint32_t length;
};

struct queues {
	struct flow_links *links; /* by flow */
	struct flow_link *heads;  /* of queues by pool and by server */
};

/* Puts the flow at the end of a list by state; and takes it off. */
void queues_append(struct queues *queues, struct flow_list *list, uint32_t flow);
void queues_remove(struct queues *queues, struct flow_list *list, uint32_t flow);

/* Makes n heads of empty queues. */
void queues_begin(struct flow_link *heads, uint32_t n);

/* The flow stands in no queue of a head. */
void queues_stand_in_none(struct queues *queues, uint32_t flow);

/* Puts the flow at the end of the queue of this head. */
void queues_join(struct queues *queues, uint32_t flow, enum flow_queue queue, uint32_t head);

/* Takes it off the one in which it stands, if it does. */
void queues_leave(struct queues *queues, uint32_t flow, enum flow_queue queue);

/* Fetches into the cache what leaving touches. */
void queues_prefetch(const struct queues *queues, uint32_t flow);

#endif
