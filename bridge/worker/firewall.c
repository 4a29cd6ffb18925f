/*
 * Filters are classic BPF programs that libpcap has compiled, run one after the other on the bytes
 * of the frame with its VLAN tags in place, until one of them decides. Those that can't match, by
 * what a sieve says of the frame, are left out. `count` never does: what it
 * matches goes on to the next one, so that a rehearsal changes nothing. What none decides passes.
 *
 * Nothing is known of connections: each frame is judged by itself. A frame that the kernel or the
 * network card has merged is judged as the first of the packets that it was made of, and counts for
 * all of them.
 *
 * A rate is a bucket of one second's packets, written as the time up to when all is paid for.
 *
 * Names in expressions are looked up in files of this host (process/names.h), so that a reload
 * finds what the start has found.
 */
#include "firewall.h"

#include "events.h"
#include "../fastpath/first.h"
#include "../fastpath/sieve.h"
#include "../process/names.h"
#include "../../lb/bucket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At least as long as the longest merged frame. */
enum { FIREWALL_PACKET_BYTES = (64 << 10) + FIRST_BYTES };

struct filter {
	uint64_t cost_ns, depth_ns; /* of a packet, and of the bucket; of no rate 0 */
	uint64_t paid_ns;
	struct firewall_counts counts;
	struct events_limit said;
	uint64_t logged; /* what the kernel had matched, when its frame was last looked at */
};

struct firewall {
	const struct rules *rules;
	bool any_reset;
	struct expression expressions[RULES_FILTERS_MAX];
	struct sieve *sieves[NSIDES];          /* of those of a side */
	uint8_t packet[FIREWALL_PACKET_BYTES]; /* the first one of a merged frame */
	struct filter filters[];               /* by rules.filters[] */
};

/* ---- Compiling ---- */

int firewall_check(const struct rules_filter *filter, char *why, size_t size)
{
	char words[EXPRESSION_WHY_BYTES];
	struct expression expression;
	const char *lost;
	int err = expression_compile(filter, &expression, words);

	expression_free(&expression);
	if (err != -EINVAL)
		return err;
	/* libpcap says "unknown host", "unknown port" and the like */
	lost = strstr(words, "unknown") ? names_lost() : NULL;
	snprintf(why, size, "%s%s%s%s", words, lost ? ": " : "", lost ? lost : "",
	         lost ? " has been replaced, so its names take a restart" : "");
	return err;
}

/* Sets the filter's rate, with a full bucket. */
static void set_rate(struct filter *filter, uint32_t rate, const struct share *share, lb_time now)
{
	if (!rate)
		return;
	filter->cost_ns = LB_NS_PER_S * share->n / rate;
	filter->depth_ns = filter->cost_ns > LB_NS_PER_S ? filter->cost_ns : LB_NS_PER_S;
	filter->paid_ns = now.ns - filter->depth_ns;
}

static int compile(struct firewall *firewall, const struct rules *rules)
{
	char why[EXPRESSION_WHY_BYTES];
	int err = 0;

	for (unsigned i = 0; i < rules->nfilters && !err; i++)
		err = expression_compile(&rules->filters[i], &firewall->expressions[i], why);
	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = sieve_new(firewall->expressions, rules_filters_of(rules, (enum side)side),
		                &firewall->sieves[side]);
	return err;
}

int firewall_new(const struct rules *rules, const struct share *share, lb_time now,
                 struct firewall **ret)
{
	const size_t n = rules->nfilters;
	struct firewall *firewall;
	int err;

	*ret = NULL;
	if (!n)
		return 0;
	firewall = calloc(1, sizeof(*firewall) + n * sizeof(struct filter));
	if (!firewall)
		return -ENOMEM;
	firewall->rules = rules;
	err = compile(firewall, rules);
	if (err) {
		firewall_free(firewall);
		return err;
	}
	for (unsigned i = 0; i < n; i++) {
		firewall->any_reset |= rules->filters[i].action == ON_MATCH_RESET;
		set_rate(&firewall->filters[i], rules->filters[i].rate, share, now);
	}
	*ret = firewall;
	return 0;
}

void firewall_free(struct firewall *firewall)
{
	for (unsigned i = 0; firewall && i < firewall->rules->nfilters; i++)
		expression_free(&firewall->expressions[i]);
	for (unsigned side = 0; firewall && side < NSIDES; side++)
		sieve_free(firewall->sieves[side]);
	free(firewall);
}

static void inherit(struct filter *filter, const struct filter *old)
{
	filter->counts = old->counts;
	filter->said = old->said;
	filter->logged = old->logged;
	if (filter->cost_ns == old->cost_ns)
		filter->paid_ns = old->paid_ns;
}

void firewall_inherit(struct firewall *firewall, const struct firewall *old)
{
	for (unsigned i = 0; firewall && old && i < firewall->rules->nfilters; i++)
		for (unsigned k = 0; k < old->rules->nfilters; k++)
			if (!strcmp(firewall->rules->filters[i].name, old->rules->filters[k].name))
				inherit(&firewall->filters[i], &old->filters[k]);
}

/* ---- A frame ---- */

/* What a filter looks at, and how many packets it stands for. */
struct view {
	const uint8_t *data;
	uint32_t len, wire_len;
	uint32_t packets;
};

/* The first packet of a merged frame, as it was on the wire. */
static void unmerge(struct firewall *firewall, const struct frame *frame, struct view *view)
{
	volatile struct first_notes notes = {.len = frame->wire_len, .merged = frame->merged};
	const struct first first = {firewall->packet, &notes};
	const uint32_t some = frame->len < FIRST_BYTES ? frame->len : FIRST_BYTES;

	memcpy(first.bytes, frame->data, some);
	memset(first.bytes + some, 0, FIRST_BYTES - some);
	if (!first_packet(&first) || notes.len > FIREWALL_PACKET_BYTES)
		return;
	view->data = first.bytes;
	view->wire_len = notes.len;
	view->len = frame->len < view->wire_len ? frame->len : view->wire_len;
	view->packets = notes.packets;
	if (view->len > some)
		memcpy(first.bytes + some, frame->data + some, view->len - some);
}

