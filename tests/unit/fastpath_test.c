/*
 * The kernel's programs against the engine. Two engines get the same packets; the second one's
 * arrays are in the programs' maps, and the programs see each frame first: what they forward must
 * leave as the first engine's does, and leave the same behind; what they don't, the second engine
 * gets. Frames of the wire, and those of our captures, go where the engine says they go. All of it
 * as a cable, between two subnets, and beside the others; there VIP and SNAT address are the host's
 * own, or not.
 *
 * A test run can give a program neither a tag beside the frame nor say that a checksum is partial;
 * live tests have both. FASTPATH_EVENTS in the environment: segments of each mode and version
 * of IP.
 *
 * It takes the right to load programs; without it there is nothing to be seen here.
 */
#include "fastpath_fixture.h"
#include "kept_programs.h"
#include "old_kernel.h"

#include "../../lb/tcp.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <glob.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>

#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* whose struct bpf_insn is another one */
#include <pcap/pcap.h>

static struct talk talks[TALKS];
static unsigned gaps_by_program;

enum { EVENTS_MAX = 10 * EVENTS };

/* If the programs forward the frame, which they change then. */
static bool programs_forward(struct built *built)
{
	struct __sk_buff ctx = {0};
	const uint64_t left = punted();
	struct built before;
	uint32_t act;

	if (mode != MODE_TRANSPARENT)
		ctx.gso_size = built->frame.merged;
	frames_copy(&before, built);
	if (run(LOADED_RECEIVE, built, &ctx) != (uint32_t)TC_ACT_UNSPEC)
		return false;
	require(memcmp(built->frame.data, before.frame.data, built->frame.len) == 0);
	act = run(LOADED_FLOW, built, &ctx);
	if (act == (uint32_t)TC_ACT_UNSPEC)
		act = run(LOADED_FLOW6, built, &ctx);
	if (act == TC_ACT_REDIRECT && punted() == left)
		return true;
	require(memcmp(built->frame.data, before.frame.data, built->frame.len) == 0);
	return false;
}

static void check_link(const struct built *built, const struct verdict *v)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const bool to_server = v->way.server != SERVER_NONE;
	const struct mac to = to_server ? server_mac(v->way.server) : v->way.hop.mac;
	const struct mac *from = &macs[to_server ? home() : v->way.hop.side];

	require(memcmp(built->frame.data + ETH_DST, &to, sizeof(to)) == 0);
	require(memcmp(built->frame.data + ETH_SRC, from, sizeof(*from)) == 0);
}

static void check_same_flows(uint32_t f)
{
	const struct flows *flows[2] = {&lb_balance(plain.lb)->flows,
	                                &lb_balance(shared.lb)->flows};
	struct flow a = *flows_at(flows[0], f), b = *flows_at(flows[1], f);

	for (unsigned e = 0; e < 2; e++) {
		require_eq(flows_bytes(flows[0], f, e), flows_bytes(flows[1], f, e));
		require_eq(flows_packets(flows[0], f, e), flows_packets(flows[1], f, e));
		a.bytes[e] = b.bytes[e] = 0;
		a.packets[e] = b.packets[e] = 0;
	}
	require(b.last >= a.last && b.last - a.last < 600 * FLOW_TICKS_PER_S);
	a.last = b.last = 0;
	require(memcmp(&a, &b, sizeof(a)) == 0);
	require(hop_eq(flows_client(flows[0], f), flows_client(flows[1], f)));
}

/* As soon as the engine looks, it knows how a flow has ended. */
static void take_notes(void)
{
	struct own out[8];
	bool more;

	lb_poll(shared.lb, shared.now, out, sizeof(out) / sizeof(out[0]), &more);
	require(!more);
}

