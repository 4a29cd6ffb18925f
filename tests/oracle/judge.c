#include "judge.h"

void judge_why(const struct verdict *v, uint64_t allowed)
{
	if (!(BIT(v->why) & allowed))
		report_mismatch("the reason is %s, allowed are %llx",
		                lb_why_name((enum lb_why)v->why), (unsigned long long)allowed);
}

bool judge_is_ours(const struct model *m, const struct addr *a, const struct hop *from)
{
	return model_farm_of(m, a, from, false) >= 0;
}

/* RFC 1122, 3.2.1.3; RFC 4291, 2.5 and 2.7; and nobody else has our addresses. */
static bool is_no_sender(const struct model *m, const struct addr *a, const struct hop *from)
{
	static const uint8_t loopback[16] = {[15] = 1}, zeros[16];

	if (a->v6)
		return a->b[0] == 0xff || memcmp(a->b, zeros, 16) == 0 ||
		       memcmp(a->b, loopback, 16) == 0 || judge_is_ours(m, a, from);
	return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224 || judge_is_ours(m, a, from);
}

bool judge_is_martian(const struct model *m, const struct seen *s)
{
	return is_no_sender(m, &s->src, &s->from) || mac_is_group(&s->to) ||
	       !is_somebodys(&s->from.mac);
}

/* What outranks all answers, or 0. A partial checksum is nobody's to judge. */
uint64_t judge_odd(const struct model *m, const struct seen *s, bool checked)
{
	return (judge_is_martian(m, s) ? BIT(WHY_MARTIAN) : 0) |
	       (checked && s->l4_damage && !s->partial ? BIT(WHY_BAD_CHECKSUM) : 0);
}

/* Answered with a RST for this reason, or not at all for the rate's sake. */
void judge_rst(struct model *m, const struct seen *s, const struct verdict *v, enum lb_why why)
{
	judge_why(v, BIT(why) | BIT(WHY_RST_LIMITED));
	rates_model_note(m, why, &s->src, v->why != WHY_RST_LIMITED);
	if (v->why != WHY_RST_LIMITED)
		answers_model_check(m, s, v);
}

void judge_bytes(const struct model *m, const struct flow_model *f, enum end end,
                 const struct frame *before, const struct frame *after, const struct seen *s)
{
	struct leaving leaving = flows_model_leaving(m, f, end);
	uint8_t want[MODEL_FRAME_BYTES];

	if (before->len != after->len || before->len > sizeof(want))
		report_mismatch("the frame's length has changed");
	memcpy(want, before->data, before->len);
	seen_rewrite(want, s, &leaving.src, leaving.sport, &leaving.dst, leaving.dport);
	if (!seen_same(want, after->data, before->len, s))
		report_mismatch("the frame isn't rewritten as it should be: of flow %u, from end "
		                "%d",
		                f->name, (int)end);
}
