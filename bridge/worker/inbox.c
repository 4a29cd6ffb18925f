/*
 * What other workers send to a worker.
 *
 * Two bounded queues, of frames and of news, that any thread puts into and one takes from, without
 * locks (Vyukov's bounded queue): each place has a number that says whose turn it is. A full queue
 * refuses, and nobody waits: frames are then lost as on a full link, and news come again, since
 * probes and sightings go on and on.
 *
 * Nearly all frames reach their worker by its own socket (steer.c). What comes this way are
 * fragments and other rarities.
 */
#include "inbox.h"

#include "../process/log.h"
#include "../port/packet.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { INBOX_FRAMES = 8 * PORT_BURST, INBOX_NEWS = 4096, CACHE_LINE = 64 };

/* The places of one queue: turn is the number of the item that may be put there, or, when it has
 * been, one more. */
struct queue {
	_Alignas(CACHE_LINE) atomic_uint put;
	_Alignas(CACHE_LINE) unsigned taken; /* the taker's own */
	unsigned places;                     /* a power of two */
	atomic_uint *turn;                   /* by place */
};

struct inbox {
	struct queue frames, news;
	struct packet_copy *copies; /* by place of frames */
	struct news *items;         /* by place of news */
	unsigned lent;              /* frames taken, whose places are still in use */
	atomic_bool asleep;
	int wake; /* eventfd */
};

static int queue_init(struct queue *queue, unsigned places)
{
	queue->places = places;
	queue->turn = calloc(places, sizeof(*queue->turn));
	if (!queue->turn)
		return -ENOMEM;
	for (unsigned i = 0; i < places; i++)
		atomic_init(&queue->turn[i], i);
	return 0;
}

/* Reserves a place and says which item it is for; false if all are taken. */
static bool reserve(struct queue *queue, unsigned *ret)
{
	unsigned item = atomic_load_explicit(&queue->put, memory_order_relaxed);

	for (;;) {
		unsigned turn = atomic_load_explicit(&queue->turn[item % queue->places],
		                                     memory_order_acquire);

		if ((int)(turn - item) < 0)
			return false;
		if (turn != item)
			item = atomic_load_explicit(&queue->put, memory_order_relaxed);
		else if (atomic_compare_exchange_weak_explicit(&queue->put, &item, item + 1,
		                                               memory_order_relaxed,
		                                               memory_order_relaxed))
			break;
	}
	*ret = item;
	return true;
}

/* Publishes the item, which has been written into its place. */
static void commit(struct queue *queue, unsigned item)
{
	atomic_store_explicit(&queue->turn[item % queue->places], item + 1, memory_order_release);
}

/* If the n-th item after those that are taken is there. */
static bool is_there(const struct queue *queue, unsigned n)
{
	unsigned item = queue->taken + n;

	return atomic_load_explicit(&queue->turn[item % queue->places], memory_order_acquire) ==
	       item + 1;
}

/* Gives the place of the oldest item back. */
static void release(struct queue *queue)
{
	unsigned item = queue->taken++;

	atomic_store_explicit(&queue->turn[item % queue->places], item + queue->places,
	                      memory_order_release);
}

struct inbox *inbox_new(void)
{
	struct inbox *inbox = aligned_alloc(CACHE_LINE, sizeof(*inbox));

	if (!inbox)
		return NULL;
	memset(inbox, 0, sizeof(*inbox));
	inbox->copies = calloc(INBOX_FRAMES, sizeof(*inbox->copies));
	inbox->items = calloc(INBOX_NEWS, sizeof(*inbox->items));
	inbox->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (inbox->copies && inbox->items && inbox->wake >= 0 &&
	    queue_init(&inbox->frames, INBOX_FRAMES) == 0 &&
	    queue_init(&inbox->news, INBOX_NEWS) == 0)
		return inbox;
	log_error("a worker's inbox: %m");
	inbox_free(inbox);
	return NULL;
}

void inbox_free(struct inbox *inbox)
{
	if (!inbox)
		return;
	if (inbox->wake >= 0)
		close(inbox->wake);
	free(inbox->frames.turn);
	free(inbox->news.turn);
	free(inbox->copies);
	free(inbox->items);
	free(inbox);
}

void inbox_wake(struct inbox *inbox)
{
	const uint64_t one = 1;

	if (write(inbox->wake, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* it is being woken already */
}

int inbox_fd(const struct inbox *inbox)
{
	return inbox->wake;
}

/* Wakes the worker if it sleeps. Either it has seen what was put before it went to sleep, or it is
 * seen here that it sleeps. */
static void wake_sleeper(struct inbox *inbox)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&inbox->asleep, memory_order_relaxed))
		inbox_wake(inbox);
}

bool inbox_put_frame(struct inbox *inbox, const struct frame *frame)
{
	unsigned item;

	if (!packet_can_copy(frame) || !reserve(&inbox->frames, &item))
		return false;
	packet_copy_frame(frame, &inbox->copies[item % INBOX_FRAMES]);
	commit(&inbox->frames, item);
	wake_sleeper(inbox);
	return true;
}

bool inbox_put_news(struct inbox *inbox, const struct news *news)
{
	unsigned item;

	if (!reserve(&inbox->news, &item))
		return false;
	inbox->items[item % INBOX_NEWS] = *news;
	commit(&inbox->news, item);
	wake_sleeper(inbox);
	return true;
}

unsigned inbox_take_frames(struct inbox *inbox, struct frame ret[PORT_BURST])
{
	unsigned n = 0;

	for (; inbox->lent; inbox->lent--)
		release(&inbox->frames);
	while (n < PORT_BURST && is_there(&inbox->frames, n)) {
		unsigned place = (inbox->frames.taken + n) % INBOX_FRAMES;

		ret[n++] = inbox->copies[place].frame;
	}
	inbox->lent = n;
	return n;
}

bool inbox_take_news(struct inbox *inbox, struct news *ret)
{
	if (!is_there(&inbox->news, 0))
		return false;
	*ret = inbox->items[inbox->news.taken % INBOX_NEWS];
	release(&inbox->news);
	return true;
}

bool inbox_sleep(struct inbox *inbox)
{
	atomic_store_explicit(&inbox->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!is_there(&inbox->frames, inbox->lent) && !is_there(&inbox->news, 0))
		return true;
	atomic_store_explicit(&inbox->asleep, false, memory_order_relaxed);
	return false;
}

void inbox_awake(struct inbox *inbox)
{
	uint64_t wakes;

	atomic_store_explicit(&inbox->asleep, false, memory_order_relaxed);
	if (read(inbox->wake, &wakes, sizeof(wakes)) < 0)
		assert(errno == EAGAIN); /* nobody did */
}
