/*
 * Lines of a bundle: lists that grow, and bytes as hex digits.
 */
#ifndef BRIDGE_RECALL_LINES_H
#define BRIDGE_RECALL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read, which grows by doubling. */
struct growing {
	uint8_t *items;
	uint32_t n, room;
};

/* One item more, all zeros; NULL if memory runs out. */
void *recall_grow(struct growing *growing, size_t bytes);

/* The bytes of the next word, all n of them; false if they aren't there. */
bool recall_take_hex(char **rest, void *ret, size_t n);

#endif
