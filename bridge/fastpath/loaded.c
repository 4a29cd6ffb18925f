/*
 * Loading, by libbpf.
 */
#include "loaded.h"

#include "any_program.h"
#include "image_program.h"
#include "program.h"
#include "../../lb/flows.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

static const char *const program_names[LOADED_PROGRAMS] = {
        [LOADED_RECEIVE + OUTSIDE] = "outside",
        [LOADED_RECEIVE + INSIDE] = "inside",
        [LOADED_FLOW + OUTSIDE] = "outside_flow",
        [LOADED_FLOW + INSIDE] = "inside_flow",
        [LOADED_FLOW6 + OUTSIDE] = "outside_flow6",
        [LOADED_FLOW6 + INSIDE] = "inside_flow6",
        [LOADED_PUNT + OUTSIDE] = "outside_punt",
        [LOADED_PUNT + INSIDE] = "inside_punt",
        [LOADED_NOBODY] = "nobody",
};

/* The programs at LOADED_RECEIVE where tmbridge is beside the host's stack. */
static const char *const host_names[NSIDES] = {
        [OUTSIDE] = "outside_host", [INSIDE] = "inside_host"};

const char *const loaded_guard_names[LOADED_GUARD_MAPS] = {"guard_conf", "guard_places",
                                                           "guard_ports"};

#define TABLE_NAME(constant, name, type) [LOADED_TABLE + TABLE_##constant] = #name,
static const char *const map_names[LOADED_MAPS] = {[LOADED_CONF] = "conf",
                                                   [LOADED_ADDRESSES] = "addresses",
                                                   [LOADED_COUNTS] = "counts",
                                                   [LOADED_WAYS] = "ways",
                                                   [LOADED_NAMES] = "names",
                                                   [LOADED_PARTS] = "parts",
                                                   [LOADED_FILTERS] = "filters",
                                                   [LOADED_FILTER_COUNTS] = "filter_counts",
                                                   [LOADED_FILTER_SEEN] = "filter_seen",
                                                   TABLE_ARRAYS(TABLE_NAME)};
#undef TABLE_NAME

#define TABLE_BYTES(constant, name, type) [LOADED_TABLE + TABLE_##constant] = sizeof(type),
static const uint32_t element_bytes[LOADED_MAPS] = {
        [LOADED_CONF] = sizeof(struct fastpath_conf),
        [LOADED_ADDRESSES] = sizeof(struct fastpath_address),
        [LOADED_COUNTS] = sizeof(struct fastpath_counts),
        [LOADED_WAYS] = sizeof(struct fastpath_way),
        [LOADED_NAMES] = sizeof(struct ip6),
        [LOADED_PARTS] = sizeof(struct fastpath_part),
        [LOADED_FILTERS] = sizeof(struct fastpath_filter),
        [LOADED_FILTER_COUNTS] = sizeof(struct fastpath_filter_counts),
        [LOADED_FILTER_SEEN] = sizeof(struct fastpath_filter_seen),
        TABLE_ARRAYS(TABLE_BYTES)};
#undef TABLE_BYTES

const char *loaded_map_name(unsigned map)
{
	return map_names[map];
}

uint32_t loaded_element_bytes(unsigned map)
{
	return element_bytes[map];
}

/* The kernel has each element begin at a multiple of 8 bytes: here, as in any array, they follow
 * upon each other. */
#define TABLE_FITS(constant, name, type) &&sizeof(type) % TABLE_ALIGN == 0
static_assert(sizeof(struct fastpath_address) % TABLE_ALIGN == 0 &&
                      sizeof(struct fastpath_counts) % TABLE_ALIGN == 0 &&
                      sizeof(struct fastpath_way) % TABLE_ALIGN == 0 &&
                      sizeof(struct ip6) % TABLE_ALIGN == 0 &&
                      sizeof(struct fastpath_part) % TABLE_ALIGN == 0 TABLE_ARRAYS(TABLE_FITS),
              "elements lie as in the kernel");
#undef TABLE_FITS

bool loaded_is_ip6(unsigned map)
{
	return map == LOADED_NAMES || map == LOADED_TABLE + TABLE_CLIENT6;
}

static bool is_receiver(unsigned program)
{
	return program < LOADED_RECEIVE + NSIDES;
}

const char *loaded_name(const struct loaded *loaded, enum loaded_program program)
{
	return loaded->beside_host && is_receiver(program) ? host_names[program - LOADED_RECEIVE]
	                                                   : program_names[program];
}

bool loaded_is_name(const char *name)
{
	bool is = false;

	for (unsigned i = 0; i < LOADED_PUNT; i++)
		is |= !strcmp(name, program_names[i]);
	for (unsigned side = 0; side < NSIDES; side++)
		is |= !strcmp(name, host_names[side]);
	return is;
}

uint32_t loaded_processors(void)
{
	const int n = libbpf_num_possible_cpus();

	return n > 0 ? (uint32_t)n : 1;
}

