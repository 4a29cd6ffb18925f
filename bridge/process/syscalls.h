/*
 * What the kernel does for this process, by seccomp.
 */
#ifndef BRIDGE_SYSCALLS_H
#define BRIDGE_SYSCALLS_H

#include <stdbool.h>

/*
 * Limits the calling thread, and those that it will start, for good, to the system calls that a
 * running tmbridge makes. Any other fails with EPERM, and the kernel's log says so. ports are the
 * descriptors of packet sockets: a new packet socket may be put in the place of each by dup3(), and
 * bound there; nothing else may be bound. Connections are taken only of listeners, of which -1 is
 * none. programs says if such may be loaded into the kernel. Needs no_new_privs. Returns 0, or a
 * negative errno with the reason logged.
 */
int syscalls_limit(const int *ports, unsigned nports, const int *listeners, unsigned nlisteners,
                   bool programs);

#endif
