/*
 * The bouncer, as the process sees it: its table is in the process's memory. Nothing of it is
 * pinned, so it ends with the process and its sockets.
 */
#include "bouncer.h"

#include "bouncer_program.h"
#include "object.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

struct bouncer {
	struct bpf_object *object;
	struct object_memory table;
	int programs[NSIDES];
};

static int load(struct bouncer *bouncer)
{
	static const char *const names[NSIDES] = {"outside_bouncer", "inside_bouncer"};
	int err = object_open(bouncer_program, bouncer_program_bytes, &bouncer->object);

	if (err < 0 || (err = bpf_object__load(bouncer->object)) < 0 ||
	    (err = object_map(bouncer->object, "barred", &bouncer->table)) < 0)
		return err;
	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = object_program(bouncer->object, names[side], &bouncer->programs[side]);
	return err;
}

int bouncer_open(struct bouncer **ret)
{
	struct bouncer *bouncer = calloc(1, sizeof(*bouncer));
	int err = bouncer ? load(bouncer) : -ENOMEM;

	if (err < 0)
		bouncer_close(bouncer);
	else
		*ret = bouncer;
	return err;
}

void bouncer_close(struct bouncer *bouncer)
{
	if (!bouncer)
		return;
	object_unmap(&bouncer->table);
	bpf_object__close(bouncer->object);
	free(bouncer);
}

struct barred *bouncer_table(const struct bouncer *bouncer)
{
	return bouncer->table.at;
}

int bouncer_program_fd(const struct bouncer *bouncer, enum side side)
{
	return bouncer->programs[side];
}
