/*
 * Fragments, through lb_input(): those of a flow's packet go where the first one goes, whichever
 * comes first, and nothing goes half-translated.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include <stdlib.h>

enum { ACK = 0x10, SYN = 0x02, S = 1000, PIECES_MAX = 16, PAYLOAD = 1200 };

static struct engine engine;
static struct talk talk;

static void begin(void)
{
	engine_start(&engine, fixture_rules(2));
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
}

static void build_whole(struct built *ret, enum end end, uint16_t id)
{
	struct spec spec = talk_spec(&talk, end, ACK, PAYLOAD);

	spec.id = id;
	frames_tcp(ret, &spec);
}

/* Puts what a fragment holds into its place in whole, and notes how much there is. */
static void put_together(struct built *whole, const struct frame *piece, uint32_t *len)
{
	const uint8_t *ip = piece->data + whole->l3;
	uint32_t offset = (frames_get16(ip + 6) & 0x1fffu) * 8, n = frames_get16(ip + 2) - 20u;

	ck_assert_uint_eq(frames_sum(ip, 20, 0), 0xffff);
	memcpy(whole->frame.data + whole->l4 + offset, ip + 20, n);
	memcpy(whole->frame.data + whole->l3 + 12, ip + 12, 8);
	*len += n;
}

/* That got is what rewriting the unfragmented packet gives. */
static void check_whole(struct built *got, enum end end)
{
	const be32 src = end == CLIENT ? talk.snat : fixture_vip();
	const be32 dst = end == CLIENT ? fixture_server(talk.server) : talk.client;
	const uint16_t sport = end == CLIENT ? talk.snat_port : talk.dport;
	const uint16_t dport = end == CLIENT ? talk.dport : talk.sport;
	const uint8_t *ip = got->frame.data + got->l3, *tcp = got->frame.data + got->l4;

	ck_assert_mem_eq(ip + 12, &src, 4);
	ck_assert_mem_eq(ip + 16, &dst, 4);
	ck_assert_uint_eq(frames_get16(tcp), sport);
	ck_assert_uint_eq(frames_get16(tcp + 2), dport);
	ck_assert_uint_eq(frames_tcp_error(got), 0);
}

static void check_way(const struct verdict *v, enum end end)
{
	ck_assert_uint_eq(v->act, LB_FORWARD);
	if (end == CLIENT) {
		ck_assert_uint_eq(v->way.server, talk.server);
		return;
	}
	const struct mac client = FIXTURE_CLIENT_MAC;
	ck_assert_uint_eq(v->way.server, SERVER_NONE);
	ck_assert_uint_eq(v->way.side, OUTSIDE);
	ck_assert(mac_eq(&v->way.hop.mac, &client));
}

/* Cuts whole into n pieces at multiples of 8. */
static unsigned cut(struct built pieces[PIECES_MAX], const struct built *whole, unsigned n)
{
	const uint32_t total = whole->frame.len - whole->l4, step = (total / n + 7) / 8 * 8;
	unsigned made = 0;

	for (uint32_t at = 0; at < total; at += step)
		frames_fragment(&pieces[made++], whole, at, total - at < step ? total - at : step);
	return made;
}

static void swap(struct built *a, struct built *b)
{
	static struct built between;

	frames_copy(&between, a);
	frames_copy(a, b);
	frames_copy(b, &between);
}

/* Takes what has been released into whole. */
static void take_released(struct built *whole, uint32_t *len, enum end end)
{
	struct verdict v;
	struct frame frame;

	while (lb_take_fragment(engine.lb, &frame, &v)) {
		ck_assert_uint_eq(v.why, WHY_FRAGMENT);
		check_way(&v, end);
		put_together(whole, &frame, len);
	}
}

/* Sends the pieces in the order given; all must come out, as one would have. */
static void send_pieces(struct built *pieces, unsigned n, const struct built *whole, enum end end)
{
	static struct built got, before;
	uint32_t len = 0;

	frames_copy(&got, whole);
	memset(got.frame.data + got.l4, 0, got.frame.len - got.l4);
	for (unsigned i = 0; i < n; i++) {
		struct verdict v;

		frames_copy(&before, &pieces[i]);
		v = engine_input(&engine, &pieces[i]);
		if (v.why == WHY_FRAGMENT_HELD) {
			ck_assert_mem_eq(pieces[i].bytes, before.bytes, sizeof(before.bytes));
			continue;
		}
		ck_assert(v.why == WHY_FRAGMENT || v.why == WHY_FLOW_HIT);
		check_way(&v, end);
		put_together(&got, &pieces[i].frame, &len);
		take_released(&got, &len, end);
	}
	ck_assert_uint_eq(len, whole->frame.len - whole->l4);
	check_whole(&got, end);
}

