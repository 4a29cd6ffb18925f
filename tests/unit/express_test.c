/*
 * The short way against the long one. Two engines get the same packets, but those of the second
 * have a VLAN tag, and so aren't plain: the packets must leave alike, and all that is noted be the
 * same.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../lb/wire.h"

enum {
	TALKS = 8,
	EVENTS = 40000,
	EVENTS_MAX = 10 * EVENTS,
	WAYS = 2,
	FLOWS = 1000,
	BURST_MOST = 40, /* more than the engine takes at once */
	BURST_TALKS = 2,
};

/* The same connection in either engine. */
struct twins {
	struct talk talk[WAYS];
};

static struct engine engines[WAYS];
static struct twins twins[TALKS];
static uint32_t untagged[FLOWS][2]; /* of a flow's packets, by end, those without a tag in both */
static unsigned nopened, open_hits, other_hits;

static uint32_t flow_of_twins(const struct twins *t, unsigned way)
{
	const struct talk *talk = &t->talk[way];
	const struct flows *flows = &lb_balance(engines[way].lb)->flows;
	const struct flow_key key = {.tuple = {talk->client, fixture_vip(), be16_from(talk->sport),
	                                       be16_from(talk->dport)}};
	uint32_t ref = flows_find(flows, &key, flows_hash_key(flows, &key));

	return ref == FLOW_NONE ? FLOW_NONE : flow_of(ref);
}

static const struct flow *plain_flow(const struct twins *t)
{
	uint32_t f = flow_of_twins(t, 0);

	return f == FLOW_NONE ? NULL : flows_at(&lb_balance(engines[0].lb)->flows, f);
}

/* The two frames of one segment. */
static void build_undamaged(struct built ret[WAYS], struct spec *spec, uint16_t window)
{
	for (unsigned way = 0; way < WAYS; way++) {
		struct built *built = &ret[way];

		spec->ntags = way;
		spec->tpid[0] = ETHERTYPE_8021Q;
		spec->tci[0] = 5;
		frames_tcp(built, spec);
		frames_put16(built->frame.data + built->l4 + TCP_WINDOW, window);
		if (!spec->partial)
			frames_fix(built);
	}
}

/* The same, damaged in the same place now and then. */
static void build(struct built ret[WAYS], struct spec *spec)
{
	uint16_t window = (uint16_t)random_next();
	bool damaged = !random_below(10);
	uint32_t at = random_below(40);

	build_undamaged(ret, spec, window);
	for (unsigned way = 0; way < WAYS && damaged; way++)
		ret[way].frame.data[ret[way].l3 + at] ^= 4;
}

/* The client's last word once more, with the tag by which the second way knows its packets. */
static void come_with_tag(struct twins *t)
{
	struct built b[WAYS];
	struct spec spec = talk_spec(&t->talk[0], CLIENT, 0x10, 0);

	build_undamaged(b, &spec, UINT16_MAX);
	for (unsigned way = 0; way < WAYS; way++)
		engine_input(&engines[way], &b[way]);
}

static void open_twins(struct twins *t)
{
	nopened++;
	for (unsigned way = 0; way < WAYS; way++)
		talk_open(&t->talk[way], &engines[way], fixture_client(nopened % 5),
		          (uint16_t)(20000 + nopened), nopened & 1 ? 443 : 5061);
	untagged[flow_of_twins(t, 0)][CLIENT] = 2;
	untagged[flow_of_twins(t, 0)][SERVER] = 1;
	come_with_tag(t);
}

/* Mostly what a TCP would send next, or nearly. */
static struct spec any_segment(struct twins *t, enum end end)
{
	static const uint8_t rare[] = {0x01, 0x02, 0x04, 0x11, 0x12, 0x14, 0x19, 0x00, 0x08};
	struct spec spec = talk_spec(&t->talk[0], end, 0x10, (uint16_t)random_below(3) * 40);

	if (random_below(2))
		spec.flags |= (uint8_t)random_next() & 0xe8; /* PSH, URG, ECE, CWR */
	if (!random_below(50))
		spec.flags = rare[random_below(sizeof(rare))];
	if (!random_below(4))
		spec.seq += random_below(200) - 100;
	if (!random_below(4))
		spec.ack += random_below(200) - 100;
	if (!random_below(20))
		spec.seq += (uint32_t)random_next();
	if (!random_below(20))
		spec.ack += (uint32_t)random_next();
	spec.tcp_options = random_below(2) ? 0 : 12;
	spec.partial = !random_below(4);
	if (end == CLIENT && !random_below(4))
		spec.src = mac_of((uint8_t)(0x90 + random_below(3)));
	if (!random_below(8))
		spec.side = random_below(2) ? INSIDE : OUTSIDE;
	return spec;
}

