/*
 * What has matched is in the image, and not in a register, of which the verifier would look at each
 * possible value.
 */
#include "asking.h"

#include "classic.h"
#include "shared.h"
#include "sifting.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

enum { STACK_KEY = CLASSIC_STACK };

static void leave(struct code *c)
{
	code_set(c, BPF_REG_0, (uint32_t)TC_ACT_UNSPEC);
	code_add(c, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

static void tell(struct code *c, unsigned from, unsigned word)
{
	code_add(c, BPF_STX | BPF_MEM | BPF_W, CLASSIC_CONTEXT, from,
	         (int)(offsetof(struct __sk_buff, cb) + word * sizeof(uint32_t)));
}

/* Appends what leaves to the programs behind which filters have matched. */
static void finish(struct asking *asking)
{
	struct code *c = &asking->code;

	code_add(c, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, CLASSIC_IMAGE,
	         offsetof(struct filter_image, packets));
	code_add_imm(c, BPF_ALU | BPF_LSH | BPF_K, BPF_REG_1, FILTER_PARTS_SHIFT);
	code_add_imm(c, BPF_ALU | BPF_OR | BPF_K, BPF_REG_1, asking->part);
	tell(c, BPF_REG_1, FASTPATH_CB_PACKETS);
	code_add(c, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, CLASSIC_IMAGE,
	         offsetof(struct filter_image, matched));
	tell(c, BPF_REG_1, FASTPATH_CB_MATCHED);
	code_add_imm(c, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_1, 32);
	tell(c, BPF_REG_1, FASTPATH_CB_MATCHED + 1);
	leave(c);
}

static void leave_without(struct code *c, unsigned reg)
{
	code_add_all(c, BPF_JMP | BPF_JNE | BPF_K, reg, 0, 2, 0);
	leave(c);
}

static void find_image(struct code *c, int images)
{
	code_add_imm(c, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0);
	code_add(c, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_1, STACK_KEY);
	code_set_wide(c, BPF_REG_1, BPF_PSEUDO_MAP_FD, (uint32_t)images);
	code_move(c, BPF_REG_2, BPF_REG_10);
	code_add_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, (uint32_t)STACK_KEY);
	code_call(c, BPF_FUNC_map_lookup_elem);
	leave_without(c, BPF_REG_0);
	code_move(c, CLASSIC_IMAGE, BPF_REG_0);
}

/* Of a function of this program, which is appended in the end; a frame without an answer is let
 * go. */
static uint32_t call(struct code *c)
{
	code_add(c, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0);
	leave_without(c, BPF_REG_0);
	return c->n - 4;
}

void asking_begin(struct asking *asking, int images, uint32_t part, const struct sieve *sieve)
{
	struct code *c = &asking->code;

	*asking = (struct asking){
	        .part = part, .always = sieve_always(sieve), .images = images, .sieve = sieve};
	code_move(c, CLASSIC_CONTEXT, BPF_REG_1);
	code_set(c, BPF_REG_2, 0);
	tell(c, BPF_REG_2, FASTPATH_CB_MATCHED);
	tell(c, BPF_REG_2, FASTPATH_CB_MATCHED + 1);
	if (!asking->always) {
		asking->peek = call(c);
		code_move(c, BPF_REG_1, CLASSIC_CONTEXT);
	}
	asking->call = call(c);
	find_image(c, images);
	sifting_add(c, sieve, (uint32_t)TC_ACT_UNSPEC);
}

/* ---- Candidates ---- */

enum { GROUP = 8 }; /* filters of which a byte says if any of them is a candidate */

static void load_candidates(struct code *c, unsigned group)
{
	const unsigned byte = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? group : GROUP - 1 - group;

	code_add(c, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_1, CLASSIC_IMAGE,
	         (int)(offsetof(struct filter_image, candidates) + byte));
}

static void end_group(struct asking *asking)
{
	if (asking->past)
		code_land(&asking->code, asking->past);
	asking->past = 0;
}

/* Appends a jump over a whole group, for when it has no candidate. */
static void enter_group(struct asking *asking, unsigned number)
{
	struct code *c = &asking->code;

	if (asking->past && asking->group == number / GROUP)
		return;
	end_group(asking);
	asking->group = number / GROUP;
	load_candidates(c, asking->group);
	asking->past = c->n;
	code_add_all(c, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
}

/* Returns a jump past the filter, taken if it is no candidate. */
static uint32_t skip_unless_candidate(struct code *c, unsigned number)
{
	load_candidates(c, number / GROUP);
	code_add_all(c, BPF_JMP | BPF_JSET | BPF_K, BPF_REG_1, 0, 1, 1u << number % GROUP);
	code_add(c, BPF_JMP | BPF_JA, 0, 0, 0);
	return c->n - 1;
}

/* ---- Expressions ---- */

struct match {
	struct asking *asking;
	unsigned number;
	bool decides;
};

static void note_match(void *context)
{
	const struct match *match = context;
	struct code *c = &match->asking->code;

	code_set_wide(c, BPF_REG_1, 0, UINT64_C(1) << match->number);
	code_add(c, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, CLASSIC_IMAGE,
	         offsetof(struct filter_image, matched));
	code_add(c, BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_2, BPF_REG_1, 0);
	code_add(c, BPF_STX | BPF_MEM | BPF_DW, CLASSIC_IMAGE, BPF_REG_2,
	         offsetof(struct filter_image, matched));
	if (match->decides)
		finish(match->asking);
}

void asking_add(struct asking *asking, const struct sock_filter *expression, uint32_t n,
                unsigned number, bool decides)
{
	const bool is_asked_always = asking->always >> number & 1;
	struct match match = {asking, number, decides};
	uint32_t past = 0;
	bool may_not_match;

	if (asking->is_complete)
		return;
	enter_group(asking, number);
	if (!is_asked_always)
		past = skip_unless_candidate(&asking->code, number);
	may_not_match = classic_translate(&asking->code, expression, n, note_match, &match);
	if (!is_asked_always)
		code_land(&asking->code, past);
	asking->is_complete = is_asked_always && decides && !may_not_match;
}

/* ---- The frame itself ---- */

static void load(struct code *c, unsigned to, size_t member)
{
	code_add(c, BPF_LDX | BPF_MEM | BPF_W, to, CLASSIC_CONTEXT, (int)member);
}

/* Returns 1, if the context's member isn't 0. */
static void stay_with(struct code *c, size_t member)
{
	load(c, BPF_REG_1, member);
	code_add_all(c, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 2, 0);
	code_set(c, BPF_REG_0, 1);
	code_add(c, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

/*
 * The function that says if any filter may match. Most frames are let go by that: an image of them
 * would take longer than all else. What has a tag beside it, or was merged, isn't as an image of it
 * would be.
 */
static void append_peek(struct asking *asking)
{
	struct code *c = &asking->code;

	code_move(c, CLASSIC_CONTEXT, BPF_REG_1);
	stay_with(c, offsetof(struct __sk_buff, vlan_present));
	stay_with(c, offsetof(struct __sk_buff, gso_size));
	find_image(c, asking->images);
	load(c, SIFTING_DATA, offsetof(struct __sk_buff, data));
	load(c, SIFTING_END, offsetof(struct __sk_buff, data_end));
	sifting_add_peek(c, asking->sieve, 0);
	code_set(c, BPF_REG_0, 1);
	code_add(c, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

/* The function that is called there is appended next. */
static void land_call(struct code *c, uint32_t at)
{
	if (!c->err)
		c->insns[at].imm = (int32_t)(c->n - at - 1);
}

int asking_end(struct asking *asking, const struct bpf_insn *image, uint32_t n)
{
	struct code *c = &asking->code;

	if (!asking->is_complete || asking->past) {
		end_group(asking);
		finish(asking);
	}
	if (asking->peek) {
		land_call(c, asking->peek);
		append_peek(asking);
	}
	land_call(c, asking->call);
	for (uint32_t i = 0; i < n; i++)
		code_add_all(c, image[i].code, image[i].dst_reg, image[i].src_reg, image[i].off,
		             (uint32_t)image[i].imm);
	return c->err;
}

void asking_free(struct asking *asking)
{
	code_free(&asking->code);
}
