/*
 * The expression is gone through once with unknown numbers: for each instruction it is noted which
 * field the accumulator holds, if it is the same on all ways there, and between which bounds its
 * value is. Classic programs only jump forwards, so that one pass is enough.
 *
 * Behind each branch the bounds are narrower. If they are narrow enough the branch has asked for
 * something rare. A cut then follows from what can be reached, from the beginning or backwards from
 * a match, without passing such a branch: the branches at the border are the cut. If everything can
 * be reached there is none.
 *
 * Where ways meet with different fields, nothing is known of either: libpcap has the second
 * comparison of a range of ports once for all of them, so ranges are left to the protocol.
 *
 * What isn't followed (sums, X, M[]) counts as a number of which nothing is known, so that what is
 * found is right for any expression.
 */
#include "cuts.h"

#include "classic.h"
#include "shared.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

enum { IPV4_HEADER_MAX = 60 };

/* How rare that is what is asked for; none is nothing in particular. */
enum rank { RANK_NONE, RANK_TYPE, RANK_PROTOCOL, RANK_RARE };

/* What is known of the accumulator: the field, of which only the bits in mask are in it. */
struct known {
	bool is_field, is_header; /* of A, of X: the length of the IPv4 header at `header` */
	struct field field;
	uint8_t header;
	uint32_t mask;
	uint32_t low, high; /* of the field's number, not of what is left of it */
};

struct place {
	bool is_reached;
	struct known known; /* before the instruction */
};

/* A way on from a conditional jump. */
struct branch {
	bool is_possible;
	enum rank rank;
	struct cut cut; /* unless rank is RANK_NONE */
};

enum { BRANCHES = 2 };

struct analysis {
	const struct sock_filter *in;
	uint32_t n;
	struct place *places;
	struct branch *branches; /* two for each instruction: if it holds, and if not */
	bool *seen;              /* by instruction */
	bool *marks[CUTS_KINDS]; /* by branch */
};

/* ---- What is known ---- */

static uint32_t greatest(const struct field *field)
{
	return field->bytes == 4 ? UINT32_MAX : (1u << field->bytes * 8) - 1;
}

static void know(struct known *known, struct field field)
{
	known->is_field = true;
	known->field = field;
	known->mask = known->high = greatest(&field);
	known->low = 0;
}

static void load(struct known *known, const struct sock_filter *in)
{
	const unsigned size = BPF_SIZE(in->code), mode = BPF_MODE(in->code);
	const uint8_t bytes = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;

	known->is_field = false;
	if (in->k > FILTER_IMAGE_BYTES)
		return;
	if (mode == BPF_ABS && in->k + bytes <= FILTER_IMAGE_BYTES)
		know(known, (struct field){.bytes = bytes, .offset = (uint16_t)in->k});
	if (mode == BPF_IND && known->is_header &&
	    IPV4_HEADER_MAX + in->k + bytes <= FILTER_IMAGE_BYTES)
		know(known, (struct field){.bytes = bytes,
		                           .is_behind = true,
		                           .header = known->header,
		                           .offset = (uint16_t)in->k});
}

static void load_x(struct known *known, const struct sock_filter *in)
{
	known->is_header = BPF_MODE(in->code) == BPF_MSH && in->k < FILTER_IMAGE_BYTES;
	known->header = known->is_header ? (uint8_t)in->k : 0;
}

static void step(struct known *known, const struct sock_filter *in)
{
	switch (BPF_CLASS(in->code)) {
	case BPF_LD:
		return load(known, in);
	case BPF_LDX:
		return load_x(known, in);
	case BPF_ALU:
		if (in->code == (BPF_ALU | BPF_AND | BPF_K))
			known->mask &= in->k;
		else
			known->is_field = false;
		return;
	case BPF_MISC:
		if (BPF_MISCOP(in->code) == BPF_TAX)
			known->is_header = false;
		else
			known->is_field = false;
		return;
	default: /* stores */
		return;
	}
}

/* What holds on either way. */
static struct known common(const struct known *a, const struct known *b)
{
	struct known ret = *a;

	ret.is_header = a->is_header && b->is_header && a->header == b->header;
	ret.is_field =
	        a->is_field && b->is_field && field_is(&a->field, &b->field) && a->mask == b->mask;
	if (b->low < a->low)
		ret.low = b->low;
	if (b->high > a->high)
		ret.high = b->high;
	return ret;
}

static void reach(struct analysis *a, uint32_t pc, const struct known *known)
{
	struct place *place = &a->places[pc];

	place->known = place->is_reached ? common(&place->known, known) : *known;
	place->is_reached = true;
}

