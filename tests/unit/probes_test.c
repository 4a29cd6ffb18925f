/*
 * Probes: what they send, when, and what they make of answers.
 */
#include "fixture.h"
#include "suites.h"

#include "../../bridge/worker/probes.h"
#include "../../lb/takeover.h"
#include "../../lb/wire.h"

#include <stdlib.h>

enum { OUT = 4096, INTERVAL_MS = 5000, TIMEOUT_MS = 2000 };

static const struct hash_key key = {{1, 2}};
static struct rules *rules;
static struct farms *farms;
static void *farms_mem;
static struct neigh_table *neigh;
static struct probes *probes;
static lb_time now;
static struct own items[OUT];
static struct own_list out;
static struct probe_result result;
static unsigned ended; /* results so far */

static void set_checks(struct rules_farm *farm, unsigned n)
{
	free(farm->checks);
	farm->nchecks = n;
	farm->checks = calloc(n, sizeof(*farm->checks));
	for (unsigned i = 0; i < n; i++)
		farm->checks[i] = be16_from((uint16_t)(443 + i));
}

static void start(void)
{
	size_t bytes = farms_size(rules);

	now = (lb_time){1000 * LB_NS_PER_S};
	farms_mem = aligned_alloc(ARENA_ALIGN, bytes);
	farms = farms_init(farms_mem, rules, &share_whole, &key, now);
	neigh = neigh_new(rules, true);
	probes = probes_new(rules, &share_whole, &farms->health, neigh, &key, now);
	out = (struct own_list){.items = items, .max = OUT};
	ended = 0;
}

static void begin(unsigned nservers, unsigned nchecks)
{
	rules = fixture_rules(nservers);
	for (unsigned s = 0; s < nservers; s++)
		rules->servers[s].address = ip4(10, 1, (uint8_t)(s / 256), (uint8_t)s);
	set_checks(&rules->farms[0], nchecks);
	start();
}

static void end(void)
{
	probes_free(probes);
	neigh_free(neigh);
	free(farms_mem);
	rules_free(rules);
}

static void tell(void)
{
	ended++;
	health_report(&farms->health, result.server, result.check, result.ok, now);
	probes_told(probes, &result, now);
}

/* Does what is due, as a worker does. */
static void poll(void)
{
	out.n = 0;
	while (probes_poll(probes, now, &out, &result))
		tell();
}

/* Goes on to when something is due, and does it; returns how many ms that took. */
static uint64_t wait_due(void)
{
	uint64_t before = now.ns;

	ck_assert(probes_due(probes).ns != UINT64_MAX);
	if (probes_due(probes).ns > now.ns)
		now = probes_due(probes);
	poll();
	return (now.ns - before) / LB_NS_PER_MS;
}

static void answer_to(const struct own *syn, uint8_t flags, uint32_t ack)
{
	const struct probe_reply reply = {
	        .tuple = tuple_reverse(syn->tuple), .seq = 700, .ack = ack, .tcp_flags = flags};

	out.n = 0;
	if (probes_reply(probes, &reply, NULL, now, &out, &result))
		tell();
}

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

/* Lets n ms go by, at most max segments in each; returns how many in all. */
static unsigned most_in_a_ms(unsigned ms, unsigned *ret_all)
{
	unsigned most = 0, all = 0;

	for (unsigned i = 0; i < ms; i++) {
		now.ns += LB_NS_PER_MS;
		poll();
		all += out.n;
		most = out.n > most ? out.n : most;
	}
	*ret_all = all;
	return most;
}

START_TEST(many_leave_as_fast_as_they_may_and_are_spread)
{
	unsigned all, most;

	begin(1000, 4);
	most = most_in_a_ms(4000 / PROBES_PER_MS + 1, &all);
	ck_assert_uint_eq(all, 4000);
	ck_assert_uint_eq(most, PROBES_PER_MS);
	/* none answers: SYN again, RST; and then SYN, SYN and RST in half an interval each, spread
	 */
	most_in_a_ms(TIMEOUT_MS + INTERVAL_MS, &all);
	most = most_in_a_ms(INTERVAL_MS, &all);
	ck_assert_uint_le(most, 25); /* 4000 probes x 3 segments in 2500 ms are 5 in one */
	ck_assert_uint_ge(all, 2 * 4000);
	end();
}
END_TEST

START_TEST(nothing_is_due_before_it_may_be)
{
	begin(1000, 4);
	poll();
	ck_assert_uint_eq(out.n, PROBES_PER_MS);
	ck_assert(probes_due(probes).ns == now.ns + LB_NS_PER_MS);
	end();
}
END_TEST

/* Goes over to what rules have become, as a reload does. */
static void reload(struct rules *new_rules)
{
	struct rules *old_rules = rules;
	struct probes *old = probes;
	struct neigh_table *old_neigh = neigh;
	void *old_mem = farms_mem;
	lb_time was = now;
	unsigned before = ended;
	bool *referenced = calloc(rules->nservers, sizeof(*referenced));
	uint16_t *map = calloc(rules->nservers, sizeof(*map));

	ck_assert_int_eq(takeover_rules(new_rules, old_rules, referenced, NULL, map), 0);
	free(referenced);
	free(map);
	rules = new_rules;
	start();
	now = was;
	ended = before;
	probes_inherit(probes, old);
	probes_free(old);
	neigh_free(old_neigh);
	free(old_mem);
	rules_free(old_rules);
}

