/*
 * Queues of flows, each oldest first: of those that rest or are free, and of those that are
 * half-open. Of either kind the elements have a number and begin with their links.
 *
 * An element stands in the queue of its state, which is a list, and in up to two rings through a
 * head, which belongs to the farms: so who leaves need not know which it was.
 */
#ifndef LB_QUEUES_H
#define LB_QUEUES_H

#include "flow.h"

/*
 * By its state (see struct flows), by its pool of SNAT ports, and if it is half-open by its server.
 */
enum flow_queue { FLOW_BY_STATE, FLOW_BY_POOL, FLOW_BY_SERVER, FLOW_QUEUES };

struct flow_list {
	uint32_t head, tail; /* FLOW_NONE: empty */
	uint32_t length;
};

struct queues {
	void *elements;
	size_t element_bytes;
	struct flow_link *heads; /* of the rings */
};

/* An element's link in a queue. */
static inline struct flow_link *queues_link(const struct queues *queues, uint32_t at,
                                            enum flow_queue queue)
{
	return (struct flow_link *)((uint8_t *)queues->elements + at * queues->element_bytes) +
	       queue;
}

/* Puts an element at the end of a list by state; and takes it off. */
void queues_append(struct queues *queues, struct flow_list *list, uint32_t at);
void queues_remove(struct queues *queues, struct flow_list *list, uint32_t at);

/* Makes n heads of empty rings. */
void queues_begin(struct flow_link *heads, uint32_t n);

/* The element stands in no ring of that kind. */
void queues_stand_apart(struct queues *queues, uint32_t at, enum flow_queue queue);

/* Puts it at the end of the ring through this head; and takes it off the one in which it stands, if
 * it does. */
void queues_join(struct queues *queues, uint32_t at, enum flow_queue queue, uint32_t head);
void queues_leave(struct queues *queues, uint32_t at, enum flow_queue queue);

/* Fetches into the cache what leaving touches. */
void queues_prefetch(const struct queues *queues, uint32_t at, enum flow_queue queue);

#endif
