/*
 * The HTTP server.
 */
#ifndef CONSOLE_SERVER_H
#define CONSOLE_SERVER_H

#include "feed.h"
#include "options.h"

struct server;

/* Listens; options and feed must stay. NULL, with the reason logged, if it can't. */
struct server *server_start(const struct options *options, struct feed *feed);

/* Disconnects those whose time is over: to be called each second or so. */
void server_tend(struct server *server);

/* Ends all connections; feed_stop() must have been called, upon which the last streams end. */
void server_stop(struct server *server);

#endif
