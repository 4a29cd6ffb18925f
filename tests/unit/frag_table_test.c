/*
 * Routes and pieces of fragments, without an engine where that does.
 */
#include "frag_fixture.h"

#include <stdlib.h>

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

static enum frag_result take(uint16_t id, uint16_t offset, uint32_t frame_len,
                             const struct frag_route **ret_route, uint32_t *ret_datagram)
{
	static uint8_t bytes[FRAG_HELD_BYTES + 1];
	const struct frame frame = {
	        .data = bytes, .len = frame_len, .wire_len = frame_len, .port_data = bytes};
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
	ck_assert(frame.headroom == FRAME_HEADROOM && !frame.port_data); /* tags may come */
	free(mem);
}
END_TEST

/* All places are taken, each by another datagram, and one more waits. */
START_TEST(who_waits_for_longest_makes_way)
{
	const struct frag_route *route;
	struct frame frame;
	uint32_t d;

	for (uint8_t decided = 0; decided < 2; decided++) { /* one that is about to leave stays */
		begin_frags();
		for (uint8_t id = 0; id <= FRAG_HELD; id++) {
			engine.now.ns++;
			if (decided && id == FRAG_HELD) {
				ck_assert_uint_eq(take(0, 0, 200, &route, &d), FRAG_FIRST);
				frags_decide(&frags, d, &(struct frag_route){.flow = 0});
			}
			ck_assert_uint_eq(take(id, 104, 200, &route, &d), FRAG_WAITS);
			ck_assert_uint_le(frags.nheld, FRAG_HELD);
		}
		ck_assert_uint_eq(frags.evicted, 1);
		ck_assert_uint_eq(frags.expired, 1);
		for (uint8_t id = 0; id <= FRAG_HELD; id++) {
			if (!decided || id) {
				ck_assert_uint_eq(take(id, 0, 200, &route, &d), FRAG_FIRST);
				frags_decide(&frags, d, &(struct frag_route){.flow = id});
			}
			ck_assert_int_eq(frags_release(&frags, &frame, &route), id != decided);
			if (id != decided)
				ck_assert_uint_eq(route->flow, id);
		}
		ck_assert_uint_eq(frags.nheld, 0);
		free(mem);
	}
}
END_TEST

START_TEST(the_oldest_datagram_makes_way)
{
	const struct frag_route *route;
	uint32_t d;

	begin_frags();
	for (uint16_t id = 0; id <= FRAG_DATAGRAMS; id++) {
		engine.now.ns++;
		ck_assert_uint_eq(take(id, 0, 200, &route, &d), FRAG_FIRST);
		frags_decide(&frags, d, &(struct frag_route){.flow = id});
	}
	ck_assert_uint_eq(frags.evicted, 1);
	for (uint16_t id = 1; id <= FRAG_DATAGRAMS; id++) {
		ck_assert_uint_eq(take(id, 104, 200, &route, &d), FRAG_ROUTED);
		ck_assert_uint_eq(route->flow, id);
	}
	ck_assert_uint_eq(take(0, 104, 200, &route, &d), FRAG_WAITS);
	ck_assert_uint_eq(frags.evicted, 2);
	free(mem);
}
END_TEST

/*
 * Servers get other numbers: datagrams to them go along, those to one that is gone are forgotten.
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

/* Of how many workers whatever, until all numbers have been given; and nobody knows the first. */
START_TEST(all_ids_are_given_once)
{
	const struct frag_route route = {.src = fixture_vip(), .dst = fixture_server(0)};
	const struct hash_key key = {{1, 2}};
	static bool given[UINT16_MAX + 1];

	begin_frags();
	frags_seed(&frags, &key);
	ck_assert_uint_ne(frags.ids[0], frags.ids[1]);
	for (uint16_t worker = 0; worker < 3; worker++) {
		const struct share share = {.worker = worker, .n = 3};

		frags_seed(&frags, &key);
		for (unsigned i = 0; i < UINT16_MAX / 3; i++) {
			uint32_t id = be32_get(frags_new_id(&frags, &route, &share, false));

			require(id <= UINT16_MAX && !given[id]);
			given[id] = true;
		}
	}
	free(mem);
}
END_TEST

