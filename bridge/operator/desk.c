/*
 * Each client has buffers of his own, of a fixed size, and is given up on if he neither asks nor
 * reads for long. So whatever he does costs the others nothing but their turn, and a turn is
 * bounded: one read, one step of an answer, one write.
 *
 * A client may ask again when his answer has ended. Who closes his half of the connection still
 * gets the rest.
 */
#include "desk.h"

#include "verbs.h"
#include "../process/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DESK_FIRST_MS = 1000, /* how long to wait when nothing is under way */
	DESK_ROOM = 4096,     /* for what is worth going on */
	DESK_GO_MS = 50,      /* how often to look whether an answer goes on */
};

struct desk {
	struct world *world;
	const struct sockets *sockets;
	struct client clients[DESK_CLIENTS];
	unsigned turn; /* the client that is served first next time */
};

struct desk *desk_new(struct world *world, const struct sockets *sockets)
{
	struct desk *desk = calloc(1, sizeof(*desk));

	if (!desk)
		return NULL;
	desk->world = world;
	desk->sockets = sockets;
	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		desk->clients[i].fd = -1;
	return desk;
}

static void stop(struct desk *desk, struct client *client)
{
	if (client->stop)
		client->stop(desk->world, client);
	client->stop = NULL;
}

static void say_good_bye(struct desk *desk, struct client *client)
{
	stop(desk, client);
	close(client->fd);
	client->fd = -1;
	client->go = NULL;
	answer_clear(&client->answer);
}

void desk_free(struct desk *desk)
{
	for (unsigned i = 0; desk && i < DESK_CLIENTS; i++)
		if (desk->clients[i].fd >= 0)
			say_good_bye(desk, &desk->clients[i]);
	if (desk)
		rates_free(&desk->world->rates);
	free(desk);
}

/* If he waits for an answer, or the rest of one. */
static bool is_served(const struct client *client)
{
	size_t waits;

	answer_next(&client->answer, &waits);
	return client->go || waits;
}

static bool has_output(const struct client *client)
{
	size_t waits;

	answer_next(&client->answer, &waits);
	return waits;
}

unsigned desk_poll(const struct desk *desk, struct pollfd *ret)
{
	unsigned n = 0;

	for (unsigned kind = 0; desk && kind < SOCKET_KINDS; kind++)
		ret[n++] = (struct pollfd){.fd = desk->sockets->fds[kind], .events = POLLIN};
	for (unsigned i = 0; desk && i < DESK_CLIENTS; i++) {
		const struct client *client = &desk->clients[i];
		short events = has_output(client) ? POLLOUT : 0;

		if (!client->gone && client->got < REQUEST_BYTES)
			events |= POLLIN;
		if (client->fd >= 0)
			ret[n++] = (struct pollfd){.fd = client->fd, .events = events};
	}
	return n;
}

/* How long viewers pause who go over the flows: a whole number of ms, and not longer than ms. */
static int pause_ms(const struct desk *desk, int ms)
{
	const uint64_t now = clock_now().ns, until = desk->world->viewers.ns;
	const uint64_t left = until > now ? (until - now) / LB_NS_PER_MS + 1 : 0;

	return left < (uint64_t)ms ? (int)left : ms;
}

int desk_wait_ms(const struct desk *desk)
{
	int ms = DESK_FIRST_MS;
	bool waits = false;

	for (unsigned i = 0; desk && i < DESK_CLIENTS; i++) {
		const struct client *client = &desk->clients[i];

		if (client->fd < 0 || !client->go)
			continue;
		if (client->is_busy && answer_room(&client->answer) > DESK_ROOM)
			return 0;
		ms = DESK_GO_MS;
		waits |= client->has_to_wait;
	}
	return waits ? pause_ms(desk, ms) : ms;
}

/* ---- Coming ---- */

/* A free place, if there is one for who comes by that socket. */
static struct client *place(struct desk *desk, enum socket_kind kind)
{
	struct client *free = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < DESK_CLIENTS; i++) {
		struct client *client = &desk->clients[i];

		if (client->fd < 0)
			free = client;
		else
			n += !client->is_operator;
	}
	return kind == SOCKET_STATUS && n >= DESK_STATUS_MAX ? NULL : free;
}

