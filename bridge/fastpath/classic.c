/*
 * The translation, instruction by instruction. Registers are
 *
 *	R6  the context             R0  A
 *	R7  the image               R8  X
 *	R4  the length of what is looked at
 *
 * and M[] is on the stack, each number in 8 bytes: without CAP_PERFMON the verifier of Linux 6.1
 * refuses to have a half of these written while it knows what is in them.
 *
 * Offsets that are known and within the image cost one comparison and one load; those that aren't
 * are compared with its end first, and what lies behind it is asked of the kernel. As with libpcap
 * a load from behind the end of the packet says that it doesn't match.
 *
 * Classic programs only jump forwards, so a jump is noted and gets its distance when its target is
 * there. What can't be reached is left out: the verifier refuses it.
 */
#include "classic.h"

#include "shared.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdlib.h>

enum {
	REG_A = BPF_REG_0,
	REG_LEN = BPF_REG_4,
	REG_X = BPF_REG_8,

	STACK_LOADED = CLASSIC_STACK - 8,
	STACK_M = STACK_LOADED - 8 * BPF_MEMWORDS,
};

static void load_length(struct code *c)
{
	code_add(c, BPF_LDX | BPF_MEM | BPF_W, REG_LEN, CLASSIC_IMAGE,
	         offsetof(struct filter_image, len));
}

/* ---- Jumps ---- */

/* A jump that waits for its target. */
struct jump {
	uint32_t at, place;
};

struct asked {
	struct code *c;
	const struct sock_filter *in;
	uint32_t n;
	struct jump *jumps; /* room for three for each instruction */
	uint32_t njumps;
	uint32_t *at;     /* by instruction, and those two */
	bool *is_reached; /* likewise */
	bool computes_x;  /* X may be anything, and not only the length of a header */
};

#define MATCH(asked)    ((asked)->n)
#define NO_MATCH(asked) ((asked)->n + 1)

static void jump(struct asked *a, unsigned code, unsigned dst, unsigned src, uint32_t imm,
                 uint32_t place)
{
	a->jumps[a->njumps++] = (struct jump){a->c->n, place};
	a->is_reached[place] = true;
	code_add_all(a->c, code, dst, src, 0, imm);
}

static void go_to(struct asked *a, uint32_t place)
{
	jump(a, BPF_JMP | BPF_JA, 0, 0, 0, place);
}

static void settle_jumps(struct asked *a)
{
	for (uint32_t i = 0; i < a->njumps; i++)
		code_land_at(a->c, a->jumps[i].at, a->at[a->jumps[i].place]);
}

/* The opposite of a comparison, or 0. */
static unsigned inverse(unsigned op)
{
	switch (op) {
	case BPF_JEQ:
		return BPF_JNE;
	case BPF_JGT:
		return BPF_JLE;
	case BPF_JGE:
		return BPF_JLT;
	default:
		return 0;
	}
}

static void translate_jump(struct asked *a, uint32_t pc)
{
	const struct sock_filter *in = &a->in[pc];
	const unsigned op = BPF_OP(in->code), of = BPF_SRC(in->code);
	const uint32_t yes = pc + 1 + in->jt, no = pc + 1 + in->jf;
	const unsigned src = of == BPF_X ? REG_X : 0;
	const uint32_t imm = of == BPF_X ? 0 : in->k;

	if (op == BPF_JA)
		return go_to(a, pc + 1 + in->k);
	if (in->jt == in->jf)
		return go_to(a, yes);
	if (!in->jt && inverse(op)) {
		jump(a, BPF_JMP32 | inverse(op) | of, REG_A, src, imm, no);
		a->is_reached[yes] = true;
		return;
	}
	jump(a, BPF_JMP32 | op | of, REG_A, src, imm, yes);
	if (in->jf)
		go_to(a, no);
	else
		a->is_reached[no] = true;
}

/* ---- Loads ---- */

static uint32_t bytes_of(unsigned size)
{
	return size == BPF_W ? 4 : size == BPF_H ? 2 : 1;
}

