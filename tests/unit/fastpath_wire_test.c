/*
 * The kernel's programs against the engine: frames of the wire, and those of our captures, go where
 * the engine says they go.
 */
#include "fastpath_fixture.h"
#include "kept_programs.h"

#include <bpf/bpf.h>
#include <glob.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* whose struct bpf_insn is another one */
#include <pcap/pcap.h>

enum { WIRE_EVENTS = 10000, EXTENDED_EVENTS = 12 * IPV6_EXTENSIONS_MAX };

/* Anything: to us or not, whole or not. */
static void build_anything(struct built *built)
{
	struct spec spec = {
	        .dst = mac_of((uint8_t)random_below(4)),
	        .src = mac_of(
	                (uint8_t)(random_below(20) ? 0x90 + random_below(3) : random_below(4))),
	        .side = random_below(2) ? INSIDE : OUTSIDE,
	        .from = random_below(3) ? fixture_client(random_below(3)) : fixture_server(0),
	        .to = random_below(2) ? fixture_vip() : fixture_server(random_below(3)),
	        .ntags = random_below(FRAMES_TAGS + 1),
	        .protocol = random_below(2) ? 17 : (uint8_t)random_next(),
	        .arp_oper = (uint16_t)random_below(4),
	        .payload = (uint16_t)random_below(100),
	        .sport = 1234,
	        .dport = 443,
	        .flags = (uint8_t)random_next(),
	        .icmp_type = random_below(2) ? 8 : (uint8_t)random_below(16),
	};
	static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100};

	for (unsigned i = 0; i < FRAMES_TAGS; i++) {
		spec.tpid[i] = tpids[random_below(3)];
		spec.tci[i] = (uint16_t)random_next();
	}
	switch (random_below(5)) {
	case 0:
		frames_arp(built, &spec);
		break;
	case 1:
		frames_icmp(built, &spec);
		break;
	case 2:
		frames_ipv4(built, &spec);
		break;
	case 3:
		frames_tcp(built, &spec);
		break;
	default:
		spec.payload = (uint16_t)(spec.payload + LEAST);
		frames_ether(built, &spec, (uint16_t)random_next());
	}
	if (!random_below(4))
		built->frame.data[random_below(built->frame.len)] ^= (uint8_t)random_next();
	/* a test run takes no frame that doesn't hold the IP header that its EtherType says */
	if (!random_below(8) && built->frame.len > LEAST) {
		built->frame.len = LEAST + random_below(built->frame.len - LEAST);
		built->frame.wire_len = built->frame.len;
	}
}

/* What the first program says must be what the engine does, or that it is the engine's to say. */
static void check_act(uint32_t act, bool is_left, const struct verdict *v)
{
	switch (act) {
	case TC_ACT_REDIRECT:
		require(is_left || v->act == LB_BRIDGE);
		break;
	case TC_ACT_OK:
		require((is_left && v->act != LB_ANSWER) || v->why == WHY_TO_HOST ||
		        (mode != MODE_TRANSPARENT && v->why == WHY_OTHER_HOST));
		break;
	case TC_ACT_SHOT:
		require(v->why == WHY_LOOP || v->why == WHY_PROTOCOL_NOT_SERVED);
		break;
	default: /* TCP to us, or so it seems */
		require_eq((int32_t)act, TC_ACT_UNSPEC);
		is_left = true;
	}
	/* whatever the engine would say that needs more than a look is left to it */
	if (v->act != LB_BRIDGE && v->why != WHY_TO_HOST && v->why != WHY_OTHER_HOST &&
	    v->why != WHY_LOOP && v->why != WHY_PROTOCOL_NOT_SERVED)
		require(is_left);
}

/* The first program's opinion of the frame, and the engine's. */
static void judge_both(struct built *built)
{
	const uint64_t before = punted();
	struct __sk_buff ctx = {0};
	struct built theirs;
	struct verdict v;
	uint32_t act;

	frames_copy(&theirs, built);
	act = run(LOADED_RECEIVE, &theirs, &ctx);
	require(memcmp(theirs.frame.data, built->frame.data, built->frame.len) == 0);
	v = engine_input(&plain, built);
	check_act(act, punted() != before, &v);
}

