/*
 * Merged frames before filters: each is judged, in the kernel as in the process, as the first of
 * the packets that it was made of. What that is says the segmentation of port/, which knows nothing
 * of filters.
 */
#include "filtering.h"
#include "kept_programs.h"
#include "suites.h"

#include "../../bridge/fastpath/expression.h"
#include "../../bridge/fastpath/first.h"
#include "../../bridge/port/segments.h"
#include "../../bridge/worker/firewall.h"

#include <stdio.h>

enum kind {
	KIND_TCP,
	KIND_UDP,
	KIND_VXLAN,
	KIND_GENEVE,
	KIND_SIDE_BY_SIDE,
	KIND_IP_IN_IP,
	KIND_GRE,
	KIND_GRE_ETHERNET, /* with a checksum and a key */
	KINDS
};

struct shape {
	enum kind kind;
	unsigned ntags;
	bool ipv6, inner_ipv6, extension, jumbo;
	uint16_t size; /* bytes of payload of each packet */
};

enum { PACKETS = 3, TCP_OPTIONS = 12, GENEVE_OPTIONS = 8 };

/* Lengths above all, of each layer; what depends on where ports are; and bytes far behind. */
static const char *const expressions[] = {
        "tcp port 5061",
        "udp dst port 4789 or udp dst port 6081 or udp dst port 53",
        "ip6 and tcp dst port 5061",
        "ip and udp[4:2] = len - 34",
        "ip[2:2] = len - 14",
        "ip6[4:2] = len - 54",
        "ip6 proto 6",
        "ip6[6] = 0",
        "ip6[6] = 60",
        "len <= 180",
        "len <= 200",
        "len <= 260",
        "len <= 390",
        "greater 450",
        "ether[len - 1] = 99 or ether[len - 1] = 43",
        "udp[32:2] = len - 64",
        "udp[40:2] = len - 72",
        "udp[34:2] = len - 104",
        "udp[90:4] != 0",
        "ip proto 4 and ip[22:2] = len - 34",
        "ip proto 41 and ip[24:2] = len - 74",
        "ip proto 47 and ip[26:2] = len - 38",
        "ip proto 47 and ip[48:2] = len - 60",
        "ip6 proto 47 and ip6[48:2] = len - 98",
        "vlan and tcp port 5061",
        "vlan and ip[2:2] = len - 18",
        "vlan and ip6[4:2] = len - 58",
        "vlan and udp[4:2] = len - 38",
        "vlan and vlan and (tcp port 5061 or udp)",
        "vlan and vlan and ip6[4:2] = len - 62",
};

enum { NEXPRESSIONS = sizeof(expressions) / sizeof(*expressions) };

static struct filtering f;
static struct firewall *firewall;
static struct expression compiled[NEXPRESSIONS];
static uint64_t matches;

/* ---- Building ---- */

