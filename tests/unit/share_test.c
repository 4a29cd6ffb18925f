/*
 * Several workers: whichever one a frame comes to, it ends at its flow, once, and is counted once.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

enum { SYN = 0x02, ACK = 0x10, FIN = 0x01, WORKERS = 3, FLOWS = 200, PAYLOAD = 1200, PIECE = 400 };

static struct engine workers[WORKERS];
static uint64_t delivered;

static void begin_with(struct rules *(*make)(void), bool by_address)
{
	static const struct hash_key key = {{0x0123456789abcdefull, 0xfedcba9876543210ull}};

	delivered = 0;
	for (unsigned k = 0; k < WORKERS; k++) {
		struct share share = share_make(k, WORKERS, by_address, &key);

		engine_start_share(&workers[k], make(), &share);
	}
}

static struct rules *two_servers(void)
{
	return fixture_rules(2);
}

static void begin(void)
{
	begin_with(two_servers, false);
}

static void end(void)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k < WORKERS; k++) {
		for (unsigned i = 0; i < LB_NWHYS; i++)
			sum += i == WHY_HANDED_OVER ? 0 : lb_whys(workers[k].lb)[i];
		engine_stop(&workers[k]);
	}
	ck_assert_uint_eq(sum, delivered);
}

/* Gives the frame to any worker, and from there to whose it is. */
static struct verdict deliver(struct built *built, unsigned *ret_worker)
{
	unsigned k = random_below(WORKERS);
	struct built before;
	struct verdict v;

	delivered++;
	frames_copy(&before, built);
	v = engine_input(&workers[k], built);
	if (v.act == LB_HAND_OVER) {
		require(v.worker < WORKERS && v.worker != k);
		require(!memcmp(before.bytes, built->bytes, sizeof(before.bytes)));
		k = v.worker;
		v = engine_input(&workers[k], built);
		require(v.act != LB_HAND_OVER);
	}
	*ret_worker = k;
	return v;
}

