/*
 * What an earlier process has left.
 *
 * Pins are made one by one, so a process that died at its start may have left those of two tables
 * side by side. Hence `conf`, which is pinned last, says which maps belong to it. What is in the
 * maps is looked at by lb/adopt.c, which believes nothing; here it only matters that they have the
 * sizes and meanings that this process would give them.
 */
#include "heritage.h"

#include "../../lb/flows.h"
#include "../../lb/takeover.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

/* The most names of IPv6 addresses that a start takes over. Reloads only add to these, until there
 * are too many and only a start can give them up: so a start must leave room for reloads. */
enum { HERITAGE_NAMES_MAX = RULES_NAMES_MAX / 2 };

static bool describe(int map, struct bpf_map_info *ret)
{
	uint32_t bytes = sizeof(*ret);

	*ret = (struct bpf_map_info){0};
	return bpf_obj_get_info_by_fd(map, ret, &bytes) == 0;
}

bool heritage_read_conf(const struct pins *pins, struct fastpath_conf *ret)
{
	const uint32_t zero = 0;
	int map = pins_get(pins, loaded_map_name(LOADED_CONF));
	struct bpf_map_info info;
	bool found = map >= 0 && describe(map, &info) && info.value_size == sizeof(*ret) &&
	             bpf_map_lookup_elem(map, &zero, ret) == 0;

	if (map >= 0)
		close(map);
	return found;
}

bool heritage_read(const struct pins *pins, struct fastpath_conf *ret)
{
	return heritage_read_conf(pins, ret) && ret->layout == FASTPATH_LAYOUT;
}

static bool read_conf(struct heritage *heritage)
{
	const uint32_t zero = 0;
	const int map = heritage->maps[LOADED_CONF];
	struct bpf_map_info info;

	if (map < 0 || !describe(map, &info))
		return false;
	heritage->other_layout = true;
	if (info.value_size != sizeof(heritage->conf) ||
	    bpf_map_lookup_elem(map, &zero, &heritage->conf) < 0)
		return false;
	if (heritage->conf.layout == FASTPATH_GIVEN_UP) {
		heritage->other_layout = false;
		return false;
	}
	heritage->other_layout = heritage->conf.layout != FASTPATH_LAYOUT;
	return !heritage->other_layout && heritage->conf.share.n >= 1 &&
	       heritage->conf.share.n <= RULES_WORKERS_MAX;
}

/* Those that belong to conf, with elements of the sizes that they have here. */
static bool are_whole(struct heritage *heritage)
{
	for (unsigned i = 0; i < LOADED_MAPS; i++) {
		const bool may_be_others = loaded_is_ip6(i) && !heritage->conf.client6;
		struct bpf_map_info info;

		if (heritage->maps[i] < 0 || !describe(heritage->maps[i], &info) ||
		    info.value_size != loaded_element_bytes(i) ||
		    (info.id != heritage->conf.maps[i] && !may_be_others))
			return false;
		heritage->elements[i] = info.max_entries;
	}
	return true;
}

/* Whatever the worker: all have the same key. */
static bool read_head(struct heritage *heritage)
{
	const uint32_t zero = 0;
	struct table_head head;

	if (bpf_map_lookup_elem(heritage->maps[LOADED_TABLE + TABLE_HEAD], &zero, &head) < 0)
		return false;
	heritage->other_layout = head.layout != TABLE_LAYOUT;
	heritage->key = (struct hash_key){{head.key[0], head.key[1]}};
	heritage->nnames = head.nnames;
	return !heritage->other_layout;
}

/* All of the map, to be read; or NULL. munmap() is due. */
static const void *look_into(int map, const struct bpf_map_info *info)
{
	const void *at = mmap(NULL, (size_t)info->max_entries * info->value_size, PROT_READ,
	                      MAP_SHARED, map, 0);

	return at != MAP_FAILED ? at : NULL;
}

static uint32_t count_live(int map)
{
	struct bpf_map_info info;
	const struct flow *flows;
	uint32_t n = 0;

	if (!describe(map, &info) || !(flows = look_into(map, &info)))
		return 0;
	for (uint32_t f = 0; f < info.max_entries; f++) {
		const enum flow_state state = flow_life_state(BOTH_READ(flows[f].life));

		n += state == FLOW_OPEN || state == FLOW_CLOSING;
	}
	munmap((void *)flows, (size_t)info.max_entries * sizeof(*flows));
	return n;
}

void heritage_none(struct heritage *heritage)
{
	*heritage = (struct heritage){0};
	memset(heritage->maps, 0xff, sizeof(heritage->maps)); /* -1 */
}

void heritage_find(struct heritage *heritage, const struct pins *pins)
{
	*heritage = (struct heritage){0};
	for (unsigned i = 0; i < LOADED_MAPS; i++)
		heritage->maps[i] = pins_get(pins, loaded_map_name(i));
	heritage->any = read_conf(heritage) && are_whole(heritage) && read_head(heritage);
	if (heritage->any)
		heritage->live = count_live(heritage->maps[LOADED_TABLE + TABLE_FLOWS]);
}

void heritage_close(struct heritage *heritage)
{
	for (unsigned i = 0; i < LOADED_MAPS; i++)
		if (heritage->maps[i] >= 0)
			close(heritage->maps[i]);
	heritage_none(heritage);
}

int heritage_name(const struct heritage *heritage, struct rules *rules)
{
	const int map = heritage->maps[LOADED_TABLE + TABLE_NAMES];
	const uint32_t n = heritage->nnames;
	struct bpf_map_info info;
	const struct ip6 *names;
	int err;

	if (!heritage->live || !(heritage->conf.client6 || rules->nnames) ||
	    n > HERITAGE_NAMES_MAX || n + rules->nnames > RULES_NAMES_MAX ||
	    !describe(map, &info) || n > info.max_entries || !(names = look_into(map, &info)))
		return 0;
	err = takeover_names(rules, names, n);
	munmap((void *)names, (size_t)info.max_entries * info.value_size);
	return err;
}

bool heritage_is_mode(const struct heritage *heritage, const struct rules *rules)
{
	return heritage->any && heritage->conf.mode == (uint32_t)rules->mode;
}

bool heritage_fits(const struct heritage *heritage, const struct rules *rules, unsigned n,
                   bool by_address, const struct hash_key *key)
{
	const struct fastpath_conf *conf = &heritage->conf;

	return heritage_is_mode(heritage, rules) && conf->share.n == n &&
	       conf->share.by_address == by_address &&
	       conf->max_connections == rules->max_connections &&
	       conf->max_half_open == rules->max_half_open &&
	       (!key || memcmp(key, &heritage->key, sizeof(*key)) == 0);
}