static int set_sizes(struct loaded *loaded, const uint32_t sizes[LOADED_MAPS],
                     const int reuse[LOADED_MAPS])
{
	int err = 0;

	for (unsigned i = 0; i < LOADED_MAPS && !err; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(loaded->object, map_names[i]);

		loaded->is_pinned[i] = reuse[i] >= 0;
		err = reuse[i] >= 0 ? bpf_map__reuse_fd(map, reuse[i])
		                    : bpf_map__set_max_entries(map, sizes[i]);
	}
	return err;
}

static int reuse_guard(struct loaded *loaded, const struct loaded_guard *guard)
{
	int err = 0;

	for (unsigned i = 0; guard && i < LOADED_GUARD_MAPS && !err; i++)
		err = bpf_map__reuse_fd(
		        bpf_object__find_map_by_name(loaded->object, loaded_guard_names[i]),
		        guard->maps[i]);
	return err;
}

/* Those that are for the other mode aren't loaded. */
static void choose_programs(struct loaded *loaded)
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const char *other = loaded->beside_host ? program_names[LOADED_RECEIVE + side]
		                                        : host_names[side];

		bpf_program__set_autoload(bpf_object__find_program_by_name(loaded->object, other),
		                          false);
	}
}

static int find_programs(struct loaded *loaded)
{
	int err = 0;

	for (unsigned i = 0; i < LOADED_PROGRAMS && !err; i++)
		err = object_program(loaded->object, loaded_name(loaded, (enum loaded_program)i),
		                     &loaded->programs[i]);
	return err;
}

/* Loads these programs, of so many bytes. */
static int load(struct loaded *loaded, const void *programs, size_t bytes,
                const uint32_t elements[LOADED_MAPS], const int reuse[LOADED_MAPS],
                const struct loaded_guard *guard)
{
	int err;

	*loaded = (struct loaded){.beside_host = guard};
	if ((err = object_open(programs, bytes, &loaded->object)) < 0 ||
	    (err = set_sizes(loaded, elements, reuse)) < 0 ||
	    (err = reuse_guard(loaded, guard)) < 0)
		return err;
	choose_programs(loaded);
	return bpf_object__load(loaded->object);
}

static int load_image(struct loaded *loaded)
{
	const int err = object_open(image_program, image_program_bytes, &loaded->image);

	return err < 0 ? err : bpf_object__load(loaded->image);
}

int loaded_open(struct loaded *loaded, const uint32_t elements[LOADED_MAPS],
                const int reuse[LOADED_MAPS], const struct loaded_guard *guard)
{
	int err = load(loaded, fastpath_program, fastpath_program_bytes, elements, reuse, guard);

	if (err < 0) {
		bpf_object__close(loaded->object);
		err = load(loaded, fastpath_any_program, fastpath_any_program_bytes, elements,
		           reuse, guard);
	}
	if (err < 0 || (err = load_image(loaded)) < 0)
		return err;
	for (unsigned i = 0; i < LOADED_MAPS && !err; i++)
		err = object_map(loaded->object, map_names[i], &loaded->maps[i]);
	return err ? err : find_programs(loaded);
}

void loaded_close(struct loaded *loaded)
{
	for (unsigned i = 0; i < LOADED_MAPS; i++)
		object_unmap(&loaded->maps[i]);
	bpf_object__close(loaded->image);
	bpf_object__close(loaded->object);
}

static int map_of(const struct loaded *loaded, unsigned map)
{
	return bpf_object__find_map_fd_by_name(loaded->object, map_names[map]);
}

uint32_t loaded_map_id(const struct loaded *loaded, unsigned map)
{
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);

	return bpf_obj_get_info_by_fd(map_of(loaded, map), &info, &bytes) == 0 ? info.id : 0;
}

static bool is_map_name(const char *name)
{
	bool any = false;

	for (unsigned i = 0; i < LOADED_MAPS; i++)
		any |= !strcmp(name, map_names[i]);
	return any;
}

int loaded_pin(const struct loaded *loaded, const struct pins *pins)
{
	int err = 0;

	for (unsigned i = LOADED_MAPS; i-- > 0 && !err;)
		if (!loaded->is_pinned[i])
			err = pins_put(pins, map_names[i], map_of(loaded, i));
	if (!err)
		pins_keep(pins, is_map_name); /* another version may have had others */
	return err;
}

void loaded_unpin(const struct pins *pins)
{
	for (unsigned i = 0; i < LOADED_MAPS; i++)
		pins_remove(pins, map_names[i]);
	pins_remove(pins, NULL);
}

int loaded_attend(const struct loaded *loaded)
{
	int array = bpf_object__find_map_fd_by_name(loaded->object, "attendant");
	int err = 0;

	for (uint32_t side = 0; side < NSIDES && !err; side++)
		err = bpf_map_update_elem(array, &side, &loaded->programs[LOADED_PUNT + side],
		                          BPF_ANY);
	return err;
}
