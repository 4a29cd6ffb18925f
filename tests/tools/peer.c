/*
 * A scripted server: on PORT, waits for WANT in what a client sends, and answers REPLY.
 *
 *     peer [-p] [-c] PORT WANT REPLY
 *
 * WANT and REPLY are text with \xHH, \r and \n; an empty WANT is there at once. -p: the answer
 * comes in pieces of a byte. -c: the connection is closed behind it, instead of by the client. One
 * client at a time.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BYTES_MAX = 4096 };

struct bytes {
	char at[BYTES_MAX];
	size_t n;
};

static void die(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct bytes unescape(const char *text)
{
	struct bytes ret = {.n = 0};

	while (*text && ret.n < BYTES_MAX) {
		unsigned byte = (unsigned char)*text++;

		if (byte == '\\' && *text == 'x' && sscanf(text + 1, "%2x", &byte) == 1)
			text += 3;
		else if (byte == '\\' && (*text == 'r' || *text == 'n'))
			byte = *text++ == 'r' ? '\r' : '\n';
		ret.at[ret.n++] = (char)byte;
	}
	return ret;
}

static int listen_on(unsigned port)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0)
		die("listen");
	return fd;
}

/* Reads until WANT has come; false at the client's end. */
static bool wait_for(int fd, const struct bytes *want)
{
	char heard[BYTES_MAX];
	size_t n = 0;

	while (!memmem(heard, n, want->at, want->n)) {
		ssize_t got = read(fd, heard + n, sizeof(heard) - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	return true;
}

static void answer(int fd, const struct bytes *reply, bool in_pieces)
{
	const size_t piece = in_pieces ? 1 : reply->n;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t i = 0; piece && i < reply->n; i += piece)
		if (send(fd, reply->at + i, piece, MSG_NOSIGNAL) < 0)
			return;
}

int main(int argc, char **argv)
{
	bool in_pieces = false, closes = false;
	struct bytes want, reply;
	int fd, option;

	while ((option = getopt(argc, argv, "pc")) != -1) {
		in_pieces |= option == 'p';
		closes |= option == 'c';
	}
	if (argc - optind != 3)
		die("usage");
	want = unescape(argv[optind + 1]);
	reply = unescape(argv[optind + 2]);
	fd = listen_on((unsigned)atoi(argv[optind]));
	for (;;) {
		int client = accept(fd, NULL, NULL);
		char rest[BYTES_MAX];

		if (client < 0)
			die("accept");
		if (wait_for(client, &want))
			answer(client, &reply, in_pieces);
		while (!closes && read(client, rest, sizeof(rest)) > 0)
			;
		close(client);
	}
}
