/*
 * What workers hand to each other: order, refusal, and no sleep that is slept through.
 */
#include "suites.h"

#include "../../bridge/port/packet.h"
#include "../../bridge/worker/inbox.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { PUTTERS = 3, TIMES = 20000, MANY = 10000, LONG_MS = 10000 };

static struct inbox *inbox;

static void begin(void)
{
	inbox = inbox_new();
	ck_assert_ptr_nonnull(inbox);
}

static void end(void)
{
	inbox_free(inbox);
}

static bool put_news(unsigned putter, unsigned n)
{
	const struct news news = {.kind = NEWS_PROBED,
	                          .server = (uint16_t)putter,
	                          .check = (uint16_t)n,
	                          .ok = n % 3 == 0};

	return inbox_put_news(inbox, &news);
}

START_TEST(news_in_order)
{
	struct news news;

	begin();
	ck_assert(!inbox_take_news(inbox, &news));
	for (unsigned round = 0; round < MANY; round++) {
		for (unsigned n = 0; n < 3; n++)
			require(put_news(1, round + n));
		for (unsigned n = 0; n < 3; n++) {
			require(inbox_take_news(inbox, &news));
			require_eq(news.check, (uint16_t)(round + n));
			require_eq(news.ok, (round + n) % 3 == 0);
		}
		require(!inbox_take_news(inbox, &news));
	}
	end();
}
END_TEST

/* Bounded; and what was refused is all that is missing. */
START_TEST(full_of_news)
{
	unsigned put = 0, taken = 0;
	struct news news;

	begin();
	while (put < MANY && put_news(1, put))
		put++;
	ck_assert_uint_gt(put, 100);
	ck_assert_uint_lt(put, MANY);
	ck_assert(!put_news(1, put));
	ck_assert(inbox_take_news(inbox, &news));
	ck_assert_uint_eq(news.check, taken++);
	ck_assert(put_news(1, put++)); /* one place is free again */
	ck_assert(!put_news(1, put));
	while (inbox_take_news(inbox, &news))
		require_eq(news.check, (uint16_t)taken++);
	ck_assert_uint_eq(taken, put);
	end();
}
END_TEST

/*
 * Frame number n, whose length is another one each time; with what the kernel put off or without.
 */
static struct frame make_frame(uint8_t *bytes, uint32_t n, struct packet_offload *offload)
{
	uint32_t len = 60 + n % 1000;

	memset(bytes, (int)n & 0xff, 4 + len);
	memcpy(bytes + 4, &n, sizeof(n));
	*offload = (struct packet_offload){.vnet = {.csum_start = (uint16_t)n}, .origin = bytes};
	return (struct frame){.data = bytes + 4, /* a tag was put in */
	                      .len = len,
	                      .wire_len = len,
	                      .side = n % 2,
	                      .port_data = n % 5 ? offload : NULL};
}

static bool put_frame(uint32_t n)
{
	uint8_t bytes[2000];
	struct packet_offload offload;
	const struct frame frame = make_frame(bytes, n, &offload);
	bool put = inbox_put_frame(inbox, &frame);

	memset(bytes, 0xee, sizeof(bytes)); /* it is a copy */
	return put;
}

static void check_frame(const struct frame *frame, uint32_t n)
{
	const struct packet_offload *offload = frame->port_data;
	uint32_t number;

	memcpy(&number, frame->data, sizeof(number));
	require_eq(number, n);
	require_eq(frame->len, 60 + n % 1000);
	require_eq(frame->data[frame->len - 1], n & 0xff);
	require_eq(frame->side, n % 2);
	require_eq(offload != NULL, n % 5 != 0);
	if (offload) {
		require_eq(offload->vnet.csum_start, (uint16_t)n);
		require_eq((uintptr_t)frame->data - (uintptr_t)offload->origin, 4);
	}
}

/* Taken ones live until the next call, also while the queue is filled up behind them. */
START_TEST(frames)
{
	struct frame taken[PORT_BURST];
	uint32_t put = 0, next = 0;
	unsigned n;

	begin();
	ck_assert_uint_eq(inbox_take_frames(inbox, taken), 0);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 1 + round % 70 && put_frame(put); i++)
			put++;
		n = inbox_take_frames(inbox, taken);
		while (put_frame(put))
			put++;
		for (unsigned i = 0; i < n; i++)
			check_frame(&taken[i], next++);
	}
	while ((n = inbox_take_frames(inbox, taken)))
		for (unsigned i = 0; i < n; i++)
			check_frame(&taken[i], next++);
	ck_assert_uint_eq(next, put);
	end();
}
END_TEST

