/*
 * The kernel's programs beside two engines: the arrays of the second one are in the programs' maps.
 */
#ifndef UNIT_FASTPATH_FIXTURE_H
#define UNIT_FASTPATH_FIXTURE_H

#include "fixture.h"
#include "frames6.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/fastpath/guard.h"
#include "../../bridge/fastpath/maps.h"
#include "../../bridge/process/sanitized.h"
#include "../../lb/csum.h"
#include "../../lb/way.h"
#include "../../lb/wire.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <time.h>

enum {
	TALKS = 8,
	EVENTS = 12000,
	OUT_IFINDEX = 1, /* where nothing is sent: a test run redirects nowhere */
	MTU = 1500,
	SEGMENT = 85, /* the most that the short link's MTU leaves to a segment's data */
	LEAST = ETH_HEADER_BYTES + IPV6_HEADER_BYTES, /* bytes of a frame */
};

static struct engine plain, shared;
static struct engine four; /* its rules only, which are of IPv4 in any case */
static struct maps maps;

static bool six;      /* all is IPv6 */
static bool bare;     /* snat = off */
static uint16_t vlan; /* the farm's and its servers'; 0: none */
static enum rules_mode mode;
static struct guard *guard; /* NULL: as a cable */
static unsigned nopened, by_program, by_engine, fins_by_program;

static inline struct mac server_mac(unsigned server)
{
	return mac_of((uint8_t)(0x41 + server));
}

static inline lb_time clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (lb_time){(uint64_t)t.tv_sec * LB_NS_PER_S + (uint64_t)t.tv_nsec};
}

/* Makes the engine anew at its time, its arrays in the maps or not. */
static inline void begin_anew(struct engine *engine, bool in_maps)
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
	engine_use_extras(engine, engine->rules);
}

static inline void set_sides(void)
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

static inline struct rules_net net_of(be32 address, unsigned bits, enum side side)
{
	return (struct rules_net){.address = six ? fixture_ip6(address) : ip6_mapped(address),
	                          .prefix = (uint8_t)(96 + bits),
	                          .side = (uint8_t)side};
}

/* By which side the servers are. */
static inline enum side home(void)
{
	return mode == MODE_ONE_ARMED ? OUTSIDE : INSIDE;
}

/* A test program begins with the same numbers each time: what is drawn here is so for both. */
static inline struct rules *rules_here(bool vip_is_hosts)
{
	struct rules *rules = fixture_rules(2);

	if (six)
		fixture_make_ipv6(rules);
	if (bare)
		rules->farms[0].nsnat = 0;
	rules->farms[0].vlan = rules->servers[0].vlan = rules->servers[1].vlan = vlan;
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

static inline void end(void)
{
	rules_free(four.rules);
	engine_stop(&plain);
	engine_stop(&shared);
	maps_close(&maps);
	maps = (struct maps){0};
	guard_close(guard);
	guard = NULL;
}

/* False if programs can't be loaded here. */
static inline bool load_programs(void)
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

/*
 * False if programs can't be loaded here. The kernel takes about a second to check them: who has
 * more to try with the same rules does it before end(). vip_is_hosts: in modes where that can be.
 */
static inline bool begin_with(bool ipv6, bool vip_is_hosts)
{
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

static inline bool begin(bool ipv6)
{
	return begin_with(ipv6, random_below(2));
}

/* Frames that the programs have left to the process. */
static inline uint64_t punted(void)
{
	struct fastpath_counts counts;

	maps_count(&maps, &counts);
	return counts.punted[OUTSIDE] + counts.punted[INSIDE];
}

/* Runs a program over the frame, which it may change. Returns what it says. */
static inline uint32_t run(enum loaded_program program, struct built *built, struct __sk_buff *ctx)
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

/* If the process gets the frame, or a copy. */
static inline bool is_told(struct built *built)
{
	const uint64_t before = punted();
	struct __sk_buff ctx = {0};

	run(LOADED_RECEIVE, built, &ctx);
	return punted() != before;
}

/* If the programs forward the frame, and don't leave it to the process. */
static inline bool forwarded(struct built *built)
{
	const uint64_t left = punted();
	struct __sk_buff ctx = {.gso_size = 0};
	uint32_t act = run(LOADED_RECEIVE, built, &ctx);

	if (act == (uint32_t)TC_ACT_UNSPEC)
		act = run(LOADED_FLOW, built, &ctx);
	if (act == (uint32_t)TC_ACT_UNSPEC)
		act = run(LOADED_FLOW6, built, &ctx);
	return act == TC_ACT_REDIRECT && punted() == left;
}

static inline void build(struct built *ret, const struct spec *spec)
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
static inline void note_server(struct talk *t, const struct built *built)
{
	const uint32_t src = built->l3 + (six ? 8 + 12 : 12); /* of IPv6 the last four bytes */

	t->snat = be32_load(built->frame.data + src);
	t->snat_port = frames_get16(built->frame.data + built->l4);
}

#endif
