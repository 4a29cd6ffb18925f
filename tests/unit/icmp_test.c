/*
 * ICMP errors about flows, through lb_input(): each end gets to read what it has sent itself.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../lb/way.h"

enum { ACK = 0x10, SYN = 0x02, FIN = 0x01, QUOTE_MIN = 28, QUOTE_CHECKSUM = 38, PAYLOAD = 600 };

static struct engine engine;
static struct talk talk;
static struct built sent, passed, error;

static void begin(void)
{
	engine_start(&engine, fixture_rules(2));
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
}

/* A packet from end, as it was sent and as it was passed on. */
static void pass(enum end end)
{
	struct spec spec = talk_spec(&talk, end, ACK, PAYLOAD);

	frames_tcp(&sent, &spec);
	frames_copy(&passed, &sent);
	ck_assert_uint_eq(engine_input(&engine, &passed).why, WHY_FLOW_HIT);
}

/* An error about passed, from a router or whoever from is, that quotes len bytes. */
static void build_error(be32 from, uint8_t type, uint32_t len)
{
	struct spec spec = {
	        .dst = mac_of(1), .src = mac_of(0x99), .icmp_type = type, .icmp_code = 4};

	spec.from = from;
	spec.to = be32_load(passed.frame.data + passed.l3 + 12);
	frames_icmp_error(&error, &spec, &passed, len);
}

/*
 * Passes error in; it must reach end, which sent the packet, from src and quoting len bytes of it.
 * Nothing is noted of the flow.
 */
static void check_translated(enum end end, be32 src, uint32_t len)
{
	const struct flow *flow = flows_at(&lb_balance(engine.lb)->flows, 0);
	const struct flow noted = *flow;
	struct built before;
	struct verdict v;
	const uint8_t *ip;

	engine.now.ns += LB_NS_PER_S;
	frames_copy(&before, &error);
	v = engine_input(&engine, &error);
	ck_assert_uint_eq(v.why, WHY_ICMP_ERROR);
	ck_assert_uint_eq(v.act, LB_FORWARD);
	ck_assert_mem_eq(flow, &noted, sizeof(noted));
	if (end == SERVER)
		ck_assert_uint_eq(v.way.server, talk.server);
	else
		ck_assert(v.way.server == SERVER_NONE && v.way.side == OUTSIDE);
	ip = error.frame.data + error.l3;
	ck_assert_mem_eq(ip + 12, &src, 4);
	ck_assert_mem_eq(ip + 16, sent.frame.data + sent.l3 + 12, 4);
	ck_assert_mem_eq(ip + 28, sent.frame.data + sent.l3, len);
	ck_assert_mem_eq(ip + 20, before.frame.data + before.l3 + 20, 2);
	ck_assert_mem_eq(ip + 24, before.frame.data + before.l3 + 24, 4);
	ck_assert_uint_eq(error.frame.len, before.frame.len);
	ck_assert_uint_eq(frames_ip_error(&error), 0);
	ck_assert_uint_eq(frames_icmp_wrong(&error), 0);
}

static enum lb_why refused(void)
{
	struct built before;
	struct verdict v;

	frames_copy(&before, &error);
	v = engine_input(&engine, &error);
	ck_assert_mem_eq(error.bytes, before.bytes, sizeof(before.bytes));
	ck_assert_uint_eq(v.act, LB_DROP);
	return (enum lb_why)v.why;
}

START_TEST(error_of_a_router)
{
	const be32 router = ip4(172, 16, 5, 1);
	const uint8_t types[] = {3, 11, 12};
	const uint32_t lens[] = {QUOTE_MIN, QUOTE_CHECKSUM - 2, QUOTE_CHECKSUM, 100,
	                         20 + 32 + PAYLOAD};

	begin();
	for (unsigned i = 0; i < 30; i++) {
		enum end end = i % 2 ? CLIENT : SERVER;
		uint32_t len = lens[i / 2 % 5];

		pass(end);
		build_error(router, types[i / 10], len);
		check_translated(end, router, len);
	}
	engine_stop(&engine);
}
END_TEST

