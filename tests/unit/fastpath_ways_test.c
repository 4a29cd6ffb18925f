/*
 * The kernel's programs while servers get other numbers, and while flows are the process's: a
 * segment goes to its server at each step of it, whoever dies meanwhile.
 */
#include "fastpath_fixture.h"
#include "kept_programs.h"

#include "../../bridge/fastpath/fastpath.h"
#include "../../bridge/fastpath/whole.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

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
		note_server(t, &built);
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

/* If the programs forward what that end says next, merged of parts with so many bytes or, if 0, not
 * merged: to its server, or to its client. */
static bool crosses_merged(unsigned i, enum end end, uint32_t merged)
{
	const struct spec spec = talk_spec(&talks[i], end, TCP_ACK, 40);
	const struct mac to = end == CLIENT ? server_mac(talks[i].server) : mac_of(0x90);
	const uint64_t left = punted();
	struct __sk_buff ctx = {.gso_size = merged};
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

static bool crosses(unsigned i, enum end end)
{
	return crosses_merged(i, end, 0);
}

static void require_all_cross(void)
{
	for (unsigned i = 0; i < WAYS_TALKS; i++)
		for (enum end end = CLIENT; end <= SERVER; end++)
			ck_assert(crosses(i, end));
}

/* A farm gives a port, and flows, to another one of its VIP that has its servers as well. */
static void split(void)
{
	static const uint16_t map[] = {0, 1};
	struct flow_sum sums[3] = {{{0}}};
	struct rules_server servers[3];
	struct rules rules = *shared.rules;

	for (unsigned s = 0; s < 3; s++) {
		servers[s] = shared.rules->servers[s % 2];
		servers[s].was = (uint16_t)(s % 2 + 1);
	}
	rules.servers = servers;
	rules.nservers = 3;
	ck_assert(maps_renumber_by(&maps, &rules, map, 2));
	for (unsigned i = 0; i < WAYS_TALKS; i++)
		if (!talks[i].server)
			flows_renumber(flows(), flow_numbers[i], 2);
	require_all_cross();
	maps_renumbered(&maps, map, 2, sums);
	require_all_cross();
	for (unsigned i = 0; i < WAYS_TALKS; i++)
		flows_renumber(flows(), flow_numbers[i], (uint16_t)talks[i].server);
	servers[2].was = 0;
	rules.nservers = 2;
	ck_assert(!maps_renumber_by(&maps, &rules, map, 2));
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
	split();
	ck_assert(!maps_renumber_by(&maps, shared.rules, same, 2));
	ck_assert(maps_renumber_by(&maps, &turned, map, 2));
	require_all_cross();
	flows_renumber(flows(), flow_numbers[0], map[talks[0].server]);
	require_all_cross();
	/* who has done this has died, and another one begins */
	maps.ways = maps.all_ways + maps.conf->ways_half * FASTPATH_WAYS;
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

/* Farms that have changed places, whose servers are the same ones. */
static void require_vip_tells(void)
{
	struct rules_farm farm = shared.rules->farms[0];
	struct rules rules = *shared.rules;

	ck_assert(!maps_have_other_numbers(&maps, &rules));
	farm.vip = ip4(10, 1, 2, 3);
	rules.farms = &farm;
	ck_assert(maps_have_other_numbers(&maps, &rules));
}

static void require_sums(const struct flow_sum *sum, uint64_t client, uint64_t server)
{
	ck_assert_uint_eq(sum->bytes[CLIENT], client);
	ck_assert_uint_eq(sum->bytes[SERVER], server);
}

/* What is carried while numbers change counts for the server that has carried it, and once. */
static void keep_sums(void)
{
	static const uint16_t map[] = {1, 0};
	struct flow_sum sums[2] = {{{0}}};
	struct rules_server servers[2] = {shared.rules->servers[1], shared.rules->servers[0]};
	struct rules turned = *shared.rules;

	turned.servers = servers;
	maps_renumber(&maps, &turned);
	maps.all_ways[0].sum.bytes[CLIENT] = 5;
	maps.ways[1].sum.bytes[CLIENT] = 70;
	maps.ways[0].sum.bytes[SERVER] = 900;
	maps_renumbered(&maps, NULL, 0, NULL);
	maps_take_sums(&maps, 2, sums);
	require_sums(&sums[0], 0, 900);
	require_sums(&sums[1], 75, 0);
	/* late */
	maps.all_ways[0].sum.bytes[CLIENT] = 3;
	ck_assert(maps_renumber_by(&maps, shared.rules, map, 2));
	maps_renumbered(&maps, map, 2, sums);
	maps_take_sums(&maps, 2, sums);
	require_sums(&sums[0], 0, 900);
	require_sums(&sums[1], 75, 0);
}

/* What a server says that nobody knows the way to is counted. */
static void count_unknown(void)
{
	const unsigned server = talks[0].server;
	const struct hop hop = {.mac = server_mac(server), .side = home() & 1};
	struct flow_sum sums[2] = {{{0}}};

	flows()->cold[flow_numbers[0]].bytes[SERVER] = FLOW_SUM_BYTES - 1;
	maps_set_way(&maps, shared.rules, server, NULL);
	ck_assert(!crosses(0, CLIENT) && crosses(0, SERVER));
	maps_take_sums(&maps, 2, sums);
	require_sums(&sums[server], 0, FLOW_SUM_BYTES);
	/* nor at another one's, whose number the flow has */
	flows()->cold[flow_numbers[0]].bytes[SERVER] = FLOW_SUM_BYTES - 1;
	flows_renumber(flows(), flow_numbers[0], !server);
	ck_assert(crosses(0, SERVER));
	maps_take_sums(&maps, 2, sums);
	require_sums(&sums[!server], 0, 0);
	flows_renumber(flows(), flow_numbers[0], server & FLOW_SERVER_MASK);
	maps_set_way(&maps, shared.rules, server, &hop);
	require_all_cross();
}

/* Flows of a table of another layout aren't read. */
static void change_layout(void)
{
	flows()->head->layout++;
	for (enum end end = CLIENT; end <= SERVER; end++)
		ck_assert(!crosses(0, end));
	flows()->head->layout--;
	require_all_cross();
}

static void leave_alone(void)
{
	const int array = bpf_object__find_map_fd_by_name(maps.loaded.object, "attendant");

	for (uint32_t side = 0; side < NSIDES; side++)
		bpf_map_delete_elem(array, &side);
}

/* What goes to a client whose place isn't known can't be sent; what comes from there can. */
static void forget_client(void)
{
	struct flow *flow = flows_at(flows(), flow_numbers[0]);
	const uint16_t hop = flow->hop;

	flow->hop = HOPS_NOWHERE;
	ck_assert(!crosses(0, SERVER));
	leave_alone();
	ck_assert(crosses(0, CLIENT) && !crosses(0, SERVER));
	ck_assert_int_eq(loaded_attend(&maps.loaded), 0);
	flow->hop = hop;
	require_all_cross();
}

/* Who is held up while he reads a way sees that it is another one. */
static void change_way(void)
{
	struct hop hop = {.mac = mac_of(0x77), .side = home() & 1};
	const struct fastpath_way *way = &maps.ways[2];
	uint8_t before = 0;

	for (unsigned n = 0; n < 600; n++) {
		hop.tci[0] = be16_from((uint16_t)n);
		maps_set_way(&maps, shared.rules, 2, &hop);
		ck_assert(way->known && way->known != before);
		before = way->known;
	}
	maps_set_way(&maps, shared.rules, 2, NULL);
	ck_assert(!way->known);
}

/* What has been sent to a server is told, once. */
static void use_way(void)
{
	const unsigned server = talks[0].server;

	maps_used_way(&maps, server);
	ck_assert(crosses(0, SERVER) && !maps_used_way(&maps, server));
	ck_assert(crosses(0, CLIENT) && maps_used_way(&maps, server));
	ck_assert(!maps_used_way(&maps, server));
}

/* The time is counted from the table's epoch, also if another one's was asked for just now. */
static void change_epoch(void)
{
	uint64_t *epoch_ns = &flows()->head->epoch_ns;
	const uint64_t was = *epoch_ns;

	for (unsigned i = 0; i < 20; i++) { /* in one and the same of the kernel's ticks, mostly */
		const uint64_t tick = clock_now().ns / FLOW_NS_PER_TICK;

		ck_assert(crosses(0, CLIENT));
		*epoch_ns = 0;
		ck_assert(crosses(0, CLIENT));
		ck_assert_uint_ge(flow_last(flows_at(flows(), flow_numbers[0])) + 1, tick);
		*epoch_ns = was;
	}
}

/* Nobody sends from a group's MAC address: what seems to be is judged by the process. */
static void send_from_group(void)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct spec spec = talk_spec(&talks[0], end, TCP_ACK, 40);
		struct built built;

		spec.src.b[0] |= 1;
		build(&built, &spec);
		ck_assert(!forwarded(&built));
	}
}

