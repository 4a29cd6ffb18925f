/*
 * What other workers send to a worker, if there are several.
 */
#ifndef BRIDGE_INBOX_H
#define BRIDGE_INBOX_H

#include "listener.h"
#include "../port/port.h"
#include "../../lb/verdict.h"

struct inbox;

/* What one worker has learned and all have to know. */
enum news_kind {
	NEWS_PROBED,
	NEWS_SIGHTED, /* of a server: to the first worker, who decides */
	NEWS_PLACED,  /* from it */
	NEWS_HEARD,   /* of who may be a client: for lb_sighted() */
	NEWS_SUSPECT, /* a server to be probed at once: to the first worker */
	NEWS_AGENT,   /* what a server's agent says: for lb_agent() */
	NEWS_QUERIED, /* for listener_note(): to the first worker */
};

struct news {
	enum news_kind kind;
	uint16_t server, check; /* NEWS_PROBED: as for lb_probed() */
	bool ok;
	struct agent agent;          /* NEWS_AGENT */
	struct listener_query query; /* NEWS_QUERIED */
	struct sighting sighting;    /* of the others */
};

/* Returns NULL, with the reason logged, if it can't be made. */
struct inbox *inbox_new(void);
void inbox_free(struct inbox *inbox);

/*
 * Put a copy in, and wake the worker if it sleeps; false if there is no room. From any thread, and
 * without waiting.
 */
bool inbox_put_frame(struct inbox *inbox, const struct frame *frame);
bool inbox_put_news(struct inbox *inbox, const struct news *news);

/*
 * Takes up to PORT_BURST frames, which live until the next call. Only by the worker's own thread.
 */
unsigned inbox_take_frames(struct inbox *inbox, struct frame ret[PORT_BURST]);

/* Takes the oldest news; false if there are none. */
bool inbox_take_news(struct inbox *inbox, struct news *ret);

/* Makes inbox_fd() readable: ends a sleep for whatever reason. From any thread. */
void inbox_wake(struct inbox *inbox);
int inbox_fd(const struct inbox *inbox);

/*
 * To be called before and after a sleep. inbox_sleep() returns false if there is something to take
 * first; else what is put in from then on makes inbox_fd() readable, until inbox_awake().
 */
bool inbox_sleep(struct inbox *inbox);
void inbox_awake(struct inbox *inbox);

#endif