static void to_host_order(struct code *c, unsigned reg, uint32_t bytes)
{
	if (bytes > 1)
		code_add_imm(c, BPF_ALU | BPF_END | BPF_TO_BE, reg, bytes * 8);
}

/* From the frame, at the offset in R1 of what the expression sees. Loses R1 to R5. */
static void load_far(struct asked *a, unsigned size)
{
	struct code *c = a->c;

	code_move(c, BPF_REG_2, BPF_REG_1);
	code_add(c, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, CLASSIC_IMAGE,
	         offsetof(struct filter_image, shift));
	code_add(c, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_2, BPF_REG_3, 0);
	code_move(c, BPF_REG_1, CLASSIC_CONTEXT);
	code_move(c, BPF_REG_3, BPF_REG_10);
	code_add_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, (uint32_t)STACK_LOADED);
	code_set(c, BPF_REG_4, bytes_of(size));
	code_call(c, BPF_FUNC_skb_load_bytes);
	jump(a, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, NO_MATCH(a));
	code_add(c, BPF_LDX | BPF_MEM | size, REG_A, BPF_REG_10, STACK_LOADED);
	load_length(c);
}

static void load_at(struct asked *a, unsigned size, uint32_t k)
{
	const uint32_t bytes = bytes_of(size);

	if (k > INT32_MAX / 2) /* in any case, which the verifier need not know */
		return jump(a, BPF_JMP | BPF_JGE | BPF_K, REG_LEN, 0, 0, NO_MATCH(a));
	jump(a, BPF_JMP | BPF_JLT | BPF_K, REG_LEN, 0, k + bytes, NO_MATCH(a));
	if (k + bytes <= FILTER_IMAGE_BYTES) {
		code_add(a->c, BPF_LDX | BPF_MEM | size, REG_A, CLASSIC_IMAGE,
		         (int)(offsetof(struct filter_image, bytes) + k));
	} else {
		code_set(a->c, BPF_REG_1, k);
		load_far(a, size);
	}
	to_host_order(a->c, REG_A, bytes);
}

/* Of R1 nothing is known from then on. Without CAP_PERFMON the verifier refuses an offset that it
 * knows to be one number on a way, and not on another. */
static void forget(struct code *c)
{
	const int scratch = offsetof(struct filter_image, scratch);

	code_add(c, BPF_STX | BPF_MEM | BPF_W, CLASSIC_IMAGE, BPF_REG_1, scratch);
	code_add(c, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, CLASSIC_IMAGE, scratch);
}

static void load_behind_x(struct asked *a, unsigned size, uint32_t k)
{
	const uint32_t bytes = bytes_of(size);
	struct code *c = a->c;
	uint32_t near, far;

	code_set(c, BPF_REG_1, k);
	code_add(c, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, REG_X, 0);
	code_move(c, BPF_REG_2, BPF_REG_1);
	code_add_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, bytes);
	jump(a, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, REG_LEN, 0, NO_MATCH(a));
	if (a->computes_x)
		forget(c);
	far = c->n;
	code_add_all(c, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_1, 0, 0, FILTER_IMAGE_BYTES - bytes);
	code_move(c, BPF_REG_2, CLASSIC_IMAGE);
	code_add(c, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, BPF_REG_1, 0);
	code_add(c, BPF_LDX | BPF_MEM | size, REG_A, BPF_REG_2,
	         offsetof(struct filter_image, bytes));
	near = c->n;
	code_add(c, BPF_JMP | BPF_JA, 0, 0, 0);
	code_land(c, far);
	load_far(a, size);
	code_land(c, near);
	to_host_order(c, REG_A, bytes);
}

static int place_of_m(uint32_t k)
{
	return STACK_M + 8 * (int)k;
}

static void translate_load(struct asked *a, const struct sock_filter *in)
{
	struct code *c = a->c;

	switch (BPF_MODE(in->code)) {
	case BPF_IMM:
		return code_set(c, REG_A, in->k);
	case BPF_ABS:
		return load_at(a, BPF_SIZE(in->code), in->k);
	case BPF_IND:
		return load_behind_x(a, BPF_SIZE(in->code), in->k);
	case BPF_MEM:
		return code_add(c, BPF_LDX | BPF_MEM | BPF_DW, REG_A, BPF_REG_10,
		                place_of_m(in->k));
	case BPF_LEN:
		return code_move(c, REG_A, REG_LEN);
	default:
		c->err = -EINVAL;
	}
}

