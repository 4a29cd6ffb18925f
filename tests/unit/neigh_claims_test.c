/*
 * Whom to believe of where a server is: claims, silent changes, other sides and VLANs.
 */
#include "neigh_fixture.h"
#include "suites.h"

#include "../../lb/way.h"

/* The next question must be a direct one to mac, n ms from now. */
static void asked_at(uint8_t mac, uint64_t ms)
{
	struct neigh_question question;

	if (ms) {
		wait_ms(ms - 1);
		ck_assert(!neigh_next_question(table, now, &question));
		wait_ms(1);
	}
	ck_assert(neigh_next_question(table, now, &question));
	ck_assert(question.is_direct && is_mac(&question.to, mac));
	ck_assert(!neigh_next_question(table, now, &question));
}

/* A server that is known to be at 0x41, inside. */
static void begin_known(void)
{
	begin(1, false);
	see(0, 0x41);
	wait_ms(5000);
}

static struct neigh_event only_event(void)
{
	struct neigh_event event = {0}, none;

	ck_assert(neigh_next_event(table, &event));
	ck_assert(!neigh_next_event(table, &none));
	return event;
}

START_TEST(a_claim_is_no_move_while_the_server_answers)
{
	struct sighting forged = sighting_of(0, 0x66, OUTSIDE);
	struct neigh_event event;
	struct neigh_question question;

	begin_known();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(neigh_sighted(table, &forged, now));
		ck_assert(is_mac(neigh_find(table, 0, now), 0x41));
		asked_at(0x41, i ? 1000 : 0); /* once a second, however often that is claimed */
		ck_assert(neigh_sighted(table, &forged, now));
		ck_assert(see(0, 0x41));
		ck_assert(!neigh_next_question(table, now, &question));
		event = only_event();
		ck_assert(!event.moved && is_mac(&event.from, 0x41) && is_mac(&event.to, 0x66));
		ck_assert_uint_eq(event.to.side, OUTSIDE);
		ck_assert(is_mac(neigh_find(table, 0, now), 0x41));
	}
	ck_assert_uint_eq(neigh_counts(table)->attempts, 3);
	ck_assert_uint_eq(neigh_counts(table)->moves, 0);
	end();
}
END_TEST

START_TEST(a_claim_is_a_move_when_it_doesnt)
{
	struct sighting other = sighting_of(0, 0x66, OUTSIDE);
	struct neigh_question question;
	struct neigh_event event;
	unsigned server;

	begin_known();
	while (neigh_next_found(table, &server))
		;
	neigh_sighted(table, &other, now);
	asked_at(0x41, 0);
	asked_at(0x41, 250);
	asked_at(0x41, 250);
	ck_assert(is_mac(neigh_find(table, 0, now), 0x41));
	wait_ms(250);
	ck_assert(!neigh_next_question(table, now, &question));
	ck_assert(is_mac(neigh_find(table, 0, now), 0x66));
	ck_assert_uint_eq(neigh_find(table, 0, now)->side, OUTSIDE);
	event = only_event();
	ck_assert(event.moved && is_mac(&event.from, 0x41) && is_mac(&event.to, 0x66));
	ck_assert(neigh_next_found(table, &server) && server == 0);
	ck_assert(!neigh_next_found(table, &server));
	ck_assert_uint_eq(neigh_counts(table)->moves, 1);
	end();
}
END_TEST

START_TEST(another_side_is_another_place)
{
	struct sighting outside = sighting_of(0, 0x41, OUTSIDE);

	begin_known();
	neigh_sighted(table, &outside, now);
	ck_assert_uint_eq(neigh_find(table, 0, now)->side, INSIDE);
	asked_at(0x41, 0);
	end();
}
END_TEST

/* Where tmbridge is no cable a server is on its own side: whoever says something else, from the
 * start on, when it doesn't answer, or before a reload, isn't believed. */
