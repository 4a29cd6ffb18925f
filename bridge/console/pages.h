/*
 * The files of the page.
 */
#ifndef CONSOLE_PAGES_H
#define CONSOLE_PAGES_H

#include <stddef.h>

struct page {
	const char *path, *type;
	const unsigned char *data; /* NULL: the file isn't there */
	size_t len;
};

/* Reads what isn't part of the program: the library that plots, from where Debian has it. */
void pages_open(void);

/* The page of a path, or NULL. */
const struct page *pages_find(const char *path);

#endif
