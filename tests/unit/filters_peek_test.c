/*
 * What the filters' program looks at before it makes an image of a frame lets none go that a filter
 * matches: where a frame isn't as the image of it would be, or its fields aren't where they are in
 * nearly all frames.
 */
#include "filtering.h"
#include "kept_programs.h"
#include "suites.h"

static struct filtering f;

static uint64_t says(const struct spec *spec, uint16_t merged)
{
	struct built built;

	frames_tcp(&built, spec);
	built.frame.merged = merged;
	return filtering_says(&f, &built);
}

START_TEST(what_matches_is_never_let_go)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 80);

	/* for the frames of one of them the sieve leaves none of the others */
	filtering_begin(&f);
	filtering_add(&f, "ip and tcp dst port 443", ON_MATCH_COUNT);
	filtering_add(&f, "ether[16:4] = 0x008c1234", ON_MATCH_COUNT); /* 140 bytes, and an ID */
	filtering_add(&f, "tcp[4:4] = 0x01020304", ON_MATCH_COUNT);
	if (!filtering_load(&f))
		return;
	ck_assert_uint_eq(says(&spec, 0), 0);
	spec.dport = 443;
	ck_assert_uint_eq(says(&spec, 0), 1);
	for (spec.ip_options = 4; spec.ip_options <= 40; spec.ip_options += 4)
		ck_assert_uint_eq(says(&spec, 0), 1);
	spec.dport = 80;
	spec.seq = 0x01020304;
	spec.ip_options = 8;
	ck_assert_uint_eq(says(&spec, 0), 1 << 2);
	spec.seq = 1;
	spec.ip_options = spec.tcp_options = 0;
	spec.flags = TCP_ACK;
	spec.payload = 100;
	ck_assert_uint_eq(says(&spec, 0), 1 << 1);
	spec.payload = 300;
	ck_assert_uint_eq(says(&spec, 0), 0);
	ck_assert_uint_eq(says(&spec, 100), 1 << 1); /* the first of three */
	filtering_end(&f);
}
END_TEST

Suite *filters_peek_suite(void)
{
	const TTest *const tests[] = {what_matches_is_never_let_go, NULL};

	return suite_of_programs("filters_peek", tests, false);
}
