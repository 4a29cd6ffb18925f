/*
 * A ring that all threads write and one reads, without a lock. A writer takes a number, and with it
 * a place; sets the place's number to 0, writes, and sets it to its own. A reader reads the place's
 * number before and after the rest. A place consists of words, each read and written whole.
 */
#include "recent.h"

#include "clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum { RECENT_WORDS = (sizeof(struct recent) + 7) / 8 };

struct place {
	atomic_ullong number; /* 0: none, or it is being written */
	atomic_ullong words[RECENT_WORDS];
};

static struct place places[RECENT_PLACES];
static atomic_ullong last;

void recent_note(int level, const char *text, const struct details *details)
{
	const uint64_t number = atomic_fetch_add(&last, 1) + 1;
	struct place *place = &places[number % RECENT_PLACES];
	struct recent recent = {.number = number, .level = level};
	uint64_t words[RECENT_WORDS] = {0};

	recent.time_ms = (int64_t)(clock_wall() / LB_NS_PER_MS);
	strncpy(recent.text, text, sizeof(recent.text) - 1);
	details_json(details, recent.details, sizeof(recent.details));
	memcpy(words, &recent, sizeof(recent));
	atomic_store(&place->number, 0);
	for (size_t i = 0; i < RECENT_WORDS; i++)
		atomic_store_explicit(&place->words[i], words[i], memory_order_release);
	atomic_store(&place->number, number);
}

uint64_t recent_last(void)
{
	return atomic_load(&last);
}

bool recent_get(uint64_t number, struct recent *ret)
{
	struct place *place = &places[number % RECENT_PLACES];
	uint64_t words[RECENT_WORDS];

	if (!number || atomic_load(&place->number) != number)
		return false;
	for (size_t i = 0; i < RECENT_WORDS; i++)
		words[i] = atomic_load_explicit(&place->words[i], memory_order_acquire);
	if (atomic_load(&place->number) != number)
		return false;
	memcpy(ret, words, sizeof(*ret));
	return true;
}
