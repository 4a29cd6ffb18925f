/*
 * How far a connection has got, from what its ends have said.
 *
 * Sequence numbers are believed as a receiver would (RFC 9293, 3.10.7): a segment that begins
 * beyond what the other end allows says nothing, nor does one whose acknowledgment is of what was
 * never sent, or long before what has been acknowledged (RFC 5961, 5.2). What comes from elsewhere
 * than the client's packets before says nothing either unless it is about what is on its way. A RST
 * is believed with any number that its receiver may expect: it has acknowledged up to there, and no
 * more has been sent.
 *
 * A SYN with other numbers says nothing by itself. If the server answers it the connection begins
 * anew. What comes in a server's name from where that isn't opens nothing, and answers no SYN.
 */
#include "parts.h"

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static void note_window(struct voice *me, const struct voice *other, const struct seen *s)
{
	bool scaled = me->wscale >= 0 && other->wscale >= 0 && !(s->flags & SYN);
	uint32_t limit = s->ack + ((uint32_t)s->window << (scaled ? me->wscale : 0));

	if (!me->answered || after(limit, me->limit))
		me->limit = limit;
}

enum {
	NARROW = 8192,    /* bytes: the least window that a host has offered at some time */
	LATELY = 1 << 20, /* what is older by so much is taken by nobody */
};

/*
 * RFC 5961, 5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT. What fits into the window was perhaps
 * sent in a fragment that nobody could read.
 */
static enum maybe is_taken(const struct voice *me, const struct voice *other, const struct seen *s)
{
	if (!(s->flags & ACK) || after(s->ack, me->limit + 1) ||
	    after(me->acked - LATELY, s->ack) || after(other->acked - LATELY, s->seq))
		return NO;
	return after(s->ack, other->next) || after(me->acked - NARROW, s->ack) ? MAYBE : YES;
}

static void note_ack(struct voice *me, const struct voice *other, const struct seen *s)
{
	if (!(s->flags & ACK) || !other->spoke || after(s->ack, other->next))
		return;
	note_window(me, other, s);
	if (!me->answered || after(s->ack, me->acked))
		me->acked = s->ack;
	me->answered = true;
}

static bool between(uint32_t first, uint32_t at, uint32_t last)
{
	return !after(first, at) && !after(at, last);
}

/* If a segment from another place is about what is on its way. Windows aren't known to the byte. */
static enum maybe is_underway(const struct voice *me, const struct voice *other,
                              const struct seen *s)
{
	if (!between(me->acked, s->ack, other->next) || after(s->seq, other->limit + 1))
		return NO;
	if (!between(other->acked - NARROW, s->seq, other->limit))
		return MAYBE;
	return YES;
}

/* If the client's packet comes from somewhere else than where it is answered. */
static enum maybe is_elsewhere(const struct flow_model *f, enum end end, const struct seen *s)
{
	enum maybe there = end == CLIENT ? segment_model_is_at(f, &s->from) : YES;

	return there == MAYBE ? MAYBE : there == YES ? NO : YES;
}

static bool is_answer(const struct seen *s, uint32_t next)
{
	return (s->flags & (SYN | ACK | FIN)) == (SYN | ACK) && s->ack == next;
}

/* Of the SYN that waits: if it still does. */
static enum maybe waits(const struct flow_model *f, uint64_t now)
{
	const uint64_t patience = NS_OF_S(5);

	if (!f->again.waits || now > f->again.at + patience + 2 * MODEL_EARLY_NS)
		return NO;
	return now + 2 * MODEL_EARLY_NS < f->again.at + patience ? YES : MAYBE;
}

static struct fate note_rst(const struct flow_model *f, enum end end, const struct seen *s,
                            uint64_t now)
{
	const struct voice *me = &f->voice[end], *other = &f->voice[!end];
	struct fate fate = {NO, ENDED_RST};

	if (f->doubtful)
		fate.ends = MAYBE;
	else if (end == SERVER && s->flags & ACK && f->again.waits && s->ack == f->again.next)
		fate.ends = waits(f, now);
	else if (me->spoke && f->life == LIFE_HALF_OPEN)
		fate.ends = s->seq == me->next ? YES : NO;
	else if (me->spoke)
		fate.ends = between(other->acked, s->seq, me->next) ? YES : NO;
	else if (s->flags & ACK && s->ack == other->next)
		fate.ends = YES;
	return fate;
}

