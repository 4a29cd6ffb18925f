/*
 * What is noted of a flow only follows from what its numbers bear out: not from strangers, damage,
 * or SYNs that nobody has answered.
 */
#include "fixture.h"
#include "suites.h"

#include <stdlib.h>

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10, S = 1000, HALF_OPEN_MS = 30 * S };

#define HOME      FIXTURE_CLIENT_MAC
#define ELSEWHERE mac_of(0x66)

static struct engine engine;
static struct talk talk;
static struct built built;

static const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

static const struct flow *flow(void)
{
	return flows_at(&balance()->flows, 0);
}

static void begin(void)
{
	engine_start(&engine, fixture_rules(1));
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, CLIENT, ACK, 100);
	talk_send(&talk, SERVER, ACK, 200);
}

/* What end sends next, from elsewhere. */
static struct spec from_elsewhere(enum end end, uint8_t flags)
{
	struct spec spec = talk_spec(&talk, end, flags, 0);

	spec.src = ELSEWHERE;
	return spec;
}

static struct verdict pass(const struct spec *spec)
{
	struct verdict v;

	frames_tcp(&built, spec);
	v = engine_input(&engine, &built);
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	return v;
}

/* If what the server says next goes to that MAC address, without a tag. */
static bool is_at(struct mac mac)
{
	struct spec spec = talk_spec(&talk, SERVER, ACK, 0);
	struct verdict v = pass(&spec);

	return mac_eq(&v.way.hop.mac, &mac) && v.way.hop.ntags == 0 && v.way.hop.side == OUTSIDE;
}

/* Nothing of the flow has changed, but for the count of frames. */
static void check_stray(const struct spec *spec)
{
	struct flow before = *flow(), after;

	engine_wait_ms(&engine, 500);
	pass(spec);
	after = *flow();
	for (enum end end = CLIENT; end <= SERVER; end++) {
		before.bytes[end] = after.bytes[end];
		before.packets[end] = after.packets[end];
	}
	ck_assert(memcmp(&before, &after, sizeof(before)) == 0);
}

/* With each number on its own, and both: what is far away, and what is a megabyte old. */
START_TEST(stranger_changes_nothing)
{
	static const uint32_t off[] = {0x12345678, 0x80000000, 1u << 20, 1u << 24};
	const uint32_t back = 1u << 20;

	begin();
	for (unsigned i = 0; i < 3 * (sizeof(off) / sizeof(*off)); i++) {
		struct spec spec = from_elsewhere(CLIENT, ACK);

		spec.seq += i % 3 != 1 ? off[i / 3] : 0;
		spec.ack += i % 3 != 0 ? off[i / 3] : 0;
		check_stray(&spec);
		spec = from_elsewhere(CLIENT, ACK);
		spec.seq -= i % 3 != 1 ? back : 0;
		spec.ack -= i % 3 != 0 ? back : 0;
		check_stray(&spec);
	}
	ck_assert(is_at(HOME));
	engine_stop(&engine);
}
END_TEST

/* Whatever flags it has. */
START_TEST(stranger_of_any_flags_changes_nothing)
{
	static const uint8_t flags[] = {0, FIN, SYN, RST, FIN | ACK, SYN | ACK, RST | ACK, 0x08};

	begin();
	for (unsigned i = 0; i < sizeof(flags); i++)
		for (enum end end = CLIENT; end <= SERVER; end++) {
			struct spec spec = from_elsewhere(end, flags[i]);

			spec.seq += 0x12345678;
			spec.ack -= 0x12345678;
			spec.ntags = i & 1;
			spec.tpid[0] = 0x8100;
			spec.tci[0] = 99;
			spec.side = i & 2 ? INSIDE : OUTSIDE;
			check_stray(&spec);
		}
	ck_assert(is_at(HOME));
	engine_stop(&engine);
}
END_TEST

/* Right in everything but the checksum, of TCP or of IP; and from where the client always was, what
 * begins beyond what has been sent. */
START_TEST(damaged_changes_nothing)
{
	begin();
	for (unsigned i = 0; i < 3; i++) {
		struct spec spec = from_elsewhere(CLIENT, ACK);
		struct flow before = *flow();

		spec.payload = 10;
		if (i == 2) {
			spec.src = HOME;
			spec.seq += 10;
		}
		frames_tcp(&built, &spec);
		built.frame.data[i == 1 ? built.l3 + 8 : built.l4 + 16] ^= 4;
		engine_wait_ms(&engine, 500);
		ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(flow()->last, before.last);
		ck_assert(memcmp(flow()->next_seq, before.next_seq, sizeof(before.next_seq)) == 0);
		ck_assert(is_at(HOME));
	}
	engine_stop(&engine);
}
END_TEST

/* A partial checksum is none to be judged (offloaded traffic of this host). */
START_TEST(partial_is_not_damaged)
{
	struct spec spec;

	begin();
	spec = from_elsewhere(CLIENT, ACK);
	spec.partial = true;
	pass(&spec);
	ck_assert(is_at(ELSEWHERE));
	engine_stop(&engine);
}
END_TEST

