/*
 * Where the servers are, whom to ask, and frames that wait.
 */
#include "fixture.h"
#include "suites.h"

#include "../../bridge/worker/neigh.h"

enum { SLOTS = 64, SMALL = 100 };

static struct rules *rules;
static struct neigh_table *table;
static lb_time now;

static void begin(unsigned nservers, bool has_mac)
{
	rules = fixture_rules(nservers);
	for (unsigned s = 0; s < nservers; s++)
		rules->servers[s].has_mac = has_mac;
	now = (lb_time){1000 * LB_NS_PER_S};
	table = neigh_new(rules, true);
}

static void end(void)
{
	neigh_free(table);
	rules_free(rules);
}

static void wait_ms(uint64_t ms)
{
	now.ns += ms * LB_NS_PER_MS;
}

static struct sighting sighting_of(unsigned server, uint8_t mac, enum side side)
{
	return (struct sighting){.ip = fixture_server(server),
	                         .hop = {.mac = mac_of(mac), .side = side & 1},
	                         .overrides = true};
}

static bool is_mac(const struct hop *hop, uint8_t last)
{
	const struct mac mac = mac_of(last);

	return mac_eq(&hop->mac, &mac);
}

static bool see(unsigned server, uint8_t mac)
{
	struct sighting sighting = sighting_of(server, mac, INSIDE);

	return neigh_sighted(table, &sighting, now);
}

/* Lets the questions of the start go unanswered. */
static void give_up_all(void)
{
	struct neigh_question question;

	for (unsigned i = 0; i < 10; i++, wait_ms(1000))
		while (neigh_next_question(table, now, &question))
			;
}

START_TEST(given_mac_is_not_asked_for)
{
	struct neigh_question question;
	const struct hop *hop;

	begin(2, true);
	ck_assert(!neigh_next_question(table, now, &question));
	hop = neigh_find(table, 1, now);
	ck_assert(mac_eq(&hop->mac, &rules->servers[1].mac));
	ck_assert_uint_eq(hop->side, INSIDE);
	ck_assert_uint_eq(hop->ntags, 0);
	ck_assert(!see(1, 0x77));
	wait_ms(3600 * 1000);
	hop = neigh_find(table, 1, now);
	ck_assert(mac_eq(&hop->mac, &rules->servers[1].mac));
	ck_assert(!neigh_next_question(table, now, &question));
	end();
}
END_TEST

START_TEST(asked_at_start_inside_then_everywhere)
{
	struct neigh_question question;

	begin(1, false);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(neigh_next_question(table, now, &question));
		ck_assert(be32_eq(question.target, fixture_server(0)));
		ck_assert(be32_eq(question.sender, fixture_vip()));
		ck_assert(question.sides == (i > 0 ? WAY_SIDES : 1u << INSIDE));
		ck_assert(!neigh_next_question(table, now, &question));
		wait_ms(999);
		ck_assert(!neigh_next_question(table, now, &question));
		wait_ms(1);
	}
	ck_assert(!neigh_next_question(table, now, &question));
	ck_assert_ptr_null(neigh_find(table, 0, now));
	end();
}
END_TEST

START_TEST(disabled_server_is_not_asked_for)
{
	struct neigh_question question;

	rules = fixture_rules(2);
	rules->servers[0].has_mac = rules->servers[1].has_mac = false;
	rules->servers[0].state = STATE_DISABLED;
	table = neigh_new(rules, true);
	now = (lb_time){1000 * LB_NS_PER_S};
	ck_assert(neigh_next_question(table, now, &question));
	ck_assert(be32_eq(question.target, fixture_server(1)));
	ck_assert(!neigh_next_question(table, now, &question));
	end();
}
END_TEST

START_TEST(sighting_is_noted)
{
	struct sighting sighting = {
	        .ip = fixture_server(1),
	        .hop = {.mac = mac_of(0x55), .side = OUTSIDE, .ntags = 1, .tpid0 = TPID_8021Q}};
	struct neigh_question question;
	const struct hop *hop;

	begin(2, false);
	sighting.hop.tci[0] = be16_from(12);
	ck_assert(neigh_sighted(table, &sighting, now));
	hop = neigh_find(table, 1, now);
	ck_assert_mem_eq(hop, &sighting.hop, sizeof(*hop));
	ck_assert_ptr_null(neigh_find(table, 0, now));
	ck_assert(neigh_next_question(table, now, &question));
	ck_assert(be32_eq(question.target, fixture_server(0)));
	ck_assert(!neigh_next_question(table, now, &question));
	end();
}
END_TEST

