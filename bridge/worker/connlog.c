/*
 * The connection log.
 *
 * Each worker puts records into a ring of its own, one writer thread takes them out, makes lines
 * and writes them (logfile.c): no locks, and if the disk is slow or full the rings fill up and
 * lines are counted lost.
 *
 * A reload replaces the log by another one, which also reopens its files (logrotate). The old one's
 * writer finishes what waits, closes the files and ends. What then is left of it, the counts above
 * all, the next reload takes over. Until then two writers may have one file.
 */
#include "connlog.h"

#include "logfile.h"
#include "logline.h"
#include "../process/clock.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
	CONNLOG_QUEUE = 8192,    /* lines of a worker that wait for the disk */
	CONNLOG_BATCH = 64,      /* lines for one write() */
	CONNLOG_DRAIN_MS = 5000, /* at the end, for all workers */
};

/* One worker's. */
struct queue {
	_Alignas(64) atomic_uint tail; /* lines put */
	_Alignas(64) atomic_uint head; /* lines taken; the difference waits */
	struct logline lines[CONNLOG_QUEUE];
	int files[CONNLOG_QUEUE]; /* of each line: where it goes */
};

struct connlog {
	struct logfile *files; /* each path once */
	unsigned nfiles;
	int *file_of;  /* by rules.farms[]: its file, or -1 */
	char *paths;   /* copies of the paths, which outlive the rules */
	bool threaded; /* if there are files, there is a thread */
	pthread_t thread;
	sem_t queued;             /* posted for each line, and at the end */
	atomic_bool ending, done; /* done: the writer has closed the files, and ends */
	struct logfile_counts counts;
	unsigned drained_ms; /* spent in connlog_drain() */
	struct connlog *before;
	unsigned nqueues;
	struct queue *queues;
};

static int find_path(const struct connlog *connlog, const char *path)
{
	for (unsigned i = 0; i < connlog->nfiles; i++)
		if (!strcmp(connlog->files[i].path, path))
			return (int)i;
	return -1;
}

/* Live the clock is monotonic, offline it is the captures'. */
static uint64_t wall_clock_offset(const struct connlog *connlog)
{
	return connlog->threaded ? clock_wall_offset() : 0;
}

/* Takes up to a batch of lines for one file off a queue and writes them. False if it was empty. */
static bool write_batch(struct connlog *connlog, struct queue *queue)
{
	char text[CONNLOG_BATCH * LOGLINE_BYTES];
	unsigned head = atomic_load_explicit(&queue->head, memory_order_relaxed);
	unsigned tail = atomic_load_explicit(&queue->tail, memory_order_acquire);
	unsigned n = 0;
	uint64_t offset;
	size_t len = 0;
	int file;

	if (head == tail)
		return false;
	file = queue->files[head % CONNLOG_QUEUE];
	offset = wall_clock_offset(connlog);
	while (head != tail && n < CONNLOG_BATCH && queue->files[head % CONNLOG_QUEUE] == file) {
		len += logline_text(text + len, &queue->lines[head % CONNLOG_QUEUE], offset);
		head++;
		n++;
	}
	logfile_put(&connlog->files[file], text, len, n, &connlog->counts);
	/* no sooner, as who waits for that finds them counted then: connlog_drain() */
	atomic_store_explicit(&queue->head, head, memory_order_release);
	return true;
}

/* Writes all that waits, a batch of each queue in turn. */
static void write_all(struct connlog *connlog)
{
	bool any;

	do {
		any = false;
		for (unsigned q = 0; q < connlog->nqueues; q++)
			any |= write_batch(connlog, &connlog->queues[q]);
	} while (any);
}

/* Closes the files and frees the queues; the counts remain. */
static void put_away(struct connlog *connlog)
{
	for (unsigned i = 0; i < connlog->nfiles; i++)
		logfile_close(&connlog->files[i]);
	free(connlog->queues);
	connlog->queues = NULL;
}

static void *write_lines(void *arg)
{
	struct connlog *connlog = arg;

	while (!atomic_load(&connlog->ending)) {
		sem_wait(&connlog->queued);
		write_all(connlog);
	}
	write_all(connlog);
	put_away(connlog);
	atomic_store(&connlog->done, true);
	return NULL;
}

/* Copies the paths that rules name, each once. */
static int collect_paths(struct connlog *connlog, const struct rules *rules)
{
	size_t bytes = 1, at = 0;

	for (unsigned f = 0; f < rules->nfarms; f++)
		bytes += rules->farms[f].connlog ? strlen(rules->farms[f].connlog) + 1 : 0;
	connlog->paths = malloc(bytes);
	connlog->files = calloc(rules->nfarms ? rules->nfarms : 1, sizeof(*connlog->files));
	connlog->file_of = calloc(rules->nfarms + 1u, sizeof(*connlog->file_of));
	if (!connlog->paths || !connlog->files || !connlog->file_of)
		return -ENOMEM;
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const char *path = rules->farms[f].connlog;
		int file = path ? find_path(connlog, path) : -1;

		if (path && file < 0) {
			strcpy(connlog->paths + at, path);
			file = (int)connlog->nfiles++;
			connlog->files[file].path = connlog->paths + at;
			connlog->files[file].fd = -1;
			at += strlen(path) + 1;
		}
		connlog->file_of[f] = file;
		if (file >= 0)
			connlog->files[file].is_needed |= !rules->farms[f].gone;
	}
	return 0;
}

