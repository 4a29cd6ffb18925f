/*
 * Another process's flows: they go on, or those that can't are told so.
 */
#include "adopt_fixture.h"

#include "../../lb/lane.h"

START_TEST(connections_go_on)
{
	const struct balance *balance;
	struct talk another;

	begin();
	talk_close(&talks[0], CLIENT);
	talk_send(&talks[1], CLIENT, TCP_FIN | TCP_ACK, 0);
	talk_syn(&another, &engine, fixture_client(99), 1234, 443);
	engine_wait_ms(&engine, 3 * S);
	ck_assert(die_and_adopt(fixture_rules(3)));
	balance = lb_balance(engine.lb);
	ck_assert_uint_eq(adoption.open, TALKS - 1);
	ck_assert_uint_eq(adoption.quarantined, 1);
	ck_assert_uint_eq(adoption.half_open, 1);
	ck_assert_uint_eq(adoption.unfit + adoption.damaged, 0);
	ck_assert_uint_eq(balance_open_flows(balance), TALKS - 1);
	ck_assert_uint_eq(balance->farms->snat.in_use[0], TALKS);
	for (unsigned i = 1; i < TALKS; i++)
		require_goes_on(&talks[i]);
	for (unsigned i = 1; i < TALKS; i++)
		talk_close(&talks[i], SERVER);
	talk_open(&another, &engine, fixture_client(99), 1235, 443);
	ck_assert_uint_eq(balance_open_flows(balance), 1);
	engine_wait_ms(&engine, 3600 * S);
	ck_assert_uint_eq(balance->flows.free.length, balance->flows.reached);
	ck_assert_uint_eq(balance->farms->snat.in_use[0], 0);
	finish();
}
END_TEST

/* Servers in another order, and one less: only its connections end, and their clients hear it. */
START_TEST(unfit_is_reset)
{
	struct rules *rules = fixture_rules(3);
	const be32 first = rules->servers[0].address;
	const struct mac client = FIXTURE_CLIENT_MAC;
	unsigned gone = 0;

	begin();
	ck_assert_uint_eq(talks[0].server, 0);
	talk_close(&talks[0], CLIENT); /* of one that has ended there is nothing to say */
	rules->servers[0] = rules->servers[2];
	rules->servers[2].address = fixture_server(9);
	ck_assert(die_and_adopt(rules));
	for (unsigned i = 1; i < TALKS; i++)
		gone += be32_eq(flow_of_talk(i)->arrive[SERVER].src, first);
	ck_assert_uint_gt(gone, 0);
	ck_assert_uint_eq(adoption.unfit, gone);
	ck_assert_uint_eq(adoption.open, TALKS - 1 - gone);
	ck_assert_uint_eq(adoption.quarantined + adoption.damaged, 0);
	engine_poll(&engine);
	ck_assert_uint_eq(engine.nowns, gone);
	for (unsigned i = 0; i < gone; i++)
		ck_assert(engine.owns[i].tcp_flags & TCP_RST &&
		          mac_eq(&engine.owns[i].to.mac, &client));
	ck_assert_uint_eq(balance_open_flows(lb_balance(engine.lb)), TALKS - 1 - gone);
	finish();
}
END_TEST

/* The farm is in a VLAN now, and from others its clients can't come: but it isn't known of all
 * where they are. */
START_TEST(who_is_in_another_vlan_is_reset)
{
	struct rules *rules = fixture_rules(3);

	rules->farms[0].vlan = 10;
	for (unsigned s = 0; s < rules->nservers; s++)
		rules->servers[s].vlan = 10;
	begin();
	flow_of_talk(6)->hop = 0xfff0; /* no such place: its next packet says where it is */
	ck_assert(die_and_adopt(rules));
	ck_assert_uint_eq(adoption.open, 1);
	ck_assert_uint_eq(adoption.unfit, TALKS - 1);
	ck_assert_uint_eq(flow_of_talk(6)->state, FLOW_OPEN);
	engine_poll(&engine);
	ck_assert_uint_eq(engine.nowns, TALKS - 1);
	ck_assert_uint_eq(balance_open_flows(lb_balance(engine.lb)), 1);
	finish();
}
END_TEST