START_TEST(nonsense_is_not_noted)
{
	struct sighting sighting = sighting_of(0, 0x55, INSIDE);

	begin(1, false);
	sighting.hop.mac.b[0] |= 1;
	ck_assert(!neigh_sighted(table, &sighting, now));
	sighting = sighting_of(0, 0x55, INSIDE);
	sighting.ip = ip4(10, 0, 0, 200);
	ck_assert(!neigh_sighted(table, &sighting, now));
	ck_assert_ptr_null(neigh_find(table, 0, now));
	end();
}
END_TEST

START_TEST(asked_again_after_a_minute)
{
	struct neigh_question question;

	begin(1, false);
	see(0, 0x41);
	wait_ms(60 * 1000);
	ck_assert_ptr_nonnull(neigh_find(table, 0, now));
	ck_assert(!neigh_next_question(table, now, &question));
	wait_ms(1000);
	ck_assert(!neigh_next_question(table, now, &question)); /* not unless it is used */
	ck_assert_ptr_nonnull(neigh_find(table, 0, now));
	ck_assert(neigh_next_question(table, now, &question));
	give_up_all();
	ck_assert_ptr_nonnull(neigh_find(table, 0, now));
	end();
}
END_TEST

static void wait_for(unsigned server, uint16_t n, bool partial)
{
	struct spec spec = {.from = fixture_vip(),
	                    .to = fixture_server(server),
	                    .sport = n,
	                    .dport = 443,
	                    .flags = 2,
	                    .payload = SMALL,
	                    .partial = partial};
	struct built built;

	frames_tcp(&built, &spec);
	neigh_wait(table, server, &built.frame);
	memset(built.bytes, 0xee, sizeof(built.bytes));
}

/* The next frame that is ready, which must be right and go to mac; its source port. */
static uint16_t next_ready(uint8_t mac)
{
	const struct hop *hop;
	struct built copy = {0};
	struct frame frame;

	ck_assert(neigh_next_ready(table, &frame, &hop));
	ck_assert(is_mac(hop, mac));
	ck_assert_uint_eq(frame.headroom, FRAME_HEADROOM);
	ck_assert_ptr_null(frame.port_data);
	ck_assert_uint_eq(frame.flags, 0);
	copy.frame = frame;
	copy.l3 = 14;
	copy.l4 = 34;
	ck_assert_uint_eq(frames_ip_error(&copy), 0);
	ck_assert_uint_eq(frames_tcp_error(&copy), 0);
	return frames_get16(frame.data + 34);
}

START_TEST(frames_wait_in_order)
{
	struct frame frame;
	const struct hop *hop;

	begin(2, false);
	wait_for(0, 1, false);
	wait_for(1, 2, true);
	wait_for(0, 3, true);
	ck_assert(!neigh_next_ready(table, &frame, &hop));
	see(0, 0x41);
	ck_assert_uint_eq(next_ready(0x41), 1);
	wait_for(0, 4, false);
	ck_assert_uint_eq(next_ready(0x41), 3);
	ck_assert_uint_eq(next_ready(0x41), 4);
	ck_assert(!neigh_next_ready(table, &frame, &hop));
	see(1, 0x42);
	ck_assert_uint_eq(next_ready(0x42), 2);
	ck_assert(!neigh_next_ready(table, &frame, &hop));
	ck_assert_uint_eq(neigh_counts(table)->waited, 4);
	ck_assert_uint_eq(neigh_counts(table)->lost, 0);
	end();
}
END_TEST

START_TEST(places_run_out)
{
	struct built built;
	struct spec spec = {.payload = 1700};
	uint16_t i;

	begin(1, false);
	for (i = 0; i < SLOTS + 5; i++)
		wait_for(0, i, false);
	ck_assert_uint_eq(neigh_counts(table)->waited, SLOTS);
	ck_assert_uint_eq(neigh_counts(table)->lost, 5);
	see(0, 0x41);
	for (i = 0; i < SLOTS; i++)
		ck_assert_uint_eq(next_ready(0x41), i);
	frames_tcp(&built, &spec);
	neigh_wait(table, 0, &built.frame);
	ck_assert_uint_eq(neigh_counts(table)->lost, 6);
	end();
}
END_TEST

