/*
 * A packet socket's ring and queue in step, whatever the kernel returns.
 *
 * The kernel here is a fake: it puts frames into places and messages as tpacket_rcv() does, and
 * recvmmsg() is linked to give these out as a test wants it.
 */
#include "suites.h"

#include "../../bridge/port/inlet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	QUEUE_MAX = 256,
	PLACES = 64,
	PLACE_MAC = 96, /* where a frame begins in its place */
	SMALL = 60,
	LARGE = 1400,
};

int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *t);

/* The kernel's side. */
static struct {
	struct inlet inlet;
	uint32_t head; /* the place to fill next */
	struct {
		uint8_t number;
		uint32_t len;
	} queue[QUEUE_MAX];
	unsigned first, end; /* of queue */
	unsigned most;       /* messages given out with one call */
	int error;           /* told once, before messages; or each time, if stuck */
	bool stuck;
	unsigned calls;
} fake;

static void byte_frame(uint8_t *at, uint32_t n, uint8_t number)
{
	memset(at, 0, n);
	if (n > 20)
		at[20] = number;
}

int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *t)
{
	unsigned i;

	(void)fd;
	(void)flags;
	(void)t;
	fake.calls++;
	if (fake.error) {
		errno = fake.error;
		if (!fake.stuck)
			fake.error = 0;
		return -1;
	}
	for (i = 0; i < n && i < fake.most && fake.first < fake.end; i++, fake.first++) {
		struct msghdr *m = &messages[i].msg_hdr;
		uint32_t len = fake.queue[fake.first].len, room = (uint32_t)m->msg_iov[1].iov_len;

		memset(m->msg_iov[0].iov_base, 0, m->msg_iov[0].iov_len);
		byte_frame(m->msg_iov[1].iov_base, len < room ? len : room,
		           fake.queue[fake.first].number);
		m->msg_controllen = 0;
		m->msg_flags = len > room ? MSG_TRUNC : 0;
		messages[i].msg_len = len + (uint32_t)m->msg_iov[0].iov_len;
	}
	if (i)
		return (int)i;
	errno = EAGAIN;
	return -1;
}

static void begin_with(uint32_t places)
{
	memset(&fake, 0, sizeof(fake));
	fake.most = PORT_BURST;
	ck_assert_int_eq(inlet_init(&fake.inlet), 0);
	fake.inlet.places = calloc(places, INLET_PLACE_BYTES);
	ck_assert_ptr_nonnull(fake.inlet.places);
	fake.inlet.nplaces = places;
}

static void begin(void)
{
	begin_with(PLACES);
}

static void end(void)
{
	free(fake.inlet.places);
	inlet_free(&fake.inlet);
}

/* A place of a frame; status TP_STATUS_COPY says that it has a message. */
static void put_place(uint8_t number, uint32_t len, uint32_t status)
{
	uint32_t i = fake.head++ % fake.inlet.nplaces;
	uint8_t *at = fake.inlet.places + (size_t)i * INLET_PLACE_BYTES;
	struct tpacket2_hdr *place = (struct tpacket2_hdr *)(void *)at;
	uint32_t room = INLET_PLACE_BYTES - PLACE_MAC;

	ck_assert_uint_eq(place->tp_status, TP_STATUS_KERNEL);
	*place = (struct tpacket2_hdr){
	        .tp_len = len, .tp_snaplen = len < room ? len : room, .tp_mac = PLACE_MAC};
	byte_frame(at + PLACE_MAC, place->tp_snaplen, number);
	place->tp_status = TP_STATUS_USER | status;
}

static void put_message(uint8_t number, uint32_t len)
{
	fake.queue[fake.end].number = number;
	fake.queue[fake.end++].len = len;
}

static void put(uint8_t number, uint32_t len)
{
	if (len > INLET_PLACE_BYTES - PLACE_MAC)
		put_message(number, len);
	put_place(number, len, len > INLET_PLACE_BYTES - PLACE_MAC ? TP_STATUS_COPY : 0);
}

/* Receives a burst and appends its frames' numbers to ret. */
static unsigned receive(uint8_t *ret, unsigned n)
{
	struct frame frames[PORT_BURST];
	unsigned got = inlet_receive(&fake.inlet, INSIDE, frames);

	for (unsigned i = 0; i < got; i++) {
		ck_assert_uint_eq(frames[i].side, INSIDE);
		ck_assert_uint_eq(frames[i].len, frames[i].wire_len);
		ret[n + i] = frames[i].data[20];
	}
	return n + got;
}