/* What goes to a port that is gone is the process's, and what goes to the other one isn't. */
static void lose_port(void)
{
	maps.conf->sides[INSIDE].ifindex = 0;
	ck_assert(!crosses(0, CLIENT) && crosses(0, SERVER));
	maps.conf->sides[INSIDE].ifindex = OUT_IFINDEX;
	require_all_cross();
}

/* Who is held for two reasons is until both have gone. */
static void hold_twice(void)
{
	struct fastpath fastpath = {.maps = maps};

	fastpath_hold(&fastpath, FASTPATH_HOLD_UNCHECKED, true);
	fastpath_hold(&fastpath, FASTPATH_HOLD_CAPTURE, true);
	ck_assert(!crosses(0, CLIENT));
	fastpath_hold(&fastpath, FASTPATH_HOLD_UNCHECKED, false);
	ck_assert(!crosses(0, CLIENT));
	fastpath_hold(&fastpath, FASTPATH_HOLD_UNCHECKED, true);
	fastpath_hold(&fastpath, FASTPATH_HOLD_CAPTURE, false);
	ck_assert(!crosses(0, CLIENT));
	fastpath_hold(&fastpath, FASTPATH_HOLD_UNCHECKED, false);
	require_all_cross();
}

/* With `snat = off` what a server says crosses, if it is no flow's: of a flow it goes on as the
 * VIP's, and not as its server has sent it. */
