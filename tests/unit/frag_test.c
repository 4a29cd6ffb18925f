/*
 * Fragments, through lb_input(): those of a flow's packet go where the first one goes, whichever
 * comes first, and nothing goes half-translated.
 */
#include "frag_fixture.h"
#include "random.h"

START_TEST(in_order)
{
	static struct built pieces[PIECES_MAX], whole;

	begin();
	for (unsigned i = 0; i < FRAG_DATAGRAMS + 12; i++) {
		enum end end = i % 2 ? CLIENT : SERVER;

		build_whole(&whole, end, (uint16_t)(i + 1));
		send_pieces(pieces, cut(pieces, &whole, 2 + i % 6), &whole, end);
	}
	ck_assert_uint_eq(lb_whys(engine.lb)[WHY_FRAGMENT_HELD], 0);
	ck_assert_uint_eq(lb_frags(engine.lb)->evicted, 0); /* who is complete needs no place */
	engine_stop(&engine);
}
END_TEST

START_TEST(first_one_last)
{
	static struct built pieces[PIECES_MAX], whole;

	begin();
	for (unsigned i = 0; i < 12; i++) {
		enum end end = i % 2 ? CLIENT : SERVER;
		unsigned n;

		build_whole(&whole, end, (uint16_t)(i + 1));
		n = cut(pieces, &whole, 2 + i / 2);
		for (unsigned a = 0, b = n - 1; a < b; a++, b--)
			swap(&pieces[a], &pieces[b]);
		send_pieces(pieces, n, &whole, end);
	}
	ck_assert_uint_gt(lb_whys(engine.lb)[WHY_FRAGMENT_HELD], 12);
	ck_assert_uint_eq(lb_frags(engine.lb)->nheld, 0);
	engine_stop(&engine);
}
END_TEST

/* The same number comes again and again, and each time the rest has waited for the first one. */
START_TEST(first_one_last_of_the_same_id)
{
	static struct built pieces[PIECES_MAX], whole;

	begin();
	for (unsigned i = 0; i < 5; i++) {
		build_whole(&whole, CLIENT, 777);
		cut(pieces, &whole, 2);
		swap(&pieces[0], &pieces[1]);
		send_pieces(pieces, 2, &whole, CLIENT);
	}
	ck_assert_uint_eq(lb_whys(engine.lb)[WHY_FRAGMENT_OVERLAP], 0);
	engine_stop(&engine);
}
END_TEST

/* What has waited goes its way though another datagram comes before it is taken. */
START_TEST(what_has_waited_keeps_its_way)
{
	static struct built pieces[PIECES_MAX], whole, other;
	struct verdict v;
	struct frame frame;
	uint32_t id;

	begin();
	build_whole(&whole, CLIENT, 5);
	cut(pieces, &whole, 2);
	ck_assert_uint_eq(engine_input(&engine, &pieces[1]).why, WHY_FRAGMENT_HELD);
	ck_assert_uint_eq(engine_input(&engine, &pieces[0]).why, WHY_FLOW_HIT);
	id = frames_get16(pieces[0].frame.data + pieces[0].l3 + 4);
	build_whole(&whole, CLIENT, 6);
	frames_fragment(&other, &whole, 104, 104);
	ck_assert_uint_eq(engine_input(&engine, &other).why, WHY_FRAGMENT_HELD);
	ck_assert(lb_take_fragment(engine.lb, &frame, &v));
	check_way(&v, CLIENT);
	ck_assert_uint_eq(frames_get16(frame.data + 14 + 4), id);
	ck_assert(!lb_take_fragment(engine.lb, &frame, &v));
	engine_stop(&engine);
}
END_TEST

START_TEST(any_order)
{
	static struct built pieces[PIECES_MAX], whole;

	begin();
	for (unsigned i = 0; i < 400; i++) {
		enum end end = random_below(2) ? CLIENT : SERVER;
		unsigned n;

		build_whole(&whole, end, (uint16_t)(i + 1));
		n = cut(pieces, &whole, 2 + random_below(PIECES_MAX - 2));
		for (unsigned k = n; k > 1; k--)
			swap(&pieces[k - 1], &pieces[random_below(k)]);
		send_pieces(pieces, n, &whole, end);
		engine_wait_ms(&engine, 20);
	}
	engine_stop(&engine);
}
END_TEST

static enum lb_why send_piece(const struct built *whole, uint32_t offset, uint32_t len)
{
	static struct built piece, before;
	struct verdict v;

	frames_fragment(&piece, whole, offset, len);
	frames_copy(&before, &piece);
	v = engine_input(&engine, &piece);
	if (v.act == LB_DROP)
		ck_assert_mem_eq(piece.bytes, before.bytes, sizeof(before.bytes));
	return (enum lb_why)v.why;
}

