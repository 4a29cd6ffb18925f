/*
 * Rewriting: what changes, what doesn't, and that the checksums are as right or wrong as before.
 */
#include "frames.h"
#include "random.h"
#include "suites.h"

#include "../../lb/rewrite.h"

enum { ROUNDS = 5000 };

static const struct tuple to = {{{10, 0, 0, 40}}, {{10, 0, 0, 41}}, {{0x9c, 0x40}}, {{0x13, 0xc5}}};

static struct spec any_spec(void)
{
	return (struct spec){
	        .ntags = random_below(3),
	        .tpid = {0x88a8, 0x8100},
	        .from = be32_from((uint32_t)random_next()),
	        .to = be32_from((uint32_t)random_next()),
	        .ip_options = (uint8_t)(random_below(2) * 4 * random_below(11)),
	        .sport = (uint16_t)random_next(),
	        .dport = (uint16_t)random_next(),
	        .seq = (uint32_t)random_next(),
	        .flags = (uint8_t)random_next(),
	        .tcp_options = (uint8_t)(4 * random_below(11)),
	        .payload = (uint16_t)random_below(1400),
	        .partial = random_below(3) == 0,
	};
}

static void rewrite(struct built *built, const struct tuple *new)
{
	struct packet packet;

	parse_frame(&built->frame, &packet);
	require(parse_ip(&built->frame, &packet));
	require(parse_tcp(&built->frame, &packet));
	rewrite_tcp(&built->frame, &packet, &(struct rewrite_to){.tuple = *new});
}

/* All bytes but the tuple and the checksums. */
static void check_rest(const struct built *got, const struct built *before)
{
	struct built a, b;

	frames_copy(&a, got);
	frames_copy(&b, before);
	for (int i = 0; i < 2; i++) {
		struct built *x = i ? &b : &a;

		memset(x->frame.data + x->l3 + 10, 0, 10);
		memset(x->frame.data + x->l4, 0, 4);
		memset(x->frame.data + x->l4 + 16, 0, 2);
	}
	ck_assert_mem_eq(a.bytes, b.bytes, sizeof(a.bytes));
	require_eq(got->frame.len, before->frame.len);
	require_eq(got->frame.flags, before->frame.flags);
}

static void check_tuple(const struct built *built, const struct tuple *want)
{
	const uint8_t *ip = built->frame.data + built->l3, *tcp = built->frame.data + built->l4;

	ck_assert_mem_eq(ip + 12, &want->src, 4);
	ck_assert_mem_eq(ip + 16, &want->dst, 4);
	ck_assert_mem_eq(tcp, &want->sport, 2);
	ck_assert_mem_eq(tcp + 2, &want->dport, 2);
}

START_TEST(checksums_right_stay_right)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct spec spec = any_spec();
		struct built built, before;

		frames_tcp(&built, &spec);
		frames_copy(&before, &built);
		rewrite(&built, &to);
		check_tuple(&built, &to);
		require_eq(frames_ip_error(&built), 0);
		require_eq(frames_tcp_error(&built), 0);
		check_rest(&built, &before);
	}
}
END_TEST

START_TEST(damage_stays_the_same)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct spec spec = any_spec();
		struct built built;
		uint16_t ip_error, tcp_error;

		frames_tcp(&built, &spec);
		frames_put16(built.frame.data + built.l4 + 16, (uint16_t)random_next());
		frames_put16(built.frame.data + built.l3 + 10, (uint16_t)random_next());
		ip_error = frames_ip_error(&built);
		tcp_error = frames_tcp_error(&built);
		rewrite(&built, &to);
		require_eq(frames_ip_error(&built), ip_error);
		require_eq(frames_tcp_error(&built), tcp_error);
	}
}
END_TEST

/* Checksums of 0 and 0xffff and sums that fold to either. */
START_TEST(zeros_of_ones_complement)
{
	for (unsigned partial = 0; partial < 2; partial++) {
		for (uint32_t seq = 0; seq < 0x10000; seq++) {
			struct spec spec = {.from = ip4(10, 1, 1, 1),
			                    .to = ip4(10, 0, 0, 40),
			                    .seq = seq,
			                    .flags = 2,
			                    .partial = partial};
			struct built built;

			frames_tcp(&built, &spec);
			rewrite(&built, seq % 2 ? &to : &(struct tuple){0});
			require_eq(frames_ip_error(&built), 0);
			require_eq(frames_tcp_error(&built), 0);
		}
	}
}
END_TEST

START_TEST(there_and_back)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct spec spec = any_spec();
		const struct tuple from = {spec.from, spec.to, be16_from(spec.sport),
		                           be16_from(spec.dport)};
		struct built built;

		frames_tcp(&built, &spec);
		rewrite(&built, &to);
		rewrite(&built, &from);
		check_tuple(&built, &from);
		require_eq(frames_ip_error(&built), 0);
		require_eq(frames_tcp_error(&built), 0);
	}
}
END_TEST

Suite *rewrite_suite(void)
{
	const TTest *const tests[] = {checksums_right_stay_right, damage_stays_the_same,
	                              zeros_of_ones_complement, there_and_back, NULL};

	return suite_of("rewrite", tests);
}