static void translate_load_x(struct asked *a, const struct sock_filter *in)
{
	struct code *c = a->c;

	switch (BPF_MODE(in->code)) {
	case BPF_IMM:
		return code_set(c, REG_X, in->k);
	case BPF_MEM:
		return code_add(c, BPF_LDX | BPF_MEM | BPF_DW, REG_X, BPF_REG_10,
		                place_of_m(in->k));
	case BPF_LEN:
		return code_move(c, REG_X, REG_LEN);
	case BPF_MSH: /* the length of an IPv4 header */
		if (in->k >= FILTER_IMAGE_BYTES) {
			c->err = -E2BIG;
			return;
		}
		jump(a, BPF_JMP | BPF_JLE | BPF_K, REG_LEN, 0, in->k, NO_MATCH(a));
		code_add(c, BPF_LDX | BPF_MEM | BPF_B, REG_X, CLASSIC_IMAGE,
		         (int)(offsetof(struct filter_image, bytes) + in->k));
		code_add_imm(c, BPF_ALU | BPF_AND | BPF_K, REG_X, 15);
		return code_add_imm(c, BPF_ALU | BPF_LSH | BPF_K, REG_X, 2);
	default:
		c->err = -EINVAL;
	}
}

/* ---- The rest ---- */

/* Shifts by 32 and more leave nothing. */
static void shift(struct code *c, unsigned op, const struct sock_filter *in)
{
	if (BPF_SRC(in->code) == BPF_K) {
		if (in->k < 32)
			code_add_imm(c, BPF_ALU | op | BPF_K, REG_A, in->k);
		else
			code_set(c, REG_A, 0);
		return;
	}
	code_add_all(c, BPF_JMP32 | BPF_JLE | BPF_K, REG_X, 0, 2, 31);
	code_set(c, REG_A, 0);
	code_add(c, BPF_JMP | BPF_JA, 0, 0, 1);
	code_add(c, BPF_ALU | op | BPF_X, REG_A, REG_X, 0);
}

static void translate_arithmetic(struct asked *a, const struct sock_filter *in)
{
	const unsigned op = BPF_OP(in->code);
	const bool by_x = BPF_SRC(in->code) == BPF_X;

	if (op == BPF_LSH || op == BPF_RSH)
		return shift(a->c, op, in);
	if (op == BPF_NEG)
		return code_add_imm(a->c, BPF_ALU | BPF_NEG, REG_A, 0);
	if (op > BPF_XOR) {
		a->c->err = -EINVAL;
		return;
	}
	if ((op == BPF_DIV || op == BPF_MOD) && by_x)
		jump(a, BPF_JMP32 | BPF_JEQ | BPF_K, REG_X, 0, 0, NO_MATCH(a));
	if (by_x)
		code_add(a->c, BPF_ALU | op | BPF_X, REG_A, REG_X, 0);
	else
		code_add_imm(a->c, BPF_ALU | op | BPF_K, REG_A, in->k);
}

static void translate_return(struct asked *a, const struct sock_filter *in)
{
	if (BPF_RVAL(in->code) == BPF_K)
		return go_to(a, in->k ? MATCH(a) : NO_MATCH(a));
	jump(a, BPF_JMP32 | BPF_JNE | BPF_K, REG_A, 0, 0, MATCH(a));
	go_to(a, NO_MATCH(a));
}

static void store(struct code *c, unsigned from, uint32_t k)
{
	code_add(c, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, from, place_of_m(k));
}

