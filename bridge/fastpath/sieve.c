#include "sieve.h"

#include "../../lb/bytes.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Making it ---- */

/* A cut of a filter. */
struct entry {
	uint32_t low, high;
	uint64_t filter;
};

struct list {
	struct field field;
	uint32_t n;
	struct entry *entries; /* room for SIEVE_CUTS */
};

/* A step in the making. */
struct draft {
	uint64_t always;
	uint32_t n;
	struct list lists[SIEVE_FIELDS];
};

/* The list of a field, perhaps a new one; NULL if there is no room for it. */
static struct list *list_of(struct draft *draft, const struct field *field)
{
	for (uint32_t i = 0; i < draft->n; i++)
		if (field_is(&draft->lists[i].field, field))
			return &draft->lists[i];
	if (draft->n == SIEVE_FIELDS)
		return NULL;
	draft->lists[draft->n].field = *field;
	return &draft->lists[draft->n++];
}

static int add(struct draft *draft, const struct cut *cut, uint64_t filter)
{
	struct list *list = list_of(draft, &cut->field);

	if (!list || list->n == SIEVE_CUTS) {
		draft->always |= filter;
		return 0;
	}
	if (!list->entries)
		list->entries = calloc(SIEVE_CUTS, sizeof(*list->entries));
	if (!list->entries)
		return -ENOMEM;
	list->entries[list->n++] = (struct entry){cut->low, cut->high, filter};
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Where intervals begin, each once. */
static uint32_t begin_intervals(const struct list *list, uint32_t *from)
{
	uint32_t n = 0, kept = 0;

	from[n++] = 0;
	for (uint32_t i = 0; i < list->n; i++) {
		from[n++] = list->entries[i].low;
		if (list->entries[i].high != UINT32_MAX)
			from[n++] = list->entries[i].high + 1;
	}
	qsort(from, n, sizeof(*from), by_number);
	for (uint32_t i = 1; i < n; i++)
		if (from[i] != from[kept])
			from[++kept] = from[i];
	return kept + 1;
}

static uint32_t find(const uint32_t *from, uint32_t n, uint32_t number)
{
	uint32_t at = 0;

	while (n > 1) {
		const uint32_t half = n / 2;

		at += from[at + half] <= number ? half : 0;
		n -= half;
	}
	return at;
}

/* Neighbours that leave the same become one. */
static void join(struct sieve_field *field)
{
	uint32_t kept = 0;

	for (uint32_t i = 1; i < field->n; i++) {
		if (field->filters[i] == field->filters[kept])
			continue;
		kept++;
		field->from[kept] = field->from[i];
		field->filters[kept] = field->filters[i];
	}
	field->n = kept + 1;
}

static int make_field(struct sieve_field *ret, const struct list *list)
{
	ret->field = list->field;
	ret->from = calloc(2 * list->n + 1, sizeof(*ret->from));
	ret->filters = calloc(2 * list->n + 1, sizeof(*ret->filters));
	if (!ret->from || !ret->filters)
		return -ENOMEM;
	ret->n = begin_intervals(list, ret->from);
	for (uint32_t i = 0; i < list->n; i++) {
		const struct entry *entry = &list->entries[i];

		for (uint32_t k = find(ret->from, ret->n, entry->low);
		     k < ret->n && ret->from[k] <= entry->high; k++)
			ret->filters[k] |= entry->filter;
	}
	join(ret);
	return 0;
}

/* A step that all pass is none. */
static int make_step(struct sieve *sieve, const struct draft *draft)
{
	struct sieve_step *step = &sieve->steps[sieve->n];
	int err = 0;

	if ((draft->always & sieve->asked) == sieve->asked)
		return 0;
	sieve->n++;
	step->always = draft->always;
	for (uint32_t i = 0; i < draft->n && !err; i++)
		if (draft->lists[i].n)
			err = make_field(&step->fields[step->n++], &draft->lists[i]);
	return err;
}

static int add_filter(struct draft *drafts, const struct expression *expression, uint64_t filter)
{
	struct cuts cuts;
	int err = cuts_find(expression->instructions, expression->n, &cuts);

	if (err)
		return err;
	for (unsigned kind = 0; kind < CUTS_KINDS && !err; kind++) {
		if (!cuts.cuts[kind])
			drafts[kind].always |= filter;
		for (uint32_t i = 0; i < cuts.n[kind] && !err; i++)
			err = add(&drafts[kind], &cuts.cuts[kind][i], filter);
	}
	cuts_free(&cuts);
	return err;
}

static int make(struct sieve *sieve, struct draft *drafts, const struct expression *expressions)
{
	int err = 0;

	for (unsigned i = 0; i < RULES_FILTERS_MAX && !err; i++)
		if (sieve->asked >> i & 1)
			err = add_filter(drafts, &expressions[i], UINT64_C(1) << i);
	for (unsigned kind = 0; kind < CUTS_KINDS && !err; kind++)
		err = make_step(sieve, &drafts[kind]);
	for (unsigned kind = 0; kind < CUTS_KINDS; kind++)
		for (uint32_t i = 0; i < drafts[kind].n; i++)
			free(drafts[kind].lists[i].entries);
	return err;
}

int sieve_new(const struct expression *expressions, uint64_t asked, struct sieve **ret)
{
	struct sieve *sieve = calloc(1, sizeof(*sieve));
	struct draft *drafts = calloc(CUTS_KINDS, sizeof(*drafts));
	int err = -ENOMEM;

	*ret = NULL;
	if (sieve && drafts) {
		sieve->asked = asked;
		err = make(sieve, drafts, expressions);
	}
	free(drafts);
	if (err)
		sieve_free(sieve);
	else
		*ret = sieve;
	return err;
}

void sieve_free(struct sieve *sieve)
{
	for (uint32_t i = 0; sieve && i < sieve->n; i++) {
		for (uint32_t k = 0; k < sieve->steps[i].n; k++) {
			free(sieve->steps[i].fields[k].from);
			free(sieve->steps[i].fields[k].filters);
		}
	}
	free(sieve);
}

/* ---- A frame ---- */

/* The field's number; false if the frame is too short. */
static bool load(const struct field *field, const uint8_t *data, uint32_t len, uint32_t *ret)
{
	uint32_t at = field->offset;

	if (field->is_behind) {
		if (field->header >= len)
			return false;
		at += (data[field->header] & 15u) * 4;
	}
	if (at + field->bytes > len)
		return false;
	if (field->bytes == 1)
		*ret = data[at];
	else if (field->bytes == 2)
		*ret = be16_get(be16_load(data + at));
	else
		*ret = be32_get(be32_load(data + at));
	return true;
}

uint64_t sieve_pass(const struct sieve *sieve, const uint8_t *data, uint32_t len)
{
	uint64_t ret = sieve->asked;

	for (uint32_t i = 0; i < sieve->n && ret; i++) {
		const struct sieve_step *step = &sieve->steps[i];
		uint64_t left = step->always;
		uint32_t number;

		for (uint32_t k = 0; k < step->n; k++) {
			const struct sieve_field *field = &step->fields[k];

			if (load(&field->field, data, len, &number))
				left |= field->filters[find(field->from, field->n, number)];
		}
		ret &= left;
	}
	return ret;
}

uint64_t sieve_always(const struct sieve *sieve)
{
	uint64_t ret = sieve->asked;

	for (uint32_t i = 0; i < sieve->n; i++)
		ret &= sieve->steps[i].always;
	return ret;
}
