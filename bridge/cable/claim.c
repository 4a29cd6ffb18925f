/*
 * A claim is an abstract Unix socket (unix(7)): its name can be had once in a network namespace,
 * and is free again when the process is gone, however it ended. No file can be left behind.
 *
 * A process claims three names: one made of the interface's index, one of its name, and one of the
 * name on the command line. The last is for later: when the interface is gone the process waits for
 * the next one of that name (plug.c), and can't claim that then, as it is shut in. So a process
 * that begins on an interface also looks whether another one has claimed any of the interface's
 * names.
 *
 * The socket listens, so that who finds it taken can ask the kernel who did that (SO_PEERCRED).
 * Nobody accepts a connection. Any user may take such a name; one who couldn't be running tmbridge
 * here doesn't keep it from starting.
 */
#include "claim.h"

#include "../process/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLAIM_WAITING = 128 }; /* connections, of those who asked and left */

struct name {
	struct sockaddr_un address;
	socklen_t len;
};

/* The first byte is 0: that is what makes the name abstract. One that is too long can't be had. */
static struct name make_name(const char *kind, const char *what)
{
	struct name name = {.address = {.sun_family = AF_UNIX}};
	int n = snprintf(name.address.sun_path + 1, sizeof(name.address.sun_path) - 1,
	                 "tmbridge/%s/%s", kind, what);

	if (n < (int)sizeof(name.address.sun_path))
		name.len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)n;
	return name;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Whose the name is. False if it is nobody's any more, or that can't be known. */
static bool find_owner(const struct name *name, struct ucred *ret)
{
	int fd = new_socket();
	socklen_t len = sizeof(*ret);
	bool known;

	if (fd < 0)
		return false;
	known = connect(fd, (const struct sockaddr *)&name->address, name->len) == 0 &&
	        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) == 0;
	close(fd);
	return known;
}

static int refuse(const struct name *name, const char *interface)
{
	struct ucred owner = {0};

	if (!find_owner(name, &owner)) {
		log_error("%s: another tmbridge is running there", interface);
		return -EBUSY;
	}
	if (owner.uid != 0 && owner.uid != geteuid()) {
		log_warning("%s: user %u keeps others from claiming it, with process %d", interface,
		            owner.uid, owner.pid);
		return 0;
	}
	log_error("%s: another tmbridge is running there, process %d", interface, owner.pid);
	return -EBUSY;
}

/* Returns 0 and sets *ret, which stays -1 if it can't be claimed for other reasons. */
static int take(const struct name *name, const char *interface, int *ret)
{
	int fd = new_socket(), err;

	if (fd < 0)
		return 0; /* a kernel, or a container, without such sockets */
	if (bind(fd, (const struct sockaddr *)&name->address, name->len) == 0 &&
	    listen(fd, CLAIM_WAITING) == 0) {
		*ret = fd;
		return 0;
	}
	err = errno == EADDRINUSE ? refuse(name, interface) : 0;
	close(fd);
	return err;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct others {
	const struct link *link;
	const char *given;
	int err;
};

/* Refuses the interface if another process waits for one of that name. The claim is given up at
 * once. */
static void check_other(void *ctx, const char *name)
{
	struct others *others = ctx;
	const struct name other = make_name("name", name);
	int fd = -1;

	if (others->err || !strcmp(name, others->link->name) || !strcmp(name, others->given))
		return;
	others->err = take(&other, others->given, &fd);
	drop(&fd);
}

static int take_names(struct claim *claim, struct mnl_socket *socket, const struct link *link,
                      const char *given)
{
	const struct name by_name = make_name("name", link->name),
	                  by_given = make_name("name", given);
	struct others others = {.link = link, .given = given};
	int err = take(&by_name, given, &claim->by_name);

	if (!err && strcmp(given, link->name) != 0)
		err = take(&by_given, given, &claim->by_given);
	if (err)
		return err;
	link_names(socket, link->index, check_other, &others);
	return others.err;
}

int claim_take(struct claim *claim, struct mnl_socket *socket, const struct link *link,
               const char *name)
{
	char number[sizeof("-2147483648")];
	struct name by_index;
	int err;

	snprintf(number, sizeof(number), "%d", link->index);
	by_index = make_name("index", number);
	*claim = (struct claim){-1, -1, -1};
	err = take(&by_index, name, &claim->by_index);
	return err ? err : take_names(claim, socket, link, name);
}

int claim_take_name(struct claim *claim, const char *name)
{
	const struct name by_given = make_name("name", name);

	*claim = (struct claim){-1, -1, -1};
	return take(&by_given, name, &claim->by_given);
}

void claim_drop(struct claim *claim)
{
	drop(&claim->by_index);
	drop(&claim->by_name);
	drop(&claim->by_given);
}
