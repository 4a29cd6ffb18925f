/*
 * Records of flows that have ended, for the connection log.
 */
#include "fixture.h"
#include "suites.h"

#include "../../lb/admit.h"

#include <stdlib.h>

enum { ACK = 0x10, FIN = 0x01, S = 1000, DATA = 100 };

static struct ended_ring ring;
static void *mem;

static void begin(void)
{
	struct arena measure = {0}, arena = {0};

	ended_lay_out(&ring, &measure);
	mem = arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(mem, 0xa5, measure.used);
	ended_lay_out(&ring, &arena);
}

static void put(uint32_t n)
{
	const struct ended record = {.packets = {n, 0}};

	ended_put(&ring, &record);
}

START_TEST(oldest_first)
{
	struct ended ended;

	begin();
	ck_assert(!ended_take(&ring, &ended));
	for (uint32_t n = 0; n < 3 * ENDED_RING; n++) {
		put(2 * n);
		put(2 * n + 1);
		require(ended_take(&ring, &ended) && ended.packets[0] == 2 * n);
		require(ended_take(&ring, &ended) && ended.packets[0] == 2 * n + 1);
		require(!ended_take(&ring, &ended));
	}
	ck_assert_uint_eq(ring.lost, 0);
	free(mem);
}
END_TEST

/* What finds no place is counted, and those that wait stay as they are. */
START_TEST(full_ring_loses_the_newest)
{
	struct ended ended;

	begin();
	for (uint32_t n = 0; n < ENDED_RING + 5; n++)
		put(n);
	ck_assert_uint_eq(ring.lost, 5);
	for (uint32_t n = 0; n < ENDED_RING; n++)
		require(ended_take(&ring, &ended) && ended.packets[0] == n);
	ck_assert(!ended_take(&ring, &ended));
	put(7);
	ck_assert(ended_take(&ring, &ended) && ended.packets[0] == 7);
	free(mem);
}
END_TEST

START_TEST(names)
{
	static const char *const want[] = {"fin",     "rst",      "idle",  "server_down", "reload",
	                                   "evicted", "operator", "limit", "exit"};

	for (unsigned why = 0; why < ENDED_WHYS; why++)
		ck_assert_str_eq(ended_name((enum ended_why)why), want[why]);
}
END_TEST

/* ---- of an engine ---- */

static struct engine engine;
static struct talk talk;

static void begin_engine(bool log)
{
	struct rules *rules = fixture_rules(1);

	rules->farms[0].connlog = log ? strdup("-") : NULL;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
}

/* Sends it, and says how long the frame was. */
static uint32_t send_counted(enum end end, uint8_t flags, uint16_t payload)
{
	struct spec spec = talk_spec(&talk, end, flags, payload);
	struct built built;

	frames_tcp(&built, &spec);
	talk.next[end] += payload + (flags & 1u);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
	return built.frame.len;
}

START_TEST(a_connection_in_full)
{
	const struct spec syn = spec_syn(fixture_client(1), 40000, 5061);
	uint64_t bytes[2];
	struct built built;
	struct ended ended;
	lb_time start;

	begin_engine(true);
	start = engine.now;
	/* the handshake: SYN and SYN-ACK are of the same length, and the ACK as long as another */
	frames_tcp(&built, &syn);
	bytes[SERVER] = built.frame.len;
	bytes[CLIENT] = built.frame.len + 2 * send_counted(CLIENT, ACK, 0);
	engine_wait_ms(&engine, 5 * S);
	bytes[CLIENT] += send_counted(CLIENT, ACK, DATA);
	bytes[SERVER] += send_counted(SERVER, ACK, 3 * DATA);
	bytes[SERVER] += send_counted(SERVER, ACK | FIN, 0);
	ck_assert(!lb_take_ended(engine.lb, &ended));
	bytes[CLIENT] += send_counted(CLIENT, ACK | FIN, 0);
	bytes[SERVER] += send_counted(SERVER, ACK, 0);
	ck_assert(lb_take_ended(engine.lb, &ended));
	ck_assert_uint_eq(ended.why, ENDED_FIN);
	ck_assert_uint_eq(ended.server, 0);
	ck_assert_uint_eq(ended.start.ns, start.ns);
	ck_assert_uint_eq(ended.end.ns, engine.now.ns);
	ck_assert(be32_eq(ended.arrive[CLIENT].src, fixture_client(1)));
	ck_assert(be32_eq(ended.arrive[CLIENT].dst, fixture_vip()));
	ck_assert(be32_eq(ended.arrive[SERVER].src, fixture_server(0)));
	ck_assert_uint_eq(be16_get(ended.arrive[SERVER].dport), talk.snat_port);
	/* SYN, ACK, ACK, data, FIN; SYN-ACK, data, FIN, ACK */
	ck_assert_uint_eq(ended.packets[CLIENT], 5);
	ck_assert_uint_eq(ended.packets[SERVER], 4);
	ck_assert_uint_eq(ended.bytes[CLIENT], bytes[CLIENT]);
	ck_assert_uint_eq(ended.bytes[SERVER], bytes[SERVER]);
	/* which is what its server has carried, of which there was nothing as long as it lived */
	ck_assert_uint_eq(lb_balance(engine.lb)->farms->sums[0].bytes[CLIENT], bytes[CLIENT]);
	ck_assert_uint_eq(lb_balance(engine.lb)->farms->sums[0].bytes[SERVER], bytes[SERVER]);
	ck_assert(!lb_take_ended(engine.lb, &ended));
	engine_stop(&engine);
}
END_TEST

/* The statistics count it, but there is nobody to read it. */
START_TEST(no_record_without_a_log)
{
	struct ended ended;

	begin_engine(false);
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_FIN], 1);
	ck_assert(!lb_take_ended(engine.lb, &ended));
	engine_stop(&engine);
}
END_TEST

START_TEST(an_ipv6_client_by_its_address)
{
	struct rules *rules = fixture_rules(1);
	const struct ip6 client = {{0x20, 0x01, 0x0d, 0xb8, [15] = 0x77}};
	struct packet packet = {.kind = PACKET_IPV6, .src6 = &client, .tcp_flags = 2};
	struct flow_key key = {.ipv6 = true, .hashed = &client};
	struct balance *balance;
	struct ended ended;
	uint32_t ref;

	fixture_make_ipv6(rules);
	rules->farms[0].connlog = strdup("-");
	engine_start(&engine, rules);
	packet.tuple =
	        (struct tuple){.src = name_hashed(lb_balance(engine.lb)->flows.factors6, &client),
	                       .dst = rules->farms[0].vip,
	                       .sport = be16_from(40000),
	                       .dport = be16_from(5061)};
	key.tuple = packet.tuple;
	balance = (struct balance *)(uintptr_t)lb_balance(engine.lb);
	ck_assert_uint_eq(admit_open(balance, &packet, &key, FLOW_NONE, 0, 3, engine.now, &ref),
	                  WHY_FLOW_NEW);
	engine_wait_ms(&engine, (BALANCE_HALF_OPEN_S + 3) * S);
	ck_assert(lb_take_ended(engine.lb, &ended));
	ck_assert_uint_eq(ended.why, ENDED_IDLE);
	ck_assert(ip6_eq(&ended.client6, &client));
	engine_stop(&engine);
}
END_TEST

Suite *ended_suite(void)
{
	const TTest *const tests[] = {oldest_first,
	                              full_ring_loses_the_newest,
	                              names,
	                              a_connection_in_full,
	                              no_record_without_a_log,
	                              an_ipv6_client_by_its_address,
	                              NULL};

	return suite_of("ended", tests);
}
