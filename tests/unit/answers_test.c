/*
 * Who may answer in a server's name: what comes by its side. Whoever has made up the client's SYN
 * knows all that an answer to it needs.
 */
#include "judge_fixture.h"

#include "../../lb/way.h"

/* A stranger opens no connection in anybody's name, and ends none that begins. */
START_TEST(nobody_shakes_hands_by_the_other_side)
{
	static const uint8_t answers[] = {SYN | ACK, RST | ACK, ACK};
	struct spec spec;

	begin_half_open();
	lb_place_server(engine.lb, talk.server, &(struct hop){.side = INSIDE});
	for (unsigned i = 0; i < sizeof(answers); i++) {
		spec = talk_spec(&talk, SERVER, answers[i], 0);
		spec.side = OUTSIDE;
		check_stray(&spec);
		ck_assert_uint_eq(lb_balance(engine.lb)->counts.wrong_side, i + 1);
	}
	spec = talk_spec(&talk, CLIENT, ACK, 0);
	spec.ack++;
	check_stray(&spec);
	ck_assert_uint_eq(flow()->state, FLOW_HALF_OPEN);
	talk_send(&talk, SERVER, SYN | ACK, 0);
	spec = talk_spec(&talk, SERVER, ACK, 10); /* before the client has opened it */
	spec.side = OUTSIDE;
	check_stray(&spec);
	talk_send(&talk, CLIENT, ACK, 0);
	ck_assert_uint_eq(flow()->state, FLOW_OPEN);
	engine_stop(&engine);
}
END_TEST

/* A server that is found on the other side answers by that one; as long as it isn't said to be
 * found or not, by any; and if it isn't found, by none. */
START_TEST(a_server_answers_by_the_side_where_it_is_found)
{
	for (unsigned found = 0; found < 4; found++) {
		struct spec spec;

		begin_half_open();
		if (found)
			lb_place_server(engine.lb, talk.server, &(struct hop){.side = INSIDE});
		if (found == 2)
			lb_place_server(engine.lb, talk.server, &(struct hop){.side = OUTSIDE});
		if (found == 3)
			lb_miss_server(engine.lb, talk.server);
		spec = talk_spec(&talk, SERVER, SYN | ACK, 0);
		spec.side = OUTSIDE;
		pass(&spec);
		talk.next[SERVER]++;
		talk_send(&talk, CLIENT, ACK, 0);
		ck_assert_uint_eq(flow()->state, found % 2 ? FLOW_HALF_OPEN : FLOW_OPEN);
		engine_stop(&engine);
	}
}
END_TEST

/* What the server says again and again, its client being silent, keeps no half-open flow: not even
 * its first answer, or what it sends early. */
START_TEST(a_server_alone_prolongs_nothing)
{
	static const uint8_t says[] = {SYN | ACK, SYN | ACK, ACK};
	uint32_t last;

	begin_half_open();
	last = flow_last(flow());
	for (unsigned i = 0; i < sizeof(says); i++) {
		struct spec spec = talk_spec(&talk, SERVER, says[i], says[i] & SYN ? 0 : 10);

		engine_wait_ms(&engine, S);
		pass(&spec);
		ck_assert_uint_eq(flow_last(flow()), last);
		if (i == 1)
			talk.next[SERVER]++;
	}
	engine_wait_ms(&engine, S);
	talk_send(&talk, CLIENT, ACK, 0);
	ck_assert_uint_gt(flow_last(flow()), last);
	ck_assert_uint_eq(flow()->state, FLOW_OPEN);
	engine_stop(&engine);
}
END_TEST

static struct rules_net net_of(uint8_t b, unsigned bits, enum side side)
{
	return (struct rules_net){.address = ip6_mapped(ip4(10, b, 0, 1)),
	                          .prefix = (uint8_t)(96 + bits),
	                          .side = (uint8_t)side};
}

/*
 * Where tmbridge is no cable, servers inside it and clients outside: by the other side it may
 * answer a peer in that one's subnet only, to which it may have a way of its own.
 */
START_TEST(nobody_answers_for_a_server_by_the_other_side)
{
	static const struct {
		be32 snat;
		bool opens;
	} cases[] = {{{{10, 0, 0, 40}}, false},
	             {{{10, 9, 0, 40}}, true},
	             {{{192, 168, 0, 40}}, true},
	             {{{0}}, false}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rules *rules = fixture_rules(1);
		struct spec spec;

		rules->mode = MODE_ROUTED;
		rules->nets.all[0] = net_of(9, 16, OUTSIDE);
		rules->nets.all[1] = net_of(0, 24, INSIDE);
		rules->nets.all[2] = net_of(9, 16, OUTSIDE);
		rules->nets.all[2].address = ip6_mapped(ip4(192, 168, 0, 1));
		rules->nets.n = 3;
		fixture_set_snat(&rules->farms[0], &cases[i].snat, cases[i].snat.b[0] != 0);
		way_settle(rules);
		engine_start(&engine, rules);
		talk_syn(&talk, &engine, ip4(192, 0, 2, 7), 4000, 443);
		spec = talk_spec(&talk, SERVER, SYN | ACK, 0);
		spec.side = OUTSIDE;
		spec.dst = FIXTURE_OUTSIDE_MAC;
		pass(&spec);
		talk.next[SERVER]++;
		talk_send(&talk, CLIENT, ACK, 0);
		ck_assert_uint_eq(flow()->state, cases[i].opens ? FLOW_OPEN : FLOW_HALF_OPEN);
		engine_stop(&engine);
	}
}
END_TEST

