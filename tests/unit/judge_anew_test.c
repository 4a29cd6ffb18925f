/*
 * When a connection begins anew where there is one already, and at which server.
 */
#include "judge_fixture.h"

#include <stdlib.h>

/* ---- beginning anew ---- */

/* The client has crashed and uses its port again, from elsewhere; so has the server. */
static void crash(uint32_t client, uint32_t server)
{
	struct spec spec;

	talk.next[CLIENT] = client;
	spec = from_elsewhere(CLIENT, SYN);
	spec.ack = 0;
	check_stray(&spec);
	talk.next[CLIENT]++;
	talk.next[SERVER] = server;
}

static void check_anew(void)
{
	struct spec spec = from_elsewhere(CLIENT, ACK);

	ck_assert(is_at(ELSEWHERE));
	pass(&spec);
	ck_assert_uint_eq(flow()->state, FLOW_OPEN);
	ck_assert(!flow_is_closing(flow()));
	ck_assert_uint_eq(flow()->next_seq[CLIENT], talk.next[CLIENT]);
	ck_assert_uint_eq(flow()->next_seq[SERVER], talk.next[SERVER]);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 1);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].connections, 1);
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].connections, 0);
	ck_assert_uint_eq(balance()->counts.created, 1);
	engine_stop(&engine);
}

START_TEST(begins_anew_by_the_server_s_answer)
{
	/* open, half-closed by either, closing */
	for (unsigned i = 0; i < 4; i++) {
		begin();
		if (i & 1)
			talk_send(&talk, SERVER, FIN | ACK, 0);
		if (i & 2)
			talk_send(&talk, CLIENT, FIN | ACK, 0);
		crash(3000000000, 1500000000);
		talk_send(&talk, SERVER, SYN | ACK, 0);
		check_anew();
	}
}
END_TEST

/* A FIN from before the handshake was complete (RFC 7413) is of the old numbers. */
START_TEST(early_fin_is_forgotten)
{
	begin_half_open();
	talk_send(&talk, SERVER, SYN | ACK, 0);
	talk_send(&talk, SERVER, FIN | ACK, 0);
	crash(3000000000, 1500000000);
	talk_send(&talk, SERVER, SYN | ACK, 0);
	check_anew();
}
END_TEST

/* A server with SYN cookies may answer the same SYN with other numbers. */
START_TEST(other_answer_to_the_same_syn)
{
	begin_half_open();
	talk_send(&talk, SERVER, SYN | ACK, 0);
	talk.next[SERVER] = 1500000000;
	talk_send(&talk, SERVER, SYN | ACK, 0);
	talk_send(&talk, CLIENT, ACK, 0);
	ck_assert_uint_eq(flow()->state, FLOW_OPEN);
	engine_stop(&engine);
}
END_TEST

/* Neither an answer to another SYN, nor one that comes too late, nor a damaged one. */
START_TEST(what_begins_nothing_anew)
{
	struct spec spec;

	begin();
	crash(3000000000, 1500000000);
	spec = talk_spec(&talk, SERVER, SYN | ACK, 0);
	spec.ack++;
	check_stray(&spec);
	spec = talk_spec(&talk, SERVER, SYN | ACK, 0);
	frames_tcp(&built, &spec);
	built.frame.data[built.l4 + 16] ^= 4;
	engine_input(&engine, &built);
	ck_assert(is_at(HOME));
	engine_wait_ms(&engine, 6 * S);
	check_stray(&spec);
	ck_assert(is_at(HOME));
	engine_stop(&engine);
}
END_TEST

/* The server has no use for the port any more: the client is told, and the flow ends. */
START_TEST(refused_anew)
{
	begin();
	crash(3000000000, 0);
	talk_send(&talk, SERVER, RST | ACK, 0);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 1);
	engine_stop(&engine);
}
END_TEST

/*
 * Of a closed window, which an end has shrunk: Linux resets with its edge (tcp_acceptable_seq()).
 */
