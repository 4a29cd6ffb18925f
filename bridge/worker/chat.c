/*
 * A probe's TCP connection.
 *
 *     SYN ->         <- SYN       what the script sends ->       <- the answer       FIN ->  <- FIN
 *
 * All that a script sends is one segment, and is sent again until it is acknowledged, as the SYN
 * and the FIN are. Of what the server says only what comes next in order is taken; the rest is
 * asked for again by an acknowledgment (RFC 9293, 3.10.7.4). Most answers are judged as they stand
 * in the frame; one that comes in pieces gets a room, and if there is none the segment isn't taken,
 * so that the server sends it again.
 *
 * When the verdict is good the connection is closed in an orderly way, FIN for FIN, so that nothing
 * is left on the server; what it still says is acknowledged and thrown away. When it is bad, or the
 * server goes on for too long or doesn't close its end in time, it gets a RST.
 *
 * A RST is believed only with the number that is due next (RFC 5961, 3.2), and nothing that
 * acknowledges what wasn't sent. A segment of the server's is answered with one segment at most.
 */
#include "chat.h"

#include "answer.h"
#include "../../lb/wire.h"

#include <stdlib.h>

enum {
	CHAT_TRIES = 3, /* of what isn't answered */
	CHAT_ANEW = 3,
	CHAT_TAIL_MAX = 16 << 10, /* bytes behind the answer that are thrown away patiently */
};

/* RFC 6298, 2.1: at first; less where less time is left, so that what is lost is no failure. */
#define CHAT_RESEND_NS LB_NS_PER_S

/* ---- rooms ---- */

struct chat_rooms {
	unsigned n, nfree;
	uint64_t missed;
	uint32_t *free;
	uint8_t (*bytes)[SCRIPT_ANSWER_MAX];
};

struct chat_rooms *chat_rooms_new(unsigned n)
{
	struct chat_rooms *rooms = calloc(1, sizeof(*rooms));

	if (!rooms)
		return NULL;
	rooms->n = rooms->nfree = n;
	rooms->free = calloc(n + 1u, sizeof(*rooms->free));
	rooms->bytes = calloc(n + 1u, sizeof(*rooms->bytes));
	if (!rooms->free || !rooms->bytes) {
		chat_rooms_free(rooms);
		return NULL;
	}
	for (unsigned i = 0; i < n; i++)
		rooms->free[i] = i + 1;
	return rooms;
}

void chat_rooms_free(struct chat_rooms *rooms)
{
	if (!rooms)
		return;
	free(rooms->free);
	free(rooms->bytes);
	free(rooms);
}

uint64_t chat_rooms_missed(const struct chat_rooms *rooms)
{
	return rooms->missed;
}

static void leave_room(struct chat *chat, const struct chat_terms *terms)
{
	if (chat->room)
		terms->rooms->free[terms->rooms->nfree++] = chat->room;
	chat->room = 0;
}

/* The answer so far. */
static uint8_t *room_of(const struct chat *chat, const struct chat_terms *terms)
{
	return chat->room ? terms->rooms->bytes[chat->room] : NULL;
}

/* Keeps n more bytes of the answer, which fit. False if there is no room. */
static bool keep(struct chat *chat, const struct chat_terms *terms, const uint8_t *bytes,
                 unsigned n)
{
	struct chat_rooms *rooms = terms->rooms;

	if (!chat->room && !rooms->nfree) {
		rooms->missed++;
		return false;
	}
	if (!chat->room)
		chat->room = rooms->free[--rooms->nfree];
	if (n)
		memcpy(room_of(chat, terms) + chat->nheard, bytes, n);
	chat->nheard = (uint16_t)(chat->nheard + n);
	return true;
}

/* ---- what is said ---- */

static void say(struct chat_says *says, uint8_t flags, uint32_t seq, uint32_t ack)
{
	says->segments[says->n++] = (struct chat_segment){.flags = flags, .seq = seq, .ack = ack};
}

static uint32_t said(const struct chat_terms *terms)
{
	return terms->script ? terms->script->nsend : 0;
}

/* The number behind all that the script sends: that of our FIN. */
static uint32_t end_of(const struct chat *chat, const struct chat_terms *terms)
{
	return chat->isn + 1 + said(terms);
}

