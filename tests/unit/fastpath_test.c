/*
 * The kernel's programs against the engine. Two engines get the same packets; the second one's
 * arrays are in the programs' maps, and the programs see each frame first: what they forward must
 * leave as the first engine's does, and leave the same behind; what they don't, the second engine
 * gets. Frames of the wire, and those of our captures, go where the engine says they go. All of it
 * as a cable, between two subnets, and beside the others; there VIP and SNAT address are the host's
 * own, or not.
 *
 * A test run can give a program neither a tag beside the frame nor a partial checksum; live tests
 * have both. FASTPATH_EVENTS in the environment: segments of each version of IP.
 *
 * It takes the right to load programs; without it there is nothing to be seen here.
 */
#include "fixture.h"
#include "frames6.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/fastpath/guard.h"
#include "../../bridge/fastpath/maps.h"
#include "../../lb/csum.h"
#include "../../lb/way.h"
#include "../../lb/wire.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <glob.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <time.h>

#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* whose struct bpf_insn is another one */
#include <pcap/pcap.h>

enum {
	TALKS = 8,
	EVENTS = 12000,
	WIRE_EVENTS = 10000,
	OUT_IFINDEX = 1, /* where nothing is sent: a test run redirects nowhere */
	MTU = 1500,
	SEGMENT = 85, /* the most that the short link's MTU leaves to a segment's data */
	LEAST = ETH_HEADER_BYTES + IPV6_HEADER_BYTES, /* bytes of a frame */
};

static struct engine plain, shared;
static struct engine four; /* its rules only, which are of IPv4 in any case */
static struct maps maps;
static struct talk talks[TALKS];
static bool six; /* all is IPv6 */
static enum rules_mode mode;
static struct guard *guard; /* NULL: as a cable */
static unsigned nopened, by_program, by_engine, fins_by_program;

static struct mac server_mac(unsigned server)
{
	return mac_of((uint8_t)(0x41 + server));
}

static lb_time clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (lb_time){(uint64_t)t.tv_sec * LB_NS_PER_S + (uint64_t)t.tv_nsec};
}

/* Makes the engine anew at its time, its arrays in the maps or not. */
static void begin_anew(struct engine *engine, bool in_maps)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const struct hash_key key = {{0, 0}};
	struct farms *farms = lb_balance(engine->lb)->farms;
	struct table table;

	lb_table_sizes(engine->rules, &share_whole, &table);
	maps_table(&maps, 0, &table);
	/* programs have no other clock than this */
	engine->now = clock_now();
	engine->lb = lb_init_shared(engine->mem, in_maps ? &table : NULL, farms, &key, macs,
	                            engine->now);
	if (!in_maps && engine->ip6_mem)
		lb_use_ip6(engine->lb, engine->ip6_mem);
}

static void set_sides(void)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	/* what is nearly too long is drawn often: any_segment() */
	const uint32_t short_mtu = (six ? 40 : 20) + 20 + SEGMENT;
	const uint32_t mtus[NSIDES] = {MTU, mode == MODE_TRANSPARENT ? MTU : short_mtu};

	for (unsigned side = 0; side < NSIDES; side++)
		maps.conf->sides[side] = (struct fastpath_side){.ifindex = OUT_IFINDEX,
		                                                .mtu = mtus[side],
		                                                .mac = fastpath_mac(macs[side].b)};
	for (unsigned side = 0; mode != MODE_TRANSPARENT && side < NSIDES; side++) {
		lb_set_mtu(plain.lb, (enum side)side, mtus[side]);
		lb_set_mtu(shared.lb, (enum side)side, mtus[side]);
	}
	maps.conf->active = true;
	maps.conf->alive_ns = UINT64_MAX; /* so that it is never taken for dead */
	ck_assert_int_eq(loaded_attend(&maps.loaded), 0);
}

static struct rules_net net_of(be32 address, unsigned bits, enum side side)
{
	return (struct rules_net){.address = six ? fixture_ip6(address) : ip6_mapped(address),
	                          .prefix = (uint8_t)(96 + bits),
	                          .side = (uint8_t)side};
}

/* By which side the servers are. */
static enum side home(void)
{
	return mode == MODE_ONE_ARMED ? OUTSIDE : INSIDE;
}

/* A test program begins with the same numbers each time: what is drawn here is so for both. */
static struct rules *rules_here(bool vip_is_hosts)
{
	struct rules *rules = fixture_rules(2);

