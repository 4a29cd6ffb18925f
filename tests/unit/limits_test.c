/*
 * Limits for clients: who is refused, by what, and what it takes to be remembered for it.
 */
#include "limits_fixture.h"
#include "random.h"
#include "suites.h"

#include <stdlib.h>

/* Adds text's prefixes with word to what ret has, which is made of nothing else. */
static void set_list(struct prefixes *ret, const char *text, enum prefix_word word)
{
	struct value value = {.text = text};
	struct prefix_list list = {0};

	ck_assert_int_eq(prefixes_read(&value, "lb.ini", rules, word, &list), 0);
	ck_assert_int_eq(prefixes_make(&list, ret), 0);
	free(list.at);
}

/* ---- Lists ---- */

/* The longest prefix that has the address, and of two deny: slowly. */
static enum prefix_word twin_find(const struct prefix *at, unsigned n, const struct ip6 *ip)
{
	enum prefix_word ret = PREFIX_NONE;
	int longest = -1;

	for (unsigned i = 0; i < n; i++) {
		bool has = true;

		for (unsigned bit = 0; bit < at[i].len && has; bit++)
			has = !((at[i].first.b[bit / 8] ^ ip->b[bit / 8]) & 0x80 >> bit % 8);
		if (has && (at[i].len > longest || (at[i].len == longest && at[i].word > ret))) {
			ret = (enum prefix_word)at[i].word;
			longest = at[i].len;
		}
	}
	return ret;
}

/* Addresses of few different bits, so that prefixes are within each other. */
static struct ip6 random_address(void)
{
	struct ip6 ip = {{0}};

	for (unsigned i = 0; i < sizeof(ip.b); i++)
		ip.b[i] = (uint8_t)(random_below(3) ? random_below(2) * 0xff : random_below(4));
	return ip;
}

static struct prefix random_prefix(void)
{
	static const uint8_t lens[] = {0, 1, 7, 8, 9, 32, 64, 95, 96, 97, 104, 120, 127, 128};
	struct prefix prefix = {.first = random_address(),
	                        .len = random_below(2) ? lens[random_below(sizeof(lens))]
	                                               : (uint8_t)random_below(129),
	                        .word = random_below(2) ? PREFIX_ALLOW : PREFIX_DENY};

	for (unsigned bit = prefix.len; bit < 128; bit++)
		prefix.first.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return prefix;
}

START_TEST(ranges_are_the_longest_prefixes)
{
	for (unsigned n = 0; n < TWIN_PREFIXES; n += 1 + n / 2) {
		struct prefix *at = calloc(n + 1, sizeof(*at)), *copy;
		struct prefix_list list = {.at = at, .n = n};
		struct prefixes ranges;

		for (unsigned i = 0; i < n; i++)
			at[i] = random_prefix();
		copy = calloc(n + 1, sizeof(*copy));
		memcpy(copy, at, n * sizeof(*at));
		ck_assert_int_eq(prefixes_make(&list, &ranges), 0);
		ck_assert_uint_le(ranges.n, 2 * n + 1);
		for (unsigned i = 0; i < TWIN_PROBES; i++) {
			struct ip6 ip = random_address();

			if (n && random_below(2))
				ip = copy[random_below(n)].first;
			ck_assert_uint_eq(prefixes_find(&ranges, &ip), twin_find(copy, n, &ip));
		}
		free(ranges.first);
		free(ranges.word);
		free(at);
		free(copy);
	}
}
END_TEST

START_TEST(listed_clients_are_denied)
{
	begin();
	set_list(&farm()->access, "10.9.0.0/30, 10.9.0.8", PREFIX_DENY);
	go();
	for (unsigned c = 0; c < 12; c++)
		ck_assert_uint_eq(knock(c, 1), c < 4 || c == 8 ? WHY_CLIENT_DENIED : WHY_FLOW_NEW);
	ck_assert_uint_eq(counts()->denied, 5);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.refused, 5);
	engine_stop(&engine);
}
END_TEST