static void require_translated(void)
{
	struct spec spec = talk_spec(&talks[0], SERVER, TCP_ACK, 40);
	struct __sk_buff ctx = {0};
	struct built built;
	be32 from;

	spec.dst = mac_of(0x90);
	build(&built, &spec);
	ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx), (uint32_t)TC_ACT_UNSPEC);
	ctx.cb[FASTPATH_CB_CROSSES] = 1;
	ck_assert_uint_eq(run(LOADED_FLOW, &built, &ctx), (uint32_t)TC_ACT_REDIRECT);
	from = be32_load(built.frame.data + built.l3 + IPV4_SRC);
	ck_assert_uint_eq(be32_get(from), be32_get(fixture_vip()));
}

/* And if only the process can send it (to a client behind two tags) not at all. */
static void require_dropped(void)
{
	struct spec spec = talk_spec(&talks[0], SERVER, TCP_ACK, 40);
	struct hops_place *place = &flows()->hops.places[flows_at(flows(), flow_numbers[0])->hop];
	struct __sk_buff ctx = {0};
	struct built built;

	spec.dst = mac_of(0x90);
	build(&built, &spec);
	ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx), (uint32_t)TC_ACT_UNSPEC);
	ctx.cb[FASTPATH_CB_CROSSES] = 1;
	place->hop.ntags = 2;
	ck_assert_uint_eq(run(LOADED_FLOW, &built, &ctx), (uint32_t)TC_ACT_SHOT);
	place->hop.ntags = 0;
}

