/*
 * Other rules while connections live: what stays, what drains, what is reset.
 */
#include "reload_fixture.h"
#include "random.h"

START_TEST(flows_go_along_when_servers_move)
{
	static const uint8_t before[] = {41, 42}, after[] = {50, 42, 51, 41};
	static struct talk talks[MANY];
	be32 address[MANY];

	engine_start(&engine, rules_of(before, 2));
	for (unsigned i = 0; i < MANY; i++) {
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
		address[i] = engine.rules->servers[talks[i].server].address;
	}
	talk_close(&talks[0], SERVER);
	engine_reload(&engine, rules_of(after, 4));
	check_books();
	for (unsigned i = 1; i < MANY; i++)
		check_goes_on(&talks[i], address[i]);
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], MANY);
	for (unsigned i = 1; i < MANY; i++)
		talk_close(&talks[i], SERVER);
	check_books();
	engine_wait_ms(&engine, 200 * S);
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(shorter_idle_timeout_counts_for_flows_that_exist)
{
	static const uint8_t servers[] = {41, 42};
	static struct talk talks[MANY];
	struct rules *rules = rules_of(servers, 2);

	engine_start(&engine, rules_of(servers, 2));
	for (unsigned i = 0; i < MANY; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	engine_wait_ms(&engine, 20 * S);
	check_goes_on(&talks[0], engine.rules->servers[talks[0].server].address);
	rules->farms[0].idle_timeout_ms = 10 * S;
	engine_reload(&engine, rules);
	ck_assert_uint_eq(balance_open_flows(balance()), MANY);
	engine_wait_ms(&engine, 3 * S);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], MANY - 1);
	ck_assert_uint_eq(balance_open_flows(balance()), 1);
	check_goes_on(&talks[0], engine.rules->servers[talks[0].server].address);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(removed_server_drains)
{
	static const uint8_t before[] = {41, 42}, after[] = {42};
	struct talk first, second, t;
	be32 gone = ip4(10, 0, 0, 41);

	engine_start(&engine, rules_of(before, 2));
	talk_open(&first, &engine, fixture_client(1), 40000, 443);
	talk_open(&second, &engine, fixture_client(2), 40000, 443);
	if (!be32_eq(engine.rules->servers[first.server].address, gone)) {
		t = first;
		first = second;
		second = t;
	}
	engine_reload(&engine, rules_of(after, 1));
	check_goes_on(&first, gone);
	check_goes_on(&second, ip4(10, 0, 0, 42));
	for (unsigned i = 0; i < 10; i++) {
		talk_open(&t, &engine, fixture_client(10 + i), 40000, 443);
		ck_assert(be32_eq(engine.rules->servers[t.server].address, ip4(10, 0, 0, 42)));
	}
	/* once more, and it is still there; when its flow has ended, a reload forgets it */
	engine_reload(&engine, rules_of(after, 1));
	check_goes_on(&first, gone);
	ck_assert_uint_eq(engine.rules->nservers, 2);
	talk_close(&first, SERVER);
	engine_wait_ms(&engine, 200 * S);
	engine_reload(&engine, rules_of(after, 1));
	ck_assert_uint_eq(engine.rules->nservers, 1);
	check_goes_on(&second, ip4(10, 0, 0, 42));
	check_books();
	engine_stop(&engine);
}
END_TEST

/* It comes back to the file while its old flow lives. */
/* A connection to the second farm, begun by the SYN. */
static struct talk talk_of(struct spec *syn)
{
	struct talk ret = {.client = syn->from};
	struct built built;
	struct verdict v;

	frames_tcp(&built, syn);
	v = engine_input(&engine, &built);
	ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
	ret.server = v.way.server;
	return ret;
}

