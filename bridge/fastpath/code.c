#include "code.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

enum { CODE_MAX = 1 << 20, CODE_FIRST = 256 }; /* instructions: the most that the kernel looks at */

void code_free(struct code *code)
{
	free(code->insns);
	*code = (struct code){0};
}

static void grow(struct code *code)
{
	const uint32_t room = code->room ? 2 * code->room : CODE_FIRST;
	struct bpf_insn *insns =
	        room <= CODE_MAX ? realloc(code->insns, room * sizeof(*insns)) : NULL;

	if (!insns)
		code->err = room <= CODE_MAX ? -ENOMEM : -E2BIG;
	else
		code->insns = insns, code->room = room;
}

void code_add_all(struct code *code, unsigned op, unsigned dst, unsigned src, int off, uint32_t imm)
{
	if (code->n == code->room && !code->err)
		grow(code);
	if (code->err)
		return;
	code->insns[code->n++] = (struct bpf_insn){.code = (uint8_t)op,
	                                           .dst_reg = dst & 15u,
	                                           .src_reg = src & 15u,
	                                           .off = (int16_t)off,
	                                           .imm = (int32_t)imm};
}

void code_add(struct code *code, unsigned op, unsigned dst, unsigned src, int off)
{
	code_add_all(code, op, dst, src, off, 0);
}

void code_add_imm(struct code *code, unsigned op, unsigned dst, uint32_t imm)
{
	code_add_all(code, op, dst, 0, 0, imm);
}

void code_move(struct code *code, unsigned dst, unsigned src)
{
	code_add(code, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0);
}

void code_set(struct code *code, unsigned dst, uint32_t number)
{
	code_add_imm(code, BPF_ALU | BPF_MOV | BPF_K, dst, number);
}

void code_set_wide(struct code *code, unsigned dst, unsigned src, uint64_t number)
{
	code_add_all(code, BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, (uint32_t)number);
	code_add_imm(code, 0, 0, (uint32_t)(number >> 32));
}

void code_call(struct code *code, uint32_t helper)
{
	code_add_imm(code, BPF_JMP | BPF_CALL, 0, helper);
}

void code_land_at(struct code *code, uint32_t at, uint32_t to)
{
	const uint32_t distance = to - at - 1;

	if (code->err)
		return;
	if (distance > INT16_MAX)
		code->err = -E2BIG;
	else
		code->insns[at].off = (int16_t)distance;
}

void code_land(struct code *code, uint32_t at)
{
	code_land_at(code, at, code->n);
}