static void check_hops(const struct hop *plain, const struct hop *tagged)
{
	require(mac_eq(&plain->mac, &tagged->mac));
	require_eq(plain->side, tagged->side);
	require_eq(plain->ntags, 0);
}

static void check_same_verdict(const struct verdict *a, const struct verdict *b)
{
	require_eq(a->why, b->why);
	require_eq(a->act, b->act);
	require_eq(a->way.side, b->way.side);
	require_eq(a->sighted, false);
	require_eq(a->conflict, false);
	if (a->act == LB_FORWARD) {
		require_eq(a->way.server, b->way.server);
		require_eq(a->flow, b->flow);
		check_hops(&a->way.hop, &b->way.hop);
	}
}

static void check_same(const struct verdict v[WAYS], const struct built b[WAYS])
{
	check_same_verdict(&v[0], &v[1]);
	require_eq(b[0].frame.len + FRAME_TAG_BYTES, b[1].frame.len);
	require(memcmp(b[0].frame.data + b[0].l3, b[1].frame.data + b[1].l3,
	               b[0].frame.len - b[0].l3) == 0);
}

/* What has to be the same of a flow in either engine, whatever tags its frames have. */
static struct flow essence(const struct flow *flow)
{
	struct flow ret = *flow;

	ret.hop = 0;
	ret.bytes[CLIENT] = ret.bytes[SERVER] = 0;
	return ret;
}

static void check_counts(const struct flows *const flows[WAYS], uint32_t f)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		uint32_t packets = flows_packets(flows[0], f, end);

		require_eq(packets, flows_packets(flows[1], f, end));
		require_eq(flows_bytes(flows[1], f, end) - flows_bytes(flows[0], f, end),
		           FRAME_TAG_BYTES * (packets - untagged[f][end]));
	}
}

/* The tables, as far as these connections are concerned. */
static void check_same_flow(const struct twins *t)
{
	const struct flows *flows[WAYS] = {&lb_balance(engines[0].lb)->flows,
	                                   &lb_balance(engines[1].lb)->flows};
	uint32_t f = flow_of_twins(t, 0);
	struct flow ways[WAYS];

	require_eq(f, flow_of_twins(t, 1));
	if (f == FLOW_NONE)
		return;
	for (unsigned way = 0; way < WAYS; way++)
		ways[way] = essence(flows_at(flows[way], f));
	require(memcmp(&ways[0], &ways[1], sizeof(*ways)) == 0);
	require_eq(flows[0]->check_at[f], flows[1]->check_at[f]);
	check_hops(flows_client(flows[0], f), flows_client(flows[1], f));
	check_counts(flows, f);
}

static void exchange(struct twins *t)
{
	enum end end = random_below(2) ? SERVER : CLIENT;
	struct spec spec = any_segment(t, end);
	const struct flow *flow = plain_flow(t);
	bool is_open = flow && flow->state == FLOW_OPEN;
	struct verdict v[WAYS];
	struct built b[WAYS];

	build(b, &spec);
	for (unsigned way = 0; way < WAYS; way++)
		v[way] = engine_input(&engines[way], &b[way]);
	check_same(v, b);
	open_hits += is_open && v[0].why == WHY_FLOW_HIT;
	other_hits += !is_open && v[0].why == WHY_FLOW_HIT;
	if (v[0].why == WHY_FLOW_NEW)
		untagged[v[0].flow][CLIENT] = untagged[v[0].flow][SERVER] = 0;
	if (random_below(2)) /* else it was lost and is sent again */
		for (unsigned way = 0; way < WAYS; way++)
			t->talk[way].next[end] += spec.payload;
	check_same_flow(t);
}

/* Connections that have ended make way for others. */
static void renew(struct twins *t)
{
	const struct flow *flow = plain_flow(t);

	if (!flow || !flow_is_live(flow))
		open_twins(t);
}