/* The receiver itself complains: it appears under the address that the sender knows. */
START_TEST(error_of_the_receiver)
{
	begin();
	pass(CLIENT);
	build_error(fixture_server(talk.server), 3, 100);
	check_translated(CLIENT, fixture_vip(), 100);
	pass(SERVER);
	build_error(talk.client, 3, 100);
	check_translated(SERVER, talk.snat, 100);
	engine_stop(&engine);
}
END_TEST

/* Damaged before, damaged after, by as much. */
START_TEST(damage_stays)
{
	begin();
	for (unsigned i = 0; i < 100; i++) {
		uint16_t wrong;

		pass(CLIENT);
		build_error(ip4(172, 16, 5, 1), 3, 100);
		error.frame.data[error.l4 + 8 + 60] ^= (uint8_t)(1 + random_below(255));
		wrong = frames_icmp_wrong(&error);
		ck_assert_uint_ne(wrong, 0);
		ck_assert_uint_eq(engine_input(&engine, &error).why, WHY_ICMP_ERROR);
		ck_assert_uint_eq(frames_icmp_wrong(&error), wrong);
		ck_assert_uint_eq(frames_ip_error(&error), 0);
	}
	engine_stop(&engine);
}
END_TEST

/* RFC 5927: a stranger who doesn't know the sequence numbers can't have them believed. */
START_TEST(quoted_sequence_number_must_fit)
{
	const uint32_t off[] = {0x40000000, 0x80000000, 0xc0000000, 100000};

	begin();
	for (unsigned i = 0; i < 4; i++) {
		pass(CLIENT);
		frames_put32(passed.frame.data + passed.l4 + 4,
		             talk.next[CLIENT] + PAYLOAD + off[i]);
		build_error(ip4(172, 16, 5, 1), 3, QUOTE_MIN);
		ck_assert_uint_eq(refused(), WHY_ICMP_NO_FLOW);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(error_about_no_flow)
{
	begin();
	pass(CLIENT);
	frames_put16(passed.frame.data + passed.l4, (uint16_t)(talk.snat_port ^ 1));
	build_error(ip4(172, 16, 5, 1), 3, 100);
	ck_assert_uint_eq(refused(), WHY_ICMP_NO_FLOW);
	/* quotes what the client sent, not what we passed on */
	pass(CLIENT);
	frames_copy(&passed, &sent);
	build_error(ip4(172, 16, 5, 1), 3, 100);
	error.frame.data[error.l3 + 16] = 10;
	memcpy(error.frame.data + error.l3 + 16, sent.frame.data + sent.l3 + 16, 4);
	ck_assert_uint_eq(refused(), WHY_ICMP_NO_FLOW);
	engine_stop(&engine);
}
END_TEST

START_TEST(malformed_quotations)
{
	const struct {
		uint8_t offset, value; /* within the quoted packet */
	} changes[] = {{0, 0x65}, {0, 0x44}, {0, 0x4f}, {9, 17}, {7, 1}};

	begin();
	for (uint32_t len = 0; len < QUOTE_MIN; len++) {
		pass(CLIENT);
		build_error(ip4(172, 16, 5, 1), 3, len);
		ck_assert_uint_eq(refused(), WHY_ICMP_OTHER);
	}
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		pass(CLIENT);
		passed.frame.data[passed.l3 + changes[i].offset] = changes[i].value;
		build_error(ip4(172, 16, 5, 1), 3, 60);
		ck_assert_uint_eq(refused(), WHY_ICMP_OTHER);
	}
	/* a frame that was cut */
	pass(CLIENT);
	build_error(ip4(172, 16, 5, 1), 3, 100);
	error.frame.len--;
	ck_assert_uint_eq(refused(), WHY_ICMP_OTHER);
	engine_stop(&engine);
}
END_TEST

START_TEST(other_types_are_no_errors)
{
	begin();
	for (unsigned type = 0; type < 256; type++) {
		if (type == 3 || type == 11 || type == 12)
			continue;
		pass(CLIENT);
		build_error(ip4(172, 16, 5, 1), (uint8_t)type, 100);
		ck_assert_uint_eq(refused(), WHY_ICMP_OTHER);
	}
	engine_stop(&engine);
}
END_TEST

/* The first packet of all was too long, or its server is unreachable. */
START_TEST(error_about_a_syn)
{
	struct spec spec = spec_syn(fixture_client(2), 40000, 443);

	begin();
	frames_tcp(&sent, &spec);
	frames_copy(&passed, &sent);
	ck_assert_uint_eq(engine_input(&engine, &passed).why, WHY_FLOW_NEW);
	build_error(ip4(172, 16, 5, 1), 3, QUOTE_MIN);
	check_translated(CLIENT, ip4(172, 16, 5, 1), QUOTE_MIN);
	engine_stop(&engine);
}
END_TEST

/* An error about a packet of the same burst is worth as much as one that comes later. */
START_TEST(burst_makes_no_difference)
{
	struct built again;
	struct frame frames[2];
	struct verdict v[2];

	begin();
	pass(CLIENT); /* to see what an error would quote */
	talk.next[CLIENT] += PAYLOAD;
	pass(CLIENT);
	talk.next[CLIENT] += PAYLOAD;
	struct spec spec = talk_spec(&talk, CLIENT, ACK, PAYLOAD);
	frames_tcp(&again, &spec);
	frames_put32(passed.frame.data + passed.l4 + 4, spec.seq + 1); /* sent by none before it */
	build_error(ip4(172, 16, 5, 1), 3, QUOTE_MIN);
	frames[0] = again.frame;
	frames[1] = error.frame;
	lb_input(engine.lb, frames, 2, engine.now, v);
	ck_assert_uint_eq(v[0].why, WHY_FLOW_HIT);
	ck_assert_uint_eq(v[1].why, WHY_ICMP_ERROR);
	engine_stop(&engine);
}
END_TEST

START_TEST(without_snat)
{
	struct rules *rules = fixture_rules(1);
	const be32 router = ip4(172, 16, 5, 1);

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	pass(CLIENT);
	build_error(router, 3, 100);
	check_translated(CLIENT, router, 100);
	pass(SERVER);
	build_error(router, 3, 100);
	check_translated(SERVER, router, 100);
	engine_stop(&engine);
}
END_TEST

static struct rules_net net_of(be32 address, enum side side)
{
	return (struct rules_net){
	        .address = ip6_mapped(address), .prefix = 96 + 16, .side = (uint8_t)side};
}

/* The second farm's VIP is the host's own address: what is sent to that about a packet which has
 * come from another address of ours is the host's. */
START_TEST(misled_to_the_host)
{
	struct rules *rules = fixture_two_farms();
	struct spec about = {.dst = FIXTURE_OUTSIDE_MAC,
	                     .src = mac_of(0x99),
	                     .from = ip4(10, 9, 0, 254),
	                     .to = rules->farms[1].vip,
	                     .icmp_type = 3};
	struct spec ours = spec_syn(rules->farms[0].vip, 5061, 40000);

	rules->mode = MODE_ROUTED;
	rules->nets.all[0] = net_of(ip4(10, 9, 0, 1), OUTSIDE);
	rules->nets.all[1] = net_of(rules->farms[1].vip, INSIDE);
	rules->nets.n = 2;
	way_settle(rules);
	engine_start(&engine, rules);
	ours.to = fixture_client(1);
	frames_tcp(&passed, &ours);
	frames_icmp_error(&error, &about, &passed, QUOTE_MIN);
	ck_assert_uint_eq(engine_input(&engine, &error).why, WHY_TO_HOST);
	about.to = rules->farms[0].vip;
	frames_icmp_error(&error, &about, &passed, QUOTE_MIN);
	ck_assert_uint_eq(refused(), WHY_ICMP_NO_FLOW);
	engine_stop(&engine);
}
END_TEST

Suite *icmp_suite(void)
{
	const TTest *const tests[] = {error_of_a_router,
	                              error_of_the_receiver,
	                              damage_stays,
	                              quoted_sequence_number_must_fit,
	                              error_about_no_flow,
	                              malformed_quotations,
	                              other_types_are_no_errors,
	                              error_about_a_syn,
	                              burst_makes_no_difference,
	                              without_snat,
	                              misled_to_the_host,
	                              NULL};

	return suite_of("icmp", tests);
}
