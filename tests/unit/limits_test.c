/*
 * Limits for clients: who is refused, by what, and what it takes to be remembered for it.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../cfg/prefixes.h"
#include "../../lb/limits.h"

#include <stdlib.h>

enum { ACK = 0x10, RST = 0x04, PORT = 443, TWIN_PREFIXES = 300, TWIN_PROBES = 3000 };

static struct engine engine;
static struct rules *rules;

static void begin(void)
{
	rules = fixture_rules(2);
	rules->farms[0].on_limit = ON_LIMIT_RESET;
}

static void go(void)
{
	engine_start(&engine, rules);
}

static struct rules_farm *farm(void)
{
	return &rules->farms[0];
}

/* Adds text's prefixes with word to what ret has, which is made of nothing else. */
static void set_list(struct prefixes *ret, const char *text, enum prefix_word word)
{
	struct value value = {.text = text};
	struct prefix_list list = {0};

	ck_assert_int_eq(prefixes_read(&value, "lb.ini", rules, word, &list), 0);
	ck_assert_int_eq(prefixes_make(&list, ret), 0);
	free(list.at);
}

static enum lb_why knock(unsigned client, uint16_t sport)
{
	struct talk talk;

	return (enum lb_why)talk_syn(&talk, &engine, fixture_client(client), sport, PORT).why;
}

static struct talk open_one(unsigned client, uint16_t sport)
{
	struct talk talk;

	talk_open(&talk, &engine, fixture_client(client), sport, PORT);
	return talk;
}

