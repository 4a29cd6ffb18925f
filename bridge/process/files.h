/*
 * The files that a live tmbridge goes on using after its start.
 */
#ifndef BRIDGE_FILES_H
#define BRIDGE_FILES_H

#include "../../lb/rules.h"

enum file_use {
	FILE_READ,    /* lb.ini, at each reload */
	FILE_APPEND,  /* a connection log, made if it isn't there */
	FILE_REPLACE, /* the statistics, written beside and renamed */
};

struct file_used {
	const char *path;
	enum file_use use;
};

/* Borrowed: paths as the user gave them, and rules that name the connection logs. */
struct files {
	const char *config;
	const char *stats; /* NULL or "-": none */
	const struct rules *rules;
};

/* Why a file can't be used. */
struct files_problem {
	const char *path; /* one of struct files */
	const char *what; /* what is not allowed: "read it" */
	int err;          /* errno */
};

/*
 * The i-th file, counted from 0; one may come twice. Returns false past the last one; a path of
 * NULL is to be skipped.
 */
bool files_at(const struct files *files, unsigned i, struct file_used *ret);

/*
 * Whether the process, with its effective user and capabilities, may use all files as it will have
 * to. Returns 0, or a negative errno with *ret saying which one it may not.
 */
int files_check(const struct files *files, struct files_problem *ret);

/*
 * Whether a reload could make the connection logs anew after a rotation that doesn't. Returns as
 * files_check() does.
 */
int files_check_rotation(const struct files *files, struct files_problem *ret);

/*
 * Whether the file is written where it is, and never made anew: a device or pipe, and what a
 * symbolic link in the place of a FILE_REPLACE leads to.
 */
bool file_stays(const struct file_used *file);

/* Why it can't be written, in words: of a pipe, ENXIO and EPIPE are that nobody reads it, EAGAIN
 * and ETIMEDOUT that who does takes nothing. */
const char *file_fault(int err);

/* The directory that path is in, to be freed by the caller; NULL if memory is lacking. */
char *file_directory(const char *path);

#endif
