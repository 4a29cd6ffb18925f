/*
 * Which requests are answered.
 */
#ifndef CONSOLE_GUARD_H
#define CONSOLE_GUARD_H

#include "options.h"

/* Headers of a request; NULL: it hasn't that one. */
struct guard_request {
	const char *host, *origin, *authorization, *type; /* headers */
};

/* If host, with or without a port, is a name of this console. */
bool guard_knows_host(const struct options *options, const char *host);

/* If the header has the right token; false if no token is set. */
bool guard_knows_token(const struct options *options, const char *authorization);

/*
 * Whether the request may be answered: 0, or the HTTP status to refuse it with, and why. The first
 * is for all, the second for figures, the third for what changes something.
 */
unsigned guard_any(const struct options *options, const struct guard_request *request,
                   const char **ret_why);
unsigned guard_figures(const struct options *options, const struct guard_request *request,
                       const char **ret_why);
unsigned guard_change(const struct options *options, const struct guard_request *request,
                      const char **ret_why);

#endif
