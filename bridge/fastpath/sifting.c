/*
 * The intervals of a field are found by a tree of comparisons. What a field leaves is written to
 * the image, and not kept in a register, of which the verifier would look at each possible value.
 */
#include "sifting.h"

#include "classic.h"
#include "shared.h"
#include "../../lb/wire.h"

#include <linux/bpf.h>
#include <stddef.h>

enum {
	REG_NUMBER = BPF_REG_0,
	REG_LEN = BPF_REG_4,
	IMAGE_BYTES = offsetof(struct filter_image, bytes),
	INTERVALS_MAX = 2 * SIEVE_CUTS + 1,
};

static_assert((int)SIEVE_FIELDS <= (int)FILTER_FIELDS, "what each field leaves has a place");

/* ---- A field's number ---- */

static uint32_t jump(struct code *c, unsigned op, unsigned dst, unsigned src, uint32_t imm)
{
	code_add_all(c, BPF_JMP | op, dst, src, 0, imm);
	return c->n - 1;
}

static unsigned size_of(const struct field *field)
{
	return field->bytes == 4 ? BPF_W : field->bytes == 2 ? BPF_H : BPF_B;
}

/* Each time anew, as the verifier would look at each range that a length can be in after what was
 * compared before. */
static void load_length(struct code *c)
{
	code_add(c, BPF_LDX | BPF_MEM | BPF_W, REG_LEN, CLASSIC_IMAGE,
	         offsetof(struct filter_image, len));
}

/* Returns the jump of a frame that is too short. */
static uint32_t load_at(struct code *c, const struct field *field)
{
	load_length(c);
	code_add(c, BPF_LDX | BPF_MEM | size_of(field), REG_NUMBER, CLASSIC_IMAGE,
	         IMAGE_BYTES + field->offset);
	return jump(c, BPF_JLT | BPF_K, REG_LEN, 0, (uint32_t)field->offset + field->bytes);
}

/*
 * The same. The length of a header that begins behind the end of a frame is of no consequence, as
 * no filter that needs the field gets beyond it. The field is in the image wherever it is; it is
 * loaded before anything is compared, since without CAP_PERFMON the verifier wants what is added to
 * a pointer to have the same bounds on all ways.
 */
static uint32_t load_behind(struct code *c, const struct field *field)
{
	load_length(c);
	code_add(c, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_1, CLASSIC_IMAGE,
	         IMAGE_BYTES + field->header);
	code_add_imm(c, BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 15);
	code_add_imm(c, BPF_ALU | BPF_LSH | BPF_K, BPF_REG_1, 2);
	code_move(c, BPF_REG_3, CLASSIC_IMAGE);
	code_add(c, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_3, BPF_REG_1, 0);
	code_add(c, BPF_LDX | BPF_MEM | size_of(field), REG_NUMBER, BPF_REG_3,
	         IMAGE_BYTES + field->offset);
	code_add_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1,
	             (uint32_t)field->offset + field->bytes);
	return jump(c, BPF_JGT | BPF_X, BPF_REG_1, REG_LEN, 0);
}

/* Jumps of frames whose number isn't known. */
struct unknown {
	uint32_t at[2];
	uint32_t n;
};

/* The same from the frame itself: behind an IPv4 header as nearly all are. */
static void peek(struct code *c, const struct field *field, struct unknown *ret)
{
	const uint32_t at = field->offset + (field->is_behind ? (uint32_t)IPV4_HEADER_BYTES : 0);

	code_move(c, BPF_REG_1, SIFTING_DATA);
	code_add_imm(c, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, at + field->bytes);
	ret->at[ret->n++] = jump(c, BPF_JGT | BPF_X, BPF_REG_1, SIFTING_END, 0);
	if (field->is_behind) {
		code_add(c, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_1, SIFTING_DATA, field->header);
		code_add_imm(c, BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 15);
		ret->at[ret->n++] = jump(c, BPF_JNE | BPF_K, BPF_REG_1, 0, IPV4_HEADER_BYTES / 4);
	}
	code_add(c, BPF_LDX | BPF_MEM | size_of(field), REG_NUMBER, SIFTING_DATA, (int)at);
}

/* ---- What it leaves ---- */