START_TEST(allow_refuses_all_others)
{
	begin();
	farm()->allows_only = true;
	farm()->on_limit = ON_LIMIT_DROP;
	set_list(&farm()->access, "10.9.0.0/30", PREFIX_ALLOW);
	go();
	ck_assert_uint_eq(knock(3, 1), WHY_FLOW_NEW);
	ck_assert_uint_eq(knock(4, 1), WHY_CLIENT_DROPPED);
	ck_assert_uint_eq(counts()->denied, 1);
	engine_stop(&engine);
}
END_TEST

/* What has a flow has it. */
START_TEST(open_flows_are_not_asked)
{
	struct talk talk;

	begin();
	go();
	talk = open_one(1, 1);
	set_list(&farm()->access, "0.0.0.0/0", PREFIX_DENY);
	ck_assert_uint_eq(talk_send(&talk, CLIENT, ACK, 10).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(knock(1, 2), WHY_CLIENT_DENIED);
	engine_stop(&engine);
}
END_TEST

/* ---- client_rate ---- */

START_TEST(rate_and_burst)
{
	begin();
	farm()->client_rate = 10;
	farm()->client_burst = 5;
	go();
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(knock(1, (uint16_t)(100 + i)),
		                  i < 5 ? WHY_FLOW_NEW : WHY_CLIENT_RATE);
	ck_assert_uint_eq(knock(2, 1), WHY_FLOW_NEW); /* others aren't concerned */
	for (unsigned i = 0; i < 20; i++) {
		engine_wait_ms(&engine, 100);
		ck_assert_uint_eq(knock(1, (uint16_t)(200 + 2 * i)), WHY_FLOW_NEW);
		ck_assert_uint_eq(knock(1, (uint16_t)(201 + 2 * i)), WHY_CLIENT_RATE);
	}
	engine_wait_ms(&engine, 60000);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(knock(1, (uint16_t)(300 + i)),
		                  i < 5 ? WHY_FLOW_NEW : WHY_CLIENT_RATE);
	ck_assert_uint_eq(counts()->blocks, 0);
	engine_stop(&engine);
}
END_TEST

/*
 * SYNs that anybody can send block nobody, however many; nor is he blocked who opens what he may.
 */
START_TEST(spoofed_syns_block_nobody)
{
	begin();
	farm()->client_rate = 10;
	farm()->block_for_ms = 60000;
	go();
	for (unsigned i = 0; i < 5; i++)
		open_one(1, (uint16_t)(1 + i));
	for (unsigned i = 0; i < 2000; i++)
		knock(1, (uint16_t)(1000 + i));
	ck_assert_uint_eq(counts()->blocks, 0);
	ck_assert_uint_eq(counts()->rate, 1990);
	engine_wait_ms(&engine, 1000);
	open_one(1, 200); /* as soon as it is over */
	engine_stop(&engine);
}
END_TEST

/* Client 1 opens as many in a second as he may, begins another one, and is blocked for a minute. */
static void get_blocked(void)
{
	begin();
	farm()->client_rate = 10;
	farm()->block_for_ms = 60000;
	go();
	for (unsigned i = 0; i < 10; i++)
		open_one(1, (uint16_t)(1 + i));
	ck_assert_uint_eq(knock(1, 100), WHY_CLIENT_RATE);
}

/* Who has himself opened as many as he may, and begins another one, is blocked for so long. */
START_TEST(who_opens_too_many_is_blocked)
{
	get_blocked();
	ck_assert_uint_eq(counts()->blocks, 1);
	engine_wait_ms(&engine, 30000);
	ck_assert_uint_eq(knock(1, 101), WHY_CLIENT_BLOCKED);
	ck_assert_uint_eq(knock(2, 101), WHY_FLOW_NEW);
	engine_wait_ms(&engine, 29900);
	ck_assert_uint_eq(knock(1, 102), WHY_CLIENT_BLOCKED);
	engine_wait_ms(&engine, 300);
	ck_assert_uint_eq(knock(1, 103), WHY_FLOW_NEW); /* that prolonged nothing */
	ck_assert_uint_eq(counts()->blocked, 2);
	engine_stop(&engine);
}
END_TEST

/* What opens is paid for by him alone: SYNs get their money back. */
START_TEST(opening_refunds_the_syn)
{
	begin();
	farm()->client_rate = 100;
	farm()->client_burst = 4;
	go();
	for (unsigned i = 0; i < 40; i++) {
		open_one(1, (uint16_t)(1 + i));
		engine_wait_ms(&engine, 10);
	}
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(knock(1, (uint16_t)(100 + i)), WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

START_TEST(exempt_clients_have_no_limits_but_deny)
{
	begin();
	farm()->client_rate = farm()->client_connections = 1;
	set_list(&farm()->exempt, "10.9.0.1, 10.9.0.2", PREFIX_EXEMPT);
	set_list(&farm()->access, "10.9.0.2", PREFIX_DENY);
	go();
	for (unsigned i = 0; i < 20; i++)
		open_one(1, (uint16_t)(1 + i));
	ck_assert_uint_eq(knock(2, 1), WHY_CLIENT_DENIED);
	open_one(3, 1);
	ck_assert_uint_ne(knock(3, 2), WHY_FLOW_NEW);
	ck_assert_uint_eq(counts()->clients, 1);
	engine_stop(&engine);
}
END_TEST

/* An operator lets in who is blocked, by a file that exempts him, or that blocks nobody. */
START_TEST(a_reload_lets_in_who_is_blocked)
{
	for (unsigned exempts = 0; exempts < 2; exempts++) {
		get_blocked();
		begin();
		farm()->client_rate = 10;
		farm()->block_for_ms = exempts ? 60000 : 0;
		if (exempts)
			set_list(&farm()->exempt, "10.9.0.1", PREFIX_EXEMPT);
		engine_reload(&engine, rules);
		ck_assert_uint_eq(knock(1, 101), exempts ? WHY_FLOW_NEW : WHY_CLIENT_RATE);
		engine_wait_ms(&engine, 1000);
		ck_assert_uint_eq(knock(1, 102), WHY_FLOW_NEW);
		engine_stop(&engine);
	}
}
END_TEST

/* Who is exempt isn't counted, and who isn't any more is counted as the others are. */
START_TEST(a_reload_counts_who_was_exempt)
{
	struct talk talks[3];

	for (unsigned exempts = 0; exempts < 2; exempts++) {
		for (unsigned i = 0; i < 3; i++) {
			begin();
			farm()->client_connections = 2;
			if (i % 2 == exempts)
				set_list(&farm()->exempt, "10.9.0.1", PREFIX_EXEMPT);
			if (i)
				engine_reload(&engine, rules);
			else
				go();
			if (!i)
				talks[0] = open_one(1, 1);
			if (!i)
				talks[1] = open_one(1, 2);
			ck_assert_uint_eq(knock(1, (uint16_t)(10 + i)),
			                  i % 2 == exempts ? WHY_FLOW_NEW : WHY_CLIENT_CONNECTIONS);
		}
		talk_close(&talks[0], CLIENT);
		talks[2] = open_one(1, 20);
		ck_assert_uint_eq(talk_send(&talks[2], CLIENT, ACK, 10).why, WHY_FLOW_HIT);
		engine_stop(&engine);
	}
}
END_TEST

Suite *limits_suite(void)
{
	const TTest *const tests[] = {
	        ranges_are_the_longest_prefixes,
	        listed_clients_are_denied,
	        allow_refuses_all_others,
	        open_flows_are_not_asked,
	        rate_and_burst,
	        spoofed_syns_block_nobody,
	        who_opens_too_many_is_blocked,
	        opening_refunds_the_syn,
	        exempt_clients_have_no_limits_but_deny,
	        a_reload_lets_in_who_is_blocked,
	        a_reload_counts_who_was_exempt,
	        NULL,
	};

	return suite_of("limits", tests);
}
