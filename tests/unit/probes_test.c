/*
 * Probes: what they send, when, and what they make of answers.
 */
#include "probes_fixture.h"

#include "../../lb/wire.h"

#include <time.h>

static bool sent(unsigned i, uint8_t flags, uint32_t seq)
{
	return i < out.n && items[i].tcp_flags == flags && items[i].seq == seq;
}

static struct own only_syn(void)
{
	ck_assert_uint_eq(out.n, 1);
	ck_assert_uint_eq(items[0].tcp_flags, TCP_SYN);
	return items[0];
}

START_TEST(a_good_port)
{
	struct own syn;

	begin(1, 1);
	poll();
	syn = only_syn();
	answer_to(&syn, TCP_SYN | TCP_ACK, syn.seq + 1);
	ck_assert(ended == 1 && result.ok);
	ck_assert(out.n == 1 && sent(0, TCP_FIN | TCP_ACK, syn.seq + 1) && items[0].ack == 701);
	{
		const struct probe_reply fin = {.tuple = tuple_reverse(syn.tuple),
		                                .seq = 701,
		                                .ack = syn.seq + 2,
		                                .tcp_flags = TCP_FIN | TCP_ACK};

		out.n = 0;
		ck_assert(!probes_reply(probes, &fin, NULL, now, &out, &result));
	}
	ck_assert(out.n == 1 && sent(0, TCP_ACK, syn.seq + 2) && items[0].ack == 702);
	ck_assert_uint_eq(wait_due(), INTERVAL_MS);
	ck_assert(!be16_eq(only_syn().tuple.sport, syn.tuple.sport));
	end();
}
END_TEST

START_TEST(no_answer_is_asked_again_and_then_reset)
{
	struct own syn;

	begin(1, 1);
	poll();
	syn = only_syn();
	ck_assert_uint_eq(wait_due(), 1000);
	ck_assert(out.n == 1 && sent(0, TCP_SYN, syn.seq));
	ck_assert_uint_eq(wait_due(), TIMEOUT_MS - 1000);
	ck_assert(ended == 1 && !result.ok);
	ck_assert_uint_eq(result.fault.kind, FAULT_NO_ANSWER);
	/* a server whose answer was lost would go on waiting for ours */
	ck_assert(out.n == 1 && sent(0, TCP_RST, syn.seq + 1));
	ck_assert_uint_eq(wait_due(), INTERVAL_MS / 2 - TIMEOUT_MS);
	only_syn();
	end();
}
END_TEST

START_TEST(refused)
{
	struct own syn;

	begin(1, 1);
	poll();
	syn = only_syn();
	answer_to(&syn, TCP_RST | TCP_ACK, syn.seq); /* of something else */
	ck_assert_uint_eq(ended, 0);
	answer_to(&syn, TCP_RST | TCP_ACK, syn.seq + 1);
	ck_assert(ended == 1 && !result.ok);
	ck_assert_uint_eq(result.fault.kind, FAULT_REFUSED);
	end();
}
END_TEST

/* Of a server that goes on talking: it is told that nobody listens, whatever it says. */
START_TEST(what_is_said_after_the_end_is_reset)
{
	uint8_t bytes[] = "220 hello";
	const struct frame frame = {.data = bytes, .len = sizeof(bytes)};
	struct probe_reply more = {
	        .seq = 701, .tcp_flags = TCP_PSH | TCP_ACK, .data_len = sizeof(bytes)};
	struct own syn;

	begin(1, 1);
	poll();
	syn = only_syn();
	answer_to(&syn, TCP_RST | TCP_ACK, syn.seq + 1);
	ck_assert_uint_eq(ended, 1);
	more.tuple = tuple_reverse(syn.tuple);
	more.ack = syn.seq + 2;
	out.n = 0;
	ck_assert(!probes_reply(probes, &more, &frame, now, &out, &result));
	ck_assert(out.n == 1 && sent(0, TCP_RST, syn.seq + 2) && !items[0].data_len);
	end();
}
END_TEST

START_TEST(what_is_left_over_is_ended_and_asked_again_at_once)
{
	struct own syn;

	begin(1, 1);
	poll();
	syn = only_syn();
	answer_to(&syn, TCP_ACK, 12345);
	ck_assert(out.n == 2 && sent(0, TCP_RST, 12345) && sent(1, TCP_SYN, syn.seq));
	answer_to(&syn, TCP_SYN | TCP_ACK, syn.seq + 1);
	ck_assert(ended == 1 && result.ok);
	end();
}
END_TEST

START_TEST(whoever_answers_all_so_isnt_asked_without_end)
{
	unsigned syns = 0;
	struct own syn;

	begin(1, 1);
	poll();
	syn = only_syn();
	for (unsigned i = 0; i < 100; i++) {
		answer_to(&syn, TCP_ACK, 12345);
		ck_assert(sent(0, TCP_RST, 12345));
		syns += out.n - 1;
	}
	ck_assert_uint_eq(syns, 3);
	end();
}
END_TEST

START_TEST(an_answer_to_an_earlier_round_ends_that_and_not_this_one)
{
	struct own first, second;

	begin(1, 1);
	poll();
	first = only_syn();
	wait_due();
	wait_due();
	ck_assert_uint_eq(ended, 1);
	wait_due();
	second = only_syn();
	ck_assert(!be16_eq(first.tuple.sport, second.tuple.sport));
	answer_to(&first, TCP_SYN | TCP_ACK, first.seq + 1);
	ck_assert(out.n == 1 && sent(0, TCP_RST, first.seq + 1));
	ck_assert(be16_eq(items[0].tuple.sport, first.tuple.sport));
	answer_to(&second, TCP_SYN | TCP_ACK, second.seq + 1);
	ck_assert(ended == 2 && result.ok);
	end();
}
END_TEST