START_TEST(in_order)
{
	static struct built pieces[PIECES_MAX], whole;

	begin();
	for (unsigned i = 0; i < 12; i++) {
		enum end end = i % 2 ? CLIENT : SERVER;

		build_whole(&whole, end, (uint16_t)(i + 1));
		send_pieces(pieces, cut(pieces, &whole, 2 + i / 2), &whole, end);
	}
	ck_assert_uint_eq(lb_whys(engine.lb)[WHY_FRAGMENT_HELD], 0);
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
	struct talk first, second;

	begin();
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
	/* what the other server says under the same number */
	talk = second;
	build_whole(&other, SERVER, 7);
	ck_assert_uint_eq(send_piece(&other, 104, 104), WHY_FRAGMENT_HELD);
	engine_stop(&engine);
}
END_TEST

/* A flood of fragments finds bounds, and what follows its first fragment gets through all the same.
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

/* ---- without an engine ---- */

static struct frags frags;
static void *mem;

static void begin_frags(void)
{
	struct arena measure = {0}, arena = {0};

	frags_lay_out(&frags, &measure);
	mem = arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(mem, 0xa5, measure.used);
	frags_lay_out(&frags, &arena);
}

static enum frag_result take(uint8_t id, uint16_t offset, uint32_t frame_len,
                             const struct frag_route **ret_route, uint32_t *ret_datagram)
{
	static uint8_t bytes[FRAG_HELD_BYTES + 1];
	const struct frame frame = {.data = bytes, .len = frame_len, .wire_len = frame_len};
	const struct packet packet = {.is_fragment = true,
	                              .frag_more = true,
	                              .frag_offset = offset,
	                              .frag_id = be32_from(id),
	                              .l4_len = 104};

	return frags_take(&frags, &frame, &packet, engine.now, ret_route, ret_datagram);
}

START_TEST(as_long_as_a_jumbo_frame_waits)
{
	const struct frag_route *route;
	struct frame frame;
	uint32_t d;

	begin_frags();
	ck_assert_uint_eq(take(1, 104, FRAG_HELD_BYTES + 1, &route, &d), FRAG_NO_ROOM);
	ck_assert_uint_eq(take(2, 104, FRAG_HELD_BYTES, &route, &d), FRAG_WAITS);
	ck_assert_uint_eq(take(2, 0, 200, &route, &d), FRAG_FIRST);
	ck_assert(!frags_release(&frags, &frame, &route));
	frags_decide(&frags, d, &(struct frag_route){.way.server = 1});
	ck_assert(frags_release(&frags, &frame, &route));
	ck_assert(frame.len == FRAG_HELD_BYTES && route->way.server == 1);
	free(mem);
}
END_TEST

/* Servers get other numbers: datagrams to them go along, those to one that is gone are forgotten.
 */
START_TEST(routes_are_renumbered)
{
	const uint16_t to[] = {0, 1, SERVER_NONE}, map[] = {5, SERVER_NONE};
	const struct frag_route *route;
	uint32_t d;

	begin_frags();
	for (uint8_t id = 0; id < 3; id++) {
		ck_assert_uint_eq(take(id, 0, 200, &route, &d), FRAG_FIRST);
		frags_decide(&frags, d, &(struct frag_route){.way.server = to[id]});
	}
	ck_assert_uint_eq(take(3, 0, 200, &route, &d), FRAG_FIRST); /* not decided upon */
	frags_renumber(&frags, map);
	ck_assert_uint_eq(take(0, 104, 200, &route, &d), FRAG_ROUTED);
	ck_assert_uint_eq(route->way.server, 5);
	ck_assert_uint_eq(take(1, 104, 200, &route, &d), FRAG_WAITS);
	ck_assert_uint_eq(take(2, 104, 200, &route, &d), FRAG_ROUTED);
	ck_assert_uint_eq(route->way.server, SERVER_NONE);
	ck_assert_uint_eq(take(3, 104, 200, &route, &d), FRAG_WAITS);
	free(mem);
}
END_TEST

/* The identification of a fragment as it leaves, 0 if it doesn't. */
static uint32_t id_of(struct built *piece)
{
	const struct verdict v = engine_input(&engine, piece);

	ck_assert_uint_eq(v.act, LB_FORWARD);
	ck_assert_uint_eq(frames_ip_error(piece), 0);
	return frames_get16(piece->frame.data + piece->l3 + 4);
}

/* Two clients, or the client's two servers, number their datagrams alike: the receiver, which sees
 * one address, can tell them apart. */
