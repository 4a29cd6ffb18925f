/*
 * Who is sent away from the console.
 */
#include "suites.h"

#include "../../bridge/console/seats.h"

#include <sys/socket.h>
#include <unistd.h>

enum { GUESTS = SEATS + SEATS_SPARE + 1 };

/* A connection: the console's end, and the other one. */
struct guest {
	int here, there;
	struct seat *seat;
};

static struct guest guests[GUESTS];

static lb_time at_ms(unsigned ms)
{
	return (lb_time){1000 * LB_NS_PER_S + ms * LB_NS_PER_MS};
}

static struct guest *come(struct seats *seats, unsigned i, unsigned ms)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	guests[i] = (struct guest){.here = fds[0], .there = fds[1]};
	guests[i].seat = seats_take(seats, fds[0], at_ms(ms));
	return &guests[i];
}

static bool is_sent_away(const struct guest *guest)
{
	char byte;

	return recv(guest->there, &byte, 1, MSG_DONTWAIT) == 0;
}

static void leave(struct seats *seats, struct guest *guest)
{
	seats_leave(seats, guest->seat);
	close(guest->here);
	close(guest->there);
}

/* The house is full, all of them for that. Guest i came at i ms. */
static struct seats *full_house(enum seat_use use)
{
	struct seats *seats = seats_new();

	for (unsigned i = 0; i < SEATS; i++) {
		come(seats, i, i);
		if (use != SEAT_WAITS)
			seats_use(seats, guests[i].seat, use, at_ms(i));
	}
	for (unsigned i = 0; i < SEATS; i++)
		ck_assert(!is_sent_away(&guests[i]));
	return seats;
}

static void close_house(struct seats *seats, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		leave(seats, &guests[i]);
	seats_free(seats);
}

START_TEST(who_has_waited_longest_makes_room)
{
	struct seats *seats = full_house(SEAT_WAITS);

	seats_use(seats, guests[0].seat, SEAT_ASKS, at_ms(100));
	seats_use(seats, guests[1].seat, SEAT_LOOKS, at_ms(100));
	ck_assert(!is_sent_away(come(seats, SEATS, 200)));
	ck_assert(!is_sent_away(&guests[0]) && !is_sent_away(&guests[1]));
	ck_assert(is_sent_away(&guests[2]) && !is_sent_away(&guests[3]));
	ck_assert(!is_sent_away(come(seats, SEATS + 1, 200)));
	ck_assert(is_sent_away(&guests[3]) && !is_sent_away(&guests[4]));
	close_house(seats, SEATS + 2);
}
END_TEST

START_TEST(or_who_has_been_answered_for_longest)
{
	struct seats *seats = full_house(SEAT_ASKS);

	ck_assert(!is_sent_away(come(seats, SEATS, 200)));
	ck_assert(is_sent_away(&guests[0]) && !is_sent_away(&guests[1]));
	close_house(seats, SEATS + 1);
}
END_TEST

START_TEST(or_nobody_who_looks)
{
	struct seats *seats = full_house(SEAT_LOOKS);

	ck_assert(is_sent_away(come(seats, SEATS, 200)));
	ck_assert(!is_sent_away(&guests[0]));
	leave(seats, &guests[0]);
	ck_assert(!is_sent_away(come(seats, 0, 300)));
	close_house(seats, SEATS + 1);
}
END_TEST

/* Who was sent away and doesn't go: there is an end of these, too. */
START_TEST(there_is_an_end_of_seats)
{
	struct seats *seats = full_house(SEAT_WAITS);

	for (unsigned i = 0; i < SEATS_SPARE; i++)
		ck_assert(!is_sent_away(come(seats, SEATS + i, 200)));
	ck_assert(is_sent_away(come(seats, GUESTS - 1, 200)));
	ck_assert_ptr_null(guests[GUESTS - 1].seat);
	seats_use(seats, NULL, SEAT_ASKS, at_ms(200));
	leave(seats, &guests[5]);
	ck_assert(!is_sent_away(come(seats, 5, 300)));
	close_house(seats, GUESTS);
}
END_TEST

START_TEST(all_but_streams_have_their_time)
{
	struct seats *seats = seats_new();

	for (unsigned i = 0; i < 4; i++)
		come(seats, i, 0);
	seats_use(seats, guests[1].seat, SEAT_ASKS, at_ms(0));
	seats_use(seats, guests[2].seat, SEAT_LOOKS, at_ms(0));
	seats_tend(seats, at_ms(1000 * SEATS_WAIT_S));
	ck_assert(!is_sent_away(&guests[0]));
	seats_use(seats, guests[3].seat, SEAT_WAITS, at_ms(500)); /* another request may come */
	seats_tend(seats, at_ms(1000 * SEATS_WAIT_S + 1));
	ck_assert(is_sent_away(&guests[0]) && !is_sent_away(&guests[3]));
	seats_tend(seats, at_ms(1000 * SEATS_WAIT_S + 501));
	ck_assert(is_sent_away(&guests[3]) && !is_sent_away(&guests[1]));
	seats_tend(seats, at_ms(1000 * SEATS_ASK_S));
	ck_assert(!is_sent_away(&guests[1]));
	seats_tend(seats, at_ms(1000 * SEATS_ASK_S + 1));
	ck_assert(is_sent_away(&guests[1]) && !is_sent_away(&guests[2]));
	close_house(seats, 4);
}
END_TEST

Suite *console_seats_suite(void)
{
	const TTest *const tests[] = {
	        who_has_waited_longest_makes_room,
	        or_who_has_been_answered_for_longest,
	        or_nobody_who_looks,
	        there_is_an_end_of_seats,
	        all_but_streams_have_their_time,
	        NULL,
	};

	return suite_of("console_seats", tests);
}
