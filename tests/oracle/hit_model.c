/*
 * A packet of a flow: where it goes, and what becomes of the flow by it.
 */
#include "judge.h"

static void check_way(const struct flow_model *f, enum end end, const struct verdict *v)
{
	if (v->flow != f->name)
		report_mismatch("the flow is %u, not %u", v->flow, f->name);
	if (end == CLIENT && v->way.server != f->server)
		report_mismatch("it goes to server %u, not %u", v->way.server, f->server);
	if (end == SERVER && (v->way.server != SERVER_NONE || v->way.side != v->way.hop.side))
		report_mismatch("it doesn't go to where the client is");
}

/*
 * What the client sends moves it only if it was accepted; the verdict says where it is answered
 * now.
 */
static void check_place(struct model *m, struct flow_model *f, enum end end,
                        const struct flow_model *before, const struct seen *s,
                        const struct verdict *v)
{
	const enum maybe moves = end == CLIENT ? f->accepted : f->begun_anew;

	if (moves != NO)
		segment_model_packet(m, f, end == CLIENT ? &s->from : &f->again.from);
	if (moves == MAYBE)
		segment_model_or(f, before);
	if (!segment_model_answers(m, f, &v->way.hop))
		report_mismatch("flow %u: its client isn't answered where it is", f->name);
}

/* If it comes from where the server isn't: servers are inside, in their VLAN. */
static bool is_astray(const struct model *m, const struct flow_model *f, enum end end,
                      const struct seen *s)
{
	return end == SERVER &&
	       (s->from.side != INSIDE || !model_has_server(m, f->server, &s->from));
}

static void count_wrong_side(struct model *m, const struct flow_model *f, enum end end,
                             const struct seen *s)
{
	const enum maybe opening = is_astray(m, f, end, s) ? flows_model_is_half_open(f) : NO;

	if (opening != NO)
		model_counts(m, COUNTER_FLOWS_WRONG_SIDE,
		             opening == YES && !life_model_is_damaged(s), 1);
}

/* An open flow that a RST ends may be revived: there is no record of it yet. */
static void settle_reset(struct model *m, struct flow_model *f, enum end by, struct fate fate)
{
	if ((m->resets && fate.ends == NO) || (!m->resets && fate.ends == YES))
		report_mismatch("a RST that %s be believed was%s", fate.ends ? "must" : "mustn't",
		                m->resets ? "" : "n't");
	if (m->resets)
		flows_model_reset(m, f, by);
}

/* What the server said first, if it did: how long that took. It may have been a RST. */
static void settle_answer(struct model *m, const struct flow_model *f, enum end end,
                          const struct flow_model *was)
{
	const bool doubtful = f->doubtful || was->doubtful;

	m->servers[f->server].connect_is_unsure |= doubtful; /* it may be timed whenever */
	if (end != SERVER || was->life != LIFE_HALF_OPEN || was->voice[SERVER].spoke)
		return;
	if (f->voice[SERVER].spoke || doubtful)
		choice_model_answered(m, f->server, (double)(m->now - was->made), !doubtful);
	else if (f->life == LIFE_RESTING)
		choice_model_answered(m, f->server, FASTEST_UNANSWERED_NS, true);
}

static void settle_fate(struct model *m, struct flow_model *f, enum end end, struct fate fate)
{
	const struct ended *next = model_next_ended(m);
	bool ended = next && (next->why == ENDED_FIN || next->why == ENDED_RST) &&
	             flows_model_of_record(m, next) == f &&
	             (fate.ends == YES || flows_model_is_counted(f, next));

	if (!ended && fate.why == ENDED_RST && (f->life != LIFE_HALF_OPEN || f->doubtful)) {
		settle_reset(m, f, end, fate);
		return;
	}
	if (!ended && fate.ends == YES)
		report_mismatch("the flow should have ended by %s", ended_name(fate.why));
	if (ended && (fate.ends == NO || (fate.why != next->why && !f->doubtful)))
		report_mismatch("the flow has ended by %s, and shouldn't",
		                ended_name((enum ended_why)next->why));
	if (ended)
		flows_model_end(m, f, (enum ended_why)next->why);
}