/* Sends what the server hasn't acknowledged, again if need be: data, FIN, both, or neither. */
static void say_all(struct chat *chat, const struct chat_terms *terms, lb_time now,
                    struct chat_says *says)
{
	struct chat_segment *segment = &says->segments[says->n++];

	*segment = (struct chat_segment){
	        .flags = TCP_ACK, .seq = end_of(chat, terms), .ack = chat->rcv_next};
	if (chat->acked < said(terms)) {
		segment->flags |= TCP_PSH;
		segment->seq = chat->isn + 1;
		segment->data = terms->script->send;
		segment->len = said(terms);
	}
	if (chat->state == CHAT_CLOSES)
		segment->flags |= TCP_FIN;
	chat->sent = now;
	chat->tries++;
}

/* An acknowledgment alone. */
static void say_ack(const struct chat *chat, const struct chat_terms *terms, struct chat_says *says)
{
	say(says, TCP_ACK, end_of(chat, terms) + (chat->state == CHAT_CLOSES), chat->rcv_next);
}

static void say_rst(const struct chat *chat, const struct chat_terms *terms, struct chat_says *says)
{
	if (chat->state == CHAT_CONNECTS)
		say(says, TCP_RST, chat->isn + 1, 0);
	else
		say(says, TCP_RST | TCP_ACK, end_of(chat, terms) + (chat->state == CHAT_CLOSES),
		    chat->rcv_next);
}

void chat_stray(const struct chat_segment *segment, struct chat_says *says)
{
	if (segment->flags & TCP_ACK && !(segment->flags & TCP_RST))
		say(says, TCP_RST, segment->ack, 0);
}

/* ---- what comes of it ---- */

static struct chat_result goes_on(void)
{
	return (struct chat_result){.end = CHAT_GOES_ON};
}

void chat_drop(struct chat *chat, const struct chat_terms *terms)
{
	leave_room(chat, terms);
	chat->state = CHAT_OVER;
}

/* Ends the conversation, as bad. */
static struct chat_result bad(struct chat *chat, const struct chat_terms *terms,
                              enum fault_kind fault)
{
	chat_drop(chat, terms);
	return (struct chat_result){.end = CHAT_BAD, .fault = fault};
}

/* The same after n bytes have been heard, or, if that are none, for another reason. */
static struct chat_result bad_answer(struct chat *chat, const struct chat_terms *terms,
                                     const uint8_t *heard, unsigned n, enum fault_kind nothing)
{
	struct chat_result ret = bad(chat, terms, n ? FAULT_UNEXPECTED : nothing);

	ret.heard = heard;
	ret.nheard = n;
	return ret;
}

/* Notes that the answer is good, and begins to close. */
static struct chat_result good(struct chat *chat, const struct chat_terms *terms, lb_time now,
                               struct chat_says *says)
{
	leave_room(chat, terms);
	chat->state = CHAT_CLOSES;
	chat->nheard = 0;
	chat->tries = 0;
	say_all(chat, terms, now, says);
	return (struct chat_result){.end = CHAT_GOOD};
}

/* ---- time ---- */

void chat_begin(struct chat *chat, uint32_t isn, lb_time now)
{
	*chat = (struct chat){.state = CHAT_CONNECTS, .isn = isn, .began = now, .sent = now};
}

void chat_connect(struct chat *chat, lb_time now, struct chat_says *says)
{
	chat->tries++;
	chat->sent = now;
	say(says, TCP_SYN, chat->isn, 0);
}

lb_time chat_late(const struct chat *chat, const struct chat_terms *terms)
{
	return (lb_time){chat->began.ns + terms->timeout_ns};
}

/* When to say again what isn't acknowledged; UINT64_MAX: not any more. */
static uint64_t again_at(const struct chat *chat, const struct chat_terms *terms)
{
	const uint64_t most = terms->timeout_ns / (chat->state == CHAT_CONNECTS ? 2 : 4);
	const uint64_t first = most < CHAT_RESEND_NS ? most : CHAT_RESEND_NS;
	const bool waits = chat->state != CHAT_TALKS || chat->acked < said(terms);

	if (!waits || !chat->tries || chat->tries == CHAT_TRIES)
		return UINT64_MAX;
	return chat->sent.ns + (first << (chat->tries - 1));
}