/* If the segment, which plain has judged, and shared hasn't, has data, and begins behind a gap. */
static bool is_behind_a_gap(const struct built *arrived, const struct verdict *v)
{
	const enum end end = v->way.server == SERVER_NONE ? SERVER : CLIENT;
	const uint8_t *tcp = arrived->frame.data + arrived->l4;
	const uint32_t seq = frames_get32(tcp + TCP_SEQ), header = (tcp[TCP_DATA_OFFSET] >> 4) * 4u;

	return v->why == WHY_FLOW_HIT && arrived->frame.len > arrived->l4 + header &&
	       tcp_seq_after(seq, flow_next(flows_at(&lb_balance(shared.lb)->flows, v->flow), end));
}

/* A test run knows of no partial checksums, and changes one as if it were whole. */
static void level_checksums(const struct built *built, struct built *theirs)
{
	if (built->frame.flags & FRAME_CSUM_PARTIAL)
		memcpy(theirs->frame.data + theirs->l4 + TCP_CHECKSUM,
		       built->frame.data + built->l4 + TCP_CHECKSUM, sizeof(uint16_t));
}

/* The same frame through both. */
static struct verdict pass(struct built *built)
{
	struct built theirs;
	struct verdict v, w;
	bool is_gap;

	frames_copy(&theirs, built);
	v = engine_input(&plain, built);
	is_gap = is_behind_a_gap(&theirs, &v);
	if (programs_forward(&theirs)) {
		by_program++;
		gaps_by_program += is_gap;
		level_checksums(built, &theirs);
		fins_by_program += built->frame.data[built->l4 + TCP_FLAGS] & TCP_FIN;
		require_eq(v.why, WHY_FLOW_HIT);
		/* whether that is believed is for the process to say */
		require(!(built->frame.data[built->l4 + TCP_FLAGS] & TCP_RST));
		take_notes();
		check_link(&theirs, &v);
	} else {
		by_engine += v.why == WHY_FLOW_HIT;
		w = engine_input(&shared, &theirs);
		require_eq(v.why, w.why);
		require_eq(v.flow, w.flow);
	}
	require(memcmp(built->frame.data + built->l3, theirs.frame.data + theirs.l3,
	               built->frame.len - built->l3) == 0);
	if (v.act == LB_FORWARD && v.flow != FLOW_NONE)
		check_same_flows(v.flow);
	return v;
}

static void open_talk(struct talk *t)
{
	static const uint8_t flags[] = {0x02, 0x12, 0x10};
	struct built built;

	nopened++;
	*t = (struct talk){.engine = &four,
	                   .client = fixture_client(nopened % 5),
	                   .sport = (uint16_t)(20000 + nopened),
	                   .dport = nopened & 1 ? 443 : 5061,
	                   .next = {1000, 2000}};
	for (unsigned i = 0; i < 3; i++) {
		const enum end end = i == 1 ? SERVER : CLIENT;
		const struct spec spec = talk_spec(t, end, flags[i], 0);
		struct verdict v;

		build(&built, &spec);
		v = pass(&built);
		require_eq(v.act, LB_FORWARD);
		t->next[end] += flags[i] & 0x02 ? 1 : 0;
		if (!i) {
			note_server(t, &built);
			t->server = v.way.server;
		}
	}
}

/* Mostly what a TCP would send next, or nearly. */
static struct spec any_segment(const struct talk *t, enum end e)
{
	static const uint8_t rare[] = {0x01, 0x02, 0x04, 0x11, 0x12, 0x14, 0x19, 0x00, 0x08};
	struct spec spec = talk_spec(t, e, 0x10, (uint16_t)random_below(3) * 41);