/* If the filter's rate allows for these packets; then they are paid for. */
static bool pay(struct filter *filter, uint32_t packets, lb_time now)
{
	uint64_t cost = filter->cost_ns * packets;

	if (cost > filter->depth_ns)
		cost = filter->depth_ns;
	return bucket_pay(&filter->paid_ns, cost, filter->depth_ns, now);
}

/* What a filter that matches wants: a reason to end here, or LB_NWHYS to go on. */
static enum lb_why reason(const struct rules_filter *rule, bool over)
{
	switch (rule->action) {
	case ON_MATCH_DROP:
		return WHY_FILTERED;
	case ON_MATCH_RESET:
		return over ? WHY_FILTER_RATE : WHY_FILTER_RESET;
	case ON_MATCH_PASS:
		return over ? WHY_FILTER_RATE : LB_NWHYS;
	default:
		return LB_NWHYS;
	}
}

/* The first filter that matches the frame, and is not before `from`; or RULES_FILTERS_MAX. */
static unsigned find_match(const struct firewall *firewall, uint64_t candidates, unsigned from,
                           const struct view *view)
{
	candidates &= from < RULES_FILTERS_MAX ? UINT64_MAX << from : 0;
	for (; candidates; candidates &= candidates - 1) {
		const unsigned i = (unsigned)__builtin_ctzll(candidates);

		if (expression_matches(&firewall->expressions[i], view->data, view->wire_len,
		                       view->len))
			return i;
	}
	return RULES_FILTERS_MAX;
}

/* Sets *ret to what filters look at of the frame. Returns those that may match it, a bit each. */
static uint64_t look_at(struct firewall *firewall, const struct frame *frame, struct view *ret)
{
	*ret = (struct view){frame->data, frame->len, frame->wire_len, 1};
	if (frame->merged)
		unmerge(firewall, frame, ret);
	return sieve_pass(firewall->sieves[frame->side], ret->data, ret->len);
}

bool firewall_lets(struct firewall *firewall, struct lb *lb, const char *port, struct frame *frame,
                   lb_time now, struct verdict *ret)
{
	struct view view;
	const uint64_t candidates = look_at(firewall, frame, &view);

	for (unsigned i = 0; (i = find_match(firewall, candidates, i, &view)) < RULES_FILTERS_MAX;
	     i++) {
		const struct rules_filter *rule = &firewall->rules->filters[i];
		struct filter *filter = &firewall->filters[i];
		enum lb_why why;
		bool over;

		over = rule->rate && !pay(filter, view.packets, now);
		why = reason(rule, over);
		if (why != LB_NWHYS && !lb_filter(lb, frame, why, now, ret))
			return true; /* filters don't hold for this frame */
		filter->counts.matched += view.packets;
		filter->counts.over += over ? view.packets : 0;
		filter->counts.dropped += why != LB_NWHYS ? view.packets : 0;
		filter->counts.last = now;
		if (rule->log)
			events_filtered(&filter->said, rule, over, port, frame, now);
		if (why != LB_NWHYS)
			return false;
		if (rule->action != ON_MATCH_COUNT)
			return true;
	}
	return true;
}

bool firewall_resets(struct firewall *firewall, struct lb *lb, struct frame *frame, lb_time now,
                     struct verdict *ret)
{
	struct view view;
	uint64_t candidates;

	if (!firewall->any_reset)
		return false;
	candidates = look_at(firewall, frame, &view);
	for (unsigned i = 0; (i = find_match(firewall, candidates, i, &view)) < RULES_FILTERS_MAX;
	     i++) {
		const struct rules_filter *rule = &firewall->rules->filters[i];

		if (rule->action != ON_MATCH_COUNT)
			return rule->action == ON_MATCH_RESET &&
			       lb_filter(lb, frame, WHY_FILTER_RESET, now, ret);
	}
	return false;
}

/* Of one filter. The line says how many there were since the last one. */
static void log_seen(struct firewall *firewall, unsigned i, struct fastpath *fastpath,
                     struct port *const ports[NSIDES], lb_time now)
{
	struct filter *filter = &firewall->filters[i];
	struct fastpath_filter_counts counts;
	struct fastpath_filter_seen seen;
	struct frame frame = {.data = seen.bytes};

	if (!firewall->rules->filters[i].log || !fastpath_filter_see(fastpath, i, &seen))
		return;
	fastpath_filter_count(fastpath, i, &counts);
	frame.len = frame.wire_len = seen.len < sizeof(seen.bytes) ? seen.len : sizeof(seen.bytes);
	frame.side = seen.side & 1;
	if (counts.matched > filter->logged)
		filter->said.since += counts.matched - filter->logged - 1;
	filter->logged = counts.matched;
	events_filtered(&filter->said, &firewall->rules->filters[i], seen.over,
	                ports[frame.side]->name, &frame, now);
}

void firewall_log(struct firewall *firewall, struct fastpath *fastpath,
                  struct port *const ports[NSIDES], lb_time now)
{
	for (unsigned i = 0; firewall && fastpath && i < firewall->rules->nfilters; i++)
		log_seen(firewall, i, fastpath, ports, now);
}

struct firewall_counts firewall_counts(const struct firewall *firewall, unsigned filter)
{
	return firewall ? firewall->filters[filter].counts : (struct firewall_counts){0};
}