lb_time chat_due(const struct chat *chat, const struct chat_terms *terms)
{
	const uint64_t late = chat_late(chat, terms).ns, again = again_at(chat, terms);

	return (lb_time){again < late ? again : late};
}

static struct chat_result too_late(struct chat *chat, const struct chat_terms *terms,
                                   struct chat_says *says)
{
	const enum chat_state state = (enum chat_state)chat->state;

	if (state != CHAT_CONNECTS || chat->tries)
		say_rst(chat, terms, says);
	if (state == CHAT_TALKS)
		return bad_answer(chat, terms, room_of(chat, terms), chat->nheard, FAULT_SILENT);
	if (state == CHAT_CONNECTS)
		return bad(chat, terms, FAULT_NO_ANSWER);
	chat_drop(chat, terms);
	return goes_on();
}

struct chat_result chat_poll(struct chat *chat, const struct chat_terms *terms, lb_time now,
                             struct chat_says *says)
{
	if (chat->state == CHAT_OVER)
		return goes_on();
	if (now.ns >= chat_late(chat, terms).ns)
		return too_late(chat, terms, says);
	if (now.ns < again_at(chat, terms))
		return goes_on();
	if (chat->state == CHAT_CONNECTS)
		chat_connect(chat, now, says);
	else
		say_all(chat, terms, now, says);
	return goes_on();
}

/* ---- what the server says ---- */

/*
 * An earlier connection is left over at the server: ends that by a RST, and tries again (RFC 9293,
 * 3.10.7.3); only a few times, if the server answers each SYN so.
 */
static void meet_left_over(struct chat *chat, const struct chat_segment *segment, lb_time now,
                           struct chat_says *says)
{
	chat_stray(segment, says);
	if (chat->anew == CHAT_ANEW)
		return;
	chat->anew++;
	chat->tries = 0;
	chat_connect(chat, now, says);
}

static struct chat_result take_connecting(struct chat *chat, const struct chat_terms *terms,
                                          const struct chat_segment *segment, lb_time now,
                                          struct chat_says *says)
{
	const bool acks = segment->flags & TCP_ACK && segment->ack == chat->isn + 1;

	if (!chat->tries)
		return goes_on(); /* to nothing that was said */
	if (acks && segment->flags & TCP_RST)
		return bad(chat, terms, FAULT_REFUSED);
	if (acks && segment->flags & TCP_SYN) {
		chat->state = CHAT_TALKS;
		chat->rcv_next = segment->seq + 1;
		chat->tries = 0;
		if (!terms->script)
			return good(chat, terms, now, says);
		say_all(chat, terms, now, says);
		return goes_on();
	}
	if (segment->flags & TCP_ACK && !(segment->flags & TCP_RST))
		meet_left_over(chat, segment, now, says);
	return goes_on();
}

/* Cuts off what has come before. False if the segment isn't what comes next: nothing of it is new,
 * or something before it is missing. */
static bool is_next(const struct chat *chat, struct chat_segment *segment)
{
	const uint32_t old = chat->rcv_next - segment->seq;
	const bool fin = segment->flags & TCP_FIN;

	if (chat->closed || segment->flags & TCP_SYN || old > segment->len ||
	    (old == segment->len && !fin))
		return false;
	if (old)
		segment->data += old;
	segment->len -= old;
	return true;
}

/* The next part of the answer. */
static struct chat_result take_answer(struct chat *chat, const struct chat_terms *terms,
                                      const struct chat_segment *segment, lb_time now,
                                      struct chat_says *says)
{
	const unsigned before = chat->nheard, room = SCRIPT_ANSWER_MAX - before;
	const unsigned n = segment->len < room ? segment->len : room;
	const bool fin = segment->flags & TCP_FIN, whole = fin || n == room;
	const bool kept = before && keep(chat, terms, segment->data, n);
	const uint8_t *heard = kept ? room_of(chat, terms) : segment->data;
	const enum answer answer = answer_judge(terms->script, heard, before + n, before, whole);
	struct chat_result ret;

