/*
 * The switches of the kernel's forwarding. IPv4 has one for each interface, by which packets
 * arrive; IPv6 has one for all, in a file that is kept open, so that it can be set back without
 * access to files.
 *
 * What they were is in a file of the directory in /run as long as they aren't set back: whoever
 * comes after a process that was killed does it. It is kept open as well, and emptied then.
 */
#include "routing.h"

#include "../process/log.h"
#include "../process/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

enum { ROUTING_TEXT_BYTES = 128 };

/* The file, if it is one that a process like this one has made; or -1. flags: O_CREAT makes it. */
static int open_left(const char *const names[NSIDES], int flags)
{
	char directory[RUN_PATH_BYTES], path[RUN_PATH_BYTES + 16];
	struct stat is;
	int fd;

	if (run_directory(names, directory) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/routing", directory);
	fd = open(path, O_RDWR | flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && (fstat(fd, &is) < 0 || !S_ISREG(is.st_mode) || is.st_uid != geteuid())) {
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
		if (!links[side] || routing->index[side] == links[side]->index)
			continue;
		routing->index[side] = links[side]->index;
		routing->before[side] = links[side]->forwards;
		any = true;
	}
	return any;
}

/* What the switches were, if the file says so: of an interface that has been made anew since then
 * it is what was noted. */
static bool read_left(struct routing *routing)
{
	char text[ROUTING_TEXT_BYTES] = "";
	uint32_t before[NSIDES], before6;
	int index[NSIDES];

	if (routing->left < 0 || pread(routing->left, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%d %" SCNu32 " %d %" SCNu32 " %" SCNu32, &index[0], &before[0], &index[1],
	           &before[1], &before6) != 5)
		return false;
	for (unsigned side = 0; side < NSIDES; side++)
		if (index[side] == routing->index[side])
			routing->before[side] = before[side];
	routing->before6 = before6;
	return true;
}

static void write_left(const struct routing *routing)
{
	char text[ROUTING_TEXT_BYTES];
	const int n = snprintf(text, sizeof(text), "%d %" PRIu32 " %d %" PRIu32 " %" PRIu32 "\n",
	                       routing->index[0], routing->before[0], routing->index[1],
	                       routing->before[1], routing->before6);

	if (routing->left < 0 || pwrite(routing->left, text, (size_t)n, 0) != n)
		log_warning("what the kernel's routing was can't be noted: it isn't set back "
		            "should this process be killed");
}

static void forget_left(const struct routing *routing)
{
	if (routing->left >= 0 && ftruncate(routing->left, 0) < 0)
		log_warning("what the kernel's routing was can't be forgotten: %m");
}

/* ---- Beginning and end ---- */

static void open_files(struct routing *routing, const char *const names[NSIDES], int flags)
{
	routing->fd6 = open(path6, O_RDWR | O_CLOEXEC);
	routing->left = open_left(names, flags);
}

int routing_begin(struct routing *routing, struct mnl_socket *socket,
                  const char *const names[NSIDES], const struct link *const links[NSIDES], bool on)
{
	int err;

	*routing = (struct routing){.began = true, .on = on};
	open_files(routing, names, O_CREAT);
	note(routing, links);
	if (!read_left(routing))
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

	open_files(&routing, names, 0);
	note(&routing, links);
	if (!read_left(&routing)) {
		routing_leave(&routing);
		return -ENOENT;
	}
	routing_end(&routing, socket, links);
	return 0;
}
