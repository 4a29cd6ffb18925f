/*
 * The kernel takes about a second of a processor to check the fast path's programs, which are the
 * same in each test. The linker sends loaded_open() and guard_open() through here, as memory.c has
 * it: what has been loaded stays, and who asks for maps of the same size gets these, empty as new
 * ones are. What is about loading itself (old_kernel.h) has its own.
 */
#include "kept_programs.h"

#include "fixture.h"
#include "old_kernel.h"

#include "../../bridge/fastpath/guard.h"
#include "../../bridge/fastpath/maps.h"
#include "../../lb/way.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

enum { KEPT_MOST = 8 };

static struct program_set {
	struct loaded loaded;
	uint32_t elements[LOADED_MAPS];
	struct loaded_guard guard;
} all_kept[KEPT_MOST];

static unsigned nkept;
static struct guard *kept_guard;

int __real_loaded_open(struct loaded *loaded, const uint32_t elements[LOADED_MAPS],
                       const int reuse[LOADED_MAPS], const struct loaded_guard *guard);
void __real_loaded_close(struct loaded *loaded);
int __real_guard_open(const struct rules *rules, struct guard **ret);
void __real_guard_close(struct guard *guard);

int __wrap_loaded_open(struct loaded *loaded, const uint32_t elements[LOADED_MAPS],
                       const int reuse[LOADED_MAPS], const struct loaded_guard *guard);
void __wrap_loaded_close(struct loaded *loaded);
int __wrap_guard_open(const struct rules *rules, struct guard **ret);
void __wrap_guard_close(struct guard *guard);

static struct loaded_guard guard_or_none(const struct loaded_guard *guard)
{
	return guard ? *guard : (struct loaded_guard){{-1, -1, -1}};
}

static struct program_set *find(const uint32_t elements[LOADED_MAPS],
                                const struct loaded_guard *guard)
{
	for (struct program_set *kept = all_kept; kept < all_kept + nkept; kept++)
		if (memcmp(kept->elements, elements, sizeof(kept->elements)) == 0 &&
		    memcmp(&kept->guard, guard, sizeof(*guard)) == 0)
			return kept;
	return NULL;
}

/* As if no process had been there. */
static void empty(const struct loaded *loaded)
{
	const int attendant = bpf_object__find_map_fd_by_name(loaded->object, "attendant");

	for (uint32_t side = 0; side < NSIDES; side++)
		bpf_map_delete_elem(attendant, &side);
	for (unsigned i = 0; i < LOADED_MAPS; i++)
		memset(loaded->maps[i].at, 0, loaded->maps[i].bytes);
}

static void keep(const struct loaded *loaded, const uint32_t elements[LOADED_MAPS],
                 const struct loaded_guard *guard)
{
	struct program_set *kept = &all_kept[nkept++];

	kept->loaded = *loaded;
	kept->guard = *guard;
	memcpy(kept->elements, elements, sizeof(kept->elements));
}

static bool reuses_any(const int reuse[LOADED_MAPS])
{
	for (unsigned i = 0; i < LOADED_MAPS; i++)
		if (reuse[i] >= 0)
			return true;
	return false;
}

int __wrap_loaded_open(struct loaded *loaded, const uint32_t elements[LOADED_MAPS],
                       const int reuse[LOADED_MAPS], const struct loaded_guard *guard)
{
	const struct loaded_guard theirs = guard_or_none(guard);
	const bool own = old_kernel_refuses() || reuses_any(reuse) || nkept == KEPT_MOST;
	const struct program_set *kept = own ? NULL : find(elements, &theirs);
	int err;

	if (!kept) {
		err = __real_loaded_open(loaded, elements, reuse, guard);
		if (!own && err == 0)
			keep(loaded, elements, &theirs);
		return err;
	}
	*loaded = kept->loaded;
	empty(loaded);
	return 0;
}

void __wrap_loaded_close(struct loaded *loaded)
{
	for (unsigned i = 0; i < nkept; i++)
		if (loaded->object && all_kept[i].loaded.object == loaded->object)
			return;
	__real_loaded_close(loaded);
}

int __wrap_guard_open(const struct rules *rules, struct guard **ret)
{
	int err;

	if (kept_guard && rules_has_stack(rules)) {
		*ret = kept_guard;
		return guard_set_rules(kept_guard, rules);
	}
	err = __real_guard_open(rules, ret);
	if (err == 0 && rules_has_stack(rules))
		kept_guard = *ret;
	return err;
}

void __wrap_guard_close(struct guard *guard)
{
	if (guard != kept_guard)
		__real_guard_close(guard);
}

/* Of fastpath_fixture.h's kinds of rules. False if that can't be. */
static bool load(enum rules_mode mode, bool ipv6)
{
	struct rules *rules = fixture_rules(2);
	struct maps maps = {0};
	struct loaded_guard theirs;
	struct guard *guard = NULL;
	int err = 0;

	if (ipv6)
		fixture_make_ipv6(rules);
	rules->mode = mode;
	way_settle(rules);
	if (mode != MODE_TRANSPARENT && (err = guard_open(rules, &guard)) == 0)
		theirs = guard_maps(guard);
	if (!err) {
		err = maps_open(&maps, rules, &share_whole, 1, NULL, guard ? &theirs : NULL);
		maps_close(&maps);
	}
	guard_close(guard);
	rules_free(rules);
	return !err;
}

static void load_cables(void)
{
	load(MODE_TRANSPARENT, false);
}

static void load_all(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (!load(MODE_TRANSPARENT, i) || !load(MODE_ROUTED, i))
			return;
}

Suite *suite_of_programs(const char *name, const TTest *const *tests, bool all)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);

	tcase_add_unchecked_fixture(tcase, all ? load_all : load_cables, NULL);
	for (; *tests; tests++)
		tcase_add_test(tcase, *tests);
	suite_add_tcase(suite, tcase);
	return suite;
}
