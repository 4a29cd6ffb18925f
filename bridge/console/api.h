/*
 * What the page, or a program, may ask, and what it is answered.
 */
#ifndef CONSOLE_API_H
#define CONSOLE_API_H

#include "feed.h"
#include "options.h"

#include <stdatomic.h>

/* What answers need. Only a few requests go to a running tmbridge at a time, as that has few places
 * for clients, and an answer may be long. */
struct api {
	const struct options *options;
	struct feed *feed;
	atomic_uint viewers, operators; /* how many more may ask now */
};

/* options and feed must stay. */
void api_open(struct api *api, const struct options *options, struct feed *feed);

struct reply {
	unsigned status; /* of HTTP */
	const char *type;
	char *text; /* for whoever takes it to free */
	size_t len;
};

/* An argument of the request's address, or NULL. */
typedef const char *api_argument(void *ctx, const char *name);

/*
 * Answers GET of a path: /metrics, or what the socket says, as it says it, to /api/VERB. status is
 * 404 if there is nothing of that name, 503 if too many ask.
 */
void api_get(struct api *api, const char *path, api_argument *argument, void *ctx,
             struct reply *ret);

/*
 * Does what a body, {"do":["server","drain","web1"]}, says, if it is a verb that changes something.
 */
void api_do(struct api *api, const char *body, size_t len, struct reply *ret);

/* Answers, to anybody, what a request must have: {"token":true,"admin":false}. */
void api_needs(const struct options *options, struct reply *ret);

/* {"error":{"message":"..."}} */
void api_refuse(unsigned status, const char *why, struct reply *ret);

#endif
