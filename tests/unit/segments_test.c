/*
 * Merged frames cut up, sums that a virtio header can't put off, and CRC32c.
 */
#include "suites.h"

#include "random.h"

#include "../../bridge/port/crc32c.h"
#include "../../bridge/port/layers.h"
#include "../../bridge/port/segments.h"
#include "../../bridge/port/vnet.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MAX = 70000, TCP = 6, UDP = 17 };

/* A frame in the making: each header is noted with what a reader would check of it. */
struct built {
	uint8_t bytes[FRAME_MAX];
	uint32_t len, l4;
	uint32_t ip[4], udp[4]; /* where they are */
	unsigned nip, nudp;
	bool tcp;
};

static struct built frame;

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
	return at[0] * 256u + at[1];
}

static void add(const char *bytes, uint32_t n)
{
	memcpy(frame.bytes + frame.len, bytes, n);
	frame.len += n;
}

static void begin(const char *ethertype)
{
	memset(&frame, 0, sizeof(frame));
	frame.len = 12;
	add(ethertype, 2);
}

static void add_ip4(uint8_t protocol)
{
	frame.ip[frame.nip++] = frame.len;
	add("\x45\0\0\0\xff\xff\x40\0\x40", 9);
	add((const char *)&protocol, 1);
	add("\0\0\x0a\0\0\x01\x0a\0\0\x02", 10);
}

static void add_ip6(uint8_t protocol)
{
	frame.ip[frame.nip++] = frame.len;
	add("\x60\0\0\0\0\0", 6);
	add((const char *)&protocol, 1);
	frame.len += 33;
}

static void add_vxlan(bool sum)
{
	frame.udp[frame.nudp++] = frame.len;
	add(sum ? "\1\1\x12\xb5\0\0\1\0" : "\1\1\x12\xb5\0\0\0\0", 8);
	frame.len += 8 + 12;
}

static void add_payload(uint32_t bytes)
{
	frame.l4 = frame.len;
	frame.len += frame.tcp ? 20 : 8;
	if (frame.tcp)
		memcpy(frame.bytes + frame.l4, "\1\2\3\4\xff\xff\xff\0\0\0\0\0\x50\x99", 14);
	random_bytes(frame.bytes + frame.len, bytes);
	frame.len += bytes;
}

static struct virtio_net_hdr merged(uint32_t size)
{
	return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	                               .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	                               .gso_size = (uint16_t)size,
	                               .csum_start = (uint16_t)frame.l4,
	                               .csum_offset = frame.tcp ? 16 : 6};
}

/* One's complement, the simple way. */
static uint32_t sum(uint32_t begin_with, const uint8_t *at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		begin_with += (uint32_t)at[i] << (i % 2 ? 0 : 8);
	while (begin_with > 0xffff)
		begin_with = (begin_with & 0xffff) + (begin_with >> 16);
	return begin_with;
}

static uint32_t pseudo(const uint8_t *ip, uint8_t protocol, uint32_t bytes)
{
	return ip[0] >> 4 == 4 ? sum(protocol + bytes, ip + 12, 8)
	                       : sum(protocol + bytes, ip + 8, 32);
}

/* The IP header that stands last before at. */
static uint32_t ip_before(uint32_t at)
{
	unsigned i = frame.nip;

	while (i-- > 0)
		if (frame.ip[i] < at)
			break;
	return frame.ip[i];
}

static void check_ips(const uint8_t *segment, uint32_t len, uint32_t number)
{
	for (unsigned i = 0; i < frame.nip; i++) {
		const uint8_t *ip = segment + frame.ip[i];
		uint32_t bytes = len - frame.ip[i];

		if (ip[0] >> 4 == 6) {
			require_eq(get16(ip + 4), bytes - 40);
			continue;
		}
		require_eq(get16(ip + 2), bytes);
		require_eq(get16(ip + 4), (0xffff + number) % 65536);
		require_eq(sum(0, ip, 20), 0xffff);
	}
}

