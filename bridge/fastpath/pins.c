#include "pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PINS_ROOT   "/sys/fs/bpf"
#define PINS_PLACES PINS_ROOT "/tmbridge"

static int ensure_mounted(void)
{
	struct statfs is;

	if (statfs(PINS_ROOT, &is) < 0)
		return -errno;
	if (is.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", PINS_ROOT, "bpf", 0, "mode=0700") < 0 ? -errno : 0;
}

static int make_directory(const char *path)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static void set_path(struct pins *pins, const char *const names[NSIDES])
{
	snprintf(pins->path, sizeof(pins->path), PINS_PLACES "/%s%s%s", names[OUTSIDE],
	         names[INSIDE] ? "-" : "", names[INSIDE] ? names[INSIDE] : "");
	for (char *c = pins->path; (c = strchr(c, '.'));)
		*c = ':';
}

int pins_open(struct pins *pins, const char *const names[NSIDES])
{
	int err = ensure_mounted();

	set_path(pins, names);
	if (!err)
		err = make_directory(PINS_PLACES);
	return err ? err : make_directory(pins->path);
}

int pins_find(struct pins *pins, const char *const names[NSIDES])
{
	set_path(pins, names);
	return access(pins->path, F_OK) < 0 ? -errno : 0;
}

void pins_each(pins_visit *visit, void *ctx)
{
	DIR *places = opendir(PINS_PLACES);
	const struct dirent *place;
	struct pins pins;

	while (places && (place = readdir(places))) {
		snprintf(pins.path, sizeof(pins.path), PINS_PLACES "/%s", place->d_name);
		if (place->d_name[0] != '.')
			visit(ctx, &pins);
	}
	if (places)
		closedir(places);
}

bool pins_are_of(const struct pins *pins, const char *const names[NSIDES])
{
	struct pins theirs;

	set_path(&theirs, names);
	return !strcmp(pins->path, theirs.path);
}

void pins_names(const struct pins *pins, pins_name *each, void *ctx)
{
	struct pins copy = *pins;
	char *const base = strrchr(copy.path, '/') + 1;

	for (char *c = base; (c = strchr(c, ':'));)
		*c = '.';
	each(ctx, base);
	for (char *dash = base; (dash = strchr(dash, '-')); dash++) {
		*dash = '\0';
		each(ctx, base);
		each(ctx, dash + 1);
		*dash = '-';
	}
}

int pins_move(const struct pins *pins, const char *const names[NSIDES])
{
	struct pins to;

	set_path(&to, names);
	return rename(pins->path, to.path) < 0 ? -errno : 0;
}

static const char *path_of(const struct pins *pins, const char *name, char *ret)
{
	snprintf(ret, 2 * PINS_PATH_BYTES, "%s/%s", pins->path, name);
	return ret;
}

int pins_get(const struct pins *pins, const char *name)
{
	char path[2 * PINS_PATH_BYTES];
	int fd = bpf_obj_get(path_of(pins, name, path));

	return fd < 0 ? -errno : fd;
}

int pins_put(const struct pins *pins, const char *name, int map)
{
	char path[2 * PINS_PATH_BYTES], new_path[2 * PINS_PATH_BYTES];

	unlink(path_of(pins, "new", new_path)); /* of one that died here */
	if (bpf_obj_pin(map, new_path) < 0)
		return -errno;
	return rename(new_path, path_of(pins, name, path)) < 0 ? -errno : 0;
}

void pins_remove(const struct pins *pins, const char *name)
{
	char path[2 * PINS_PATH_BYTES];

	if (name)
		unlink(path_of(pins, name, path));
	else
		rmdir(pins->path);
}

/* . and .. are refused. */
void pins_keep(const struct pins *pins, pins_kept *is_kept)
{
	DIR *place = opendir(pins->path);
	const struct dirent *pin;

	while (place && (pin = readdir(place)))
		if (!is_kept || !is_kept(pin->d_name))
			pins_remove(pins, pin->d_name);
	if (place)
		closedir(place);
}

void pins_clear(const struct pins *pins)
{
	pins_keep(pins, NULL);
	pins_remove(pins, NULL);
}
