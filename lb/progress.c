/*
 * What follows from a packet of a flow: it is judged (tcp.c) before anything is noted. The states
 * that it moves its flow to are life.c's.
 */
#include "progress.h"

#include "follow.h"
#include "life.h"
#include "notes.h"
#include "tcp.h"
#include "wire.h"

/* How many notes of programs are taken at a time: each may end a flow, and then there must be room
 * for the record of its end. */
enum { PROGRESS_NOTES = ENDED_RING / 2 };

static void note_connected(struct balance *balance, uint32_t f, lb_time now)
{
	const unsigned server = flows_at(&balance->flows, f)->server;

	times_note(&balance->farms->times[server].connect, &times_connect,
	           life_age_ns(balance, f, now));
}

/* If the packet, which came from end, shows that the flow goes on though it was reset. */
static bool is_revival(const struct balance *balance, const struct flow *flow, enum end end,
                       const struct packet *packet, lb_time now)
{
	/* a program that writes `last` may be a tick ahead */
	const uint32_t tick = balance_tick(balance, now), last = flow_last(flow);
	const uint32_t ms = tick > last ? (tick - last) * FLOW_MS_PER_TICK : 0;

	return flow->state == FLOW_RESET && tcp_goes_on(flow, end, packet) &&
	       (flow->flags & FLOW_RST_SENT << end || ms > BALANCE_CROSSING_MS) &&
	       !life_is_unserved(balance, flow);
}

uint32_t progress_resolve(struct balance *balance, uint32_t ref, const struct packet *packet,
                          lb_time now)
{
	const uint32_t f = flow_of(ref), older = life_older(balance, f);

	if (older == FLOW_NONE || !tcp_goes_on(flows_at(&balance->flows, older), CLIENT, packet))
		return ref;
	life_evict(balance, f, now);
	return older << 1 | CLIENT;
}

/* If the packet comes from the client's end, but not from where its last acceptable one came. */
static bool is_elsewhere(const struct balance *balance, uint32_t ref, const struct packet *packet)
{
	return end_of(ref) == CLIENT &&
	       !hop_eq(flows_client(&balance->flows, flow_of(ref)), &packet->from);
}

bool progress_expects(const struct balance *balance, uint32_t ref, const struct packet *packet)
{
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	return flow->state == FLOW_OPEN &&
	       (packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK &&
	       tcp_is_expected(flow, end_of(ref), packet) && !is_elsewhere(balance, ref, packet);
}

void progress_goes_on(struct balance *balance, uint32_t ref, const struct packet *packet,
                      uint32_t len, lb_time now)
{
	flows_count(&balance->flows, flow_of(ref), end_of(ref), len, balance_tick(balance, now));
	tcp_advance(flows_at(&balance->flows, flow_of(ref)), end_of(ref), packet);
}

/* Begins the flow anew by packet, the server's answer to the client's SYN: all that was noted of
 * the old connection is void. */
static void begin_anew(struct balance *balance, uint32_t f, const struct anew_syn *waiting,
                       const struct packet *packet, lb_time now)
{
	struct flow *flow = flows_at(&balance->flows, f);
	/* none waits: it answers the SYN that the flow began with once more */
	struct tcp_syn syn = {.next = flow_next(flow, CLIENT),
	                      .stamp = balance->flows.stamps[f],
	                      .wscale = flow_wscale(flow, CLIENT)};

	if (waiting && waiting->syn.next == packet->ack) {
		syn = waiting->syn;
		follow_packet(balance, f, &waiting->from);
	}
	if (flow_is_closing(flow)) { /* counts as a load again */
		sched_closed(&balance->farms->sched, flow->server, false);
		sched_revived(&balance->farms->sched, flow->server, true);
	}
	if (!life_is_answered(flow))
		life_note_answer(balance, f, true, now);
	flows_set_stamp(&balance->flows, f, syn.stamp);
	flows_heard(&balance->flows, f, balance_tick(balance, now));
	tcp_begin_anew(flow, &syn, packet);
	if (flow->state == FLOW_CLOSING)
		flows_set_state(&balance->flows, f, FLOW_OPEN);
	anew_forget(&balance->anew, f);
	life_check(balance, f);
}

/* If a flow that has opened was made beside an older one of its client, ends that one. */
static void end_older(struct balance *balance, uint32_t f, lb_time now)
{
	const uint32_t older = life_older(balance, f);

	if (older != FLOW_NONE)
		life_end(balance, older, ENDED_EVICTED, 0, now);
	anew_set_older(&balance->anew, f, FLOW_NONE);
}

/* Counts a flow that has opened at its client, if the farm has limits for clients; false if it is
 * one too many. */
static bool count_client(struct balance *balance, uint32_t f, lb_time now)
{
	struct limits_asker asker;

	if (!limits_any(farms_of_server(balance->farms, flows_at(&balance->flows, f)->server)))
		return true;
	asker = balance_asker(balance, f);
	return limits_opened(&balance->limits, &asker, now);
}

/*
 * Makes a half-open flow open; false if it is ended at once, being one too many for its client.
 * Expiry looks at it within BALANCE_HALF_OPEN_S, as it would have before, and sets its next look
 * then.
 */
static bool open_up(struct balance *balance, uint32_t f, const struct packet *packet, lb_time now)
{
	struct flow *flow = flows_at(&balance->flows, f);

	sched_half_open_no_more(&balance->farms->sched, flow->server);
	tcp_opened(flow, packet);
	flows_set_state(&balance->flows, f, FLOW_OPEN);
	end_older(balance, f, now);
	if (!count_client(balance, f, now)) {
		limits_doom(&balance->limits, f, flows_created_ms(&balance->flows, f));
		life_end(balance, f, ENDED_LIMIT, FLOW_RESET_BY_US, now);
		return false;
	}
	life_persist(balance, flow, true, now);
	strangers_met(&balance->strangers, balance_client_key(balance, f), now);
	return true;
}

/* Changes the flow's state as events (TCP_...) say, which were noted of it. */
static void move_on(struct balance *balance, uint32_t f, unsigned events, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);

	/* the FINs may have been before the handshake was complete */
	if (events & (TCP_OPENED | TCP_BOTH_CLOSED) && flow->state == FLOW_OPEN &&
	    flow_is_closed(flow))
		flows_set_state(&balance->flows, f, FLOW_CLOSING);
	if (events & TCP_ENDED)
		life_end(balance, f, ENDED_FIN, 0, now);
	else if (events &
	         (TCP_OPENED |
	          TCP_BOTH_CLOSED)) /* the first FIN alone doesn't shorten the time that it has */
		life_check(balance, f);
}