/* ---- clients and servers on one side ---- */

/* The router is at HOME, and the servers in the subnet that is ours as well. */
static struct rules *one_armed(void)
{
	struct rules *rules = fixture_rules(1);

	rules->mode = MODE_ONE_ARMED;
	rules->nets.all[0] = net_of(0, 24, OUTSIDE);
	rules->nets.n = 1;
	way_settle(rules);
	return rules;
}

static struct mac server_mac(void)
{
	return engine.rules->servers[talk.server].mac;
}

/* Notes that the server, or the router to it, has been found there. */
static void place(struct mac mac)
{
	const struct hop hop = {.mac = mac, .side = OUTSIDE};

	lb_place_server(engine.lb, talk.server, &hop);
}

/* A segment in the server's name that mac sends. */
static struct spec in_its_name(uint8_t flags, struct mac mac)
{
	struct spec spec = talk_spec(&talk, SERVER, flags, 0);

	spec.side = OUTSIDE;
	spec.src = mac;
	spec.dst = FIXTURE_OUTSIDE_MAC;
	return spec;
}

/* The server's SYN, from there. */
static void answer_from(struct mac mac)
{
	const struct spec spec = in_its_name(SYN | ACK, mac);

	pass(&spec);
	talk.next[SERVER]++;
}

/* The same, which counts: the connection opens. */
static void opens_from(struct mac mac)
{
	answer_from(mac);
	talk_send(&talk, CLIENT, ACK, 0);
	ck_assert_uint_eq(flow()->state, FLOW_OPEN);
	engine_stop(&engine);
}

static void begin_one_armed(void)
{
	engine_start(&engine, one_armed());
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	place(server_mac());
}

/* The router brings a stranger's SYN, and what he says in the server's name. */
START_TEST(who_brings_a_syn_does_not_answer_it)
{
	static const uint8_t answers[] = {SYN | ACK, RST | ACK, ACK};
	struct spec spec;

	begin_one_armed();
	for (unsigned i = 0; i < sizeof(answers); i++) {
		spec = in_its_name(answers[i], HOME);
		check_stray(&spec);
		ck_assert_uint_eq(balance()->counts.wrong_side, i + 1);
	}
	opens_from(server_mac());
}
END_TEST

/* Nor one on a live flow, whose client may be behind another router. */
START_TEST(who_brings_a_syn_on_a_live_flow_does_not_answer_it)
{
	static const uint8_t answers[] = {SYN | ACK, RST | ACK};

	for (unsigned i = 0; i < 4; i++) {
		struct spec spec, syn = syn_again(i & 1 ? HOME : ELSEWHERE);

		begin_one_armed();
		answer_from(server_mac());
		talk_send(&talk, CLIENT, ACK, 100);
		pass(&syn);
		spec = in_its_name(answers[i / 2], syn.src);
		spec.seq = 1500000000;
		spec.ack = syn.seq + 1;
		check_stray(&spec);
		spec.src = server_mac();
		pass(&spec);
		ck_assert_uint_eq(flow()->state, i / 2 ? FLOW_RESET : FLOW_OPEN);
		ck_assert_uint_eq(flow_acked(flow(), SERVER),
		                  i / 2 ? talk.next[CLIENT] - 100 : spec.ack);
		engine_stop(&engine);
	}
}
END_TEST

/* It is no stranger's if the server is reached by who brings it, if where that is isn't known, if a
 * router may bring what it says, to or from it, or if it has asked itself, by another card. */
START_TEST(who_brings_a_syn_may_be_the_server)
{
	for (unsigned i = 0; i < 5; i++) {
		struct rules *rules = one_armed();
		const be32 far = ip4(192, 0, 2, 40);

		if (i == 2)
			fixture_set_snat(&rules->farms[0], &far, 1);
		if (i == 4)
			rules->servers[0].next = ip4(10, 0, 0, 99);
		engine_start(&engine, rules);
		talk_syn(&talk, &engine, i == 3 ? fixture_server(0) : fixture_client(1), 40000,
		         443);
		if (i != 1)
			place(i == 0 ? HOME : server_mac());
		opens_from(HOME);
	}
}
END_TEST

Suite *answers_suite(void)
{
	const TTest *const tests[] = {nobody_shakes_hands_by_the_other_side,
	                              a_server_answers_by_the_side_where_it_is_found,
	                              a_server_alone_prolongs_nothing,
	                              nobody_answers_for_a_server_by_the_other_side,
	                              who_brings_a_syn_does_not_answer_it,
	                              who_brings_a_syn_on_a_live_flow_does_not_answer_it,
	                              who_brings_a_syn_may_be_the_server,
	                              NULL};

	return suite_of("answers", tests);
}
