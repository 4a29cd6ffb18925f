/*
 * Where the servers are, whom to ask, and frames that wait.
 */
#include "neigh_fixture.h"
#include "suites.h"

enum { SLOTS = 64, SMALL = 100 };

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
	neigh_trace(table, old);
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

/* A link-local address is another gateway's on each side: neither has the other's servers. */
START_TEST(one_address_on_both_sides_is_two_neighbours)
{
	struct neigh_table *next;

	rules = fixture_rules(4);
	rules->mode = MODE_ROUTED;
	for (unsigned s = 0; s < 4; s++) {
		rules->servers[s].has_mac = false;
		rules->servers[s].next = fixture_server(9);
		rules->servers[s].side = s % 2 ? OUTSIDE : INSIDE;
	}
	now = (lb_time){1000 * LB_NS_PER_S};
	table = neigh_new(rules, true);
	for (unsigned side = 0; side < NSIDES; side++) {
		struct sighting sighting = sighting_of(9, (uint8_t)(0x70 + side), (enum side)side);

		ck_assert(neigh_sighted(table, &sighting, now));
	}
	next = neigh_new(rules, true);
	neigh_trace(next, table);
	neigh_inherit(next, table);
	for (unsigned s = 0; s < 4; s++) {
		const enum side side = s % 2 ? OUTSIDE : INSIDE;

		ck_assert(is_mac(neigh_find(table, s, now), (uint8_t)(0x70 + side)));
		ck_assert_uint_eq(neigh_find(table, s, now)->side, side);
		ck_assert(is_mac(neigh_find(next, s, now), (uint8_t)(0x70 + side)));
	}
	neigh_free(next);
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

/* One of them is found by its address, the other one's place is in the rules, and stays that. */
START_TEST(a_given_mac_is_nobody_else_s)
{
	rules = fixture_two_farms();
	rules->servers[0].has_mac = false;
	rules->servers[2].address = rules->servers[0].address;
	now = (lb_time){1000 * LB_NS_PER_S};
	table = neigh_new(rules, true);
	ck_assert(mac_eq(&neigh_find(table, 2, now)->mac, &rules->servers[2].mac));
	see(0, 0x77);
	ck_assert(is_mac(neigh_find(table, 0, now), 0x77));
	ck_assert(mac_eq(&neigh_find(table, 2, now)->mac, &rules->servers[2].mac));
	end();
}
END_TEST

/* The VIP of a farm that is gone is somebody else's perhaps: nobody is asked in its name, as
 * whoever is asked would believe that it is here. */
START_TEST(a_farm_that_is_gone_asks_nobody)
{
	struct neigh_question question;
	struct neigh_table *next;
	struct built built;
	struct spec spec = spec_syn(fixture_client(1), 4000, 443);

	frames_tcp(&built, &spec);
	begin(1, false);
	see(0, 0x41);
	wait_ms(5000);
	neigh_doubt(table, 0, now); /* it is being asked at the reload */
	rules->farms[0].gone = true;
	next = neigh_new(rules, true);
	ck_assert(!neigh_next_question(next, now, &question));
	neigh_wait(next, 0, &built.frame);
	ck_assert_uint_eq(neigh_counts(next)->lost, 1);
	neigh_trace(next, table);
	neigh_inherit(next, table);
	for (unsigned i = 0; i < 3; i++, wait_ms(120 * 1000)) {
		ck_assert(is_mac(neigh_find(next, 0, now), 0x41));
		neigh_doubt(next, 0, now);
		ck_assert(!neigh_next_question(next, now, &question));
	}
	neigh_free(next);
	end();
}
END_TEST

/* If another farm has the same server, that one asks. */
START_TEST(a_farm_that_is_left_asks_for_one_that_is_gone)
{
	for (unsigned gone = 0; gone < 2; gone++) {
		struct neigh_question question;

		rules = fixture_two_farms();
		for (unsigned s = 0; s < rules->nservers; s++) {
			rules->servers[s].has_mac = false;
			rules->servers[s].address = fixture_server(0);
		}
		rules->farms[gone].gone = true;
		now = (lb_time){1000 * LB_NS_PER_S};
		table = neigh_new(rules, true);
		ck_assert(neigh_next_question(table, now, &question));
		ck_assert(be32_eq(question.sender, rules->farms[!gone].vip));
		ck_assert(!neigh_next_question(table, now, &question));
		end();
	}
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
	const TTest *const tests[] = {
	        given_mac_is_not_asked_for,
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
	        one_address_on_both_sides_is_two_neighbours,
	        farms_with_a_server_in_common_ask_once,
	        a_given_mac_is_nobody_else_s,
	        a_farm_that_is_gone_asks_nobody,
	        a_farm_that_is_left_asks_for_one_that_is_gone,
	        many_are_asked_a_few_at_a_time,
	        NULL,
	};

	return suite_of("neigh", tests);
}
