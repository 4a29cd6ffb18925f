/*
 * The switches of the kernel's forwarding. IPv4 has one for each interface, by which packets
 * arrive; IPv6 has one for all, in a file that is kept open, so that it can be set back without
 * access to files.
 *
 * What they were is in a file of the directory in /run as long as they aren't set back: whoever
 * comes after a process that was killed does it, whatever that called the interfaces. It is kept
 * open as well, and emptied then.
 */
#include "routing.h"

#include "../process/log.h"
#include "../process/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char path6[] = "/proc/sys/net/ipv6/conf/all/forwarding";

static uint32_t read6(const struct routing *routing)
{
	char text[16] = "";

	return routing->fd6 >= 0 && pread(routing->fd6, text, sizeof(text) - 1, 0) > 0
	               ? (uint32_t)strtoul(text, NULL, 10)
	               : 0;
}

static int write6(const struct routing *routing, uint32_t value)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", value);

	return routing->fd6 < 0 || pwrite(routing->fd6, text, (size_t)n, 0) == n ? 0 : -errno;
}

static int set_all(const struct routing *routing, struct mnl_socket *socket,
                   const struct link *const links[NSIDES])
{
	int err = 0;

	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = link_set_ipv4(socket, links[side]->index, IPV4_DEVCONF_FORWARDING,
		                    routing->on);
	if (!err && read6(routing) != routing->on)
		err = write6(routing, routing->on);
	return err;
}

/* ---- What is left ---- */

enum { ROUTING_TEXT_BYTES = 160, ROUTING_PATH_BYTES = 320 };

static void set_path(char ret[ROUTING_PATH_BYTES], const char *directory)
{
	static const char file[] = "/routing";

	snprintf(ret, ROUTING_PATH_BYTES, "%.*s%s", (int)(ROUTING_PATH_BYTES - sizeof(file)),
	         directory, file);
}

/* The file of that instance, by the name of its directory, if it is one that a process like this
 * one has made, and none has now (it is locked): in another network namespace interfaces may be the
 * same by index and MAC address. Or -1. flags: O_CREAT makes it. */
static int open_left(const char *directory, int flags)
{
	char path[ROUTING_PATH_BYTES];
	struct stat is;
	int fd;

	set_path(path, directory);
	fd = open(path, O_RDWR | flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && (fstat(fd, &is) < 0 || !S_ISREG(is.st_mode) || is.st_uid != geteuid() ||
	                flock(fd, LOCK_EX | LOCK_NB) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Notes how the interfaces' switches are that haven't been noted. True if there was one. */
static bool note(struct routing *routing, const struct link *const links[NSIDES])
{
	bool any = false;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *link = links[side];

		if (!link)
			continue;
		if (routing->index[side] != link->index)
			routing->before[side] = link->forwards;
		else if (mac_eq(&routing->mac[side], &link->mac))
			continue;
		routing->index[side] = link->index;
		routing->mac[side] = link->mac;
		any = true;
	}
	return any;
}

/* What a file says: of which interfaces, and what the switches were. */
struct left {
	int index[NSIDES];
	uint64_t mac[NSIDES]; /* 0: not known, as it was left by an older version */
	uint32_t before[NSIDES], before6;
};

static uint64_t number_of(const struct mac *mac)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < sizeof(mac->b); i++)
		number = number << 8 | mac->b[i];
	return number;
}

static bool read_left(int fd, struct left *ret)
{
	char text[ROUTING_TEXT_BYTES] = "";

	*ret = (struct left){.before6 = 0};
	return fd >= 0 && pread(fd, text, sizeof(text) - 1, 0) > 0 &&
	       sscanf(text, "%d %" SCNu32 " %d %" SCNu32 " %" SCNu32 " %" SCNx64 " %" SCNx64,
	              &ret->index[OUTSIDE], &ret->before[OUTSIDE], &ret->index[INSIDE],
	              &ret->before[INSIDE], &ret->before6, &ret->mac[OUTSIDE],
	              &ret->mac[INSIDE]) >= 5;
}

static void write_left(const struct routing *routing)
{
	char text[ROUTING_TEXT_BYTES];
	const int n = snprintf(text, sizeof(text),
	                       "%d %" PRIu32 " %d %" PRIu32 " %" PRIu32 " %012" PRIx64
	                       " %012" PRIx64 "\n",
	                       routing->index[OUTSIDE], routing->before[OUTSIDE],
	                       routing->index[INSIDE], routing->before[INSIDE], routing->before6,
	                       number_of(&routing->mac[OUTSIDE]), number_of(&routing->mac[INSIDE]));

	if (routing->left < 0 || pwrite(routing->left, text, (size_t)n, 0) != n)
		log_warning("what the kernel's routing was can't be noted: it isn't set back "
		            "should this process be killed");
}

