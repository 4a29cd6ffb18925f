/*
 * The fast lane beside the engine: held up between any two of its accesses while the engine goes
 * on, and on another processor at the same time. Whatever it is held up over, the engine's books
 * balance, and connections go on.
 */
#include "fixture.h"
#include "lane_twin.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/process/sanitized.h"
#include "../../lb/wire.h"
#include "../fuzz/books.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TALKS = 6, TWINS = 4, EVENTS = SANITIZED ? 15000 : 60000, S = 1000, RACE_EVENTS = 20000 };

static struct engine engine;
static struct table table;
static struct talk talks[TALKS];
static bool is_open[TALKS];
static struct twin twins[TWINS];
static uint16_t next_port;
static unsigned nforwarded;

static const struct flows *flows(void)
{
	return &lb_balance(engine.lb)->flows;
}

static void begin(void)
{
	struct rules *rules = fixture_rules(2);

	rules->max_connections = 16;
	rules->farms[0].idle_timeout_ms = 20 * S;
	fixture_set_snat_ports(&rules->farms[0], 2000, 2031);
	engine_start_shared(&engine, rules, &table);
	memset(is_open, 0, sizeof(is_open));
	next_port = 1024;
	nforwarded = 0;
}

static void require_books(void)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < LB_NWHYS; i++)
		frames += lb_whys(engine.lb)[i];
	books_check(engine.lb, frames);
}

/* The segment that end sends next, as the lane meets it. */
static struct twin_segment segment_of(const struct talk *talk, enum end end)
{
	const struct spec spec = talk_spec(talk, end, TCP_ACK, 100);

	return (struct twin_segment){
	        .tuple = {spec.from, spec.to, be16_from(spec.sport), be16_from(spec.dport)},
	        .seq = spec.seq,
	        .ack = spec.ack,
	        .len = 100,
	        .window = (uint16_t)random_next(),
	        .is_last = random_below(4) == 0};
}

static void open_talk(unsigned i)
{
	next_port = next_port < 60000 ? next_port + 1 : 1024;
	if (talk_syn(&talks[i], &engine, fixture_client(i), next_port, i % 2 ? 443 : 5061).why !=
	    WHY_FLOW_NEW)
		return;
	talk_send(&talks[i], SERVER, TCP_SYN | TCP_ACK, 0);
	talk_send(&talks[i], CLIENT, TCP_ACK, 0);
	is_open[i] = true;
}

/* The client is elsewhere, and has proven who it is. */
static void move_talk(struct talk *talk)
{
	struct spec spec = talk_spec(talk, CLIENT, TCP_ACK, 0);
	struct built built;

	spec.src = mac_of((uint8_t)(0x90 + random_below(4)));
	frames_tcp(&built, &spec);
	engine_input(&engine, &built);
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
		move_talk(&talks[i]);
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

/* More connections than places, so that each is another's by now. */
static void recycle(void)
{
	struct talk talk;

	for (unsigned i = 0; i < FLOWS_REST + 20; i++) {
		talk_syn(&talk, &engine, fixture_client(200), (uint16_t)(1024 + i), 443);
		if (random_below(4) == 0)
			engine_wait_ms(&engine, 31 * S);
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

/* After all that, connections come, go on and end as ever. */
static void require_works(void)
{
	struct talk talk;

	engine_wait_ms(&engine, 3600 * S);
	require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
	require_eq(lb_balance(engine.lb)->farms->snat.in_use[0], 0);
	talk_open(&talk, &engine, fixture_client(1), 999, 443);
	require_eq(talk_send(&talk, SERVER, TCP_ACK, 100).why, WHY_FLOW_HIT);
	talk_close(&talk, CLIENT);
	require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
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

		begin();
		open_talk(0);
		for (enum end end = CLIENT; end <= SERVER; end++) {
			segment = last_of(&talks[0], end, true);
			ck_assert(twin_run(flows(), &segment, 1));
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

/* ---- At the same time ---- */

static struct twin_segment race_segments[2 * TALKS];
static atomic_bool race_over;
static atomic_uint race_forwarded;

static void *race(void *unused)
{
	const struct flows *shared = flows();

	for (unsigned i = 0; !atomic_load_explicit(&race_over, memory_order_relaxed); i++)
		if (twin_run(shared, &race_segments[i % (2 * TALKS)], 5))
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
	tcase_add_test(tcase, the_last_word_counts);
	tcase_add_test(tcase, at_the_same_time);
	suite_add_tcase(suite, tcase);
	return suite;
}
