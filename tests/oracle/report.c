/*
 * The last events, kept in a ring, of which a mismatch prints those that have to do with it.
 */
#include "report.h"

#include "../unit/suites.h"

#include "../../lb/flows.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { REMEMBERED = 4096, SHOWN = 300, ANYWAY = 4, TEXT_BYTES = 512 };

struct memory {
	uint64_t event;
	lb_time at;
	struct seen seen;
	struct verdict verdict;
	const char *note; /* or NULL: a frame */
	uint64_t value;
};

static struct memory ring[REMEMBERED];
static uint64_t nremembered, event, seed, events;
static uint32_t subject;

void report_begin(uint64_t run_seed, uint64_t run_events, bool aloud)
{
	seed = run_seed;
	events = run_events;
	event = nremembered = 0;
	subject = FLOW_NONE;
	if (!aloud)
		return;
	printf("ORACLE_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
}

uint64_t report_event(void)
{
	return event++;
}

void report_frame(const struct seen *seen, const struct verdict *verdict, lb_time now)
{
	ring[nremembered++ % REMEMBERED] =
	        (struct memory){.event = event, .at = now, .seen = *seen, .verdict = *verdict};
}

void report_note(const char *text, uint64_t value, lb_time now)
{
	ring[nremembered++ % REMEMBERED] =
	        (struct memory){.event = event, .at = now, .note = text, .value = value};
}

static void print_addr(const struct addr *a)
{
	if (a->v6)
		printf("[..%02x%02x:%02x%02x]", a->b[12], a->b[13], a->b[14], a->b[15]);
	else
		printf("%u.%u.%u.%u", a->b[0], a->b[1], a->b[2], a->b[3]);
}

static void print_memory(const struct memory *m)
{
	const struct seen *s = &m->seen;

	printf("%8" PRIu64 " %.3f ", m->event, (double)m->at.ns / (double)LB_NS_PER_S);
	if (m->note) {
		printf("%s %" PRIu64 "\n", m->note, m->value);
		return;
	}
	print_addr(&s->src);
	printf(":%u > ", s->sport);
	print_addr(&s->dst);
	printf(":%u flags %02x seq %" PRIu32 " ack %" PRIu32 " len %" PRIu32
	       " win %u kind %d side %u damage %x,%x: %s flow %" PRIu32 " server %u\n",
	       s->dport, s->flags, s->seq, s->ack, s->len, s->window, (int)s->kind, s->from.side,
	       s->ip_damage, s->l4_damage, lb_why_name((enum lb_why)m->verdict.why),
	       m->verdict.flow, m->verdict.way.server);
}

void report_about(uint32_t flow)
{
	subject = flow;
}

/* If two frames may be of the same connection: a port of one is a port of the other. */
static bool related(const struct memory *a, const struct memory *b)
{
	if (a->note)
		return a->note[0] == 'p' || a->value > 1000;
	if (subject != FLOW_NONE)
		return a->verdict.flow == subject;
	if (b->note || !b->seen.sport)
		return false;
	return (a->verdict.flow != FLOW_NONE && a->verdict.flow == b->verdict.flow) ||
	       (a->seen.sport == b->seen.sport && a->seen.dport == b->seen.dport);
}

static void print_context(void)
{
	uint64_t n = nremembered < REMEMBERED ? nremembered : REMEMBERED;
	const struct memory *last = &ring[(nremembered - 1) % REMEMBERED];
	unsigned shown = 0;

	for (uint64_t i = 0; i < n && shown < SHOWN; i++) {
		const struct memory *m = &ring[(nremembered - 1 - i) % REMEMBERED];

		if (!related(m, last) && i >= ANYWAY)
			continue;
		print_memory(m);
		shown++;
	}
}

void report_mismatch(const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("mismatch at event %" PRIu64 ", latest first:\n", event);
	if (nremembered)
		print_context();
	fflush(stdout);
	ck_abort_msg("ORACLE_SEED=%" PRIu64 " ORACLE_EVENTS=%" PRIu64 ", event %" PRIu64 ": %s",
	             seed, events, event, text);
}