START_TEST(longest_frame)
{
	uint8_t *bytes = calloc(1, PACKET_FRAME_BYTES + 1);
	struct frame frame = {.data = bytes,
	                      .len = PACKET_FRAME_BYTES - FRAME_HEADROOM,
	                      .wire_len = PACKET_FRAME_BYTES - FRAME_HEADROOM};
	struct frame taken[PORT_BURST];

	begin();
	ck_assert(inbox_put_frame(inbox, &frame));
	frame.len++;
	ck_assert(!inbox_put_frame(inbox, &frame));
	ck_assert_uint_eq(inbox_take_frames(inbox, taken), 1);
	ck_assert_uint_eq(taken[0].len, PACKET_FRAME_BYTES - FRAME_HEADROOM);
	ck_assert_uint_eq(taken[0].headroom, FRAME_HEADROOM);
	end();
	free(bytes);
}
END_TEST

static bool is_readable(int ms)
{
	struct pollfd fd = {.fd = inbox_fd(inbox), .events = POLLIN};

	return poll(&fd, 1, ms) == 1;
}

START_TEST(sleep_is_ended)
{
	struct news news;

	begin();
	ck_assert(inbox_sleep(inbox));
	ck_assert(!is_readable(0));
	put_news(1, 1);
	ck_assert(is_readable(0));
	inbox_awake(inbox);
	ck_assert(!is_readable(0));
	ck_assert(!inbox_sleep(inbox)); /* there is something to do first */
	ck_assert(inbox_take_news(inbox, &news));
	put_frame(1);
	ck_assert(!inbox_sleep(inbox));
	ck_assert(!is_readable(0)); /* nobody slept */
	inbox_wake(inbox);
	ck_assert(is_readable(0));
	end();
}
END_TEST

/* A frame that was taken, but not given back yet, is no reason to stay awake. */
START_TEST(sleep_after_frames)
{
	struct frame taken[PORT_BURST];

	begin();
	put_frame(1);
	ck_assert_uint_eq(inbox_take_frames(inbox, taken), 1);
	ck_assert(inbox_sleep(inbox));
	put_frame(2);
	ck_assert(is_readable(0));
	inbox_awake(inbox);
	ck_assert_uint_eq(inbox_take_frames(inbox, taken), 1);
	check_frame(&taken[0], 2);
	end();
}
END_TEST

static void *put_much(void *arg)
{
	const unsigned putter = (unsigned)(uintptr_t)arg;

	for (unsigned n = 0; n < TIMES; n++) {
		while (!put_news(putter, n))
			sched_yield();
		if (n % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* All that several threads put in comes, each one's in its order, to one who sleeps in between. */
START_TEST(several_putters)
{
	pthread_t threads[PUTTERS];
	unsigned next[PUTTERS] = {0}, taken = 0;
	struct news news;

	begin();
	for (uintptr_t k = 0; k < PUTTERS; k++)
		ck_assert_int_eq(pthread_create(&threads[k], NULL, put_much, (void *)k), 0);
	while (taken < PUTTERS * TIMES) {
		while (inbox_take_news(inbox, &news)) {
			require(news.server < PUTTERS);
			require_eq(news.check, (uint16_t)next[news.server]++);
			taken++;
		}
		if (taken < PUTTERS * TIMES && inbox_sleep(inbox)) {
			require(is_readable(LONG_MS)); /* else a wake is lost */
			inbox_awake(inbox);
		}
	}
	for (unsigned k = 0; k < PUTTERS; k++)
		pthread_join(threads[k], NULL);
	ck_assert(!inbox_take_news(inbox, &news));
	end();
}
END_TEST

Suite *inbox_suite(void)
{
	const TTest *const tests[] = {
	        news_in_order,  full_of_news,       frames,          longest_frame,
	        sleep_is_ended, sleep_after_frames, several_putters, NULL};

	return suite_of("inbox", tests);
}