static const struct limits_counts *counts(void)
{
	return &lb_balance(engine.lb)->limits.counts;
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

/* SYNs that anybody can send block nobody, however many; nor is he blocked who opens what he may.
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

/* Who has himself opened as many as he may, and begins another one, is blocked for so long. */
START_TEST(who_opens_too_many_is_blocked)
{
	begin();
	farm()->client_rate = 10;
	farm()->block_for_ms = 60000;
	go();
	for (unsigned i = 0; i < 10; i++)
		open_one(1, (uint16_t)(1 + i));
	ck_assert_uint_eq(knock(1, 100), WHY_CLIENT_RATE);
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

/* ---- client_connections ---- */

START_TEST(connections_are_counted)
{
	struct talk talks[3];

	begin();
	farm()->client_connections = 3;
	go();
	for (unsigned i = 0; i < 3; i++)
		talks[i] = open_one(1, (uint16_t)(1 + i));
	ck_assert_uint_eq(knock(1, 10), WHY_CLIENT_CONNECTIONS);
	ck_assert_uint_eq(knock(2, 10), WHY_FLOW_NEW);
	talk_close(&talks[0], CLIENT);
	talks[0] = open_one(1, 11);
	ck_assert_uint_eq(knock(1, 12), WHY_CLIENT_CONNECTIONS);
	talk_send(&talks[1], SERVER, RST, 0);
	open_one(1, 13);
	ck_assert_uint_eq(knock(1, 14), WHY_CLIENT_CONNECTIONS);
	engine_stop(&engine);
}
END_TEST

/* SYNs alone count for nothing: what opens beyond the limit is reset then, at both ends. */
START_TEST(what_opens_beyond_is_reset)
{
	const uint8_t syn_ack = 0x12;
	struct talk talks[5];

	begin();
	farm()->client_connections = 3;
	go();
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(
		        talk_syn(&talks[i], &engine, fixture_client(1), (uint16_t)(1 + i), PORT)
		                .why,
		        WHY_FLOW_NEW);
		talk_send(&talks[i], SERVER, syn_ack, 0);
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(talk_send(&talks[i], CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(counts()->over, 0);
	ck_assert_uint_eq(talk_send(&talks[3], CLIENT, ACK, 5).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(counts()->over, 1);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_LIMIT], 1);
	engine.nowns = 0;
	engine_poll(&engine);
	engine_wait_ms(&engine, 10);
	ck_assert_uint_ge(engine.nowns, 2);
	ck_assert_uint_eq(talk_send(&talks[3], CLIENT, ACK, 5).why, WHY_NO_FLOW);
	ck_assert_uint_eq(talk_send(&talks[2], CLIENT, ACK, 5).why, WHY_FLOW_HIT);
	talk_close(&talks[0], SERVER);
	ck_assert_uint_eq(talk_send(&talks[4], CLIENT, ACK, 5).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(counts()->over, 1);
	engine_stop(&engine);
}
END_TEST

/* One client can't have all SNAT ports: beyond its limit the others' connections are safe. */
START_TEST(one_client_leaves_snat_ports_to_others)
{
	unsigned got = 0;

	begin();
	fixture_set_snat_ports(farm(), 2000, 2009); /* for each of two servers */
	farm()->client_connections = 5;
	go();
	for (unsigned i = 0; i < 200; i++)
		if (knock(1, (uint16_t)(1 + i)) == WHY_FLOW_NEW)
			got++;
	ck_assert_uint_ge(got, 20);
	for (unsigned c = 2; c < 17; c++)
		open_one(c, 1);
	for (unsigned i = 0; i < 5; i++)
		open_one(1, (uint16_t)(1000 + i));
	ck_assert_uint_eq(knock(1, 2000), WHY_CLIENT_CONNECTIONS);
	ck_assert_uint_eq(knock(99, 1), WHY_SNAT_EXHAUSTED);
	engine_stop(&engine);
}
END_TEST

/* A reload takes along what is open, however farms are numbered; and counts what wasn't counted. */
START_TEST(reload_counts_anew)
{
	begin();
	farm()->client_connections = 3;
	go();
	for (unsigned i = 0; i < 3; i++)
		open_one(1, (uint16_t)(1 + i));
	begin();
	engine_reload(&engine, rules);
	ck_assert_uint_eq(knock(1, 10), WHY_FLOW_NEW);
	begin();
	farm()->client_connections = 3;
	engine_reload(&engine, rules);
	ck_assert_uint_eq(knock(1, 11), WHY_CLIENT_CONNECTIONS);
	ck_assert_uint_eq(knock(2, 11), WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* Who is blocked is so though all servers are others, and the farm has another name and number. */
START_TEST(a_block_outlives_its_servers)
{
	begin();
	farm()->client_rate = 10;
	farm()->block_for_ms = 3600000;
	go();
	for (unsigned i = 0; i < 10; i++) {
		struct talk talk = open_one(1, (uint16_t)(1 + i));

		talk_close(&talk, CLIENT);
	}
	ck_assert_uint_eq(knock(1, 100), WHY_CLIENT_RATE);
	engine_wait_ms(&engine, 130 * 1000);
	rules = fixture_two_farms();
	rules->farms[0].vip = rules->farms[1].vip;
	rules->farms[1].vip = fixture_vip();
	for (unsigned f = 0; f < 2; f++)
		fixture_set_snat(&rules->farms[f], &rules->farms[f].vip, 1);
	strcpy(rules->farms[1].name, "other");
	fixture_set_ports(&rules->farms[1], PORT, PORT);
	for (unsigned s = 0; s < rules->nservers; s++)
		rules->servers[s].address = fixture_server(100 + s);
	rules->farms[1].client_rate = 10;
	rules->farms[1].block_for_ms = 3600000;
	engine_reload(&engine, rules);
	ck_assert_uint_eq(knock(1, 101), WHY_CLIENT_BLOCKED);
	ck_assert_uint_eq(knock(2, 101), WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* Of IPv6 a /64 is a client. */
START_TEST(an_ipv6_network_is_one_client)
{
	struct ip6 first = fixture_ip6(fixture_client(1)), same = first, other = first;
	struct limits_asker asker, its;

	begin();
	fixture_make_ipv6(rules);
	farm()->client_rate = 1;
	same.b[15] ^= 1;
	other.b[7] ^= 1;
	asker = limits_asker(rules, 0, &first);
	its = limits_asker(rules, 0, &same);
	ck_assert_uint_eq(asker.key, its.key);
	its = limits_asker(rules, 0, &other);
	ck_assert_uint_ne(asker.key, its.key);
	go();
	engine_stop(&engine);
}
END_TEST

/* ---- The table ---- */

/* A flood from all over makes nobody forgotten who is blocked, or who has used half of what he may
 * by connections that were open. */
START_TEST(the_worst_are_not_forgotten)
{
	enum { WORST = 200, FLOOD = 400000 };
	struct limits limits = {0};
	struct arena measure = {0}, arena = {0};
	const struct hash_key key = {{random_next(), random_next()}};
	lb_time now = {100 * LB_NS_PER_S};
	struct limits_asker asker;
	struct ip6 ip;

	begin();
	farm()->client_rate = 10;
	farm()->client_connections = 10;
	farm()->block_for_ms = 600000;
	limits_lay_out(&limits, &measure, &key);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	limits_lay_out(&limits, &arena, &key);
	for (unsigned c = 0; c < WORST; c++) {
		ip = ip6_mapped(fixture_client(c));
		asker = limits_asker(rules, 0, &ip);
		for (unsigned i = 0; i < 5 + 5 * (c & 1); i++)
			limits_opened(&limits, &asker, now);
		ck_assert_uint_eq(limits_judge(&limits, &asker, &ip, now),
		                  c & 1 ? WHY_CLIENT_CONNECTIONS : WHY_FLOW_NEW);
	}
	for (unsigned i = 0; i < FLOOD; i++) {
		now.ns += 1000;
		ip = ip6_mapped(be32_from(0x40000000 + (uint32_t)random_below(1 << 28)));
		asker = limits_asker(rules, 0, &ip);
		if (limits_judge(&limits, &asker, &ip, now) == WHY_FLOW_NEW)
			limits_begun(&limits, &asker, now);
	}
	for (unsigned c = 0; c < WORST; c++) {
		ip = ip6_mapped(fixture_client(c));
		asker = limits_asker(rules, 0, &ip);
		for (unsigned i = 5 + 5 * (c & 1); i < 10; i++)
			ck_assert(limits_opened(&limits, &asker, now));
		ck_assert_uint_eq(limits_judge(&limits, &asker, &ip, now), WHY_CLIENT_CONNECTIONS);
	}
	ck_assert_uint_eq(limits.counts.forgotten, 0);
	ck_assert_uint_eq(limits.counts.clients, LIMITS_CLIENTS);
	free(arena.base);
	rules_free(rules);
}
END_TEST

/* An address that has opened all that it may, has asked once more, and so is blocked; or for whom
 * there was no room. */
static bool block_one(struct limits *limits, uint32_t address, lb_time now)
{
	const struct ip6 ip = ip6_mapped(be32_from(address));
	const struct limits_asker asker = limits_asker(rules, 0, &ip);

	limits_opened(limits, &asker, now);
	limits_judge(limits, &asker, &ip, now);
	return limits_judge(limits, &asker, &ip, now) == WHY_CLIENT_BLOCKED;
}

static bool is_blocked(struct limits *limits, uint32_t address, lb_time now)
{
	const struct ip6 ip = ip6_mapped(be32_from(address));
	const struct limits_asker asker = limits_asker(rules, 0, &ip);

	return limits_judge(limits, &asker, &ip, now) == WHY_CLIENT_BLOCKED;
}

/* Each place has somebody who is blocked: nobody who comes then takes one, by SYNs or by
 * connections. */
START_TEST(a_table_full_of_the_worst_forgets_none)
{
	enum { BASE = 0x40000000, MANY = 1 << 19 };
	struct limits limits = {0};
	struct arena measure = {0}, arena = {0};
	const struct hash_key key = {{1, 2}};
	lb_time now = {100 * LB_NS_PER_S};
	uint8_t *blocked = calloc(MANY, 1);
	uint64_t n = 0;

	begin();
	farm()->client_rate = 1;
	farm()->client_burst = 1;
	farm()->block_for_ms = 600000;
	limits_lay_out(&limits, &measure, &key);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	limits_lay_out(&limits, &arena, &key);
	for (uint32_t i = 0; i < MANY && n < LIMITS_CLIENTS; i++)
		n += blocked[i] = block_one(&limits, BASE + i, now);
	require_eq(n, LIMITS_CLIENTS);
	require_eq(limits.counts.clients, LIMITS_CLIENTS);
	require(!block_one(&limits, BASE - 1, now)); /* one more */
	for (uint32_t i = 0; i < MANY; i++) {
		const struct ip6 ip = ip6_mapped(be32_from(BASE + (1u << 28) + i));
		const struct limits_asker asker = limits_asker(rules, 0, &ip);

		require_eq(limits_judge(&limits, &asker, &ip, now), WHY_FLOW_NEW);
		limits_begun(&limits, &asker, now);
	}
	for (uint32_t i = 0; i < MANY; i++)
		require_eq(is_blocked(&limits, BASE + i, now), blocked[i]);
	free(blocked);
	free(arena.base);
	rules_free(rules);
}
END_TEST

Suite *limits_suite(void)
{
	const TTest *const tests[] = {ranges_are_the_longest_prefixes,
	                              listed_clients_are_denied,
	                              allow_refuses_all_others,
	                              open_flows_are_not_asked,
	                              rate_and_burst,
	                              spoofed_syns_block_nobody,
	                              who_opens_too_many_is_blocked,
	                              opening_refunds_the_syn,
	                              exempt_clients_have_no_limits_but_deny,
	                              connections_are_counted,
	                              what_opens_beyond_is_reset,
	                              one_client_leaves_snat_ports_to_others,
	                              reload_counts_anew,
	                              a_block_outlives_its_servers,
	                              an_ipv6_network_is_one_client,
	                              the_worst_are_not_forgotten,
	                              a_table_full_of_the_worst_forgets_none,
	                              NULL};

	return suite_of("limits", tests);
}