static void run(bool snat)
{
	open_hits = other_hits = nopened = 0;
	for (unsigned way = 0; way < WAYS; way++) {
		struct rules *rules = fixture_rules(3);

		if (!snat)
			rules->farms[0].nsnat = 0;
		engine_start(&engines[way], rules);
	}
	for (unsigned i = 0; i < TALKS; i++)
		open_twins(&twins[i]);
	/* how often a flow is met that isn't open is left to chance: so many events, and more until
	 * some are */
	for (unsigned i = 0; i < EVENTS || (other_hits <= EVENTS / 100 && i < EVENTS_MAX); i++) {
		struct twins *t = &twins[random_below(TALKS)];

		exchange(t);
		if (!random_below(8))
			renew(t);
		for (unsigned way = 0; way < WAYS && i % 16 == 0; way++)
			engine_wait_ms(&engines[way], 70);
	}
	require(memcmp(lb_whys(engines[0].lb), lb_whys(engines[1].lb),
	               LB_NWHYS * sizeof(uint64_t)) == 0);
	ck_assert_uint_gt(open_hits, EVENTS / 2);
	ck_assert_uint_gt(other_hits, EVENTS / 100);
	ck_assert_uint_gt(nopened, EVENTS / 1000);
	for (unsigned way = 0; way < WAYS; way++)
		engine_stop(&engines[way]);
}

START_TEST(short_way_is_the_long_way)
{
	run(true);
}
END_TEST

START_TEST(without_snat)
{
	run(false);
}
END_TEST

/* What may come while a connection begins or ends, its numbers near the right ones. */
static struct spec any_turn(struct talk *talk)
{
	static const uint8_t flags[] = {0x10, 0x10, 0x10, 0x18, 0x11, 0x11, 0x01, 0x12, 0x00};
	enum end end = random_below(2) ? SERVER : CLIENT;
	struct spec spec =
	        talk_spec(talk, end, flags[random_below(sizeof(flags))], random_below(3) ? 0 : 40);

	if (!random_below(60))
		spec.flags = random_below(2) ? 0x14 : 0x02;
	if (!random_below(5))
		spec.seq += random_below(3) - 1;
	if (!random_below(5))
		spec.ack += random_below(3) - 1;
	if (random_below(2))
		talk->next[end] += spec.payload + (spec.flags & 1u) + (spec.flags >> 1 & 1u);
	return spec;
}

/*
 * The same frames one after the other to one engine, from which it is known how its server's
 * packets arrive, and then at once to the other.
 */
static void burst(struct talk talks[BURST_TALKS], unsigned n)
{
	static struct built single, built[BURST_MOST];
	struct verdict v[WAYS][BURST_MOST];
	struct frame frames[BURST_MOST];

	for (unsigned i = 0; i < n; i++) {
		struct talk *talk = &talks[random_below(BURST_TALKS)];

		if (!talk->engine || !random_below(20)) {
			uint16_t port = (uint16_t)(20000 + nopened++);
			struct spec spec = spec_syn(fixture_client(port % 5), port, 443);

			v[1][i] = talk_syn(talk, &engines[1], fixture_client(port % 5), port, 443);
			frames_tcp(&built[i], &spec);
		} else {
			struct spec spec = any_turn(talk);

			frames_tcp(&built[i], &spec);
			frames_tcp(&single, &spec);
			v[1][i] = engine_input(&engines[1], &single);
		}
		frames[i] = built[i].frame;
	}
	lb_input(engines[0].lb, frames, n, engines[0].now, v[0]);
	for (unsigned i = 0; i < n; i++)
		check_same_verdict(&v[0][i], &v[1][i]);
}

static void check_same_table(void)
{
	const struct flows *a = &lb_balance(engines[0].lb)->flows;
	const struct flows *b = &lb_balance(engines[1].lb)->flows;

	require_eq(a->reached, b->reached);
	require(memcmp(a->flow, b->flow, a->reached * sizeof(*a->flow)) == 0);
	require(memcmp(a->cold, b->cold, a->reached * sizeof(*a->cold)) == 0);
	require(memcmp(a->check_at, b->check_at, a->reached * sizeof(*a->check_at)) == 0);
	require(memcmp(&lb_balance(engines[0].lb)->counts, &lb_balance(engines[1].lb)->counts,
	               sizeof(struct balance_counts)) == 0);
}

START_TEST(bursts_make_no_difference)
{
	enum { BURSTS = 5000 };
	struct talk talks[BURST_TALKS] = {{.engine = NULL}};
	const uint64_t *ended;

	for (unsigned way = 0; way < WAYS; way++)
		engine_start(&engines[way], fixture_rules(3));
	for (unsigned i = 0; i < BURSTS; i++) {
		burst(talks, 1 + random_below(BURST_MOST));
		check_same_table();
		for (unsigned way = 0; way < WAYS; way++)
			engine_wait_ms(&engines[way], 500);
	}
	ended = lb_balance(engines[0].lb)->counts.ended;
	ck_assert_uint_gt(ended[ENDED_FIN], BURSTS / 100);
	ck_assert_uint_gt(ended[ENDED_RST], BURSTS / 100);
	for (unsigned way = 0; way < WAYS; way++)
		engine_stop(&engines[way]);
}
END_TEST

