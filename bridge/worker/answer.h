/*
 * Whether what a server has said is what a check wants to hear.
 */
#ifndef BRIDGE_ANSWER_H
#define BRIDGE_ANSWER_H

#include "../../lb/script.h"

/* UNCLEAR: it may still become either. */
enum answer { ANSWER_UNCLEAR, ANSWER_RIGHT, ANSWER_WRONG };

/*
 * Judges the n bytes that have come so far, of which nbefore were there when it was asked last,
 * and were unclear then: each byte is compared with each of the pattern once at most. whole: there
 * will be no more.
 */
enum answer answer_judge(const struct script *script, const uint8_t *bytes, unsigned n,
                         unsigned nbefore, bool whole);

#endif
