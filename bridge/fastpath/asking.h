/*
 * The program that asks which filters match a frame, in the making.
 *
 * It asks their expressions one after the other, ends at the first one that matches and decides,
 * and tells the programs behind it by skb->cb which ones have matched. The image of the frame that
 * it looks at another function has made at its start (filter_image() in filter.bpf.h).
 */
#ifndef BRIDGE_ASKING_H
#define BRIDGE_ASKING_H

#include "code.h"

#include <stdbool.h>

struct sock_filter;

/* Zeros are one that hasn't begun. */
struct asking {
	struct code code;
	uint32_t call;    /* which one calls the function that makes the image */
	uint32_t half;    /* asking_begin() */
	bool is_complete; /* nothing after this is reached */
};

/* Begins: images is the descriptor of the map of images, half (0 or 1) is what the programs behind
 * are told of which filters were asked. */
void asking_begin(struct asking *asking, int images, uint32_t half);

/* Asks the expression of n instructions, as the one with that number (0-63). decides says that none
 * behind it is asked if it matches. */
void asking_add(struct asking *asking, const struct sock_filter *expression, uint32_t n,
                unsigned number, bool decides);

/* Ends, with the n instructions of the function that makes the image. Returns 0, or the first error
 * of all: -ENOMEM, or those of classic_translate(). */
int asking_end(struct asking *asking, const struct bpf_insn *image, uint32_t n);

void asking_free(struct asking *asking);

#endif