/* The handshake of a new connection, its frames arriving anywhere; *ret_worker is whose it is. */
static void open_anywhere(struct talk *ret, be32 client, uint16_t sport, unsigned *ret_worker)
{
	struct spec spec = spec_syn(client, sport, 5061);
	struct built built;
	unsigned k;

	frames_tcp(&built, &spec);
	ck_assert_uint_eq(deliver(&built, ret_worker).why, WHY_FLOW_NEW);
	*ret = (struct talk){
	        .engine = &workers[*ret_worker],
	        .client = client,
	        .sport = sport,
	        .dport = 5061,
	        .server = built.frame.data[built.l3 + 19] - 41u,
	        .snat = be32_load(built.frame.data + built.l3 + 12),
	        .snat_port = frames_get16(built.frame.data + built.l4),
	        .server_port = frames_get16(built.frame.data + built.l4 + 2),
	        .next = {spec.seq + 1, 7000},
	};
	ck_assert_uint_eq(ret->snat_port % WORKERS, *ret_worker);
	spec = talk_spec(ret, SERVER, SYN | ACK, 0);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(deliver(&built, &k).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(k, *ret_worker);
	ret->next[SERVER]++;
	spec = talk_spec(ret, CLIENT, ACK, 0);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(deliver(&built, &k).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(k, *ret_worker);
}

START_TEST(flows_live_at_one_worker_each)
{
	unsigned at[WORKERS] = {0}, worker;
	struct talk talk;

	begin();
	for (unsigned i = 0; i < FLOWS; i++) {
		/* as Linux chooses ports: only even ones */
		open_anywhere(&talk, fixture_client(1), (uint16_t)(32768 + 2 * i), &worker);
		at[worker]++;
	}
	for (unsigned k = 0; k < WORKERS; k++) {
		ck_assert_uint_eq(balance_open_flows(lb_balance(workers[k].lb)), at[k]);
		ck_assert_uint_gt(at[k], FLOWS / WORKERS / 2);
	}
	end();
}
END_TEST

START_TEST(clients_stay_together_for_persistence)
{
	unsigned first, worker, others = 0;
	struct talk talk;

	begin_with(two_servers, true);
	for (unsigned c = 0; c < FLOWS / 10; c++) {
		open_anywhere(&talk, fixture_client(c), 40000, &first);
		others += first != 0;
		for (uint16_t i = 1; i < 10; i++) {
			open_anywhere(&talk, fixture_client(c), (uint16_t)(40000 + i), &worker);
			ck_assert_uint_eq(worker, first);
		}
	}
	ck_assert_uint_gt(others, FLOWS / 10 / WORKERS);
	end();
}
END_TEST

START_TEST(errors_find_the_flow_that_they_quote)
{
	struct built built, error;
	unsigned worker, k;
	struct talk talk;

	begin();
	for (unsigned i = 0; i < FLOWS; i++) {
		enum end from = i % 2 ? SERVER : CLIENT;
		struct spec spec = {.dst = mac_of(1), .src = mac_of(0x99), .icmp_type = 3};

		open_anywhere(&talk, fixture_client(i), 40000, &worker);
		spec.icmp_code = 4;
		spec.from = ip4(10, 9, 99, 1);
		spec.side = from == CLIENT ? INSIDE : OUTSIDE;
		struct spec data = talk_spec(&talk, from, ACK, PAYLOAD);

		frames_tcp(&built, &data);
		ck_assert_uint_eq(deliver(&built, &k).why, WHY_FLOW_HIT);
		spec.to = be32_load(built.frame.data + built.l3 + 12);
		frames_icmp_error(&error, &spec, &built, 28);
		ck_assert_uint_eq(deliver(&error, &k).why, WHY_ICMP_ERROR);
		ck_assert_uint_eq(k, worker);
	}
	end();
}
END_TEST

/* A datagram's fragments all come to one worker, by their addresses, but in any order. */
START_TEST(fragments_follow_to_the_worker_of_the_first)
{
	struct talk talk;
	unsigned worker;

	begin();
	for (unsigned i = 0; i < FLOWS; i++) {
		unsigned arrives = random_below(WORKERS), handed = 0, forwarded = 0;
		bool reverse = random_below(2);
		struct spec spec;
		struct built whole;

		open_anywhere(&talk, fixture_client(i), 40000, &worker);
		spec = talk_spec(&talk, i % 2 ? SERVER : CLIENT, ACK, PAYLOAD - 20);
		spec.id = (uint16_t)(i + 1);
		frames_tcp(&whole, &spec);
		for (unsigned n = 0; n < PAYLOAD / PIECE; n++) {
			unsigned piece = reverse ? PAYLOAD / PIECE - 1 - n : n;
			struct frame frame;
			struct built built;
			struct verdict v;

			frames_fragment(&built, &whole, piece * PIECE, PIECE);
			delivered++;
			v = engine_input(&workers[arrives], &built);
			if (v.act == LB_HAND_OVER) {
				require_eq(v.worker, worker);
				handed++;
				v = engine_input(&workers[worker], &built);
			}
			forwarded += v.act == LB_FORWARD && v.why != WHY_FRAGMENT_HELD;
			while (lb_take_fragment(workers[arrives].lb, &frame, &v)) {
				if (v.act == LB_HAND_OVER) {
					lb_input(workers[worker].lb, &frame, 1, workers[worker].now,
					         &v);
					handed++;
				}
				forwarded += v.act == LB_FORWARD;
			}
		}
		require_eq(forwarded, PAYLOAD / PIECE);
		require_eq(handed, arrives == worker ? 0 : PAYLOAD / PIECE);
	}
	end();
}
END_TEST

static struct rules *without_snat(void)
{
	struct rules *rules = fixture_rules(2);

	fixture_set_snat(&rules->farms[0], NULL, 0);
	return rules;
}

START_TEST(without_snat_replies_find_their_client)
{
	struct talk talk;
	unsigned at[WORKERS] = {0}, worker, k;

	begin_with(without_snat, false);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct spec spec = spec_syn(fixture_client(i), 40000, 5061);
		struct built built;

		frames_tcp(&built, &spec);
		ck_assert_uint_eq(deliver(&built, &worker).why, WHY_FLOW_NEW);
		talk = (struct talk){.engine = &workers[worker],
		                     .client = fixture_client(i),
		                     .sport = 40000,
		                     .dport = 5061,
		                     .server = built.frame.data[built.l3 + 19] - 41u,
		                     .snat = fixture_client(i),
		                     .snat_port = 40000,
		                     .next = {spec.seq + 1, 7000}};
		spec = talk_spec(&talk, SERVER, SYN | ACK, 0);
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(deliver(&built, &k).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(k, worker);
		at[worker]++;
	}
	for (k = 0; k < WORKERS; k++)
		ck_assert_uint_gt(at[k], FLOWS / WORKERS / 2);
	end();
}
END_TEST

START_TEST(strangers_are_answered_once)
{
	unsigned at[WORKERS] = {0}, worker;

	begin();
	for (unsigned i = 0; i < FLOWS; i++) {
		struct spec spec = spec_syn(fixture_client(i), 40000, 5061);
		struct built built;

		spec.flags = ACK;
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(deliver(&built, &worker).why, WHY_NO_FLOW);
		at[worker]++;
	}
	for (unsigned k = 0; k < WORKERS; k++)
		ck_assert_uint_gt(at[k], 0);
	end();
}
END_TEST

START_TEST(a_frame_that_could_not_be_handed_over_is_counted)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 5061);
	struct built built;
	unsigned k = 0;

	begin();
	do
		frames_tcp(&built, &spec);
	while (engine_input(&workers[k], &built).act != LB_HAND_OVER && ++k < WORKERS);
	ck_assert_uint_lt(k, WORKERS);
	lb_not_handed_over(workers[k].lb);
	ck_assert_uint_eq(lb_whys(workers[k].lb)[WHY_HANDED_OVER], 0);
	ck_assert_uint_eq(lb_whys(workers[k].lb)[WHY_NOT_HANDED_OVER], 1);
	for (k = 0; k < WORKERS; k++)
		engine_stop(&workers[k]);
}
END_TEST

