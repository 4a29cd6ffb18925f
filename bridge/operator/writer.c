/*
 * The writer holds one text at a time. One that is stuck in a write(), as on a disk that hangs or a
 * terminal that somebody stopped, can't be called off: at the end of the process it is left there,
 * with what it holds.
 */
#include "writer.h"

#include "statsfile.h"
#include "../process/clock.h"
#include "../process/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	const char *path;
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	char *text; /* to be written, or NULL */
	bool busy;  /* something is being written */
	bool ending, ended;
};

static void *run(void *arg)
{
	struct writer *writer = arg;
	char *text;

	pthread_mutex_lock(&writer->lock);
	while (writer->text || !writer->ending) {
		text = writer->text;
		if (!text) {
			pthread_cond_wait(&writer->changed, &writer->lock);
			continue;
		}
		writer->text = NULL;
		writer->busy = true;
		pthread_mutex_unlock(&writer->lock);
		statsfile_write(text, writer->path);
		free(text);
		pthread_mutex_lock(&writer->lock);
		writer->busy = false;
		pthread_cond_broadcast(&writer->changed);
	}
	writer->ended = true;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

static void writer_free(struct writer *writer)
{
	pthread_cond_destroy(&writer->changed);
	pthread_mutex_destroy(&writer->lock);
	free(writer->text);
	free(writer);
}

int writer_open(const char *path, struct writer **ret)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int err;

	if (!writer)
		return -ENOMEM;
	writer->path = path;
	pthread_mutex_init(&writer->lock, NULL);
	clock_condition(&writer->changed);
	err = -pthread_create(&writer->thread, NULL, run, writer);
	if (err < 0) {
		log_error("starting the statistics' writer: %s", strerror(-err));
		writer_free(writer);
		return err;
	}
	*ret = writer;
	return 0;
}

bool writer_put(struct writer *writer, char *text)
{
	bool taken;

	pthread_mutex_lock(&writer->lock);
	taken = !writer->text && !writer->busy;
	if (taken)
		writer->text = text;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	if (!taken)
		free(text);
	return taken;
}

/* Waits until nothing waits to be written, or all has ended; not past end. The lock is held. */
static void wait_until(struct writer *writer, const bool *ended, const struct timespec *end)
{
	int err = 0;

	while (err != ETIMEDOUT && !(ended ? *ended : !writer->text && !writer->busy))
		err = pthread_cond_timedwait(&writer->changed, &writer->lock, end);
}

void writer_close(struct writer *writer, char *text)
{
	const struct timespec end = clock_in(WRITER_END_MS * LB_NS_PER_MS);
	bool ended;

	pthread_mutex_lock(&writer->lock);
	wait_until(writer, NULL, &end);
	if (!writer->text) {
		writer->text = text;
		text = NULL;
	}
	writer->ending = true;
	pthread_cond_broadcast(&writer->changed);
	wait_until(writer, &writer->ended, &end);
	ended = writer->ended;
	pthread_mutex_unlock(&writer->lock);
	free(text);
	if (!ended) {
		log_error("%s: statistics: not written within %d s", writer->path,
		          WRITER_END_MS / 1000);
		return;
	}
	pthread_join(writer->thread, NULL);
	writer_free(writer);
}
