/*
 * What files the kernel lets this process open, by Landlock.
 */
#ifndef BRIDGE_LANDLOCK_H
#define BRIDGE_LANDLOCK_H

#include "files.h"

/*
 * Limits the calling thread, and those that it will start, for good: to reading from the directory
 * of files' configuration, to writing in those of the statistics and connection logs, and to the
 * IPv6 settings of interfaces. What is open stays open. Newer kernels also keep it from TCP, and
 * from signals and abstract sockets of other processes. Needs no_new_privs. A kernel that has no
 * Landlock is a line in the log. Returns 0, or a negative errno with the reason logged.
 */
int landlock_enter(const struct files *files);

#endif
