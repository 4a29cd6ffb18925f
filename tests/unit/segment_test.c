/*
 * Where clients are answered: by their packets, and by what ARP says of them or of their router.
 */
#include "fixture.h"
#include "suites.h"

#include <stdlib.h>

enum { ACK = 0x10, SYN = 0x02, RST = 0x04, PSH = 0x08, REQUEST = 1, REPLY = 2, VLAN = 10 };

enum { HOST = 0x51, HOST_2 = 0x52, HOST_3 = 0x53, MASK = 0x61, ROUTER = 0x71, ROUTER_2 = 0x72 };

static struct engine engine;

static void begin(void)
{
	engine_start(&engine, fixture_rules(1));
}

static void finish(void)
{
	engine_stop(&engine);
}

/* One tag of this TCI, or none. */
static struct spec tagged(struct spec spec, uint16_t tci)
{
	spec.ntags = tci != 0;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = tci;
	return spec;
}

/* ARP: `who` says that he is at the MAC address. */
static struct verdict say_tagged(be32 who, uint8_t mac, be32 to, uint16_t oper, enum side side,
                                 uint16_t tci)
{
	struct spec spec = {.dst = FIXTURE_BROADCAST,
	                    .src = mac_of(mac),
	                    .side = side,
	                    .from = who,
	                    .to = to,
	                    .arp_oper = oper};
	struct built built;

	spec = tagged(spec, tci);
	frames_arp(&built, &spec);
	return engine_input(&engine, &built);
}

static struct verdict say(be32 who, uint8_t mac)
{
	return say_tagged(who, mac, who, REQUEST, OUTSIDE, 0);
}

/* A packet of the client's from that MAC address: the SYN, or what comes next. */
static struct verdict come(struct talk *talk, uint8_t mac, uint8_t flags, uint16_t tci)
{
	struct spec spec = tagged(talk_spec(talk, CLIENT, flags, 0), tci);
	struct built built;
	struct verdict v;

	spec.src = mac_of(mac);
	frames_tcp(&built, &spec);
	v = engine_input(&engine, &built);
	if (v.why == WHY_FLOW_NEW) {
		talk->server = v.way.server;
		talk->snat = be32_load(built.frame.data + built.l3 + 12);
		talk->snat_port = frames_get16(built.frame.data + built.l4);
	}
	return v;
}

static struct talk open_tagged(be32 client, uint16_t port, uint8_t mac, uint16_t tci)
{
	struct talk talk = {.engine = &engine, .client = client, .sport = port, .dport = 5061};

