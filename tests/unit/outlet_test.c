/*
 * A burst goes out whole and in order, however much of it the kernel takes with a call: sendmmsg()
 * is linked to take as much as a test wants it to.
 */
#include "suites.h"

#include "../../bridge/port/outlet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { FRAMES = 20, FRAME_BYTES = 60 };

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags);

/* The kernel's side. */
static struct {
	unsigned most;    /* taken with one call */
	uint32_t refused; /* bits, by frame */
	uint8_t taken[2 * FRAMES];
	unsigned ntaken, calls;
} fake;

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
	unsigned i;

	(void)fd;
	(void)flags;
	fake.calls++;
	for (i = 0; i < n && i < fake.most; i++) {
		const uint8_t *frame = messages[i].msg_hdr.msg_iov[1].iov_base;

		ck_assert_uint_eq(messages[i].msg_hdr.msg_iov[1].iov_len, FRAME_BYTES);
		if (fake.refused >> frame[0] & 1)
			break;
		ck_assert_uint_lt(fake.ntaken, sizeof(fake.taken));
		fake.taken[fake.ntaken++] = frame[0];
	}
	errno = ENOBUFS;
	return i ? (int)i : -1;
}

/* Sends a burst of frames to a kernel that takes so many with a call, and none of those. */
static void send_burst(unsigned most, uint32_t refused)
{
	static uint8_t bytes[FRAMES][FRAME_BYTES];
	struct frame frames[FRAMES];
	struct outlet outlet;
	unsigned sent, at = 0;

	ck_assert_int_eq(outlet_init(&outlet), 0);
	memset(&fake, 0, sizeof(fake));
	memset(frames, 0, sizeof(frames));
	fake.most = most;
	fake.refused = refused;
	for (unsigned i = 0; i < FRAMES; i++) {
		bytes[i][0] = (uint8_t)i;
		frames[i].data = bytes[i];
		frames[i].len = FRAME_BYTES;
	}
	sent = outlet_send(&outlet, frames, FRAMES);
	for (unsigned i = 0; i < FRAMES; i++)
		if (!(refused >> i & 1))
			ck_assert_uint_eq(fake.taken[at++], i);
	ck_assert_uint_eq(fake.ntaken, at);
	ck_assert_uint_eq(sent, at);
	ck_assert_uint_le(fake.calls, 2 * FRAMES);
	outlet_free(&outlet);
}

START_TEST(short_returns_are_gone_on_from)
{
	for (unsigned most = 1; most <= FRAMES; most++)
		send_burst(most, 0);
}
END_TEST

START_TEST(a_refused_frame_is_left_out_alone)
{
	for (unsigned most = 1; most <= FRAMES; most++)
		for (unsigned i = 0; i < FRAMES; i++) {
			send_burst(most, 1u << i);
			send_burst(most, 3u << i & ((1u << FRAMES) - 1));
		}
	send_burst(FRAMES, (1u << FRAMES) - 1);
}
END_TEST

Suite *outlet_suite(void)
{
	const TTest *const tests[] = {short_returns_are_gone_on_from,
	                              a_refused_frame_is_left_out_alone, NULL};

	return suite_of("outlet", tests);
}