static void translate_one(struct asked *a, uint32_t pc)
{
	const struct sock_filter *in = &a->in[pc];

	switch (BPF_CLASS(in->code)) {
	case BPF_LD:
		return translate_load(a, in);
	case BPF_LDX:
		return translate_load_x(a, in);
	case BPF_ST:
		return store(a->c, REG_A, in->k);
	case BPF_STX:
		return store(a->c, REG_X, in->k);
	case BPF_ALU:
		return translate_arithmetic(a, in);
	case BPF_JMP:
		return translate_jump(a, pc);
	case BPF_RET:
		return translate_return(a, in);
	default: /* BPF_MISC */
		return BPF_MISCOP(in->code) == BPF_TAX ? code_move(a->c, REG_X, REG_A)
		                                       : code_move(a->c, REG_A, REG_X);
	}
}

bool classic_is_sound(const struct sock_filter *in, uint32_t n)
{
	for (uint32_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &in[pc];
		const unsigned class = BPF_CLASS(i->code), left = n - pc - 1;
		const bool uses_m =
		        class == BPF_ST || class == BPF_STX ||
		        ((class == BPF_LD || class == BPF_LDX) && BPF_MODE(i->code) == BPF_MEM);

		if ((uses_m && i->k >= BPF_MEMWORDS) || (!left && class != BPF_RET))
			return false;
		if (class == BPF_JMP && BPF_OP(i->code) == BPF_JA
		            ? i->k >= left
		            : class == BPF_JMP && (i->jt >= left || i->jf >= left))
			return false;
	}
	return n > 0;
}

static bool ends(const struct sock_filter *in)
{
	return BPF_CLASS(in->code) == BPF_RET || BPF_CLASS(in->code) == BPF_JMP;
}

static bool computes_x(const struct sock_filter *in)
{
	return in->code == (BPF_MISC | BPF_TAX) ||
	       (BPF_CLASS(in->code) == BPF_LDX && BPF_MODE(in->code) != BPF_MSH);
}

/* M[] that is read begins as 0. */
static void begin(struct asked *a)
{
	bool clear[BPF_MEMWORDS] = {false};

	for (uint32_t pc = 0; pc < a->n; pc++)
		a->computes_x |= computes_x(&a->in[pc]);
	for (uint32_t pc = 0; pc < a->n; pc++)
		if ((BPF_CLASS(a->in[pc].code) == BPF_LD || BPF_CLASS(a->in[pc].code) == BPF_LDX) &&
		    BPF_MODE(a->in[pc].code) == BPF_MEM)
			clear[a->in[pc].k] = true;
	code_set(a->c, REG_A, 0);
	code_set(a->c, REG_X, 0);
	load_length(a->c);
	for (uint32_t k = 0; k < BPF_MEMWORDS; k++)
		if (clear[k])
			store(a->c, REG_X, k);
	a->is_reached[0] = true;
}

static void translate(struct asked *a, classic_matched *matched, void *context)
{
	struct code *c = a->c;

	begin(a);
	for (uint32_t pc = 0; pc < a->n && !c->err; pc++) {
		a->at[pc] = c->n;
		if (!a->is_reached[pc])
			continue;
		translate_one(a, pc);
		if (!ends(&a->in[pc]))
			a->is_reached[pc + 1] = true;
	}
	a->at[MATCH(a)] = c->n;
	if (a->is_reached[MATCH(a)])
		matched(context);
	a->at[NO_MATCH(a)] = c->n;
	settle_jumps(a);
}

bool classic_translate(struct code *code, const struct sock_filter *expression, uint32_t n,
                       classic_matched *matched, void *context)
{
	enum { JUMPS_OF_ONE = 3 };
	struct asked a = {.c = code, .in = expression, .n = n};
	bool may_not_match = true;

	if (code->err)
		return true;
	if (!classic_is_sound(expression, n)) {
		code->err = -EINVAL;
		return true;
	}
	a.jumps = calloc(n * JUMPS_OF_ONE, sizeof(*a.jumps));
	a.at = calloc(n + 2, sizeof(*a.at));
	a.is_reached = calloc(n + 2, sizeof(*a.is_reached));
	if (a.jumps && a.at && a.is_reached) {
		translate(&a, matched, context);
		may_not_match = a.is_reached[NO_MATCH(&a)];
	} else {
		code->err = -ENOMEM;
	}
	free(a.jumps);
	free(a.at);
	free(a.is_reached);
	return may_not_match;
}