/* The server's FIN before the handshake is complete, the client's with its last word; then what
 * acknowledges both ends the connection. */
START_TEST(closed_as_it_opens)
{
	const struct balance *balance;
	struct talk talk;

	engine_start(&engines[0], fixture_rules(1));
	balance = lb_balance(engines[0].lb);
	talk_syn(&talk, &engines[0], fixture_client(1), 20000, 443);
	talk_send(&talk, SERVER, 0x12, 0);
	talk_send(&talk, SERVER, 0x11, 0);
	require_eq(flows_at(&balance->flows, 0)->state, FLOW_HALF_OPEN);
	talk.next[SERVER]--; /* the FIN has yet to come */
	talk_send(&talk, CLIENT, 0x11, 0);
	require_eq(flows_at(&balance->flows, 0)->state, FLOW_CLOSING);
	talk.next[SERVER]++;
	talk_send(&talk, SERVER, 0x10, 0);
	talk_send(&talk, CLIENT, 0x10, 0);
	require_eq(balance->counts.ended[ENDED_FIN], 1);
	require_eq(balance->farms->sched.servers[0].load, 0);
	engine_stop(&engines[0]);
}
END_TEST

/* Of many connections between the same addresses the index takes one for another now and then. */
START_TEST(guessed_wrong)
{
	enum { MANY = 900 };
	static struct talk talks[MANY];
	static bool used[UINT16_MAX + 1];

	engine_start(&engines[0], fixture_rules(1));
	for (unsigned i = 0; i < MANY; i++) {
		uint16_t port; /* in a row they would fall into place too well */

		do
			port = (uint16_t)random_next();
		while (used[port]);
		used[port] = true;
		talk_open(&talks[i], &engines[0], fixture_client(1), port, 443);
	}
	for (unsigned i = 0; i < MANY; i++)
		for (enum end end = CLIENT; end <= SERVER; end++) {
			struct verdict v = talk_send(&talks[i], end, 0x10, 10);

			require_eq(v.why, WHY_FLOW_HIT);
			require_eq(v.flow, i);
			require_eq(v.way.server, end == CLIENT ? 0 : SERVER_NONE);
		}
	engine_stop(&engines[0]);
}
END_TEST

/* A number at, or about, an edge of what may be. */
static uint32_t about(uint32_t number)
{
	const uint32_t edges[] = {0, TCP_LATELY, -(uint32_t)TCP_LATELY, 1u << 31};

	number += random_below(8) ? 0 : edges[random_below(4)];
	return number + random_below(5) - 2;
}

/* Judging and noting in one is the same as one after the other, whatever the numbers. */
START_TEST(judged_and_noted_at_once)
{
	enum { CASES = 300000 };
	unsigned taken = 0;

	for (unsigned i = 0; i < CASES; i++) {
		const uint32_t base[] = {(uint32_t)random_next(), (uint32_t)random_next()};
		const enum end end = random_below(2) ? SERVER : CLIENT;
		const struct packet packet = {.tcp_flags = TCP_ACK,
		                              .seq = about(base[end]),
		                              .seq_len = random_below(4),
		                              .ack = about(base[end_other(end)]),
		                              .window = (uint16_t)random_below(4)};
		struct flow one = {.wscales = (uint8_t)random_next()}, two;
		bool is_taken;

		for (enum end e = CLIENT; e <= SERVER; e++) {
			one.next_seq[e] = about(base[e]);
			one.limit[e] = about(base[e]);
			one.acked[end_other(e)] = about(base[e]);
		}
		two = one;
		is_taken = tcp_is_expected(&two, end, &packet);
		if (is_taken)
			tcp_advance(&two, end, &packet);
		taken += is_taken;
		require_eq(tcp_take_expected(&one, end, &packet), is_taken);
		require(!memcmp(&one, &two, sizeof(one)));
	}
	ck_assert_uint_gt(taken, CASES / 50);
	ck_assert_uint_lt(taken, CASES / 2);
}
END_TEST

Suite *express_suite(void)
{
	const TTest *const tests[] = {short_way_is_the_long_way,
	                              without_snat,
	                              bursts_make_no_difference,
	                              closed_as_it_opens,
	                              guessed_wrong,
	                              judged_and_noted_at_once,
	                              NULL};

	return suite_of("express", tests);
}