static void check_udps(const uint8_t *segment, uint32_t len)
{
	for (unsigned i = 0; i < frame.nudp; i++) {
		const uint8_t *udp = segment + frame.udp[i];
		uint32_t bytes = len - frame.udp[i];

		require_eq(get16(udp + 4), bytes);
		require_eq(!get16(udp + 6), !get16(frame.bytes + frame.udp[i] + 6));
		if (get16(udp + 6))
			require_eq(sum(pseudo(segment + ip_before(frame.udp[i]), UDP, bytes), udp,
			               bytes),
			           0xffff);
	}
}

static void check_l4(const uint8_t *segment, uint32_t len, uint32_t done, bool last)
{
	const uint8_t *l4 = segment + frame.l4;
	uint32_t bytes = len - frame.l4;
	uint8_t protocol = frame.tcp ? TCP : UDP;

	require_eq(sum(pseudo(segment + ip_before(frame.l4), protocol, bytes), l4, bytes), 0xffff);
	if (!frame.tcp) {
		require_eq(get16(l4 + 4), bytes);
		return;
	}
	require_eq(get16(l4 + 4) << 16 | get16(l4 + 6), (uint32_t)(0xffffff00u + done));
	require_eq(l4[13], 0x10u | (done ? 0 : 0x80u) | (last ? 0x09u : 0));
}

static void check_segments(uint32_t size)
{
	const struct virtio_net_hdr vnet = merged(size);
	uint32_t header = frame.l4 + (frame.tcp ? 20 : 8), payload = frame.len - header;
	uint32_t done = 0, number = 0, len;
	struct segments segments;
	uint8_t *segment;

	require(segments_begin(&segments, frame.bytes, frame.len, &vnet));
	segment = malloc(segments_longest(&segments)); /* and not a byte more */
	for (; (len = segments_next(&segments, segment)); number++) {
		uint32_t bytes = payload - done < size ? payload - done : size;

		require_eq(len, header + bytes);
		require(!memcmp(segment + header, frame.bytes + header + done, bytes));
		require(!memcmp(segment, frame.bytes, 14));
		check_ips(segment, len, number);
		check_udps(segment, len);
		check_l4(segment, len, done, done + bytes == payload);
		done += bytes;
	}
	require_eq(done, payload);
	free(segment);
}

/* Frames of all kinds: tunnel is 0 to 5. */
static void build(unsigned tunnel, bool tcp, uint32_t payload)
{
	uint8_t l4 = tcp ? TCP : UDP;

	begin(tunnel == 4 ? "\x88\x47" : "\x08\0");
	frame.tcp = tcp;
	if (tunnel == 0) {
		add_ip4(l4);
	} else if (tunnel == 1) {
		add_ip4(4);
		add_ip4(l4);
	} else if (tunnel == 2) {
		add_ip4(41);
		add_ip6(l4);
	} else if (tunnel == 3) {
		add_ip4(47);
		add("\0\0\x08\0", 4);
		add_ip4(l4);
	} else if (tunnel == 4) {
		add("\0\0\1\x40", 4);
		add_ip6(l4);
	} else {
		add_ip4(UDP);
		add_vxlan(random_below(2));
		add("\x86\xdd", 2);
		add_ip6(l4);
	}
	add_payload(payload);
}

START_TEST(every_segment_is_whole)
{
	static const uint32_t sizes[] = {1, 2, 3, 536, 1399, 1400, 9000};

	for (unsigned tunnel = 0; tunnel < 6; tunnel++)
		for (unsigned tcp = 0; tcp < 2; tcp++)
			for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
				for (uint32_t n = 1; n < 4; n++)
					for (uint32_t over = 0; over < 3; over++) {
						build(tunnel, tcp, n * sizes[i] + over);
						check_segments(sizes[i]);
					}
}
END_TEST