/* What nobody expects passes as well, and is counted. */
static void count_unattended(void)
{
	struct spec spec = talk_spec(&talks[0], CLIENT, TCP_ACK, 40);
	struct fastpath_counts before, counts;
	struct built built;

	spec.seq += 1 << 24;
	build(&built, &spec);
	maps_count(&maps, &before);
	ck_assert(forwarded(&built));
	maps_count(&maps, &counts);
	ck_assert_uint_eq(counts.unattended[OUTSIDE], before.unattended[OUTSIDE] + 1);
}

START_TEST(flows_that_are_the_process_s_go_on_without_one)
{
	if (!begin_talks(false))
		return;
	require_vip_tells();
	keep_sums();
	count_unknown();
	forget_client();
	change_layout();
	/* on a cable it is the port's to cut them up */
	ck_assert(crosses_merged(0, CLIENT, 2 * MTU) && crosses_merged(0, SERVER, 2 * MTU));
	change_way();
	use_way();
	change_epoch();
	send_from_group();
	lose_port();
	hold_twice();
	maps_hold(&maps, FASTPATH_HELD);
	ck_assert(!crosses(0, CLIENT) && !crosses(0, SERVER));
	maps.conf->alive_ns = 0; /* as before a process is ready that follows upon who held them */
	require_all_cross();
	maps.conf->alive_ns = UINT64_MAX;
	ck_assert(!crosses(0, CLIENT) && !crosses(0, SERVER));
	leave_alone();
	require_all_cross();
	require_translated();
	require_dropped();
	count_unattended();
	maps_hold(&maps, FASTPATH_RENAMED);
	ck_assert(!crosses(0, CLIENT) && !crosses(0, SERVER));
	maps_hold(&maps, FASTPATH_FREE);
	require_all_cross();
	end();
}
END_TEST

/* Has the second program take a client's segment with that guess of the first one's. Returns what
 * that one has guessed. */
static uint32_t guess_instead(unsigned i, uint32_t guess)
{
	const struct spec spec = talk_spec(&talks[i], CLIENT, TCP_ACK, 40);
	const struct mac to = server_mac(talks[i].server);
	struct __sk_buff ctx = {0};
	struct built built;
	uint32_t guessed;

	build(&built, &spec);
	ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx), (uint32_t)TC_ACT_UNSPEC);
	guessed = ctx.cb[FASTPATH_CB_GUESS];
	ctx.cb[FASTPATH_CB_GUESS] = guess;
	ck_assert_uint_eq(run(LOADED_FLOW, &built, &ctx), (uint32_t)TC_ACT_REDIRECT);
	ck_assert_mem_eq(built.frame.data + ETH_DST, &to, sizeof(to));
	return guessed;
}

/* The first program says which flow it is; and if it says another one, or none that there is, the
 * right one is found all the same. */
START_TEST(guesses_are_checked)
{
	if (!begin_talks(false))
		return;
	for (unsigned i = 0; i < WAYS_TALKS; i++) {
		const uint32_t right = 1 + (flow_numbers[i] << 1 | CLIENT);
		const uint32_t guesses[] = {0,
		                            right,
		                            1 + (flow_numbers[i] << 1 | SERVER),
		                            1 + (flow_numbers[!i] << 1 | CLIENT),
		                            1 + (flows()->places - 1) * 2,
		                            1 + flows()->places * 2,
		                            UINT32_MAX};

		for (unsigned g = 0; g < sizeof(guesses) / sizeof(*guesses); g++)
			ck_assert_uint_eq(guess_instead(i, guesses[g]), right);
	}
	end();
}
END_TEST

Suite *fastpath_ways_suite(void)
{
	const TTest *const tests[] = {
	        servers_get_other_numbers,
	        flows_that_are_the_process_s_go_on_without_one,
	        guesses_are_checked,
	        NULL,
	};

	return suite_of_programs("fastpath_ways", tests, true);
}