	talk.next[CLIENT] = 1000;
	require_eq(come(&talk, mac, SYN, tci).why, WHY_FLOW_NEW);
	talk.next[CLIENT]++;
	talk.next[SERVER] = 7000;
	require_eq(talk_send(&talk, SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	require_eq(come(&talk, mac, ACK, tci).why, WHY_FLOW_HIT);
	return talk;
}

static struct talk open_from(be32 client, uint16_t port, uint8_t mac)
{
	return open_tagged(client, port, mac, 0);
}

/* The server speaks: to which MAC address, and where, does it go? */
static struct hop answered(struct talk *talk)
{
	struct verdict v = talk_send(talk, SERVER, PSH | ACK, 10);

	require_eq(v.why, WHY_FLOW_HIT);
	require_eq(v.way.server, SERVER_NONE);
	require_eq(v.way.side, v.way.hop.side);
	return v.way.hop;
}

static uint8_t answered_at(struct talk *talk)
{
	return answered(talk).mac.b[5];
}

START_TEST(a_client_that_was_never_heard_of_moves)
{
	for (unsigned i = 0; i < 3; i++) {
		struct talk talk;

		begin();
		talk = open_from(fixture_client(1), 4000, HOST);
		if (i == 1) /* others are heard of before, and have flows as well */
			for (unsigned n = 2; n < 60; n++) {
				say(fixture_client(n), HOST_3);
				open_from(fixture_client(n), 4000, HOST_3);
			}
		engine_wait_ms(&engine, 2000);
		say_tagged(fixture_client(1), HOST_2, fixture_client(i == 2 ? 9 : 1),
		           i == 2 ? REPLY : REQUEST, OUTSIDE, 0);
		engine_wait_ms(&engine, 1200);
		require_eq(answered_at(&talk), HOST_2);
		say(fixture_client(1), HOST_3); /* and from now on at once */
		require_eq(answered_at(&talk), HOST_3);
		finish();
	}
}
END_TEST

START_TEST(a_client_that_is_known_moves_at_once)
{
	struct talk talk, other;

	begin();
	say_tagged(fixture_client(1), HOST, fixture_vip(), REQUEST, OUTSIDE, 0);
	say_tagged(fixture_client(2), HOST, fixture_vip(), REQUEST, OUTSIDE, 0);
	talk = open_from(fixture_client(1), 4000, HOST);
	other = open_from(fixture_client(2), 4000, HOST); /* another address of the same card */
	say(fixture_client(1), HOST_2);
	require_eq(answered_at(&talk), HOST_2);
	require_eq(answered_at(&other), HOST);
	require_eq(come(&talk, HOST_2, ACK, 0).why, WHY_FLOW_HIT);
	require_eq(answered_at(&talk), HOST_2);
	say_tagged(fixture_client(1), HOST_3, fixture_server(0), REQUEST, INSIDE, 0);
	require_eq(answered_at(&talk), HOST_3);
	require_eq(answered(&talk).side, INSIDE);
	finish();
}
END_TEST

START_TEST(a_router_s_address_moves)
{
	const be32 router = ip4(10, 0, 0, 1);
	struct talk behind, other, later;

	begin();
	say_tagged(router, ROUTER, fixture_vip(), REQUEST, OUTSIDE, 0);
	say_tagged(ip4(10, 0, 0, 9), HOST, fixture_vip(), REQUEST, OUTSIDE, 0);
	behind = open_from(fixture_client(1), 4000, ROUTER);
	other = open_from(ip4(10, 0, 0, 9), 4000, HOST);
	say(router, ROUTER_2);
	require_eq(answered_at(&behind), ROUTER_2);
	require_eq(answered_at(&other), HOST);
	later = open_from(fixture_client(2), 4000, ROUTER_2);
	/* back, and over again: those of either time go along */
	for (unsigned i = 0; i < 5; i++) {
		say(router, i % 2 ? ROUTER_2 : ROUTER);
		require_eq(answered_at(&behind), i % 2 ? ROUTER_2 : ROUTER);
		require_eq(answered_at(&later), i % 2 ? ROUTER_2 : ROUTER);
	}
	/* the old one forwards again, whatever was said: who came by it is answered there */
	say(router, ROUTER_2);
	require_eq(come(&behind, ROUTER, ACK, 0).why, WHY_FLOW_HIT);
	require_eq(answered_at(&behind), ROUTER);
	require_eq(answered_at(&other), HOST);
	finish();
}
END_TEST

START_TEST(a_mask_is_not_answered)
{
	struct talk talk;

	begin();
	say_tagged(fixture_client(1), HOST, fixture_vip(), REQUEST, OUTSIDE, 0);
	talk = open_from(fixture_client(1), 4000, MASK);
	require_eq(answered_at(&talk), HOST);
	require_eq(come(&talk, MASK, ACK, 0).why, WHY_FLOW_HIT);
	require_eq(answered_at(&talk), HOST);
	/* unless somebody is known to be there: then it is behind a router now */
	say(ip4(10, 0, 0, 1), ROUTER);
	require_eq(come(&talk, ROUTER, ACK, 0).why, WHY_FLOW_HIT);
	require_eq(answered_at(&talk), ROUTER);
	finish();
}
END_TEST

START_TEST(whose_packets_come_by_a_known_router_are_not_moved_by_others)
{
	struct talk talk;

	begin();
	say_tagged(ip4(10, 0, 0, 1), ROUTER, fixture_vip(), REQUEST, OUTSIDE, 0);
	talk = open_from(fixture_client(1), 4000, ROUTER);
	say(fixture_client(1), HOST_2); /* nobody on the segment has that address */
	engine_wait_ms(&engine, 3000);
	require_eq(answered_at(&talk), ROUTER);
	finish();
}
END_TEST

/* MAC addresses that stand in the same set of the table of those, which has no place for all. */
static void find_macs(struct mac ret[SEGMENT_WAYS + 1])
{
	const struct hash_key key = {{0, 0}};
	unsigned n = 0;

	for (unsigned i = 0; n <= SEGMENT_WAYS; i++) {
		const struct mac mac = {
		        {2, 9, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		uint64_t word = (uint64_t)VLAN_NONE << 48;

		memcpy(&word, &mac, sizeof(mac));
		if (siphash(&key, &word, 1) % SEGMENT_SETS == 0)
			ret[n++] = mac;
	}
}

static void say_at(be32 who, const struct mac *mac)
{
	struct spec spec = {
	        .dst = FIXTURE_BROADCAST, .src = *mac, .from = who, .to = who, .arp_oper = REQUEST};
	struct built built;

	frames_arp(&built, &spec);
	engine_input(&engine, &built);
}

/* A router has two addresses. There was no place for its MAC address when it said the first, but
 * there is when it says the second: when the first one goes elsewhere it is still known. */
START_TEST(who_was_not_counted_takes_nobody_s_place)
{
	const be32 client = fixture_client(100), first = fixture_client(SEGMENT_WAYS);
	const struct mac elsewhere = mac_of(HOST);
	struct mac macs[SEGMENT_WAYS + 1], *router = &macs[SEGMENT_WAYS];
	struct spec syn = spec_syn(client, 4000, 5061);
	struct talk talk;
	struct hop hop;

	begin();
	find_macs(macs);
	for (unsigned i = 0; i <= SEGMENT_WAYS; i++)
		say_at(fixture_client(i), &macs[i]);
	say_at(fixture_client(0), &elsewhere);
	say_at(fixture_client(99), router);
	say_at(first, &elsewhere);
	say_at(client, &elsewhere);
	syn.src = *router;
	require_eq(talk_syn_from(&talk, &engine, &syn).why, WHY_FLOW_NEW);
	hop = talk_send(&talk, SERVER, SYN | ACK, 0).way.hop;
	ck_assert(mac_eq(&hop.mac, router));
	finish();
}
END_TEST

START_TEST(what_is_said_in_another_vlan_moves_nothing)
{
	const uint16_t others[] = {0, 11, 5 << 13 | 11};
	struct talk talk;

	begin();
	talk = open_tagged(fixture_client(1), 4000, HOST, VLAN);
	say_tagged(fixture_client(1), HOST, fixture_vip(), REQUEST, OUTSIDE, VLAN);
	engine_wait_ms(&engine, 1500);
	for (unsigned i = 0; i < 3; i++)
		say_tagged(fixture_client(1), HOST_2, fixture_client(1), REQUEST, OUTSIDE,
		           others[i]);
	engine_wait_ms(&engine, 1500);
	require_eq(answered_at(&talk), HOST);
	/* but in the same one, whatever the priority; and replies keep the packets' */
	say_tagged(fixture_client(1), HOST_2, fixture_client(1), REQUEST, OUTSIDE, 3 << 13 | VLAN);
	require_eq(answered_at(&talk), HOST_2);
	require_eq(be16_get(answered(&talk).tci[0]), VLAN);
	finish();
}
END_TEST

START_TEST(flows_of_any_priority_move)
{
	struct talk talks[17];

	begin();
	say_tagged(fixture_client(1), HOST, fixture_vip(), REQUEST, OUTSIDE, VLAN);
	for (uint16_t i = 0; i < 16; i++)
		talks[i] = open_tagged(fixture_client(1), (uint16_t)(4000 + i), HOST,
		                       (uint16_t)(i << 12 | VLAN));
	say_tagged(fixture_client(1), HOST_2, fixture_client(1), REQUEST, OUTSIDE, VLAN);
	for (uint16_t i = 0; i < 16; i++) {
		struct hop hop = answered(&talks[i]);

		require_eq(hop.mac.b[5], HOST_2);
		require_eq(be16_get(hop.tci[0]), i << 12 | VLAN);
	}
	finish();
}
END_TEST

/* What no host can say of itself, or what is ours to say. */
START_TEST(what_cannot_be_is_not_noted)
{
	struct segment *segment;
	struct spec spec = {.dst = FIXTURE_BROADCAST, .src = mac_of(HOST), .arp_oper = REQUEST};
	const struct {
		be32 who;
		struct mac mac;
	} cases[] = {
	        {ip4(0, 0, 0, 0), mac_of(HOST)},          {ip4(127, 0, 0, 1), mac_of(HOST)},
	        {ip4(224, 0, 0, 5), mac_of(HOST)},        {fixture_vip(), mac_of(HOST)},
	        {fixture_client(1), FIXTURE_BROADCAST},   {fixture_client(1), {{1, 0, 0, 0, 0, 9}}},
	        {fixture_client(1), FIXTURE_OUTSIDE_MAC},
	};

	begin();
	segment = (struct segment *)&lb_balance(engine.lb)->segment;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct built built;

		spec.from = cases[i].who;
		spec.to = fixture_client(7);
		spec.arp_sender = cases[i].mac;
		frames_arp(&built, &spec);
		require(!engine_input(&engine, &built).heard);
	}
	require_eq(segment->identities, 0);
	require(say(fixture_client(1), HOST).heard);
	require(!say(fixture_client(1), HOST).heard); /* no news */
	require(say(fixture_client(1), HOST_2).heard);
	require(!say_tagged(fixture_client(2), HOST, fixture_client(2), 3, OUTSIDE, 0).heard);
	finish();
}
END_TEST

/* More hosts than there is room for: those that flows go to stay. */
START_TEST(a_flood_of_arp_forgets_no_client_with_flows)
{
	const struct segment_counts *counts;
	struct talk talks[40];

	begin();
	counts = &lb_balance(engine.lb)->segment.counts;
	for (uint16_t i = 0; i < 40; i++) {
		say_tagged(fixture_client(i), HOST, fixture_vip(), REQUEST, OUTSIDE, 0);
		talks[i] = open_from(fixture_client(i), 4000, HOST);
	}
	for (unsigned i = 0; i < 10 * SEGMENT_ENTRIES; i++)
		say(ip4(11, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i), HOST_3);
	require(counts->evicted > 8 * SEGMENT_ENTRIES);
	require_eq(counts->moved, 0);
	for (uint16_t i = 0; i < 40; i++) {
		say(fixture_client(i), HOST_2);
		require_eq(answered_at(&talks[i]), HOST_2);
	}
	require_eq(counts->moved, 40);
	finish();
}
END_TEST

START_TEST(another_worker_has_heard_it)
{
	struct sighting sighting = {.address = ip6_mapped(fixture_client(1)),
	                            .ip = fixture_client(1),
	                            .hop = {.mac = mac_of(HOST)},
	                            .overrides = true};
	struct talk talk;

	begin();
	lb_sighted(engine.lb, &sighting, engine.now);
	talk = open_from(fixture_client(1), 4000, HOST);
	sighting.hop.mac = mac_of(HOST_2);
	sighting.overrides = false; /* an advertisement without O (RFC 4861, 7.2.5) */
	lb_sighted(engine.lb, &sighting, engine.now);
	require_eq(answered_at(&talk), HOST);
	sighting.overrides = true;
	lb_sighted(engine.lb, &sighting, engine.now);
	require_eq(answered_at(&talk), HOST_2);
	finish();
}
END_TEST

/* All zeros is no MAC address that frames could go to: nobody is there, whatever comes from it. */
START_TEST(at_zeros_is_nobody)
{
	const struct mac zeros = {{0}}, client = FIXTURE_CLIENT_MAC;
	struct spec syn = spec_syn(fixture_client(1), 40000, 5061), data;
	struct talk talk;
	struct built built;
	struct verdict v;

	begin();
	syn.src = zeros;
	frames_tcp(&built, &syn);
	ck_assert_int_eq(engine_input(&engine, &built).why, WHY_MARTIAN);

	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	data = talk_spec(&talk, CLIENT, ACK, 10);
	data.src = zeros;
	frames_tcp(&built, &data);
	ck_assert_int_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
	v = talk_send(&talk, SERVER, ACK, 10);
	ck_assert(mac_eq(&v.way.hop.mac, &client));

	frames_arp(&built, &(struct spec){.dst = FIXTURE_BROADCAST,
	                                  .src = FIXTURE_CLIENT_MAC,
	                                  .from = fixture_client(1),
	                                  .to = fixture_vip(),
	                                  .arp_oper = REQUEST});
	memset(built.frame.data + built.l3 + 8, 0, 6);
	v = engine_input(&engine, &built);
	ck_assert(v.why == WHY_MARTIAN && !v.heard);
	finish();
}
END_TEST

/* More neighbours than there are places: what goes to one who has none is dropped and counted. */
START_TEST(who_is_nowhere_gets_nothing)
{
	static const uint16_t ports[] = {443, 444, 5060, 5061};
	enum { MANY = HOPS_PLACES_MAX + 1000 };
	struct rules *rules = fixture_rules(1);
	unsigned nowhere = 0;
	struct talk talk;
	struct verdict v;

	rules->max_connections = MANY;
	engine_start(&engine, rules);
	for (unsigned i = 0; i < MANY; i++) {
		struct spec syn = spec_syn(be32_from(0x0b000000 + i), 40000, ports[i % 4]);

		syn.src =
		        (struct mac){{2, 7, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		v = talk_syn_from(&talk, &engine, &syn);
		ck_assert_int_eq(v.why, WHY_FLOW_NEW);
		v = talk_send(&talk, SERVER, RST | ACK, 0);
		ck_assert(v.why == WHY_FLOW_HIT && mac_eq(&v.way.hop.mac, &syn.src));
		v = talk_send(&talk, SERVER, ACK, 0);
		nowhere += v.why == WHY_CLIENT_NOWHERE;
		ck_assert(v.act == LB_DROP || mac_eq(&v.way.hop.mac, &syn.src));
	}
	ck_assert_uint_ge(nowhere, 1000);
	ck_assert_uint_eq(lb_whys(engine.lb)[WHY_CLIENT_NOWHERE], nowhere);
	finish();
}
END_TEST

Suite *segment_suite(void)
{
	return suite_of("segment",
	                (const TTest *const[]){
	                        a_client_that_was_never_heard_of_moves,
	                        a_client_that_is_known_moves_at_once,
	                        a_router_s_address_moves,
	                        a_mask_is_not_answered,
	                        whose_packets_come_by_a_known_router_are_not_moved_by_others,
	                        who_was_not_counted_takes_nobody_s_place,
	                        what_is_said_in_another_vlan_moves_nothing,
	                        flows_of_any_priority_move,
	                        what_cannot_be_is_not_noted,
	                        a_flood_of_arp_forgets_no_client_with_flows,
	                        another_worker_has_heard_it,
	                        at_zeros_is_nobody,
	                        who_is_nowhere_gets_nothing,
	                        NULL,
	                });
}
