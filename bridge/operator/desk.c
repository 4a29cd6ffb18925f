/*
 * Each client has buffers of his own, of a fixed size, and is disconnected if he neither asks nor
 * reads for long. So whatever he does costs the others nothing but their turn, and a turn is
 * bounded: one read, one step of an answer, one write. What waits for a worker who doesn't move is
 * begun again and again, and nobody else waits for it (verb_stall()).
 *
 * What viewers ask, and their coming, takes a fiftieth of the time, all together, and pauses for
 * the rest; and each pause has a least length, as it isn't only time that the wire lacks: each time
 * that this thread, a worker for it, or a client who has waited wakes up, somebody else is taken
 * off a processor. What they haven't used for a second they have at once: so who asks now and then,
 * or much at a time, hardly waits, and who connects and closes, or asks, as fast as he can leaves
 * the processors to the wire, and mostly waits himself. Operators don't wait.
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
	DESK_FIRST_MS = 1000,  /* how long to wait when nothing is under way */
	DESK_ROOM = 4096,      /* bytes that must be free for an answer to go on at once */
	DESK_GO_MS = 50,       /* how often to look whether an answer goes on */
	DESK_SHARE = 50,       /* viewers pause so many times as long as they took, */
	DESK_REST_MS = 50,     /* and no less, if one of them has come or said something */
	DESK_CREDIT_MS = 1000, /* of a pause that was longer than due, so much counts for later */
};