static uint8_t *put_ethernet(uint8_t *p, const struct shape *shape, unsigned ntags, bool ipv6)
{
	(void)shape;
	memset(p, 0x22, 12);
	p += 12;
	for (unsigned i = 0; i < ntags; i++, p += FRAME_TAG_BYTES) {
		frames_put16(p, 0x8100);
		frames_put16(p + 2, 7);
	}
	frames_put16(p, ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	return p + 2;
}

static uint8_t *put_extension(uint8_t *p, uint8_t *next, uint8_t type, uint8_t option)
{
	memset(p, 0, 8);
	p[0] = *next;
	p[2] = option;
	p[3] = 4;
	*next = type;
	return p + 8;
}

/* Lengths are filled in later: their places are kept. */
struct lengths {
	uint8_t *at[4], *from[4];
	unsigned n;
};

static void keep(struct lengths *lengths, uint8_t *at, uint8_t *from)
{
	lengths->at[lengths->n] = at;
	lengths->from[lengths->n++] = from;
}

static uint8_t *put_ip(uint8_t *p, bool ipv6, uint8_t protocol, bool extension, bool jumbo,
                       struct lengths *lengths)
{
	uint8_t *next = p + IPV6_NEXT_HEADER, *end = p + 40;

	if (!ipv6) {
		memset(p, 0, 20);
		p[0] = 0x45;
		p[8] = 64;
		p[IPV4_PROTOCOL] = protocol;
		memset(p + IPV4_SRC, 10, 8);
		keep(lengths, p + 2, p);
		return p + 20;
	}
	memset(p, 0, 40);
	p[0] = 0x60;
	p[IPV6_NEXT_HEADER] = protocol;
	memset(p + IPV6_SRC, 0xfd, 32);
	keep(lengths, p + 4, end);
	if (jumbo) {
		end = put_extension(end, next, IPPROTO_NUM_HOP_BY_HOP, 0xc2);
		next = end - 8;
	}
	if (extension)
		end = put_extension(end, next, IPPROTO_NUM_DESTINATION, 1);
	return end;
}

static uint8_t *put_tcp(uint8_t *p)
{
	memset(p, 0, 20 + TCP_OPTIONS);
	frames_put16(p, 40000);
	frames_put16(p + 2, 5061);
	p[TCP_DATA_OFFSET] = (20 + TCP_OPTIONS) / 4 << 4;
	p[TCP_FLAGS] = TCP_ACK;
	return p + 20 + TCP_OPTIONS;
}

static uint8_t *put_udp(uint8_t *p, uint16_t port, struct lengths *lengths)
{
	memset(p, 0, 8);
	frames_put16(p, 40000);
	frames_put16(p + 2, port);
	keep(lengths, p + 4, p);
	return p + 8;
}

/* Headers of a tunnel, and what is in it up to its own IP header. */
static uint8_t *put_tunnel(uint8_t *p, const struct shape *shape, struct lengths *lengths)
{
	const bool geneve = shape->kind == KIND_GENEVE;

	p = put_udp(p, geneve ? 6081 : 4789, lengths);
	memset(p, 0, 8 + GENEVE_OPTIONS);
	if (geneve) {
		p[0] = GENEVE_OPTIONS / 4;
		frames_put16(p + 2, 0x6558);
		p += GENEVE_OPTIONS;
	}
	return put_ethernet(p + 8, shape, 0, shape->inner_ipv6);
}

/* The protocol by which the outer header of IP says what is in it. */
static uint8_t protocol_of(const struct shape *shape)
{
	switch (shape->kind) {
	case KIND_TCP:
		return IPPROTO_NUM_TCP;
	case KIND_IP_IN_IP:
		return shape->inner_ipv6 ? 41 : 4;
	case KIND_GRE:
	case KIND_GRE_ETHERNET:
		return 47;
	default:
		return IPPROTO_NUM_UDP;
	}
}

/* What is in a tunnel that isn't UDP, up to its own IP header. */
static uint8_t *put_ip_tunnel(uint8_t *p, const struct shape *shape)
{
	if (shape->kind == KIND_IP_IN_IP)
		return p;
	memset(p, 0, 12);
	if (shape->kind == KIND_GRE) {
		frames_put16(p + 2, shape->inner_ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
		return p + 4;
	}
	p[0] = 0xa0;
	frames_put16(p + 2, 0x6558);
	return put_ethernet(p + 12, shape, 0, shape->inner_ipv6);
}

static uint8_t *put_headers(uint8_t *p, const struct shape *shape, struct lengths *lengths,
                            uint8_t **ret_l4)
{
	const uint8_t protocol = protocol_of(shape);
	struct lengths inner = {.n = 0};

	p = put_ethernet(p, shape, shape->ntags, shape->ipv6);
	*ret_l4 = p = put_ip(p, shape->ipv6, protocol, shape->extension, shape->jumbo, lengths);
	if (shape->kind == KIND_TCP)
		return put_tcp(p);
	if (shape->kind == KIND_UDP)
		return put_udp(p, 53, lengths);
	if (shape->kind == KIND_SIDE_BY_SIDE) { /* each with a header of its own, and its length */
		uint8_t *payload = p + 8, *ip = put_tunnel(p, shape, lengths);

		put_ip(ip, shape->inner_ipv6, 17, false, false, &inner);
		frames_put16(inner.at[0], (uint16_t)(payload + shape->size - inner.from[0]));
		return payload;
	}
	p = protocol == IPPROTO_NUM_UDP ? put_tunnel(p, shape, lengths) : put_ip_tunnel(p, shape);
	*ret_l4 = put_ip(p, shape->inner_ipv6, 6, false, false, lengths);
	return put_tcp(*ret_l4);
}

/* Returns where layer 4 begins whose payload is cut. */
static uint32_t build(struct built *built, const struct shape *shape)
{
	struct lengths lengths = {.n = 0};
	uint8_t *data = built->bytes + FRAME_HEADROOM, *l4;
	uint8_t *payload = put_headers(data, shape, &lengths, &l4);
	const uint32_t bytes = PACKETS * shape->size - 50u;
	uint32_t from = 0, len;

	if (shape->kind == KIND_SIDE_BY_SIDE) /* headers of the first one are there */
		from = 70;
	for (uint32_t i = from; i < bytes; i++)
		payload[i] = (uint8_t)(i % shape->size);
	len = (uint32_t)(payload - data) + bytes;
	for (unsigned i = 0; i < lengths.n; i++)
		frames_put16(lengths.at[i], (uint16_t)(data + len - lengths.from[i]));
	built->frame =
	        (struct frame){.data = data, .len = len, .wire_len = len, .merged = shape->size};
	return (uint32_t)(l4 - data);
}

/* ---- Asking ---- */

/* As it was on the wire, where nothing is put in by the kernel. */
static uint32_t first_of(const struct shape *shape, uint8_t *ret)
{
	struct shape on_wire = *shape;
	struct segments segments;
	struct built merged;
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	                              .gso_size = shape->size};

	on_wire.jumbo = false;
	vnet.csum_start = (uint16_t)build(&merged, &on_wire);
	ck_assert(segments_begin(&segments, merged.frame.data, merged.frame.len, &vnet));
	return segments_next(&segments, ret);
}

static void judge(const struct shape *shape)
{
	uint8_t first[FRAMES_BYTES];
	const uint32_t len = first_of(shape, first);
	struct fastpath_filter_counts is, was[NEXPRESSIONS];
	struct firewall_counts old[NEXPRESSIONS];
	struct verdict verdict;
	struct built built;

	build(&built, shape);
	for (unsigned i = 0; i < NEXPRESSIONS; i++) {
		filters_count(&f.filters, i, &was[i]);
		old[i] = firewall_counts(firewall, i);
	}
	filtering_receive(&f, &built);
	if (!shape->jumbo) /* which sockets don't get */
		firewall_lets(firewall, f.engine.lb, "eth0", &built.frame, f.engine.now, &verdict);
	for (unsigned i = 0; i < NEXPRESSIONS; i++) {
		const bool does = expression_matches(&compiled[i], first, len, len);
		const uint64_t packets = does ? PACKETS : 0;

		matches += does;
		filters_count(&f.filters, i, &is);
		ck_assert_msg(is.matched - was[i].matched == packets,
		              "\"%s\" in the kernel, kind %d, %u tags, IPv6 %d %d, extension %d, "
		              "jumbo %d, size %d: not %d",
		              expressions[i], shape->kind, shape->ntags, shape->ipv6,
		              shape->inner_ipv6, shape->extension, shape->jumbo, shape->size, does);
		ck_assert_msg(shape->jumbo ||
		                      firewall_counts(firewall, i).matched - old[i].matched ==
		                              packets,
		              "\"%s\" in the process, kind %d, %u tags, IPv6 %d %d, extension %d, "
		              "size %d: not %d",
		              expressions[i], shape->kind, shape->ntags, shape->ipv6,
		              shape->inner_ipv6, shape->extension, shape->size, does);
	}
}

/* With all that goes together. */
static void judge_all(uint16_t size)
{
	for (unsigned n = 0; n < KINDS * 3 * 16; n++) {
		const struct shape shape = {.kind = (enum kind)(n % KINDS),
		                            .ntags = n / KINDS % 3,
		                            .ipv6 = n / KINDS / 3 & 1,
		                            .inner_ipv6 = n / KINDS / 3 & 2,
		                            .extension = n / KINDS / 3 & 4,
		                            .jumbo = n / KINDS / 3 & 8,
		                            .size = size};

		if ((shape.extension || shape.jumbo) && !shape.ipv6)
			continue;
		if (shape.inner_ipv6 && shape.kind < KIND_VXLAN)
			continue;
		judge(&shape);
	}
}

START_TEST(merged_frames_are_judged_as_their_first_packet)
{
	char why[EXPRESSION_WHY_BYTES];
	int old[NSIDES];

	filtering_begin(&f);
	for (unsigned i = 0; i < NEXPRESSIONS; i++) {
		filtering_add(&f, expressions[i], ON_MATCH_COUNT);
		ck_assert_msg(expression_compile(&f.rules->filters[i], &compiled[i], why) == 0,
		              "%s: %s", expressions[i], why);
	}
	if (filtering_load(&f)) {
		ck_assert_int_eq(firewall_new(f.rules, &share_whole, f.engine.now, &firewall), 0);
		filters_use(&f.filters, f.rules, f.engine.now, old);
		filtering_activate(&f);
		judge_all(100);
		judge_all(300);
		ck_assert_uint_gt(matches, 500);
		firewall_free(firewall);
		filtering_end(&f);
	}
	for (unsigned i = 0; i < NEXPRESSIONS; i++)
		expression_free(&compiled[i]);
}
END_TEST

/* UDP behind an extension header of IPv6, as far behind as that reaches. */
static void behind(unsigned units, bool is_read)
{
	uint8_t bytes[FIRST_BYTES] = {0}, before[FIRST_BYTES];
	volatile struct first_notes notes = {.len = 2000, .merged = 500};
	const struct first first = {bytes, &notes};

	frames_put16(bytes + ETH_TYPE, ETHERTYPE_IPV6);
	bytes[14 + IPV6_NEXT_HEADER] = IPPROTO_NUM_DESTINATION;
	bytes[14 + 40] = IPPROTO_NUM_UDP;
	bytes[14 + 40 + 1] = (uint8_t)(units - 1);
	memcpy(before, bytes, sizeof(before));
	ck_assert_int_eq(first_packet(&first), is_read);
	ck_assert_mem_eq(bytes, before, 14 + IPV6_PAYLOAD_LENGTH);
	if (!is_read)
		ck_assert_mem_eq(bytes, before, sizeof(before));
}

START_TEST(what_is_too_far_behind_is_left_as_it_is)
{
	for (unsigned units = 1; units <= 256; units++)
		behind(units, 14 + 40 + 8 * units + TCP_HEADER_BYTES <= FIRST_MASK);
}
END_TEST

Suite *filters_merged_suite(void)
{
	const TTest *const tests[] = {merged_frames_are_judged_as_their_first_packet,
	                              what_is_too_far_behind_is_left_as_it_is, NULL};

	return suite_of_programs("filters_merged", tests, false);
}