/* Receives until nothing comes, but not for ever, and requires just these. */
static void require_numbers(const char *expected)
{
	uint8_t got[QUEUE_MAX + PORT_BURST] = {0};
	unsigned n = 0;

	for (unsigned i = 0; i < 16; i++)
		n = receive(got, n);
	ck_assert_uint_eq(n, strlen(expected));
	ck_assert_mem_eq(got, expected, n);
}

START_TEST(small_and_large_in_order)
{
	begin();
	for (const char *p = "aBcDEf"; *p; p++)
		put((uint8_t)*p, *p < 'a' ? LARGE : SMALL);
	require_numbers("aBcDEf");
	ck_assert_uint_eq(fake.inlet.missed, 0);
	ck_assert_uint_eq(fake.inlet.held, 0);
	end();
}
END_TEST

/*
 * However few messages come with a call, and whatever errors before them: nothing is late or lost.
 */
START_TEST(short_returns)
{
	for (unsigned most = 1; most < 6; most++)
		for (int errors = 0; errors < 4; errors++) {
			uint8_t got[64];
			unsigned n = 0;

			begin();
			fake.most = most;
			for (unsigned i = 0; i < 40; i++) {
				put((uint8_t)i, i % 3 ? LARGE : SMALL);
				if (i % 10 == 9)
					fake.error = errors == 1   ? ENETDOWN
					             : errors == 2 ? EINTR
					                           : 0;
				if (i % 10 == 9 || errors == 3)
					n = receive(got, n);
			}
			for (unsigned i = 0; i < 4; i++)
				n = receive(got, n);
			require_eq(n, 40);
			for (unsigned i = 0; i < n; i++)
				require_eq(got[i], i);
			require_eq(fake.inlet.missed, 0);
			end();
		}
}
END_TEST

/* An error each time: the frames before the first large one come, and those behind it wait. */
START_TEST(errors_that_persist)
{
	uint8_t got[8];

	begin();
	put('a', SMALL);
	put('B', LARGE);
	put('c', SMALL);
	fake.error = ENETDOWN;
	fake.stuck = true;
	ck_assert_uint_eq(receive(got, 0), 1);
	ck_assert_uint_eq(receive(got, 1), 1);
	fake.error = 0;
	ck_assert_uint_eq(receive(got, 1), 3);
	ck_assert_mem_eq(got, "aBc", 3);
	ck_assert_uint_eq(fake.inlet.missed, 0);
	end();
}
END_TEST

/* A message that is lost costs its frame and no other, as equal as these may be in length. */
START_TEST(lost_message)
{
	begin();
	put('A', LARGE);
	put_place('B', LARGE, TP_STATUS_COPY);
	put('C', LARGE);
	put('d', SMALL);
	put('E', LARGE);
	require_numbers("ACdE");
	ck_assert_uint_eq(fake.inlet.missed, 1);
	put('F', LARGE);
	require_numbers("F");
	end();
}
END_TEST

START_TEST(last_message_lost)
{
	begin();
	put('A', LARGE);
	put_place('B', LARGE, TP_STATUS_COPY);
	require_numbers("A");
	ck_assert_uint_eq(fake.inlet.missed, 1);
	put('C', LARGE);
	require_numbers("C");
	end();
}
END_TEST

/* Messages without a place, more even than a burst: they go, all others come. */
START_TEST(stray_messages)
{
	for (unsigned strays = 1; strays < 3 * PORT_BURST; strays++) {
		begin();
		for (unsigned i = 0; i < strays; i++)
			put_message('x', LARGE);
		put('a', SMALL);
		put('B', LARGE);
		put('C', LARGE);
		require_numbers("aBC");
		require_eq(fake.inlet.missed, strays);
		require_eq(fake.first, fake.end);
		end();
	}
}
END_TEST

/* One that is left in the queue alone would end each sleep. */
START_TEST(stray_message_alone)
{
	begin();
	put_message('x', LARGE);
	for (unsigned i = 0; i < 100000; i++) {
		uint8_t got[PORT_BURST];

		inlet_woken(&fake.inlet);
		require_eq(receive(got, 0), 0);
	}
	ck_assert_uint_eq(fake.first, fake.end);
	ck_assert_uint_eq(fake.inlet.missed, 1);
	end();
}
END_TEST

/* A message whose place is being filled in by a processor that stands still: it isn't taken for one
 * without a place, which would cost the frame. */
