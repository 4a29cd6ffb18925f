/*
 * Filters that others take the place of: counts stay with their names, also where the kernel won't
 * have the others; and what a process has left that died in the middle of it.
 */
#include "filtering.h"
#include "kept_programs.h"
#include "suites.h"

#include "../../bridge/fastpath/fastpath.h"
#include "../../bridge/fastpath/whole.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct filtering f;
static struct built built; /* to port 22 */
static int old[NSIDES];

static void name(unsigned i, const char *to)
{
	snprintf(f.rules->filters[i].name, sizeof(f.rules->filters[i].name), "%s", to);
}

static void forget_filters(void)
{
	for (unsigned i = 0; i < f.rules->nfilters; i++)
		free(f.rules->filters[i].match);
	f.rules->nfilters = 0;
}

static void close_old(void)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (old[side] >= 0)
			close(old[side]);
}

static void use(void)
{
	filters_use(&f.filters, f.rules, f.engine.now, old);
	close_old();
	filters_used(&f.filters);
}

static uint64_t matched(unsigned i)
{
	struct fastpath_filter_counts counts;

	filters_count(&f.filters, i, &counts);
	return counts.matched;
}

static void frame_to_22(void)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 22);

	spec.to = fixture_server(0);
	spec.dst = mac_of(7); /* it crosses */
	frames_tcp(&built, &spec);
}

/* Who asks for filters again that he has not prepared again doesn't lose those that there are. */
static void use_once(void)
{
	struct fastpath fastpath = {.maps = f.maps, .filters = f.filters};

	ck_assert_int_eq(fastpath_prepare_filters(&fastpath, f.rules), 0);
	ck_assert_int_eq(fastpath_use_filters(&fastpath, f.rules, f.engine.now), 0);
	ck_assert_int_lt(fastpath_use_filters(&fastpath, f.rules, f.engine.now), 0);
	ck_assert_int_ge(fastpath.filters.programs[OUTSIDE], 0);
	f.filters = fastpath.filters;
}

START_TEST(counts_follow_names_where_the_kernel_refuses)
{
	struct fastpath_filter_seen seen;

	filtering_begin(&f);
	filtering_add(&f, "udp", ON_MATCH_COUNT);
	filtering_add(&f, "tcp dst port 22", ON_MATCH_COUNT);
	f.rules->filters[1].log = true;
	name(0, "datagrams");
	name(1, "ssh");
	if (!filtering_load(&f))
		return;
	use();
	filtering_activate(&f);
	use_once();
	frame_to_22();
	for (unsigned i = 0; i < 3; i++)
		filtering_receive(&f, &built);
	ck_assert_uint_eq(matched(1), 3);

	forget_filters();
	filtering_add(&f, "ip6 protochain 6", ON_MATCH_COUNT);
	filtering_add(&f, "tcp", ON_MATCH_COUNT);
	filtering_add(&f, "tcp dst port 22", ON_MATCH_COUNT);
	name(0, "chains");
	name(1, "all");
	name(2, "ssh");
	ck_assert_int_lt(filtering_prepare(&f), 0);
	filters_forgo(&f.filters, f.rules);
	ck_assert_uint_eq(matched(0), 0);
	ck_assert_uint_eq(matched(1), 0);
	ck_assert_uint_eq(matched(2), 3);
	ck_assert(!filters_see(&f.filters, 1, &seen));
	ck_assert(filters_see(&f.filters, 2, &seen));

	/* the kernel again, in another order; and a second time, for each part of the maps */
	forget_filters();
	filtering_add(&f, "tcp dst port 22", ON_MATCH_COUNT);
	filtering_add(&f, "tcp", ON_MATCH_COUNT);
	name(0, "ssh");
	name(1, "all");
	for (unsigned i = 0; i < 2 * FILTER_PARTS; i++) {
		ck_assert_int_eq(filtering_prepare(&f), 0);
		use();
		filtering_receive(&f, &built);
		ck_assert_uint_eq(matched(0), 4 + i);
		ck_assert_uint_eq(matched(1), 1 + i);
		ck_assert_uint_eq(matched(2), 0);
	}
	filtering_end(&f);
}
END_TEST

/* A program that is attached goes on by its own filters, whatever the next process prepares. */
static void left_is_as_it_was(int program, int act)
{
	struct __sk_buff ctx = {.gso_size = 0};

	filtering_run(program, &built, &ctx);
	ck_assert_int_eq(
	        (int)filtering_run(f.maps.loaded.programs[LOADED_RECEIVE + OUTSIDE], &built, &ctx),
	        act);
}

static void one_filter(enum rules_filter_action action)
{
	forget_filters();
	filtering_add(&f, "tcp dst port 22", action);
}

START_TEST(a_death_between_both_sides_leaves_both)
{
	int first, second;

	filtering_begin(&f);
	filtering_add(&f, "tcp dst port 22", ON_MATCH_DROP);
	if (!filtering_load(&f))
		return;
	use();
	filtering_activate(&f);
	frame_to_22();
	left_is_as_it_was(f.filters.programs[OUTSIDE], TC_ACT_SHOT);
	ck_assert_uint_eq(matched(0), 1);

	/* its reload exchanges one side's program, and not the other's */
	one_filter(ON_MATCH_PASS);
	ck_assert_int_eq(filtering_prepare(&f), 0);
	filters_use(&f.filters, f.rules, f.engine.now, old);
	first = old[OUTSIDE];
	second = f.filters.programs[OUTSIDE];
	left_is_as_it_was(first, TC_ACT_SHOT);
	left_is_as_it_was(second, TC_ACT_REDIRECT);
	/* what either has counted meanwhile counts, and once */
	ck_assert_uint_eq(matched(0), 3);

	/* the next one, which dies likewise */
	for (unsigned i = 0; i < 2; i++) {
		filters_begin(&f.filters, &f.maps.loaded);
		one_filter(i ? ON_MATCH_PASS : ON_MATCH_DROP);
		filtering_add(&f, "tcp", ON_MATCH_DROP);
		ck_assert_int_eq(filtering_prepare(&f), 0);
		filters_use(&f.filters, f.rules, f.engine.now, old);
		left_is_as_it_was(first, TC_ACT_SHOT);
		left_is_as_it_was(second, TC_ACT_REDIRECT);
		left_is_as_it_was(f.filters.programs[OUTSIDE], i ? TC_ACT_REDIRECT : TC_ACT_SHOT);
	}
	/* and one that lives: from then on there is room again */
	for (unsigned i = 0; i < 2 * FILTER_PARTS; i++) {
		ck_assert_int_eq(filtering_prepare(&f), 0);
		use();
		left_is_as_it_was(f.filters.programs[OUTSIDE], TC_ACT_REDIRECT);
		ck_assert_int_eq(__builtin_popcount(f.maps.conf->filters_parts), 1);
	}
	filtering_end(&f);
}
END_TEST

Suite *filters_exchange_suite(void)
{
	const TTest *const tests[] = {counts_follow_names_where_the_kernel_refuses,
	                              a_death_between_both_sides_leaves_both, NULL};

	return suite_of_programs("filters_exchange", tests, false);
}