/* Does what follows from an acceptable packet. */
static void go_on(struct balance *balance, uint32_t ref, const struct packet *packet, lb_time now)
{
	const uint32_t f = flow_of(ref);
	struct flow *flow = flows_at(&balance->flows, f);
	const bool was_answered = life_is_answered(flow);
	unsigned events;

	/*
	 * only once: flows_heard() notes the packet's time below, by which life_is_observed() goes
	 */
	if (flow->state == FLOW_HALF_OPEN && end_of(ref) == CLIENT && !was_answered &&
	    !life_is_observed(balance, f) &&
	    life_age_ns(balance, f, now) >= OBSERVE_PATIENCE_MS * LB_NS_PER_MS)
		life_observe(balance, f, false);
	/* a flow that isn't open yet gets no older by what its server says again and again */
	if (flow->state != FLOW_HALF_OPEN || end_of(ref) == CLIENT)
		flows_heard(&balance->flows, f, balance_tick(balance, now));
	if (end_of(ref) == CLIENT)
		follow_packet(balance, f, &packet->from);
	if (end_of(ref) == CLIENT && packet->tcp_flags & (TCP_SYN | TCP_FIN) && packet->stamp)
		flows_set_stamp(&balance->flows, f, packet->stamp);
	events = tcp_track(flow, end_of(ref), packet);
	if (!was_answered && life_is_answered(flow)) {
		life_note_answer(balance, f, true, now);
		note_connected(balance, f, now);
	}
	if (events & TCP_HALF_CLOSED)
		sched_closing(&balance->farms->sched, flow->server);
	if (events & TCP_OPENED && !open_up(balance, f, packet, now))
		return;
	move_on(balance, f, events, now);
}

/*
 * If the packet, in the server's name, was sent by the neighbour who has sent the SYN that it would
 * answer, as the router would both: where clients and servers are on one side nothing else tells a
 * stranger behind that. It may be the server if that is there, or has asked itself.
 */
static bool is_askers(const struct balance *balance, uint32_t f, const struct packet *packet,
                      const struct anew_syn *waiting)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const struct mac *from = &packet->from.mac;

	if (!farms_is_elsewhere(balance->farms, flow->server, flow->arrive[SERVER].dst, from) ||
	    be32_eq(flow->arrive[CLIENT].src, flow->arrive[SERVER].src))
		return false;
	return mac_eq(from, &flows_client(&balance->flows, f)->mac) ||
	       (waiting && mac_eq(from, &waiting->from.mac));
}

/*
 * If the packet may say how a connection begins, or begins anew. What that takes is known to
 * whoever has made up the client's SYN: so it counts for the server's only if it comes by the side
 * and in the VLAN where that is, and not by who has brought the SYN.
 */
static bool may_begin(const struct balance *balance, uint32_t ref, const struct packet *packet,
                      const struct anew_syn *waiting)
{
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	return end_of(ref) == CLIENT ||
	       (farms_may_answer(balance->farms, flow->server, flow->arrive[SERVER].dst,
	                         &packet->from) &&
	        !is_askers(balance, flow_of(ref), packet, waiting));
}