START_TEST(same_id_from_two_senders)
{
	static struct built pieces[2][PIECES_MAX], whole;
	struct talk talks[2];

	for (enum end end = CLIENT; end <= SERVER; end++) {
		uint32_t ids[2];

		begin();
		talks[0] = talk;
		for (unsigned i = 0;
		     end == CLIENT ? i == 0 || talks[1].server != talk.server : i < 1; i++)
			talk_open(&talks[1], &engine, fixture_client(end == CLIENT ? 2 : 1),
			          (uint16_t)(41000 + i), 5061);
		ck_assert((talks[0].server == talks[1].server) == (end == CLIENT));
		for (unsigned i = 0; i < 2; i++) {
			talk = talks[i];
			build_whole(&whole, end, 777);
			cut(pieces[i], &whole, 2);
		}
		for (unsigned i = 0; i < 2; i++)
			ids[i] = id_of(&pieces[i][0]);
		ck_assert_uint_ne(ids[0], ids[1]);
		for (unsigned i = 2; i-- > 0;)
			ck_assert_uint_eq(id_of(&pieces[i][1]), ids[i]);
		engine_stop(&engine);
	}
}
END_TEST

/* A datagram that has come whole makes way for another of the same identification. */
START_TEST(id_used_again)
{
	static struct built pieces[PIECES_MAX], whole;
	uint32_t last = UINT32_MAX;

	begin();
	for (unsigned i = 0; i < 3; i++) {
		uint32_t id;

		build_whole(&whole, CLIENT, 777);
		cut(pieces, &whole, 3);
		id = id_of(&pieces[i % 2]);
		if (i % 2 == 0) {
			ck_assert_uint_ne(id, last);
			ck_assert_uint_eq(id_of(&pieces[1]), id);
			ck_assert_uint_eq(id_of(&pieces[2]), id);
			last = id;
		} else {
			struct frame frame;
			struct verdict v;

			id = id_of(&pieces[0]);
			ck_assert(lb_take_fragment(engine.lb, &frame, &v));
			ck_assert_uint_eq(frames_get16(frame.data + 14 + 4), id);
			ck_assert_uint_eq(id_of(&pieces[2]), id);
			ck_assert_uint_ne(id, last);
			last = id;
		}
	}
	ck_assert_uint_eq(lb_whys(engine.lb)[WHY_FRAGMENT_OVERLAP], 0);
	ck_assert_uint_eq(lb_frags(engine.lb)->evicted, 0);
	engine_stop(&engine);
}
END_TEST

/* Several workers may have the same two addresses: no two give the same identification. */
START_TEST(workers_ids_differ)
{
	const struct frag_route route = {.src = fixture_vip(), .dst = fixture_server(0)};
	bool given[64] = {false};

	begin_frags();
	for (uint16_t worker = 0; worker < 4; worker++) {
		const struct share share = {.worker = worker, .n = 4};

		memset(frags.ids, 0, sizeof(frags.ids));
		for (unsigned i = 0; i < 16; i++) {
			uint32_t id = be32_get(frags_new_id(&frags, &route, &share, false));

			ck_assert(id < 64 && !given[id]);
			given[id] = true;
		}
	}
	free(mem);
}
END_TEST

/* The connection log's figures: each fragment that goes counts, those that waited too. */
START_TEST(all_fragments_are_counted)
{
	static struct built pieces[PIECES_MAX], whole;
	const struct flows *flows;

	for (unsigned turned = 0; turned < 2; turned++)
		for (enum end end = CLIENT; end <= SERVER; end++) {
			uint64_t bytes;
			uint32_t packets;
			unsigned n;

			begin();
			flows = &lb_balance(engine.lb)->flows;
			packets = flows_packets(flows, 0, end);
			bytes = flows_bytes(flows, 0, end);
			build_whole(&whole, end, 5);
			n = cut(pieces, &whole, 3);
			if (turned)
				swap(&pieces[0], &pieces[2]);
			for (unsigned i = 0; i < n; i++)
				bytes += pieces[i].frame.wire_len;
			send_pieces(pieces, n, &whole, end);
			ck_assert_uint_eq(flows_packets(flows, 0, end), packets + n);
			ck_assert_uint_eq(flows_bytes(flows, 0, end), bytes);
			engine_stop(&engine);
		}
}
END_TEST

Suite *frag_suite(void)
{
	const TTest *const tests[] = {in_order,
	                              same_id_from_two_senders,
	                              id_used_again,
	                              workers_ids_differ,
	                              all_fragments_are_counted,
	                              first_one_last,
	                              any_order,
	                              overlaps_are_dropped,
	                              tiny_ones_are_dropped,
	                              end_of_the_longest_datagram,
	                              others_of_a_refused_one_go_nowhere,
	                              forgotten_after_a_while,
	                              datagrams_do_not_mix,
	                              flood_is_bounded,
	                              as_long_as_a_jumbo_frame_waits,
	                              routes_are_renumbered,
	                              NULL};

	return suite_of("frag", tests);
}