/* Whatever bytes are there: nothing is read or written beyond the frame (as the sanitizers see). */
START_TEST(any_bytes)
{
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t len = random_below(200);
		uint8_t *bytes = malloc(len + 1), *copy = bytes + 1;
		struct virtio_net_hdr vnet = {
		        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		        .gso_type = (uint8_t)random_below(2),
		        .gso_size = (uint16_t)(random_below(2) ? random_below(9) : random_next()),
		        .csum_start = (uint16_t)random_below(220),
		        .csum_offset = (uint16_t)(random_below(3) * 8)};
		struct segments segments;

		build(random_below(6), random_below(2), 100);
		memcpy(copy, frame.bytes, len);
		for (unsigned k = random_below(4); k && len; k--)
			copy[random_below(len)] = (uint8_t)random_next();
		if (random_below(2))
			vnet.csum_start = (uint16_t)frame.l4;
		layers_is_plain(copy, len, vnet.csum_start);
		if (segments_begin(&segments, copy, len, &vnet)) {
			uint8_t *segment = malloc(segments_longest(&segments));
			uint32_t total = 0, one;

			while ((one = segments_next(&segments, segment))) {
				require(one <= segments_longest(&segments));
				total += one - segments.headers;
			}
			require_eq(total, len - segments.headers);
			free(segment);
		}
		vnet_complete(&vnet, copy, len);
		free(bytes);
	}
}
END_TEST

START_TEST(plain_is_plain)
{
	build(0, true, 10);
	ck_assert(layers_is_plain(frame.bytes, frame.len, frame.l4));
	ck_assert(!layers_is_plain(frame.bytes, frame.len, frame.l4 + 4));
	for (unsigned tunnel = 1; tunnel < 6; tunnel++) {
		build(tunnel, true, 10);
		require(!layers_is_plain(frame.bytes, frame.len, frame.l4));
	}
	begin("\x81\0");
	add("\0\7\x88\xa8\0\7\x08\0", 8);
	add_ip4(TCP);
	add_payload(0);
	ck_assert(layers_is_plain(frame.bytes, frame.len, frame.l4));
}
END_TEST

/* What the header can say is left to it; what not is completed, once. */
START_TEST(sums_are_completed)
{
	struct virtio_net_hdr vnet;

	for (unsigned tunnel = 0; tunnel < 6; tunnel++)
		for (unsigned tcp = 0; tcp < 2; tcp++) {
			uint32_t at, bytes, sum_of_all;

			build(tunnel, tcp, 101);
			vnet = merged(0);
			vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
			at = frame.l4 + vnet.csum_offset;
			bytes = frame.len - frame.l4;
			sum_of_all = pseudo(frame.bytes + ip_before(frame.l4),
			                    frame.tcp ? TCP : UDP, bytes);
			put16(frame.bytes + at, sum_of_all);
			require(vnet_complete(&vnet, frame.bytes, frame.len));
			require_eq(!tunnel, vnet.flags);
			if (tunnel)
				require_eq(sum(sum_of_all, frame.bytes + frame.l4, bytes), 0xffff);
			else
				require_eq(get16(frame.bytes + at), sum_of_all);
		}
	build(1, true, 5000);
	vnet = merged(1400);
	ck_assert(!vnet_complete(&vnet, frame.bytes, frame.len)); /* to be cut */
	build(0, true, 5000);
	vnet = merged(1400);
	ck_assert(vnet_complete(&vnet, frame.bytes, frame.len));
	ck_assert_uint_eq(vnet.gso_size, 1400);
}
END_TEST

/* RFC 9260, appendix A, names the polynomial; the values are those of RFC 3720, B.4, and the usual
 * check. */
START_TEST(crc)
{
	uint8_t bytes[32] = {0};

	ck_assert_uint_eq(crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c(bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(crc32c(bytes, 32), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	ck_assert_uint_eq(crc32c(bytes, 32), 0x46dd794e);
}
END_TEST

START_TEST(sctp)
{
	struct virtio_net_hdr vnet = {
	        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 8};
	uint8_t zero[16] = {0};

	begin("\x08\0");
	add_ip4(132);
	add("\1\2\3\4\0\0\0\0\xaa\xaa\xaa\xaa\1\0\0\4", 16);
	ck_assert(vnet_complete(&vnet, frame.bytes, frame.len));
	memcpy(zero, "\1\2\3\4\0\0\0\0\0\0\0\0\1\0\0\4", 16);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(frame.bytes[34 + 8 + i], (uint8_t)(crc32c(zero, 16) >> (8 * i)));
	ck_assert_uint_eq(vnet.flags, 0);
}
END_TEST

Suite *segments_suite(void)
{
	const TTest *const tests[] = {every_segment_is_whole,
	                              any_bytes,
	                              plain_is_plain,
	                              sums_are_completed,
	                              crc,
	                              sctp,
	                              NULL};

	return suite_of("segments", tests);
}