/* Judges a packet of a live flow, and does what follows. */
static void judge(struct balance *balance, uint32_t ref, const struct packet *packet, lb_time now)
{
	const uint32_t f = flow_of(ref), tick = balance_tick(balance, now);
	const struct flow *flow = flows_at(&balance->flows, f);
	const struct anew_syn *waits = anew_find(&balance->anew, f, tick);
	const bool begins = may_begin(balance, ref, packet, waits);
	const struct anew_syn *waiting = begins ? waits : NULL;
	const struct tcp_syn *syn = waiting ? &waiting->syn : NULL;

	if (flow->state == FLOW_HALF_OPEN && !begins) {
		balance->counts.wrong_side++;
		return;
	}
	if (packet->tcp_flags & TCP_RST) {
		if (tcp_rst_is_believed(flow, end_of(ref), packet, syn))
			life_reset(balance, f, end_of(ref), now);
		return;
	}
	switch (tcp_judge(flow, end_of(ref), packet, is_elsewhere(balance, ref, packet), syn)) {
	case TCP_STRAY:
		return;
	case TCP_ACCEPTABLE:
		return go_on(balance, ref, packet, now);
	case TCP_AGAIN:
		return anew_note(&balance->anew, f, packet, tick);
	case TCP_ANEW:
		return begin_anew(balance, f, waiting, packet, now);
	}
}

void progress_count(struct balance *balance, uint32_t ref, uint32_t len)
{
	flows_count(&balance->flows, flow_of(ref), end_of(ref), len,
	            flow_last(flows_at(&balance->flows, flow_of(ref))));
}

void progress_packet(struct balance *balance, uint32_t ref, const struct packet *packet,
                     uint32_t len, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	progress_count(balance, ref, len);
	if (is_revival(balance, flow, end_of(ref), packet, now))
		life_revive(balance, flow_of(ref), now);
	if (flow_is_live(flow)) /* in quarantine late packets are passed on, and no more */
		judge(balance, ref, packet, now);
}

/* ---- What another writer has noted ---- */

void progress_take(struct balance *balance, uint32_t f, lb_time now)
{
	struct flows *flows = &balance->flows;
	struct flow *flow = flows_at(flows, f);
	const uint8_t note = flows->notes ? notes_take(flows->notes, f) : NOTES_NONE;
	const bool was_open = flow->state == FLOW_OPEN;
	unsigned events;

	if (!note || (flow->state != FLOW_OPEN && flow->state != FLOW_CLOSING))
		return;
	events = tcp_take_note(flow, note);
	if (events & TCP_HALF_CLOSED)
		sched_closing(&balance->farms->sched, flow->server);
	move_on(balance, f, events, now);
	if (flow_is_live(flow) && note & (NOTE_RST << CLIENT | NOTE_RST << SERVER))
		life_reset(balance, f, note & NOTE_RST << CLIENT ? CLIENT : SERVER, now);
	/* a program that saw it open may be about to note the last acknowledgment: so expiry looks
	 * at it again */
	if (was_open && flow->state == FLOW_CLOSING)
		notes_put(flows->head, &flows->notes[notes_at(f)],
		          &flows->notes[notes_group_at(flows->places, f)], f, note);
}

/* Takes the notes of a group of flows. Returns how many there were. */
static unsigned take_group(struct balance *balance, uint32_t first, lb_time now)
{
	const uint64_t *words = &balance->flows.notes[notes_at(first)];
	unsigned n = 0;

	for (unsigned i = 0; i < NOTES_IN_GROUP; i++)
		if (notes_of(&words[i / NOTES_IN_WORD], first + i)) {
			progress_take(balance, first + i, now);
			n++;
		}
	return n;
}

/* Takes the notes of the groups of a word, while *left is enough for a group. */
static void take_groups(struct balance *balance, uint32_t word, unsigned *left, lb_time now)
{
	const uint32_t at = notes_bytes_words(balance->flows.places) + word;
	uint64_t groups = BOTH_TAKE(balance->flows.notes[at], UINT64_MAX);

	for (; groups && *left >= NOTES_IN_GROUP; groups &= groups - 1) {
		const uint32_t group = (uint32_t)__builtin_ctzll(groups);

		*left -= take_group(balance, word * NOTES_IN_GROUPS + group * NOTES_IN_GROUP, now);
	}
	if (groups)
		BOTH_OR(balance->flows.notes[at], groups);
}

bool progress_take_all(struct balance *balance, lb_time now)
{
	const struct flows *flows = &balance->flows;
	const uint32_t words = notes_words(flows->places) - notes_bytes_words(flows->places);
	unsigned left = PROGRESS_NOTES;

	if (!flows->notes || !BOTH_READ_FIRST(flows->head->noted))
		return false;
	BOTH_TAKE(flows->head->noted, UINT32_MAX);
	for (uint32_t word = 0; word < words && left >= NOTES_IN_GROUP; word++)
		if (BOTH_READ(flows->notes[notes_bytes_words(flows->places) + word]))
			take_groups(balance, word, &left, now);
	if (left >= NOTES_IN_GROUP)
		return false;
	BOTH_WRITE_LAST(flows->head->noted, 1);
	return true;
}
