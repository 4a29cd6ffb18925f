/*
 * Which of a fixed number of things has the least number: a heap.
 */
#ifndef BRIDGE_LEAST_H
#define BRIDGE_LEAST_H

#include <stdint.h>

/* The number of a thing that has none. */
#define LEAST_NONE UINT64_MAX

struct least;

/* For things 0 to n - 1, none of which has a number. Returns NULL if memory runs out. */
struct least *least_new(uint32_t n);
void least_free(struct least *least); /* may be NULL */

/* Sets a thing's number, in O(log n). */
void least_set(struct least *least, uint32_t thing, uint64_t number);

/*
 * The same for many things at once, in O(n): each of them by least_note(), and then, before
 * anything else is asked or set, least_order().
 */
void least_note(struct least *least, uint32_t thing, uint64_t number);
void least_order(struct least *least);

/* The least number (of nothing LEAST_NONE), and which thing has it: of several the lowest. */
uint64_t least_number(const struct least *least);
uint32_t least_first(const struct least *least);

#endif
