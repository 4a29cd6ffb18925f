/*
 * The console's command line.
 */
#ifndef CONSOLE_OPTIONS_H
#define CONSOLE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { OPTIONS_HOSTS = 16, OPTIONS_TOKEN_BYTES = 129 };

struct options {
	const char *instance; /* "eth0-eth1"; NULL: the only one */
	const char *address;  /* to listen on */
	uint16_t port;
	const char *hosts[OPTIONS_HOSTS]; /* other names of this machine that a browser may use */
	unsigned nhosts;
	const char *token_file, *certificate, *key; /* or NULL */
	char token[OPTIONS_TOKEN_BYTES];            /* empty: none */
	bool admin;                                 /* may change things */
	bool done;                                  /* nothing is left to do */
};

/* Returns 0, or a negative errno with the reason logged. argv must stay. */
int options_parse(int argc, char **argv, struct options *ret);

#endif
