/*
 * Challenges: what numbers they have, who can answer them, and how many there are.
 */
#include "flood_fixture.h"
#include "suites.h"

#include "../../lb/challenges.h"

#include <stdlib.h>

enum { PORT = FLOOD_PORT, PER_S = 100000, NETWORK_PER_S = 30, NETWORK_AT_ONCE = 8 };
enum { LET_IN_PER_S = 20000 };

#define HASH 0x1234567890abcdefull

static struct challenges challenges;
static void *memory;
static lb_time now;

/* As a worker has them, of so many. */
static void begin(uint16_t workers)
{
	const struct hash_key key = {{0x0123456789abcdef, 0xfedcba9876543211}};
	const struct share share = {.n = workers, .worker = 0};
	struct arena arena = {0};

	now.ns = 17 * LB_NS_PER_S;
	challenges_lay_out(&challenges, &arena, &share, &key, now);
	memory = aligned_alloc(ARENA_ALIGN, arena.used);
	arena = (struct arena){.base = memory};
	challenges_lay_out(&challenges, &arena, &share, &key, now);
	now.ns += 9 * LB_NS_PER_S;
}

static void wait_ms(uint64_t ms)
{
	now.ns += ms * LB_NS_PER_MS;
}

/* A SYN of the client, or by IPv6. */
static struct packet syn_of(uint32_t client, const struct ip6 ip6[2])
{
	return (struct packet){
	        .tuple = tuple_of(be32_from(client), fixture_vip(), be16_from(1), be16_from(PORT)),
	        .src6 = ip6 ? &ip6[0] : NULL,
	        .dst6 = ip6 ? &ip6[1] : NULL,
	        .seq = 0x12345678,
	        .seq_len = 1};
}

/* The RST by which its sender answers. */
static struct packet rst_of(const struct packet *syn, uint32_t ack)
{
	struct packet ret = *syn;

	ret.seq = ack;
	ret.seq_len = 0;
	return ret;
}

/* The answer to a challenge of that SYN, which there is. */
static struct packet challenged(const struct packet *syn)
{
	uint32_t ack;

	require(challenges_make(&challenges, syn, false, now, &ack));
	return rst_of(syn, ack);
}

/* If it is an answer; that lets in one SYN of its hash. */
static bool is_answer(const struct packet *rst)
{
	const bool ret = challenges_answer(&challenges, rst, HASH, now);

	require_eq(challenges_let_in(&challenges, HASH, now), ret);
	require(!challenges_let_in(&challenges, HASH, now));
	return ret;
}

/* How many SYNs of clients from first on are challenged, of n, one of each `step`th address. */
static unsigned challenge_all(uint32_t first, unsigned n, unsigned step, bool pressed)
{
	unsigned ret = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct packet syn = syn_of(first + i * step, NULL);
		uint32_t ack;

		ret += challenges_make(&challenges, &syn, pressed, now, &ack);
	}
	return ret;
}

START_TEST(who_names_the_number_has_got_it)
{
	const struct ip6 ip6[2] = {{{0x20, 0x01, [7] = 1, [15] = 1}}, {{0x20, 0x01, [15] = 2}}};
	const struct packet syn = syn_of(0x0b000001, _i ? ip6 : NULL);
	struct packet rst;
	uint32_t ack;

	begin(1);
	ck_assert(challenges_make(&challenges, &syn, false, now, &ack));
	rst = rst_of(&syn, ack);
	ck_assert(is_answer(&rst));
	for (unsigned bit = 0; bit < 32; bit++) {
		rst.seq = ack ^ 1u << bit;
		ck_assert(!is_answer(&rst));
	}
	free(memory);
}
END_TEST

