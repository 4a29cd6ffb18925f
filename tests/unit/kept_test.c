/*
 * A reload that takes away what live flows need: SNAT addresses, SNAT itself, a VLAN, the VIP. Each
 * flow goes on, or both of its ends are reset at once.
 */
#include "kept_fixture.h"

#include "../../lb/takeover.h"

static const struct change {
	struct file before, after;
	uint16_t client_vlan;
	bool goes_on;
	uint8_t kept; /* the last byte of an address that stays ours, or 0 */
} changes[] = {
        /* clang-format off */
        {{.what = "one of two is taken out", .snat = {38, 39}, .vip = 40}, {.snat = {38}, .vip = 40}, 0, true, 39},
        {{.what = "all are, for the VIP", .snat = {38, 39}, .vip = 40}, {.snat = {40}, .vip = 40}, 0, true, 39},
        {{.what = "the VIP is, for others", .snat = {40}, .vip = 40}, {.snat = {38, 39}, .vip = 40}, 0, true, 0},
        {{.what = "off", .snat = {38, 39}, .vip = 40}, {.vip = 40}, 0, true, 38},
        {{.what = "off, after the VIP", .snat = {40}, .vip = 40}, {.vip = 40}, 0, true, 0},
        {{.what = "on", .vip = 40}, {.snat = {40}, .vip = 40}, 0, true, 0},
        {{.what = "on, at another one", .vip = 40}, {.snat = {38}, .vip = 40}, 0, true, 0},
        {{.what = "becomes another farm's VIP", .snat = {38}, .vip = 40}, {.snat = {40}, .vip = 40, .other_vip = 38}, 0, true, 0},
        {{.what = "becomes another farm's", .snat = {38}, .vip = 40}, {.snat = {40}, .vip = 40, .other_vip = 50, .other_snat = 38}, 0, true, 0},
        {{.what = "becomes the VIP", .snat = {38}, .vip = 40}, {.snat = {38}, .vip = 38}, 0, false, 0},
        {{.what = "becomes a server", .snat = {38}, .vip = 40}, {.snat = {40}, .vip = 40, .server = 38}, 0, false, 0},
        {{.what = "the VIP is another one", .snat = {40}, .vip = 40}, {.snat = {41 + 100}, .vip = 41 + 100}, 0, false, 0},
        {{.what = "the VIP is, not the address", .snat = {38}, .vip = 40}, {.snat = {38}, .vip = 50}, 0, false, 0},
        {{.what = "another VLAN", .snat = {40}, .vip = 40, .vlan = VLAN}, {.snat = {40}, .vip = 40, .vlan = OTHER}, VLAN, false, 0},
        {{.what = "a VLAN, which clients are in", .snat = {40}, .vip = 40}, {.snat = {40}, .vip = 40, .vlan = VLAN}, VLAN, true, 0},
        {{.what = "a VLAN, which none is in", .snat = {40}, .vip = 40}, {.snat = {40}, .vip = 40, .vlan = VLAN}, 0, false, 0},
        {{.what = "no VLAN any more", .snat = {38}, .vip = 40, .vlan = VLAN}, {.snat = {38}, .vip = 40}, VLAN, true, 0},
        {{.what = "servers in another VLAN", .snat = {38}, .vip = 40, .vlan = VLAN}, {.snat = {39}, .vip = 40, .vlan = VLAN, .server_vlan = OTHER}, VLAN, true, 0},
        {{.what = "taken out in a VLAN", .snat = {38, 39}, .vip = 40, .vlan = VLAN}, {.snat = {39}, .vip = 40, .vlan = VLAN}, VLAN, true, 0},
        /* clang-format on */
};

enum { NCHANGES = sizeof(changes) / sizeof(changes[0]) };

static void check_resets(void)
{
	unsigned to_server = 0;

	engine.nowns = 0;
	engine_poll(&engine);
	require_eq(ended()[ENDED_RELOAD], CONNS);
	require_eq(engine.nowns, 2 * CONNS);
	for (unsigned i = 0; i < engine.nowns; i++)
		to_server += engine.owns[i].server != SERVER_NONE;
	require_eq(to_server, CONNS);
}