	if (six)
		fixture_make_ipv6(rules);
	if (mode == MODE_TRANSPARENT)
		return rules;
	rules->mode = mode;
	rules->nets.all[0] = net_of(ip4(10, 9, 0, 1), 16, OUTSIDE);
	rules->nets.all[1] = net_of(vip_is_hosts ? fixture_vip() : ip4(10, 0, 0, 1), 24, home());
	rules->nets.n = 2;
	fixture_set_snat_ports(&rules->farms[0], 1024, 32767);
	way_settle(rules);
	return rules;
}

static void end(void)
{
	rules_free(four.rules);
	engine_stop(&plain);
	engine_stop(&shared);
	maps_close(&maps);
	guard_close(guard);
	guard = NULL;
}

/* False if programs can't be loaded here. */
static bool load_programs(void)
{
	struct loaded_guard theirs = {{0}};
	int err = 0;

	if (mode != MODE_TRANSPARENT && (err = guard_open(shared.rules, &guard)) == 0)
		theirs = guard_maps(guard);
	if (!err)
		err = maps_open(&maps, shared.rules, &share_whole, 1, NULL, guard ? &theirs : NULL);
	if (err < 0)
		ck_assert_int_eq(err, -EPERM);
	return !err;
}

/* False if programs can't be loaded here. */
static bool begin(bool ipv6)
{
	const bool vip_is_hosts = random_below(2);

	six = ipv6;
	nopened = by_program = by_engine = fins_by_program = 0;
	four.rules = fixture_rules(2);
	engine_start(&plain, rules_here(vip_is_hosts));
	engine_start(&shared, rules_here(vip_is_hosts));
	if (!load_programs()) {
		end();
		return false;
	}
	begin_anew(&plain, false);
	begin_anew(&shared, true);
	set_sides();
	for (unsigned s = 0; s < 2; s++) {
		const struct hop hop = {.mac = server_mac(s), .side = home() & 1};

		maps_set_way(&maps, shared.rules, s, &hop);
	}
	return true;
}

/* Frames that the programs have left to the process. */
static uint64_t punted(void)
{
	struct fastpath_counts counts;

	maps_count(&maps, &counts);
	return counts.punted[OUTSIDE] + counts.punted[INSIDE];
}

/* Runs a program over the frame, which it may change. Returns what it says. */
static uint32_t run(enum loaded_program program, struct built *built, struct __sk_buff *ctx)
{
	uint8_t out[FRAME_HEADROOM + FRAMES_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = built->frame.data,
	            .data_size_in = built->frame.len, .data_out = out, .data_size_out = sizeof(out),
	            .ctx_in = ctx, .ctx_size_in = sizeof(*ctx), .ctx_out = ctx,
	            .ctx_size_out = sizeof(*ctx));

	ck_assert_msg(bpf_prog_test_run_opts(maps.loaded.programs[program + built->frame.side],
	                                     &opts) == 0,
	              "a frame of %u bytes isn't taken", built->frame.len);
	ck_assert_uint_eq(opts.data_size_out, built->frame.len);
	memcpy(built->frame.data, out, built->frame.len);
	return opts.retval;
}

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

/* The same frame through both. */
static struct verdict pass(struct built *built)
{
	struct built theirs;
	struct verdict v, w;