/* Each bit of what is hashed counts: nobody can answer with the number of a challenge of his. */
START_TEST(each_has_a_number_of_his_own)
{
	struct ip6 ip6[2] = {{{0x20, 0x01, [7] = 1, [15] = 1}}, {{0x20, 0x01, [15] = 2}}};
	const struct packet four = syn_of(0x0b000001, NULL), six = syn_of(0x0b000001, ip6);
	uint32_t ack4, ack6;

	begin(1);
	ck_assert(challenges_make(&challenges, &four, false, now, &ack4));
	ck_assert(challenges_make(&challenges, &six, false, now, &ack6));
	for (unsigned i = 0; i < sizeof(struct tuple) * 8; i++) {
		struct packet rst = rst_of(&four, ack4);

		((uint8_t *)&rst.tuple)[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert(!is_answer(&rst));
	}
	for (unsigned i = 0; i < sizeof(ip6) * 8; i++) {
		const struct packet rst = rst_of(&six, ack6);

		((uint8_t *)ip6)[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert(!is_answer(&rst));
		((uint8_t *)ip6)[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert(is_answer(&rst));
	}
	free(memory);
}
END_TEST

/* For one or two periods of 3 s. */
START_TEST(an_answer_must_come_soon)
{
	static const unsigned ms[] = {0, 2999, 3001, 6001};

	for (unsigned i = 0; i < 4; i++) {
		const struct packet syn = syn_of(0x0b000001, NULL);
		struct packet rst;

		begin(1);
		rst = challenged(&syn);
		wait_ms(ms[i]);
		ck_assert_int_eq(is_answer(&rst), ms[i] < 6000);
		free(memory);
	}
}
END_TEST

/* A number that could be guessed, as none was told, proves nothing. */
START_TEST(without_a_challenge_nothing_is_answered)
{
	const struct packet syn = syn_of(0x0b000001, NULL);
	struct packet rst;
	uint32_t ack;

	begin(1);
	ck_assert(challenges_make(&challenges, &syn, false, now, &ack));
	free(memory);
	begin(1); /* by the same key */
	rst = rst_of(&syn, ack);
	ck_assert(!is_answer(&rst));
	free(memory);
}
END_TEST

/* Then it would be an answer to the SYN, or to data that came with it. */
START_TEST(a_challenge_acknowledges_nothing)
{
	struct packet syn = syn_of(0x0b000001, NULL);
	uint32_t ack, again;

	begin(1);
	ck_assert(challenges_make(&challenges, &syn, false, now, &ack));
	for (uint32_t len = 1; len < 1500; len += 499)
		for (uint32_t at = 0; at <= len + 1; at++) {
			syn.seq = ack - at;
			syn.seq_len = len;
			wait_ms(64);
			if (at == 0 || at == len + 1)
				ck_assert(challenges_make(&challenges, &syn, false, now, &again));
			else
				ck_assert(!challenges_make(&challenges, &syn, false, now, &again));
			if (now.ns > 28 * LB_NS_PER_S) { /* the number is another one soon */
				free(memory);
				begin(1);
			}
		}
	free(memory);
}
END_TEST

START_TEST(a_network_gets_a_share_of_the_challenges)
{
	unsigned n = 0;

	begin(1);
	ck_assert_uint_eq(challenge_all(0x0b000000, 256, 1, false), NETWORK_AT_ONCE);
	ck_assert_uint_eq(challenge_all(0x0b000100, 256, 1, false), NETWORK_AT_ONCE);
	for (unsigned i = 0; i < 100; i++) {
		wait_ms(10);
		n += challenge_all(0x0b000000, 256, 1, false);
	}
	ck_assert_uint_ge(n, NETWORK_PER_S);
	ck_assert_uint_le(n, NETWORK_PER_S + 2);
	wait_ms(5000);
	ck_assert_uint_eq(challenge_all(0x0b000000, 256, 1, false), NETWORK_AT_ONCE);
	free(memory);
}
END_TEST

/* Of which each has a part, but for the first second one at the least. */
START_TEST(workers_share_what_a_network_gets)
{
	static const unsigned workers[] = {2, 4, 64};

	for (unsigned i = 0; i < 3; i++) {
		unsigned n = 0;

		begin((uint16_t)workers[i]);
		challenge_all(0x0b000000, 256, 1, false);
		for (unsigned ms = 0; ms < 64000; ms += 16) {
			wait_ms(16);
			n += challenge_all(0x0b000000, 2, 1, false);
		}
		ck_assert_uint_ge(n, 2000 / workers[i] - 4);
		ck_assert_uint_le(n, 2000 / workers[i] + 4);
		free(memory);
	}
}
END_TEST

/* An answer counts for 3 s, and for one SYN of that hash, however often it comes. */
START_TEST(an_answer_lets_in_one_syn)
{
	static const unsigned ms[] = {0, 2999, 3000};

	for (unsigned i = 0; i < 3; i++) {
		const struct packet syn = syn_of(0x0b000001, NULL);
		struct packet rst;

		begin(1);
		rst = challenged(&syn);
		ck_assert(!challenges_let_in(&challenges, HASH, now));
		ck_assert(challenges_answer(&challenges, &rst, HASH, now));
		ck_assert(challenges_answer(&challenges, &rst, HASH, now));
		wait_ms(ms[i]);
		ck_assert(!challenges_let_in(&challenges, HASH ^ 0x80000000, now));
		ck_assert_int_eq(challenges_let_in(&challenges, HASH, now), ms[i] < 3000);
		ck_assert(!challenges_let_in(&challenges, HASH, now));
		free(memory);
	}
}
END_TEST

/* Who makes hosts answer, whose addresses he uses, is let in so often. */
START_TEST(answers_let_in_so_many_a_second)
{
	const struct packet syn = syn_of(0x0b000001, NULL);
	struct packet rst;
	unsigned n = 0;

	begin(1);
	rst = challenged(&syn);
	for (unsigned i = 0; i < 40000; i++) {
		challenges_answer(&challenges, &rst, i, now);
		n += challenges_let_in(&challenges, i, now);
		now.ns += LB_NS_PER_MS / 100;
	}
	ck_assert_uint_ge(n, LET_IN_PER_S * 4 / 10);
	ck_assert_uint_le(n, LET_IN_PER_S * 5 / 10 + 1);
	free(memory);
}
END_TEST

/* Hundreds that ask for all that they can get have hardly two places of anybody else. */
START_TEST(networks_of_a_flood_leave_others_theirs)
{
	unsigned n = 0;

	begin(1);
	challenge_all(0x0b000000, 512, 256, false);
	for (unsigned i = 0; i < 100; i++) {
		wait_ms(10);
		challenge_all(0x0b000000, 512, 256, false);
		n += challenge_all(0x0c000000 + i * 100 * 256, 100, 256, false);
	}
	ck_assert_uint_ge(n, 9990);
	free(memory);
}
END_TEST

/* All over the world there are so many, of all workers, and few at once; a fifth while frames
 * wait. */
START_TEST(challenges_have_a_rate)
{
	for (unsigned i = 0; i < 4; i++) {
		const uint16_t workers = i & 1 ? 3 : 1;
		const bool pressed = i & 2;
		const unsigned per_s = (unsigned)PER_S / workers / (pressed ? 5 : 1);
		unsigned n;

		begin(workers);
		n = challenge_all(0x0b000000, PER_S, 256, pressed);
		ck_assert_uint_eq(n, per_s / 10);
		wait_ms(10);
		n = challenge_all(0x0c000000, PER_S, 256, pressed);
		ck_assert_uint_ge(n, per_s / 100 - 1);
		ck_assert_uint_le(n, per_s / 100 + 1);
		free(memory);
	}
}
END_TEST

/* ---- Through the engine ---- */

/* Others ask twice, as many as are let in for that in a second. */
static void ask_twice(void)
{
	for (unsigned i = 0; i < 2 * (FLOOD_PER_S + 100); i++)
		knock(10000 + i % (FLOOD_PER_S + 100), 1);
}

/* A client of another network than the flood's, which has had its challenges. */
static be32 from_elsewhere(uint8_t host)
{
	return be32_from(0x0b000000u + host);
}

/* What the client's TCP does upon the answer to its SYN. */
static enum lb_why answer(const struct spec *syn, const struct own *own)
{
	struct spec rst = *syn;
	struct built built;

	rst.seq = own->ack;
	rst.flags = TCP_RST;
	frames_tcp(&built, &rst);
	return (enum lb_why)engine_input(&engine, &built).why;
}

START_TEST(who_answers_a_challenge_is_let_in)
{
	const struct spec syn = spec_syn(from_elsewhere(2), 1, PORT),
	                  other = spec_syn(from_elsewhere(3), 1, PORT);
	struct talk talk;
	struct verdict v;

	begin_engine(most_half_open[_i]);
	flood(most_half_open[_i]);
	v = talk_syn_from(&talk, &engine, &syn);
	require_eq(v.why, WHY_STRANGER_CHALLENGED);
	require_eq(v.own.tcp_flags, TCP_ACK);
	require(v.own.ack != syn.seq + 1);
	require(hop_eq(&v.own.to, &(struct hop){.mac = syn.src, .side = OUTSIDE}));
	ck_assert_uint_eq(answer(&other, &v.own), WHY_RST_NO_FLOW);
	require_turned_away(knock_from(syn.from, 2));
	ck_assert_uint_eq(answer(&syn, &v.own), WHY_STRANGER_ANSWERED);
	ask_twice();
	for (unsigned i = 0; i < 2; i++) {
		require_turned_away(knock_from(syn.from, 3)); /* just that SYN */
		require_turned_away(knock_from(other.from, 1));
	}
	ck_assert_uint_eq(knock_from(syn.from, 1), WHY_FLOW_NEW);
	require_turned_away(knock_from(syn.from, 4)); /* he has opened nothing yet */
	engine_stop(&engine);
}
END_TEST

/* Without a flood the same RST is one of no flow. */
START_TEST(without_a_flood_nobody_is_challenged)
{
	const struct spec syn = spec_syn(from_elsewhere(2), 1, PORT);
	struct talk talk;
	struct verdict v;

	begin_engine(65536);
	lb_press(engine.lb, engine.now);
	flood(0);
	v = talk_syn_from(&talk, &engine, &syn);
	require_eq(v.why, WHY_STRANGER_CHALLENGED);
	engine_wait_ms(&engine, 6001);
	ck_assert_uint_eq(answer(&syn, &v.own), WHY_RST_NO_FLOW);
	ck_assert_uint_eq(knock_from(syn.from, 1), WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

Suite *challenges_suite(void)
{
	const TTest *const tests[] = {each_has_a_number_of_his_own,
	                              an_answer_must_come_soon,
	                              without_a_challenge_nothing_is_answered,
	                              a_challenge_acknowledges_nothing,
	                              a_network_gets_a_share_of_the_challenges,
	                              workers_share_what_a_network_gets,
	                              networks_of_a_flood_leave_others_theirs,
	                              an_answer_lets_in_one_syn,
	                              answers_let_in_so_many_a_second,
	                              challenges_have_a_rate,
	                              without_a_flood_nobody_is_challenged,
	                              NULL};
	const int sizes = sizeof(most_half_open) / sizeof(*most_half_open);
	Suite *suite = suite_of("challenges", tests);
	TCase *loops = tcase_create("loops");

	tcase_add_loop_test(loops, who_names_the_number_has_got_it, 0, 2);
	tcase_add_loop_test(loops, who_answers_a_challenge_is_let_in, 0, sizes);
	suite_add_tcase(suite, loops);
	return suite;
}
