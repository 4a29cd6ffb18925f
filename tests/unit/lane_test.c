/*
 * The fast lane beside the engine: held up between any two of its accesses while the engine goes
 * on, and on another processor at the same time. Whatever it is held up over, the engine's books
 * balance, and connections go on.
 */
#include "lane_fixture.h"

#include "../../lb/lane.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TWINS = 4, EVENTS = SANITIZED ? 15000 : 60000, RACE_EVENTS = 20000 };

static struct twin twins[TWINS];
static uint16_t next_port;

static void open_talk(unsigned i)
{
	next_port = next_port >= 1024 && next_port < 60000 ? next_port + 1 : 1024;
	if (talk_syn(&talks[i], &engine, fixture_client(i), next_port, i % 2 ? 443 : 5061).why !=
	    WHY_FLOW_NEW)
		return;
	talk_send(&talks[i], SERVER, TCP_SYN | TCP_ACK, 0);
	talk_send(&talks[i], CLIENT, TCP_ACK, 0);
	is_open[i] = true;
}

/* Something that changes what a flow is. */
static void engine_goes_on(void)
{
	const unsigned i = random_below(TALKS);
	const enum end end = random_below(2) ? SERVER : CLIENT;

	if (!is_open[i])
		return open_talk(i);
	switch (random_below(8)) {
	case 0:
		talk_close(&talks[i], end);
		is_open[i] = false;
		return;
	case 1:
		talk_send(&talks[i], end, TCP_RST, 0);
		is_open[i] = random_below(2);
		return;
	case 2:
		move_talk(&talks[i], mac_of((uint8_t)(0x90 + random_below(4))));
		return;
	case 3:
		engine_wait_ms(&engine, random_below(20) ? random_below(500) : 30 * S);
		return;
	case 4:
		is_open[i] = false;
		return;
	default:
		talk_send(&talks[i], end, TCP_ACK, 100);
	}
}

static void lane_goes_on(struct twin *twin, unsigned steps)
{
	const unsigned i = random_below(TALKS);
	struct twin_segment segment;

	if (twin->done && talks[i].engine) {
		segment = segment_of(&talks[i], random_below(2) ? SERVER : CLIENT);
		twin_begin(twin, flows(), &segment,
		           balance_tick(lb_balance(engine.lb), engine.now));
	}
	while (steps-- && twin_go_on(twin))
		;
	nforwarded += twin->done && twin->forwarded;
}

static void finish_twins(void)
{
	for (unsigned i = 0; i < TWINS; i++)
		while (twin_go_on(&twins[i]))
			;
}

START_TEST(held_up_anywhere)
{
	begin();
	for (unsigned i = 0; i < TWINS; i++)
		twins[i].done = true;
	for (unsigned i = 0; i < EVENTS; i++) {
		if (random_below(3) == 0)
			engine_goes_on();
		else
			lane_goes_on(&twins[random_below(TWINS)], random_below(8));
		if (random_below(2000) == 0)
			recycle();
		require_books();
	}
	finish_twins();
	require_books();
	ck_assert_uint_gt(nforwarded, EVENTS / 100);
	require_works();
	engine_stop_shared(&engine, &table);
}
END_TEST

/* What the flow may meanwhile have become. */
static void end_orderly(struct talk *talk)
{
	talk_close(talk, CLIENT);
}

static void reset_it(struct talk *talk)
{
	talk_send(talk, CLIENT, TCP_RST, 0);
}

static void forget_it(struct talk *talk)
{
	talk_close(talk, CLIENT);
	engine_wait_ms(&engine, 3600 * S);
}

static void reopen_it(struct talk *talk)
{
	struct spec spec = spec_syn(talk->client, talk->sport, talk->dport);
	struct built built;

	talk_close(talk, SERVER);
	spec.seq += 1000000;
	frames_tcp(&built, &spec);
	engine_input(&engine, &built);
}

static void give_it_away(struct talk *talk)
{
	forget_it(talk);
	recycle();
}

/* Held up in each of its accesses over each of these: the books balance after each further one. */
START_TEST(held_up_over_the_end)
{
	void (*const ends[])(struct talk *) = {end_orderly, reset_it, forget_it, reopen_it,
	                                       give_it_away};
	const unsigned most = 100;

	for (unsigned at = 0; at < most; at++) {
		struct twin_segment segment;
		unsigned n = 0;

		begin();
		open_talk(0);
		segment = segment_of(&talks[0], SERVER);
		twin_begin(&twins[0], flows(), &segment, 1);
		while (n < at && twin_go_on(&twins[0]))
			n++;
		ends[_i](&talks[0]);
		require_books();
		while (twin_go_on(&twins[0]))
			require_books();
		require_books();
		require_works();
		engine_stop_shared(&engine, &table);
		if (n < at) { /* it was through before */
			require(twins[0].forwarded);
			ck_assert_uint_gt(at, 20);
			return;
		}
	}
	ck_abort_msg("the lane has more than %u accesses", most);
}
END_TEST

/* What a flow is is looked at once more before anything is noted, of a FIN as well. */
START_TEST(of_what_is_not_open_nothing_is_noted)
{
	const struct packet packet = {
	        .tcp_flags = TCP_ACK | TCP_FIN, .seq = 1000, .ack = 2000, .seq_len = 1};
	struct flow flow = {
	        .next_seq = {1000, 2000}, .acked = {2000, 1000}, .limit = {60000, 60000}};
	uint8_t how;

	for (enum flow_state state = FLOW_FREE; state <= FLOW_QUARANTINE; state++) {
		struct flow before, noted, last;

		flow.state = state & 7;
		before = noted = last = flow;
		require_eq(lane_note(&noted, CLIENT, &packet, 7), state == FLOW_OPEN);
		require_eq(lane_note_last(&last, CLIENT, &packet, 7, NOTES_NONE, &how),
		           state == FLOW_OPEN);
		require_eq(how, state == FLOW_OPEN ? NOTE_FIN << CLIENT : NOTES_NONE);
		require_eq(!memcmp(&noted, &before, sizeof(flow)), state != FLOW_OPEN);
		require_eq(!memcmp(&last, &before, sizeof(flow)), state != FLOW_OPEN);
	}
}
END_TEST

