/*
 * What the oracle has to say when model and engine differ.
 */
#ifndef ORACLE_REPORT_H
#define ORACLE_REPORT_H

#include "seen.h"

#include "../../lb/verdict.h"

/* Begins a run: what is needed to repeat it, said aloud or kept. */
void report_begin(uint64_t seed, uint64_t events, bool aloud);

/* Counts an event; returns its number. */
uint64_t report_event(void);

/* Remembers a frame, for the context of a mismatch with it or its flow. */
void report_frame(const struct seen *seen, const struct verdict *verdict, lb_time now);

/* The same of what else happened: of a time step, a probe. Not a copy: text must stay. */
void report_note(const char *text, uint64_t value, lb_time now);

/* The flow that a mismatch is about, if not that of the last frame. */
void report_about(uint32_t flow);

/* Says what was expected, and seed, event and the last that happened to the same flow; ends the
 * test. */
_Noreturn void report_mismatch(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