START_TEST(frames_are_given_up)
{
	struct frame frame;
	const struct hop *hop;

	begin(2, false);
	give_up_all();
	wait_for(0, 1, false);
	wait_for(0, 2, false);
	give_up_all();
	ck_assert_uint_eq(neigh_counts(table)->lost, 2);
	see(0, 0x41);
	ck_assert(!neigh_next_ready(table, &frame, &hop));
	end();
}
END_TEST

START_TEST(server_is_asked_for_though_no_place)
{
	struct neigh_question question;
	bool asked = false;

	begin(2, false);
	give_up_all();
	for (uint16_t i = 0; i < SLOTS; i++)
		wait_for(0, i, false);
	wait_for(1, 1, false);
	while (neigh_next_question(table, now, &question))
		asked |= be32_eq(question.target, fixture_server(1));
	ck_assert(asked);
	end();
}
END_TEST

START_TEST(reload_keeps_what_is_known)
{
	struct neigh_table *old;
	struct rules *old_rules;
	struct neigh_question question;

	begin(2, false);
	see(1, 0x55);
	old = table;
	old_rules = rules;
	begin(3, false);
	neigh_inherit(table, old);
	neigh_free(old);
	rules_free(old_rules);
	ck_assert_ptr_null(neigh_find(table, 0, now));
	ck_assert(is_mac(neigh_find(table, 1, now), 0x55));
	ck_assert(neigh_next_question(table, now, &question));
	ck_assert(neigh_next_question(table, now, &question));
	ck_assert(!neigh_next_question(table, now, &question));
	end();
}
END_TEST

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

START_TEST(farms_with_a_server_in_common_ask_once)
{
	struct neigh_question question;
	unsigned server, sum = 0, n = 0;

	rules = fixture_two_farms();
	for (unsigned s = 0; s < 4; s++)
		rules->servers[s].has_mac = false;
	rules->servers[2].address = rules->servers[0].address;
	now = (lb_time){1000 * LB_NS_PER_S};
	table = neigh_new(rules, true);
	while (neigh_next_question(table, now, &question))
		n++;
	ck_assert_uint_eq(n, 3);
	see(0, 0x41);
	ck_assert(is_mac(neigh_find(table, 0, now), 0x41));
	ck_assert(is_mac(neigh_find(table, 2, now), 0x41));
	for (n = 0; neigh_next_found(table, &server); n++)
		sum += server;
	ck_assert(n == 2 && sum == 2);
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

START_TEST(many_are_asked_a_few_at_a_time)
{
	struct neigh_question question;
	unsigned n, all = 0;

	begin(200, false);
	for (unsigned i = 0; i < 10; i++, wait_ms(1)) {
		for (n = 0; neigh_next_question(table, now, &question); n++)
			;
		ck_assert_uint_le(n, 32);
		if (n == 32)
			ck_assert(neigh_due(table).ns == now.ns + LB_NS_PER_MS);
		all += n;
	}
	ck_assert_uint_eq(all, 200);
	end();
}
END_TEST

Suite *neigh_suite(void)
{
	const TTest *const tests[] = {given_mac_is_not_asked_for,
	                              asked_at_start_inside_then_everywhere,
	                              disabled_server_is_not_asked_for,
	                              sighting_is_noted,
	                              nonsense_is_not_noted,
	                              asked_again_after_a_minute,
	                              frames_wait_in_order,
	                              places_run_out,
	                              frames_are_given_up,
	                              server_is_asked_for_though_no_place,
	                              reload_keeps_what_is_known,
	                              a_claim_is_no_move_while_the_server_answers,
	                              a_claim_is_a_move_when_it_doesnt,
	                              another_side_is_another_place,
	                              without_override_nothing_known_is_replaced,
	                              made_stale_all_the_time,
	                              a_silent_change_is_found_when_it_is_doubted,
	                              who_has_just_answered_is_not_doubted,
	                              a_neighbour_in_another_vlan_is_another_one,
	                              farms_with_a_server_in_common_ask_once,
	                              a_following_table_leaves_claims_to_the_leading_one,
	                              many_are_asked_a_few_at_a_time,
	                              NULL};

	return suite_of("neigh", tests);
}