/* A client whose router has changed is followed by whatever it says next. */
START_TEST(client_that_moves_is_followed)
{
	/* new data, a keep-alive, a repetition of what was acknowledged, of which it hasn't heard
	 */
	static const int seqs[] = {0, -1, -100};
	static const uint16_t payloads[] = {50, 0, 100};

	for (unsigned i = 0; i < 3; i++) {
		struct spec spec;

		begin();
		talk_send(&talk, SERVER, ACK, 0);
		spec = from_elsewhere(CLIENT, ACK);
		spec.seq += (uint32_t)seqs[i];
		spec.payload = payloads[i];
		pass(&spec);
		ck_assert(is_at(ELSEWHERE));
		engine_stop(&engine);
	}
}
END_TEST

/* The same of one that acknowledges no more than what it had before: it hears nothing any more. */
START_TEST(client_that_moves_deaf_is_followed)
{
	struct spec spec;

	begin();
	talk_send(&talk, CLIENT, ACK, 0);
	spec = from_elsewhere(CLIENT, ACK);
	for (unsigned i = 0; i < 20; i++)
		talk_send(&talk, SERVER, ACK, 1000);
	spec.payload = 100;
	pass(&spec);
	ck_assert(is_at(ELSEWHERE));
	engine_stop(&engine);
}
END_TEST

/* What has been overtaken doesn't move it back. */
START_TEST(late_segment_moves_nobody_back)
{
	struct spec late;

	begin();
	late = talk_spec(&talk, CLIENT, ACK, 0);
	late.ack -= 200;
	talk_send(&talk, CLIENT, ACK, 0);
	late.src = ELSEWHERE;
	check_stray(&late);
	ck_assert(is_at(HOME));
	engine_stop(&engine);
}
END_TEST

/* Garbage is no life: the flow expires as if it hadn't come. */
START_TEST(garbage_keeps_no_flow)
{
	struct spec spec;
	uint64_t idle;

	begin();
	idle = engine.rules->farms[0].idle_timeout_ms;
	spec = from_elsewhere(CLIENT, ACK);
	spec.seq += 0x12345678;
	for (uint64_t ms = 0; ms < idle + 2 * S; ms += idle / 10) {
		pass(&spec);
		engine_wait_ms(&engine, idle / 10);
	}
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], 1);
	engine_stop(&engine);
}
END_TEST

/* ---- the handshake ---- */

static void begin_half_open(void)
{
	engine_start(&engine, fixture_rules(1));
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(1), 40000, 443).why,
	                  WHY_FLOW_NEW);
}

/* A stranger's SYN before the server's answer: that goes to the client, and opens. */
START_TEST(stranger_s_syn_while_half_open)
{
	struct spec spec;

	begin_half_open();
	spec = from_elsewhere(CLIENT, SYN);
	spec.seq += 0x12345678;
	pass(&spec);
	talk_send(&talk, SERVER, SYN | ACK, 0);
	ck_assert(is_at(HOME));
	talk_send(&talk, CLIENT, ACK, 0);
	ck_assert_uint_eq(flow()->state, FLOW_OPEN);
	engine_stop(&engine);
}
END_TEST

/* The server's first answer counts for life, its repetitions don't; the client's SYNs do. */
START_TEST(what_prolongs_a_half_open_flow)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct spec spec;

		begin_half_open();
		talk_send(&talk, SERVER, SYN | ACK, 0);
		spec = talk_spec(&talk, end, end == CLIENT ? SYN : SYN | ACK, 0);
		spec.seq--;
		for (unsigned ms = 0; ms < HALF_OPEN_MS + 2 * S; ms += 4 * S) {
			pass(&spec);
			engine_wait_ms(&engine, 4 * S);
		}
		ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], end == SERVER);
		engine_stop(&engine);
	}
}
END_TEST

/* What isn't the client's acknowledgment of the server's SYN, in the first window, opens nothing.
 */
START_TEST(stranger_opens_nothing)
{
	static const int64_t seqs[] = {0, 0, 0, 65536 + 1, -2}, acks[] = {-1, 1, 0x12345678, 0, 0};

	begin_half_open();
	talk_send(&talk, SERVER, SYN | ACK, 0);
	for (unsigned i = 0; i < 5; i++) {
		struct spec spec = from_elsewhere(CLIENT, ACK);

		spec.seq += (uint32_t)seqs[i];
		spec.ack += (uint32_t)acks[i];
		check_stray(&spec);
	}
	ck_assert_uint_eq(flow()->state, FLOW_HALF_OPEN);
	engine_stop(&engine);
}
END_TEST

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

/* Of a closed window, which an end has shrunk: Linux resets with its edge (tcp_acceptable_seq()).
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

static struct spec syn_again(struct mac from)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);

	spec.src = from;
	spec.seq = 3000000000;
	return spec;
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

/* ---- another VLAN ---- */

