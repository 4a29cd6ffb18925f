/*
 * The fast lane: the steps by which another reader, a program in the kernel, forwards a segment of
 * an open flow from the engine's own arrays (table.h), while the engine goes on. They are the same
 * rules as express.c's, from the same functions; what differs is that anything may change between
 * two steps. This header compiles with -target bpf, and needs nothing of the engine's but headers.
 *
 * In order, each step giving up (the frame is the process's then) if it finds other than it
 * expects:
 *
 *   1. hash the tuple with head's factors as flows_hash() does, of IPv6 the source by its address:
 *      tuple_multilinear(), index_home(), index_tag()
 *   2. the bucket's slots with that tag: lane_match(); else, while lane_passed(), the next bucket's
 *   3. of each such slot the flow and end: lane_ref(), flow_of(), end_of()
 *   4. lane_look(): the flow is open, and arrives with that tuple; of IPv6, client6 is the client's
 *   5. where it goes: lane_to(), flow_life_server() or, to a client, lane_hop() in places[] or
 * spare[]; what comes from a client must come from that hop
 *   6. judge the segment and note it: lane_note(), which looks once more if the flow is open;
 *      one with FIN by lane_note_last(), and its end by notes_put()
 *   7. count it: lane_count()
 *   8. rewrite: the tuple that it leaves with is that of step 5
 *
 * Steps 1 to 3 may be taken some time before, as a guess: step 4 says if it was right.
 *
 * Nothing is written before step 6, and from then on only words of struct flow and flow_cold that
 * may be written late (flow.h). So whoever is held up for however long between two steps harms
 * nobody; one that is held up in step 6 over the end of its flow, and over that of FLOWS_REST
 * others, falsifies the numbers of the flow that has the place now, and nothing else; or
 * has that one closing early, which then is kept for a shorter time when nothing is sent.
 */
#ifndef LB_LANE_H
#define LB_LANE_H

#include "both.h"
#include "flow.h"
#include "notes.h"
#include "hops.h"
#include "index.h"
#include "tcp.h"

/* The slots of bucket that hold tag, as bits 0 to 11. */
static inline uint32_t lane_match(const struct bucket *bucket, uint8_t tag)
{
	const uint32_t *words = (const uint32_t *)bucket->tag;

	return index_match_words(BOTH_READ(words[0]), BOTH_READ(words[1]), BOTH_READ(words[2]),
	                         tag);
}

/* If entries that belong to bucket stand in the next one. */
static inline bool lane_passed(const struct bucket *bucket)
{
	return BOTH_READ(bucket->passed);
}

/* The reference in slot. */
static inline uint32_t lane_ref(const struct bucket *bucket, unsigned slot)
{
	return BOTH_READ_FIRST(bucket->ref[slot]);
}

/* The tuple, read in words of which each is whole. */
static inline struct tuple lane_tuple(const struct tuple *tuple)
{
	const uint32_t *from = (const uint32_t *)tuple;
	const uint32_t words[3] = {BOTH_READ(from[0]), BOTH_READ(from[1]), BOTH_READ(from[2])};
	struct tuple ret;

	memcpy(&ret, words, sizeof(ret));
	return ret;
}

/* What a flow was when it was looked at. */
struct lane {
	uint16_t life;   /* flow_life_server(), flow_life_state() */
	struct tuple to; /* with which its packets leave */
};

/* If the flow is open and packets arrive from end with tuple; then sets *ret to what it is now. */
static inline bool lane_look(const struct flow *flow, enum end end, const struct tuple *tuple,
                             struct lane *ret)
{
	struct tuple arrive;

	ret->life = BOTH_READ_FIRST(flow->life);
	if (flow_life_state(ret->life) != FLOW_OPEN)
		return false;
	arrive = lane_tuple(&flow->arrive[end]);
	ret->to = tuple_reverse(lane_tuple(&flow->arrive[end_other(end)]));
	return tuple_eq(&arrive, tuple);
}

/* The place of its client's hop: see flows_client(). */
static inline uint16_t lane_hop(const struct flow *flow)
{
	return BOTH_READ_FIRST(flow->hop);
}

/* If the flow is still open. Its server may have another number by now, as rules have changed. */
static inline bool lane_is_open(const struct flow *flow)
{
	return flow_life_state(BOTH_READ_FIRST(flow->life)) == FLOW_OPEN;
}

/*
 * Judges the segment, which has ACK and neither SYN, FIN nor RST, and comes from a server, or from
 * where the flow's client is (else it has to prove more, to the process); and if it is what the
 * flow goes on with notes it at tick now. False if it isn't, or the flow is no longer open.
 */
static inline bool lane_note(struct flow *flow, enum end end, const struct packet *packet,
                             uint32_t now)
{
	if (!lane_is_open(flow) || !tcp_take_expected(flow, end, packet))
		return false;
	flow_set_last(flow, now);
	return true;
}

/* What notes_put() is to be given for a FIN of end's that has been accepted; noted is what it had
 * before. */
static inline uint8_t lane_fin(const struct flow *flow, enum end end, uint8_t noted)
{
	unsigned how = (unsigned)NOTE_FIN << end;

	if (end == SERVER && !(noted & NOTE_FIN << CLIENT))
		how |= NOTE_SERVER_FIRST;
	if (end == SERVER && !tcp_fin_is_acked(flow, CLIENT))
		how |= NOTE_CROSSING;
	return (uint8_t)how;
}

/*
 * The same for a segment that may have FIN or RST; and, while there is no process to leave it to,
 * for one that lane_note() refuses: it must be acceptable to tcp_judge() or tcp_rst_is_believed().
 * Sets *ret_how to what notes_put() is to be given of the flow's end, NOTES_NONE being nothing;
 * noted is what it had before.
 */
static inline bool lane_note_last(struct flow *flow, enum end end, const struct packet *packet,
                                  uint32_t now, uint8_t noted, uint8_t *ret_how)
{
	const bool resets = packet->tcp_flags & TCP_RST;

	*ret_how = NOTES_NONE;
	if (!lane_is_open(flow) ||
	    !(resets ? tcp_rst_is_expected(flow, end, packet) : tcp_is_near(flow, end, packet)))
		return false;
	if (resets) {
		*ret_how = (uint8_t)(NOTE_RST << end);
		return true;
	}
	tcp_advance(flow, end, packet);
	flow_set_last(flow, now);
	if (packet->tcp_flags & TCP_FIN && packet->seq + packet->seq_len == flow_next(flow, end))
		*ret_how = lane_fin(flow, end, noted);
	return true;
}

/* Counts frames that came from end, len bytes in all. Returns what is to be added to the sum of the
 * flow's server by that: mostly 0. */
static inline uint64_t lane_count(struct flow_cold *cold, enum end end, uint32_t packets,
                                  uint32_t len)
{
	const uint64_t before = BOTH_FETCH_ADD(cold->bytes[end], len);

	BOTH_ADD(cold->packets[end], packets);
	return ((before + len) / FLOW_SUM_BYTES - before / FLOW_SUM_BYTES) * FLOW_SUM_BYTES;
}

#endif
