/*
 * The figures as they come, as the body of an answer.
 */
#ifndef CONSOLE_STREAM_H
#define CONSOLE_STREAM_H

#include "feed.h"

#include <microhttpd.h>
#include <stdatomic.h>

enum { STREAMS_MAX = 24 };

struct streams {
	struct feed *feed; /* what they send */
	atomic_uint n;     /* how many there are now */
};

/* Server-sent events without an end, until feed_stop(); NULL if there are STREAMS_MAX, or memory
 * runs out. */
struct MHD_Response *stream_response(struct streams *streams);

#endif