static void release(struct connlog *connlog)
{
	put_away(connlog);
	sem_destroy(&connlog->queued);
	free(connlog->files);
	free(connlog->file_of);
	free(connlog->paths);
	free(connlog);
}

static int start(struct connlog *connlog)
{
	int err = 0;

	for (unsigned i = 0; i < connlog->nfiles && !err; i++) {
		err = logfile_open(&connlog->files[i]);
		if (err && !connlog->files[i].is_needed)
			err = 0; /* its lines will be counted lost */
	}
	if (!err && connlog->threaded && connlog->nfiles)
		err = -pthread_create(&connlog->thread, NULL, write_lines, connlog);
	return err;
}

static void tell_to_end(struct connlog *connlog)
{
	atomic_store(&connlog->ending, true);
	sem_post(&connlog->queued);
}

/* Waits for the writer. */
static void join_writer(struct connlog *connlog)
{
	if (connlog->threaded && connlog->nfiles)
		pthread_join(connlog->thread, NULL);
	release(connlog);
}

/* Adds up in connlog what those before it that are done have counted, and frees them. */
static void take_over(struct connlog *connlog)
{
	struct connlog **link = &connlog->before;

	while (*link) {
		struct connlog *old = *link;

		if (!atomic_load(&old->done)) {
			link = &old->before;
			continue;
		}
		*link = old->before;
		atomic_fetch_add(&connlog->counts.written, atomic_load(&old->counts.written));
		atomic_fetch_add(&connlog->counts.lost, atomic_load(&old->counts.lost));
		join_writer(old);
	}
}

/* The queues, which take most of the memory: only if there is something to log. */
static int take_queues(struct connlog *connlog, unsigned n)
{
	connlog->queues = aligned_alloc(_Alignof(struct queue), n * sizeof(*connlog->queues));
	if (!connlog->queues)
		return -ENOMEM;
	memset(connlog->queues, 0, n * sizeof(*connlog->queues));
	connlog->nqueues = n;
	return 0;
}

int connlog_open(const struct rules *rules, unsigned nqueues, bool threaded, struct connlog *before,
                 struct connlog **ret)
{
	struct connlog *connlog = calloc(1, sizeof(*connlog));
	int err;

	if (!connlog)
		return -ENOMEM;
	sem_init(&connlog->queued, 0, 0);
	connlog->threaded = threaded;
	err = collect_paths(connlog, rules);
	if (!err && !connlog->nfiles && !before) {
		release(connlog);
		*ret = NULL;
		return 0;
	}
	if (!err && connlog->nfiles)
		err = take_queues(connlog, nqueues);
	atomic_store(&connlog->done, !connlog->nfiles);
	if (!err)
		err = start(connlog);
	if (err) {
		release(connlog);
		return err;
	}
	if (before)
		take_over(before);
	*ret = connlog;
	return 0;
}

void connlog_replace(struct connlog *connlog, struct connlog *before)
{
	if (!before)
		return;
	connlog->before = before;
	tell_to_end(before);
}

void connlog_close(struct connlog *connlog)
{
	while (connlog) {
		struct connlog *before = connlog->before;

		tell_to_end(connlog);
		join_writer(connlog);
		connlog = before;
	}
}

void connlog_put(struct connlog *connlog, unsigned number, const struct rules *rules,
                 const struct ended *ended)
{
	unsigned farm = rules->servers[ended->server].farm;
	int file = connlog ? connlog->file_of[farm] : -1;
	struct queue *queue;
	unsigned tail;

	if (!connlog || !rules->farms[farm].connlog)
		return;
	if (file < 0) {
		atomic_fetch_add(&connlog->counts.lost, 1);
		return;
	}
	queue = &connlog->queues[number];
	tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
	if (tail - atomic_load_explicit(&queue->head, memory_order_acquire) == CONNLOG_QUEUE) {
		logfile_lose(&connlog->files[file], 1, ENOBUFS, &connlog->counts);
		return;
	}
	logline_make(&queue->lines[tail % CONNLOG_QUEUE], rules, ended);
	queue->files[tail % CONNLOG_QUEUE] = file;
	atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
	if (connlog->threaded)
		sem_post(&connlog->queued);
	else
		write_batch(connlog, queue);
}

void connlog_drain(struct connlog *connlog, unsigned number)
{
	const struct timespec ms = {.tv_nsec = LB_NS_PER_MS};
	const struct queue *queue;

	if (!connlog || !connlog->queues)
		return;
	queue = &connlog->queues[number];
	while (connlog->drained_ms < CONNLOG_DRAIN_MS &&
	       atomic_load(&queue->head) != atomic_load(&queue->tail)) {
		nanosleep(&ms, NULL);
		connlog->drained_ms++;
	}
}

struct connlog_counts connlog_counts(const struct connlog *connlog)
{
	struct connlog_counts counts = {0, 0};

	for (; connlog; connlog = connlog->before) {
		counts.written += atomic_load(&connlog->counts.written);
		counts.lost += atomic_load(&connlog->counts.lost);
	}
	return counts;
}