/* ---- Branches ---- */

/* Leaves of the bounds what is within these as well. */
static bool keep_within(struct known *known, uint64_t low, uint64_t high)
{
	if (low > known->low)
		known->low = low > UINT32_MAX ? UINT32_MAX : (uint32_t)low;
	if (high < known->high)
		known->high = (uint32_t)high;
	return low <= UINT32_MAX && known->low <= known->high;
}

/* Comparing what is left of the number when the bits of `lost`, its last ones, are 0. */
static bool keep_greater(struct known *known, uint32_t k, uint32_t lost, bool holds)
{
	const uint64_t last = (uint64_t)k | lost; /* the last one that isn't greater */

	return holds ? keep_within(known, last + 1, UINT32_MAX) : keep_within(known, 0, last);
}

static bool keep_equal(struct known *known, uint32_t k, uint32_t lost, bool holds)
{
	if (k & lost || k > greatest(&known->field))
		return !holds;
	if (holds)
		return keep_within(known, k, k | lost);
	return known->low < k || known->high > (k | lost);
}

/* What is known if the comparison holds, or if not; false if that can't be. */
static bool branch_off(struct known *known, const struct sock_filter *in, bool holds)
{
	const uint32_t lost = ~known->mask & greatest(&known->field);

	if (!known->is_field || BPF_SRC(in->code) != BPF_K || lost & (lost + 1))
		return true;
	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
		return keep_equal(known, in->k, lost, holds);
	case BPF_JGT:
		return keep_greater(known, in->k, lost, holds);
	case BPF_JGE:
		return in->k ? keep_greater(known, in->k - 1, lost, holds) : holds;
	default:
		return true;
	}
}

static bool is_type(const struct field *field)
{
	return !field->is_behind && field->bytes == sizeof(be16) &&
	       (field->offset == ETH_TYPE || field->offset == ETH_TYPE + FRAME_TAG_BYTES ||
	        field->offset == ETH_TYPE + 2 * FRAME_TAG_BYTES);
}

static enum rank rank(const struct known *known)
{
	enum { NARROW = 16 }; /* times less than there are */

	if (!known->is_field || known->high - known->low > greatest(&known->field) / NARROW)
		return RANK_NONE;
	if (is_type(&known->field))
		return RANK_TYPE;
	return known->field.bytes == 1 ? RANK_PROTOCOL : RANK_RARE;
}

static void branch(struct analysis *a, uint32_t pc, bool holds)
{
	const struct sock_filter *in = &a->in[pc];
	struct branch *branch = &a->branches[pc * BRANCHES + !holds];
	struct known known = a->places[pc].known;

	branch->is_possible = branch_off(&known, in, holds);
	if (!branch->is_possible)
		return;
	branch->rank = rank(&known);
	branch->cut = (struct cut){known.field, known.low, known.high};
	reach(a, pc + 1 + (holds ? in->jt : in->jf), &known);
}

static void run(struct analysis *a)
{
	a->places[0].is_reached = true;
	for (uint32_t pc = 0; pc < a->n; pc++) {
		const struct sock_filter *in = &a->in[pc];
		struct known known = a->places[pc].known;

		if (!a->places[pc].is_reached || BPF_CLASS(in->code) == BPF_RET)
			continue;
		if (BPF_CLASS(in->code) != BPF_JMP) {
			step(&known, in);
			reach(a, pc + 1, &known);
		} else if (BPF_OP(in->code) == BPF_JA) {
			reach(a, pc + 1 + in->k, &known);
		} else {
			branch(a, pc, true);
			branch(a, pc, false);
		}
	}
}

/* ---- Cuts ---- */

static bool may_match(const struct sock_filter *in)
{
	return BPF_CLASS(in->code) == BPF_RET && (BPF_RVAL(in->code) != BPF_K || in->k);
}

static bool is_jump(const struct sock_filter *in)
{
	return BPF_CLASS(in->code) == BPF_JMP && BPF_OP(in->code) != BPF_JA;
}

static uint32_t next(const struct sock_filter *in, uint32_t pc)
{
	return pc + 1 + (BPF_CLASS(in->code) == BPF_JMP ? in->k : 0);
}

static uint32_t target(const struct analysis *a, uint32_t pc, unsigned which)
{
	return pc + 1 + (which ? a->in[pc].jf : a->in[pc].jt);
}

