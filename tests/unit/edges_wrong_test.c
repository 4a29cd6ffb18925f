/*
 * Odd TCP that can't be or was damaged: what must not confuse the engine.
 */
#include "edges_fixture.h"

/* --- what can't be --- */

/* Replies would go to all who listen to the group. */
START_TEST(group_mac_takes_over_no_flow)
{
	open_one();
	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct spec spec = next(end, ACK, 10);

		spec.src = end == CLIENT ? FIXTURE_BROADCAST : (struct mac){{1, 0, 0x5e, 0, 0, 9}};
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_MARTIAN);
	}
	struct spec spec = next(SERVER, ACK, 10);
	const struct mac client = FIXTURE_CLIENT_MAC;
	struct verdict v;

	frames_tcp(&built, &spec);
	v = engine_input(&engine, &built);
	ck_assert(mac_eq(&v.way.hop.mac, &client));
	engine_stop(&engine);
}
END_TEST

/* The same with `snat = off` in a packet to a client: it isn't ours to drop. */
START_TEST(group_mac_crosses_to_a_client)
{
	struct rules *rules = fixture_rules(1);
	struct spec spec;

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	spec = next(SERVER, ACK, 10);
	spec.dst = FIXTURE_CLIENT_MAC;
	spec.src.b[0] |= 1;
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_NOT_OURS);
	engine_stop(&engine);
}
END_TEST

/*
 * From the VIP to itself, from a port to itself even: with any flags nothing is made or answered.
 */
START_TEST(land)
{
	const uint8_t flags[] = {SYN, SYN | ACK, ACK, RST, FIN | ACK, 0, 0xff};

	begin();
	for (unsigned i = 0; i < sizeof(flags); i++) {
		struct spec spec = spec_syn(fixture_vip(), 443, 443);

		spec.flags = flags[i];
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_MARTIAN);
	}
	ck_assert_uint_eq(balance()->counts.created, 0);
	engine_stop(&engine);
}
END_TEST

/* Nor is what no host sends answered if it is no SYN. */
START_TEST(martians_get_no_answer)
{
	const be32 sources[] = {ip4(0, 0, 0, 0), ip4(127, 0, 0, 1), ip4(224, 0, 0, 1),
	                        ip4(240, 0, 0, 1), ip4(255, 255, 255, 255)};

	begin();
	for (unsigned i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct spec spec = spec_syn(sources[i], 40000, 443);

		spec.flags = i % 2 ? ACK : SYN | ACK;
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_MARTIAN);
	}
	engine_stop(&engine);
}
END_TEST

/* --- damage --- */

enum damage { DAMAGED_TCP, DAMAGED_IP, DAMAGES };

static void do_damage(enum damage damage)
{
	uint8_t *field = damage == DAMAGED_TCP ? tcp() + 16 : ip() + 10;

	field[1] ^= 0x10;
}

/* Neither makes a flow, nor gets an answer. */
START_TEST(damaged_strangers)
{
	const uint8_t flags[] = {SYN, ACK, SYN | ACK, RST, FIN | ACK};

	begin();
	for (unsigned i = 0; i < sizeof(flags) * DAMAGES; i++) {
		struct spec spec = spec_syn(fixture_client(1), 40000, 443);

		spec.flags = flags[i / DAMAGES];
		frames_tcp(&built, &spec);
		do_damage((enum damage)(i % DAMAGES));
		ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_BAD_CHECKSUM);
	}
	ck_assert_uint_eq(balance()->counts.created, 0);
	engine_stop(&engine);
}
END_TEST

/* An offloaded checksum isn't there yet: it says nothing. The header's is never offloaded. */
START_TEST(offloaded_syn)
{
	begin();
	for (unsigned i = 0; i < 2; i++) {
		struct spec spec = spec_syn(fixture_client(1), 40000, 443);

		spec.partial = true;
		frames_tcp(&built, &spec);
		if (i)
			do_damage(DAMAGED_IP);
		else
			frames_put16(tcp() + 16, 0x1234);
		ck_assert_uint_eq(engine_input(&engine, &built).why,
		                  i ? WHY_FLOW_HIT : WHY_FLOW_NEW);
		ck_assert_uint_eq(frames_ip_error(&built) != 0, i);
	}
	engine_stop(&engine);
}
END_TEST

/* Passed on as damaged as it is, but its receiver won't take it: so it ends nothing. */
START_TEST(damaged_ends_end_nothing)
{
	for (unsigned i = 0; i < 2 * DAMAGES; i++) {
		const uint8_t flags = i / DAMAGES ? RST | ACK : FIN | ACK;
		struct spec spec;

		open_one();
		spec = next(CLIENT, flags, 0);
		frames_tcp(&built, &spec);
		do_damage((enum damage)(i % DAMAGES));
		ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
		ck_assert(frames_ip_error(&built) || frames_tcp_error(&built));
		ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 1);
		ck_assert_uint_eq(flows_at(&balance()->flows, 0)->packets[CLIENT], 3);
		send(CLIENT, flags, 0);
		ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 0);
		engine_stop(&engine);
	}
}
END_TEST

Suite *edges_wrong_suite(void)
{
	const TTest *const tests[] = {
	        group_mac_takes_over_no_flow,
	        group_mac_crosses_to_a_client,
	        land,
	        martians_get_no_answer,
	        damaged_strangers,
	        offloaded_syn,
	        damaged_ends_end_nothing,
	        NULL,
	};

	return suite_of("edges_wrong", tests);
}
