/*
 * The order in which the engine writes what the fast lane reads.
 *
 * The engine is stopped after each of its writes to what is shared. Then some lanes look from the
 * first access to the last, and others, which began before, go on by some accesses. Each that
 * forwards a segment must know where it leaves to and where the client is, as these were before or
 * after what the engine does.
 */
#include "lane_fixture.h"
#include "steps.h"

#include "../../lb/lane.h"

enum { PLACES = 100, WATCHERS = 16, SEGMENTS = 2 * TALKS, SEEN_MAX = 64 };
/* Chance says how often a flow keeps its client's hop itself: so many events, and more until that
 * was looked at so often. */
enum { EVENTS = SANITIZED ? 100 : 300, EVENTS_MAX = 20 * EVENTS };

static struct twin watchers[WATCHERS];
static unsigned watched[WATCHERS]; /* the number of its segment: 2 * talk + end */
static struct twin_segment segments[SEGMENTS];
static struct {
	unsigned segment;
	struct twin_way way;
} seen[SEEN_MAX];
static unsigned nseen;
static unsigned nkept; /* flows that kept their client's hop themselves */
static bool is_early;  /* something was seen before its time */
static unsigned generations[TALKS], event;
static uint32_t tick;

/* ---- What lanes see; as the engine may be anywhere, what is wrong is said later ---- */

static void see(unsigned segment, const struct twin_way *way)
{
	nforwarded++;
	for (unsigned i = 0; i < nseen; i++)
		if (seen[i].segment == segment && tuple_eq(&seen[i].way.to, &way->to) &&
		    hop_eq(&seen[i].way.client, &way->client))
			return;
	if (nseen < SEEN_MAX) {
		seen[nseen].segment = segment;
		seen[nseen++].way = *way;
	}
}

static bool has_numbers(const struct flow *flow, enum end end)
{
	return flow->flags & FLOW_SEQ_KNOWN << end &&
	       flow_limit(flow, end) + 1 - flow_acked(flow, end_other(end)) < 1u << 30;
}

static void look_at_flows(void)
{
	for (uint32_t f = 0; f < flows()->reached; f++) {
		const struct flow *flow = flows_at(flows(), f);

		nkept += flow->hop == HOPS_OWN && flow_is_live(flow);
		is_early |= flow->state == FLOW_OPEN &&
		            !(has_numbers(flow, CLIENT) && has_numbers(flow, SERVER));
	}
}

static void watch_on(unsigned i)
{
	unsigned n = random_below(random_below(4) ? 3 : 30);

	while (n-- && twin_go_on(&watchers[i]))
		;
	if (!watchers[i].done)
		return;
	if (watchers[i].forwarded)
		see(watched[i], &watchers[i].way);
	watched[i] = random_below(random_below(4) ? 2 : SEGMENTS);
	watched[i] = (watched[i] + 2 * event) % SEGMENTS; /* mostly of who is dealt with */
	twin_begin(&watchers[i], flows(), &segments[watched[i]], tick);
}

static void look(void)
{
	struct twin_way way;

	for (unsigned i = 0; i < SEGMENTS; i++)
		if (twin_run(flows(), &segments[i], tick, &way))
			see(i, &way);
	look_at_flows();
	for (unsigned i = 0; i < WATCHERS; i++)
		watch_on(i);
}

/* ---- Whether it was right ---- */

/* The places that a connection's client moves to: more than there is room for, so that some flows
 * keep theirs themselves. */
static struct mac mac_of_talk(unsigned i, unsigned place)
{
	struct mac ret = mac_of((uint8_t)place);

	ret.b[4] = (uint8_t)(1 + i);
	ret.b[3] = (uint8_t)place; /* so that each of its words is another one */
	return ret;
}

/* If that is where the client is or was. A client that moves may be seen with one word of the
 * place where it was and one of where it is: what is sent there is lost as what was sent before. */
static bool is_client_of(unsigned i, const struct mac *mac)
{
	const struct mac first = FIXTURE_CLIENT_MAC;
	const bool is_head = !memcmp(mac, &first, 3) && mac->b[3] < PLACES;

	return is_head &&
	       ((mac->b[4] == 1 + i && mac->b[5] < PLACES) || !memcmp(mac->b + 4, first.b + 4, 2));
}