/* Puts an extension header of that type, 8 bytes long, between the IPv6 header and what follows. */
static void extend(struct built *built, uint8_t type)
{
	uint8_t *ip = built->frame.data + built->l3, *p = ip + IPV6_HEADER_BYTES;

	memmove(p + 8, p, built->frame.len - built->l3 - IPV6_HEADER_BYTES);
	memset(p, 0, 8);
	p[0] = ip[IPV6_NEXT_HEADER];
	p[2] = type == IPPROTO_NUM_ROUTING ? 0 : 1; /* of options: padding */
	p[3] = type == IPPROTO_NUM_ROUTING ? 0 : 4;
	ip[IPV6_NEXT_HEADER] = type;
	frames_put16(ip + IPV6_PAYLOAD_LENGTH,
	             (uint16_t)(frames_get16(ip + IPV6_PAYLOAD_LENGTH) + 8));
	built->frame.len += 8;
	built->frame.wire_len += 8;
	built->l4 += 8;
}

static void judge_anything(unsigned n)
{
	struct built built;

	for (unsigned i = 0; i < n; i++) {
		build_anything(&built);
		judge_both(&built);
	}
}

/* The host must not answer for a service port that it has a listener at, whatever comes before. */
static void judge_extended(void)
{
	static const uint8_t types[] = {IPPROTO_NUM_HOP_BY_HOP, IPPROTO_NUM_DESTINATION,
	                                IPPROTO_NUM_ROUTING};
	struct built built;

	for (unsigned i = 0; i < EXTENDED_EVENTS; i++) {
		const struct spec syn = spec_syn(fixture_client(0), (uint16_t)(5000 + i), 443);

		build(&built, &syn);
		for (unsigned k = 0; k <= i % IPV6_EXTENSIONS_MAX; k++)
			extend(&built, types[i % 3]);
		judge_both(&built);
	}
}

/* What is sent to another host's MAC address isn't ours, whatever the packet says; a group's is. */
static void leave_to_others(void)
{
	const struct {
		struct mac dst;
		uint32_t act;
	} cases[] = {{FIXTURE_OUTSIDE_MAC, (uint32_t)TC_ACT_UNSPEC},
	             {FIXTURE_BROADCAST, (uint32_t)TC_ACT_UNSPEC},
	             {{{2, 0, 0, 0, 0, 0x91}}, TC_ACT_OK}};
	struct fastpath_counts before, counts;
	struct built built;

	maps_count(&maps, &before);
	for (unsigned i = 0; i < 3; i++) {
		const struct spec syn = spec_syn(fixture_client(0), 5000, 443);
		struct __sk_buff ctx = {0};

		build(&built, &syn);
		memcpy(built.frame.data + ETH_DST, &cases[i].dst, sizeof(struct mac));
		ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx), cases[i].act);
	}
	maps_count(&maps, &counts);
	ck_assert_uint_eq(counts.whys[WHY_OTHER_HOST], before.whys[WHY_OTHER_HOST] + 1);
}

static void judge_hosts(bool ipv6, bool vip_is_hosts)
{
	if (!begin_with(ipv6, vip_is_hosts))
		return;
	leave_to_others();
	judge_anything(WIRE_EVENTS / 8);
	if (ipv6)
		judge_extended();
	end();
}

START_TEST(what_is_the_hosts_goes_to_it)
{
	const unsigned any = random_below(3); /* the kernel's part is the same, sanitized or not */

	for (mode = MODE_TRANSPARENT + 1; mode <= MODE_ONE_ARMED; mode++) {
		if (!SANITIZED || any == 0)
			judge_hosts(false, random_below(2));
		if (!SANITIZED || any == 1)
			judge_hosts(true, false);
		if (!SANITIZED || any == 2)
			judge_hosts(true, true);
	}
	mode = MODE_TRANSPARENT;
}
END_TEST