/* The same two farms without one of the first one's servers. */
static const struct rules *reload_two_farms(unsigned without)
{
	struct rules *rules = fixture_two_farms();

	rules->servers[without] = rules->servers[1 - without];
	memmove(&rules->servers[1], &rules->servers[2], 2 * sizeof(rules->servers[0]));
	rules->nservers = 3;
	rules->farms[0].nservers = 1;
	rules->farms[1].server = 1;
	engine_reload(&engine, rules);
	return engine.rules;
}

static void check_second_goes_on(const struct spec *spec, unsigned server)
{
	struct built built;
	struct verdict v;

	frames_tcp(&built, spec);
	v = engine_input(&engine, &built);
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	ck_assert_uint_eq(v.way.server, server); /* as many before it as there were */
}

START_TEST(removed_server_returns)
{
	static const uint8_t one[] = {41}, other[] = {42}, both[] = {42, 41};

	engine_start(&engine, rules_of(one, 1));
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	engine_reload(&engine, rules_of(other, 1));
	engine_reload(&engine, rules_of(both, 2));
	ck_assert_uint_eq(engine.rules->nservers, 2);
	check_goes_on(&talk, ip4(10, 0, 0, 41));
	ck_assert_uint_eq(balance()->farms->sched.servers[1].connections, 1);
	ck_assert(sched_may_take(&balance()->farms->sched, 1));
	engine_stop(&engine);
}
END_TEST

START_TEST(flows_of_a_removed_farm_are_reset)
{
	struct talk kept;
	struct spec spec;
	struct built built;

	engine_start(&engine, fixture_two_farms());
	talk_open(&kept, &engine, fixture_client(1), 40000, 443);
	spec = spec_syn(fixture_client(2), 40000, 443);
	spec.to = ip4(10, 0, 1, 40);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_NEW);
	engine_reload(&engine, fixture_rules(2));
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_RELOAD], 1);
	ck_assert_uint_ge(engine.nowns, 2);
	check_goes_on(&kept, fixture_server(kept.server));
	check_books();
	/* a SYN to its VIP crosses the wire now */
	spec.dst = mac_of(7);
	spec.sport++;
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_NOT_OURS);
	engine_wait_ms(&engine, 200 * S);
	check_books();
	engine_reload(&engine, fixture_rules(2));
	ck_assert_uint_eq(engine.rules->nfarms, 1);
	engine_stop(&engine);
}
END_TEST

/* The address of a server that is gone becomes a VIP, or a SNAT address: what is sent there is for
 * us from then on. So its flows can't go on, and both ends hear of it. */
START_TEST(flows_of_a_server_whose_address_is_ours_now_are_reset)
{
	for (unsigned as_snat = 0; as_snat < 2; as_snat++) {
		struct rules *rules = fixture_two_farms();
		struct talk talks[2], *kept = talks;

		engine_start(&engine, fixture_two_farms());
		for (unsigned i = 0; i < 2; i++)
			talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
		if (!kept->server)
			kept++;
		rules->servers[0].address = ip4(10, 0, 0, 99);
		if (as_snat)
			fixture_set_snat(&rules->farms[1], (be32[]){fixture_server(0)}, 1);
		else
			rules->farms[1].vip = fixture_server(0);
		engine_reload(&engine, rules);
		engine_wait_ms(&engine, 100);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_RELOAD], 1);
		ck_assert_uint_ge(engine.nowns, 2);
		check_goes_on(kept, fixture_server(1));
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