/* What end sends last: FIN, or what acknowledges the other one's. */
static struct twin_segment last_of(struct talk *talk, enum end end, bool has_fin)
{
	const struct spec spec = talk_spec(talk, end, TCP_ACK, 0);

	talk->next[end] += has_fin;
	return (struct twin_segment){
	        .tuple = {spec.from, spec.to, be16_from(spec.sport), be16_from(spec.dport)},
	        .seq = spec.seq,
	        .ack = spec.ack,
	        .window = 1000,
	        .is_last = has_fin};
}

/* Both FINs are noted, and the engine looks at some moment of the last acknowledgment: the
 * connection has ended, whoever had that. */
START_TEST(the_last_word_counts)
{
	for (unsigned at = 0; at < 60; at++) {
		struct twin_segment segment;
		struct twin_way way;

		begin();
		open_talk(0);
		for (enum end end = CLIENT; end <= SERVER; end++) {
			segment = last_of(&talks[0], end, true);
			ck_assert(twin_run(flows(), &segment, 1, &way));
		}
		segment = last_of(&talks[0], CLIENT, false);
		twin_begin(&twins[0], flows(), &segment, 1);
		for (unsigned n = 0; n < at && twin_go_on(&twins[0]); n++)
			;
		engine_poll(&engine);
		while (twin_go_on(&twins[0]))
			;
		if (!twins[0].forwarded)
			talk_send(&talks[0], CLIENT, TCP_ACK, 0);
		engine_poll(&engine);
		require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
		require_books();
		engine_stop_shared(&engine, &table);
	}
}
END_TEST

/* A FIN is noted, and the engine looks at some moment of that: then it knows it soon after. */
START_TEST(no_end_is_missed)
{
	for (unsigned at = 0; at < 60; at++) {
		struct twin_segment segment;

		begin();
		open_talk(0);
		segment = last_of(&talks[0], CLIENT, true);
		twin_begin(&twins[0], flows(), &segment, 1);
		for (unsigned n = 0; n < at && twin_go_on(&twins[0]); n++)
			;
		engine_poll(&engine);
		while (twin_go_on(&twins[0]))
			;
		ck_assert(twins[0].forwarded);
		engine_poll(&engine);
		ck_assert(flows_at(flows(), 0)->flags & FLOW_FIN_SENT << CLIENT);
		engine_stop_shared(&engine, &table);
	}
}
END_TEST

/* Who notes the end of a flow is held up over that, and the place is another flow's by then. */
START_TEST(an_end_that_is_noted_late_is_not_the_next_flow_s)
{
	uint64_t *words;

	begin();
	open_talk(0);
	words = flows()->notes;
	BOTH_OR(words[notes_at(1)], (uint64_t)(NOTE_FIN << CLIENT) << notes_shift(1));
	BOTH_OR(words[notes_group_at(flows()->places, 1)], 1);
	open_talk(1);
	require_eq(flows_at(flows(), 1)->state, FLOW_OPEN);
	BOTH_WRITE_LAST(flows()->head->noted, 1);
	engine_poll(&engine);
	ck_assert(!flow_is_closing(flows_at(flows(), 1)));
	engine_stop_shared(&engine, &table);
}
END_TEST

/* ---- At the same time ---- */

static struct twin_segment race_segments[2 * TALKS];
static atomic_bool race_over;
static atomic_uint race_forwarded;

static void *race(void *unused)
{
	const struct flows *shared = flows();
	struct twin_way way;

	for (unsigned i = 0; !atomic_load_explicit(&race_over, memory_order_relaxed); i++)
		if (twin_run(shared, &race_segments[i % (2 * TALKS)], 5, &way))
			atomic_fetch_add_explicit(&race_forwarded, 1, memory_order_relaxed);
	return unused;
}

/* For a build with the thread sanitizer: see VARIANT=tsan. */
START_TEST(at_the_same_time)
{
	pthread_t thread;

	begin();
	for (unsigned i = 0; i < TALKS; i++) {
		open_talk(i);
		for (enum end end = CLIENT; end <= SERVER; end++)
			race_segments[2 * i + end] = segment_of(&talks[i], end);
	}
	require_eq(pthread_create(&thread, NULL, race, NULL), 0);
	while (!race_forwarded)
		;
	for (unsigned i = 0; i < RACE_EVENTS; i++) {
		next_port = (uint16_t)(1024 + random_below(TALKS)); /* the same ones again */
		engine_goes_on();
	}
	race_over = true;
	require_eq(pthread_join(thread, NULL), 0);
	require_books();
	require_works();
	engine_stop_shared(&engine, &table);
}
END_TEST

Suite *lane_suite(void)
{
	Suite *suite = suite_create("lane");
	TCase *tcase = tcase_create("lane");

	tcase_add_test(tcase, held_up_anywhere);
	tcase_add_loop_test(tcase, held_up_over_the_end, 0, 5);
	tcase_add_test(tcase, of_what_is_not_open_nothing_is_noted);
	tcase_add_test(tcase, the_last_word_counts);
	tcase_add_test(tcase, no_end_is_missed);
	tcase_add_test(tcase, an_end_that_is_noted_late_is_not_the_next_flow_s);
	tcase_add_test(tcase, at_the_same_time);
	suite_add_tcase(suite, tcase);
	return suite;
}
