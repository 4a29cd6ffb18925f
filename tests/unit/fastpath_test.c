/*
 * The kernel's programs against the engine. Two engines get the same packets; the second one's
 * arrays are in the programs' maps, and the programs see each frame first: what they forward must
 * leave as the first engine's does, and leave the same behind; what they don't, the second engine
 * gets. Frames of the wire go where the engine says they go.
 *
 * It takes the right to load programs; without it there is nothing to be seen here.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/fastpath/maps.h"
#include "../../lb/wire.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <time.h>

enum {
	TALKS = 8,
	EVENTS = 30000,
	WIRE_EVENTS = 20000,
	OUT_IFINDEX = 1, /* where nothing is sent: a test run redirects nowhere */
	MTU = 1500,
	LEAST = ETH_HEADER_BYTES + IPV6_HEADER_BYTES, /* bytes of a frame */
};

static struct engine plain, shared;
static struct maps maps;
static struct talk talks[TALKS][2]; /* of plain and shared */
static unsigned nopened, by_program, by_engine;

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
}

static void set_sides(void)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};

	for (unsigned side = 0; side < NSIDES; side++)
		maps.conf->sides[side] = (struct fastpath_side){
		        .ifindex = OUT_IFINDEX, .mtu = MTU, .mac = fastpath_mac(macs[side].b)};
	maps.conf->active = true;
	maps.conf->alive_ns = UINT64_MAX; /* so that it is never taken for dead */
	ck_assert_int_eq(loaded_attend(&maps.loaded), 0);
}

/* False if programs can't be loaded here. */
static bool begin(void)
{
	int err;

	nopened = by_program = by_engine = 0;
	engine_start(&plain, fixture_rules(2));
	engine_start(&shared, fixture_rules(2));
	err = maps_open(&maps, shared.rules, &share_whole, 1, NULL);
	if (err < 0) {
		ck_assert_int_eq(err, -EPERM);
		maps_close(&maps);
		engine_stop(&plain);
		engine_stop(&shared);
		return false;
	}
	begin_anew(&plain, false);
	begin_anew(&shared, true);
	set_sides();
	for (unsigned s = 0; s < 2; s++) {
		const struct hop hop = {.mac = server_mac(s), .side = INSIDE};

		maps_set_way(&maps, shared.rules, s, &hop);
	}
	return true;
}

static void end(void)
{
	engine_stop(&plain);
	engine_stop(&shared);
	maps_close(&maps);
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

	frames_copy(&before, built);
	if (run(LOADED_RECEIVE, built, &ctx) != (uint32_t)TC_ACT_UNSPEC)
		return false;
	require(memcmp(built->frame.data, before.frame.data, built->frame.len) == 0);
	if (run(LOADED_FLOW, built, &ctx) == TC_ACT_REDIRECT && punted() == left)
		return true;
	require(memcmp(built->frame.data, before.frame.data, built->frame.len) == 0);
	return false;
}

static void check_link(const struct built *built, const struct verdict *v)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const bool to_server = v->way.server != SERVER_NONE;
	const struct mac to = to_server ? server_mac(v->way.server) : v->way.hop.mac;
	const struct mac *from = &macs[to_server ? INSIDE : v->way.hop.side];

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

/* The same frame through both. */
static void pass(struct built *built)
{
	struct built theirs;
	struct verdict v, w;

	frames_copy(&theirs, built);
	v = engine_input(&plain, built);
	if (programs_forward(&theirs)) {
		by_program++;
		require_eq(v.why, WHY_FLOW_HIT);
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
}

static void open_talks(struct talk t[2])
{
	nopened++;
	talk_open(&t[0], &plain, fixture_client(nopened % 5), (uint16_t)(20000 + nopened),
	          nopened & 1 ? 443 : 5061);
	talk_open(&t[1], &shared, fixture_client(nopened % 5), (uint16_t)(20000 + nopened),
	          nopened & 1 ? 443 : 5061);
	require_eq(t[0].server, t[1].server);
	require_eq(t[0].snat_port, t[1].snat_port);
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
	if (!random_below(4))
		spec.seq += random_below(200) - 100;
	if (!random_below(4))
		spec.ack += random_below(200) - 100;
	if (!random_below(20))
		spec.seq += (uint32_t)random_next();
	spec.tcp_options = random_below(2) ? 0 : 12;
	spec.ip_options = random_below(20) ? 0 : 8;
	spec.fragment = random_below(20) ? 0 : 0x2000;
	if (e == CLIENT && !random_below(8))
		spec.src = mac_of((uint8_t)(0x90 + random_below(3)));
	if (!random_below(8))
		spec.side = random_below(2) ? INSIDE : OUTSIDE;
	return spec;
}

static void exchange(struct talk t[2])
{
	const enum end e = random_below(2) ? SERVER : CLIENT;
	struct spec spec = any_segment(&t[0], e);
	struct built built;

	frames_tcp(&built, &spec);
	if (!random_below(10))
		built.frame.data[built.l3 + random_below(40)] ^= 4;
	pass(&built);
	if (spec.flags == 0x10 && random_below(2))
		t[0].next[e] = t[1].next[e] = spec.seq + spec.payload;
	if (!random_below(100))
		open_talks(t);
}

START_TEST(segments_go_the_same_way)
{
	if (!begin())
		return;
	for (unsigned i = 0; i < TALKS; i++)
		open_talks(talks[i]);
	for (unsigned i = 0; i < EVENTS; i++)
		exchange(talks[random_below(TALKS)]);
	require(by_program > EVENTS / 10);
	require(by_engine > EVENTS / 20);
	end();
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
		require_eq(v->why, WHY_TO_HOST);
		break;
	case TC_ACT_SHOT:
		require(v->why == WHY_LOOP || v->why == WHY_PROTOCOL_NOT_SERVED);
		break;
	default: /* TCP to us, or so it seems */
		require_eq((int32_t)act, TC_ACT_UNSPEC);
		is_left = true;
	}
	/* whatever the engine would say that needs more than a look is left to it */
	if (v->act != LB_BRIDGE && v->why != WHY_TO_HOST && v->why != WHY_LOOP &&
	    v->why != WHY_PROTOCOL_NOT_SERVED)
		require(is_left);
}

START_TEST(frames_of_the_wire_go_the_same_way)
{
	if (!begin())
		return;
	for (unsigned i = 0; i < WIRE_EVENTS; i++) {
		struct built built, theirs;
		struct __sk_buff ctx = {0};
		struct verdict v;
		uint64_t before = punted();
		uint32_t act;

		build_anything(&built);
		frames_copy(&theirs, &built);
		act = run(LOADED_RECEIVE, &theirs, &ctx);
		require(memcmp(theirs.frame.data, built.frame.data, built.frame.len) == 0);
		v = engine_input(&plain, &built);
		check_act(act, punted() != before, &v);
	}
	end();
}
END_TEST

Suite *fastpath_suite(void)
{
	const TTest *const tests[] = {segments_go_the_same_way, frames_of_the_wire_go_the_same_way,
	                              NULL};

	return suite_of("fastpath", tests);
}
