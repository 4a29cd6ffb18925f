/*
 * What the sequence fuzzer's input says: a byte for the engine's option, then steps, each a byte
 * that says what and bytes that say how.
 */
#ifndef FUZZ_STEPS_H
#define FUZZ_STEPS_H

enum step {
	STEP_RAW,   /* length (2 bytes), way (STEP_..., 1 byte), bytes */
	STEP_TIME,  /* two bytes, whose product is ms; then how many own frames there is room for */
	STEP_BURST, /* how many of the next frames go in together */
	STEP_PROBED,
	STEP_RELOAD,
	STEP_TAKE_ENDED,
	STEP_TCP,
	STEP_FRAGMENT,
	STEP_ICMP_ERROR,
	STEP_ECHO,
	STEP_NEIGHBOUR,
	STEP_REPLY,       /* of whom a frame was forwarded to lately */
	STEP_ERROR_REPLY, /* the same, by an ICMP error */
	NSTEPS
};

/* How a raw frame comes. */
enum { STEP_INSIDE = 1, STEP_PARTIAL = 2, STEP_CUT = 4 };

#endif