START_TEST(where_there_is_no_cable_only_its_own_side_counts)
{
	struct sighting outside = sighting_of(0, 0x66, OUTSIDE);
	const struct hop recalled = outside.hop;
	struct neigh_question question;
	struct neigh_table *next;

	begin(1, false);
	rules->mode = MODE_ROUTED;
	way_settle(rules);
	ck_assert(!neigh_sighted(table, &outside, now));
	neigh_recall(table, 0, &recalled);
	neigh_placed(table, &outside, now);
	ck_assert_ptr_null(neigh_find(table, 0, now));
	ck_assert(see(0, 0x41));
	wait_ms(5000);
	neigh_doubt(table, 0, now);
	for (unsigned i = 0; i < 10; i++, wait_ms(1000)) {
		ck_assert(!neigh_sighted(table, &outside, now));
		while (neigh_next_question(table, now, &question))
			ck_assert(question.is_direct || question.sides == 1u << INSIDE);
		ck_assert(is_mac(neigh_find(table, 0, now), 0x41));
	}
	rules->servers[0].side = OUTSIDE;
	next = neigh_new(rules, true);
	neigh_trace(next, table);
	neigh_inherit(next, table);
	ck_assert_ptr_null(neigh_find(next, 0, now));
	neigh_free(next);
	end();
}
END_TEST

START_TEST(without_override_nothing_known_is_replaced)
{
	struct sighting humble = sighting_of(0, 0x66, INSIDE);
	struct neigh_question question;

	humble.overrides = false;
	begin_known();
	ck_assert(neigh_sighted(table, &humble, now));
	ck_assert(!neigh_next_question(table, now, &question));
	ck_assert(is_mac(neigh_find(table, 0, now), 0x41)); /* stale: its use has it asked */
	asked_at(0x41, 0);
	see(0, 0x41);
	ck_assert(!neigh_next_event(table, &(struct neigh_event){0}));
	end();
	begin(1, false); /* nothing known: taken */
	ck_assert(neigh_sighted(table, &humble, now));
	ck_assert(is_mac(neigh_find(table, 0, now), 0x66));
	end();
}
END_TEST

/* Who says so again and again has it asked no more than once a second. */
START_TEST(made_stale_all_the_time)
{
	struct sighting humble = sighting_of(0, 0x66, INSIDE);
	struct neigh_question question;
	unsigned n = 0;

	humble.overrides = false;
	begin_known();
	for (unsigned ms = 0; ms < 5000; ms++, wait_ms(1)) {
		neigh_sighted(table, &humble, now);
		neigh_find(table, 0, now);
		while (neigh_next_question(table, now, &question)) {
			ck_assert(question.is_direct);
			see(0, 0x41);
			n++;
		}
	}
	ck_assert(n >= 4 && n <= 6);
	end();
}
END_TEST

START_TEST(a_silent_change_is_found_when_it_is_doubted)
{
	struct neigh_question question;

	begin_known();
	neigh_doubt(table, 0, now);
	asked_at(0x41, 0);
	neigh_doubt(table, 0, now);
	asked_at(0x41, 250);
	asked_at(0x41, 250);
	wait_ms(250);
	ck_assert(neigh_next_question(table, now, &question));
	ck_assert(!question.is_direct && question.sides == 1u << INSIDE);
	ck_assert(is_mac(neigh_find(table, 0, now), 0x41)); /* for want of a better one */
	see(0, 0x77);
	ck_assert(is_mac(neigh_find(table, 0, now), 0x77));
	ck_assert(only_event().moved);
	ck_assert(!neigh_next_question(table, now, &question));
	end();
}
END_TEST

START_TEST(who_has_just_answered_is_not_doubted)
{
	struct neigh_question question;

	begin_known();
	see(0, 0x41);
	wait_ms(999);
	neigh_doubt(table, 0, now);
	ck_assert(!neigh_next_question(table, now, &question));
	wait_ms(1);
	neigh_doubt(table, 0, now);
	asked_at(0x41, 0);
	end();
}
END_TEST

