/*
 * A client at a socket: his request, and his answer.
 */
#ifndef BRIDGE_CLIENT_H
#define BRIDGE_CLIENT_H

#include "answer.h"
#include "request.h"
#include "scan.h"
#include "socket.h"
#include "world.h"

struct client;

/*
 * Goes on with an answer that isn't complete yet: says what there is room for, and answer_end()
 * when that was all. It is called again and again: at once while it says something, else now and
 * then.
 */
typedef void client_go(struct world *world, struct client *client, lb_time now);

/* Ends what was begun for a client whose connection has ended. */
typedef void client_stop(struct world *world, struct client *client);

struct client {
	int fd;           /* -1: nobody */
	bool is_operator; /* by the control socket: may change things */
	struct socket_peer peer;
	char line[REQUEST_BYTES];
	size_t got;      /* of line */
	bool gone;       /* has closed his side: sends no more requests */
	lb_time patient; /* when his connection is closed, unless he asks or reads before */
	struct answer answer;
	bool is_stalled;   /* his request waits for a worker that doesn't move: see verb_stall() */
	lb_time late;      /* when that has been so for too long; 0: it isn't so */
	bool is_busy;      /* go() has more to add at once, if there is room */
	bool has_to_wait;  /* up to world.viewers */
	bool goes_over;    /* the flows, which may take long: at the lowest priority */
	client_stop *stop; /* when it is over, by whomever; or NULL */
	client_go *go;     /* NULL: there is nothing to go on with */
	union {            /* of the verb under way */
		struct {
			uint64_t next;
			bool follow;
		} events;
		struct {
			struct scan *scan; /* client.stop frees it */
			uint64_t n, limit; /* found so far, and at most */
			bool must_be;      /* none is a failure */
			bool is_last;      /* what has been found is all */
		} flows;
		struct {
			char server[RULES_NAME_BYTES];
			lb_time until;
			uint32_t last; /* connections that were left as his last record said */
			bool reset;    /* what is left then is ended */
		} wait;
	};
};

#endif
