/*
 * A word of memory that a thread can sleep by until another one has changed it: what semaphores and
 * conditions are made of. POSIX has none of these that waits by clock_now() and holds no lock:
 * sem_clockwait() is glibc's alone.
 */
#ifndef BRIDGE_FUTEX_H
#define BRIDGE_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/* Sleeps until somebody calls futex_wake(), but not if the word isn't `is` (any more), and not
 * longer than until that time (of clock_in()). Returns false if that has come. It may also return
 * for nothing: look again. */
bool futex_wait(const atomic_uint *word, unsigned is, const struct timespec *until);

/* Wakes one who sleeps by the word, after it has been changed. The word may be gone already. */
void futex_wake(const atomic_uint *word);

#endif
