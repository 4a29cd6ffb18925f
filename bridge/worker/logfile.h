/*
 * A file, or a pipe, that lines are appended to: whole ones, or not at all.
 */
#ifndef BRIDGE_LOGFILE_H
#define BRIDGE_LOGFILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct logfile {
	const char *path;
	int fd;
	bool is_regular;    /* else a pipe or device, whose reader may be slow */
	bool stalled;       /* the reader didn't read in time: it isn't waited for any more */
	bool is_needed;     /* by a farm that is in the file: it must be there */
	unsigned turn;      /* in turns[], if it is regular */
	atomic_ullong lost; /* lines, since the log has said so */
	atomic_int err;     /* why the last one was */
	atomic_ullong next; /* when the log may say so again, by CLOCK_MONOTONIC, as others may be
	                       set */
};

struct logfile_counts {
	atomic_ullong written, lost; /* lines */
};

/*
 * Opens file->path; all else of it is 0. Returns 0, or a negative errno with the reason logged: for
 * a pipe that nobody reads ENXIO.
 */
int logfile_open(struct logfile *file);

/* Logs what hasn't been logged yet of lost lines, and closes. */
void logfile_close(struct logfile *file);

/* Appends n lines of len bytes in all, and counts them as written or lost. By one thread. */
void logfile_put(struct logfile *file, const char *text, size_t len, unsigned n,
                 struct logfile_counts *counts);

/*
 * Counts n lines lost for the reason that err is: ENOBUFS if they couldn't wait. From any thread.
 */
void logfile_lose(struct logfile *file, unsigned n, int err, struct logfile_counts *counts);

#endif
