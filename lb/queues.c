/*
 * Queues: doubly linked. A reader may take a link for a hop (union flow_spare), so that links are
 * written in words which he reads whole.
 */
#include "queues.h"

static void set_link(struct flow_link *link, uint32_t next, uint32_t prev)
{
	BOTH_WRITE(link->next, next);
	BOTH_WRITE(link->prev, prev);
}

/* Reads a link as it was written, half by half: a load of the whole would have to wait for halves
 * that have just been stored. */
static struct flow_link get_link(const struct flow_link *link)
{
	return (struct flow_link){BOTH_READ(link->next), BOTH_READ(link->prev)};
}

void queues_append(struct queues *queues, struct flow_list *list, uint32_t at)
{
	set_link(queues_link(queues, at, FLOW_BY_STATE), FLOW_NONE, list->tail);
	if (list->tail == FLOW_NONE)
		list->head = at;
	else
		BOTH_WRITE(queues_link(queues, list->tail, FLOW_BY_STATE)->next, at);
	list->tail = at;
	list->length++;
}

void queues_remove(struct queues *queues, struct flow_list *list, uint32_t at)
{
	const struct flow_link link = get_link(queues_link(queues, at, FLOW_BY_STATE));

	if (link.prev == FLOW_NONE)
		list->head = link.next;
	else
		BOTH_WRITE(queues_link(queues, link.prev, FLOW_BY_STATE)->next, link.next);
	if (link.next == FLOW_NONE)
		list->tail = link.prev;
	else
		BOTH_WRITE(queues_link(queues, link.next, FLOW_BY_STATE)->prev, link.prev);
	list->length--;
}

void queues_begin(struct flow_link *heads, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		heads[i] = (struct flow_link){FLOW_HEAD | i, FLOW_HEAD | i};
}

void queues_stand_apart(struct queues *queues, uint32_t at, enum flow_queue queue)
{
	BOTH_WRITE(queues_link(queues, at, queue)->next, FLOW_NONE);
}

/* An element's link, or a head. */
static struct flow_link *link_of(struct queues *queues, uint32_t at, enum flow_queue queue)
{
	return at & FLOW_HEAD ? &queues->heads[at & ~FLOW_HEAD] : queues_link(queues, at, queue);
}

void queues_join(struct queues *queues, uint32_t at, enum flow_queue queue, uint32_t head)
{
	const uint32_t last = queues->heads[head].prev;

	set_link(queues_link(queues, at, queue), FLOW_HEAD | head, last);
	BOTH_WRITE(link_of(queues, last, queue)->next, at);
	queues->heads[head].prev = at;
}

void queues_leave(struct queues *queues, uint32_t at, enum flow_queue queue)
{
	const struct flow_link link = get_link(queues_link(queues, at, queue));

	if (link.next == FLOW_NONE)
		return;
	BOTH_WRITE(link_of(queues, link.next, queue)->prev, link.prev);
	BOTH_WRITE(link_of(queues, link.prev, queue)->next, link.next);
	queues_stand_apart(queues, at, queue);
}

void queues_prefetch(const struct queues *queues, uint32_t at, enum flow_queue queue)
{
	const struct flow_link *link = queues_link(queues, at, queue);

	if (!(link->next & FLOW_HEAD))
		__builtin_prefetch(queues_link(queues, link->next, queue), 1);
	if (!(link->prev & FLOW_HEAD))
		__builtin_prefetch(queues_link(queues, link->prev, queue), 1);
}