	if (random_below(2))
		spec.flags |= (uint8_t)random_next() & 0xe8; /* PSH, URG, ECE, CWR */
	if (!random_below(50))
		spec.flags = rare[random_below(sizeof(rare))];
	if (!random_below(40)) { /* as most connections end */
		spec.flags = 0x11;
		spec.payload = 0;
	}
	if (!random_below(4))
		spec.seq += random_below(200) - 100;
	if (!random_below(4))
		spec.ack += random_below(200) - 100;
	if (!random_below(20))
		spec.seq += (uint32_t)random_next();
	spec.partial = !random_below(4);
	spec.tcp_options = random_below(2) ? 0 : 12;
	spec.ip_options = random_below(20) ? 0 : 8;
	spec.fragment = random_below(20) ? 0 : 0x2000;
	if (mode != MODE_TRANSPARENT && random_below(2)) /* as long as may be, or nearly */
		spec.payload = (uint16_t)(SEGMENT - 1 + random_below(3) - spec.tcp_options);
	if (e == CLIENT && !random_below(8)) {
		spec.src = mac_of((uint8_t)(0x90 + random_below(3)));
		spec.src.b[1] = random_below(2) ? 1 : 0; /* in another word of it */
	}
	if (!random_below(8))
		spec.side = random_below(2) ? INSIDE : OUTSIDE;
	return spec;
}

/* Of few left, or of many; and merged frames, of which only the size of a part counts. */
static void spend(struct built *built)
{
	uint8_t *ttl = built->frame.data + built->l3 + (six ? IPV6_HOP_LIMIT : IPV4_TTL);

	if (!random_below(6)) {
		*ttl = (uint8_t)random_below(4);
		if (!six)
			frames_fix(built);
	}
	if (!random_below(6))
		built->frame.merged = (uint16_t)(SEGMENT - 1 + random_below(3));
}

/* If the TCP checksum is the pseudo header's sum: a test run takes it for a partial one, whatever
 * the frame's flags say. One of 65,536 damaged frames is so by chance. */
static bool looks_partial(const struct built *built)
{
	const uint8_t *tcp = built->frame.data + built->l4, *at = built->frame.data + built->l3;
	const uint16_t len = (uint16_t)(built->frame.len - built->l4);
	const csum_acc sum =
	        six ? csum_pseudo6(&(struct ip6){0}, &(struct ip6){0}, IPPROTO_NUM_TCP, len)
	            : csum_pseudo((be32){0}, (be32){0}, IPPROTO_NUM_TCP, len);

	return csum_fold(csum_add(sum, at + (six ? IPV6_SRC : IPV4_SRC), six ? 32 : 8)) ==
	       csum_load(tcp + TCP_CHECKSUM);
}

static void damage(struct built *built)
{
	uint8_t *byte = built->frame.data + built->l3 + random_below(40);

	*byte ^= 4;
	if (!(built->frame.flags & FRAME_CSUM_PARTIAL) && looks_partial(built))
		*byte ^= 4;
}

static void exchange(struct talk *t)
{
	const enum end e = random_below(2) ? SERVER : CLIENT;
	struct spec spec = any_segment(t, e);
	struct built built;

	spec.ntags = random_below(16) ? 0 : 1;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = 7;
	build(&built, &spec);
	if (mode != MODE_TRANSPARENT)
		spend(&built);
	if (!random_below(10))
		damage(&built);
	pass(&built);
	if (spec.flags == 0x10 && random_below(2))
		t->next[e] = spec.seq + spec.payload;
	if (!random_below(100))
		open_talk(t);
}

/* Frames that went without the process, though it had to judge them. */
static uint64_t unattended(void)
{
	struct fastpath_counts counts;

	maps_count(&maps, &counts);
	return counts.unattended[OUTSIDE] + counts.unattended[INSIDE];
}

/* If the programs have forwarded enough of what there is seldom. */
static bool has_seldom(void)
{
	return fins_by_program > EVENTS / 1000 && gaps_by_program > EVENTS / 2000;
}

/* EVENTS of them, or more until there was enough of what is seldom, with connections of their own;
 * false if programs can't be loaded here. */