static void begin_voice(struct voice *me, uint32_t first, uint32_t next, int wscale)
{
	me->spoke = true;
	me->first = first;
	me->next = next;
	me->wscale = wscale;
	me->fin = me->answered = false;
}

static void note_first_syn(struct flow_model *f, enum end end, const struct seen *s)
{
	struct voice *me = &f->voice[end], *other = &f->voice[!end];

	begin_voice(me, s->seq, s->seq + s->len, s->wscale);
	other->acked = s->seq;
	note_ack(me, other, s);
}

/* The server has answered the SYN after which the client goes on with next. */
static void begin_anew(struct flow_model *f, const struct seen *s, uint32_t next, int wscale)
{
	begin_voice(&f->voice[CLIENT], next - 1, next, wscale);
	note_first_syn(f, SERVER, s);
	f->server_waits = false;
	f->again.waits = false;
	f->anew = true;
	if (f->life == LIFE_HALF_OPEN)
		return;
	f->life = LIFE_OPEN;
	f->voice[CLIENT].answered = true;
	life_model_widen(f);
}

static enum maybe note_client_syn(struct flow_model *f, const struct seen *s, uint64_t now)
{
	struct voice *me = &f->voice[CLIENT];

	if (!me->spoke) {
		note_first_syn(f, CLIENT, s);
		return YES;
	}
	if (f->life == LIFE_HALF_OPEN && me->next == s->seq + s->len)
		return YES;
	if ((s->flags & (ACK | FIN)) == 0)
		f->again = (struct syn_model){true, now, s->seq + s->len, s->wscale, s->from};
	return NO;
}

static enum maybe note_server_syn(struct flow_model *f, const struct seen *s, uint64_t now)
{
	struct voice *me = &f->voice[SERVER], *client = &f->voice[CLIENT];

	if (f->life == LIFE_HALF_OPEN && is_answer(s, client->next)) {
		if (me->spoke && me->first == s->seq)
			return NO; /* nothing new */
		if (me->spoke)
			begin_anew(f, s, client->next, client->wscale);
		else
			note_first_syn(f, SERVER, s);
		return YES;
	}
	if (waits(f, now) == NO || !is_answer(s, f->again.next))
		return NO;
	if (waits(f, now) == MAYBE)
		f->doubtful = true;
	f->begun_anew = f->doubtful ? MAYBE : YES;
	begin_anew(f, s, f->again.next, f->again.wscale);
	return YES;
}

static void note_fin(struct flow_model *f, enum end end, const struct seen *s)
{
	struct voice *me = &f->voice[end];
	const struct voice *client = &f->voice[CLIENT];

	if (!(s->flags & FIN) || me->fin)
		return;
	if (me->next != s->seq + s->len) {
		f->doubtful = true;
		return;
	}
	me->fin = true;
	me->fin_end = me->next;
	if (end == SERVER)
		f->server_waits = !client->fin || after(client->fin_end, s->ack);
}

/* False if a receiver would throw the segment away unread. */
static bool note_data(struct flow_model *f, enum end end, const struct seen *s)
{
	struct voice *me = &f->voice[end];
	const struct voice *other = &f->voice[!end];
	const uint32_t seg_end = s->seq + s->len;

	if (other->answered && after(s->seq, other->limit))
		return false;
	if (!after(seg_end, me->next))
		return true;
	if (s->seq != me->next || (other->answered && after(seg_end, other->limit)))
		f->doubtful = true;
	me->next = seg_end;
	return true;
}

/* Before the connection is open: what is said then begins where the other end expects it. */
static bool is_in_handshake(const struct flow_model *f, enum end end, const struct seen *s)
{
	const struct voice *client = &f->voice[CLIENT], *server = &f->voice[SERVER];

	if (!(s->flags & ACK) || !server->spoke)
		return false;
	if (end == CLIENT)
		return between(server->first + 1, s->ack, server->next) &&
		       between(client->first, s->seq, client->next + UINT16_MAX);
	return s->seq == server->next && between(server->acked, s->ack, client->next);
}