struct desk {
	struct world *world;
	const struct sockets *sockets;
	struct client clients[DESK_CLIENTS];
	unsigned turn;   /* the client that is served first next time */
	lb_time viewers; /* when their pause is over, and they may come and ask again */
	uint64_t cost;   /* ns that viewers have taken in this round */
	bool stirred;    /* one of them has come or said something in it */
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

static bool viewers_pause(const struct desk *desk)
{
	return clock_now().ns < desk->viewers.ns;
}

/* Has viewers pause for what this round has cost: DESK_SHARE times as long as it took, or
 * DESK_REST_MS, counted from the end of their last pause. */
static void rest(struct desk *desk)
{
	const uint64_t now = clock_now().ns, credit = DESK_CREDIT_MS * LB_NS_PER_MS;
	const uint64_t least = desk->stirred ? DESK_REST_MS * LB_NS_PER_MS : 0;
	const uint64_t due = DESK_SHARE * desk->cost;

	if (desk->viewers.ns + credit < now)
		desk->viewers.ns = now - credit;
	desk->viewers.ns += due > least ? due : least;
	desk->cost = 0;
	desk->stirred = false;
}

/* If he waits while viewers pause: a viewer who neither gets an answer nor has something left to
 * read. */
static bool is_put_off(const struct client *client)
{
	return !client->is_operator && !client->go && !has_output(client);
}

/* If what he says is read: also by whom an answer isn't put off. */
static bool is_heard(const struct client *client, bool pauses)
{
	return client->is_operator || !pauses;
}

/* If a request of the client's has come and hasn't been answered yet. */
static bool has_line(const struct client *client)
{
	return client->fd >= 0 && memchr(client->line, '\n', client->got) && !is_served(client);
}

unsigned desk_poll(const struct desk *desk, struct pollfd *ret)
{
	const bool pauses = desk && viewers_pause(desk);
	unsigned n = 0;

	for (unsigned kind = 0; desk && kind < SOCKET_KINDS; kind++) {
		const bool waits = kind == SOCKET_STATUS && pauses;
		const int fd = waits ? -1 : desk->sockets->fds[kind];

		ret[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	for (unsigned i = 0; desk && i < DESK_CLIENTS; i++) {
		const struct client *client = &desk->clients[i];
		short events = has_output(client) ? POLLOUT : 0;

		if (is_heard(client, pauses) && !client->gone && client->got < REQUEST_BYTES)
			events |= POLLIN;
		if (client->fd >= 0 && !(pauses && is_put_off(client)))
			ret[n++] = (struct pollfd){.fd = client->fd, .events = events};
	}
	return n;
}

/* How long it is until then: a whole number of ms, and not longer than ms. */
static int pause_ms(lb_time until, int ms)
{
	const uint64_t now = clock_now().ns;
	const uint64_t left = until.ns > now ? (until.ns - now) / LB_NS_PER_MS + 1 : 0;

	return left < (uint64_t)ms ? (int)left : ms;
}

/* If the client can be served at once. */
static bool is_due(const struct desk *desk, const struct client *client)
{
	return (client->go && client->is_busy && answer_room(&client->answer) > DESK_ROOM) ||
	       (has_line(client) && !client->is_stalled &&
	        (client->is_operator || !viewers_pause(desk)));
}

int desk_wait_ms(const struct desk *desk)
{
	int ms = DESK_FIRST_MS;
	bool waits = false;

	for (unsigned i = 0; desk && i < DESK_CLIENTS; i++) {
		const struct client *client = &desk->clients[i];

		if (client->fd < 0)
			continue;
		if (is_due(desk, client))
			return 0;
		if (client->go || client->is_stalled)
			ms = DESK_GO_MS;
		waits |= client->go && client->has_to_wait;
	}
	if (waits)
		ms = pause_ms(desk->world->viewers, ms);
	if (desk && viewers_pause(desk))
		ms = pause_ms(desk->viewers, ms);
	return ms;
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
		desk->stirred |= kind == SOCKET_STATUS;
		client = place(desk, kind);
		if (!client) {
			turn_away(fd);
			continue;
		}
		client->fd = fd;
		client->is_operator = kind == SOCKET_CONTROL;
		client->peer = peer;
		client->got = 0;
		client->gone = client->is_stalled = false;
		client->patient = later(now, DESK_PATIENCE_S);
	}
}

static void welcome_viewers(struct desk *desk, lb_time now)
{
	const uint64_t used = clock_used();

	welcome(desk, SOCKET_STATUS, now);
	desk->cost += clock_used() - used;
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
	answer_clear(&client->answer);
	if (!client->is_stalled)
		client->late.ns = 0;
	client->is_stalled = client->goes_over = false;
	desk->stirred |= !client->is_operator;
	verbs_ask(desk->world, client, line, now);
	client->patient = later(now, DESK_PATIENCE_S);
	if (client->is_stalled && !client->go)
		return; /* the line stays */
	memmove(client->line, client->line + len, client->got - len);
	client->got -= len;
}

/* If he has closed the whole connection: who has closed his half may still read. Of the others
 * hear() finds that out; it reads nothing of who has to wait, has closed his half, or has sent as
 * much as is held. */
static bool has_left(const struct client *client, bool heard)
{
	struct pollfd fd = {.fd = client->fd};

	return (!heard || client->gone || client->got == REQUEST_BYTES) && poll(&fd, 1, 0) > 0 &&
	       fd.revents & (POLLHUP | POLLERR);
}

/* Reads what the client has sent. False if the connection has ended. */
static bool hear(struct desk *desk, struct client *client, bool heard)
{
	ssize_t n;

	if (!heard || client->gone || client->got == REQUEST_BYTES)
		return true;
	n = read(client->fd, client->line + client->got, REQUEST_BYTES - client->got);
	desk->stirred |= n > 0 && !client->is_operator;
	if (n > 0)
		client->got += (size_t)n;
	else if (n == 0)
		client->gone = true;
	else
		return errno == EAGAIN || errno == EINTR;
	return true;
}

/* ---- Answering ---- */

/* Sends what waits for the client, and goes on with his answer. False if the connection ended. */
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
	if (client->go)
		client->is_stalled = false;
	if (client->go && !client->answer.ended)
		client->go(desk->world, client, now);
	if (client->answer.ended) {
		client->go = NULL;
		stop(desk, client);
	}
}

static void serve(struct desk *desk, struct client *client, bool heard, lb_time now)
{
	bool there = hear(desk, client, heard) && !has_left(client, heard);

	if (there) {
		take_line(desk, client, now);
		go_on(desk, client, now);
		there = speak(client, now);
	}
	if (client->go && !has_output(client)) /* the answer waits for something to happen, not for
	                                          the client to read */
		client->patient = later(now, DESK_PATIENCE_S);
	if (!there ||
	    (client->gone && !is_served(client) && !memchr(client->line, '\n', client->got)) ||
	    now.ns > client->patient.ns)
		say_good_bye(desk, client);
}

/* If his turn goes on with a list of flows, which has the lowest priority. */
static bool gives_way(const struct client *client)
{
	return client->goes_over && client->go;
}

/* One client's turn. What it costs is all viewers' if he is one, unless it goes on with an answer,
 * which has a share of its own. A list of flows goes on only where nobody else wants the processor,
 * or in some ms: else frames would wait for each record of it. */
static void take_turn(struct desk *desk, struct client *client, bool heard, lb_time now)
{
	const bool costs = !client->is_operator && !client->go;
	const bool lowers = gives_way(client);
	const uint64_t used = costs ? clock_used() : 0;

	if (lowers)
		priority_lower(&desk->world->priority);
	serve(desk, client, heard, now);
	if (lowers)
		priority_return(&desk->world->priority);
	if (costs)
		desk->cost += clock_used() - used;
}

/* Each client has a turn, but of those who give way only one goes on: where all processors are
 * busy his turn takes long, and signals and all others wait for it. */
static void take_turns(struct desk *desk, lb_time now, bool pauses)
{
	const unsigned first = desk->turn;
	bool gave_way = false;

	for (unsigned i = 0; i < DESK_CLIENTS; i++) {
		const unsigned place = (first + i) % DESK_CLIENTS;
		struct client *client = &desk->clients[place];
		const bool lowers = gives_way(client);

		if (client->fd < 0 || (pauses && is_put_off(client)) || (lowers && gave_way))
			continue;
		take_turn(desk, client, is_heard(client, pauses), now);
		if (lowers && !client->has_to_wait && !client->is_stalled) {
			gave_way = true;
			desk->turn = place + 1; /* the next one's */
		}
	}
	if (!gave_way)
		desk->turn++; /* nobody is always the first one */
}

/* If viewers pause is asked once for all of them: else the first one's question would use up the
 * time of those behind him, in each turn. */
void desk_serve(struct desk *desk, lb_time now)
{
	bool pauses;

	if (!desk)
		return;
	verdicts_expire(&desk->world->verdicts, desk->world->crew, now);
	verb_tidy(desk->world);
	rates_look(&desk->world->rates, desk->world->crew, desk->world->started, now);
	pauses = viewers_pause(desk);
	welcome(desk, SOCKET_CONTROL, now);
	if (!pauses)
		welcome_viewers(desk, now);
	take_turns(desk, now, pauses);
	rest(desk);
}
