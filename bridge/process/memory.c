/*
 * Memory in huge pages, as far as the system offers them.
 *
 * A flow is looked up at random in tables of many megabytes, where each access would miss the
 * processor's cache of translations as well. Pages that the administrator has put aside
 * (vm.nr_hugepages) come first. Else the kernel is asked to make huge ones as the memory is written
 * (transparent_hugepage/enabled = madvise or always), for which it has to be aligned. What is
 * smaller than a huge page stays in small ones, as does then what is left of the last one: else
 * a table that needs a little of it would take all of it.
 */
#include "memory.h"

#include "log.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << MAP_HUGE_SHIFT)
#endif

/* Of x86-64, and of arm64 with small pages of 4 KiB. */
#define MEMORY_HUGE_PAGE ((size_t)2 << 20)

static size_t round_up(size_t bytes)
{
	return (bytes + MEMORY_HUGE_PAGE - 1) & ~(MEMORY_HUGE_PAGE - 1);
}

static void *map(size_t bytes, int flags)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags,
	                -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* Whole huge pages for bytes, at a multiple of one: maps one more and cuts off the ends. */
static void *map_aligned(size_t bytes)
{
	const size_t whole = round_up(bytes);
	uint8_t *at = map(whole + MEMORY_HUGE_PAGE, 0), *aligned;

	if (!at)
		return NULL;
	aligned = at + (round_up((uintptr_t)at) - (uintptr_t)at);
	if (aligned > at)
		munmap(at, (size_t)(aligned - at));
	munmap(aligned + whole, MEMORY_HUGE_PAGE - (size_t)(aligned - at));
	/* the kernel may have none: small ones will do */
	madvise(aligned, bytes / MEMORY_HUGE_PAGE * MEMORY_HUGE_PAGE, MADV_HUGEPAGE);
	return aligned;
}

int memory_take(struct memory *memory, size_t bytes)
{
	if (bytes < MEMORY_HUGE_PAGE) {
		memory->bytes = bytes;
		memory->at = map(bytes, 0);
	} else {
		memory->bytes = round_up(bytes);
		memory->at = map(memory->bytes, MAP_HUGETLB | MAP_HUGE_2MB);
		if (!memory->at)
			memory->at = map_aligned(bytes);
	}
	if (memory->at)
		return 0;
	log_error("no memory for %zu MiB: %m", (bytes >> 20) + 1);
	return -ENOMEM;
}

void memory_free(struct memory *memory)
{
	if (memory->at)
		munmap(memory->at, memory->bytes);
}
