/*
 * The translation, instruction by instruction. Registers are
 *
 *	R6  the context             R0  A
 *	R7  the image               R8  X
 *	R4  the length of what is looked at
 *
 * and M[] is on the stack. What has matched is in the image, and not in a register, of which the
 * verifier would look at each possible value. Offsets that are known and within the image cost one
 *comparison and one load; those that aren't are compared with its end first, and what lies behind
 *it is asked of the kernel. As with libpcap a load from behind the end of the packet says that it
 *doesn't match.
 *
 * Classic programs only jump forwards, so a jump is noted and gets its distance when its target is
 * there. What can't be reached is left out: the verifier refuses it.
 */
#include "classic.h"

#include "shared.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	REG_A = BPF_REG_0,
	REG_LEN = BPF_REG_4,
	REG_CONTEXT = BPF_REG_6,
	REG_IMAGE = BPF_REG_7,
	REG_X = BPF_REG_8,

	STACK_LOADED = -8, /* what the kernel has loaded, or the map's key */
	STACK_M = -16 - 4 * BPF_MEMWORDS,

	CLASSIC_MAX = 1 << 20, /* instructions: the most that the kernel looks at */
};

/* ---- Instructions ---- */

static void emit_wide(struct classic *c, unsigned code, unsigned dst, unsigned src, int off,
                      uint32_t imm)
{
	if (c->n == c->room && !c->err) {
		const uint32_t room = c->room ? 2 * c->room : 256;
		struct bpf_insn *insns =
		        room <= CLASSIC_MAX ? realloc(c->insns, room * sizeof(*insns)) : NULL;

		if (!insns)
			c->err = room <= CLASSIC_MAX ? -ENOMEM : -E2BIG;
		else
			c->insns = insns, c->room = room;
	}
	if (c->err)
		return;
	c->insns[c->n++] = (struct bpf_insn){.code = (uint8_t)code,
	                                     .dst_reg = dst & 15u,
	                                     .src_reg = src & 15u,
	                                     .off = (int16_t)off,
	                                     .imm = (int32_t)imm};
}

static void emit(struct classic *c, unsigned code, unsigned dst, unsigned src, int off)
{
	emit_wide(c, code, dst, src, off, 0);
}

static void emit_imm(struct classic *c, unsigned code, unsigned dst, uint32_t imm)
{
	emit_wide(c, code, dst, 0, 0, imm);
}

static void move(struct classic *c, unsigned dst, unsigned src)
{
	emit(c, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0);
}

/* A number of 32 bits, the rest being 0. */
static void set(struct classic *c, unsigned dst, uint32_t number)
{
	emit_imm(c, BPF_ALU | BPF_MOV | BPF_K, dst, number);
}

static void call(struct classic *c, uint32_t helper)
{
	emit_imm(c, BPF_JMP | BPF_CALL, 0, helper);
}

/* A 64-bit number, or with src = BPF_PSEUDO_MAP_FD a map. */
static void set_wide(struct classic *c, unsigned dst, unsigned src, uint64_t number)
{
	emit_wide(c, BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, (uint32_t)number);
	emit_imm(c, 0, 0, (uint32_t)(number >> 32));
}

static void load_length(struct classic *c)
{
	emit(c, BPF_LDX | BPF_MEM | BPF_W, REG_LEN, REG_IMAGE, offsetof(struct filter_image, len));
}

/* ---- Ends ---- */

