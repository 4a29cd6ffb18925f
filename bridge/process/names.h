/*
 * Names of hosts, networks, ports and protocols, as they may stand in a filter's expression.
 */
#ifndef BRIDGE_NAMES_H
#define BRIDGE_NAMES_H

/* From now on this process looks names up in the files of this host only, and asks no server. */
void names_from_files(void);

/* The i-th of these files, counted from 0; NULL past the last one. */
const char *names_file(unsigned i);

/* One of these files that is there, but that this process may not read; or NULL. */
const char *names_lost(void);

#endif
