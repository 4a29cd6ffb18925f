/*
 * The filters' programs in the kernel, for tests of what they say of a frame.
 */
#ifndef UNIT_FILTERING_H
#define UNIT_FILTERING_H

#include "fixture.h"

#include "../../bridge/fastpath/filters.h"
#include "../../bridge/fastpath/maps.h"

struct __sk_buff; /* the kernel's */

struct filtering {
	struct rules *rules;
	struct engine engine;
	struct maps maps;
	struct filters filters;
};

/* Rules without filters; and one more of them, of both sides. */
void filtering_begin(struct filtering *f);
void filtering_add(struct filtering *f, const char *match, enum rules_filter_action action);

/* Loads all, with the filters' program as next. Returns false if this process can't load programs,
 * and then filtering_end() isn't due. */
bool filtering_load(struct filtering *f);
void filtering_end(struct filtering *f);

/* filters_prepare() as a running process has it: without CAP_PERFMON, for which the verifier lets
 * more pass. */
int filtering_prepare(struct filtering *f);

/* Has the first program look at the filters, as if it were attached. */
void filtering_activate(struct filtering *f);

/* Runs a program on a frame. */
uint32_t filtering_run(int program, const struct built *built, struct __sk_buff *ctx);

/* Which filters match, by the outside's program that is next; and of those in use, what is done by
 * the first program. */
uint64_t filtering_says(const struct filtering *f, const struct built *built);
int filtering_receive(const struct filtering *f, const struct built *built);

#endif
