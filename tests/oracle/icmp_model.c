/*
 * ICMP errors about flows.
 *
 * Who sends one quotes what we had made of a packet: so it is of the flow whose packets come from
 * where that went. It is for the end that had sent it, if that may have: what it quotes is neither
 * beyond what was said nor long acknowledged. That end must see its own packet quoted, and the
 * error come from where it thinks that its peer is, if it is the peer's. It is sent to the address
 * that what it quotes came from: one to another address is about nothing that anybody there has
 * seen.
 */
#include "parts.h"

enum { LATELY = 1 << 20 };

/* The flow, and the end that should have got what is quoted; or NULL. */
static struct flow_model *about_flow(struct model *m, const struct quoted *q, enum end *ret_to)
{
	const struct seen arriving = {
	        .src = q->dst, .dst = q->src, .sport = q->dport, .dport = q->sport};

	return flows_model_find(m, &arriving, ret_to);
}

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* If the end may have sent what begins with the number. */
static enum maybe may_have_sent(const struct flow_model *f, enum end end, uint32_t seq)
{
	const struct voice *me = &f->voice[end], *other = &f->voice[!end];

	if (f->doubtful)
		return MAYBE;
	return me->spoke && !after(seq, me->next) && !after(other->acked, seq + LATELY) ? YES : NO;
}

static void check_bytes(const struct model *m, const struct flow_model *f, enum end to,
                        const struct frame *before, const struct frame *after_it,
                        const struct seen *s, const struct quoted *q)
{
	const struct leaving leaving = flows_model_leaving(m, f, to);
	const struct quoted own = {.src = leaving.dst,
	                           .dst = leaving.src,
	                           .sport = leaving.dport,
	                           .dport = leaving.sport};
	uint8_t want[MODEL_FRAME_BYTES];

	if (before->len != after_it->len || before->len > sizeof(want))
		report_mismatch("the error's length has changed");
	memcpy(want, before->data, before->len);
	seen_rewrite_error(want, s, q, addr_eq(&s->src, &q->dst) ? &leaving.src : &s->src,
	                   &leaving.dst, &own);
	if (!seen_same_error(want, after_it->data, before->len, s, q))
		report_mismatch("flow %u: an error from end %d isn't translated as it should be",
		                f->name, (int)to);
}

bool icmp_model_is_unmasked(struct model *m, const struct frame *frame, const struct seen *s)
{
	struct quoted q;
	enum end to;
	const struct flow_model *f;

	if (s->kind != SEEN_ICMP || mac_is_group(&s->from.mac) ||
	    !seen_read_quoted(frame->data, s, &q))
		return false;
	f = about_flow(m, &q, &to);
	return f && to == SERVER && model_has_unmasked(m, f->server, &s->from);
}

bool icmp_model_judge(struct model *m, const struct frame *before, const struct frame *after_it,
                      const struct seen *s, const struct verdict *v)
{
	struct flow_model *f;
	enum end to = CLIENT;
	struct quoted q;
	enum maybe is;

	if (!seen_read_quoted(before->data, s, &q))
		return false;
	f = about_flow(m, &q, &to);
	is = f && addr_eq(&s->dst, &q.src) ? may_have_sent(f, to == CLIENT ? SERVER : CLIENT, q.seq)
	                                   : NO;
	if (is == YES && f->life == LIFE_RESTING && f->there != YES)
		is = MAYBE;
	if (is == NO && v->why == WHY_ICMP_ERROR)
		report_mismatch("an error is passed on about what no flow has sent");
	if (is == YES && v->why != WHY_ICMP_ERROR)
		report_mismatch("flow %u: an error about what it has sent: %s", f->name,
		                lb_why_name((enum lb_why)v->why));
	if (v->why != WHY_ICMP_ERROR)
		return false;
	check_bytes(m, f, to, before, after_it, s, &q);
	if (v->flow != f->name ||
	    (to == CLIENT ? v->way.server != f->server : v->way.server != SERVER_NONE))
		report_mismatch("an error about flow %u goes elsewhere", f->name);
	if (!segment_model_answers(m, f, &v->way.hop))
		report_mismatch("flow %u: an error doesn't go to where its client is", f->name);
	return true;
}
