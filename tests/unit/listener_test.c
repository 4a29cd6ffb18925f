/*
 * Queries of multicast listeners, and our answers.
 */
#include "fixture.h"
#include "suites.h"

#include "../../bridge/worker/listener.h"
#include "../../bridge/worker/maker.h"
#include "../../lb/csum.h"
#include "../../lb/parse.h"

#include <stdlib.h>

/* A query as it comes, to be spoilt. */
enum { ETH = 14, IP = ETH, OPTIONS = IP + 40, MLD = OPTIONS + 8 };

static const struct ip6 link_local = {{0xfe, 0x80, [15] = 9}}, all_nodes = {{0xff, 2, [15] = 1}};

static uint8_t bytes[200];
static struct frame frame;
static struct listener_query query;

static void fix(void)
{
	const uint16_t len = (uint16_t)(frame.len - MLD);
	struct ip6 src, dst;

	memcpy(&src, bytes + IP + 8, sizeof(src));
	memcpy(&dst, bytes + IP + 24, sizeof(dst));
	csum_store(bytes + MLD + 2, 0);
	csum_store(bytes + MLD + 2, (uint16_t)~csum_fold(csum_add(csum_pseudo6(&src, &dst, 58, len),
	                                                          bytes + MLD, len)));
}

/* len: of MLD's message. */
static void make(uint16_t len, uint16_t code, const struct ip6 *group)
{
	static const uint8_t options[] = {58, 0, 5, 2, 0, 0, 1, 0};
	static const struct ip6 none;
	const struct ip6 *dst = group ? group : &all_nodes;

	memset(bytes, 0, sizeof(bytes));
	frame = (struct frame){.data = bytes, .len = MLD + len, .wire_len = MLD + len, .side = 1};
	bytes[0] = bytes[1] = 0x33;
	memcpy(bytes + 2, dst->b + 12, 4);
	bytes[11] = 9;
	be16_store(bytes + 12, be16_from(0x86dd));
	bytes[IP] = 0x60;
	be16_store(bytes + IP + 4, be16_from((uint16_t)(8 + len)));
	bytes[IP + 7] = 1;
	memcpy(bytes + IP + 8, &link_local, 16);
	memcpy(bytes + IP + 24, dst, 16);
	memcpy(bytes + OPTIONS, options, sizeof(options));
	bytes[MLD] = 130;
	be16_store(bytes + MLD + 4, be16_from(code));
	memcpy(bytes + MLD + 8, group ? group : &none, 16);
	fix();
}

START_TEST(both_versions)
{
	const struct ip6 group = {{0xff, 2, [11] = 1, [12] = 0xff, 0, 0, 0x40}};

	make(28, 10000, NULL);
	ck_assert(listener_hear(&frame, &query));
	ck_assert(query.is_general && !query.is_old && query.side == INSIDE && !query.vlan);
	ck_assert_uint_eq(query.delay_ms, 10000);
	make(24, 40000, &group);
	ck_assert(listener_hear(&frame, &query));
	ck_assert(!query.is_general && query.is_old && ip6_eq(&query.group, &group));
	ck_assert_uint_eq(query.delay_ms, 40000);
	make(28 + 32, 0x8000 | 7 << 12 | 0xfff, &group); /* the longest; and two sources */
	ck_assert(listener_hear(&frame, &query));
	ck_assert_uint_eq(query.delay_ms, 0x1fff << 10);
}
END_TEST

/* Each is a query but for one byte; what is behind the message is none of its. */
START_TEST(what_is_none)
{
	static const struct {
		unsigned at;
		uint8_t is;
	} spoilt[] = {{0, 0x35},    {12, 8},        {IP, 0x40},       {IP + 6, 58},
	              {IP + 7, 2},  {IP + 8, 0x20}, {IP + 9, 0xc0},   {IP + 24, 0x20},
	              {IP + 39, 2}, {OPTIONS, 17},  {OPTIONS + 2, 1}, {OPTIONS + 5, 1},
	              {MLD, 131}};

	for (unsigned i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		make(28, 1000, NULL);
		bytes[spoilt[i].at] = spoilt[i].is;
		fix();
		ck_assert_msg(!listener_hear(&frame, &query), "%u", spoilt[i].at);
	}
	make(28, 1000, NULL);
	bytes[MLD + 20] ^= 1;
	ck_assert(!listener_hear(&frame, &query)); /* the checksum */
	for (uint16_t len = 0; len < 28; len++) {
		make(len, 1000, NULL);
		ck_assert_msg(listener_hear(&frame, &query) == (len == 24), "%u", len);
	}
}
END_TEST

