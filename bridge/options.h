/*
 * The command line.
 */
#ifndef BRIDGE_OPTIONS_H
#define BRIDGE_OPTIONS_H

#include "../lb/frame.h"
#include "../lb/tuple.h"

enum options_mode {
	MODE_LIVE,
	MODE_OFFLINE,
	MODE_CHECK,   /* -t */
	MODE_RELEASE, /* wire release: of names */
	MODE_DONE,    /* -h or -V: all has been said */
};

enum { OPTIONS_INTERFACES_BYTES = 2 * 128 + 2 }; /* two names (ALTIFNAMSIZ) and ", " */

struct options {
	enum options_mode mode;
	const char *config;
	const char *bundle; /* MODE_OFFLINE: the directory that it and read are in; or NULL */
	const char *stats;  /* a path, "-", or NULL */
	const char *user;   /* whom to become, or NULL */
	bool has_key;
	struct hash_key key; /* zeros unless given */
	bool verbose;
	/* MODE_LIVE: interfaces by enum side, the inside's NULL if only one was given; and all */
	const char *names[NSIDES];
	char interfaces[OPTIONS_INTERFACES_BYTES];
	/* MODE_OFFLINE: captures by enum side; the inside's may be NULL */
	const char *read[NSIDES];
	const char *write[NSIDES];
};

/*
 * Reads the command line, whose strings it goes on using (and cuts at commas). Returns 0, or
 * -EINVAL with what is wrong logged.
 */
int options_parse(int argc, char **argv, struct options *ret);

#endif
