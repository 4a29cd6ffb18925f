/*
 * Queues: doubly linked, through an array of links beside the flows. A flow is on at most one list
 * by its state, so one pair of links serves these all.
 */
#include "queues.h"

void queues_append(struct queues *queues, struct flow_list *list, uint32_t f)
{
	queues->links[f].in[FLOW_BY_STATE].next = FLOW_NONE;
	queues->links[f].in[FLOW_BY_STATE].prev = list->tail;
	if (list->tail == FLOW_NONE)
		list->head = f;
	else
		queues->links[list->tail].in[FLOW_BY_STATE].next = f;
	list->tail = f;
	list->length++;
}

void queues_remove(struct queues *queues, struct flow_list *list, uint32_t f)
{
	const uint32_t next = queues->links[f].in[FLOW_BY_STATE].next,
	               prev = queues->links[f].in[FLOW_BY_STATE].prev;

	if (prev == FLOW_NONE)
		list->head = next;
	else
		queues->links[prev].in[FLOW_BY_STATE].next = next;
	if (next == FLOW_NONE)
		list->tail = prev;
	else
		queues->links[next].in[FLOW_BY_STATE].prev = prev;
	list->length--;
}

void queues_begin(struct flow_link *heads, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		heads[i] = (struct flow_link){FLOW_HEAD | i, FLOW_HEAD | i};
}

void queues_stand_in_none(struct queues *queues, uint32_t f)
{
	queues->links[f].in[FLOW_BY_POOL].next = FLOW_NONE;
	queues->links[f].in[FLOW_BY_SERVER].next = FLOW_NONE;
}

/* A flow's link, or a head. */
static struct flow_link *link_of(struct queues *queues, uint32_t at, enum flow_queue queue)
{
	return at & FLOW_HEAD ? &queues->heads[at & ~FLOW_HEAD] : &queues->links[at].in[queue];
}

void queues_join(struct queues *queues, uint32_t f, enum flow_queue queue, uint32_t head)
{
	const uint32_t last = queues->heads[head].prev;

	queues->links[f].in[queue] = (struct flow_link){FLOW_HEAD | head, last};
	link_of(queues, last, queue)->next = f;
	queues->heads[head].prev = f;
}

void queues_leave(struct queues *queues, uint32_t f, enum flow_queue queue)
{
	const struct flow_link link = queues->links[f].in[queue];

	if (link.next == FLOW_NONE)
		return;
	link_of(queues, link.next, queue)->prev = link.prev;
	link_of(queues, link.prev, queue)->next = link.next;
	queues->links[f].in[queue].next = FLOW_NONE;
}

void queues_prefetch(const struct queues *queues, uint32_t f)
{
	for (unsigned queue = 0; queue < FLOW_QUEUES; queue++) {
		const struct flow_link *link = &queues->links[f].in[queue];

		if (!(link->next & FLOW_HEAD))
			__builtin_prefetch(&queues->links[link->next], 1);
		if (!(link->prev & FLOW_HEAD))
			__builtin_prefetch(&queues->links[link->prev], 1);
	}
}