static struct rules *limited(void)
{
	struct rules *rules = fixture_rules(1);

	rules->servers[0].max_connections = 100;
	return rules;
}

START_TEST(limits_of_all_workers_add_up)
{
	unsigned opened = 0, worker, sum = 0;
	const struct balance *balance;

	begin_with(limited, false);
	for (unsigned k = 0; k < WORKERS; k++) {
		sum += lb_balance(workers[k].lb)->most_open;
		ck_assert_uint_le(sum, 1000);
	}
	ck_assert_uint_eq(sum, 1000);
	for (unsigned i = 0; i < 400; i++) {
		struct spec spec = spec_syn(fixture_client(i), 40000, 5061);
		struct built built;
		enum lb_why why;

		for (unsigned k = 0; k < WORKERS; k++)
			engine_wait_ms(&workers[k], 10);
		frames_tcp(&built, &spec);
		why = (enum lb_why)deliver(&built, &worker).why;
		require_eq(why, WHY_FLOW_NEW); /* half-open ones make room */
	}
	for (unsigned k = 0; k < WORKERS; k++) {
		balance = lb_balance(workers[k].lb);
		opened += balance->farms->sched.servers[0].connections;
	}
	ck_assert_uint_eq(opened, 100);
	end();
}
END_TEST

START_TEST(probes_answers_are_the_first_workers)
{
	static const struct hash_key key = {{1, 2}};

	for (unsigned n = 1; n <= RULES_WORKERS_MAX; n++) {
		const struct share share = share_make(n - 1, n, false, &key);
		uint32_t sum = 0;

		for (uint16_t p = RULES_PROBE_PORT; p < RULES_PROBE_PORT + RULES_PROBE_PORTS; p++)
			ck_assert_uint_eq(share_of_port(&share, be16_from(p)), 0);
		ck_assert_uint_eq(share_of_port(&share, be16_from(40000)), 40000 % n);
		for (unsigned k = 0; k < n; k++) {
			const struct share other = share_make(k, n, false, &key);

			sum += share_of_limit(&other, 1000003);
		}
		ck_assert_uint_eq(sum, 1000003);
	}
}
END_TEST

