/*
 * The journal (systemd-journald(8)): a message goes there with its level and what it is about as
 * fields.
 */
#ifndef BRIDGE_JOURNAL_H
#define BRIDGE_JOURNAL_H

#include "details.h"

/*
 * Connects to the journal whose socket is path, or to the machine's own if that is NULL. Once,
 * before the process shuts itself in; until then, and if it fails, journal_send() doesn't.
 */
void journal_open(const char *path);
void journal_close(void);

/*
 * Sends a message, "WHERE: WHAT", of a syslog level. Waits for nobody; false if it couldn't be
 * sent. From any thread. Its details, which may be NULL, are fields as well: client_bytes is
 * TMBRIDGE_CLIENT_BYTES.
 */
bool journal_send(int level, const char *message, const struct details *details);

#endif