static bool exchange_some(bool ipv6, bool by_old)
{
	if (by_old)
		old_kernel_refuse();
	if (!begin(ipv6))
		return false;
	ck_assert_int_eq(by_old, by_old && old_kernel_has_refused());
	gaps_by_program = 0;
	for (unsigned i = 0; i < TALKS; i++)
		open_talk(&talks[i]);
	for (unsigned i = 0; i < EVENTS || (!has_seldom() && i < EVENTS_MAX); i++)
		exchange(&talks[random_below(TALKS)]);
	require(by_program > EVENTS / 10);
	require(by_engine > EVENTS / 20);
	require(has_seldom());
	require_eq(unattended(), 0);
	end();
	return true;
}

static void exchange_many(bool ipv6)
{
	const char *text = getenv("FASTPATH_EVENTS");
	const unsigned long n = text ? strtoul(text, NULL, 10) : EVENTS;

	for (unsigned long i = 0; i < n; i += EVENTS)
		if (!exchange_some(ipv6, false))
			return;
}

START_TEST(segments_go_the_same_way)
{
	exchange_many(false);
}
END_TEST

START_TEST(segments_go_the_same_way_where_the_host_has_a_part)
{
	const unsigned any = random_below(2); /* the kernel's part is the same, sanitized or not */

	for (mode = MODE_TRANSPARENT + 1; mode <= MODE_ONE_ARMED; mode++)
		for (unsigned i = 0; i < 2; i++)
			if (!SANITIZED || i == (any ^ (mode & 1)))
				exchange_many(i);
	mode = MODE_TRANSPARENT;
}
END_TEST

START_TEST(segments_go_the_same_way_in_ipv6)
{
	exchange_many(true);
}
END_TEST

START_TEST(segments_go_the_same_way_by_programs_for_any_kernel)
{
	for (unsigned i = 0; i < 2; i++)
		exchange_some(i, true);
}
END_TEST

/* As the kernel has one of more than 65,535 bytes: its length says 0. */
static void say_no_length(struct built *built)
{
	uint8_t *ip = built->frame.data + built->l3;

	memset(ip + IPV4_TOTAL_LENGTH, 0, sizeof(be16));
	memset(ip + IPV4_CHECKSUM, 0, sizeof(be16));
	csum_store(ip + IPV4_CHECKSUM, (uint16_t)~csum_fold(csum_add(0, ip, IPV4_HEADER_BYTES)));
}

/* No test run takes so long a frame: what it says is what counts. */
START_TEST(what_is_longer_than_ip_can_say_passes_if_it_is_merged)
{
	const uint16_t sizes[] = {0, 41};
	struct talk *t = &talks[0];
	const struct flow *flow;
	struct built built;
	struct spec spec;

	if (!begin(false))
		return;
	open_talk(t);
	spec = talk_spec(t, CLIENT, 0x10, 0);
	build(&built, &spec);
	flow = flows_at(&lb_balance(shared.lb)->flows, pass(&built).flow);
	for (unsigned i = 0; i < 2; i++) {
		struct __sk_buff ctx = {.gso_size = sizes[i]};

		spec = talk_spec(t, CLIENT, 0x10, 82);
		build(&built, &spec);
		say_no_length(&built);
		require_eq(run(LOADED_RECEIVE, &built, &ctx) == (uint32_t)TC_ACT_UNSPEC, i);
		require_eq(i && run(LOADED_FLOW, &built, &ctx) == TC_ACT_REDIRECT, i);
		require_eq(flow_next(flow, CLIENT), spec.seq + (i ? 82 : 0));
	}
	end();
}
END_TEST

Suite *fastpath_suite(void)
{
	const TTest *const tests[] = {
	        segments_go_the_same_way,
	        segments_go_the_same_way_in_ipv6,
	        segments_go_the_same_way_where_the_host_has_a_part,
	        segments_go_the_same_way_by_programs_for_any_kernel,
	        what_is_longer_than_ip_can_say_passes_if_it_is_merged,
	        NULL,
	};

	return suite_of_programs("fastpath", tests, true);
}
