/*
 * The bytes of lb.ini.
 */
#ifndef CFG_FILE_H
#define CFG_FILE_H

#include "note.h"

enum { FILE_BYTES_MAX = 1 << 20 };

struct file {
	char *bytes;
	size_t len;
};

/*
 * Reads the file of notes->path, a regular one of at most FILE_BYTES_MAX. file begins as zeros;
 * file->bytes is the caller's to free, on failure too, which is noted and a negative errno.
 */
int file_read(struct notes *notes, struct file *file);

#endif