/* Somebody asks for the address, in the farm's VLAN. */
static enum lb_why ask(uint8_t last)
{
	struct spec spec = {.dst = FIXTURE_BROADCAST,
	                    .src = FIXTURE_CLIENT_MAC,
	                    .from = fixture_client(99),
	                    .to = address(last),
	                    .arp_oper = 1};
	struct built built;

	tag(&spec, engine.rules->farms[0].vlan);
	frames_arp(&built, &spec);
	return (enum lb_why)engine_input(&engine, &built).why;
}

/* When they have ended and rested, and a reload finds nobody any more, all is as the file says. */
static void check_end(struct conn *conns, const struct file *after, bool v6)
{
	for (unsigned i = 0; i < CONNS; i++) {
		say(&conns[i], CLIENT, FIN_ACK, 0);
		say(&conns[i], SERVER, FIN_ACK, 0);
		require_eq(say(&conns[i], CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	}
	engine_wait_ms(&engine, 200 * S);
	require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
	require_eq(balance_quarantined(lb_balance(engine.lb)), 0);
	require_eq(farms()->kept.all, 0);
	require_eq(lb_balance(engine.lb)->strays, 0);
	engine_reload(&engine, rules_of(after, v6));
	require_eq(engine.rules->farms[0].nkept, 0);
	require(!engine.rules->farms[0].keeps_off);
}

static void check(const struct change *change, bool v6, unsigned worker, unsigned workers)
{
	const struct hash_key key = {{0, 0}};
	const struct share share = share_make(worker, workers, false, &key);
	static struct conn conns[CONNS];
	struct conn more;

	engine_start_share(&engine, rules_of(&change->before, v6), &share);
	for (unsigned i = 0; i < CONNS; i++)
		open_at(&conns[i], v6, change->client_vlan, i, 40000);
	engine_reload(&engine, rules_of(&change->after, v6));
	if (!change->goes_on) {
		check_resets();
		engine_stop(&engine);
		return;
	}
	engine_poll(&engine);
	require_eq(ended()[ENDED_RELOAD], 0);
	for (unsigned i = 0; i < CONNS; i++)
		check_goes_on(&conns[i]);
	open_at(&more, v6, change->client_vlan, CONNS, 40000);
	check_goes_on(&more);
	for (unsigned i = 0;
	     change->after.snat[0] && !be32_eq(more.snat, address(change->after.snat[i])); i++)
		require(i < 3 && change->after.snat[i + 1]);
	/* and by a second one, of which nothing new follows */
	engine_reload(&engine, rules_of(&change->after, v6));
	engine_poll(&engine);
	for (unsigned i = 0; i < CONNS; i++)
		check_goes_on(&conns[i]);
	if (change->kept && !v6)
		require_eq(ask(change->kept), WHY_ARP_REPLY);
	check_goes_on(&more);
	say(&more, CLIENT, FIN_ACK, 0);
	say(&more, SERVER, FIN_ACK, 0);
	say(&more, CLIENT, ACK, 0);
	check_end(conns, &change->after, v6);
	if (change->kept && !v6)
		require_eq(ask(change->kept), WHY_NOT_OURS);
	engine_stop(&engine);
}

static void check_all(bool v6, unsigned worker, unsigned workers)
{
	for (unsigned i = 0; i < NCHANGES; i++)
		check(&changes[i], v6, worker, workers);
}

START_TEST(goes_on_or_is_reset)
{
	check_all(false, 0, 1);
	check_all(true, 0, 1);
}
END_TEST

START_TEST(by_each_of_three_workers)
{
	for (unsigned k = 0; k < WORKERS; k++) {
		check_all(false, k, WORKERS);
		check_all(true, k, WORKERS);
	}
}
END_TEST

/* An address that was taken out and comes back is one of the farm's: its ports are known. */
START_TEST(taken_out_and_back)
{
	static const struct file both = {.snat = {38, 39}, .vip = 40},
	                         one = {.snat = {38}, .vip = 40};
	static struct conn conns[CONNS];

	for (unsigned v6 = 0; v6 < 2; v6++) {
		engine_start(&engine, rules_of(&both, v6));
		for (unsigned i = 0; i < CONNS; i++)
			open_at(&conns[i], v6, 0, i, 40000);
		engine_reload(&engine, rules_of(&one, v6));
		require_eq(engine.rules->farms[0].nkept, 1);
		require_eq(farms()->kept.all, CONNS / 2);
		engine_reload(&engine, rules_of(&both, v6));
		require_eq(engine.rules->farms[0].nkept, 0);
		require_eq(lb_balance(engine.lb)->strays, 0);
		require_eq(farms()->snat.in_use[0] + farms()->snat.in_use[1], CONNS);
		for (unsigned i = 0; i < CONNS; i++)
			check_goes_on(&conns[i]);
		check_end(conns, &both, v6);
		engine_stop(&engine);
	}
}
END_TEST

/* The rules after the change, for which those before had their addresses used or not. */
static struct rules *taken_over(const struct change *change, const struct rules *old,
                                const bool *used)
{
	const bool referenced[8] = {true, true, true, true, true, true, true, true};
	struct rules *ret = rules_of(&change->after, false);
	uint16_t map[8];

	require(old->nservers <= 8 && takeover_rules(ret, old, referenced, used, map) == 0);
	return ret;
}

/* What has come into use since the rules were made is missed if they would have kept it. */
START_TEST(used_since)
{
	const bool none[16] = {false};
	bool all[16];
	unsigned missed = 0;

	memset(all, true, sizeof(all));
	for (unsigned i = 0; i < NCHANGES; i++) {
		struct rules *old = rules_of(&changes[i].before, false);
		struct rules *without = taken_over(&changes[i], old, none),
		             *with = taken_over(&changes[i], old, all);
		const struct rules_farm *a = &without->farms[0], *b = &with->farms[0];
		const bool differ = a->nkept != b->nkept || a->keeps_off != b->keeps_off;

		require(takeover_count_snat(old) <= 16);
		require_eq(takeover_misses(without, old, none, all), differ);
		require(!takeover_misses(without, old, none, none));
		require(!takeover_misses(with, old, none, all));
		missed += differ;
		rules_free(with);
		rules_free(without);
		rules_free(old);
	}
	require(missed >= 4 && missed < NCHANGES);
}
END_TEST

/* What another farm of the VIP has is none of the farm's, whichever ports it has. */
START_TEST(a_farm_beside)
{
	static const struct file beside = {
	        .snat = {38}, .vip = 40, .other_vip = 40, .other_snat = 39};

	for (unsigned off = 0; off < 2; off++) {
		struct rules *old = rules_of(&beside, false), *new = rules_of(&beside, false);
		const bool referenced[8] = {true, true, true, true},
		           used[] = {true, true, true, true};
		uint16_t map[8];

		for (unsigned i = 0; i < 2; i++) {
			struct rules *rules = i ? new : old;

			rules->farms[1].ports[0] = be16_from(4711);
			rules->farms[1].nports = 1;
			if (off)
				rules->farms[1].nsnat = 0;
		}
		require(takeover_rules(new, old, referenced, used, map) == 0);
		for (unsigned f = 0; f < 2; f++)
			require(!new->farms[f].nkept && !new->farms[f].keeps_off);
		rules_free(new);
		rules_free(old);
	}
}
END_TEST

Suite *kept_suite(void)
{
	const TTest *const tests[] = {
	        goes_on_or_is_reset, by_each_of_three_workers,
	        taken_out_and_back,  used_since,
	        a_farm_beside,       NULL,
	};

	return suite_of("kept", tests);
}
