/*
 * The packet loop.
 *
 * A worker's thread takes turns with its two ports, a burst each, and never waits while frames
 * come. When none does it goes on looking for LOOP_SPIN_NS, since the next one is likely to be near
 * and waking up costs more than that, and then sleeps until a frame, the next tick or another
 * thread wants it. Between two looks it yields the processor: where there are few processors, the
 * host whose frame it waits for may need it.
 *
 * The control thread gets at a worker's state only while its loop stands still: one atomic load a
 * round is all that this costs the packet path.
 */
#include "loop.h"

#include "burst.h"
#include "duties.h"
#include "errand.h"
#include "../process/clock.h"
#include "../process/log.h"
#include "../port/packet.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOOP_SPIN_NS (50 * 1000ull)
#define LOOP_TICK_NS LB_NS_PER_MS
enum { LOOP_SLEEP_MS = 50 };

/* Of so many bursts one's time is taken. */
enum { LOOP_SAMPLE = 16 };

enum wish { WISH_RUN, WISH_PAUSE, WISH_STOP };

struct loop {
	struct worker *worker;
	pthread_t thread;
	struct inbox *inbox; /* ends a sleep */
	atomic_uint wish;    /* enum wish: the control thread's */
	atomic_uint rounds; /* how many there were: the thread's, for others to see that it moves */
	unsigned seen;      /* of rounds, by loop_has_moved() */
	bool was_late;      /* with an errand: */
	unsigned late;      /* rounds then */
	lb_time ticked, active;
	unsigned bursts;      /* so far */
	struct errand errand; /* of what and ctx */
	loop_errand *what;
	void *ctx;
	bool has_more;        /* it has begun, and is to be called again: the thread's */
	pthread_mutex_t lock; /* of standing */
	pthread_cond_t changed;
	bool standing;
};

/* A burst from a port; says if there was any. */
static bool turn(struct loop *loop, struct port *port)
{
	struct frame frames[PORT_BURST];
	unsigned n = port->ops->receive(port, frames);
	lb_time now;

	if (!n)
		return false;
	now = clock_now();
	lb_take_notes(loop->worker->lb, now);
	if (port->backlog == PORT_IS_PRESSED)
		lb_press(loop->worker->lb, now);
	burst_decide(loop->worker, frames, n, now);
	if (++loop->bursts % LOOP_SAMPLE == 0)
		times_note(&loop->worker->burst_times, &times_burst, clock_now().ns - now.ns);
	return true;
}

/* Does the errand that was sent, if any, or more of it. */
static void run_errand(struct loop *loop, lb_time now)
{
	if (!loop->has_more && !errand_begin(&loop->errand))
		return;
	loop->has_more = loop->what(loop->worker, loop->ctx, now);
	if (!loop->has_more)
		errand_end(&loop->errand);
}

/* As if there were no more to be done: whoever sent it has to see to the rest. */
static void break_errand(struct loop *loop)
{
	if (loop->has_more)
		errand_end(&loop->errand);
	loop->has_more = false;
}

static void tick(struct loop *loop, lb_time now)
{
	if (now.ns - loop->ticked.ns < LOOP_TICK_NS)
		return;
	loop->ticked = now;
	duties_tick(loop->worker, now);
	run_errand(loop, now);
}

/* How long to sleep at most, in ms: until something is due. */
static int sleep_ms(const struct loop *loop, lb_time now)
{
	uint64_t due = duties_due(loop->worker).ns;

	if (due <= now.ns)
		return 0;
	due = (due - now.ns) / LB_NS_PER_MS + 1;
	return due < LOOP_SLEEP_MS ? (int)due : LOOP_SLEEP_MS;
}

static void sleep_until_event(struct loop *loop, lb_time now)
{
	struct port *const *ports = loop->worker->ports;
	struct pollfd fds[] = {
	        [OUTSIDE] = {.fd = packet_fd(ports[OUTSIDE]), .events = POLLIN},
	        [INSIDE] = {.fd = packet_fd(ports[INSIDE]), .events = POLLIN},
	        [NSIDES] = {.fd = inbox_fd(loop->inbox), .events = POLLIN},
	};

	if (!inbox_sleep(loop->inbox))
		return;
	if (atomic_load(&loop->wish) == WISH_RUN)
		poll(fds, sizeof(fds) / sizeof(fds[0]), sleep_ms(loop, now));
	for (unsigned side = 0; side < NSIDES; side++)
		if (fds[side].revents)
			packet_woken(ports[side], fds[side].revents);
	inbox_awake(loop->inbox);
}

static bool is_behind(const struct worker *worker)
{
	return worker->ports[OUTSIDE]->backlog != PORT_KEEPS_UP ||
	       worker->ports[INSIDE]->backlog != PORT_KEEPS_UP;
}

/* What programs in the kernel carry is carried by threads of the kernel's own, which a rush would
 * keep from their processor. */
static bool wants_rush(const struct worker *worker)
{
	return worker->setup.rules->rush && !fastpath_is_active(worker->fastpath);
}

