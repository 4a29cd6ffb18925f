/*
 * A connection that sends no request, or half of one, or doesn't read, holds one of few seats. So
 * each has a time limit, and none keeps a new one out: if all seats are taken, one that hasn't sent
 * a request yet makes room, the one that has waited longest first. A browser's request takes some
 * milliseconds: to keep it out an attacker needs more new connections in that time than there are
 * seats.
 *
 * Sending away is shutting down the socket, upon which the thread that serves it ends. It closes
 * the socket itself, so its number is nobody else's until it has left.
 */
#include "seats.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

struct seat {
	int fd; /* -1: free */
	enum seat_use use;
	bool sent_away;
	lb_time since; /* of this use */
};

struct seats {
	pthread_mutex_t lock;
	struct seat seats[SEATS + SEATS_SPARE];
};

enum { ALL = SEATS + SEATS_SPARE };

struct seats *seats_new(void)
{
	struct seats *seats = calloc(1, sizeof(*seats));

	if (!seats)
		return NULL;
	pthread_mutex_init(&seats->lock, NULL);
	for (unsigned i = 0; i < ALL; i++)
		seats->seats[i].fd = -1;
	return seats;
}

void seats_free(struct seats *seats)
{
	if (seats)
		pthread_mutex_destroy(&seats->lock);
	free(seats);
}

static void send_away(struct seat *seat)
{
	seat->sent_away = true;
	shutdown(seat->fd, SHUT_RDWR);
}

static bool is_taken(const struct seat *seat)
{
	return seat->fd >= 0 && !seat->sent_away;
}

/* Who has been at that for longest; NULL: nobody is. */
static struct seat *longest(struct seats *seats, enum seat_use use)
{
	struct seat *found = NULL;

	for (unsigned i = 0; i < ALL; i++) {
		struct seat *seat = &seats->seats[i];

		if (is_taken(seat) && seat->use == use &&
		    (!found || seat->since.ns < found->since.ns))
			found = seat;
	}
	return found;
}

static unsigned count(const struct seats *seats)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ALL; i++)
		n += is_taken(&seats->seats[i]);
	return n;
}

static struct seat *free_seat(struct seats *seats)
{
	for (unsigned i = 0; i < ALL; i++)
		if (seats->seats[i].fd < 0)
			return &seats->seats[i];
	return NULL;
}

static void make_room(struct seats *seats, struct seat *newest)
{
	struct seat *leaves = longest(seats, SEAT_WAITS);

	if (!leaves)
		leaves = longest(seats, SEAT_ASKS);
	send_away(leaves ? leaves : newest);
}

struct seat *seats_take(struct seats *seats, int fd, lb_time now)
{
	struct seat *seat;
	bool full;

	pthread_mutex_lock(&seats->lock);
	full = count(seats) >= SEATS;
	seat = free_seat(seats);
	if (seat) {
		/* while room is made for it, it isn't one of those who wait */
		*seat = (struct seat){.fd = fd, .use = SEAT_LOOKS, .since = now};
		if (full)
			make_room(seats, seat);
		seat->use = SEAT_WAITS;
	}
	pthread_mutex_unlock(&seats->lock);
	if (!seat)
		shutdown(fd, SHUT_RDWR);
	return seat;
}

void seats_use(struct seats *seats, struct seat *seat, enum seat_use use, lb_time now)
{
	if (!seat)
		return;
	pthread_mutex_lock(&seats->lock);
	seat->use = use;
	seat->since = now;
	pthread_mutex_unlock(&seats->lock);
}

void seats_leave(struct seats *seats, struct seat *seat)
{
	if (!seat)
		return;
	pthread_mutex_lock(&seats->lock);
	seat->fd = -1;
	pthread_mutex_unlock(&seats->lock);
}

void seats_tend(struct seats *seats, lb_time now)
{
	static const unsigned patience_s[] = {
	        [SEAT_WAITS] = SEATS_WAIT_S, [SEAT_ASKS] = SEATS_ASK_S};

	pthread_mutex_lock(&seats->lock);
	for (unsigned i = 0; i < ALL; i++) {
		struct seat *seat = &seats->seats[i];

		if (is_taken(seat) && seat->use != SEAT_LOOKS &&
		    now.ns - seat->since.ns > patience_s[seat->use] * LB_NS_PER_S)
			send_away(seat);
	}
	pthread_mutex_unlock(&seats->lock);
}