	/* without room it is taken when the server says it again */
	if (answer == ANSWER_UNCLEAR && !kept && !keep(chat, terms, segment->data, n))
		return goes_on();
	chat->rcv_next += segment->len + fin;
	chat->closed = fin;
	if (answer == ANSWER_UNCLEAR) {
		say_ack(chat, terms, says);
		return goes_on();
	}
	if (answer == ANSWER_WRONG) {
		say_rst(chat, terms, says);
		return bad_answer(chat, terms, heard, before + n, FAULT_CLOSED);
	}
	ret = good(chat, terms, now, says);
	ret.heard = heard;
	ret.nheard = before + n;
	return ret;
}

/* What comes behind the answer. */
static void take_tail(struct chat *chat, const struct chat_terms *terms,
                      const struct chat_segment *segment, struct chat_says *says)
{
	const bool fin = segment->flags & TCP_FIN;
	const uint32_t tail = chat->nheard + segment->len;

	chat->rcv_next += segment->len + fin;
	chat->closed |= fin;
	if (tail > CHAT_TAIL_MAX) {
		say_rst(chat, terms, says);
		chat_drop(chat, terms);
		return;
	}
	chat->nheard = (uint16_t)tail;
	say_ack(chat, terms, says);
}

/* Notes what the segment acknowledges. False if that is what wasn't said. */
static bool note_ack(struct chat *chat, const struct chat_terms *terms, uint32_t ack)
{
	const uint32_t fin = chat->state == CHAT_CLOSES, all = said(terms) + fin;

	if (ack - chat->isn - 1 > all)
		return false;
	if (ack - chat->isn - 1 > chat->acked)
		chat->acked = (uint16_t)(ack - chat->isn - 1);
	return true;
}

/* If both FINs have been acknowledged. */
static bool is_closed(const struct chat *chat, const struct chat_terms *terms)
{
	return chat->state == CHAT_CLOSES && chat->acked > said(terms) && chat->closed;
}

/* A segment of the connection, which has no RST. */
static struct chat_result take_segment(struct chat *chat, const struct chat_terms *terms,
                                       const struct chat_segment *segment, lb_time now,
                                       struct chat_says *says)
{
	struct chat_result ret = goes_on();
	struct chat_segment next = *segment;

	if (is_next(chat, &next) && chat->state == CHAT_TALKS)
		ret = take_answer(chat, terms, &next, now, says);
	else if (is_next(chat, &next))
		take_tail(chat, terms, &next, says);
	else if (segment->flags & TCP_SYN && chat->tries < CHAT_TRIES)
		say_all(chat, terms, now, says); /* the acknowledgment of its SYN was lost */
	else if (segment->len || segment->flags & (TCP_FIN | TCP_SYN))
		say_ack(chat, terms, says);
	if (is_closed(chat, terms))
		chat_drop(chat, terms);
	return ret;
}

static struct chat_result take_rst(struct chat *chat, const struct chat_terms *terms,
                                   const struct chat_segment *segment)
{
	if (segment->seq != chat->rcv_next)
		return goes_on();
	if (chat->state == CHAT_TALKS)
		return bad_answer(chat, terms, room_of(chat, terms), chat->nheard, FAULT_CLOSED);
	chat_drop(chat, terms);
	return goes_on();
}

struct chat_result chat_take(struct chat *chat, const struct chat_terms *terms,
                             const struct chat_segment *segment, lb_time now,
                             struct chat_says *says)
{
	if (chat->state == CHAT_OVER) {
		chat_stray(segment, says);
		return goes_on();
	}
	if (chat->state == CHAT_CONNECTS)
		return take_connecting(chat, terms, segment, now, says);
	if (segment->flags & TCP_RST)
		return take_rst(chat, terms, segment);
	if (!(segment->flags & TCP_ACK) || !note_ack(chat, terms, segment->ack))
		return goes_on();
	return take_segment(chat, terms, segment, now, says);
}

struct chat_result chat_unreachable(struct chat *chat, const struct chat_terms *terms, uint32_t seq)
{
	if (chat->state != CHAT_CONNECTS || !chat->tries || seq != chat->isn)
		return goes_on();
	return bad(chat, terms, FAULT_UNREACHABLE);
}