START_TEST(a_reload_goes_on_with_what_is_underway)
{
	struct rules *more;
	struct own syn, new_one;

	begin(2, 2);
	poll();
	ck_assert_uint_eq(out.n, 4);
	syn = items[3]; /* of server 1's second check */
	more = fixture_rules(3);
	set_checks(&more->farms[0], 2);
	for (unsigned s = 0; s < 2; s++)
		more->servers[s].address = rules->servers[s].address;
	reload(more);
	poll();
	ck_assert_uint_eq(out.n, 2); /* the new server's */
	new_one = items[0];
	ck_assert_uint_eq(new_one.server, 2);
	answer_to(&syn, TCP_SYN | TCP_ACK, syn.seq + 1);
	ck_assert(ended == 1 && result.ok && result.server == 1 && result.check == 1);
	end();
}
END_TEST

/* Farms of one VIP, and of one server: what each has underway is answered by itself. */
START_TEST(a_reload_keeps_farms_of_one_vip_apart)
{
	struct own syns[2];

	for (unsigned i = 0; i < 2; i++) {
		struct rules *two = fixture_farms(2, 1);

		two->farms[1].vip = two->farms[0].vip;
		fixture_set_snat(&two->farms[1], &two->farms[0].vip, 1);
		two->servers[1].address = two->servers[0].address;
		fixture_set_ports(&two->farms[1], 80, 81);
		set_checks(&two->farms[0], 1);
		set_checks(&two->farms[1], 1);
		if (i) {
			reload(two);
			break;
		}
		rules = two;
		start();
		poll();
		ck_assert_uint_eq(out.n, 2);
		memcpy(syns, items, sizeof(syns));
		ck_assert(!be16_eq(syns[0].tuple.sport, syns[1].tuple.sport));
	}
	poll();
	ck_assert_uint_eq(out.n, 0);
	for (unsigned i = 0; i < 2; i++) {
		answer_to(&syns[i], TCP_SYN | TCP_ACK, syns[i].seq + 1);
		ck_assert(ended == i + 1 && result.ok && result.server == syns[i].server);
	}
	end();
}
END_TEST

START_TEST(only_the_first_worker_has_any)
{
	const struct share second = share_make(1, 2, false, &key);
	struct probes *none;

	begin(1, 1);
	none = probes_new(rules, &second, &farms->health, neigh, &key, now);
	ck_assert(probes_due(none).ns == UINT64_MAX);
	ck_assert(!probes_poll(none, now, &out, &result));
	probes_found(none, 0, now);
	probes_free(none);
	end();
}
END_TEST

/* SYNs sent to the server within some intervals. */
static unsigned syns_to(unsigned server)
{
	const lb_time until = {now.ns + 3 * INTERVAL_MS * LB_NS_PER_MS};
	unsigned n = 0;

	while (probes_due(probes).ns < until.ns) {
		wait_due();
		for (unsigned i = 0; i < out.n; i++)
			n += items[i].server == server && items[i].tcp_flags == TCP_SYN;
	}
	return n;
}

START_TEST(who_is_away_is_probed_while_he_has_flows)
{
	for (unsigned gone = 0; gone < 2; gone++) {
		begin(2, 1);
		rules->servers[0].gone = gone;
		rules->servers[0].state = gone ? STATE_DRAIN : STATE_DISABLED;
		ck_assert_uint_eq(syns_to(0), 0);
		probes_note_flows(probes, 0, true);
		ck_assert_uint_ge(syns_to(0), 2);
		probes_note_flows(probes, 0, false);
		wait_due();
		syns_to(0); /* one was underway */
		ck_assert_uint_eq(syns_to(0), 0);
		ck_assert_uint_ge(syns_to(1), 2);
		end();
	}
}
END_TEST

Suite *probes_suite(void)
{
	const TTest *const tests[] = {who_is_away_is_probed_while_he_has_flows,
	                              a_good_port,
	                              no_answer_is_asked_again_and_then_reset,
	                              refused,
	                              what_is_said_after_the_end_is_reset,
	                              what_is_left_over_is_ended_and_asked_again_at_once,
	                              whoever_answers_all_so_isnt_asked_without_end,
	                              an_answer_to_an_earlier_round_ends_that_and_not_this_one,
	                              two_farms_probes_of_one_port_have_ports_of_their_own,
	                              waits_until_the_server_is_found,
	                              many_leave_as_fast_as_they_may_and_are_spread,
	                              nothing_is_due_before_it_may_be,
	                              a_reload_goes_on_with_what_is_underway,
	                              a_reload_keeps_farms_of_one_vip_apart,
	                              only_the_first_worker_has_any,
	                              NULL};

	return suite_of("probes", tests);
}
