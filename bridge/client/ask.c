/*
 * One connection, over which lines go out and lines come in. Whatever comes is parsed by jansson; a
 * line that isn't JSON ends it.
 */
#include "ask.h"

#include "../operator/socket.h"
#include "../process/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ASK_NAMES_MAX = 64 };

struct ask {
	int fd;
	char *bytes; /* what has come */
	size_t at, len, room;
	char *line; /* the last one that was given out */
};

static int connect_to(const char *instance, const char *socket_name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd, err;

	if (snprintf(to.sun_path, sizeof(to.sun_path), RUN_DIRECTORY "/%s/%s", instance,
	             socket_name) >= (int)sizeof(to.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Connects to the control socket, if this user may, even for what only shows something: of its
 * places some are kept for operators. Else to the status socket. */
static int reach(const char *instance, bool control)
{
	int fd = connect_to(instance, "control"), other;

	if (fd >= 0 || control)
		return fd;
	other = connect_to(instance, "status");
	return other >= 0 || other == -EACCES ? other : fd;
}

/* ---- Which one ---- */

struct instances {
	char *names[ASK_NAMES_MAX];
	unsigned n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Finds those that run: somebody listens there, or this user is refused. */
static void find_instances(struct instances *ret)
{
	DIR *directory = opendir(RUN_DIRECTORY);
	struct dirent *entry;

	*ret = (struct instances){.n = 0};
	while (directory && ret->n < ASK_NAMES_MAX && (entry = readdir(directory))) {
		int fd = entry->d_name[0] == '.' ? -ENOENT : reach(entry->d_name, false);

		if (fd >= 0)
			close(fd);
		if (fd >= 0 || fd == -EACCES)
			ret->names[ret->n++] = strdup(entry->d_name);
	}
	if (directory)
		closedir(directory);
	qsort(ret->names, ret->n, sizeof(ret->names[0]), by_name);
}

static void forget(struct instances *instances)
{
	for (unsigned i = 0; i < instances->n; i++)
		free(instances->names[i]);
}

static void say_all(const struct instances *instances)
{
	for (unsigned i = 0; i < instances->n; i++)
		log_error("  -i %s", instances->names[i]);
}

/* Whoever has said which one means another, if there is any. */
static void say_not_there(const char *instance)
{
	struct instances instances;

	find_instances(&instances);
	log_error("%s: no tmbridge is running there%s", instance, instances.n ? ", but here:" : "");
	say_all(&instances);
	forget(&instances);
}

static int say_why(const char *instance, int err)
{
	if (err == -EACCES)
		log_error("%s: you may not ask it: be root, or of the group tmbridge", instance);
	else if (err == -ENOENT || err == -ECONNREFUSED)
		say_not_there(instance);
	else
		log_error("%s: %s", instance, strerror(-err));
	return ASK_NOT_THERE;
}

/* Opens the only one. */
static int open_only(bool control, int *ret)
{
	struct instances instances;
	int status = 0;

	find_instances(&instances);
	if (!instances.n) {
		log_error("no tmbridge is running here");
		status = ASK_NOT_THERE;
	} else if (instances.n > 1) {
		log_error("several are running here: say which one");
		say_all(&instances);
		status = ASK_USAGE;
	} else if ((*ret = reach(instances.names[0], control)) < 0) {
		status = say_why(instances.names[0], *ret);
	}
	forget(&instances);
	return status;
}

int ask_open(const char *instance, bool control, struct ask **ret)
{
	int fd = -1, status = 0;

	if (!instance)
		status = open_only(control, &fd);
	else if ((fd = reach(instance, control)) < 0)
		status = say_why(instance, fd);
	if (status)
		return status;
	*ret = calloc(1, sizeof(**ret));
	if (!*ret) {
		close(fd);
		log_error("out of memory");
		return ASK_FAILED;
	}
	(*ret)->fd = fd;
	return 0;
}

void ask_close(struct ask *ask)
{
	if (!ask)
		return;
	close(ask->fd);
	free(ask->bytes);
	free(ask->line);
	free(ask);
}

/* ---- Lines ---- */

bool ask_send(struct ask *ask, const char *line)
{
	char *text = NULL;
	int len = asprintf(&text, "%s\n", line);
	bool sent = len > 0 && send(ask->fd, text, (size_t)len, MSG_NOSIGNAL) == len;

	if (!sent)
		log_error("asking: %m");
	free(text);
	return sent;
}

static char *line_end(const struct ask *ask)
{
	return ask->len > ask->at ? memchr(ask->bytes + ask->at, '\n', ask->len - ask->at) : NULL;
}

bool ask_has_line(const struct ask *ask)
{
	return line_end(ask);
}

const char *ask_text(const json_t *record, const char *member)
{
	const char *value = json_string_value(json_object_get(record, member));

	return value ? value : "-";
}

int ask_fd(const struct ask *ask)
{
	return ask->fd;
}

/* Reads more. False at the end, or if memory runs out. */
static bool fill(struct ask *ask)
{
	ssize_t n;

	if (ask->bytes)
		memmove(ask->bytes, ask->bytes + ask->at, ask->len - ask->at);
	ask->len -= ask->at;
	ask->at = 0;
	if (ask->room - ask->len < 65536) {
		char *bytes = realloc(ask->bytes, 2 * ask->room + 2 * 65536);

		if (!bytes)
			return false;
		ask->bytes = bytes;
		ask->room = 2 * ask->room + 2 * 65536;
	}
	do
		n = read(ask->fd, ask->bytes + ask->len, ask->room - ask->len);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		ask->len += (size_t)n;
	return n > 0;
}

static char *next_line(struct ask *ask)
{
	char *end;

	while (!(end = line_end(ask)))
		if (!fill(ask))
			return NULL;
	free(ask->line);
	ask->line = strndup(ask->bytes + ask->at, (size_t)(end - ask->bytes) - ask->at);
	ask->at = (size_t)(end - ask->bytes) + 1;
	return ask->line;
}

static int end_of(const json_t *record)
{
	const json_t *error = json_object_get(record, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *nearest = json_string_value(json_object_get(error, "did_you_mean"));

	if (message && nearest)
		log_error("%s (did you mean %s?)", message, nearest);
	else if (message)
		log_error("%s", message);
	return (int)json_integer_value(json_object_get(record, "exit"));
}

json_t *ask_next(struct ask *ask, int *ret)
{
	const char *line = next_line(ask);
	json_t *record = line ? json_loads(line, 0, NULL) : NULL;

	if (!json_is_object(record)) {
		log_error("the answer broke off");
		json_decref(record);
		*ret = ASK_FAILED;
		return NULL;
	}
	if (!json_object_get(record, "end"))
		return record;
	*ret = end_of(record);
	json_decref(record);
	return NULL;
}

const char *ask_line(const struct ask *ask)
{
	return ask->line;
}