START_TEST(a_neighbour_in_another_vlan_is_another_one)
{
	struct sighting sighting = sighting_of(0, 0x55, INSIDE);

	rules = fixture_rules(1);
	rules->servers[0].has_mac = false;
	rules->farms[0].vlan = rules->servers[0].vlan = 7;
	now = (lb_time){1000 * LB_NS_PER_S};
	table = neigh_new(rules, true);
	ck_assert(!neigh_sighted(table, &sighting, now));
	sighting.hop.ntags = 1;
	sighting.hop.tci[0] = be16_from(99);
	ck_assert(!neigh_sighted(table, &sighting, now));
	ck_assert_ptr_null(neigh_find(table, 0, now));
	sighting.hop.tci[0] = be16_from(7 | 3 << 13);
	ck_assert(neigh_sighted(table, &sighting, now));
	ck_assert(is_mac(neigh_find(table, 0, now), 0x55));
	sighting.hop.tci[0] = be16_from(7); /* of another priority: the same place */
	ck_assert(neigh_sighted(table, &sighting, now));
	ck_assert(!neigh_next_question(table, now, &(struct neigh_question){0}));
	end();
}
END_TEST

/* A claim in the server's own name, from behind tags that are no VLAN which a rule can name, but
 * others than his: he is asked first. */
START_TEST(behind_other_tags_is_another_place)
{
	struct sighting sighting = sighting_of(0, 0x41, INSIDE);

	begin(1, false);
	sighting.hop.ntags = 2;
	sighting.hop.tpid0 = TPID_8021AD;
	sighting.hop.tci[0] = be16_from(5);
	sighting.hop.tci[1] = be16_from(10);
	ck_assert(neigh_sighted(table, &sighting, now));
	wait_ms(5000);
	for (unsigned i = 0; i < FRAME_TAGS_MAX; i++) {
		struct sighting forged = sighting;

		forged.hop.tci[i] = be16_from(6);
		ck_assert(neigh_sighted(table, &forged, now));
		ck_assert(hop_eq(neigh_find(table, 0, now), &sighting.hop));
		asked_at(0x41, 0);
		ck_assert(neigh_sighted(table, &sighting, now));
		ck_assert(!only_event().moved);
		wait_ms(5000);
	}
	sighting.hop.tci[1] = be16_from(10 | 3 << 13); /* of another priority: the same place */
	ck_assert(neigh_sighted(table, &sighting, now));
	ck_assert(!neigh_next_question(table, now, &(struct neigh_question){0}));
	end();
}
END_TEST

START_TEST(a_following_table_leaves_claims_to_the_leading_one)
{
	struct neigh_question question;
	struct sighting place;

	begin(1, false);
	neigh_free(table);
	table = neigh_new(rules, false);
	ck_assert(!neigh_next_question(table, now, &question));
	ck_assert(see(0, 0x41));
	ck_assert(see(0, 0x66));
	ck_assert(!neigh_next_question(table, now, &question));
	ck_assert(is_mac(neigh_find(table, 0, now), 0x41));
	place = sighting_of(0, 0x66, OUTSIDE);
	neigh_placed(table, &place, now);
	ck_assert(is_mac(neigh_find(table, 0, now), 0x66));
	end();
}
END_TEST

Suite *neigh_claims_suite(void)
{
	const TTest *const tests[] = {
	        a_claim_is_no_move_while_the_server_answers,
	        a_claim_is_a_move_when_it_doesnt,
	        another_side_is_another_place,
	        where_there_is_no_cable_only_its_own_side_counts,
	        without_override_nothing_known_is_replaced,
	        made_stale_all_the_time,
	        a_silent_change_is_found_when_it_is_doubted,
	        who_has_just_answered_is_not_doubted,
	        a_neighbour_in_another_vlan_is_another_one,
	        behind_other_tags_is_another_place,
	        a_following_table_leaves_claims_to_the_leading_one,
	        NULL,
	};

	return suite_of("neigh_claims", tests);
}