/* A reload that takes their server out of the file knows of them: they live on until they end. */
START_TEST(servers_are_known_to_have_flows)
{
	const struct balance *balance;

	begin();
	talk_close(&talks[0], CLIENT);
	require(die_and_adopt(fixture_rules(3)));
	balance = lb_balance(engine.lb);
	engine_reload(&engine, fixture_rules(1));
	require_eq(engine.rules->nservers, 3);
	for (unsigned i = 1; i < TALKS; i++) {
		require_goes_on(&talks[i]);
		talk_close(&talks[i], SERVER);
	}
	engine_wait_ms(&engine, 3600 * S);
	require_eq(balance->flows.free.length, balance->flows.reached);
	for (unsigned s = 0; s < engine.rules->nservers; s++)
		require(!sched_has_flows(&balance->farms->sched, s));
	engine_reload(&engine, fixture_rules(1));
	require_eq(engine.rules->nservers, 1);
	finish();
}
END_TEST

/* Connections whose services had pools of their own, and now have one: what one of them gives back
 * isn't given to a third that would be taken for the other. */
START_TEST(pools_that_become_one)
{
	struct rules *rules = fixture_rules(3);
	struct talk first, second, third;
	unsigned i = 200;

	begin();
	talk_open(&second, &engine, fixture_client(i), 30000, 5061);
	do
		talk_open(&first, &engine, fixture_client(++i), 30000, 443);
	while (first.server != second.server);
	require_eq(first.snat_port, second.snat_port);
	fixture_set_ports(&rules->farms[0], 443, 443 + RULES_POOLED_PORTS_MAX);
	rules->farms[0].ports[RULES_POOLED_PORTS_MAX] = be16_from(5061);
	require(die_and_adopt(rules));
	talk_close(&first, CLIENT);
	engine_wait_ms(&engine, 130 * S);
	do
		talk_open(&third, &engine, fixture_client(++i), 30000, 5061);
	while (third.server != second.server);
	require(third.snat_port != second.snat_port);
	require_goes_on(&second);
	require_goes_on(&third);
	finish();
}
END_TEST

/* Of what a crash or chance has left, nothing but what can be is taken. */
START_TEST(damaged_is_forgotten)
{
	begin();
	flow_of_talk(0)->life |= 7 << FLOW_SERVER_BITS;  /* no state */
	*flow_of_talk(1) = *flow_of_talk(2);             /* twice the same */
	flow_of_talk(3)->arrive[SERVER].sport.b[0] ^= 1; /* another port than the client's */
	flow_of_talk(4)->flags = 0;                      /* open, but no numbers */
	flow_of_talk(5)->limit[CLIENT] += 0x90000000;    /* no such window */
	flow_of_talk(6)->hop = 0xfff0;                   /* no such place */
	flow_of_talk(7)->last = UINT32_MAX;              /* in times to come */
	flow_of_talk(8)->life |= FLOW_SERVER_MASK;       /* no such server: but its address is */
	flow_of_talk(9)->arrive[CLIENT].dst.b[0] ^= 1;   /* no such VIP */
	ck_assert(die_and_adopt(fixture_rules(3)));
	ck_assert_uint_eq(adoption.unfit, 2);
	ck_assert_uint_eq(adoption.damaged, 4);
	ck_assert_uint_eq(adoption.open, TALKS - 6);
	engine_poll(&engine);
	for (unsigned i = 6; i < TALKS; i++)
		if (i != 9)
			require_goes_on(&talks[i]);
	finish();
}
END_TEST

/* A program that is alone passes the segment that end sends next, or with another number. */
static void pass_alone(unsigned i, enum end end, uint8_t flags, uint16_t payload, uint32_t off)
{
	struct talk *talk = &talks[i];
	const struct spec spec = talk_spec(talk, end, flags, payload);
	const struct packet packet = {.tcp_flags = flags,
	                              .seq = spec.seq + off,
	                              .ack = spec.ack,
	                              .seq_len = payload + (flags & TCP_FIN ? 1u : 0u),
	                              .window = 1000};
	struct flow *flow = flow_of_talk(i);
	uint64_t *notes = table.arrays[TABLE_NOTES].memory;
	struct table_head *head = table.arrays[TABLE_HEAD].memory;
	uint64_t *word = &notes[notes_at(i)], *group = &notes[notes_group_at(head->flows, i)];
	uint8_t how;

	lane_note_last(flow, end, &packet, flow->last, notes_of(word, i), &how);
	notes_put(head, word, group, i, how);
	talk->next[end] = packet.seq + packet.seq_len;
}