/* If the flow's numbers bear the segment out. */
static enum maybe is_borne_out(const struct flow_model *f, enum end end, const struct seen *s)
{
	const struct voice *me = &f->voice[end], *other = &f->voice[!end];
	enum maybe taken, underway;

	if (f->life == LIFE_HALF_OPEN && !f->doubtful)
		return is_in_handshake(f, end, s) ? YES : NO;
	taken = is_taken(me, other, s);
	underway = is_elsewhere(f, end, s) == NO ? YES : is_underway(me, other, s);
	if (underway == NO && is_elsewhere(f, end, s) == MAYBE)
		underway = MAYBE;
	return taken < underway ? taken : underway;
}

static bool all_is_said(const struct flow_model *f)
{
	const struct voice *client = &f->voice[CLIENT], *server = &f->voice[SERVER];

	return client->fin && server->fin && client->acked == server->fin_end &&
	       server->acked == client->fin_end;
}

static struct fate note_segment(struct flow_model *f, enum end end, const struct seen *s,
                                uint64_t now)
{
	struct voice *client = &f->voice[CLIENT], *server = &f->voice[SERVER];
	struct voice before = f->voice[end];
	struct fate none = {f->doubtful ? MAYBE : NO, ENDED_FIN};

	f->accepted = is_borne_out(f, end, s);
	if (f->accepted == NO || !note_data(f, end, s))
		return none;
	f->doubtful |= f->accepted == MAYBE;
	note_ack(&f->voice[end], &f->voice[!end], s);
	note_fin(f, end, s);
	if (f->life == LIFE_HALF_OPEN && end == CLIENT)
		f->life = LIFE_OPEN;
	f->surely_open |= f->life == LIFE_OPEN && !f->doubtful;
	if (client->fin && server->fin && f->life == LIFE_OPEN) {
		f->life = LIFE_CLOSING;
		f->both_fins = now;
	}
	if (life_model_is_damaged(s) && memcmp(&before, &f->voice[end], sizeof(before)) != 0)
		f->doubtful = true;
	if (f->doubtful)
		return (struct fate){MAYBE, ENDED_FIN};
	return all_is_said(f) ? (struct fate){YES, ENDED_FIN} : none;
}

/* What a receiver would throw away, as far as can be seen: a partial checksum can't. */
bool life_model_is_damaged(const struct seen *s)
{
	return s->ip_damage || (s->l4_damage && !s->partial);
}

/* A damaged segment goes unnoticed if it says what was to be expected anyway. */
static bool is_noticed(const struct flow_model *f, enum end end, const struct seen *s)
{
	return s->flags & (SYN | FIN | RST) || (f->life != LIFE_OPEN && !f->doubtful) ||
	       is_elsewhere(f, end, s) == YES;
}

void life_model_count(struct flow_model *f, enum end end, const struct seen *s)
{
	f->voice[end].packets++;
	f->voice[end].bytes += s->frame_len;
}

static struct fate take(struct flow_model *f, enum end end, const struct seen *s, uint64_t now)
{
	f->accepted = f->begun_anew = NO;
	f->doubtful |= life_model_is_damaged(s) && is_elsewhere(f, end, s) == MAYBE;
	if (life_model_is_damaged(s) && is_noticed(f, end, s))
		return (struct fate){NO, ENDED_FIN};
	if (s->flags & RST)
		return note_rst(f, end, s, now);
	if (s->flags & SYN) {
		f->accepted =
		        end == CLIENT ? note_client_syn(f, s, now) : note_server_syn(f, s, now);
		return (struct fate){f->doubtful ? MAYBE : NO, ENDED_FIN};
	}
	return note_segment(f, end, s, now);
}

/* What doesn't come from where the server is says nothing of a handshake, and answers no SYN. */
static struct fate take_from_elsewhere(struct flow_model *f, const struct seen *s, uint64_t now)
{
	const struct syn_model again = f->again;
	struct fate fate = {NO, ENDED_FIN};

	f->accepted = f->begun_anew = NO;
	if (flows_model_is_half_open(f) == YES)
		return fate;
	f->again.waits = false;
	fate = take(f, SERVER, s, now);
	f->again = again;
	return fate;
}

