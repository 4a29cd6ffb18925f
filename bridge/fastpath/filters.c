/*
 * Filters in the kernel, as the process sees them.
 *
 * The maps have several parts, and each program names one of them; so all filters of a side change
 * in the moment in which its program is exchanged. Only a part that no attached program can name is
 * written. As this process, or the one before, may have died when one side's program was exchanged
 * and the other's wasn't, the maps themselves say which parts may be named.
 *
 * To load a program is the only thing that the process needs of bpf() after its start.
 */
#include "filters.h"

#include "asking.h"
#include "expression.h"
#include "../process/log.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void filters_begin(struct filters *filters, const struct loaded *loaded)
{
	*filters = (struct filters){.loaded = loaded, .conf = loaded->maps[LOADED_CONF].at};
	for (unsigned side = 0; side < NSIDES; side++)
		filters->programs[side] = filters->next[side] = -1;
}

static void close_all(int programs[NSIDES])
{
	for (unsigned side = 0; side < NSIDES; side++) {
		if (programs[side] >= 0)
			close(programs[side]);
		programs[side] = -1;
	}
}

void filters_close(struct filters *filters)
{
	if (!filters->loaded)
		return;
	close_all(filters->programs);
	close_all(filters->next);
}

/* ---- Loading ---- */

static int load(const struct asking *asking)
{
	enum { TRIES = 5 }; /* as libbpf has it: the verifier gives up for a signal */
	union bpf_attr attr;
	long fd = -1;

	memset(&attr, 0, sizeof(attr)); /* all of it, which the kernel checks */
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.insn_cnt = asking->code.n;
	attr.insns = (uint64_t)(uintptr_t)asking->code.insns;
	attr.license = (uint64_t)(uintptr_t) "GPL";
	memcpy(attr.prog_name, "filters", sizeof("filters"));
	for (unsigned n = 0; n < TRIES && fd < 0 && (n == 0 || errno == EAGAIN); n++)
		fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}

/* If a match of the filter ends the search: not if it only counts. */
static bool decides(const struct rules_filter *filter)
{
	return filter->action != ON_MATCH_COUNT;
}

static void ask_all(struct asking *asking, const struct rules *rules, enum side side,
                    const struct expression *expressions)
{
	for (unsigned i = 0; i < rules->nfilters; i++)
		if (rules->filters[i].sides >> side & 1)
			asking_add(asking, expressions[i].instructions, expressions[i].n, i,
			           decides(&rules->filters[i]));
}

static int prepare(const struct filters *filters, const struct rules *rules, enum side side,
                   const struct expression *expressions)
{
	const struct bpf_object *object = filters->loaded->image;
	const struct bpf_program *image = bpf_object__find_program_by_name(object, "filter_image");
	struct asking asking;
	struct sieve *sieve;
	int ret = sieve_new(expressions, rules_filters_of(rules, side), &sieve);

	if (ret)
		return ret;
	asking_begin(&asking, bpf_object__find_map_fd_by_name(object, "filter_images"),
	             filters->next_part, sieve);
	ask_all(&asking, rules, side, expressions);
	ret = asking_end(&asking, bpf_program__insns(image),
	                 (uint32_t)bpf_program__insn_cnt(image));
	if (!ret)
		ret = load(&asking);
	asking_free(&asking);
	sieve_free(sieve);
	return ret;
}

/* A part that no program names. If each may be named, which takes as many deaths in the middle of
 * an exchange, any. */
static uint32_t free_part(const struct filters *filters)
{
	uint32_t part = 0;

	while (part < FILTER_PARTS - 1 && filters->conf->filters_parts >> part & 1)
		part++;
	return part;
}

int filters_prepare(struct filters *filters, const struct rules *rules)
{
	struct expression expressions[RULES_FILTERS_MAX] = {{0}};
	char why[EXPRESSION_WHY_BYTES];
	int err = 0;

	close_all(filters->next);
	filters->next_part = free_part(filters);
	for (unsigned i = 0; i < rules->nfilters && !err; i++)
		err = expression_compile(&rules->filters[i], &expressions[i], why);
	for (unsigned side = 0; rules->nfilters && side < NSIDES && !err; side++) {
		filters->next[side] = prepare(filters, rules, (enum side)side, expressions);
		err = filters->next[side] < 0 ? filters->next[side] : 0;
	}
	for (unsigned i = 0; i < rules->nfilters; i++)
		expression_free(&expressions[i]);
	if (err)
		close_all(filters->next);
	return err;
}

/* ---- Using ---- */

static struct fastpath_filter *filter_at(const struct filters *filters, uint32_t part, unsigned i)
{
	return (struct fastpath_filter *)filters->loaded->maps[LOADED_FILTERS].at +
	       part * FILTER_PART + i;
}

static struct fastpath_filter_seen *seen_at(const struct filters *filters, uint32_t part,
                                            unsigned i)
{
	return (struct fastpath_filter_seen *)filters->loaded->maps[LOADED_FILTER_SEEN].at +
	       part * FILTER_PART + i;
}

/* The bucket begins full. */
static struct fastpath_filter made_of(const struct rules_filter *rule, lb_time now)
{
	struct fastpath_filter ret = {.action = rule->action, .log = rule->log};

	if (!rule->rate)
		return ret;
	ret.cost_ns = LB_NS_PER_S / rule->rate;
	ret.depth_ns = ret.cost_ns > LB_NS_PER_S ? ret.cost_ns : LB_NS_PER_S;
	ret.paid_ns = now.ns - ret.depth_ns;
	return ret;
}

/* The filter of that name that is in force, or NULL. */
static const struct filters_kept *find(const struct filters *filters, const char *name)
{
	for (unsigned i = 0; i < filters->n; i++)
		if (!strcmp(filters->kept[i].name, name))
			return &filters->kept[i];
	return NULL;
}