/* The next record of a flow that has ended is of that talk. */
static void require_recorded(const struct talk *talk, enum ended_why why)
{
	struct ended ended;

	ck_assert(lb_take_ended(engine.lb, &ended));
	ck_assert_uint_eq(be16_get(ended.arrive[CLIENT].sport), talk->sport);
	ck_assert_uint_eq(ended.why, why);
	ck_assert_uint_le(ended.end.ns, engine.now.ns);
}

START_TEST(ends_that_nobody_was_there_to_see_count)
{
	struct rules *rules = fixture_rules(3);
	const struct balance *balance;
	struct ended unused;

	rules->farms[0].connlog = strdup("-");
	begin();
	pass_alone(0, CLIENT, TCP_FIN | TCP_ACK, 0, 0); /* closed by both, in order */
	pass_alone(0, SERVER, TCP_FIN | TCP_ACK, 0, 0);
	pass_alone(0, CLIENT, TCP_ACK, 0, 0);
	pass_alone(1, SERVER, TCP_RST, 0, 0);
	pass_alone(2, SERVER, TCP_RST, 0, 1); /* nobody believes that */
	talks[2].next[SERVER]--;
	pass_alone(3, CLIENT, TCP_FIN | TCP_ACK, 10, 0); /* half of it */
	pass_alone(4, SERVER, TCP_ACK, 100, 400);        /* after a gap, but in the window */
	pass_alone(4, CLIENT, TCP_ACK, 0, 0);
	talk_close(&talks[5], CLIENT);            /* which the other process has seen */
	talk_send(&talks[6], SERVER, TCP_RST, 0); /* and this, but it had no time to record it */
	ck_assert(die_and_adopt(rules));
	balance = lb_balance(engine.lb);
	ck_assert_uint_eq(adoption.open, TALKS - 4);
	ck_assert_uint_eq(adoption.quarantined, 4);
	ck_assert_uint_eq(adoption.damaged, 0);
	require_recorded(&talks[0], ENDED_FIN);
	require_recorded(&talks[1], ENDED_RST);
	require_recorded(&talks[6], ENDED_RST);
	ck_assert(!lb_take_ended(engine.lb, &unused));
	ck_assert_uint_eq(balance->counts.created, TALKS - 2);
	ck_assert_uint_eq(balance->counts.ended[ENDED_FIN], 1);
	ck_assert_uint_eq(balance->counts.ended[ENDED_RST], 1);
	for (unsigned i = 2; i < TALKS; i++)
		if (i != 5 && i != 6)
			require_goes_on(&talks[i]);
	talk_send(&talks[3], SERVER, TCP_FIN | TCP_ACK, 0);
	talk_send(&talks[3], CLIENT, TCP_ACK, 0);
	ck_assert_uint_eq(balance_open_flows(balance), TALKS - 5);
	finish();
}
END_TEST

/* As in a replay. Their clients may send the SYN again, or their servers answer it. */
START_TEST(half_open_ones_go_on_where_that_is_asked_for)
{
	const struct balance *balance;
	struct talk silent, answered, late;

	begin();
	require_eq(talk_syn(&silent, &engine, fixture_client(97), 1234, 443).why, WHY_FLOW_NEW);
	require_eq(talk_syn(&answered, &engine, fixture_client(98), 1234, 443).why, WHY_FLOW_NEW);
	require_eq(talk_send(&answered, SERVER, TCP_SYN | TCP_ACK, 0).why, WHY_FLOW_HIT);
	require_eq(talk_syn(&late, &engine, fixture_client(99), 1234, 443).why, WHY_FLOW_NEW);
	table.keep_half_open = true;
	ck_assert(die_and_adopt(fixture_rules(3)));
	table.keep_half_open = false;
	balance = lb_balance(engine.lb);
	require_eq(adoption.half_open, 3);
	require_eq(adoption.open, TALKS + 3);
	require_eq(adoption.unfit + adoption.damaged, 0);
	require_eq(balance->flows.openings.list.length, 3);
	require_eq(talk_syn(&late, &engine, fixture_client(99), 1234, 443).act, LB_FORWARD);
	require_eq(talk_send(&silent, SERVER, TCP_SYN | TCP_ACK, 0).why, WHY_FLOW_HIT);
	require_eq(talk_send(&silent, CLIENT, TCP_ACK, 0).why, WHY_FLOW_HIT);
	require_eq(talk_send(&answered, CLIENT, TCP_ACK, 0).why, WHY_FLOW_HIT);
	require_eq(balance->flows.openings.list.length, 1);
	require_goes_on(&answered);
	engine_wait_ms(&engine, 3600 * S);
	require_eq(balance->flows.free.length, balance->flows.reached);
	require_eq(balance->farms->snat.in_use[0], 0);
	finish();
}
END_TEST

