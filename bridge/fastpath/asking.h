/*
 * The program that asks which filters match a frame, in the making.
 *
 * It looks up in a sieve which ones may match, asks their expressions one after the other, ends at
 * the first one that matches and decides, and tells the programs behind it by skb->cb which ones
 * have matched. The image of the frame that it looks at another function has made at its start
 * (filter_image() in filter.bpf.h).
 */
#ifndef BRIDGE_ASKING_H
#define BRIDGE_ASKING_H

#include "code.h"
#include "sieve.h"

struct sock_filter;

/* Zeros are one that hasn't begun. */
struct asking {
	struct code code;
	uint32_t call;    /* which one calls the function that makes the image */
	uint32_t part;    /* asking_begin() */
	uint64_t always;  /* those that are asked about each frame */
	unsigned group;   /* of the last filter, eight of which are one; and the jump past it */
	uint32_t past;    /* 0: none */
	bool is_complete; /* nothing after this is reached, but past a group */
};

/* Begins: images is the descriptor of the map of images, part (below FILTER_PARTS) is what the
 * programs behind are told of which filters were asked. Only those that pass the sieve will be. */
void asking_begin(struct asking *asking, int images, uint32_t part, const struct sieve *sieve);

/* Numbers only grow. Asks the expression of n instructions, as the one with that number (0-63).
 * decides says that none behind it is asked if it matches. */
void asking_add(struct asking *asking, const struct sock_filter *expression, uint32_t n,
                unsigned number, bool decides);

/* Ends, with the n instructions of the function that makes the image. Returns 0, or the first error
 * of all: -ENOMEM, or those of classic_translate(). */
int asking_end(struct asking *asking, const struct bpf_insn *image, uint32_t n);

void asking_free(struct asking *asking);

#endif