/* If what end sends on the connection leaves with that tuple. */
static bool leaves_with(const struct talk *talk, enum end end, const struct tuple *to)
{
	const struct spec back = talk_spec(talk, end_other(end), TCP_ACK, 0);
	const struct tuple reverse = {back.from, back.to, be16_from(back.sport),
	                              be16_from(back.dport)};
	const struct tuple forth = tuple_reverse(reverse);

	return tuple_eq(to, &forth);
}

static void require_right(const struct talk before[TALKS])
{
	for (unsigned i = 0; i < nseen; i++) {
		const unsigned t = seen[i].segment / 2;
		const enum end end = seen[i].segment % 2 ? SERVER : CLIENT;

		require(is_client_of(t, &seen[i].way.client.mac));
		require(leaves_with(&before[t], end, &seen[i].way.to) ||
		        leaves_with(&talks[t], end, &seen[i].way.to));
	}
	require(!is_early);
	nseen = 0;
}

/* ---- What the engine does ---- */

/* Begins the client's connection, from the same port as the one before. */
static void open_anew(unsigned i)
{
	struct spec syn = spec_syn(fixture_client(i), (uint16_t)(1024 + i), i % 2 ? 443 : 5061);

	syn.seq += ++generations[i] * 1000000;
	is_open[i] = talk_syn_from(&talks[i], &engine, &syn).why == WHY_FLOW_NEW;
	if (!is_open[i])
		return;
	talk_send(&talks[i], SERVER, TCP_SYN | TCP_ACK, 0);
	talk_send(&talks[i], CLIENT, TCP_ACK, 0);
}

static void expire(void)
{
	engine.now.ns += 30ull * LB_NS_PER_S;
	engine_poll(&engine);
}

static void end(unsigned i)
{
	if (random_below(2))
		talk_close(&talks[i], random_below(2) ? SERVER : CLIENT);
	else
		talk_send(&talks[i], random_below(2) ? SERVER : CLIENT, TCP_RST, 0);
	is_open[i] = false;
}

/* A client moves on. */
static void move(unsigned i)
{
	if (is_open[i])
		move_talk(&talks[i], mac_of_talk(i, random_below(PLACES)));
}

static void go_on(void)
{
	const unsigned i = event % TALKS;

	if (event % 50 == 49)
		expire();
	else if (!is_open[i])
		open_anew(i);
	else if (random_below(3) == 0)
		end(i);
	else if (random_below(4))
		move(i);
	else
		talk_send(&talks[i], random_below(2) ? SERVER : CLIENT, TCP_ACK, 100);
}

/* What the lanes look for: segments of connections as they are, or as the next one will be. */
static void choose_segments(void)
{
	for (unsigned i = 0; i < SEGMENTS; i++) {
		struct talk talk = talks[i / 2];

		if (!is_open[i / 2]) {
			talk.next[CLIENT] = 1001 + (generations[i / 2] + 1) * 1000000;
			talk.next[SERVER] = 500001;
		}
		segments[i] = segment_of(&talk, i % 2 ? SERVER : CLIENT);
		segments[i].len = 0;
		segments[i].is_last = false;
	}
}

/* Stopped after each write to one of the arrays. */
static void take_steps(void (*work)(void), void (*look_at)(void))
{
	struct steps_area areas[TABLE_NARRAYS];

	for (unsigned i = 0; i < TABLE_NARRAYS; i++) {
		const struct table_array *array = &table.arrays[i];

		areas[i] =
		        (struct steps_area){array->memory, array->elements * array->element_bytes};
	}
	steps_take(areas, TABLE_NARRAYS, work, look_at);
}

