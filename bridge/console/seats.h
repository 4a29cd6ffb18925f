/*
 * Who is connected, and who gives up his place when there are too many.
 */
#ifndef CONSOLE_SEATS_H
#define CONSOLE_SEATS_H

#include "../../lb/bytes.h"

enum {
	SEATS = 48,        /* who is served at a time */
	SEATS_SPARE = 64,  /* for those who were sent away and haven't gone yet */
	SEATS_WAIT_S = 10, /* for a request to be complete, or another to come */
	SEATS_ASK_S = 60,  /* for its answer to be taken */
};

struct seats;
struct seat;

enum seat_use {
	SEAT_WAITS, /* no request yet that is complete and may be answered */
	SEAT_ASKS,  /* is being answered */
	SEAT_LOOKS, /* has a stream, which has no end */
};

/* NULL if memory runs out. */
struct seats *seats_new(void);
void seats_free(struct seats *seats);

/*
 * Takes a seat for a new connection, fd, which the caller closes after seats_leave(). If all are
 * taken, one is sent away by shutting down its socket: who has waited longest, or else who has been
 * answered for longest, or else the new one. NULL if none is even left for those who go: then the
 * new one is sent away.
 */
struct seat *seats_take(struct seats *seats, int fd, lb_time now);

/* Notes what the seat is used for from now on; it may be NULL. */
void seats_use(struct seats *seats, struct seat *seat, enum seat_use use, lb_time now);
void seats_leave(struct seats *seats, struct seat *seat);

/* Disconnects those whose time is over: to be called each second or so. */
void seats_tend(struct seats *seats, lb_time now);

#endif
