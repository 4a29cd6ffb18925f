/*
 * Ethernet headers: writing them, and putting one in place of another.
 */
#include "frames.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/port/l2.h"

static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100};

static struct hop hop_of(unsigned ntags, unsigned tpid0, unsigned tpid1)
{
	return (struct hop){
	        .mac = mac_of(0x41),
	        .tci = {be16_from(0xe123), be16_from(0x0456)},
	        .ntags = ntags & 3,
	        .tpid0 = tpid0 & 3,
	        .tpid1 = tpid1 & 3,
	};
}

static void check_header(const uint8_t *p, const struct hop *hop, const struct mac *src)
{
	const unsigned names[] = {hop->tpid0, hop->tpid1};

	ck_assert_mem_eq(p, &hop->mac, 6);
	ck_assert_mem_eq(p + 6, src, 6);
	p += 12;
	for (unsigned i = 0; i < hop->ntags; i++, p += 4) {
		ck_assert_uint_eq(frames_get16(p), tpids[names[i]]);
		ck_assert_uint_eq(frames_get16(p + 2), be16_get(hop->tci[i]));
	}
	ck_assert_uint_eq(frames_get16(p), 0x0800);
}

START_TEST(header_is_written)
{
	const struct mac src = mac_of(2);

	for (unsigned i = 0; i < 27; i++) {
		struct hop hop = hop_of(i % 3, i / 3 % 3, i / 9);
		uint8_t bytes[30];

		memset(bytes, 0xa5, sizeof(bytes));
		ck_assert_uint_eq(l2_bytes(&hop), 14 + 4 * (i % 3));
		l2_write(bytes, &hop, &src, 0x0800);
		check_header(bytes, &hop, &src);
		ck_assert_uint_eq(bytes[l2_bytes(&hop)], 0xa5);
	}
}
END_TEST

/* From any number of tags to any other: the packet itself stays where it is. */
START_TEST(tags_come_and_go)
{
	const struct mac src = mac_of(2);

	for (unsigned i = 0; i < 9; i++) {
		struct spec spec = {.dst = mac_of(1),
		                    .src = mac_of(9),
		                    .ntags = i % 3,
		                    .tpid = {0x88a8, 0x8100},
		                    .to = ip4(10, 0, 0, 41),
		                    .payload = 50};
		const struct hop hop = hop_of(i / 3, TPID_8021Q, TPID_QINQ_OLD);
		struct built built, before;
		const uint8_t *l3;

		frames_tcp(&built, &spec);
		built.frame.wire_len += 100;
		frames_copy(&before, &built);
		l3 = built.frame.data + built.l3;
		l2_redirect(&built.frame, &hop, &src);
		check_header(built.frame.data, &hop, &src);
		ck_assert_ptr_eq(built.frame.data + l2_bytes(&hop), l3);
		ck_assert_mem_eq(l3, before.frame.data + before.l3, before.frame.len - before.l3);
		ck_assert_uint_eq(built.frame.len, before.frame.len - before.l3 + l2_bytes(&hop));
		ck_assert_uint_eq(built.frame.wire_len, built.frame.len + 100);
		ck_assert_ptr_eq(built.frame.data - built.frame.headroom, built.bytes);
	}
}
END_TEST

/* 802.1Q's TPID in what is already the payload isn't a third tag. */
START_TEST(two_tags_are_all)
{
	struct spec spec = {.ntags = 3, .tpid = {0x8100, 0x8100, 0x8100}, .payload = 50};
	const struct hop hop = hop_of(0, 0, 0);
	const struct mac src = mac_of(2);
	struct built built;
	uint32_t len;

	frames_tcp(&built, &spec);
	len = built.frame.len;
	l2_redirect(&built.frame, &hop, &src);
	ck_assert_uint_eq(built.frame.len, len - 8);
}
END_TEST

Suite *l2_suite(void)
{
	const TTest *const tests[] = {header_is_written, tags_come_and_go, two_tags_are_all, NULL};

	return suite_of("l2", tests);
}
