/*
 * A connection for each question: there are few, and so nothing has to be put right when the other
 * end is started anew.
 */
#include "query.h"

#include "../operator/socket.h"
#include "../process/clock.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUERY_WAIT_S = 5, QUERY_READ_BYTES = 64 << 10, QUERY_SPARE_BYTES = 64 };

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

static const char nobody[] = "no tmbridge runs, or it may not be asked",
                  several[] = "several run here: the console takes an --instance",
                  late[] = "tmbridge doesn't answer", half[] = "tmbridge answered but half",
                  long_one[] = "the answer is too long";

/* Connects to the only one that runs. Returns -1 if there is none, or several, with the reason in
 * *ret_why. */
static int connect_to_only(const char *name, const char **ret_why)
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
	*ret_why = n > 1 ? several : nobody;
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

/* Ends the answer where it has more than limit records; false if it hasn't. */
static bool is_cut(struct answer *answer, struct counted *counted, unsigned limit)
{
	static const char last[] = "{\"end\":true",
	                  end[] = "{\"end\":true,\"exit\":0,\"cut\":true}\n";

	while (limit != QUERY_ALL) {
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

/* Waits for something to read; false when it is too late. */
static bool wait_for(int fd, lb_time until)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	const lb_time now = clock_now();

	return now.ns < until.ns &&
	       poll(&polled, 1, (int)((until.ns - now.ns) / LB_NS_PER_MS) + 1) > 0;
}

/* Reads the answer. Returns why it isn't whole, or NULL if it is. It has to be whole in
 * QUERY_WAIT_S, however often a little of it comes. */
static const char *hear(int fd, unsigned limit, struct answer *answer)
{
	const lb_time until = {clock_now().ns + QUERY_WAIT_S * LB_NS_PER_S};
	struct counted counted = {0, 0};
	size_t room = 0;
	ssize_t n;

	do {
		if (!make_room(answer, &room))
			return long_one;
		if (!wait_for(fd, until)) {
			answer->exit = QUERY_NOT_IN_TIME;
			return late;
		}
		n = read(fd, answer->text + answer->len, QUERY_READ_BYTES);
		if (n <= 0)
			return half;
		answer->len += (size_t)n;
		answer->text[answer->len] = '\0';
	} while (!is_cut(answer, &counted, limit) && !is_end(answer));
	return NULL;
}

void query(const struct question *question, struct answer *ret)
{
	const char *name = question->control ? "control" : "status", *line = question->line;
	const char *why = nobody;
	int fd = question->instance ? connect_to(question->instance, name)
	                            : connect_to_only(name, &why);

	*ret = (struct answer){.exit = fd < 0 ? QUERY_NOT_THERE : QUERY_FAILED, .why = why};
	if (fd < 0)
		return;
	ret->why = late;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) >= 0 && send(fd, "\n", 1, MSG_NOSIGNAL) == 1)
		ret->why = hear(fd, question->limit, ret);
	close(fd);
}