static void turn_away(int fd)
{
	static const char text[] =
	        "{\"end\":true,\"exit\":6,\"error\":{\"code\":\"too_many_clients\","
	        "\"message\":\"too many clients at a time\"}}\n";

	send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static lb_time later(lb_time now, unsigned seconds)
{
	return (lb_time){now.ns + seconds * LB_NS_PER_S};
}

static void welcome(struct desk *desk, enum socket_kind kind, lb_time now)
{
	struct socket_peer peer;
	struct client *client;
	int fd;

	for (unsigned i = 0; i < DESK_CLIENTS; i++) {
		fd = desk->sockets->fds[kind] < 0 ? -1
		                                  : socket_accept(desk->sockets->fds[kind], &peer);
		if (fd < 0)
			return;
		client = place(desk, kind);
		if (!client) {
			turn_away(fd);
			continue;
		}
		client->fd = fd;
		client->is_operator = kind == SOCKET_CONTROL;
		client->peer = peer;
		client->got = 0;
		client->gone = false;
		client->patient = later(now, DESK_PATIENCE_S);
	}
}

/* ---- Asking ---- */

/* Answers the first line of what has come, if there is one and the one before has been answered. */
static void take_line(struct desk *desk, struct client *client, lb_time now)
{
	char *end = memchr(client->line, '\n', client->got);
	size_t len = end ? (size_t)(end - client->line) + 1 : 0;
	char line[REQUEST_BYTES];

	if (is_served(client))
		return;
	if (!end && client->got == REQUEST_BYTES) {
		answer_fail(&client->answer, ANSWER_USAGE, "bad_request", NULL,
		            "a line of more than %d bytes", REQUEST_BYTES);
		client->gone = true;
		client->got = 0;
		return;
	}
	if (!end)
		return;
	memcpy(line, client->line, len);
	line[len - 1] = 0;
	if (len > 1 && line[len - 2] == '\r')
		line[len - 2] = 0;
	if (memchr(line, 0, len) < (void *)(line + strlen(line)))
		line[0] = 0;
	memmove(client->line, client->line + len, client->got - len);
	client->got -= len;
	answer_clear(&client->answer);
	verbs_ask(desk->world, client, line, now);
	client->patient = later(now, DESK_PATIENCE_S);
}

/* Who has closed his half may still read; who has closed the whole may not. */
static bool has_left(const struct client *client)
{
	struct pollfd fd = {.fd = client->fd};

	return client->gone && poll(&fd, 1, 0) > 0 && fd.revents & (POLLHUP | POLLERR);
}

/* False if he is gone for good. */
static bool hear(struct client *client)
{
	ssize_t n;

	if (client->gone || client->got == REQUEST_BYTES)
		return true;
	n = read(client->fd, client->line + client->got, REQUEST_BYTES - client->got);
	if (n > 0)
		client->got += (size_t)n;
	else if (n == 0)
		client->gone = true;
	else
		return errno == EAGAIN || errno == EINTR;
	return true;
}

/* ---- Answering ---- */

/* False if he can't be told. */
static bool speak(struct client *client, lb_time now)
{
	size_t len;
	const char *text = answer_next(&client->answer, &len);
	ssize_t n = len ? send(client->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n)
		return true;
	answer_sent(&client->answer, (size_t)n);
	client->patient = later(now, DESK_PATIENCE_S);
	return true;
}

static void go_on(struct desk *desk, struct client *client, lb_time now)
{
	client->is_busy = client->has_to_wait = false;
	if (client->go && !client->answer.ended)
		client->go(desk->world, client, now);
	if (client->answer.ended) {
		client->go = NULL;
		stop(desk, client);
	}
}

static void serve(struct desk *desk, struct client *client, lb_time now)
{
	bool there = hear(client) && !has_left(client);

	if (there) {
		take_line(desk, client, now);
		go_on(desk, client, now);
		there = speak(client, now);
	}
	if (client->go && !has_output(client)) /* waits for something to happen, not for him */
		client->patient = later(now, DESK_PATIENCE_S);
	if (!there ||
	    (client->gone && !is_served(client) && !memchr(client->line, '\n', client->got)) ||
	    now.ns > client->patient.ns)
		say_good_bye(desk, client);
}

void desk_serve(struct desk *desk, lb_time now)
{
	if (!desk)
		return;
	verdicts_expire(&desk->world->verdicts, desk->world->crew, now);
	rates_look(&desk->world->rates, desk->world->crew, desk->world->started, now);
	for (unsigned kind = 0; kind < SOCKET_KINDS; kind++)
		welcome(desk, (enum socket_kind)kind, now);
	for (unsigned i = 0; i < DESK_CLIENTS; i++) {
		struct client *client = &desk->clients[(desk->turn + i) % DESK_CLIENTS];

		if (client->fd >= 0)
			serve(desk, client, now);
	}
	desk->turn++; /* nobody is always the first one */
}