/* Those that a test run takes. Returns how many. */
static unsigned judge_capture(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *header;
	const u_char *data;
	unsigned n = 0;

	while (pcap && pcap_next_ex(pcap, &header, &data) == 1) {
		const bool is_inside = strstr(path, "in.pcap");
		struct built built = {.l3 = ETH_HEADER_BYTES};

		if (header->caplen != header->len || header->len < LEAST ||
		    header->len > FRAMES_BYTES)
			continue;
		built.frame = (struct frame){.data = built.bytes + FRAME_HEADROOM,
		                             .len = header->len,
		                             .wire_len = header->len,
		                             .side = is_inside ? INSIDE : OUTSIDE};
		memcpy(built.frame.data, data, header->len);
		judge_both(&built);
		n++;
	}
	if (pcap)
		pcap_close(pcap);
	return n;
}

static void judge_captures(void)
{
	glob_t found;
	unsigned n = 0;

	ck_assert_int_eq(glob("pcaps/*/*.pcap*", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		n += judge_capture(found.gl_pathv[i]);
	ck_assert_uint_gt(n, 1000);
	globfree(&found);
}

/* What the programs have counted of that port. */
static void expect_counts(enum side in, uint64_t received, uint64_t sent, uint64_t unsent)
{
	struct fastpath_counts counts;

	maps_count(&maps, &counts);
	ck_assert_uint_eq(counts.received[in], received);
	ck_assert_uint_eq(counts.received_bytes[in], received * LEAST);
	ck_assert_uint_eq(counts.sent[!in], sent);
	ck_assert_uint_eq(counts.sent_bytes[!in], sent * LEAST);
	ck_assert_uint_eq(counts.unsent[!in], unsent);
}

/* Merged of parts of so many bytes or, if 0, not merged. */
static void cross_merged(enum side side, uint32_t merged, uint32_t expected)
{
	const struct spec spec = {.dst = mac_of(0x91),
	                          .src = mac_of(0x90),
	                          .side = side,
	                          .payload = LEAST - ETH_HEADER_BYTES};
	struct __sk_buff ctx = {.gso_size = merged};
	struct built built;

	frames_ether(&built, &spec, 0x88b5);
	ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx), expected);
}

static void cross(enum side side, uint32_t expected)
{
	cross_merged(side, 0, expected);
}

/* It is sent all the same: the link may have come back, and the process not have seen that yet. */
static void count_what_leaves_without_a_link(void)
{
	for (unsigned side = 0; side < NSIDES; side++) {
		struct fastpath_side *out = &maps.conf->sides[!side];

		cross((enum side)side, TC_ACT_REDIRECT);
		expect_counts((enum side)side, 1, 1, 0);
		out->is = FASTPATH_NO_LINK;
		cross((enum side)side, TC_ACT_REDIRECT);
		expect_counts((enum side)side, 2, 1, 1);
		out->ifindex = 0;
		cross((enum side)side, TC_ACT_SHOT);
		expect_counts((enum side)side, 3, 1, 2);
		out->ifindex = OUT_IFINDEX;
		out->is = FASTPATH_HOSTS; /* which is no matter of what goes out there */
		cross((enum side)side, TC_ACT_REDIRECT);
		expect_counts((enum side)side, 4, 2, 2);
		out->is = 0;
		/* as long as may be: with an Ethernet header and room for a tag */
		out->mtu = LEAST - ETH_HEADER_BYTES - FRAME_TAG_BYTES;
		cross((enum side)side, TC_ACT_REDIRECT);
		expect_counts((enum side)side, 5, 3, 2);
		out->mtu--;
		cross((enum side)side, TC_ACT_SHOT);
		expect_counts((enum side)side, 6, 3, 3);
		/* but for what is merged, which the kernel cuts up on its way out */
		cross_merged((enum side)side, 20, TC_ACT_REDIRECT);
		expect_counts((enum side)side, 7, 4, 3);
		out->mtu = MTU;
	}
}

/* An ARP request of somebody else: the process is told, and where the host has an address it gets
 * the frame as well. Returns what the program has counted of it alone. */
static struct fastpath_counts ask_somebody(enum side side)
{
	const struct spec spec = {.dst = {{255, 255, 255, 255, 255, 255}},
	                          .src = mac_of(0x90),
	                          .side = side,
	                          .from = fixture_client(0),
	                          .to = fixture_server(2),
	                          .arp_oper = 1};
	struct fastpath_counts before, counts;
	struct __sk_buff ctx = {0};
	struct built built;