static void run_round(struct loop *loop)
{
	bool outside = turn(loop, loop->worker->ports[OUTSIDE]);
	bool inside = turn(loop, loop->worker->ports[INSIDE]);
	lb_time now = clock_now();
	bool busy = burst_take_inbox(loop->worker, now) || outside || inside;
	const bool behind = is_behind(loop->worker);
	bool slept = false;

	if (loop->worker->rush.is_on || behind)
		rush_look(&loop->worker->rush, behind && wants_rush(loop->worker), now);
	if (busy)
		loop->active = now;
	else if (!loop->has_more && (slept = now.ns - loop->active.ns > LOOP_SPIN_NS))
		sleep_until_event(loop, now);
	else
		sched_yield();
	if (loop->worker->tap)
		tap_passed(loop->worker->tap, now);
	tick(loop, clock_now());
	/* it may have been woken for an errand before a tick was due again, and has time for the
	 * rest of one while nothing comes */
	if (slept || (!busy && loop->has_more))
		run_errand(loop, clock_now());
	atomic_store_explicit(&loop->rounds,
	                      atomic_load_explicit(&loop->rounds, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
}

static void stand_still(struct loop *loop)
{
	break_errand(loop);
	pthread_mutex_lock(&loop->lock);
	loop->standing = true;
	pthread_cond_broadcast(&loop->changed);
	while (atomic_load(&loop->wish) == WISH_PAUSE)
		pthread_cond_wait(&loop->changed, &loop->lock);
	loop->standing = false;
	pthread_mutex_unlock(&loop->lock);
}

static void *run(void *arg)
{
	struct loop *loop = arg;
	unsigned wish;

	while ((wish = atomic_load_explicit(&loop->wish, memory_order_acquire)) != WISH_STOP) {
		if (wish == WISH_PAUSE)
			stand_still(loop);
		else
			run_round(loop);
	}
	return NULL;
}

static void set_wish(struct loop *loop, enum wish wish)
{
	pthread_mutex_lock(&loop->lock);
	atomic_store(&loop->wish, wish);
	pthread_cond_broadcast(&loop->changed);
	pthread_mutex_unlock(&loop->lock);
}

static void loop_free(struct loop *loop)
{
	pthread_cond_destroy(&loop->changed);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

int loop_start(struct worker *worker, struct inbox *inbox, struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	loop->worker = worker;
	loop->inbox = inbox;
	loop->ticked = loop->active = clock_now();
	errand_init(&loop->errand);
	pthread_mutex_init(&loop->lock, NULL);
	clock_condition(&loop->changed);
	err = -pthread_create(&loop->thread, NULL, run, loop);
	if (err < 0) {
		log_error("starting a worker: %s", strerror(-err));
		loop_free(loop);
		return err;
	}
	*ret = loop;
	return 0;
}

void loop_send(struct loop *loop, loop_errand *what, void *ctx)
{
	loop->what = what;
	loop->ctx = ctx;
	errand_send(&loop->errand);
	inbox_wake(loop->inbox);
}

bool loop_wait_done(struct loop *loop, const struct timespec *begin_by,
                    const struct timespec *end_by)
{
	if (errand_wait(&loop->errand, begin_by, end_by) == ERRAND_DONE)
		return true;
	loop->was_late = true;
	loop->late = atomic_load_explicit(&loop->rounds, memory_order_relaxed);
	return false;
}

bool loop_has(const struct loop *loop, const void *ctx)
{
	return errand_is_begun(&loop->errand) && loop->ctx == ctx;
}

bool loop_is_stuck(const struct loop *loop)
{
	return errand_is_begun(&loop->errand) ||
	       (loop->was_late &&
	        loop->late == atomic_load_explicit(&loop->rounds, memory_order_relaxed));
}

void loop_stop(struct loop *loop)
{
	if (!loop)
		return;
	set_wish(loop, WISH_STOP);
	inbox_wake(loop->inbox);
	pthread_join(loop->thread, NULL);
	loop_free(loop);
}

void loop_pause(struct loop *loop)
{
	if (!loop)
		return;
	set_wish(loop, WISH_PAUSE);
	inbox_wake(loop->inbox);
}

bool loop_wait_paused(struct loop *loop, const struct timespec *until)
{
	bool standing;
	int err = 0;

	if (!loop)
		return true;
	pthread_mutex_lock(&loop->lock);
	while (!loop->standing && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&loop->changed, &loop->lock, until);
	standing = loop->standing;
	pthread_mutex_unlock(&loop->lock);
	return standing;
}

void loop_resume(struct loop *loop)
{
	if (loop)
		set_wish(loop, WISH_RUN);
}

bool loop_has_moved(struct loop *loop)
{
	const unsigned rounds = atomic_load_explicit(&loop->rounds, memory_order_relaxed);

	return rounds != loop->seen;
}

void loop_see(struct loop *loop)
{
	loop->seen = atomic_load_explicit(&loop->rounds, memory_order_relaxed);
}
