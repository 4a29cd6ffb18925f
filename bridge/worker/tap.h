/*
 * Copies of frames, as they came and as they left, for a capture.
 */
#ifndef BRIDGE_TAP_H
#define BRIDGE_TAP_H

#include "../port/port.h"
#include "../../lb/verdict.h"

#include <pcap/pcap.h>

enum { TAP_BYTES = 1600 /* of a frame, at most */, TAP_RECORDS = 1024 /* that wait to be taken */ };

/* What is watched. */
struct tap_wish {
	const struct bpf_insn *filter; /* a valid program of pcap-filter(7), or NULL: all */
	bool both;                     /* with one of the two forms of a frame the other one */
	bool bundle;                   /* all that a replay takes, which is for who asked */
	bool dropped;                  /* only what is dropped and lost, */
	int why;                       /* or only of this reason; -1: of any */
};

struct tap_record {
	lb_time time;
	uint32_t len, kept; /* bytes of the frame, and how many of them there are */
	uint8_t side;       /* enum side */
	bool out;           /* as it left, or else as it came */
	uint8_t why;        /* enum lb_why */
	const char *what;   /* or it is tmbridge's own, or has waited: what it is; else NULL */
	uint16_t server;    /* or SERVER_NONE */
	uint32_t flow;      /* or UINT32_MAX */
	uint8_t bytes[TAP_BYTES];
};

struct tap;

/* The filter must stay. NULL if memory runs out. */
struct tap *tap_new(const struct tap_wish *wish);
void tap_free(struct tap *tap);

/* Called by the worker: notes that what it puts from now on is of that time or a later one. */
void tap_passed(struct tap *tap, lb_time now);

/*
 * Called by the worker: notes the frames of a burst before anything is done with them; and then
 * what has become of the i-th: of a flow to this server (or SERVER_NONE), sent on that side, or not
 * sent (-1).
 */
void tap_before(struct tap *tap, const struct frame *frames, unsigned n);
void tap_after(struct tap *tap, unsigned i, const struct frame *frame, const struct verdict *v,
               uint16_t server, int sent, lb_time now);

/* Called by the worker: notes a frame that leaves without having come in this burst. what must
 * stay. */
void tap_sent(struct tap *tap, const struct frame *frame, unsigned side, const char *what,
              lb_time now);

/*
 * Called by another thread: takes the next record; false if there is none. tap_next() is the time
 * of that record or, if there is none, the time before which none will come any more. tap_lost() is
 * how many found no room.
 */
bool tap_take(struct tap *tap, struct tap_record *ret);
lb_time tap_next(const struct tap *tap, bool *ret_any);
uint64_t tap_lost(const struct tap *tap);

#endif