	frames_arp(&built, &spec);
	maps_count(&maps, &before);
	ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx), TC_ACT_OK);
	maps_count(&maps, &counts);
	counts.whys[WHY_NOT_OURS] -= before.whys[WHY_NOT_OURS];
	counts.received[side] -= before.received[side];
	counts.punted[side] -= before.punted[side];
	counts.sent[!side] -= before.sent[!side];
	counts.unsent[!side] -= before.unsent[!side];
	return counts;
}

/* Either the process counts the frame, which has got its copy, or the program does. What the port
 * has not taken isn't sent. */
static void count_copies(void)
{
	enum { NOWHERE = INT32_MAX };

	for (unsigned side = 0; side < NSIDES; side++) {
		struct fastpath_side *in = &maps.conf->sides[side], *out = &maps.conf->sides[!side];

		in->is = FASTPATH_HOSTS;
		for (unsigned i = 0; i < 4; i++) {
			const bool has_room = i & 1, is_taken = i & 2;
			struct fastpath_counts n;

			in->punt = has_room ? OUT_IFINDEX : NOWHERE;
			out->ifindex = is_taken ? OUT_IFINDEX : NOWHERE;
			n = ask_somebody((enum side)side);
			ck_assert_uint_eq(n.punted[side], has_room);
			ck_assert_uint_eq(n.received[side], !has_room);
			ck_assert_uint_eq(n.whys[WHY_NOT_OURS], !has_room);
			ck_assert_uint_eq(n.sent[!side], is_taken);
			ck_assert_uint_eq(n.unsent[!side], !is_taken);
		}
		in->is = 0;
		out->ifindex = OUT_IFINDEX;
	}
}

/* What looks like ARP for us, but is that of another protocol or hardware, is the wire's. */
static void tell_of_arp(void)
{
	static const unsigned fields[] = {ARP_HTYPE, ARP_PTYPE, ARP_HLEN, ARP_PLEN};
	const struct spec spec = {.dst = FIXTURE_BROADCAST,
	                          .src = mac_of(0x90),
	                          .from = fixture_client(0),
	                          .to = fixture_vip(),
	                          .arp_oper = 1};
	struct built built;

	frames_arp(&built, &spec);
	ck_assert(is_told(&built));
	for (unsigned i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		frames_arp(&built, &spec);
		built.frame.data[built.l3 + fields[i]] ^= 1;
		ck_assert(!is_told(&built));
	}
}

/* A query of multicast listeners is answered by the process, and only that. */
START_TEST(queries_of_listeners_are_told)
{
	const struct spec spec = spec_syn(fixture_client(0), 5000, 443);
	struct built built;
	uint8_t *ip;

	if (!begin(true))
		return;
	maps.conf->sides[OUTSIDE].punt = OUT_IFINDEX;
	for (unsigned i = 0; i < 2; i++) {
		build(&built, &spec);
		ip = built.frame.data + built.l3;
		ip[IPV6_DST] = 0xff;
		extend(&built, IPPROTO_NUM_HOP_BY_HOP);
		ip[IPV6_HEADER_BYTES] = IPPROTO_NUM_ICMPV6;
		ip[IPV6_HEADER_BYTES + MLD_OPTIONS_BYTES] = MLD_QUERY + (uint8_t)i;
		ck_assert_int_eq(is_told(&built), !i);
	}
	end();
}
END_TEST

START_TEST(frames_of_the_wire_go_the_same_way)
{
	if (!begin(false))
		return;
	count_what_leaves_without_a_link();
	count_copies();
	tell_of_arp();
	judge_anything(WIRE_EVENTS);
	judge_captures();
	end();
}
END_TEST

Suite *fastpath_wire_suite(void)
{
	const TTest *const tests[] = {
	        frames_of_the_wire_go_the_same_way,
	        queries_of_listeners_are_told,
	        what_is_the_hosts_goes_to_it,
	        NULL,
	};

	return suite_of_programs("fastpath_wire", tests, true);
}