/* Where the server sees its client's own address the client numbers his datagrams; towards the
 * client all servers have one address. */
START_TEST(whose_address_changes_gets_another_id)
{
	static struct built pieces[PIECES_MAX], whole;

	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct rules *rules = fixture_rules(2);

		fixture_set_snat(&rules->farms[0], NULL, 0);
		engine_start(&engine, rules);
		talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
		build_whole(&whole, end, 777);
		cut(pieces, &whole, 2);
		if (end == CLIENT)
			ck_assert_uint_eq(id_of(&pieces[0]), 777);
		else
			ck_assert_uint_ne(id_of(&pieces[0]), 777);
		engine_stop(&engine);
	}
}
END_TEST

/* The first one is judged, and keeps its flow; the others are only counted. */
START_TEST(what_follows_keeps_no_flow)
{
	static struct built pieces[PIECES_MAX], whole;
	const struct flow *flow;
	uint32_t last;

	begin();
	flow = flows_at(&lb_balance(engine.lb)->flows, 0);
	engine_wait_ms(&engine, 1000);
	build_whole(&whole, CLIENT, 5);
	cut(pieces, &whole, 2);
	last = flow_last(flow);
	ck_assert_uint_eq(engine_input(&engine, &pieces[0]).why, WHY_FLOW_HIT);
	ck_assert_uint_gt(flow_last(flow), last);
	last = flow_last(flow);
	engine_wait_ms(&engine, 1000);
	ck_assert_uint_eq(engine_input(&engine, &pieces[1]).why, WHY_FRAGMENT);
	ck_assert_uint_eq(flow_last(flow), last);
	engine_stop(&engine);
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

/* What is left of a datagram counts for the connection that sent it, and not for the next one that
 * has the flow's place. */
START_TEST(who_has_the_place_now_is_not_charged)
{
	static struct built pieces[PIECES_MAX], whole;
	const struct flows *flows;
	uint32_t packets;
	struct spec syn;

	engine_start(&engine, fixture_rules(1));
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	flows = &lb_balance(engine.lb)->flows;
	build_whole(&whole, CLIENT, 5);
	cut(pieces, &whole, 2);
	ck_assert_uint_eq(engine_input(&engine, &pieces[0]).why, WHY_FLOW_HIT);
	talk_send(&talk, CLIENT, 0x04, 0); /* RST */
	engine_wait_ms(&engine, 1000);
	syn = spec_syn(fixture_client(1), 40000, 5061);
	syn.seq = talk.next[CLIENT] + 100000;
	ck_assert_uint_eq(talk_syn_from(&talk, &engine, &syn).why, WHY_FLOW_NEW);
	ck_assert_uint_eq(flows_at(flows, 0)->state, FLOW_HALF_OPEN);
	packets = flows_packets(flows, 0, CLIENT);
	ck_assert_uint_eq(engine_input(&engine, &pieces[1]).why, WHY_FRAGMENT);
	ck_assert_uint_eq(flows_packets(flows, 0, CLIENT), packets);
	engine_stop(&engine);
}
END_TEST

Suite *frag_table_suite(void)
{
	const TTest *const tests[] = {
	        same_id_from_two_senders,
	        id_used_again,
	        workers_ids_differ,
	        all_ids_are_given_once,
	        whose_address_changes_gets_another_id,
	        what_follows_keeps_no_flow,
	        all_fragments_are_counted,
	        who_has_the_place_now_is_not_charged,
	        as_long_as_a_jumbo_frame_waits,
	        who_waits_for_longest_makes_way,
	        the_oldest_datagram_makes_way,
	        routes_are_renumbered,
	        NULL,
	};

	return suite_of("frag_table", tests);
}
