/*
 * futex(2), for which no C library has a function. FUTEX_WAIT_BITSET is the one whose time is of
 * CLOCK_MONOTONIC, and not a span.
 */
#include "futex.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static_assert(sizeof(atomic_uint) == sizeof(uint32_t), "what the kernel compares");

bool futex_wait(const atomic_uint *word, unsigned is, const struct timespec *until)
{
	return syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, is, until, NULL,
	               FUTEX_BITSET_MATCH_ANY) == 0 ||
	       errno != ETIMEDOUT;
}

void futex_wake(const atomic_uint *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}
