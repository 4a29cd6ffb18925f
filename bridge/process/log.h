/*
 * Messages to whoever runs tmbridge: one line each, on stderr, or to the journal with fields.
 */
#ifndef BRIDGE_LOG_H
#define BRIDGE_LOG_H

#include "details.h"

#include <stdbool.h>
#include <syslog.h> /* the levels */

/* Connects to the journal if stderr leads there. Once, before the process shuts itself in. */
void log_open(void);

/* Turns log_debug()'s lines on or off. */
void log_verbose(bool on);

/*
 * "tmbridge: " and the message; the caller gives WHERE: WHAT. None waits: a line that stderr
 * doesn't take now is lost, which the next one says.
 */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Likewise, of a syslog level, with what it says as members of its own for programs. */
void log_with(int level, const struct details *details, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#endif
