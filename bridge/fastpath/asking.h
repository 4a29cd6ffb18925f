/*
 * Makes the program that finds out which filters match a frame.
 *
 * That program looks up in a sieve which filters may match, in the frame itself. If there are any,
 * it calls filter_image() (image.bpf.c), which makes the image of the frame that expressions are
 * applied to, looks them up in that, runs their expressions one after the other, and ends at the
 * first one that matches and decides. In skb->cb it leaves to the programs behind it which ones
 * have matched.
 */
#ifndef BRIDGE_ASKING_H
#define BRIDGE_ASKING_H

#include "code.h"
#include "sieve.h"

struct sock_filter;

/* Zeros are one that hasn't begun. */
struct asking {
	struct code code;
	uint32_t call; /* which one calls the function that makes the image */
	uint32_t peek; /* the same of the one that looks at the frame before; 0: none does */
	int images;    /* asking_begin() */
	const struct sieve *sieve;
	uint32_t part;    /* asking_begin() */
	uint64_t always;  /* filters that the sieve lets through for each frame */
	unsigned group;   /* of the last filter, eight of which are one; and the jump past it */
	uint32_t past;    /* 0: none */
	bool is_complete; /* nothing after this is reached, but past a group */
};

/*
 * Begins a program. images is the descriptor of the map of images; part (below FILTER_PARTS) is
 * what the programs behind it get to know of which filters it is about. Only the expressions of
 * those that pass the sieve are run, which must stay until asking_end().
 */
void asking_begin(struct asking *asking, int images, uint32_t part, const struct sieve *sieve);

/* Adds the expression of n instructions of the filter with that number (0-63), which is greater
 * than those before. decides: if it matches no later expression is run. */
void asking_add(struct asking *asking, const struct sock_filter *expression, uint32_t n,
                unsigned number, bool decides);

/* Ends, with the n instructions of the function that makes the image. Returns 0, or the first error
 * of all: -ENOMEM, or those of classic_translate(). */
int asking_end(struct asking *asking, const struct bpf_insn *image, uint32_t n);

void asking_free(struct asking *asking);

#endif
