/*
 * A connection for each question: there are few, and so nothing has to be put right when the other
 * end is started anew.
 */
#include "query.h"

#include "../operator/socket.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUERY_WAIT_S = 10, QUERY_READ_BYTES = 64 << 10, QUERY_SPARE_BYTES = 64 };

static int connect_to(const char *instance, const char *name)
{
	const struct timeval wait = {.tv_sec = QUERY_WAIT_S};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd;

	if (snprintf(to.sun_path, sizeof(to.sun_path), RUN_DIRECTORY "/%s/%s", instance, name) >=
	    (int)sizeof(to.sun_path))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* To the only one that somebody listens for; -1: to none, or there are several. */
static int connect_to_only(const char *name)
{
	DIR *directory = opendir(RUN_DIRECTORY);
	struct dirent *entry;
	int found = -1, n = 0;

	while (directory && (entry = readdir(directory))) {
		int fd = entry->d_name[0] == '.' ? -1 : connect_to(entry->d_name, name);

		if (fd < 0)
			continue;
		if (found >= 0)
			close(found);
		found = fd;
		n++;
	}
	if (directory)
		closedir(directory);
	if (n > 1)
		close(found);
	return n == 1 ? found : -1;
}

/* Where the last line begins, if it is complete. */
static const char *last_line(const struct answer *answer)
{
	size_t at = answer->len;

	if (!at || answer->text[at - 1] != '\n')
		return NULL;
	for (at--; at && answer->text[at - 1] != '\n';)
		at--;
	return answer->text + at;
}

/* {"end":true,"exit":0 ...} */
static bool is_end(struct answer *answer)
{
	static const char end[] = "{\"end\":true,\"exit\":";
	const char *line = last_line(answer);

	if (!line || strncmp(line, end, sizeof(end) - 1))
		return false;
	answer->exit = (int)strtol(line + sizeof(end) - 1, NULL, 10);
	return true;
}

static bool make_room(struct answer *answer, size_t *room)
{
	char *text;

	if (*room - answer->len > QUERY_READ_BYTES + QUERY_SPARE_BYTES)
		return true;
	if (*room >= QUERY_BYTES_MAX)
		return false;
	*room = *room ? 2 * *room : 4 * QUERY_READ_BYTES;
	text = realloc(answer->text, *room);
	if (!text)
		return false;
	answer->text = text;
	return true;
}

/* Where an answer is looked at, and how many records were before that. */
struct counted {
	size_t at;
	unsigned n;
};

/* Ends the answer where it has more than limit records, 0 being any number; false if it hasn't. */
static bool is_cut(struct answer *answer, struct counted *counted, unsigned limit)
{
	static const char last[] = "{\"end\":true",
	                  end[] = "{\"end\":true,\"exit\":0,\"cut\":true}\n";

	while (limit) {
		char *line = answer->text + counted->at, *next = strchr(line, '\n');

		if (!next || !strncmp(line, last, sizeof(last) - 1))
			return false;
		if (counted->n++ == limit) {
			strcpy(line, end); /* there is room, as each read leaves some */
			answer->len = counted->at + sizeof(end) - 1;
			answer->exit = 0;
			return true;
		}
		counted->at = (size_t)(next + 1 - answer->text);
	}
	return false;
}

static void hear(int fd, unsigned limit, struct answer *answer)
{
	struct counted counted = {0, 0};
	size_t room = 0;
	ssize_t n;

	do {
		if (!make_room(answer, &room))
			return;
		n = read(fd, answer->text + answer->len, QUERY_READ_BYTES);
		if (n < 0 && errno == EAGAIN)
			answer->exit = QUERY_NOT_IN_TIME;
		if (n <= 0)
			return;
		answer->len += (size_t)n;
		answer->text[answer->len] = '\0';
	} while (!is_cut(answer, &counted, limit) && !is_end(answer));
}

void query(const struct question *question, struct answer *ret)
{
	const char *name = question->control ? "control" : "status", *line = question->line;
	int fd = question->instance ? connect_to(question->instance, name) : connect_to_only(name);

	*ret = (struct answer){.exit = fd < 0 ? QUERY_NOT_THERE : QUERY_FAILED};
	if (fd < 0)
		return;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) >= 0 && send(fd, "\n", 1, MSG_NOSIGNAL) == 1)
		hear(fd, question->limit, ret);
	close(fd);
}