START_TEST(rst_at_the_edge_of_the_window)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct spec spec;

		begin();
		talk_send(&talk, end_other(end), ACK, 0);
		talk_send(&talk, end, ACK, 1000);
		spec = talk_spec(&talk, end, RST, 0);
		spec.seq -= 400;
		pass(&spec);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 1);
		talk_send(&talk, end, ACK, 0);
		ck_assert_uint_eq(balance()->counts.revived, 1);
		engine_stop(&engine);
	}
}
END_TEST

/*
 * Who sends a SYN in a client's name knows what its server answers, and can do that as well: by the
 * side on which the server isn't, nothing follows from it. There is no number that he must guess.
 */
START_TEST(nobody_answers_a_syn_by_the_other_side)
{
	static const uint8_t answers[] = {SYN | ACK, RST | ACK};

	for (unsigned i = 0; i < 2; i++) {
		struct spec spec;

		begin();
		lb_place_server(engine.lb, talk.server, &(struct hop){.side = INSIDE});
		crash(3000000000, 1500000000);
		spec = from_elsewhere(SERVER, answers[i]);
		spec.side = OUTSIDE;
		check_stray(&spec);
		ck_assert(is_at(HOME));
		talk_send(&talk, SERVER, answers[i], 0);
		if (answers[i] == (SYN | ACK)) {
			check_anew();
			continue;
		}
		ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 1);
		engine_stop(&engine);
	}
}
END_TEST

/* ---- a server that is given no connections any more ---- */

enum leaving { IS_DOWN, IS_DRAINED, IS_DISABLED, IS_WEIGHTLESS, LEAVINGS };

static struct talk second;

/* Two servers; the one that has the flow is left in that way. */
static void leave(enum leaving how)
{
	struct rules_server *server;

	server = &engine.rules->servers[talk.server];
	if (how == IS_DOWN)
		for (unsigned i = 0; i < 3; i++)
			lb_probed(engine.lb, talk.server, 0, false, engine.now);
	else if (how == IS_WEIGHTLESS)
		server->weight = 0;
	else
		server->state = how == IS_DRAINED ? STATE_DRAIN : STATE_DISABLED;
	if (how != IS_DOWN)
		engine_rules_changed(&engine);
}

static struct rules *two_checked(void)
{
	struct rules *rules = fixture_rules(2);

	rules->farms[0].on_down = ON_DOWN_KEEP;
	rules->farms[0].checks = calloc(1, sizeof(*rules->farms[0].checks));
	rules->farms[0].checks[0] = be16_from(443);
	rules->farms[0].nchecks = 1;
	return rules;
}

static void begin_with_two(void)
{
	engine_start(&engine, two_checked());
	lb_probed(engine.lb, 0, 0, true, engine.now);
	lb_probed(engine.lb, 1, 0, true, engine.now);
}

/* The client uses its port again: it gets the other server, and when that has answered the first
 * flow is over. */
