/*
 * What goes with a frame when its first byte moves.
 */
#include "suites.h"

#include "../../bridge/port/vnet.h"

#include <string.h>

enum { GSO_UDP_L4 = 5 }; /* newer than the headers of Debian 12 */

static const uint8_t types[] = {
        VIRTIO_NET_HDR_GSO_TCPV4,
        VIRTIO_NET_HDR_GSO_TCPV6,
        VIRTIO_NET_HDR_GSO_UDP,
        GSO_UDP_L4,
        VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
        VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
};

static struct virtio_net_hdr gso(uint8_t type)
{
	return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	                               .gso_type = type,
	                               .hdr_len = 66,
	                               .gso_size = 1448,
	                               .csum_start = 34,
	                               .csum_offset = 16};
}

/* Both offsets, by one tag or two, put in or taken out; and nothing else. */
START_TEST(offsets_follow)
{
	for (unsigned i = 0; i < sizeof(types); i++)
		for (int moved = -8; moved <= 8; moved += 4) {
			struct virtio_net_hdr vnet = gso(types[i]), want = vnet;

			want.hdr_len = (uint16_t)(66 + moved);
			want.csum_start = (uint16_t)(34 + moved);
			vnet_move(&vnet, moved);
			ck_assert_mem_eq(&vnet, &want, sizeof(vnet));
			vnet_move(&vnet, -moved);
			want = gso(types[i]);
			ck_assert_mem_eq(&vnet, &want, sizeof(vnet));
		}
}
END_TEST

/* A checksum yet to be completed without segmentation has no hdr_len; one that is known to be good
 * has no offsets. */
START_TEST(what_is_not_meant_stays)
{
	struct virtio_net_hdr vnet = gso(VIRTIO_NET_HDR_GSO_NONE), want;

	vnet.hdr_len = vnet.gso_size = 0;
	want = vnet;
	want.csum_start = 38;
	vnet_move(&vnet, 4);
	ck_assert_mem_eq(&vnet, &want, sizeof(vnet));
	vnet = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	want = vnet;
	vnet_move(&vnet, 4);
	ck_assert_mem_eq(&vnet, &want, sizeof(vnet));
}
END_TEST

START_TEST(whole_frame_as_header)
{
	struct virtio_net_hdr vnet = gso(VIRTIO_NET_HDR_GSO_TCPV4);

	vnet.hdr_len = UINT16_MAX - 2;
	vnet_move(&vnet, 4);
	ck_assert_uint_eq(vnet.hdr_len, UINT16_MAX);
}
END_TEST

Suite *vnet_suite(void)
{
	const TTest *const tests[] = {offsets_follow, what_is_not_meant_stays,
	                              whole_frame_as_header, NULL};

	return suite_of("vnet", tests);
}