START_TEST(service_that_is_gone_lets_its_flows_live)
{
	struct rules *rules = fixture_rules(2);
	struct talk t;

	engine_start(&engine, fixture_rules(2));
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	fixture_set_ports(&rules->farms[0], 443, 444);
	engine_reload(&engine, rules);
	check_goes_on(&talk, fixture_server(talk.server));
	ck_assert_uint_eq(talk_syn(&t, &engine, fixture_client(2), 40000, 5061).why,
	                  WHY_PORT_NOT_SERVED);
	talk_close(&talk, SERVER);
	engine_wait_ms(&engine, 200 * S);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(clients_stick_through_a_reload)
{
	static const uint8_t before[] = {41, 42, 43}, after[] = {43, 42, 41};
	struct rules *rules = rules_of(before, 3);
	be32 address[20];

	rules->farms[0].persist_ms = 60 * S;
	engine_start(&engine, rules);
	for (unsigned c = 0; c < 20; c++) {
		talk_open(&talk, &engine, fixture_client(c), 40000, 443);
		address[c] = engine.rules->servers[talk.server].address;
		talk_close(&talk, CLIENT);
	}
	rules = rules_of(after, 3);
	rules->farms[0].persist_ms = 60 * S;
	engine_reload(&engine, rules);
	for (unsigned c = 0; c < 20; c++) {
		talk_open(&talk, &engine, fixture_client(c), 50000, 443);
		ck_assert(be32_eq(engine.rules->servers[talk.server].address, address[c]));
	}
	engine_stop(&engine);
}
END_TEST

/* The last server goes, and later another one has its number: nobody has ever been there. */
START_TEST(nobody_sticks_to_a_number)
{
	static const uint8_t before[] = {41, 42}, between[] = {41}, after[] = {41, 50};
	struct rules *rules[] = {rules_of(before, 2), rules_of(between, 1), rules_of(after, 2)};
	unsigned sticks = 0;

	for (unsigned i = 0; i < 3; i++)
		rules[i]->farms[0].persist_ms = 3600 * S;
	engine_start(&engine, rules[0]);
	for (unsigned c = 0; c < 20; c++) {
		talk_open(&talk, &engine, fixture_client(c), 40000, 443);
		talk_close(&talk, CLIENT);
	}
	engine_wait_ms(&engine, 200 * S);
	engine_reload(&engine, rules[1]);
	engine_reload(&engine, rules[2]);
	for (unsigned c = 0; c < 20; c++) {
		uint16_t server;

		sticks += persist_find(&balance()->persist,
		                       persist_key(&rules[2]->farms[0], fixture_client(c)), false,
		                       flow_tick(engine.now, balance()->epoch), &server) &&
		          server == 1;
	}
	ck_assert_uint_eq(sticks, 0);
	engine_stop(&engine);
}
END_TEST

/*
 * Servers are numbered anew; the rest of a datagram still goes to the one that got its beginning.
 */
START_TEST(fragments_follow_through_a_reload)
{
	static const uint8_t before[] = {41, 42}, after[] = {50, 51, 42, 41};
	static struct built whole, piece;
	struct verdict v;
	struct spec spec;
	be32 address;

	engine_start(&engine, rules_of(before, 2));
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	address = engine.rules->servers[talk.server].address;
	spec = talk_spec(&talk, CLIENT, ACK, 600);
	frames_tcp(&whole, &spec);
	frames_fragment(&piece, &whole, 0, 104);
	ck_assert_uint_eq(engine_input(&engine, &piece).why, WHY_FLOW_HIT);
	engine_reload(&engine, rules_of(after, 4));
	frames_fragment(&piece, &whole, 104, 104);
	v = engine_input(&engine, &piece);
	if (v.why == WHY_FRAGMENT)
		ck_assert(be32_eq(engine.rules->servers[v.way.server].address, address));
	else
		ck_assert_uint_eq(v.why, WHY_FRAGMENT_HELD);
	engine_stop(&engine);
}
END_TEST

/* Any rules after any others, with connections coming and going. */
START_TEST(random_reloads_balance)
{
	static struct talk talks[MANY];
	bool used[MANY] = {false};

	engine_start(&engine, fixture_rules(2));
	for (unsigned round = 0; round < 300; round++) {
		uint8_t last[FIXTURE_SERVERS];
		unsigned n = 1 + random_below(FIXTURE_SERVERS), first = random_below(8);

		for (unsigned k = 0; k < 20; k++) {
			unsigned i = random_below(MANY);

			if (used[i])
				talk_close(&talks[i], random_below(2) ? CLIENT : SERVER);
			used[i] = !used[i] && talk_syn(&talks[i], &engine, fixture_client(i),
			                               (uint16_t)(40000 + round), 443)
			                                      .why == WHY_FLOW_NEW;
		}
		for (unsigned s = 0; s < n; s++)
			last[s] = (uint8_t)(41 + (first + s * 3) % 8);
		engine_reload(&engine, rules_of(last, n));
		check_books();
		for (unsigned i = 0; i < MANY; i++) {
			if (!used[i])
				continue;
			struct spec spec = talk_spec(&talks[i], CLIENT, SYN, 0);
			struct built built;
			struct verdict v;

			frames_tcp(&built, &spec);
			v = engine_input(&engine, &built);
			used[i] = v.act == LB_FORWARD;
			if (v.why == WHY_FLOW_HIT)
				talks[i].server = v.way.server;
		}
		engine_wait_ms(&engine, random_below(3000));
	}
	engine_wait_ms(&engine, 4000 * S);
	check_books();
	ck_assert_uint_eq(balance_open_flows(balance()), 0);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], 0);
	engine_stop(&engine);
}
END_TEST