static void leave(struct classic *c)
{
	set(c, BPF_REG_0, (uint32_t)TC_ACT_UNSPEC);
	emit(c, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

static void tell(struct classic *c, unsigned from, unsigned word)
{
	emit(c, BPF_STX | BPF_MEM | BPF_W, REG_CONTEXT, from,
	     (int)(offsetof(struct __sk_buff, cb) + word * sizeof(uint32_t)));
}

/* Tells the programs behind what has matched. */
static void finish(struct classic *c)
{
	emit(c, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, REG_IMAGE,
	     offsetof(struct filter_image, packets));
	emit_imm(c, BPF_ALU | BPF_LSH | BPF_K, BPF_REG_1, 1);
	emit_imm(c, BPF_ALU | BPF_OR | BPF_K, BPF_REG_1, c->half);
	tell(c, BPF_REG_1, FASTPATH_CB_PACKETS);
	emit(c, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, REG_IMAGE,
	     offsetof(struct filter_image, matched));
	tell(c, BPF_REG_1, FASTPATH_CB_MATCHED);
	emit_imm(c, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_1, 32);
	tell(c, BPF_REG_1, FASTPATH_CB_MATCHED + 1);
	leave(c);
}

void classic_begin(struct classic *c, int images, uint32_t half)
{
	*c = (struct classic){.half = half};
	move(c, REG_CONTEXT, BPF_REG_1);
	set(c, BPF_REG_2, 0);
	tell(c, BPF_REG_2, FASTPATH_CB_MATCHED);
	tell(c, BPF_REG_2, FASTPATH_CB_MATCHED + 1);
	c->call = c->n;
	emit(c, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0);
	emit_wide(c, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0);
	leave(c);
	emit_imm(c, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0);
	emit(c, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_1, STACK_LOADED);
	set_wide(c, BPF_REG_1, BPF_PSEUDO_MAP_FD, (uint32_t)images);
	move(c, BPF_REG_2, BPF_REG_10);
	emit_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, (uint32_t)STACK_LOADED);
	call(c, BPF_FUNC_map_lookup_elem);
	emit_wide(c, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0);
	leave(c);
	move(c, REG_IMAGE, BPF_REG_0);
}

int classic_end(struct classic *c, const struct bpf_insn *image, uint32_t n)
{
	if (!c->is_complete)
		finish(c);
	if (!c->err)
		c->insns[c->call].imm = (int32_t)(c->n - c->call - 1);
	for (uint32_t i = 0; i < n; i++)
		emit_wide(c, image[i].code, image[i].dst_reg, image[i].src_reg, image[i].off,
		          (uint32_t)image[i].imm);
	return c->err;
}

void classic_free(struct classic *c)
{
	free(c->insns);
	*c = (struct classic){0};
}

/* ---- Jumps ---- */

/* A jump that waits for its target. */
struct jump {
	uint32_t at, place;
};

struct asked {
	struct classic *c;
	const struct sock_filter *in;
	uint32_t n;
	struct jump *jumps; /* room for three for each instruction */
	uint32_t njumps;
	uint32_t *at;     /* by instruction, and those two */
	bool *is_reached; /* likewise */
};

#define MATCH(asked)    ((asked)->n)
#define NO_MATCH(asked) ((asked)->n + 1)

static void jump(struct asked *a, unsigned code, unsigned dst, unsigned src, uint32_t imm,
                 uint32_t place)
{
	a->jumps[a->njumps++] = (struct jump){a->c->n, place};
	a->is_reached[place] = true;
	emit_wide(a->c, code, dst, src, 0, imm);
}

static void go_to(struct asked *a, uint32_t place)
{
	jump(a, BPF_JMP | BPF_JA, 0, 0, 0, place);
}

static void settle_jumps(struct asked *a)
{
	for (uint32_t i = 0; i < a->njumps && !a->c->err; i++) {
		const uint32_t distance = a->at[a->jumps[i].place] - a->jumps[i].at - 1;

		if (distance > INT16_MAX)
			a->c->err = -E2BIG;
		else
			a->c->insns[a->jumps[i].at].off = (int16_t)distance;
	}
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

static void to_host_order(struct classic *c, unsigned reg, uint32_t bytes)
{
	if (bytes > 1)
		emit_imm(c, BPF_ALU | BPF_END | BPF_TO_BE, reg, bytes * 8);
}

/* From the frame, at the offset in R1 of what the expression sees. Loses R1 to R5. */
static void load_far(struct asked *a, unsigned size)
{
	struct classic *c = a->c;

	move(c, BPF_REG_2, BPF_REG_1);
	emit(c, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, REG_IMAGE,
	     offsetof(struct filter_image, shift));
	emit(c, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_2, BPF_REG_3, 0);
	move(c, BPF_REG_1, REG_CONTEXT);
	move(c, BPF_REG_3, BPF_REG_10);
	emit_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, (uint32_t)STACK_LOADED);
	set(c, BPF_REG_4, bytes_of(size));
	call(c, BPF_FUNC_skb_load_bytes);
	jump(a, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, NO_MATCH(a));
	emit(c, BPF_LDX | BPF_MEM | size, REG_A, BPF_REG_10, STACK_LOADED);
	load_length(c);
}

static void load_at(struct asked *a, unsigned size, uint32_t k)
{
	const uint32_t bytes = bytes_of(size);

	if (k > INT32_MAX / 2) /* in any case, which the verifier need not know */
		return jump(a, BPF_JMP | BPF_JGE | BPF_K, REG_LEN, 0, 0, NO_MATCH(a));
	jump(a, BPF_JMP | BPF_JLT | BPF_K, REG_LEN, 0, k + bytes, NO_MATCH(a));
	if (k + bytes <= FILTER_IMAGE_BYTES) {
		emit(a->c, BPF_LDX | BPF_MEM | size, REG_A, REG_IMAGE,
		     (int)(offsetof(struct filter_image, bytes) + k));
	} else {
		set(a->c, BPF_REG_1, k);
		load_far(a, size);
	}
	to_host_order(a->c, REG_A, bytes);
}

static void load_behind_x(struct asked *a, unsigned size, uint32_t k)
{
	const uint32_t bytes = bytes_of(size);
	struct classic *c = a->c;
	uint32_t near, far;

	set(c, BPF_REG_1, k);
	emit(c, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, REG_X, 0);
	move(c, BPF_REG_2, BPF_REG_1);
	emit_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, bytes);
	jump(a, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, REG_LEN, 0, NO_MATCH(a));
	far = c->n;
	emit_wide(c, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_1, 0, 0, FILTER_IMAGE_BYTES - bytes);
	move(c, BPF_REG_2, REG_IMAGE);
	emit(c, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, BPF_REG_1, 0);
	emit(c, BPF_LDX | BPF_MEM | size, REG_A, BPF_REG_2, offsetof(struct filter_image, bytes));
	near = c->n;
	emit(c, BPF_JMP | BPF_JA, 0, 0, 0);
	if (!c->err)
		c->insns[far].off = (int16_t)(c->n - far - 1);
	load_far(a, size);
	if (!c->err)
		c->insns[near].off = (int16_t)(c->n - near - 1);
	to_host_order(c, REG_A, bytes);
}