/* Who has a connection open is no stranger in a flood, and who had one, or has asked, is. */
START_TEST(who_has_one_open_is_known)
{
	const struct balance *balance;
	struct talk asking;

	begin();
	talk_close(&talks[0], CLIENT);
	talk_send(&talks[1], CLIENT, TCP_FIN | TCP_ACK, 0);
	require_eq(talk_syn(&asking, &engine, fixture_client(99), 1234, 443).why, WHY_FLOW_NEW);
	table.keep_half_open = true;
	ck_assert(die_and_adopt(fixture_rules(3)));
	table.keep_half_open = false;
	balance = lb_balance(engine.lb);
	for (unsigned f = 0; f <= TALKS; f++)
		require_eq(strangers_have_met(&balance->strangers, balance_client_key(balance, f),
		                              engine.now),
		           f > 0 && f < TALKS);
	finish();
}
END_TEST

enum { MEETS = 32768, MANY_PORT = 443, MANY_PORTS_FROM = 1024 }; /* ADOPT_MEETS */

static struct rules *rules_for_many(void)
{
	struct rules *rules = fixture_rules(3);

	rules->max_connections = MEETS + 1000;
	return rules;
}

/* The reason why a SYN of that client passes in a flood, or doesn't. */
static enum lb_why knock_in_flood(unsigned client)
{
	struct talk talk;
	unsigned i = 0;

	lb_press(engine.lb, engine.now);
	while (talk_syn(&talk, &engine, fixture_client(1000 + i), 1, MANY_PORT).why == WHY_FLOW_NEW)
		i++;
	return talk_syn(&talk, &engine, fixture_client(client), 1, MANY_PORT).why;
}

/*
 * Of so many flows each one's client is known, of one more every second one's: who isn't is a
 * stranger in a flood. The flows are by turns of two clients.
 */
START_TEST(of_one_too_many_every_second_one_is_known)
{
	const unsigned n = MEETS + (unsigned)_i;
	struct talk talk;

	engine_start_shared(&engine, rules_for_many(), &table);
	for (unsigned i = 0; i < n; i++)
		talk_open(&talk, &engine, fixture_client(i % 2),
		          (uint16_t)(MANY_PORTS_FROM + i / 2), MANY_PORT);
	require(die_and_adopt(rules_for_many()));
	require_eq(adoption.open, n);
	require_eq(knock_in_flood(0), WHY_FLOW_NEW);
	require_eq(knock_in_flood(1) == WHY_FLOW_NEW, n == MEETS);
	finish();
}
END_TEST

START_TEST(other_layouts_are_not_touched)
{
	struct table_head *head;
	struct rules *rules = fixture_rules(3);
	struct flow before;

	begin();
	head = table.arrays[TABLE_HEAD].memory;
	before = *flow_of_talk(0);
	head->layout++;
	ck_assert(!die_and_adopt(fixture_rules(3)));
	head->layout--;
	rules->max_connections = 2000;
	ck_assert(!die_and_adopt(rules));
	head->epoch_ns = UINT64_MAX;
	ck_assert(!die_and_adopt(fixture_rules(3)));
	ck_assert_mem_eq(&before, flow_of_talk(0), sizeof(before));
	finish();
}
END_TEST

Suite *adopt_suite(void)
{
	const TTest *const tests[] = {connections_go_on,
	                              half_open_ones_go_on_where_that_is_asked_for,
	                              who_has_one_open_is_known,
	                              unfit_is_reset,
	                              who_is_in_another_vlan_is_reset,
	                              servers_are_known_to_have_flows,
	                              pools_that_become_one,
	                              damaged_is_forgotten,
	                              ends_that_nobody_was_there_to_see_count,
	                              other_layouts_are_not_touched,
	                              NULL};
	TCase *many = tcase_create("many");
	Suite *suite;

	suite = suite_of("adopt", tests);
	tcase_add_loop_test(many, of_one_too_many_every_second_one_is_known, 0, 2);
	suite_add_tcase(suite, many);
	return suite;
}