static struct rules *serving_the_probes_ports(void)
{
	struct rules *rules = fixture_rules(2);

	fixture_set_ports(&rules->farms[0], RULES_PROBE_PORT - 8,
	                  RULES_PROBE_PORT + RULES_PROBE_PORTS + 8);
	return rules;
}

/* A server's answer to a probe comes from where a client of the VIP could be, to a service port. */
START_TEST(probes_are_answered_though_their_ports_are_served)
{
	unsigned at[WORKERS] = {0}, worker;
	struct built built;

	begin_with(serving_the_probes_ports, false);
	for (unsigned i = 0; i < 2 * RULES_PROBE_PORTS; i++) {
		struct spec spec =
		        spec_syn(fixture_server(i % 2), 1010, (uint16_t)(RULES_PROBE_PORT + i / 2));

		spec.flags = SYN | ACK;
		frames_tcp(&built, &spec);
		built.frame.side = INSIDE;
		ck_assert_uint_eq(deliver(&built, &worker).why, WHY_PROBE);
		ck_assert_uint_eq(worker, 0);
	}
	for (unsigned i = 0; i < FLOWS; i++) {
		struct spec spec = spec_syn(fixture_client(i), 40000, 1010);

		frames_tcp(&built, &spec);
		ck_assert_uint_eq(deliver(&built, &worker).why, WHY_FLOW_NEW);
		at[worker]++;
	}
	for (unsigned k = 0; k < WORKERS; k++)
		ck_assert_uint_gt(at[k], FLOWS / WORKERS / 2);
	end();
}
END_TEST

/* And a server that is a client there has its flow at one worker all the same. */
START_TEST(a_server_may_use_a_service_port_that_probes_come_from)
{
	unsigned worker, other;
	struct built built;

	begin_with(serving_the_probes_ports, false);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct spec spec = spec_syn(fixture_server(0), (uint16_t)(40000 + i), 1010);
		struct talk talk = {.client = spec.from, .sport = spec.sport, .dport = 1010};

		frames_tcp(&built, &spec);
		built.frame.side = INSIDE;
		ck_assert_uint_eq(deliver(&built, &worker).why, WHY_FLOW_NEW);
		talk.engine = &workers[worker];
		talk.server = built.frame.data[built.l3 + 19] - 41u;
		talk.snat = be32_load(built.frame.data + built.l3 + 12);
		talk.snat_port = frames_get16(built.frame.data + built.l4);
		talk.next[CLIENT] = spec.seq + 1;
		talk.next[SERVER] = 7000;
		spec = talk_spec(&talk, SERVER, SYN | ACK, 0);
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(deliver(&built, &other).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(other, worker);
	}
	end();
}
END_TEST

Suite *share_suite(void)
{
	const TTest *const tests[] = {
	        flows_live_at_one_worker_each,
	        clients_stay_together_for_persistence,
	        errors_find_the_flow_that_they_quote,
	        fragments_follow_to_the_worker_of_the_first,
	        without_snat_replies_find_their_client,
	        strangers_are_answered_once,
	        a_frame_that_could_not_be_handed_over_is_counted,
	        limits_of_all_workers_add_up,
	        probes_answers_are_the_first_workers,
	        probes_are_answered_though_their_ports_are_served,
	        a_server_may_use_a_service_port_that_probes_come_from,
	        NULL,
	};

	return suite_of("share", tests);
}