static int place_of(unsigned number)
{
	return (int)(offsetof(struct filter_image, left) + number * sizeof(uint64_t));
}

/* Loses R1. */
static void put(struct code *c, uint64_t filters, int place)
{
	if (filters == (uint64_t)(int32_t)filters) {
		code_add_all(c, BPF_ST | BPF_MEM | BPF_DW, CLASSIC_IMAGE, 0, place,
		             (uint32_t)filters);
		return;
	}
	code_set_wide(c, BPF_REG_1, 0, filters);
	code_add(c, BPF_STX | BPF_MEM | BPF_DW, CLASSIC_IMAGE, BPF_REG_1, place);
}

struct tree {
	const struct sieve_field *field;
	int place;
	uint32_t ends[INTERVALS_MAX]; /* jumps to what is behind it */
	uint32_t n;
};

/* Intervals from low to before high. Its depth is that of a search. */
static void grow(struct code *c, struct tree *tree, uint32_t low, uint32_t high)
{
	const uint32_t half = low + (high - low) / 2;
	uint32_t right;

	if (high - low == 1) {
		put(c, tree->field->filters[low], tree->place);
		tree->ends[tree->n++] = c->n;
		code_add(c, BPF_JMP | BPF_JA, 0, 0, 0);
		return;
	}
	right = c->n;
	code_add_all(c, BPF_JMP32 | BPF_JGE | BPF_K, REG_NUMBER, 0, 0, tree->field->from[half]);
	grow(c, tree, low, half);
	code_land(c, right);
	grow(c, tree, half, high);
}

/* All that it may leave. */
static uint64_t any(const struct sieve_field *field)
{
	uint64_t ret = 0;

	for (uint32_t i = 0; i < field->n; i++)
		ret |= field->filters[i];
	return ret;
}

static void look_up(struct code *c, const struct sieve_field *field, unsigned number, bool peeks)
{
	struct tree tree = {.field = field, .place = place_of(number)};
	struct unknown unknown = {.n = 0};

	if (peeks)
		peek(c, &field->field, &unknown);
	else
		unknown.at[unknown.n++] = field->field.is_behind ? load_behind(c, &field->field)
		                                                 : load_at(c, &field->field);
	if (field->field.bytes > 1)
		code_add_imm(c, BPF_ALU | BPF_END | BPF_TO_BE, REG_NUMBER, field->field.bytes * 8u);
	grow(c, &tree, 0, field->n);
	for (uint32_t i = 0; i < unknown.n; i++)
		code_land(c, unknown.at[i]);
	put(c, peeks ? any(field) : 0, tree.place);
	for (uint32_t i = 0; i < tree.n; i++)
		code_land(c, tree.ends[i]);
}

/* ---- Steps ---- */

static void sift(struct code *c, const struct sieve_step *step, uint32_t none, bool peeks)
{
	const int candidates = offsetof(struct filter_image, candidates);

	for (unsigned i = 0; i < step->n; i++)
		look_up(c, &step->fields[i], i, peeks);
	code_set_wide(c, BPF_REG_1, 0, step->always);
	for (unsigned i = 0; i < step->n; i++) {
		code_add(c, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, CLASSIC_IMAGE, place_of(i));
		code_add(c, BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_1, BPF_REG_2, 0);
	}
	code_add(c, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_2, CLASSIC_IMAGE, candidates);
	code_add(c, BPF_ALU64 | BPF_AND | BPF_X, BPF_REG_1, BPF_REG_2, 0);
	code_add(c, BPF_STX | BPF_MEM | BPF_DW, CLASSIC_IMAGE, BPF_REG_1, candidates);
	code_add_all(c, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 2, 0);
	code_set(c, BPF_REG_0, none);
	code_add(c, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

static void add(struct code *code, const struct sieve *sieve, uint32_t none, bool peeks)
{
	put(code, sieve->asked, offsetof(struct filter_image, candidates));
	for (uint32_t i = 0; i < sieve->n; i++)
		sift(code, &sieve->steps[i], none, peeks);
}

void sifting_add(struct code *code, const struct sieve *sieve, uint32_t none)
{
	add(code, sieve, none, false);
}

void sifting_add_peek(struct code *code, const struct sieve *sieve, uint32_t none)
{
	add(code, sieve, none, true);
}
