/*
 * All of lb_input(): its reasons add up, and the same input has the same output.
 */
#include "lb_fixture.h"
#include "random.h"

/* --- ARP --- */

/* A mirror or a loop may give our own address back, from another source. */
START_TEST(nobody_is_where_no_host_can_be)
{
	const struct mac nowhere[] = {FIXTURE_OUTSIDE_MAC,
	                              FIXTURE_INSIDE_MAC,
	                              {{0}},
	                              {{1, 0, 0x5e, 0, 0, 1}},
	                              {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};
	struct spec spec = arp_spec(2);
	struct verdict v;

	begin();
	spec.side = INSIDE;
	spec.from = fixture_server(1);
	spec.to = ip4(10, 0, 0, 1);
	for (unsigned i = 0; i < 2 * (sizeof(nowhere) / sizeof(nowhere[0])); i++) {
		spec.arp_oper = 1 + (uint16_t)(i % 2);
		frames_arp(&built, &spec);
		memcpy(built.frame.data + ETH_HEADER_BYTES + 8, &nowhere[i / 2], 6);
		v = check_why(WHY_NOT_OURS);
		ck_assert(!v.sighted && !v.heard);
	}
	spec.arp_sender = mac_of(0x55);
	frames_arp(&built, &spec);
	v = check_why(WHY_NOT_OURS);
	ck_assert(v.sighted && v.heard);
	engine_stop(&engine);
}
END_TEST

/* --- all of it --- */

enum { MIX = 3000 };

/* A frame of any kind; which one is a matter of random numbers only. */
static void any_frame(struct built *ret)
{
	static const uint8_t flags[] = {SYN,       SYN,       SYN, ACK,      ACK,
	                                SYN | ACK, FIN | ACK, RST, RST | ACK};
	struct spec spec =
	        spec_syn(fixture_client(random_below(40)), (uint16_t)(40000 + random_below(3)),
	                 (uint16_t)(random_below(5) ? 443 + random_below(2) : random_next()));
	uint32_t kind = random_below(16);

	spec.side = (enum side)random_below(2);
	spec.flags = flags[random_below(sizeof(flags))];
	spec.seq = 1000 + random_below(3);
	spec.ntags = random_below(3);
	spec.tpid[0] = spec.tpid[1] = 0x8100;
	spec.payload = (uint16_t)random_below(60);
	spec.partial = random_below(4) == 0;
	spec.icmp_type = random_below(2) ? 8 : 3;
	spec.arp_oper = (uint16_t)random_below(4);
	if (random_below(4) == 0) {
		spec.from = fixture_server(random_below(2));
		spec.sport = 443;
		spec.dport = (uint16_t)(1024 + random_next() % 64000);
	}
	if (random_below(10) == 0)
		spec.to = ip4(10, 0, 0, (uint8_t)random_below(256));
	if (kind == 0)
		frames_arp(ret, &spec);
	else if (kind == 1)
		frames_icmp(ret, &spec);
	else if (kind == 2)
		frames_ipv4(ret, &spec);
	else
		frames_tcp(ret, &spec);
	for (uint32_t n = random_below(8) ? 0 : random_below(4); n > 0; n--)
		ret->frame.data[random_below(ret->frame.len)] = (uint8_t)random_next();
	if (random_below(20) == 0)
		ret->frame.len = random_below(ret->frame.len + 1);
}

START_TEST(reasons_add_up)
{
	uint64_t acts[LB_NACTS] = {0}, sum = 0, by_act[LB_NACTS] = {0};

	begin();
	for (unsigned i = 0; i < MIX; i++) {
		struct verdict v;

		any_frame(&built);
		v = input();
		acts[v.act]++;
		if (v.act != LB_FORWARD)
			check_untouched();
		if (i % 16 == 0)
			engine_wait_ms(&engine, random_below(300));
	}
	for (unsigned why = 0; why < LB_NWHYS; why++) {
		sum += lb_whys(engine.lb)[why];
		by_act[lb_why_act((enum lb_why)why)] += lb_whys(engine.lb)[why];
	}
	ck_assert_uint_eq(sum, MIX);
	ck_assert_mem_eq(acts, by_act, sizeof(acts));
	ck_assert_uint_gt(acts[LB_FORWARD], MIX / 20);
	ck_assert_uint_gt(acts[LB_ANSWER], MIX / 20);
	engine_stop(&engine);
}
END_TEST

START_TEST(reasons_have_names_of_their_own)
{
	for (unsigned a = 0; a < LB_NWHYS; a++) {
		ck_assert_str_ne(lb_why_name((enum lb_why)a), "");
		for (unsigned b = 0; b < a; b++)
			ck_assert_str_ne(lb_why_name((enum lb_why)a), lb_why_name((enum lb_why)b));
	}
}
END_TEST

static void check_same_verdict(const struct verdict *a, const struct verdict *b)
{
	require_eq(a->act, b->act);
	require_eq(a->why, b->why);
	require_eq(a->way.side, b->way.side);
	require_eq(a->way.server, b->way.server);
	if (a->act == LB_FORWARD)
		require_eq(a->flow, b->flow);
	if (a->act == LB_FORWARD && a->way.server == SERVER_NONE)
		require(!memcmp(&a->way.hop, &b->way.hop, sizeof(a->way.hop)));
	if (a->act != LB_ANSWER)
		return;
	require_eq(a->own.kind, b->own.kind);
	require(be32_eq(a->own.tuple.src, b->own.tuple.src) &&
	        be32_eq(a->own.tuple.dst, b->own.tuple.dst));
	if (a->own.kind == OWN_TCP)
		require(a->own.seq == b->own.seq && a->own.ack == b->own.ack &&
		        tuple_eq(&a->own.tuple, &b->own.tuple));
}

/* The same frames at the same times give the same bytes, one by one or in bursts of any size. */
START_TEST(same_input_same_output)
{
	enum { FRAMES = 77, ROUNDS = 40 };
	static struct built one[FRAMES], many[FRAMES];
	static struct frame frames[FRAMES];
	static struct verdict of_one[FRAMES], of_many[FRAMES];
	struct engine other;

	begin();
	engine_start(&other, fixture_rules(2));
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned n = 1 + random_below(FRAMES);

		for (unsigned i = 0; i < n; i++) {
			any_frame(&one[i]);
			frames_copy(&many[i], &one[i]);
			frames[i] = many[i].frame;
			of_one[i] = engine_input(&engine, &one[i]);
		}
		lb_input(other.lb, frames, n, other.now, of_many);
		for (unsigned i = 0; i < n; i++) {
			check_same_verdict(&of_one[i], &of_many[i]);
			require(!memcmp(one[i].bytes, many[i].bytes, sizeof(one[i].bytes)));
		}
		engine_wait_ms(&engine, 100);
		engine_wait_ms(&other, 100);
	}
	engine_stop(&engine);
	engine_stop(&other);
}
END_TEST

Suite *lb_suite(void)
{
	const TTest *const tests[] = {
	        nobody_is_where_no_host_can_be, reasons_add_up, reasons_have_names_of_their_own,
	        same_input_same_output,         NULL,
	};

	return suite_of("lb", tests);
}
