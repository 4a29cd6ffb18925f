/*
 * Instructions of the kernel's programs, one appended to the other.
 */
#ifndef BRIDGE_CODE_H
#define BRIDGE_CODE_H

#include <stdint.h>

struct bpf_insn;

/* A program in the making; zeros are an empty one. */
struct code {
	struct bpf_insn *insns; /* to be freed by code_free() */
	uint32_t n, room;
	int err; /* the first error, -ENOMEM or -E2BIG: all else does nothing then */
};

void code_free(struct code *code);

/* One instruction: the kernel's BPF_..., registers, distance and number. */
void code_add(struct code *code, unsigned op, unsigned dst, unsigned src, int off);
void code_add_imm(struct code *code, unsigned op, unsigned dst, uint32_t imm);
void code_add_all(struct code *code, unsigned op, unsigned dst, unsigned src, int off,
                  uint32_t imm);

/* From register to register, 64 bits. */
void code_move(struct code *code, unsigned dst, unsigned src);

/* A number of 32 bits, the rest being 0. */
void code_set(struct code *code, unsigned dst, uint32_t number);

/* A number of 64 bits, or with src = BPF_PSEUDO_MAP_FD a map. */
void code_set_wide(struct code *code, unsigned dst, unsigned src, uint64_t number);

/* A function of the kernel's. */
void code_call(struct code *code, uint32_t helper);

/*
 * A jump that was noted at `at` goes to what is appended next; or to the instruction with the
 * number `to`, further ahead. What is too far away is an error.
 */
void code_land(struct code *code, uint32_t at);
void code_land_at(struct code *code, uint32_t at, uint32_t to);

#endif