START_TEST(place_long_after_its_message)
{
	uint8_t got[PORT_BURST];

	begin();
	put_message('A', LARGE);
	for (unsigned i = 0; i < 10000; i++) {
		inlet_woken(&fake.inlet);
		require_eq(receive(got, 0), 0);
	}
	put_place('A', LARGE, TP_STATUS_COPY);
	require_numbers("A");
	ck_assert_uint_eq(fake.inlet.missed, 0);
	end();
}
END_TEST

/* Sleeps that end for frames are no such sign, though the next frame's message may be there before
 * its place. */
START_TEST(wakes_for_frames)
{
	begin();
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t got[PORT_BURST];

		fake.first = fake.end = 0;
		put_message('A', LARGE);
		inlet_woken(&fake.inlet);
		require_eq(receive(got, 0), 0);
		put_place('A', LARGE, TP_STATUS_COPY);
		inlet_woken(&fake.inlet);
		require_eq(receive(got, 0), 1);
	}
	ck_assert_uint_eq(fake.inlet.missed, 0);
	end();
}
END_TEST

START_TEST(too_long_or_no_room)
{
	begin();
	put('a', SMALL);
	put('B', 100000);         /* no place for it here */
	put_place('C', LARGE, 0); /* the queue was full */
	put('D', LARGE);
	require_numbers("aD");
	ck_assert_uint_eq(fake.inlet.missed, 2);
	ck_assert_uint_eq(fake.inlet.too_long, 1);
	end();
}
END_TEST

/* Around the ring several times. */
START_TEST(around)
{
	uint8_t got[PORT_BURST];

	begin();
	for (unsigned i = 0; i < 300 * PLACES; i++) {
		fake.first = fake.end = 0;
		put((uint8_t)i, i % 5 ? SMALL : LARGE);
		put((uint8_t)(i + 1), i % 7 ? SMALL : LARGE);
		require_eq(receive(got, 0), 2);
		require_eq(got[0], i % 256);
		require_eq(got[1], (i + 1) % 256);
	}
	end();
}
END_TEST

/* What is said with the first of several bursts, behind which n frames wait in a ring of so many
 * places. Then all come, and in the end the port keeps up. */
static enum port_backlog backlog_with(uint32_t places, uint32_t n)
{
	uint8_t got[PORT_BURST];
	enum port_backlog first;

	begin_with(places);
	for (uint32_t i = 0; i < PORT_BURST + n; i++)
		put((uint8_t)i, SMALL);
	require_eq(receive(got, 0), PORT_BURST);
	first = fake.inlet.backlog;
	for (uint32_t left = n, burst; left; left -= burst) {
		burst = receive(got, 0);
		require_eq(burst, left < PORT_BURST ? left : PORT_BURST);
	}
	require_eq(fake.inlet.backlog, PORT_KEEPS_UP);
	require_eq(receive(got, 0), 0);
	require_eq(fake.inlet.backlog, PORT_KEEPS_UP);
	end();
	return first;
}

START_TEST(backlog)
{
	for (uint32_t places = INLET_PLACES_MIN; places <= INLET_PLACES; places *= 2) {
		const uint32_t quarter = places / INLET_PRESSED_PART;

		require_eq(backlog_with(places, 0), PORT_KEEPS_UP);
		require_eq(backlog_with(places, INLET_BEHIND), PORT_KEEPS_UP);
		if (quarter > INLET_BEHIND) {
			require_eq(backlog_with(places, INLET_BEHIND + 1), PORT_IS_BEHIND);
			require_eq(backlog_with(places, quarter), PORT_IS_BEHIND);
		}
		require_eq(backlog_with(places, quarter + 1), PORT_IS_PRESSED);
		require_eq(backlog_with(places, places - PORT_BURST), PORT_IS_PRESSED);
	}
}
END_TEST

/* No look at an empty ring is a system call, nor one at a ring of small frames. */
START_TEST(calls)
{
	uint8_t got[PORT_BURST];

	begin();
	receive(got, 0);
	put('a', SMALL);
	receive(got, 0);
	ck_assert_uint_eq(fake.calls, 0);
	put('B', LARGE);
	put('C', LARGE);
	receive(got, 0);
	ck_assert_uint_eq(fake.calls, 1);
	end();
}
END_TEST

Suite *inlet_suite(void)
{
	const TTest *const tests[] = {small_and_large_in_order,
	                              short_returns,
	                              errors_that_persist,
	                              lost_message,
	                              last_message_lost,
	                              stray_messages,
	                              stray_message_alone,
	                              place_long_after_its_message,
	                              wakes_for_frames,
	                              too_long_or_no_room,
	                              around,
	                              backlog,
	                              calls,
	                              NULL};

	return suite_of("inlet", tests);
}