/* If that was left of these interfaces, by whatever names. */
static bool is_of(const struct left *left, const struct routing *routing)
{
	bool is = true;

	for (unsigned side = 0; side < NSIDES; side++)
		is &= left->index[side] == routing->index[side] &&
		      left->mac[side] == number_of(&routing->mac[side]);
	return is;
}

/* Moves to directory, that of this process, what was left of its interfaces by other names. */
static void move_left(struct routing *routing, const char *directory, const char *other)
{
	char from[ROUTING_PATH_BYTES], to[ROUTING_PATH_BYTES];
	const int fd = open_left(other, 0);
	struct left left;

	set_path(from, other);
	set_path(to, directory);
	if (!read_left(fd, &left) || !is_of(&left, routing) || rename(from, to) < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (routing->left >= 0)
		close(routing->left);
	routing->left = fd;
}

static void find_by_other_names(struct routing *routing, const char *directory)
{
	DIR *all = opendir(RUN_DIRECTORY);
	const struct dirent *entry;
	char other[ROUTING_PATH_BYTES];

	while (all && (entry = readdir(all))) {
		snprintf(other, sizeof(other), RUN_DIRECTORY "/%s", entry->d_name);
		if (entry->d_name[0] != '.' && strcmp(other, directory) != 0)
			move_left(routing, directory, other);
	}
	if (all)
		closedir(all);
}

/* What the switches were, if a file says so: of an interface that has been made anew since then it
 * is what was noted. */
static bool take_left(struct routing *routing)
{
	struct left left;

	if (!read_left(routing->left, &left))
		return false;
	for (unsigned side = 0; side < NSIDES; side++)
		if (left.index[side] == routing->index[side])
			routing->before[side] = left.before[side];
	routing->before6 = left.before6;
	return true;
}

static void forget_left(const struct routing *routing)
{
	if (routing->left >= 0 && ftruncate(routing->left, 0) < 0)
		log_warning("what the kernel's routing was can't be forgotten: %m");
}

/* ---- Beginning and end ---- */

/* Finds what there is of these interfaces. Returns true if something was left. */
static bool open_files(struct routing *routing, const char *const names[NSIDES],
                       const struct link *const links[NSIDES], int flags)
{
	char directory[RUN_PATH_BYTES];

	routing->fd6 = open(path6, O_RDWR | O_CLOEXEC);
	routing->left = -1;
	note(routing, links);
	if (run_directory(names, directory) < 0)
		return false;
	routing->left = open_left(directory, flags);
	find_by_other_names(routing, directory);
	return take_left(routing);
}

int routing_begin(struct routing *routing, struct mnl_socket *socket,
                  const char *const names[NSIDES], const struct link *const links[NSIDES], bool on)
{
	int err;

	*routing = (struct routing){.began = true, .on = on};
	if (!open_files(routing, names, links, O_CREAT))
		routing->before6 = read6(routing);
	write_left(routing);
	err = set_all(routing, socket, links);
	if (err < 0)
		log_error("the kernel's routing can't be turned %s: %s", on ? "on" : "off",
		          strerror(-err));
	return err;
}

void routing_hold(struct routing *routing, struct mnl_socket *socket,
                  const struct link *const links[NSIDES], bool on)
{
	bool differs = read6(routing) != on && routing->fd6 >= 0;

	if (!routing->began)
		return;
	if (note(routing, links))
		write_left(routing);
	for (unsigned side = 0; side < NSIDES; side++)
		differs |= !!links[side]->forwards != on;
	if (differs && on == routing->on)
		log_warning(
		        "the kernel's routing was turned %s: it is %s again, while tmbridge runs",
		        on ? "off" : "on", on ? "on" : "off");
	else if (on != routing->on)
		log_info("the kernel routes %s", on ? "what isn't tmbridge's" : "nothing any more");
	routing->on = on;
	if (differs)
		set_all(routing, socket, links);
}

void routing_leave(struct routing *routing)
{
	if (!routing->began)
		return;
	routing->began = false;
	if (routing->fd6 >= 0)
		close(routing->fd6);
	if (routing->left >= 0)
		close(routing->left);
}

void routing_end(struct routing *routing, struct mnl_socket *socket,
                 const struct link *const links[NSIDES])
{
	if (!routing->began)
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		if (links[side])
			link_set_ipv4(socket, links[side]->index, IPV4_DEVCONF_FORWARDING,
			              routing->before[side]);
	if (routing->fd6 >= 0 && read6(routing) != routing->before6)
		write6(routing, routing->before6);
	forget_left(routing);
	routing_leave(routing);
}

int routing_release(struct mnl_socket *socket, const char *const names[NSIDES],
                    const struct link *const links[NSIDES])
{
	struct routing routing = {.began = true};

	if (!open_files(&routing, names, links, 0)) {
		routing_leave(&routing);
		return -ENOENT;
	}
	routing_end(&routing, socket, links);
	return 0;
}
