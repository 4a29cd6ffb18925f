/*
 * The names of IPv6 addresses that a start finds in the programs' maps.
 */
#include "fastpath_fixture.h"
#include "kept_programs.h"

#include "../../bridge/fastpath/heritage.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

/* What a start finds, and how many names its rules have; nobody has these. */
struct found {
	uint32_t nnames, live, client6;
	uint32_t named;
};

static void name(struct rules *rules, uint32_t n)
{
	be32 name;

	for (uint32_t i = 0; i < n; i++) {
		const struct ip6 ip = {{0x20, 1, [14] = (uint8_t)(i >> 8), (uint8_t)i}};

		ck_assert_int_eq(rules_name(rules, &ip, &name), 0);
	}
}

/* The names that its rules have then; map is where they were left. */
static uint32_t names_after(const struct found *found, int map)
{
	struct heritage heritage = {
	        .nnames = found->nnames, .live = found->live, .conf.client6 = found->client6};
	struct rules *rules = fixture_rules(2);
	uint32_t ret;

	name(rules, found->named);
	heritage.maps[LOADED_TABLE + TABLE_NAMES] = map;
	ck_assert_int_eq(heritage_name(&heritage, rules), 0);
	ret = rules->nnames;
	rules_free(rules);
	return ret;
}

START_TEST(names_are_inherited_while_that_leaves_room)
{
	enum { HALF = RULES_NAMES_MAX / 2 };
	static const struct {
		struct found found;
		uint32_t after;
	} cases[] = {
	        {{3, 1, 1, 0}, 3},
	        {{3, 0, 1, 0}, 0},
	        {{HALF, 1, 1, 0}, HALF},
	        {{HALF + 1, 1, 1, 0}, 0},
	        /* neither has any IPv6; only the rules have */
	        {{3, 1, 0, 0}, 0},
	        {{3, 1, 0, 1}, 3},
	        /* with those of the rules as many as there may be, and one more */
	        {{HALF - 1, 1, 1, HALF + 1}, HALF - 1},
	        {{HALF, 1, 1, HALF + 1}, HALF + 1},
	};

	int map;

	if (!begin(true))
		return;
	map = bpf_object__find_map_fd_by_name(maps.loaded.object,
	                                      loaded_map_name(LOADED_TABLE + TABLE_NAMES));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(names_after(&cases[i].found, map) == cases[i].after, "case %zu", i);
	end();
}
END_TEST

/* Who had no IPv6 has room for one. */
START_TEST(names_that_are_not_there_are_not_read)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	int map;

	if (!begin(false))
		return;
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "one", sizeof(uint32_t), sizeof(struct ip6), 1,
	                     &options);
	ck_assert_int_ge(map, 0);
	ck_assert_uint_eq(names_after(&(struct found){1, 1, 1, 0}, map), 1);
	ck_assert_uint_eq(names_after(&(struct found){2, 1, 1, 0}, map), 0);
	close(map);
	end();
}
END_TEST

Suite *fastpath_names_suite(void)
{
	const TTest *const tests[] = {
	        names_are_inherited_while_that_leaves_room,
	        names_that_are_not_there_are_not_read,
	        NULL,
	};

	return suite_of_programs("fastpath_names", tests, true);
}