struct fate life_model_packet(struct flow_model *f, enum end end, const struct seen *s, bool astray,
                              uint64_t now)
{
	/* what the server says before the client has answered it keeps no flow */
	const enum maybe opening = end == SERVER ? flows_model_is_half_open(f) : NO;
	struct fate fate;

	life_model_count(f, end, s);
	f->anew = false;
	fate = astray ? take_from_elsewhere(f, s, now) : take(f, end, s, now);
	if (f->doubtful || (f->accepted == YES && life_model_is_damaged(s)))
		f->accepted = MAYBE;
	if (f->accepted != NO && (opening != YES || f->anew))
		f->last_any = now;
	if (f->accepted == YES && opening == NO)
		f->last_sure = now;
	return fate;
}

void life_model_widen(struct flow_model *f)
{
	const bool scaled = f->voice[CLIENT].wscale >= 0 && f->voice[SERVER].wscale >= 0;

	for (unsigned e = 0; e < 2; e++)
		f->voice[e].limit = f->voice[e].acked +
		                    ((uint32_t)UINT16_MAX << (scaled ? f->voice[e].wscale : 0));
}

/* If at is in what the end has sent, from what was acknowledged last up to what comes next. */
static bool is_in_flight(const struct flow_model *f, enum end end, uint32_t at)
{
	return !after(f->voice[!end].acked, at) && !after(at, f->voice[end].next);
}

/* If that is what the end says next or again, on an open connection. */
enum maybe life_model_goes_on(const struct flow_model *f, enum end end, const struct seen *s)
{
	if ((s->flags & (ACK | SYN | RST)) != ACK || life_model_is_damaged(s))
		return NO;
	if (f->doubtful)
		return MAYBE;
	return is_in_flight(f, end, s->seq) && is_in_flight(f, end_other(end), s->ack) ? YES : NO;
}

enum maybe life_model_revives(const struct flow_model *f, enum end end, const struct seen *s,
                              uint64_t now)
{
	const uint64_t crossing = BALANCE_CROSSING_MS * LB_NS_PER_MS;

	if (!f->unrecorded || (s->flags & (ACK | SYN | RST)) != ACK ||
	    (life_model_is_damaged(s) && s->flags & FIN) ||
	    (end != f->reset_by && now + MODEL_EARLY_NS < f->ended + crossing))
		return NO;
	if (f->doubtful)
		return MAYBE;
	if (!is_in_flight(f, end, s->seq) || !is_in_flight(f, end_other(end), s->ack))
		return NO;
	return f->there != YES || life_model_is_damaged(s) ||
	                       (end != f->reset_by &&
	                        now < f->ended + crossing + 2 * MODEL_EARLY_NS)
	               ? MAYBE
	               : YES;
}

/* How long the flow may be silent: the longest, or the shortest that can be meant. */
static uint64_t patience(const struct model *m, const struct flow_model *f, bool longest)
{
	const uint64_t idle = model_farm(m, f->farm)->idle_timeout_ms * LB_NS_PER_MS,
	               half = NS_OF_S(BALANCE_HALF_OPEN_S), closing = NS_OF_S(BALANCE_CLOSING_S);
	uint64_t most = idle > closing ? idle : closing, least = idle < half ? idle : half;

	if (f->doubtful)
		return longest ? most : least;
	return f->life == LIFE_HALF_OPEN ? half : (f->life == LIFE_OPEN ? idle : closing);
}

enum maybe life_model_expired(const struct model *m, const struct flow_model *f)
{
	const uint64_t due = f->last_any + patience(m, f, true);

	if (m->now >= (due > m->reloaded ? due : m->reloaded) + MODEL_LATE_NS)
		return YES;
	return m->now + MODEL_EARLY_NS >= f->last_sure + patience(m, f, false) ? MAYBE : NO;
}

enum maybe life_model_is_load(const struct flow_model *f)
{
	if (f->life == LIFE_RESTING)
		return NO;
	if (f->doubtful)
		return MAYBE;
	return f->voice[CLIENT].fin || f->voice[SERVER].fin ? NO : YES;
}
