#include "datagram.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int datagram_connect(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const size_t bytes = strlen(path);
	/* an abstract name ends where the address does, without a zero byte */
	const socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
	int fd, err;

	if (bytes < 2 || bytes >= sizeof(to.sun_path) || (*path != '/' && *path != '@'))
		return -EINVAL;
	memcpy(to.sun_path, path, bytes);
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to, len) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

bool datagram_send(int fd, const void *data, size_t bytes)
{
	return send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes;
}