START_TEST(overlaps_are_dropped)
{
	static struct built whole;

	begin();
	build_whole(&whole, CLIENT, 7);
	ck_assert_uint_eq(send_piece(&whole, 0, 104), WHY_FLOW_HIT);
	ck_assert_uint_eq(send_piece(&whole, 0, 104), WHY_FRAGMENT_OVERLAP);
	ck_assert_uint_eq(send_piece(&whole, 96, 16), WHY_FRAGMENT_OVERLAP);
	ck_assert_uint_eq(send_piece(&whole, 200, 96), WHY_FRAGMENT);
	ck_assert_uint_eq(send_piece(&whole, 288, 96), WHY_FRAGMENT_OVERLAP);
	ck_assert_uint_eq(send_piece(&whole, 104, 104), WHY_FRAGMENT_OVERLAP);
	ck_assert_uint_eq(send_piece(&whole, 104, 96), WHY_FRAGMENT);
	/* also while they wait */
	build_whole(&whole, CLIENT, 8);
	ck_assert_uint_eq(send_piece(&whole, 104, 104), WHY_FRAGMENT_HELD);
	ck_assert_uint_eq(send_piece(&whole, 104, 104), WHY_FRAGMENT_OVERLAP);
	ck_assert_uint_eq(send_piece(&whole, 0, 112), WHY_FRAGMENT_OVERLAP);
	engine_stop(&engine);
}
END_TEST

/* RFC 1858: the ports must not come in, or be changed by, a second fragment. */
START_TEST(tiny_ones_are_dropped)
{
	static struct built whole;

	begin();
	build_whole(&whole, CLIENT, 7);
	ck_assert_uint_eq(send_piece(&whole, 0, 8), WHY_FRAGMENT_TINY);
	ck_assert_uint_eq(send_piece(&whole, 0, 16), WHY_FRAGMENT_TINY);
	ck_assert_uint_eq(send_piece(&whole, 8, 64), WHY_FRAGMENT_TINY);
	ck_assert_uint_eq(send_piece(&whole, 16, 64), WHY_FRAGMENT_TINY);
	ck_assert_uint_eq(send_piece(&whole, 80, 0), WHY_FRAGMENT_TINY);
	/* 12 bytes of options, of which 4 are there */
	ck_assert_uint_eq(send_piece(&whole, 0, 24), WHY_FRAGMENT_TINY);
	engine_stop(&engine);
}
END_TEST

