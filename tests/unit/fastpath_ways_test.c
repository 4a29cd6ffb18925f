/*
 * The kernel's programs while servers get other numbers, and while flows are the process's: a
 * segment goes to its server at each step of it, whoever dies meanwhile.
 */
#include "fastpath_fixture.h"

#include <bpf/libbpf.h>

enum { WAYS_TALKS = 2 }; /* one for each server */

static struct talk talks[WAYS_TALKS];
static uint32_t flow_numbers[WAYS_TALKS];

static struct flows *flows(void)
{
	return (struct flows *)&lb_balance(shared.lb)->flows;
}

static void open_talk(unsigned i)
{
	static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};
	struct talk *t = &talks[i];
	struct built built;
	struct verdict v = {.act = LB_DROP};

	*t = (struct talk){.engine = &four,
	                   .client = fixture_client(i),
	                   .sport = 20000,
	                   .dport = 443,
	                   .next = {1000, 2000}};
	for (unsigned n = 0; n < 3; n++) {
		const enum end end = n == 1 ? SERVER : CLIENT;
		const struct spec spec = talk_spec(t, end, flags[n], 0);

		build(&built, &spec);
		v = engine_input(&shared, &built);
		ck_assert_int_eq(v.act, LB_FORWARD);
		t->next[end] += flags[n] & TCP_SYN ? 1 : 0;
		if (n)
			continue;
		t->snat = be32_load(built.frame.data + built.l3 + (six ? 8 + 12 : 12));
		t->snat_port = frames_get16(built.frame.data + built.l4);
		t->server = v.way.server;
	}
	flow_numbers[i] = v.flow;
}

static bool begin_talks(bool ipv6)
{
	if (!begin(ipv6))
		return false;
	for (unsigned i = 0; i < WAYS_TALKS; i++)
		open_talk(i);
	ck_assert_uint_ne(talks[0].server, talks[1].server);
	return true;
}

/* If the programs forward what that end says next: to its server, or to its client. */
static bool crosses(unsigned i, enum end end)
{
	const struct spec spec = talk_spec(&talks[i], end, TCP_ACK, 40);
	const struct mac to = end == CLIENT ? server_mac(talks[i].server) : mac_of(0x90);
	const uint64_t left = punted();
	struct __sk_buff ctx = {0};
	struct built built;
	uint32_t act;

	build(&built, &spec);
	ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx), (uint32_t)TC_ACT_UNSPEC);
	act = run(LOADED_FLOW, &built, &ctx);
	if (act == (uint32_t)TC_ACT_UNSPEC)
		act = run(LOADED_FLOW6, &built, &ctx);
	if (act != TC_ACT_REDIRECT || punted() != left)
		return false;
	if (end == CLIENT)
		ck_assert_mem_eq(built.frame.data + ETH_DST, &to, sizeof(to));
	return true;
}

static void require_all_cross(void)
{
	for (unsigned i = 0; i < WAYS_TALKS; i++)
		for (enum end end = CLIENT; end <= SERVER; end++)
			ck_assert(crosses(i, end));
}

static void give_numbers(const bool ipv6)
{
	static const uint16_t map[] = {1, 0}, same[] = {0, SERVER_NONE};
	struct flow_sum sums[2] = {{{0}}};
	struct rules_server servers[2];
	struct rules turned;

	if (!begin_talks(ipv6))
		return;
	turned = *shared.rules;
	servers[0] = turned.servers[1];
	servers[1] = turned.servers[0];
	turned.servers = servers;
	require_all_cross();
	ck_assert(!maps_renumber_by(&maps, shared.rules, same, 2));
	ck_assert(maps_renumber_by(&maps, &turned, map, 2));
	require_all_cross();
	flows_renumber(flows(), flow_numbers[0], map[talks[0].server]);
	require_all_cross();
	/* who has done this has died, and another one begins */
	maps.ways = maps.all_ways;
	ck_assert(maps_have_other_numbers(&maps, &turned));
	maps_renumber(&maps, &turned);
	require_all_cross();
	flows_renumber(flows(), flow_numbers[1], map[talks[1].server]);
	require_all_cross();
	maps_renumbered(&maps, map, 2, sums);
	require_all_cross();
	ck_assert(!maps_have_other_numbers(&maps, &turned));
	/* an old number is nobody's now */
	flows_renumber(flows(), flow_numbers[1], (uint16_t)talks[1].server);
	ck_assert(crosses(0, CLIENT) && !crosses(1, CLIENT));
	end();
}

START_TEST(servers_get_other_numbers)
{
	give_numbers(false);
	give_numbers(true);
}
END_TEST

static void leave_alone(void)
{
	const int array = bpf_object__find_map_fd_by_name(maps.loaded.object, "attendant");

	for (uint32_t side = 0; side < NSIDES; side++)
		bpf_map_delete_elem(array, &side);
}

START_TEST(flows_that_are_the_process_s_go_on_without_one)
{
	if (!begin_talks(false))
		return;
	maps_hold(&maps, FASTPATH_HELD);
	ck_assert(!crosses(0, CLIENT) && !crosses(0, SERVER));
	leave_alone();
	require_all_cross();
	maps_hold(&maps, FASTPATH_RENAMED);
	ck_assert(!crosses(0, CLIENT) && !crosses(0, SERVER));
	maps_hold(&maps, FASTPATH_FREE);
	require_all_cross();
	end();
}
END_TEST

Suite *fastpath_ways_suite(void)
{
	const TTest *const tests[] = {
	        servers_get_other_numbers,
	        flows_that_are_the_process_s_go_on_without_one,
	        NULL,
	};

	return suite_of("fastpath_ways", tests);
}