/* The server that is gone stands behind those of its farm, and the next farm's move up. */
START_TEST(removed_server_of_the_first_of_two_farms)
{
	const struct rules *rules;
	struct talk second;
	struct spec spec;

	engine_start(&engine, fixture_two_farms());
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	spec = spec_syn(fixture_client(2), 40000, 5061);
	spec.to = ip4(10, 0, 1, 40);
	second = talk_of(&spec);
	rules = reload_two_farms(talk.server);
	ck_assert_uint_eq(rules->farms[0].nservers, 2);
	ck_assert(rules->servers[1].gone && !rules->servers[0].gone);
	ck_assert_uint_eq(rules->farms[1].server, 2);
	for (unsigned s = 2; s < 4; s++)
		ck_assert(rules->servers[s].farm == 1 && !rules->servers[s].gone);
	check_goes_on(&talk, ip4(10, 0, 0, (uint8_t)(41 + talk.server)));
	spec.flags = ACK;
	spec.seq++;
	check_second_goes_on(&spec, second.server);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* The log of a farm that is gone still gets its flows. */
START_TEST(removed_farm_keeps_its_log)
{
	struct rules *rules = fixture_rules(1), *other = fixture_two_farms();
	struct ended ended;

	rules->farms[0].connlog = strdup("/var/log/farm0");
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	other->farms[0].vip = other->farms[0].snat[0] = ip4(10, 0, 2, 40);
	engine_reload(&engine, other);
	ck_assert_uint_eq(engine.rules->nfarms, 3);
	ck_assert(engine.rules->farms[2].gone);
	ck_assert_str_eq(engine.rules->farms[2].connlog, "/var/log/farm0");
	engine_poll(&engine);
	ck_assert(lb_take_ended(engine.lb, &ended));
	ck_assert_uint_eq(ended.why, ENDED_RELOAD);
	ck_assert_uint_eq(engine.rules->servers[ended.server].farm, 2);
	engine_stop(&engine);
}
END_TEST

Suite *reload_suite(void)
{
	const TTest *const tests[] = {
	        flows_go_along_when_servers_move,
	        shorter_idle_timeout_counts_for_flows_that_exist,
	        removed_server_drains,
	        removed_server_returns,
	        flows_of_a_removed_farm_are_reset,
	        flows_of_a_server_whose_address_is_ours_now_are_reset,
	        service_that_is_gone_lets_its_flows_live,
	        clients_stick_through_a_reload,
	        nobody_sticks_to_a_number,
	        fragments_follow_through_a_reload,
	        random_reloads_balance,
	        removed_server_of_the_first_of_two_farms,
	        removed_farm_keeps_its_log,
	        NULL,
	};

	return suite_of("reload", tests);
}