/* Past 65535 bytes of IPv4. */
START_TEST(end_of_the_longest_datagram)
{
	static struct built whole, piece;

	begin();
	build_whole(&whole, CLIENT, 7);
	for (uint16_t offset = 0x1fff; offset >= 0x1ff0; offset--) {
		frames_fragment(&piece, &whole, 104, 104);
		frames_put16(piece.frame.data + piece.l3 + 6, offset);
		frames_put16(piece.frame.data + piece.l3 + 4, offset);
		ck_assert_uint_eq(engine_input(&engine, &piece).why,
		                  0x2000 - offset < 13 ? WHY_FRAGMENT_TINY : WHY_FRAGMENT_HELD);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(others_of_a_refused_one_go_nowhere)
{
	static struct built whole;
	struct verdict v;
	struct frame frame;

	begin();
	talk.sport++; /* no flow */
	build_whole(&whole, CLIENT, 7);
	ck_assert_uint_eq(send_piece(&whole, 208, 104), WHY_FRAGMENT_HELD);
	ck_assert_uint_eq(send_piece(&whole, 0, 104), WHY_NO_FLOW);
	ck_assert_uint_eq(send_piece(&whole, 104, 104), WHY_FRAGMENT_HELD);
	ck_assert(!lb_take_fragment(engine.lb, &frame, &v));
	ck_assert_uint_eq(lb_frags(engine.lb)->nheld, 2);
	engine_wait_ms(&engine, (FRAG_TIMEOUT_S + 3) * S);
	ck_assert_uint_eq(lb_frags(engine.lb)->nheld, 0);
	ck_assert_uint_eq(lb_frags(engine.lb)->expired, 2);
	engine_stop(&engine);
}
END_TEST

/* An identification that comes again later is another datagram's. */
START_TEST(forgotten_after_a_while)
{
	static struct built whole;

	begin();
	build_whole(&whole, CLIENT, 7);
	ck_assert_uint_eq(send_piece(&whole, 0, 104), WHY_FLOW_HIT);
	engine_wait_ms(&engine, (FRAG_TIMEOUT_S - 2) * S);
	ck_assert_uint_eq(send_piece(&whole, 104, 104), WHY_FRAGMENT);
	engine_wait_ms(&engine, 5 * S);
	ck_assert_uint_eq(send_piece(&whole, 208, 104), WHY_FRAGMENT_HELD);
	ck_assert_uint_eq(send_piece(&whole, 0, 104), WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

/* Source, destination and identification tell datagrams apart. */
START_TEST(datagrams_do_not_mix)
{
	static struct built mine, other;
	const be32 other_vip = ip4(10, 0, 1, 40);
	struct talk first, second;

	engine_start(&engine, fixture_two_farms());
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	first = talk;
	talk_open(&talk, &engine, fixture_client(2), 40000, 5061);
	second = talk;
	build_whole(&other, CLIENT, 7);
	talk = first;
	build_whole(&mine, CLIENT, 7);
	ck_assert_uint_eq(send_piece(&mine, 0, 104), WHY_FLOW_HIT);
	ck_assert_uint_eq(send_piece(&other, 104, 104), WHY_FRAGMENT_HELD);
	build_whole(&mine, CLIENT, 8);
	ck_assert_uint_eq(send_piece(&mine, 104, 104), WHY_FRAGMENT_HELD);
	/* what goes to another VIP under the same number */
	build_whole(&mine, CLIENT, 7);
	memcpy(mine.frame.data + mine.l3 + 16, &other_vip, sizeof(other_vip));
	frames_fix(&mine);
	ck_assert_uint_eq(send_piece(&mine, 104, 104), WHY_FRAGMENT_HELD);
	/* what the other server says under the same number */
	talk = second;
	build_whole(&other, SERVER, 7);
	ck_assert_uint_eq(send_piece(&other, 104, 104), WHY_FRAGMENT_HELD);
	engine_stop(&engine);
}
END_TEST

/*
 * A flood of fragments finds bounds, and what follows its first fragment gets through all the same.
 */
START_TEST(flood_is_bounded)
{
	static struct built whole, flood, pieces[PIECES_MAX];
	enum lb_why why;

	begin();
	for (unsigned i = 0; i < 1000; i++) {
		talk.client = fixture_client(100 + i);
		build_whole(&flood, CLIENT, 9);
		why = send_piece(&flood, 104, 104);
		ck_assert(why == WHY_FRAGMENT_HELD ||
		          (i >= FRAG_HELD && why == WHY_FRAGMENT_NO_ROOM));
		ck_assert_uint_le(lb_frags(engine.lb)->nheld, FRAG_HELD);
	}
	talk.client = fixture_client(1);
	build_whole(&whole, CLIENT, 10);
	send_pieces(pieces, cut(pieces, &whole, 5), &whole, CLIENT);
	engine_stop(&engine);
}
END_TEST

/* Nor are those denied what comes in disorder by a few that wait in vain. */
START_TEST(who_waits_in_vain_makes_way)
{
	static struct built whole, flood, pieces[PIECES_MAX];
	unsigned n;

	begin();
	for (unsigned i = 0; i < FRAG_HELD; i++) {
		talk.client = fixture_client(100 + i);
		build_whole(&flood, CLIENT, 9);
		ck_assert_uint_eq(send_piece(&flood, 104, 104), WHY_FRAGMENT_HELD);
	}
	talk.client = fixture_client(1);
	for (uint16_t id = 10; id < 13; id++) {
		build_whole(&whole, CLIENT, id);
		n = cut(pieces, &whole, 5);
		swap(&pieces[0], &pieces[n - 1]);
		send_pieces(pieces, n, &whole, CLIENT);
	}
	ck_assert_uint_eq(lb_frags(engine.lb)->evicted, n - 1);
	ck_assert_uint_eq(lb_frags(engine.lb)->expired, n - 1);
	ck_assert_uint_eq(lb_frags(engine.lb)->nheld, FRAG_HELD - (n - 1));
	engine_stop(&engine);
}
END_TEST

/* One that takes all places alone finds no more. */
START_TEST(one_datagram_has_all_places_at_most)
{
	static struct built whole;

	begin();
	build_whole(&whole, CLIENT, 9);
	for (unsigned i = 0; i < FRAG_HELD + 3; i++)
		ck_assert_uint_eq(send_piece(&whole, 24 + 8 * i, 8),
		                  i < FRAG_HELD ? WHY_FRAGMENT_HELD : WHY_FRAGMENT_NO_ROOM);
	ck_assert_uint_eq(lb_frags(engine.lb)->nheld, FRAG_HELD);
	ck_assert_uint_eq(lb_frags(engine.lb)->evicted, 0);
	engine_stop(&engine);
}
END_TEST

Suite *frag_suite(void)
{
	const TTest *const tests[] = {
	        in_order,
	        first_one_last,
	        first_one_last_of_the_same_id,
	        what_has_waited_keeps_its_way,
	        any_order,
	        overlaps_are_dropped,
	        tiny_ones_are_dropped,
	        end_of_the_longest_datagram,
	        others_of_a_refused_one_go_nowhere,
	        forgotten_after_a_while,
	        datagrams_do_not_mix,
	        flood_is_bounded,
	        who_waits_in_vain_makes_way,
	        one_datagram_has_all_places_at_most,
	        NULL,
	};

	return suite_of("frag", tests);
}
