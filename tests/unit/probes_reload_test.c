/*
 * Probes of many servers: how they are spread, and what a reload does with those underway.
 */
#include "probes_fixture.h"

#include "../../lb/wire.h"

#include <stdlib.h>

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
	/*
	 * none answers: SYN again, RST; and then SYN, SYN and RST in half an interval each, spread
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
	probes_trace(probes, old);
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

Suite *probes_reload_suite(void)
{
	const TTest *const tests[] = {
	        who_is_away_is_probed_while_he_has_flows,
	        many_leave_as_fast_as_they_may_and_are_spread,
	        nothing_is_due_before_it_may_be,
	        a_reload_goes_on_with_what_is_underway,
	        a_reload_keeps_farms_of_one_vip_apart,
	        only_the_first_worker_has_any,
	        NULL,
	};

	return suite_of("probes_reload", tests);
}