/* Without `vlan` the VIP is in all of them, and a client's address and port can be in one. */
START_TEST(second_client_in_another_vlan_is_refused)
{
	struct spec spec = syn_again(ELSEWHERE);

	begin();
	spec.ntags = 1;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = 7;
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_OTHER_VLAN);
	ck_assert_uint_eq(balance()->counts.refused, 1);
	ck_assert(is_at(HOME));
	talk_close(&talk, CLIENT);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* Of the same VLAN whatever the priority (IEEE 802.1Q, PCP). */
START_TEST(priority_is_no_vlan)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);

	engine_start(&engine, fixture_rules(1));
	spec.ntags = 1;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = 7;
	talk_syn_from(&talk, &engine, &spec);
	spec.tci[0] = 5 << 13 | 7;
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

/* ---- the server's TIME_WAIT ---- */

/* A SYN with that timestamp, or none if it is 0. */
static struct verdict stamped(struct talk *ret, uint32_t seq, uint32_t stamp, uint8_t flags)
{
	struct spec spec = flags == SYN ? spec_syn(fixture_client(1), 40000, 443)
	                                : talk_spec(&talk, CLIENT, flags, 0);
	struct verdict v;

	spec.tcp_options = 12;
	spec.seq = seq;
	frames_tcp(&built, &spec);
	if (stamp) {
		uint8_t *option = built.frame.data + built.l4 + 20;

		memset(option, 1, 12);
		option[2] = 8;
		option[3] = 10;
		frames_put32(option + 4, stamp);
		frames_fix(&built);
	}
	v = engine_input(&engine, &built);
	if (v.act == LB_FORWARD && ret)
		ret->snat_port = frames_get16(built.frame.data + built.l4);
	return v;
}

/* A port is used again, and the same SNAT port if a server in TIME_WAIT would take that (RFC 6191).
 */
START_TEST(port_used_again_into_time_wait)
{
	static const struct {
		uint32_t before, fin, after; /* timestamps */
		int seq;                     /* what comes next, and this */
		bool same;
	} cases[] = {
	        {0, 0, 0, 1, true},          {0, 0, 0, 0, false},     {0, 0, 0, -1000, false},
	        {10, 20, 21, -1000, true},   {10, 20, 20, 0, false},  {10, 20, 20, 1, true},
	        {10, 20, 19, 100000, false}, {10, 20, 0, 1, true},    {0, 0, 20, -5, false},
	        {10, 0, 11, -1000, true},    {10, 0, 9, 1000, false}, {0xffffffff, 0, 3, -9, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t next;

		engine_start(&engine, fixture_rules(1));
		talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
		engine_stop(&engine);
		engine_start(&engine, fixture_rules(1));
		ck_assert_uint_eq(stamped(&talk, talk.next[CLIENT] - 1, cases[i].before, SYN).why,
		                  WHY_FLOW_NEW);
		talk.engine = &engine;
		talk_send(&talk, SERVER, SYN | ACK, 0);
		talk_send(&talk, CLIENT, ACK, 0);
		talk_send(&talk, SERVER, FIN | ACK, 0);
		stamped(NULL, talk.next[CLIENT]++, cases[i].fin, FIN | ACK);
		talk_send(&talk, SERVER, ACK, 0);
		ck_assert_uint_eq(balance_quarantined(balance()), 1);
		next = talk.next[CLIENT] + (uint32_t)cases[i].seq;
		second = talk;
		ck_assert_uint_eq(stamped(&second, next, cases[i].after, SYN).why, WHY_FLOW_NEW);
		ck_assert_msg((second.snat_port == talk.snat_port) == cases[i].same, "case %u", i);
		engine_stop(&engine);
	}
}
END_TEST

Suite *judge_suite(void)
{
	const TTest *const tests[] = {stranger_changes_nothing,
	                              stranger_of_any_flags_changes_nothing,
	                              damaged_changes_nothing,
	                              partial_is_not_damaged,
	                              client_that_moves_is_followed,
	                              client_that_moves_deaf_is_followed,
	                              late_segment_moves_nobody_back,
	                              garbage_keeps_no_flow,
	                              stranger_s_syn_while_half_open,
	                              what_prolongs_a_half_open_flow,
	                              stranger_opens_nothing,
	                              begins_anew_by_the_server_s_answer,
	                              early_fin_is_forgotten,
	                              other_answer_to_the_same_syn,
	                              what_begins_nothing_anew,
	                              refused_anew,
	                              rst_at_the_edge_of_the_window,
	                              syn_on_a_flow_of_a_server_that_is_left,
	                              stranger_s_syn_on_a_flow_of_a_server_that_is_left,
	                              half_open_flow_of_a_server_that_is_left,
	                              second_client_in_another_vlan_is_refused,
	                              priority_is_no_vlan,
	                              port_used_again_into_time_wait,
	                              NULL};

	return suite_of("judge", tests);
}
