/*
 * Memory that two write, or that one reads while the other writes: the process and a program in the
 * kernel (table.h). Each access is whole, aligned, of 8 to 64 bits, and takes place once; in which
 * order two of them become visible only the last two macros say. For either target.
 */
#ifndef LB_BOTH_H
#define LB_BOTH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __bpf__
#define BOTH_READ(x)         (*(const volatile __typeof__(x) *)&(x))
#define BOTH_WRITE(x, v)     (*(volatile __typeof__(x) *)&(x) = (v))
#define BOTH_ADD(x, v)       ((void)__sync_fetch_and_add(&(x), (v)))
#define BOTH_FETCH_ADD(x, v) (__sync_fetch_and_add(&(x), (v)))
#define BOTH_OR(x, v)        ((void)__sync_fetch_and_or(&(x), (v)))

/* A program needs no fence of the processor: the address of its second read always follows from its
 * first one, and no processor turns such reads round. So only the compiler is held back. */
#define BOTH_FENCE() __asm__ volatile("" ::: "memory")
#define BOTH_READ_FIRST(x)                                                                         \
	__extension__({                                                                            \
		__typeof__(x) first_ = BOTH_READ(x);                                               \
		BOTH_FENCE();                                                                      \
		first_;                                                                            \
	})
#define BOTH_WRITE_LAST(x, v)                                                                      \
	__extension__({                                                                            \
		BOTH_FENCE();                                                                      \
		BOTH_WRITE(x, v);                                                                  \
	})
#else
/* Tests define it, to stop one of the two before each access. */
#ifndef BOTH_STEP
#define BOTH_STEP() ((void)0)
#endif

#define BOTH_READ(x)         (BOTH_STEP(), __atomic_load_n(&(x), __ATOMIC_RELAXED))
#define BOTH_WRITE(x, v)     (BOTH_STEP(), __atomic_store_n(&(x), (v), __ATOMIC_RELAXED))
#define BOTH_ADD(x, v)       (BOTH_STEP(), (void)__atomic_fetch_add(&(x), (v), __ATOMIC_RELAXED))
#define BOTH_FETCH_ADD(x, v) (BOTH_STEP(), __atomic_fetch_add(&(x), (v), __ATOMIC_RELAXED))

/* Whoever sees the bits changed sees all that was written before, and the other way round.
 * BOTH_TAKE() clears bits and returns which of them were set; only the engine calls it. */
#define BOTH_OR(x, v)        (BOTH_STEP(), (void)__atomic_fetch_or(&(x), (v), __ATOMIC_SEQ_CST))
#define BOTH_TAKE(x, mask)                                                                         \
	(BOTH_STEP(), __atomic_fetch_and(&(x), ~(mask), __ATOMIC_SEQ_CST) & (mask))

/* What is read after BOTH_READ_FIRST() isn't older than what that read; what was written before
 * BOTH_WRITE_LAST() is seen by who sees what that wrote. */
#define BOTH_READ_FIRST(x)    (BOTH_STEP(), __atomic_load_n(&(x), __ATOMIC_ACQUIRE))
#define BOTH_WRITE_LAST(x, v) (BOTH_STEP(), __atomic_store_n(&(x), (v), __ATOMIC_RELEASE))
#endif

/* Copies aligned words one by one. */
static inline void both_copy(void *to, const void *from, size_t bytes)
{
	uint32_t *words = to;

	for (size_t i = 0; i < bytes / sizeof(*words); i++) {
		uint32_t word;

		memcpy(&word, (const uint8_t *)from + i * sizeof(word), sizeof(word));
		BOTH_WRITE(words[i], word);
	}
}

#endif
