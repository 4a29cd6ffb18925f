/*
 * How far a connection has got, from what its ends have said.
 *
 * Sequence numbers are believed as a receiver would (RFC 9293, 3.10.7): a segment that begins
 * beyond what the other end allows says nothing, nor does one whose acknowledgment is of what was
 * never sent, or long before what has been acknowledged (RFC 5961, 5.2). A RST is believed with
 * exactly the number that its receiver expects: it has acknowledged up to there, and no more has
 * been sent; if more has been sent, nobody but the receiver knows.
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

/* The receiver expects a number from what it has acknowledged to what has been sent. */
static enum maybe is_expected(const struct voice *me, const struct voice *other, uint32_t seq)
{
	uint32_t least = other->answered ? other->acked : me->next;

	if (after(least, seq) || after(seq, me->next))
		return NO;
	return least == me->next ? YES : MAYBE;
}

static struct fate note_rst(const struct flow_model *f, enum end end, const struct seen *s)
{
	const struct voice *me = &f->voice[end], *other = &f->voice[!end];
	struct fate fate = {NO, ENDED_RST};

	if (f->doubtful)
		fate.ends = MAYBE;
	else if (me->spoke)
		fate.ends = is_expected(me, other, s->seq);
	else if (s->flags & ACK && s->ack == other->next)
		fate.ends = YES;
	return fate;
}

static void note_first_syn(struct flow_model *f, enum end end, const struct seen *s)
{
	struct voice *me = &f->voice[end], *other = &f->voice[!end];

	if (end == SERVER && (!(s->flags & ACK) || s->ack != other->next))
		return;
	me->spoke = true;
	me->next = s->seq + s->len;
	me->wscale = s->wscale;
	note_ack(me, other, s);
}

static bool note_syn(struct flow_model *f, enum end end, const struct seen *s)
{
	struct voice *me = &f->voice[end];
	const struct voice *other = &f->voice[!end];
	bool first = !me->spoke;

	if (s->flags & ACK && other->spoke && s->ack != other->next)
		return false;
	if (first)
		note_first_syn(f, end, s);
	else if (f->life == LIFE_HALF_OPEN && me->next != s->seq + s->len)
		f->doubtful = true;
	return me->next == s->seq + s->len;
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

static struct fate note_segment(struct flow_model *f, enum end end, const struct seen *s)
{
	struct voice *client = &f->voice[CLIENT], *server = &f->voice[SERVER];
	struct voice before = f->voice[end];
	struct fate none = {f->doubtful ? MAYBE : NO, ENDED_FIN};

	if (f->life != LIFE_HALF_OPEN) {
		enum maybe taken = is_taken(&f->voice[end], &f->voice[!end], s);

		f->doubtful |= taken == MAYBE;
		if (taken == NO)
			return none;
	}
	if (!note_data(f, end, s))
		return none;
	f->last_sure = f->last_any;
	note_ack(&f->voice[end], &f->voice[!end], s);
	note_fin(f, end, s);
	if (f->life == LIFE_HALF_OPEN && end == CLIENT && server->spoke && client->answered)
		f->life = LIFE_OPEN;
	f->surely_open |= f->life == LIFE_OPEN && !f->doubtful;
	if (f->life == LIFE_HALF_OPEN && end == CLIENT)
		f->doubtful = true; /* it answers what wasn't seen */
	if (client->fin && server->fin && f->life != LIFE_CLOSING) {
		f->life = LIFE_CLOSING;
		f->both_fins = f->last_any;
	}
	if ((s->l4_damage || s->ip_damage) && memcmp(&before, &f->voice[end], sizeof(before)) != 0)
		f->doubtful = true;
	if (f->doubtful)
		return (struct fate){MAYBE, ENDED_FIN};
	if (client->fin && server->fin && client->acked == server->fin_end &&
	    server->acked == client->fin_end)
		return (struct fate){YES, ENDED_FIN};
	return none;
}

/* What a receiver would throw away, as far as can be seen: a partial checksum can't. */
bool life_model_is_damaged(const struct seen *s)
{
	return s->ip_damage || (s->l4_damage && !s->partial);
}

void life_model_count(struct flow_model *f, enum end end, const struct seen *s)
{
	f->voice[end].packets++;
	f->voice[end].bytes += s->frame_len;
}

struct fate life_model_packet(struct flow_model *f, enum end end, const struct seen *s,
                              uint64_t now)
{
	const struct fate none = {f->doubtful ? MAYBE : NO, ENDED_FIN};

	f->last_any = now;
	life_model_count(f, end, s);
	if (life_model_is_damaged(s) && s->flags & (SYN | FIN | RST))
		return none;
	if (s->flags & RST)
		return note_rst(f, end, s);
	if (s->flags & SYN) {
		if (note_syn(f, end, s))
			f->last_sure = now;
		return (struct fate){f->doubtful ? MAYBE : NO, ENDED_FIN};
	}
	if (!f->voice[end].spoke)
		return none;
	return note_segment(f, end, s);
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
	if (m->now >= f->last_any + patience(m, f, true) + MODEL_LATE_NS)
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