/* No byte behind the frame is looked at, which the sanitizers see. */
START_TEST(cut_anywhere)
{
	make(28, 1000, NULL);
	for (uint32_t len = 0; len < MLD + 28; len++) {
		uint8_t *copy = malloc(len + 1u);
		struct frame cut = {.data = copy, .len = len, .wire_len = len};

		memcpy(copy, bytes, len);
		ck_assert(!listener_hear(&cut, &query));
		free(copy);
	}
}
END_TEST

START_TEST(in_a_vlan)
{
	make(28, 1000, NULL);
	memmove(bytes + 16, bytes + 12, MLD + 28 - 12);
	frame.len = frame.wire_len = MLD + 28 + 4;
	be16_store(bytes + 12, be16_from(0x8100));
	be16_store(bytes + 14, be16_from(7));
	ck_assert(listener_hear(&frame, &query));
	ck_assert_uint_eq(query.vlan, 7);
	be16_store(bytes + 12, be16_from(0x88a8)); /* no VLAN that a rule can name */
	ck_assert(!listener_hear(&frame, &query));
}
END_TEST

/* ---- Answers ---- */

static struct rules *rules;
static struct addresses addresses;
static void *mem;
static struct listener listener;
static lb_time now;

static void begin(unsigned nsnat)
{
	struct arena arena = {0};
	be32 snat[600];

	rules = fixture_rules(1);
	snat[0] = fixture_vip();
	for (unsigned i = 1; i < nsnat; i++)
		snat[i] = ip4(10, 5, (uint8_t)(i / 256), (uint8_t)i);
	fixture_set_snat(&rules->farms[0], snat, nsnat);
	fixture_make_ipv6(rules);
	addresses_lay_out(&addresses, &arena, rules);
	mem = aligned_alloc(ARENA_ALIGN, arena.used);
	arena = (struct arena){.base = mem};
	addresses_lay_out(&addresses, &arena, rules);
	now = (lb_time){1000 * LB_NS_PER_S};
	listener = (struct listener){.random = 42};
}

static void end(void)
{
	free(mem);
	rules_free(rules);
}

static struct listener_query general(uint32_t ms)
{
	return (struct listener_query){.side = OUTSIDE, .is_general = true, .delay_ms = ms};
}

static struct listener_query specific(uint32_t ms, uint8_t last)
{
	const struct ip6 ip = fixture_ip6(ip4(10, 0, 0, last));

	return (struct listener_query){
	        .side = OUTSIDE, .delay_ms = ms, .group = ip6_solicited_node(&ip)};
}

static void note(struct listener_query one)
{
	listener_note(&listener, &one, now);
}

static struct listener_report last;

/* How many reports there are within so many ms. */
static unsigned reports(unsigned ms)
{
	unsigned n = 0, most = 0;

	for (unsigned i = 0; i < ms; i++, now.ns += LB_NS_PER_MS) {
		unsigned before = n;

		while (listener_next(&listener, &addresses, now, &last))
			n++;
		most = n - before > most ? n - before : most;
	}
	ck_assert_uint_le(most, LISTENER_PER_MS);
	return n;
}

START_TEST(each_address_once_within_the_time)
{
	begin(100);
	ck_assert(listener_due(&listener).ns == UINT64_MAX);
	note(general(1000));
	ck_assert(listener_due(&listener).ns <= now.ns + LB_NS_PER_S);
	ck_assert_uint_eq(reports(1010), 100);
	ck_assert(last.side == OUTSIDE && !last.is_old && last.vlan == 0);
	ck_assert(listener_due(&listener).ns == UINT64_MAX);
	ck_assert_uint_eq(reports(30000), 0);
	end();
}
END_TEST

/* The time is drawn anew each time, and is all of what is allowed. */
START_TEST(at_random)
{
	unsigned early = 0;

	begin(1);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t before = now.ns;

		note(general(5000));
		early += listener_due(&listener).ns < before + 2500 * LB_NS_PER_MS;
		ck_assert_uint_eq(reports(6001), 1);
	}
	ck_assert(early > 20 && early < 80);
	note(general(0));
	ck_assert_uint_eq(reports(1), 1);
	note(general(0x1fff << 10)); /* 2.3 hours: earlier than that is allowed as well */
	ck_assert(listener_due(&listener).ns <= now.ns + LISTENER_LATEST_MS * LB_NS_PER_MS);
	end();
}
END_TEST

START_TEST(one_group)
{
	begin(100);
	note(specific(0, 40));
	ck_assert_uint_eq(reports(1), 1);
	now.ns += LB_NS_PER_S;
	note(specific(0, 39)); /* nobody's here */
	ck_assert_uint_eq(reports(100), 0);
	now.ns += LB_NS_PER_S;
	note(specific(100, 40));
	note(specific(100, 40));
	ck_assert_uint_eq(reports(101), 1);
	now.ns += LB_NS_PER_S;
	note(specific(100, 40));
	note(specific(0, 41)); /* two of them: all */
	ck_assert_uint_eq(reports(101), 100);
	end();
}
END_TEST

