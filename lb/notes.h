/*
 * Notes: how ends of open flows have ended. A program that forwards (lane.h) sees a FIN or RST, and
 * changes nothing of the flow's state: it writes a note here, and the engine, when it takes that,
 * ends the flow (progress.h).
 *
 * They are a byte for each flow, eight to a word, and behind these a bit for each 64 flows. Who
 * notes goes upwards: the byte, the bit, and in the table's head that there is any. Who takes goes
 * downwards, and clears each before he looks at what it stands for: so nothing is missed, and what
 * is found in vain costs a look.
 */
#ifndef LB_NOTES_H
#define LB_NOTES_H

#include "both.h"
#include "table.h"

/* Of a flow; the first two << end. */
enum {
	NOTE_FIN = 1,
	NOTE_RST = 4,
	NOTE_SERVER_FIRST = 16, /* with the server's FIN: none of the client's was noted here */
	NOTE_CROSSING = 32,     /* with it: the server had not acknowledged all of the client's */
};

enum { NOTES_IN_WORD = 8, NOTES_IN_GROUP = 64, NOTES_IN_GROUPS = 4096, NOTES_NONE = 0 };

/* The words that hold the bytes of so many flows; and all words. */
static inline uint32_t notes_bytes_words(uint32_t flows)
{
	return (flows + NOTES_IN_GROUP - 1) / NOTES_IN_GROUP * (NOTES_IN_GROUP / NOTES_IN_WORD);
}

static inline uint32_t notes_words(uint32_t flows)
{
	return notes_bytes_words(flows) + (flows + NOTES_IN_GROUPS - 1) / NOTES_IN_GROUPS;
}

/* The word with the byte of the flow, and that with the bit of its group, of so many flows. */
static inline uint32_t notes_at(uint32_t flow)
{
	return flow / NOTES_IN_WORD;
}

static inline uint32_t notes_group_at(uint32_t flows, uint32_t flow)
{
	return notes_bytes_words(flows) + flow / NOTES_IN_GROUPS;
}

static inline unsigned notes_shift(uint32_t flow)
{
	return flow % NOTES_IN_WORD * 8;
}

/* What is noted of the flow and not taken yet, word being that of notes_at(). */
static inline uint8_t notes_of(const uint64_t *word, uint32_t flow)
{
	return (uint8_t)(BOTH_READ(*word) >> notes_shift(flow));
}

/* Adds how (NOTE_...) to what is noted of a flow, given both of its words; sets the head's word
 * that there is any. */
static inline void notes_put(struct table_head *head, uint64_t *word, uint64_t *group,
                             uint32_t flow, uint8_t how)
{
	BOTH_OR(*word, (uint64_t)how << notes_shift(flow));
	BOTH_OR(*group, 1ull << flow / NOTES_IN_GROUP % 64);
	BOTH_WRITE_LAST(head->noted, 1);
}

#ifndef __bpf__
/* Returns what is noted of the flow, and clears it. */
static inline uint8_t notes_take(uint64_t *words, uint32_t flow)
{
	uint64_t *word = &words[notes_at(flow)];
	const uint64_t mask = 0xffull << notes_shift(flow);

	if (!notes_of(word, flow))
		return NOTES_NONE;
	return (uint8_t)(BOTH_TAKE(*word, mask) >> notes_shift(flow));
}

/* Before all flows' are taken anyhow: what is noted from here on is found, or taken then. */
static inline void notes_forget_groups(uint64_t *words, uint32_t flows)
{
	for (uint32_t i = notes_bytes_words(flows); i < notes_words(flows); i++)
		BOTH_TAKE(words[i], UINT64_MAX);
}
#endif

#endif
