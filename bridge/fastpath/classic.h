/*
 * From classic BPF, as libpcap compiles an expression to, to the instructions that the kernel's
 * programs are made of.
 *
 * A program of ours asks several expressions about one frame, one after the other, and ends at the
 * first one that matches and decides. What it looks at is the image of the frame (struct
 * filter_image), which another function has made at its start; what lies behind that, the frame
 * itself. Both have the same bytes at the same offsets for an expression: VLAN tags are in their
 * place, and a merged frame is the first of the packets that it was made of.
 */
#ifndef BRIDGE_CLASSIC_H
#define BRIDGE_CLASSIC_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_insn;
struct sock_filter; /* the kernel's: the same as libpcap's struct bpf_insn */

/* A program in the making; zeros are one that hasn't begun. */
struct classic {
	struct bpf_insn *insns; /* to be freed by classic_free() */
	uint32_t n, room;
	uint32_t call;    /* which one calls the function that makes the image */
	uint32_t half;    /* classic_begin() */
	bool is_complete; /* nothing after this is reached */
	int err;          /* the first error: all else does nothing then */
};

/* Begins: images is the descriptor of the map of images, half (0 or 1) is what the programs behind
 * are told of which filters were asked. */
void classic_begin(struct classic *classic, int images, uint32_t half);

/*
 * Asks the expression of n instructions, as the one with that number (0-63). decides says that none
 * behind it is asked if it matches.
 */
void classic_ask(struct classic *classic, const struct sock_filter *expression, uint32_t n,
                 unsigned number, bool decides);

/*
 * Ends, with the n instructions of the function that makes the image. Returns 0, or the first error
 * of all: -ENOMEM, -EINVAL if there was an instruction that isn't known, -E2BIG if something is too
 * far away.
 */
int classic_end(struct classic *classic, const struct bpf_insn *image, uint32_t n);

void classic_free(struct classic *classic);

#endif
