/*
 * Words are separated by one blank.
 */
#include "recall_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *recall_grow(struct growing *growing, size_t bytes)
{
	void *items = growing->items;

	if (growing->n == growing->room) {
		growing->room = growing->room ? 2 * growing->room : 64;
		items = realloc(growing->items, growing->room * bytes);
		if (!items)
			return NULL;
		growing->items = items;
	}
	return memset(growing->items + growing->n++ * bytes, 0, bytes);
}

bool recall_take_hex(char **rest, void *ret, size_t n)
{
	char *word = strtok_r(NULL, " ", rest);
	uint8_t *bytes = ret;
	unsigned byte;

	if (!word || strlen(word) != 2 * n || strspn(word, "0123456789abcdef") != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		sscanf(word + 2 * i, "%2x", &byte);
		bytes[i] = (uint8_t)byte;
	}
	return true;
}
