/*
 * What is copied of frames: in which order, what isn't, and what finds no room.
 */
#include "suites.h"

#include "../../bridge/worker/taps.h"
#include "../../lb/rules.h"

static struct tap *tap;

static void begin(const struct tap_wish *wish)
{
	tap = tap_new(wish);
	ck_assert_ptr_nonnull(tap);
}

static void say_by(struct tap *of, uint64_t ns)
{
	static uint8_t bytes[64];
	const struct frame frame = {.data = bytes, .len = sizeof(bytes)};

	tap_sent(of, &frame, INSIDE, "reset", (lb_time){ns});
}

static void say(uint64_t ns)
{
	say_by(tap, ns);
}

static void require_next(bool any, uint64_t ns)
{
	bool is;
	const lb_time next = tap_next(tap, &is);

	ck_assert_int_eq(is, any);
	ck_assert_uint_eq(next.ns, ns);
}

/* Who puts several workers' records in order goes by that. */
START_TEST(says_what_comes_next)
{
	struct tap_record record;

	begin(&(struct tap_wish){.why = -1});
	require_next(false, 0);
	tap_passed(tap, (lb_time){100});
	require_next(false, 100);
	say(150);
	say(160);
	tap_passed(tap, (lb_time){200});
	require_next(true, 150);
	ck_assert(tap_take(tap, &record) && record.time.ns == 150);
	require_next(true, 160);
	ck_assert(tap_take(tap, &record) && record.time.ns == 160);
	require_next(false, 200);
	ck_assert(!tap_take(tap, &record));
	tap_free(tap);
}
END_TEST

/* A frame that has come, of which that has become; says if there is a record of it. */
static bool is_kept(const struct tap_wish *wish, enum lb_why why)
{
	static uint8_t bytes[64];
	const struct frame frame = {.data = bytes, .len = sizeof(bytes), .side = OUTSIDE};
	const struct verdict verdict = {.why = (uint8_t)why, .act = (uint8_t)lb_why_act(why)};
	struct tap_record record;
	bool ret;

	begin(wish);
	tap_before(tap, &frame, 1);
	tap_after(tap, 0, &frame, &verdict, SERVER_NONE, -1, (lb_time){1});
	ret = tap_take(tap, &record);
	ck_assert(!ret || (record.why == why && !record.out && record.side == OUTSIDE));
	tap_free(tap);
	return ret;
}

START_TEST(what_goes_to_another_worker_is_seen_there)
{
	const struct tap_wish all = {.why = -1}, dropped = {.why = -1, .dropped = true};
	const struct tap_wish one = {.why = WHY_HANDED_OVER};

	ck_assert(is_kept(&all, WHY_NO_FLOW) && !is_kept(&all, WHY_HANDED_OVER));
	ck_assert(is_kept(&all, WHY_NOT_HANDED_OVER) && is_kept(&dropped, WHY_NOT_HANDED_OVER));
	ck_assert(!is_kept(&dropped, WHY_HANDED_OVER) && !is_kept(&dropped, WHY_NOT_OURS));
	ck_assert(is_kept(&one, WHY_HANDED_OVER) && !is_kept(&one, WHY_NOT_OURS));
}
END_TEST

/* Whoever looks for what is lost isn't shown what has arrived, unless he asks for that. */
START_TEST(what_is_for_us_or_the_host_is_not_lost)
{
	static const enum lb_why arrived[] = {WHY_PROBE, WHY_TO_HOST, WHY_ARP_LEARNED,
	                                      WHY_STRANGER_ANSWERED, WHY_ND_LEARNED};
	const struct tap_wish dropped = {.why = -1, .dropped = true};
	unsigned lost = 0, drops = 0;

	for (unsigned i = 0; i < sizeof(arrived) / sizeof(arrived[0]); i++) {
		const struct tap_wish one = {.why = (int)arrived[i]};

		ck_assert(!is_kept(&dropped, arrived[i]) && is_kept(&one, arrived[i]));
	}
	for (unsigned why = 0; why < LB_NWHYS; why++) {
		drops += lb_why_act((enum lb_why)why) == LB_DROP;
		lost += is_kept(&dropped, (enum lb_why)why);
	}
	ck_assert_uint_eq(lost, drops - sizeof(arrived) / sizeof(arrived[0]));
}
END_TEST

static uint64_t next_ns(void)
{
	struct tap_record record;

	ck_assert(tap_take(tap, &record));
	return record.time.ns;
}

