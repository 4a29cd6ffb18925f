/*
 * The command line of those who ask a running tmbridge: tmbridge VERB ...
 */
#ifndef BRIDGE_CLI_H
#define BRIDGE_CLI_H

#include <stdbool.h>

/* If these arguments of main() are a verb's, and not interfaces or options. */
bool cli_is_meant(int argc, char **argv);

/* If the last of them asks how this is used. */
bool cli_wants_help(int argc, char **argv);

/* The verb that is most like the word, or NULL. */
const char *cli_nearest(const char *word);

/* Runs the verb, and returns the exit status. */
int cli_run(int argc, char **argv);

#endif