static void settle_revival(struct model *m, struct flow_model *f, enum end end,
                           const struct seen *s)
{
	enum maybe revives = life_model_revives(f, end, s, m->now);

	if (!f->unrecorded)
		return;
	if (m->servers[f->server].health == HEALTH_DOWN &&
	    model_farm(m, f->farm)->on_down == ON_DOWN_RESET)
		revives = NO; /* it would be reset at once */
	if ((m->revivals && revives == NO) || (!m->revivals && revives == YES))
		report_mismatch("flow %u was%s revived", f->name, m->revivals ? "" : "n't");
	if (m->revivals)
		flows_model_revive(m, f);
}

/* When a flow opens, the one beside which it was made has lost its client. */
static void settle_older(struct model *m, struct flow_model *f)
{
	struct flow_model *older = flows_model_older(m, f);
	const struct ended *next = model_next_ended(m);

	if (!older || (f->life == LIFE_HALF_OPEN && !f->doubtful))
		return;
	if (next && next->why == ENDED_EVICTED && flows_model_of_record(m, next) == older) {
		flows_model_end(m, older, ENDED_EVICTED);
		f->older = 0;
	} else if (!f->doubtful) {
		report_mismatch("flow %u is no more, and goes on", older->name);
	}
}

/* A flow that opens may be one too many for its client; then it says no more. */
static bool settle_limit(struct model *m, struct flow_model *f)
{
	const enum maybe over = limits_model_opened(m, f, f->surely_open && !f->doubtful);
	const struct ended *next = model_next_ended(m);
	const bool ended = next && next->why == ENDED_LIMIT &&
	                   flows_model_of_record(m, next) == f && flows_model_is_counted(f, next);

	if ((ended && over == NO) || (!ended && over == YES && !f->doubtful))
		report_mismatch("flow %u is one too many for its client, or isn't", f->name);
	if (!ended)
		return false;
	flows_model_end(m, f, ENDED_LIMIT);
	f->rsts[CLIENT] = f->rsts[SERVER] = 0;
	f->believed[CLIENT] = f->believed[SERVER] = false;
	f->reset_by_us = f->untold = true;
	return true;
}

void judge_hit(struct model *m, struct flow_model *f, enum end end, const struct frame *before,
               const struct frame *after, const struct seen *s, const struct verdict *v)
{
	const struct flow_model was = *f;
	struct fate fate;
	bool was_open;

	judge_why(v, BIT(WHY_FLOW_HIT));
	judge_bytes(m, f, end, before, after, s);
	was_open = f->surely_open;
	if (f->life == LIFE_RESTING) {
		f->there = YES; /* the band's end is looked at again with the next frame */
		settle_revival(m, f, end, s);
	}
	if (f->life == LIFE_RESTING) {
		life_model_count(f, end, s);
		f->accepted = f->begun_anew = NO;
		check_place(m, f, end, &was, s, v);
		check_way(f, end, v);
	} else {
		count_wrong_side(m, f, end, s);
		fate = life_model_packet(f, end, s, is_astray(m, f, end, s), m->now);
		check_place(m, f, end, &was, s, v);
		check_way(f, end, v);
		settle_older(m, f);
		if (was_open || !(f->surely_open || f->doubtful) || !settle_limit(m, f))
			settle_fate(m, f, end, fate);
		settle_answer(m, f, end, &was);
	}
	if (!was_open && (f->surely_open || f->doubtful) && !f->untold) {
		sticky_model_opened(m, f, f->surely_open && !f->doubtful);
		known_model_opened(m, f, f->surely_open && !f->doubtful);
	}
	sticky_model_used(m, f);
}
