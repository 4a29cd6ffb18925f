/*
 * Making the sockets. It comes before the process shuts itself in, which leaves it no way to make
 * any, and no way to remove these: a socket that nobody listens to says by itself that nobody runs.
 */
#include "socket.h"

#include "../process/log.h"
#include "../process/run.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKET_BACKLOG = 16 };

static const struct {
	const char *name, *group;
} kinds[] = {
        [SOCKET_CONTROL] = {"control", "tmbridge"},
        [SOCKET_STATUS] = {"status", "tmbridge-view"},
};

/* Gives the socket to the group, if that exists and we may. The directory may belong to another
 * user, who could put something else in the socket's place: so no link is followed, and no mode is
 * set by path. */
static int give(const char *path, const char *name)
{
	const struct group *group = getgrnam(name);

	if (group && lchown(path, (uid_t)-1, group->gr_gid) < 0 && errno != EPERM)
		return -errno;
	return 0;
}

static int bind_to(int fd, const struct sockaddr_un *at, const char *group)
{
	const mode_t mask = umask(0117); /* root's own, and his group's until it is given */
	int err = 0;

	unlink(at->sun_path);
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
		err = -errno;
	umask(mask);
	if (!err)
		err = give(at->sun_path, group);
	if (!err && listen(fd, SOCKET_BACKLOG) < 0)
		err = -errno;
	return err;
}

static int open_one(const char *directory, enum socket_kind kind, int *ret)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd, err;

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", directory, kinds[kind].name) >=
	    (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = bind_to(fd, &at, kinds[kind].group);
	if (err)
		close(fd);
	else
		*ret = fd;
	return err;
}

void sockets_open(struct sockets *sockets, const char *const names[NSIDES])
{
	char directory[RUN_PATH_BYTES] = RUN_DIRECTORY;
	int err;

	*sockets = (struct sockets){.fds = {-1, -1}};
	err = run_directory(names, directory);
	for (unsigned kind = 0; kind < SOCKET_KINDS && !err; kind++)
		err = open_one(directory, (enum socket_kind)kind, &sockets->fds[kind]);
	if (!err)
		return;
	sockets_close(sockets);
	log_warning("%s: %s: nobody can ask or tell this tmbridge anything but by signals",
	            directory, strerror(-err));
}

void sockets_close(struct sockets *sockets)
{
	for (unsigned kind = 0; kind < SOCKET_KINDS; kind++) {
		if (sockets->fds[kind] >= 0)
			close(sockets->fds[kind]);
		sockets->fds[kind] = -1;
	}
}

int socket_accept(int fd, struct socket_peer *ret)
{
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred who;
	socklen_t len = sizeof(who);

	if (client < 0)
		return -errno;
	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) {
		close(client);
		return -EIO;
	}
	*ret = (struct socket_peer){.uid = who.uid, .pid = (uint32_t)who.pid};
	return client;
}
