/*
 * What our own frames must say.
 */
#include "parts.h"

static void check_to(const struct model *m, const struct seen *s, const struct verdict *v)
{
	(void)m;
	if (v->way.side != s->from.side || !same_hop(&v->own.to, &s->from) ||
	    v->own.server != SERVER_NONE)
		report_mismatch("an answer doesn't go back to where its question came from");
}

static void check_addrs(const struct own *own, const struct addr *src, const struct addr *dst)
{
	struct addr from = src->v6 ? addr_of6(&own->src6) : addr_of4(own->tuple.src),
	            to = src->v6 ? addr_of6(&own->dst6) : addr_of4(own->tuple.dst);

	if (own->ipv6 != src->v6 || !addr_eq(&from, src) || !addr_eq(&to, dst))
		report_mismatch("an answer is from or to other addresses than it should");
}

/* RFC 9293, 3.5.2: the answer that the sender believes. */
static void check_rst(const struct seen *s, const struct own *own)
{
	const bool has_ack = s->flags & ACK;

	if (own->kind != OWN_TCP || be16_get(own->tuple.sport) != s->dport ||
	    be16_get(own->tuple.dport) != s->sport)
		report_mismatch("a RST is of other ports than its question");
	if (own->tcp_flags != (has_ack ? RST : RST | ACK) || own->seq != (has_ack ? s->ack : 0) ||
	    (!has_ack && own->ack != s->seq + s->len))
		report_mismatch("RST flags %02x seq %u ack %u isn't what the sender believes",
		                own->tcp_flags, own->seq, own->ack);
}

void answers_model_check(const struct model *m, const struct seen *s, const struct verdict *v)
{
	check_to(m, s, v);
	check_addrs(&v->own, s->kind == SEEN_ND ? &s->target : &s->dst, &s->src);
	if (s->kind == SEEN_TCP)
		check_rst(s, &v->own);
	if (v->why == WHY_ECHO_REPLY &&
	    (v->own.kind != OWN_ECHO_REPLY || v->own.l4 != s->l4 || v->own.l4_len != s->l4_len))
		report_mismatch("the echo reply isn't of the request");
	if ((v->why == WHY_ARP_REPLY && v->own.kind != OWN_ARP_REPLY) ||
	    (v->why == WHY_ND_REPLY && v->own.kind != OWN_ND_REPLY))
		report_mismatch("an answer of kind %u", v->own.kind);
}