START_TEST(syn_on_a_flow_of_a_server_that_is_left)
{
	for (enum leaving how = IS_DOWN; how < LEAVINGS; how++) {
		struct spec spec = syn_again(HOME);
		uint32_t last;

		begin_with_two();
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		last = flow()->last;
		leave(how);
		engine_wait_ms(&engine, 500);
		ck_assert_uint_eq(talk_syn_from(&second, &engine, &spec).why, WHY_FLOW_NEW);
		ck_assert_uint_ne(second.server, talk.server);
		ck_assert_uint_eq(flow()->last, last);
		ck_assert_uint_eq(flow()->state, FLOW_OPEN);
		ck_assert_uint_eq(talk_send(&second, SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(talk_send(&second, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(flow()->state, FLOW_QUARANTINE);
		ck_assert_uint_eq(balance_open_flows(balance()), 1);
		ck_assert_uint_eq(talk_send(&second, CLIENT, ACK, 10).way.server, second.server);
		engine_stop(&engine);
	}
}
END_TEST

/* A stranger's SYN in its name: the client goes on, whatever has become of the other flow. */
START_TEST(stranger_s_syn_on_a_flow_of_a_server_that_is_left)
{
	/* nothing; its server answers; refuses; it is evicted in time; the stranger tries again */
	for (unsigned then = 0; then < 5; then++) {
		struct spec spec = syn_again(ELSEWHERE);
		struct verdict v;

		begin_with_two();
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		leave(IS_DRAINED);
		ck_assert_uint_eq(talk_syn_from(&second, &engine, &spec).why, WHY_FLOW_NEW);
		if (then == 1)
			talk_send(&second, SERVER, SYN | ACK, 0);
		if (then == 2)
			talk_send(&second, SERVER, RST | ACK, 0);
		if (then == 3)
			engine_wait_ms(&engine, HALF_OPEN_MS + 125 * S);
		if (then == 4) {
			talk_send(&second, SERVER, RST | ACK, 0);
			spec.seq -= 1000000;
			ck_assert_uint_eq(talk_syn_from(&second, &engine, &spec).why, WHY_FLOW_NEW);
		}
		ck_assert(is_at(HOME));
		v = talk_send(&talk, CLIENT, ACK, 100);
		ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
		ck_assert_uint_eq(v.way.server, talk.server);
		ck_assert_uint_eq(v.flow, 0);
		ck_assert_uint_eq(balance_open_flows(balance()), 1);
		talk_close(&talk, CLIENT);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
		engine_stop(&engine);
	}
}
END_TEST

/* Opens connections up to one that the server has. */
static void open_at(struct talk *ret, unsigned server)
{
	unsigned client = 10;

	do
		talk_open(ret, &engine, fixture_client(client++), 40000, 443);
	while (ret->server != server);
}

/*
 * The same, and then in the name of another client, so that it would be noted in the same place:
 * the first one goes on all the same.
 */
START_TEST(strangers_in_one_place)
{
	struct rules *rules = two_checked();
	struct spec spec = syn_again(ELSEWHERE);
	struct talk other, any;
	struct verdict v;
	uint32_t heir;

	rules->max_connections = 4 * ANEW_PLACES;
	engine_start(&engine, rules);
	lb_probed(engine.lb, 0, 0, true, engine.now);
	lb_probed(engine.lb, 1, 0, true, engine.now);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	open_at(&other, talk.server);
	leave(IS_DRAINED);
	v = talk_syn_from(&second, &engine, &spec);
	ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
	heir = v.flow;
	for (unsigned i = 1; i < ANEW_PLACES; i++)
		talk_open(&any, &engine, fixture_client(1000 + i), 40000, 443);
	spec.from = other.client;
	v = talk_syn_from(&second, &engine, &spec);
	ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
	ck_assert_uint_eq(v.flow, heir + ANEW_PLACES);
	v = talk_send(&talk, CLIENT, ACK, 100);
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	ck_assert_uint_eq(v.flow, 0);
	ck_assert_uint_eq(v.way.server, talk.server);
	v = talk_send(&other, CLIENT, ACK, 100);
	ck_assert_uint_eq(v.way.server, talk.server);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_EVICTED], 2);
	engine_stop(&engine);
}
END_TEST

/* Half-open: the same SYN once more gets another server, unless the first one has answered and may
 * yet be heard. */
START_TEST(half_open_flow_of_a_server_that_is_left)
{
	for (enum leaving how = IS_DOWN; how < LEAVINGS; how++)
		for (unsigned answered = 0; answered < 2; answered++) {
			struct spec spec = spec_syn(fixture_client(1), 40000, 443);
			const bool stays = answered && how != IS_DOWN;
			struct verdict v;

			begin_with_two();
			talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
			if (answered)
				talk_send(&talk, SERVER, SYN | ACK, 0);
			leave(how);
			v = talk_syn_from(&second, &engine, &spec);
			ck_assert_uint_eq(v.why, stays ? WHY_FLOW_HIT : WHY_FLOW_NEW);
			ck_assert((v.way.server == talk.server) == stays);
			ck_assert_uint_eq(balance_open_flows(balance()), 1);
			ck_assert_uint_eq(balance()->counts.ended[ENDED_EVICTED], !stays);
			engine_stop(&engine);
		}
}
END_TEST

/* A SYN waits for its answer for five seconds, and not a tick longer; nor does it for another flow
 * of its place. */
START_TEST(a_syn_waits_for_five_seconds)
{
	const struct packet syn = {.seq = 1000, .seq_len = 1};
	const uint32_t tick = 700, flow = 3, until = tick + 5 * FLOW_TICKS_PER_S;
	struct arena arena = {.base = NULL};
	struct anew anew = {.waiting = 0};

	anew_lay_out(&anew, &arena);
	arena = (struct arena){.base = aligned_alloc(ARENA_ALIGN, arena.used)};
	anew_lay_out(&anew, &arena);
	ck_assert_ptr_null(anew_find(&anew, flow, tick));
	anew_note(&anew, flow, &syn, tick);
	ck_assert_ptr_nonnull(anew_find(&anew, flow, until));
	ck_assert_uint_eq(anew_find(&anew, flow, until)->syn.next, 1001);
	ck_assert_ptr_null(anew_find(&anew, flow, until + 1));
	ck_assert_ptr_null(anew_find(&anew, flow + ANEW_PLACES, tick));
	anew_forget(&anew, flow + ANEW_PLACES);
	ck_assert_ptr_nonnull(anew_find(&anew, flow, tick));
	anew_forget(&anew, flow);
	ck_assert_ptr_null(anew_find(&anew, flow, tick));
	ck_assert_uint_eq(anew.waiting, 0);
	free(arena.base);
}
END_TEST

/* Flows whose numbers differ by ANEW_PLACES have one place: the later one has it, and an earlier
 * one takes nothing from it when it ends. */
START_TEST(an_older_flow_is_forgotten_by_its_heir_only)
{
	enum { OLDER = 7, FIRST = 1, SECOND = FIRST + ANEW_PLACES };
	struct arena arena = {.base = NULL};
	struct anew anew = {.waiting = 0};

	anew_lay_out(&anew, &arena);
	arena = (struct arena){.base = aligned_alloc(ARENA_ALIGN, arena.used)};
	anew_lay_out(&anew, &arena);
	anew_set_older(&anew, FIRST, OLDER);
	anew_set_older(&anew, SECOND, FLOW_NONE);
	ck_assert_uint_eq(anew_older(&anew, FIRST), OLDER);
	ck_assert_uint_eq(anew_older(&anew, SECOND), FLOW_NONE);
	anew_set_older(&anew, SECOND, OLDER + 1);
	anew_set_older(&anew, FIRST, FLOW_NONE);
	ck_assert_uint_eq(anew_older(&anew, FIRST), FLOW_NONE);
	ck_assert_uint_eq(anew_older(&anew, SECOND), OLDER + 1);
	anew_set_older(&anew, SECOND, FLOW_NONE);
	ck_assert_uint_eq(anew_older(&anew, SECOND), FLOW_NONE);
	free(arena.base);
}
END_TEST

Suite *judge_anew_suite(void)
{
	const TTest *const tests[] = {
	        begins_anew_by_the_server_s_answer,
	        early_fin_is_forgotten,
	        other_answer_to_the_same_syn,
	        what_begins_nothing_anew,
	        refused_anew,
	        rst_at_the_edge_of_the_window,
	        nobody_answers_a_syn_by_the_other_side,
	        syn_on_a_flow_of_a_server_that_is_left,
	        stranger_s_syn_on_a_flow_of_a_server_that_is_left,
	        strangers_in_one_place,
	        half_open_flow_of_a_server_that_is_left,
	        a_syn_waits_for_five_seconds,
	        an_older_flow_is_forgotten_by_its_heir_only,
	        NULL,
	};

	return suite_of("judge_anew", tests);
}