	frames_copy(&theirs, built);
	v = engine_input(&plain, built);
	if (programs_forward(&theirs)) {
		by_program++;
		fins_by_program += built->frame.data[built->l4 + TCP_FLAGS] & TCP_FIN;
		require_eq(v.why, WHY_FLOW_HIT);
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

static void build(struct built *ret, const struct spec *spec)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	struct spec here = *spec;
	struct built built;

	if (mode == MODE_ONE_ARMED)
		here.side = OUTSIDE;
	if (mode != MODE_TRANSPARENT)
		here.dst = macs[here.side];
	if (!six)
		return frames_tcp(ret, &here);
	frames_tcp(&built, &here);
	frames6_of(ret, &built);
}

/* Where the server answers to: what a client's segment has become. */
static void note_server(struct talk *t, const struct built *built)
{
	const uint32_t src = built->l3 + (six ? 8 + 12 : 12); /* of IPv6 the last four bytes */

	t->snat = be32_load(built->frame.data + src);
	t->snat_port = frames_get16(built->frame.data + built->l4);
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
	spec.tcp_options = random_below(2) ? 0 : 12;
	spec.ip_options = random_below(20) ? 0 : 8;
	spec.fragment = random_below(20) ? 0 : 0x2000;
	if (mode != MODE_TRANSPARENT && random_below(2)) /* as long as may be, or nearly */
		spec.payload = (uint16_t)(SEGMENT - 1 + random_below(3) - spec.tcp_options);
	if (e == CLIENT && !random_below(8))
		spec.src = mac_of((uint8_t)(0x90 + random_below(3)));
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
		built.frame.data[built.l3 + random_below(40)] ^= 4;
	pass(&built);
	if (spec.flags == 0x10 && random_below(2))
		t->next[e] = spec.seq + spec.payload;
	if (!random_below(100))
		open_talk(t);
}

/* EVENTS of them, with connections of their own; false if programs can't be loaded here. */
static bool exchange_some(bool ipv6)
{
	if (!begin(ipv6))
		return false;
	for (unsigned i = 0; i < TALKS; i++)
		open_talk(&talks[i]);
	for (unsigned i = 0; i < EVENTS; i++)
		exchange(&talks[random_below(TALKS)]);
	require(by_program > EVENTS / 10);
	require(by_engine > EVENTS / 20);
	require(fins_by_program > EVENTS / 1000);
	end();
	return true;
}

static void exchange_many(bool ipv6)
{
	const char *text = getenv("FASTPATH_EVENTS");
	const unsigned long n = text ? strtoul(text, NULL, 10) : EVENTS;

	for (unsigned long i = 0; i < n; i += EVENTS)
		if (!exchange_some(ipv6))
			return;
}

START_TEST(segments_go_the_same_way)
{
	exchange_many(false);
}
END_TEST

START_TEST(segments_go_the_same_way_where_the_host_has_a_part)
{
	for (mode = MODE_TRANSPARENT + 1; mode <= MODE_ONE_ARMED; mode++)
		for (unsigned i = 0; i < 2; i++)
			exchange_many(i);
	mode = MODE_TRANSPARENT;
}
END_TEST

START_TEST(segments_go_the_same_way_in_ipv6)
{
	exchange_many(true);
}
END_TEST

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

START_TEST(frames_of_the_wire_go_the_same_way)
{
	struct built built;

	if (!begin(false))
		return;
	for (unsigned i = 0; i < WIRE_EVENTS; i++) {
		build_anything(&built);
		judge_both(&built);
	}
	end();
}
END_TEST

START_TEST(what_is_the_hosts_goes_to_it)
{
	struct built built;

	for (mode = MODE_TRANSPARENT + 1; mode <= MODE_ONE_ARMED; mode++) {
		for (unsigned n = 0; n < 2; n++) {
			if (!begin(n))
				break;
			for (unsigned i = 0; i < WIRE_EVENTS / 8; i++) {
				build_anything(&built);
				judge_both(&built);
			}
			end();
		}
	}
	mode = MODE_TRANSPARENT;
}
END_TEST

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

/* The host must not answer for a service port that it has a listener at, whatever comes before. */
START_TEST(behind_extension_headers_it_is_ours_as_well)
{
	static const uint8_t types[] = {IPPROTO_NUM_HOP_BY_HOP, IPPROTO_NUM_DESTINATION,
	                                IPPROTO_NUM_ROUTING};
	struct built built;

	for (mode = MODE_TRANSPARENT + 1; mode <= MODE_ONE_ARMED; mode++) {
		for (unsigned n = 0; n < 8; n++) { /* the VIP is the host's in some of them */
			if (!begin(true))
				break;
			for (unsigned i = 0; i < 3 * IPV6_EXTENSIONS_MAX; i++) {
				const struct spec syn =
				        spec_syn(fixture_client(0), (uint16_t)(5000 + i), 443);

				build(&built, &syn);
				for (unsigned k = 0; k <= i % IPV6_EXTENSIONS_MAX; k++)
					extend(&built, types[i % 3]);
				judge_both(&built);
			}
			end();
		}
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

START_TEST(frames_of_captures_go_the_same_way)
{
	glob_t found;
	unsigned n = 0;

	if (!begin(false))
		return;
	ck_assert_int_eq(glob("pcaps/*/*.pcap*", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		n += judge_capture(found.gl_pathv[i]);
	ck_assert_uint_gt(n, 1000);
	globfree(&found);
	end();
}
END_TEST

Suite *fastpath_suite(void)
{
	const TTest *const tests[] = {segments_go_the_same_way,
	                              segments_go_the_same_way_in_ipv6,
	                              segments_go_the_same_way_where_the_host_has_a_part,
	                              frames_of_the_wire_go_the_same_way,
	                              what_is_the_hosts_goes_to_it,
	                              behind_extension_headers_it_is_ours_as_well,
	                              frames_of_captures_go_the_same_way,
	                              NULL};

	return suite_of("fastpath", tests);
}