/* Adds to ret what the program that names the part has counted, at that place of it. */
static void add_counts(const struct filters *filters, uint32_t part, int place,
                       struct fastpath_filter_counts *ret)
{
	const struct object_memory *map = &filters->loaded->maps[LOADED_FILTER_COUNTS];
	const struct fastpath_filter_counts *counts = map->at;
	uint32_t at = part * FILTER_PART + (uint32_t)place;

	for (; place >= 0 && at < map->elements; at += FILTER_PARTS * FILTER_PART) {
		const uint64_t last = __atomic_load_n(&counts[at].last_ns, __ATOMIC_RELAXED);

		ret->matched += __atomic_load_n(&counts[at].matched, __ATOMIC_RELAXED);
		ret->over += __atomic_load_n(&counts[at].over, __ATOMIC_RELAXED);
		ret->dropped += __atomic_load_n(&counts[at].dropped, __ATOMIC_RELAXED);
		if (last > ret->last_ns)
			ret->last_ns = last;
	}
}

/* What was counted in the part before counts as `before` from now on: nobody names it any more. */
static void settle(struct filters *filters)
{
	for (unsigned i = 0; i < filters->n; i++) {
		struct filters_kept *kept = &filters->kept[i];

		add_counts(filters, filters->part_before, kept->place_before, &kept->before);
		kept->place_before = -1;
	}
}

/* Filter i of rules in the part that is next. */
static void fill(const struct filters *filters, const struct rules_filter *rule, unsigned i,
                 lb_time now, struct filters_kept *ret)
{
	struct fastpath_filter *filter = filter_at(filters, filters->next_part, i), *before;
	const struct filters_kept *old = find(filters, rule->name);

	*ret = (struct filters_kept){.place = (int)i, .place_before = -1};
	memcpy(ret->name, rule->name, sizeof(ret->name));
	*filter = made_of(rule, now);
	*seen_at(filters, filters->next_part, i) =
	        (struct fastpath_filter_seen){.wanted = rule->log};
	if (!old)
		return;
	ret->before = old->before;
	ret->place_before = old->place;
	if (old->place < 0)
		return;
	before = filter_at(filters, filters->part, (unsigned)old->place);
	if (before->cost_ns == filter->cost_ns)
		filter->paid_ns = before->paid_ns;
}

static void clear_counts(const struct filters *filters, uint32_t part)
{
	const struct object_memory *map = &filters->loaded->maps[LOADED_FILTER_COUNTS];
	struct fastpath_filter_counts *counts = map->at;

	for (uint32_t at = part * FILTER_PART; at < map->elements; at += FILTER_PARTS * FILTER_PART)
		memset(&counts[at], 0, FILTER_PART * sizeof(*counts));
}

/* In the maps, where it is left if this process dies. */
static void note_parts(const struct filters *filters, uint32_t parts)
{
	__atomic_store_n(&filters->conf->filters_parts, parts, __ATOMIC_SEQ_CST);
}

void filters_use(struct filters *filters, const struct rules *rules, lb_time now, int old[NSIDES])
{
	struct filters_kept kept[RULES_FILTERS_MAX];

	settle(filters); /* if it is due: filters_used() may not have been */
	clear_counts(filters, filters->next_part);
	for (unsigned i = 0; i < rules->nfilters; i++)
		fill(filters, &rules->filters[i], i, now, &kept[i]);
	memcpy(filters->kept, kept, rules->nfilters * sizeof(*kept));
	filters->n = rules->nfilters;
	filters->part_before = filters->part;
	filters->part = filters->next_part;
	note_parts(filters, filters->conf->filters_parts | 1u << filters->part);
	for (unsigned side = 0; side < NSIDES; side++) {
		old[side] = filters->programs[side];
		filters->programs[side] = filters->next[side];
		filters->next[side] = -1;
	}
}

void filters_used(struct filters *filters)
{
	settle(filters);
	note_parts(filters, 1u << filters->part);
}

void filters_drop(struct filters *filters)
{
	close_all(filters->programs);
}

void filters_forgo(struct filters *filters, const struct rules *rules)
{
	struct filters_kept kept[RULES_FILTERS_MAX];

	for (unsigned i = 0; i < rules->nfilters; i++) {
		const struct filters_kept *old = find(filters, rules->filters[i].name);

		kept[i] = old ? *old : (struct filters_kept){.place = -1, .place_before = -1};
		memcpy(kept[i].name, rules->filters[i].name, sizeof(kept[i].name));
	}
	memcpy(filters->kept, kept, rules->nfilters * sizeof(*kept));
	filters->n = rules->nfilters;
}

/* ---- Asking ---- */

void filters_count(const struct filters *filters, unsigned filter,
                   struct fastpath_filter_counts *ret)
{
	const struct filters_kept *kept = &filters->kept[filter];

	*ret = (struct fastpath_filter_counts){0};
	if (filter >= filters->n)
		return;
	*ret = kept->before;
	add_counts(filters, filters->part_before, kept->place_before, ret);
	add_counts(filters, filters->part, kept->place, ret);
}

bool filters_see(struct filters *filters, unsigned filter, struct fastpath_filter_seen *ret)
{
	struct fastpath_filter_seen *seen;

	if (filter >= filters->n || filters->kept[filter].place < 0)
		return false;
	seen = seen_at(filters, filters->part, (unsigned)filters->kept[filter].place);
	if (!__atomic_load_n(&seen->ready, __ATOMIC_ACQUIRE))
		return false;
	*ret = *seen;
	__atomic_store_n(&seen->ready, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&seen->wanted, 1, __ATOMIC_RELEASE);
	return true;
}
