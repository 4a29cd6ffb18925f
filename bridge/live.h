/*
 * Balancing between two interfaces.
 */
#ifndef BRIDGE_LIVE_H
#define BRIDGE_LIVE_H

#include "reload.h"

/*
 * Runs between the interfaces that options names until SIGINT or SIGTERM; SIGHUP
 * reloads by load. Frees rules, and goes on with text, which they were made of. Returns 0 then, or
 * a negative errno with the reason logged.
 */
int live_run(const struct options *options, struct rules *rules, struct cfg_text *text,
             reload_load *load);

/*
 * Removes what a process that is no more has left in the kernel for the interfaces that options
 * name, and sets these back. Returns 0, or a negative errno with the reason logged: there is
 * nothing, or a process that still runs.
 */
int live_release(const struct options *options);

#endif