/* A replay takes those of one time from the outside first. */
START_TEST(frames_from_both_sides_in_one_burst_stay_in_their_order)
{
	static const uint8_t sides[] = {INSIDE, OUTSIDE, OUTSIDE, INSIDE};
	static uint8_t bytes[64];
	const struct verdict verdict = {.why = WHY_NO_FLOW, .act = LB_ANSWER};
	struct frame frames[4];

	begin(&(struct tap_wish){.why = -1});
	for (unsigned i = 0; i < 4; i++)
		frames[i] = (struct frame){.data = bytes, .len = sizeof(bytes), .side = sides[i]};
	tap_before(tap, frames, 4);
	for (unsigned i = 0; i < 4; i++) {
		say(1000);
		tap_after(tap, i, &frames[i], &verdict, SERVER_NONE, -1, (lb_time){1000});
	}
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t said = next_ns(), came = next_ns();

		ck_assert_uint_le(said, came);
		ck_assert_uint_eq(came, 1000u + (i > 0) + (i > 2));
	}
	say(2000);
	ck_assert_uint_eq(next_ns(), 2000);
	tap_free(tap);
}
END_TEST

START_TEST(what_finds_no_room_is_counted)
{
	struct tap_record record;

	begin(&(struct tap_wish){.why = -1});
	for (unsigned i = 0; i <= TAP_RECORDS; i++)
		say(i);
	ck_assert_uint_eq(tap_lost(tap), 1);
	for (unsigned i = 0; i < TAP_RECORDS; i++)
		ck_assert(tap_take(tap, &record) && record.time.ns == i);
	ck_assert(!tap_take(tap, &record));
	tap_free(tap);
}
END_TEST

/* ---- Of several workers ---- */

enum { WORKERS = 3 };

static struct tap *taps[WORKERS];

static void begin_all(void)
{
	for (unsigned k = 0; k < WORKERS; k++) {
		taps[k] = tap_new(&(struct tap_wish){.why = -1});
		ck_assert_ptr_nonnull(taps[k]);
	}
}

static void end_all(void)
{
	for (unsigned k = 0; k < WORKERS; k++)
		tap_free(taps[k]);
}

static void require_wait_for(int behind, bool soon, uint64_t now)
{
	const struct taps_next next = taps_next(taps, WORKERS, (lb_time){now});

	ck_assert(!next.tap && next.behind == behind && next.soon == soon);
}

static void require_take(unsigned worker, uint64_t ns, uint64_t now)
{
	const struct taps_next next = taps_next(taps, WORKERS, (lb_time){now});
	struct tap_record record;

	ck_assert(next.tap == taps[worker] && next.behind < 0 && !next.soon);
	ck_assert(tap_take(next.tap, &record) && record.time.ns == ns);
}

START_TEST(a_record_waits_for_who_may_have_an_earlier_one)
{
	begin_all();
	require_wait_for(-1, false, 100);
	say_by(taps[1], 200);
	tap_passed(taps[2], (lb_time){150});
	require_wait_for(0, true, 300);
	tap_passed(taps[0], (lb_time){180});
	require_wait_for(2, true, 300);
	say_by(taps[2], 190); /* so it was right to wait */
	require_wait_for(0, true, 300);
	tap_passed(taps[0], (lb_time){200});
	require_take(2, 190, 300);
	require_wait_for(2, true, 300);
	tap_passed(taps[2], (lb_time){200}); /* from now on: none that is earlier */
	require_take(1, 200, 300);
	require_wait_for(-1, false, 300);
	end_all();
}
END_TEST

START_TEST(who_is_behind_for_long_is_waited_for_less_often_and_then_no_more)
{
	begin_all();
	say_by(taps[0], 200);
	tap_passed(taps[1], (lb_time){500});
	require_wait_for(2, true, 200 + TAPS_SOON_NS - 1);
	require_wait_for(2, false, 200 + TAPS_SOON_NS);
	require_wait_for(2, false, 200 + TAPS_LATE_NS - 1);
	require_take(0, 200, 200 + TAPS_LATE_NS);
	end_all();
}
END_TEST

Suite *tap_suite(void)
{
	const TTest *const tests[] = {
	        says_what_comes_next,
	        a_record_waits_for_who_may_have_an_earlier_one,
	        who_is_behind_for_long_is_waited_for_less_often_and_then_no_more,
	        what_goes_to_another_worker_is_seen_there,
	        what_is_for_us_or_the_host_is_not_lost,
	        frames_from_both_sides_in_one_burst_stay_in_their_order,
	        what_finds_no_room_is_counted,
	        NULL};

	return suite_of("tap", tests);
}
