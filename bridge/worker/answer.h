/*
 * If what a server has sent is the answer that a check expects.
 */
#ifndef BRIDGE_ANSWER_H
#define BRIDGE_ANSWER_H

#include "../../lb/script.h"

/* UNCLEAR: it may still become either. */
enum answer { ANSWER_UNCLEAR, ANSWER_RIGHT, ANSWER_WRONG };

/*
 * Judges the n bytes that have come so far. nbefore of them had come at the last call, which
 * returned ANSWER_UNCLEAR: so each byte is compared with each of the pattern's once at most. whole:
 * no more will come.
 */
enum answer answer_judge(const struct script *script, const uint8_t *bytes, unsigned n,
                         unsigned nbefore, bool whole);

#endif