/* Marks the branches that a way comes by first; false if there is one without any. */
static bool mark_first(struct analysis *a, enum rank rank, bool *marks)
{
	memset(a->seen, 0, a->n * sizeof(*a->seen));
	a->seen[0] = true;
	for (uint32_t pc = 0; pc < a->n; pc++) {
		if (!a->seen[pc])
			continue;
		if (may_match(&a->in[pc]))
			return false;
		if (BPF_CLASS(a->in[pc].code) == BPF_RET)
			continue;
		if (!is_jump(&a->in[pc])) {
			a->seen[next(&a->in[pc], pc)] = true;
			continue;
		}
		for (unsigned i = 0; i < BRANCHES; i++) {
			const struct branch *branch = &a->branches[pc * BRANCHES + i];

			marks[pc * BRANCHES + i] = branch->is_possible && branch->rank >= rank;
			if (branch->is_possible && branch->rank < rank)
				a->seen[target(a, pc, i)] = true;
		}
	}
	return true;
}

/* The same of those that a way comes by last. */
static bool mark_last(struct analysis *a, enum rank rank, bool *marks)
{
	for (uint32_t pc = a->n; pc-- > 0;) {
		const struct sock_filter *in = &a->in[pc];

		a->seen[pc] = may_match(in);
		if (BPF_CLASS(in->code) == BPF_RET || !a->places[pc].is_reached)
			continue;
		if (!is_jump(in))
			a->seen[pc] = a->seen[next(in, pc)];
		for (unsigned i = 0; is_jump(in) && i < BRANCHES; i++) {
			const struct branch *branch = &a->branches[pc * BRANCHES + i];

			if (!branch->is_possible || !a->seen[target(a, pc, i)])
				continue;
			marks[pc * BRANCHES + i] = branch->rank >= rank;
			a->seen[pc] |= branch->rank < rank;
		}
	}
	return !a->seen[0];
}

static int collect(const struct analysis *a, const bool *marks, struct cuts *ret, unsigned kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n * BRANCHES; i++)
		n += marks[i];
	ret->cuts[kind] = calloc(n + 1, sizeof(struct cut));
	if (!ret->cuts[kind])
		return -ENOMEM;
	for (uint32_t i = 0; i < a->n * BRANCHES; i++)
		if (marks[i])
			ret->cuts[kind][ret->n[kind]++] = a->branches[i].cut;
	return 0;
}

/* If one before it is the same. */
static bool is_known(const struct analysis *a, const struct cuts *cuts, unsigned kind)
{
	for (unsigned before = 0; before < kind; before++)
		if (cuts->cuts[before] && !memcmp(a->marks[before], a->marks[kind],
		                                  a->n * BRANCHES * sizeof(*a->marks[kind])))
			return true;
	return false;
}

static int cut(struct analysis *a, struct cuts *ret)
{
	static const enum rank ranks[CUTS_KINDS] = {RANK_RARE, RANK_RARE, RANK_PROTOCOL, RANK_TYPE};
	int err = 0;

	run(a);
	for (unsigned kind = 0; kind < CUTS_KINDS && !err; kind++) {
		const bool is = kind == CUTS_LAST ? mark_last(a, ranks[kind], a->marks[kind])
		                                  : mark_first(a, ranks[kind], a->marks[kind]);

		if (is && !is_known(a, ret, kind))
			err = collect(a, a->marks[kind], ret, kind);
	}
	return err;
}

int cuts_find(const struct sock_filter *expression, uint32_t n, struct cuts *ret)
{
	struct analysis a = {.in = expression, .n = n};
	bool *marks;
	int err = -ENOMEM;

	*ret = (struct cuts){.n = {0}};
	if (!classic_is_sound(expression, n))
		return 0;
	a.places = calloc(n, sizeof(*a.places));
	a.branches = calloc(n, BRANCHES * sizeof(*a.branches));
	a.seen = calloc(n, sizeof(*a.seen));
	marks = calloc(n, BRANCHES * CUTS_KINDS * sizeof(*marks));
	for (unsigned kind = 0; marks && kind < CUTS_KINDS; kind++)
		a.marks[kind] = marks + kind * n * BRANCHES;
	if (a.places && a.branches && a.seen && marks)
		err = cut(&a, ret);
	if (err)
		cuts_free(ret);
	free(a.places);
	free(a.branches);
	free(a.seen);
	free(marks);
	return err;
}

void cuts_free(struct cuts *cuts)
{
	for (unsigned kind = 0; kind < CUTS_KINDS; kind++)
		free(cuts->cuts[kind]);
	*cuts = (struct cuts){.n = {0}};
}