static int place_of_m(uint32_t k)
{
	return STACK_M + 4 * (int)k;
}

static void translate_load(struct asked *a, const struct sock_filter *in)
{
	struct classic *c = a->c;

	switch (BPF_MODE(in->code)) {
	case BPF_IMM:
		return set(c, REG_A, in->k);
	case BPF_ABS:
		return load_at(a, BPF_SIZE(in->code), in->k);
	case BPF_IND:
		return load_behind_x(a, BPF_SIZE(in->code), in->k);
	case BPF_MEM:
		return emit(c, BPF_LDX | BPF_MEM | BPF_W, REG_A, BPF_REG_10, place_of_m(in->k));
	case BPF_LEN:
		return move(c, REG_A, REG_LEN);
	default:
		c->err = -EINVAL;
	}
}

static void translate_load_x(struct asked *a, const struct sock_filter *in)
{
	struct classic *c = a->c;

	switch (BPF_MODE(in->code)) {
	case BPF_IMM:
		return set(c, REG_X, in->k);
	case BPF_MEM:
		return emit(c, BPF_LDX | BPF_MEM | BPF_W, REG_X, BPF_REG_10, place_of_m(in->k));
	case BPF_LEN:
		return move(c, REG_X, REG_LEN);
	case BPF_MSH: /* the length of an IPv4 header */
		if (in->k >= FILTER_IMAGE_BYTES) {
			c->err = -E2BIG;
			return;
		}
		jump(a, BPF_JMP | BPF_JLE | BPF_K, REG_LEN, 0, in->k, NO_MATCH(a));
		emit(c, BPF_LDX | BPF_MEM | BPF_B, REG_X, REG_IMAGE,
		     (int)(offsetof(struct filter_image, bytes) + in->k));
		emit_imm(c, BPF_ALU | BPF_AND | BPF_K, REG_X, 15);
		return emit_imm(c, BPF_ALU | BPF_LSH | BPF_K, REG_X, 2);
	default:
		c->err = -EINVAL;
	}
}

/* ---- The rest ---- */

/* Shifts by 32 and more leave nothing. */
static void shift(struct classic *c, unsigned op, const struct sock_filter *in)
{
	if (BPF_SRC(in->code) == BPF_K) {
		if (in->k < 32)
			emit_imm(c, BPF_ALU | op | BPF_K, REG_A, in->k);
		else
			set(c, REG_A, 0);
		return;
	}
	emit_wide(c, BPF_JMP32 | BPF_JLE | BPF_K, REG_X, 0, 2, 31);
	set(c, REG_A, 0);
	emit(c, BPF_JMP | BPF_JA, 0, 0, 1);
	emit(c, BPF_ALU | op | BPF_X, REG_A, REG_X, 0);
}