START_TEST(two_farms_probes_of_one_port_have_ports_of_their_own)
{
	const be32 snat = fixture_vip();

	rules = fixture_two_farms();
	rules->servers[2].address = rules->servers[0].address;
	fixture_set_snat(&rules->farms[1], &snat, 1);
	for (unsigned f = 0; f < 2; f++)
		set_checks(&rules->farms[f], 1);
	start();
	poll();
	ck_assert_uint_eq(out.n, 4);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert(!tuple_eq(&items[i].tuple, &items[j].tuple));
	{
		const struct own third = items[2];

		ck_assert_uint_eq(third.server, 2);
		answer_to(&third, TCP_SYN | TCP_ACK, third.seq + 1);
	}
	ck_assert(ended == 1 && result.ok && result.server == 2);
	end();
}
END_TEST

/* A farm may have more probes of one port of a server than there are ports of ours. */
START_TEST(whoever_finds_no_port_of_ours_waits_for_one)
{
	enum { MOST = RULES_CHECKS_MAX + 1 };
	struct own first;

	rules = fixture_rules(1);
	set_checks(&rules->farms[0], RULES_CHECKS_MAX);
	for (unsigned i = 0; i < RULES_CHECKS_MAX; i++)
		rules->farms[0].checks[i] = be16_from(443);
	rules->farms[0].agent = be16_from(443);
	start();
	poll();
	ck_assert_uint_eq(out.n, RULES_PROBE_PORTS);
	ck_assert_uint_lt(RULES_PROBE_PORTS, MOST);
	for (unsigned i = 0; i < out.n; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert(!tuple_eq(&items[i].tuple, &items[j].tuple));
	first = items[0];
	ck_assert_uint_le(wait_due(), 100);
	ck_assert_uint_eq(out.n, 0);
	answer_to(&first, TCP_RST | TCP_ACK, first.seq + 1);
	ck_assert_uint_eq(ended, 1);
	ck_assert_uint_le(wait_due(), 100);
	ck_assert_uint_eq(out.n, 1);
	ck_assert(tuple_eq(&items[0].tuple, &first.tuple));
	end();
}
END_TEST

static uint64_t processor_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * LB_NS_PER_S + (uint64_t)used.tv_nsec;
}

/* A thousand want sixteen ports, and none of their servers answers: that takes a small part of a
 * processor, also of a sanitized one. */
START_TEST(who_waits_for_a_port_costs_little_however_many_they_are)
{
	const be32 snat = fixture_vip();
	uint64_t before;

	rules = fixture_farms(RULES_FARMS_MAX, 1);
	for (unsigned f = 0; f < rules->nfarms; f++) {
		fixture_set_snat(&rules->farms[f], &snat, 1);
		rules->servers[f].address = rules->servers[0].address;
		set_checks(&rules->farms[f], 1);
	}
	start();
	poll();
	ck_assert_uint_eq(out.n, RULES_PROBE_PORTS);
	before = processor_ns();
	for (unsigned ms = 0; ms < 1000; ms++) {
		now.ns += LB_NS_PER_MS;
		poll();
	}
	ck_assert_uint_lt(processor_ns() - before, LB_NS_PER_S / 2);
	end();
}
END_TEST

/* Clients can say at any rate that a server doesn't answer. */
START_TEST(a_suspect_is_probed_at_once_but_not_without_end)
{
	unsigned n = 0;

	begin(1, 1);
	poll();
	for (unsigned ms = 0; ms < 1000; ms++) {
		if (out.n) {
			const struct own syn = items[0];

			n++;
			answer_to(&syn, TCP_RST | TCP_ACK, syn.seq + 1);
		}
		now.ns += LB_NS_PER_MS;
		probes_hurry(probes, 0, now);
		poll();
	}
	ck_assert_uint_ge(n, 9);
	ck_assert_uint_le(n, 11);
	now.ns += 1000 * LB_NS_PER_MS;
	probes_hurry(probes, 0, now);
	poll();
	only_syn();
	end();
}
END_TEST

START_TEST(waits_until_the_server_is_found)
{
	struct neigh_question question;
	struct sighting sighting = {.ip = fixture_server(0), .hop = {.mac = mac_of(0x41)}};

	rules = fixture_rules(1);
	rules->servers[0].has_mac = false;
	set_checks(&rules->farms[0], 1);
	start();
	poll();
	ck_assert_uint_eq(out.n, 0);
	while (neigh_next_question(neigh, now, &question))
		;
	now.ns += 300 * LB_NS_PER_MS;
	neigh_sighted(neigh, &sighting, now);
	ck_assert(probes_due(probes).ns > now.ns);
	probes_found(probes, 0, now);
	ck_assert(probes_due(probes).ns <= now.ns);
	poll();
	only_syn();
	ck_assert_uint_eq(wait_due(), 1000); /* after the SYN, not after the beginning */
	only_syn();
	end();
}
END_TEST

Suite *probes_suite(void)
{
	const TTest *const tests[] = {
	        a_good_port,
	        no_answer_is_asked_again_and_then_reset,
	        refused,
	        what_is_said_after_the_end_is_reset,
	        what_is_left_over_is_ended_and_asked_again_at_once,
	        whoever_answers_all_so_isnt_asked_without_end,
	        an_answer_to_an_earlier_round_ends_that_and_not_this_one,
	        two_farms_probes_of_one_port_have_ports_of_their_own,
	        whoever_finds_no_port_of_ours_waits_for_one,
	        who_waits_for_a_port_costs_little_however_many_they_are,
	        a_suspect_is_probed_at_once_but_not_without_end,
	        waits_until_the_server_is_found,
	        NULL,
	};

	return suite_of("probes", tests);
}