START_TEST(nothing_is_seen_half_done)
{
	struct talk before[TALKS];

	if (!steps_can_be_taken())
		return;
	begin();
	for (unsigned i = 0; i < TALKS; i++)
		open_anew(i);
	for (unsigned i = 0; i < WATCHERS; i++)
		watchers[i].done = true;
	for (event = 0; event < EVENTS || (nkept <= EVENTS && event < EVENTS_MAX); event++) {
		for (unsigned i = 0; i < TALKS; i++)
			move(i);
		choose_segments();
		tick = balance_tick(lb_balance(engine.lb), engine.now);
		memcpy(before, talks, sizeof(talks));
		take_steps(go_on, look);
		require_right(before);
		require_books();
	}
	ck_assert_uint_gt(nforwarded, EVENTS);
	ck_assert_uint_gt(nkept, EVENTS);
	require_works();
	engine_stop_shared(&engine, &table);
}
END_TEST

/* ---- One that is held up over the end of a flow that keeps its client's hop itself ---- */

static int writes_left;

static void look_late(void)
{
	if (writes_left-- == 0)
		while (twin_go_on(&watchers[0]))
			;
}

static void reset_first(void)
{
	talk_send(&talks[0], CLIENT, TCP_RST, 0);
}

/* Opens a connection, as if there had been no place for its client's hop. */
static void open_with_own_hop(void)
{
	const struct mac mac = mac_of_talk(0, 1);
	const struct hop hop = {.mac = mac, .side = OUTSIDE};
	struct flows same = *flows();

	open_anew(0);
	hops_take_place(&same.hops, HOPS_OWN);
	flows_set_client(&same, 0, HOPS_OWN, &hop);
	require_eq(flows_at(flows(), 0)->hop, HOPS_OWN);
}

/* He goes so far before the end begins, and to his own end after so many writes of that. */
START_TEST(links_are_not_taken_for_a_hop)
{
	unsigned n = 0;

	if (!steps_can_be_taken())
		return;
	for (unsigned begun = 0; begun < 30; begun++) {
		int writes = 0;

		do {
			struct twin_segment segment;

			begin();
			open_with_own_hop();
			segment = segment_of(&talks[0], SERVER);
			segment.is_last = false;
			twin_begin(&watchers[0], flows(), &segment, 1);
			for (unsigned i = 0; i < begun; i++)
				twin_go_on(&watchers[0]);
			writes_left = writes++;
			take_steps(reset_first, look_late);
			while (twin_go_on(&watchers[0]))
				;
			n += watchers[0].forwarded;
			if (watchers[0].forwarded)
				require(is_client_of(0, &watchers[0].way.client.mac));
			engine_stop_shared(&engine, &table);
		} while (writes_left < 0);
	}
	ck_assert_uint_gt(n, 10);
}
END_TEST

/* ---- Other names for the same addresses ---- */

static struct tuple names[2][2]; /* before and after, by enum end */

static void rename_first(void)
{
	struct flows same = *flows();

	flows_rename(&same, 0, names[1]);
}

/* Who finds the flow by a name that it had knows its other ones as well. */
static void look_at_names(void)
{
	const struct flow *flow = flows_at(flows(), 0);
	struct lane lane;

	for (unsigned i = 0; i < 2; i++)
		for (enum end end = CLIENT; end <= SERVER; end++)
			if (lane_look(flow, end, &names[i][end], &lane)) {
				const struct tuple to = tuple_reverse(names[i][end_other(end)]);

				nforwarded++;
				is_early |= !tuple_eq(&lane.to, &to);
			}
}

START_TEST(names_change_together)
{
	if (!steps_can_be_taken())
		return;
	begin();
	open_anew(0);
	memcpy(names[0], flows_at(flows(), 0)->arrive, sizeof(names[0]));
	for (enum end end = CLIENT; end <= SERVER; end++)
		names[1][end] = tuple_reverse(names[0][end]);
	take_steps(rename_first, look_at_names);
	ck_assert(!is_early);
	ck_assert_uint_gt(nforwarded, 0);
	engine_stop_shared(&engine, &table);
}
END_TEST

Suite *lane_order_suite(void)
{
	const TTest *const tests[] = {nothing_is_seen_half_done, links_are_not_taken_for_a_hop,
	                              names_change_together, NULL};

	return suite_of("lane_order", tests);
}
