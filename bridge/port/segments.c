/*
 * Each segment gets a copy of all headers and its part of the payload; then, from the inside to the
 * outside, the lengths, and the sums over what is final by then. The IDs of IPv4 headers count up,
 * as if each segment had been sent on its own. TCP's sequence number goes on, FIN and PSH stay with
 * the last segment, CWR with the first (RFC 3168, 6.1.2).
 *
 * What a UDP tunnel without a sum has stays without one (RFC 6935).
 */
#include "segments.h"

#include "../../lb/csum.h"
#include "../../lb/wire.h"

enum {
	UDP_LENGTH = 4,
	UDP_CHECKSUM = 6,
	UDP_BYTES = 8,
	GRE_CHECKSUM = 0x80,
	GRE_SUM = 4,
	PPPOE_LENGTH = 4,
	PPPOE_BYTES = 6,
	TCP_CWR = 0x80,
	IP_LENGTH_MAX = 0xffff,
};

bool segments_begin(struct segments *segments, const uint8_t *frame, uint32_t len,
                    const struct virtio_net_hdr *vnet)
{
	uint32_t l4 = vnet->csum_start, header = UDP_BYTES, least = UDP_BYTES;

	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !vnet->gso_size ||
	    !layers_find(frame, len, l4, &segments->layers))
		return false;
	if (segments->layers.protocol == IPPROTO_NUM_TCP) {
		if (len - l4 < TCP_HEADER_BYTES)
			return false;
		header = (frame[l4 + TCP_DATA_OFFSET] >> 4) * 4u;
		least = TCP_HEADER_BYTES;
	}
	if (header < least || len - l4 <= header || l4 + header + vnet->gso_size > IP_LENGTH_MAX)
		return false;
	segments->frame = frame;
	segments->len = len;
	segments->headers = l4 + header;
	segments->size = vnet->gso_size;
	segments->done = 0;
	return true;
}

uint32_t segments_longest(const struct segments *segments)
{
	return segments->headers + segments->size;
}

static void store16(uint8_t *at, uint32_t value)
{
	be16_store(at, be16_from((uint16_t)value));
}

static void count_on(uint8_t *id, uint32_t by)
{
	store16(id, be16_get(be16_load(id)) + by);
}

/* The pseudo header's sum of bytes that are in the IP header ip. */
static csum_acc pseudo_of(const uint8_t *ip, uint8_t protocol, uint32_t bytes)
{
	struct ip6 src6, dst6;
	be32 src, dst;

	if (ip[0] >> 4 == 6) {
		memcpy(&src6, ip + IPV6_SRC, sizeof(src6));
		memcpy(&dst6, ip + IPV6_DST, sizeof(dst6));
		return csum_pseudo6(&src6, &dst6, protocol, (uint16_t)bytes);
	}
	memcpy(&src, ip + IPV4_SRC, sizeof(src));
	memcpy(&dst, ip + IPV4_DST, sizeof(dst));
	return csum_pseudo(src, dst, protocol, (uint16_t)bytes);
}

/* Writes the checksum of the bytes at from, field among them, with begins added. */
static void sum_up(uint8_t *field, csum_acc begins, const uint8_t *from, uint32_t bytes)
{
	csum_store(field, 0);
	csum_store(field, (uint16_t)~csum_fold(csum_add(begins, from, bytes)));
}

/* In UDP a sum of 0 is written as its other form: 0 says that there is none (RFC 768). */
static void sum_up_udp(uint8_t *udp, const uint8_t *ip, uint32_t bytes)
{
	sum_up(udp + UDP_CHECKSUM, pseudo_of(ip, 17, bytes), udp, bytes);
	if (!csum_load(udp + UDP_CHECKSUM))
		csum_store(udp + UDP_CHECKSUM, 0xffff);
}

static void finish_tcp(const struct segments *segments, uint8_t *tcp, const uint8_t *ip,
                       uint32_t bytes, bool last)
{
	uint32_t sequence = be32_get(be32_load(tcp + TCP_SEQ)) + segments->done;

	be32_store(tcp + TCP_SEQ, be32_from(sequence));
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (segments->done)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	sum_up(tcp + TCP_CHECKSUM, pseudo_of(ip, IPPROTO_NUM_TCP, bytes), tcp, bytes);
}

/* Sets lengths and sums of the header at `at`. The bytes count from there, and all behind the
 * header are final already; ip is the IP header outside it. */
static void finish_layer(enum layer_kind kind, uint8_t *at, uint32_t bytes, const uint8_t *ip,
                         uint32_t number)
{
	switch (kind) {
	case LAYER_IPV4:
		store16(at + IPV4_TOTAL_LENGTH, bytes);
		count_on(at + IPV4_ID, number);
		sum_up(at + IPV4_CHECKSUM, 0, at, (at[0] & 0x0fu) * 4);
		break;
	case LAYER_IPV6:
		store16(at + IPV6_PAYLOAD_LENGTH, bytes - IPV6_HEADER_BYTES);
		break;
	case LAYER_UDP:
		store16(at + UDP_LENGTH, bytes);
		if (csum_load(at + UDP_CHECKSUM))
			sum_up_udp(at, ip, bytes);
		break;
	case LAYER_GRE:
		if (at[0] & GRE_CHECKSUM)
			sum_up(at + GRE_SUM, 0, at, bytes);
		break;
	case LAYER_PPPOE:
		store16(at + PPPOE_LENGTH, bytes - PPPOE_BYTES);
		break;
	}
}

/* The IP header outside layer i, or NULL. */
static const uint8_t *ip_before(const struct layers *layers, unsigned i, const uint8_t *frame)
{
	while (i--)
		if (layers->layer[i].kind == LAYER_IPV4 || layers->layer[i].kind == LAYER_IPV6)
			return frame + layers->layer[i].at;
	return NULL;
}

static void finish(const struct segments *segments, uint8_t *segment, uint32_t len, bool last)
{
	const struct layers *layers = &segments->layers;
	const uint8_t *ip = ip_before(layers, layers->n, segment);
	uint8_t *l4 = segment + layers->l4;

	if (layers->protocol == IPPROTO_NUM_TCP) {
		finish_tcp(segments, l4, ip, len - layers->l4, last);
	} else {
		store16(l4 + UDP_LENGTH, len - layers->l4);
		sum_up_udp(l4, ip, len - layers->l4);
	}
	for (unsigned i = layers->n; i--;) {
		const struct layer *layer = &layers->layer[i];

		finish_layer(layer->kind, segment + layer->at, len - layer->at,
		             ip_before(layers, i, segment), segments->done / segments->size);
	}
}

uint32_t segments_next(struct segments *segments, uint8_t *to)
{
	uint32_t left = segments->len - segments->headers - segments->done;
	uint32_t bytes = left < segments->size ? left : segments->size;

	if (!left)
		return 0;
	memcpy(to, segments->frame, segments->headers);
	memcpy(to + segments->headers, segments->frame + segments->headers + segments->done, bytes);
	finish(segments, to, segments->headers + bytes, bytes == left);
	segments->done += bytes;
	return segments->headers + bytes;
}