static void translate_arithmetic(struct asked *a, const struct sock_filter *in)
{
	const unsigned op = BPF_OP(in->code);
	const bool by_x = BPF_SRC(in->code) == BPF_X;

	if (op == BPF_LSH || op == BPF_RSH)
		return shift(a->c, op, in);
	if (op == BPF_NEG)
		return emit_imm(a->c, BPF_ALU | BPF_NEG, REG_A, 0);
	if (op > BPF_XOR) {
		a->c->err = -EINVAL;
		return;
	}
	if ((op == BPF_DIV || op == BPF_MOD) && by_x)
		jump(a, BPF_JMP32 | BPF_JEQ | BPF_K, REG_X, 0, 0, NO_MATCH(a));
	if (by_x)
		emit(a->c, BPF_ALU | op | BPF_X, REG_A, REG_X, 0);
	else
		emit_imm(a->c, BPF_ALU | op | BPF_K, REG_A, in->k);
}

static void translate_return(struct asked *a, const struct sock_filter *in)
{
	if (BPF_RVAL(in->code) == BPF_K)
		return go_to(a, in->k ? MATCH(a) : NO_MATCH(a));
	jump(a, BPF_JMP32 | BPF_JNE | BPF_K, REG_A, 0, 0, MATCH(a));
	go_to(a, NO_MATCH(a));
}

static void store(struct classic *c, unsigned from, uint32_t k)
{
	emit(c, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, from, place_of_m(k));
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
		return BPF_MISCOP(in->code) == BPF_TAX ? move(a->c, REG_X, REG_A)
		                                       : move(a->c, REG_A, REG_X);
	}
}

/* If all that it says about itself holds: that it ends, and where it jumps to. */
static bool is_sound(const struct sock_filter *in, uint32_t n)
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

static void begin(struct asked *a)
{
	bool clear[BPF_MEMWORDS] = {false};

	for (uint32_t pc = 0; pc < a->n; pc++)
		if ((BPF_CLASS(a->in[pc].code) == BPF_LD || BPF_CLASS(a->in[pc].code) == BPF_LDX) &&
		    BPF_MODE(a->in[pc].code) == BPF_MEM)
			clear[a->in[pc].k] = true;
	set(a->c, REG_A, 0);
	set(a->c, REG_X, 0);
	load_length(a->c);
	for (uint32_t k = 0; k < BPF_MEMWORDS; k++)
		if (clear[k])
			store(a->c, REG_X, k);
	a->is_reached[0] = true;
}

static void translate(struct asked *a, unsigned number, bool decides)
{
	struct classic *c = a->c;

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
	if (a->is_reached[MATCH(a)]) {
		set_wide(c, BPF_REG_1, 0, UINT64_C(1) << number);
		emit(c, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, REG_IMAGE,
		     offsetof(struct filter_image, matched));
		emit(c, BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_2, BPF_REG_1, 0);
		emit(c, BPF_STX | BPF_MEM | BPF_DW, REG_IMAGE, BPF_REG_2,
		     offsetof(struct filter_image, matched));
		if (decides)
			finish(c);
	}
	a->at[NO_MATCH(a)] = c->n;
	c->is_complete = decides && !a->is_reached[NO_MATCH(a)];
	settle_jumps(a);
}

void classic_ask(struct classic *c, const struct sock_filter *expression, uint32_t n,
                 unsigned number, bool decides)
{
	enum { JUMPS_OF_ONE = 3 };
	struct asked a = {.c = c, .in = expression, .n = n};

	if (c->err || c->is_complete)
		return;
	if (!is_sound(expression, n)) {
		c->err = -EINVAL;
		return;
	}
	a.jumps = calloc(n * JUMPS_OF_ONE, sizeof(*a.jumps));
	a.at = calloc(n + 2, sizeof(*a.at));
	a.is_reached = calloc(n + 2, sizeof(*a.is_reached));
	if (a.jumps && a.at && a.is_reached)
		translate(&a, number, decides);
	else
		c->err = -ENOMEM;
	free(a.jumps);
	free(a.at);
	free(a.is_reached);
}
