/*
 * The kernel's programs where several workers have a part of the table each: a segment's flow is
 * found in the part of whose it is, as the engines say that, whichever end sends it.
 */
#include "fastpath_fixture.h"

enum { WORKERS = 3, WORKERS_TALKS = 24 };

static struct engine workers[WORKERS];
static struct talk talks[WORKERS_TALKS];
static unsigned owners[WORKERS_TALKS];
static uint32_t flow_numbers[WORKERS_TALKS]; /* of the owner's */

/* The engine's arrays in its part of the maps. */
static void share_maps(struct engine *worker, const struct share *share)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const struct hash_key key = {{0, 0}};
	struct farms *farms = lb_balance(worker->lb)->farms;
	struct table table;

	lb_table_sizes(worker->rules, share, &table);
	maps_table(&maps, share->worker, &table);
	worker->now = clock_now();
	worker->lb = lb_init_shared(worker->mem, &table, farms, &key, macs, worker->now);
	engine_use_extras(worker, worker->rules);
}

static void end_workers(void)
{
	rules_free(four.rules);
	for (unsigned k = 0; k < WORKERS; k++)
		engine_stop(&workers[k]);
	maps_close(&maps);
	maps = (struct maps){0};
	six = bare = false;
}

/* False if programs can't be loaded here. */
static bool begin_workers(bool by_address)
{
	const struct hash_key key = {{5, 6}};
	struct share shares[WORKERS];
	int err;

	four.rules = fixture_rules(2);
	for (unsigned k = 0; k < WORKERS; k++) {
		shares[k] = share_make(k, WORKERS, by_address, &key);
		engine_start_share(&workers[k], rules_here(false), &shares[k]);
	}
	err = maps_open(&maps, workers[0].rules, shares, WORKERS, NULL, NULL);
	if (err < 0) {
		ck_assert_int_eq(err, -EPERM);
		end_workers();
		return false;
	}
	for (unsigned k = 0; k < WORKERS; k++)
		share_maps(&workers[k], &shares[k]);
	set_sides();
	for (unsigned s = 0; s < 2; s++) {
		const struct hop hop = {.mac = server_mac(s), .side = INSIDE};

		maps_set_way(&maps, workers[0].rules, s, &hop);
	}
	return true;
}

/* Gives the frame to the first worker, and from there to whose it is. Returns who that is. */
static unsigned deliver(struct built *built, struct verdict *ret)
{
	unsigned k = 0;

	*ret = engine_input(&workers[k], built);
	if (ret->act == LB_HAND_OVER) {
		k = ret->worker;
		*ret = engine_input(&workers[k], built);
	}
	ck_assert_int_eq(ret->act, LB_FORWARD);
	return k;
}

static void open_talk(unsigned i)
{
	static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};
	struct talk *t = &talks[i];

	*t = (struct talk){.engine = &four,
	                   .client = fixture_client(i),
	                   .sport = (uint16_t)(20000 + i),
	                   .dport = 443,
	                   .next = {1000, 2000}};
	for (unsigned n = 0; n < 3; n++) {
		const enum end end = n == 1 ? SERVER : CLIENT;
		const struct spec spec = talk_spec(t, end, flags[n], 0);
		struct built built;
		struct verdict v;

		build(&built, &spec);
		owners[i] = deliver(&built, &v);
		flow_numbers[i] = v.flow;
		t->next[end] += flags[n] & TCP_SYN ? 1 : 0;
		if (n)
			continue;
		note_server(t, &built);
		t->server = v.way.server;
	}
}

static const struct flows *flows_of(unsigned i)
{
	return &lb_balance(workers[owners[i]].lb)->flows;
}

/* If the programs forward what that end says next, and count it as the flow's. */
static bool crosses(unsigned i, enum end end)
{
	const struct spec spec = talk_spec(&talks[i], end, TCP_ACK, 40);
	const uint32_t before = flows_packets(flows_of(i), flow_numbers[i], end);
	struct built built;
	bool ret;

	build(&built, &spec);
	ret = forwarded(&built);
	ck_assert_uint_eq(flows_packets(flows_of(i), flow_numbers[i], end), before + ret);
	return ret;
}

/* A flow that keeps its client's hop itself: what its server says goes there as well. */
static void keep_hop(unsigned i)
{
	const struct spec spec = talk_spec(&talks[i], SERVER, TCP_ACK, 40);
	const struct flows *flows = flows_of(i);
	const uint32_t f = flow_numbers[i];
	const struct hop hop = *flows_client(flows, f);
	const uint16_t place = flows_at(flows, f)->hop;
	const union flow_spare before = flows->spare[f];
	struct built built;

	ck_assert_uint_ne(place, HOPS_OWN);
	flows->spare[f].hop = hop;
	flows_at(flows, f)->hop = HOPS_OWN;
	build(&built, &spec);
	ck_assert(forwarded(&built));
	ck_assert_mem_eq(built.frame.data + ETH_DST, &hop.mac, sizeof(hop.mac));
	flows_at(flows, f)->hop = place;
	flows->spare[f] = before;
}

/* The programs forward the client's FIN; then its worker knows of it, and no other one. */
static void finish(unsigned i)
{
	struct spec spec;
	struct own out[8];
	struct built built;
	bool more;

	talks[i].next[CLIENT] += 40; /* what crossed */
	spec = talk_spec(&talks[i], CLIENT, TCP_FIN | TCP_ACK, 0);
	build(&built, &spec);
	ck_assert(forwarded(&built));
	for (unsigned k = 0; k < WORKERS; k++)
		lb_poll(workers[k].lb, workers[k].now, out, sizeof(out) / sizeof(out[0]), &more);
	for (unsigned t = 0; t < WORKERS_TALKS; t++)
		ck_assert_int_eq(
		        !!(flows_at(flows_of(t), flow_numbers[t])->flags & FLOW_FIN_SENT << CLIENT),
		        t <= i);
}

/* Each worker's flows are found; and not, once another one would have them. */
static void find_all(bool ipv6, bool without_snat, bool by_address)
{
	unsigned at[WORKERS] = {0};

	six = ipv6;
	bare = without_snat;
	if (!begin_workers(by_address))
		return;
	for (unsigned i = 0; i < WORKERS_TALKS; i++) {
		open_talk(i);
		at[owners[i]]++;
		ck_assert_msg(crosses(i, CLIENT) && crosses(i, SERVER), "connection %u", i);
	}
	for (unsigned k = 0; k < WORKERS; k++)
		ck_assert_uint_gt(at[k], 0); /* by the key, which is always the same */
	for (unsigned i = 0; i < WORKERS_TALKS; i++) {
		struct table_head *head = flows_of(i)->head;

		head->layout++; /* as if that part weren't there */
		ck_assert(!crosses(i, CLIENT) && !crosses(i, SERVER));
		head->layout--;
	}
	for (unsigned i = 0; i < WORKERS_TALKS; i++)
		keep_hop(i);
	for (unsigned i = 0; i < WORKERS_TALKS; i++)
		finish(i);
	end_workers();
}

static void find_all_ways(bool ipv6)
{
	for (unsigned i = 0; i < 4; i++)
		find_all(ipv6, i & 1, i & 2);
}

START_TEST(each_worker_s_flows_are_found)
{
	find_all_ways(false);
}
END_TEST

START_TEST(each_worker_s_flows_are_found_in_ipv6)
{
	find_all_ways(true);
}
END_TEST

Suite *fastpath_workers_suite(void)
{
	const TTest *const tests[] = {each_worker_s_flows_are_found,
	                              each_worker_s_flows_are_found_in_ipv6, NULL};

	return suite_of("fastpath_workers", tests);
}