/* Who asks all the time gets an answer a second. */
START_TEST(a_flood_of_queries)
{
	unsigned n = 0;

	begin(10);
	for (unsigned i = 0; i < 10000; i++) {
		note(general(0));
		n += reports(1);
	}
	ck_assert_uint_ge(n, 90);
	ck_assert_uint_le(n, 110);
	ck_assert_uint_eq(listener.missed, 0);
	end();
}
END_TEST

/* So many VLANs at once, and what is beyond that is counted; afterwards there is room again. */
START_TEST(many_vlans)
{
	struct listener_query one = general(0);

	begin(2);
	for (unsigned i = 0; i <= LISTENER_ANSWERS; i++) {
		one.vlan = (uint16_t)(1 + i);
		note(one);
	}
	ck_assert_uint_eq(listener.missed, 1);
	ck_assert_uint_eq(reports(100), 2 * LISTENER_ANSWERS);
	ck_assert(last.vlan > 0);
	now.ns += LB_NS_PER_S;
	one.side = INSIDE;
	note(one);
	ck_assert_uint_eq(reports(100), 2);
	ck_assert(last.side == INSIDE && last.vlan == one.vlan);
	rules->farms[0].vlan = 7; /* what is in a VLAN is asked for there */
	now.ns += LB_NS_PER_S;
	note(one);
	ck_assert_uint_eq(reports(100), 0);
	end();
}
END_TEST

START_TEST(old_queriers)
{
	struct listener_query one = general(0);

	begin(1);
	ck_assert(!listener_is_old(&listener, OUTSIDE, now));
	one.is_old = true;
	note(one);
	ck_assert_uint_eq(reports(1), 1);
	ck_assert(last.is_old);
	ck_assert(listener_is_old(&listener, OUTSIDE, now));
	ck_assert(!listener_is_old(&listener, INSIDE, now));
	now.ns += LISTENER_OLD_S * LB_NS_PER_S;
	ck_assert(!listener_is_old(&listener, OUTSIDE, now));
	end();
}
END_TEST

/* More of them than are looked at together, IPv4 as well. */
START_TEST(many_addresses)
{
	begin(600);
	note(general(0));
	ck_assert_uint_eq(reports(100), 600);
	end();
}
END_TEST

/* What goes out is what a host would take. */
START_TEST(reports_are_sound)
{
	struct maker *maker = maker_new();
	const struct port port = {.mac = FIXTURE_OUTSIDE_MAC};
	const struct hop to = {.mac = FIXTURE_BROADCAST, .ntags = 0};
	const struct ip6 ip = fixture_ip6(fixture_vip()), group = ip6_solicited_node(&ip);
	static const unsigned types[] = {143, 143, 131}, records[] = {4, 2, 0};

	for (enum own_mld kind = OWN_MLD_CHANGE; kind <= OWN_MLD_OLD; kind++) {
		const bool old = kind == OWN_MLD_OLD;
		struct packet packet;
		struct frame made;

		ck_assert(maker_mld_report(maker, kind, &ip, &to, &port, &made));
		parse_frame(&made, &packet);
		ck_assert(parse_ip(&made, &packet) && parse_l4_checksum_ok(&made, &packet));
		ck_assert_uint_eq(packet.l4, MLD);
		ck_assert_uint_eq(made.data[MLD], types[kind]);
		ck_assert(made.data[0] == 0x33 && made.data[IP + 7] == 1);
		ck_assert_uint_eq(made.data[IP + 39], old ? group.b[15] : 0x16);
		ck_assert(old || made.data[MLD + 8] == records[kind]);
		ck_assert_mem_eq(made.data + MLD + (old ? 8 : 12), &group, 16);
	}
	maker_free(maker);
}
END_TEST

Suite *listener_suite(void)
{
	Suite *suite = suite_create("listener");
	TCase *queries = tcase_create("queries"), *answers = tcase_create("answers");

	tcase_add_test(queries, both_versions);
	tcase_add_test(queries, what_is_none);
	tcase_add_test(queries, cut_anywhere);
	tcase_add_test(queries, in_a_vlan);
	suite_add_tcase(suite, queries);
	tcase_add_test(answers, each_address_once_within_the_time);
	tcase_add_test(answers, at_random);
	tcase_add_test(answers, one_group);
	tcase_add_test(answers, a_flood_of_queries);
	tcase_add_test(answers, many_vlans);
	tcase_add_test(answers, old_queriers);
	tcase_add_test(answers, many_addresses);
	tcase_add_test(answers, reports_are_sound);
	suite_add_tcase(suite, answers);
	return suite;
}
