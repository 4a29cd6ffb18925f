/*
 * SYNs that are dropped before the engine: exactly those that it would have dropped, and counted as
 * it would have. Two engines have the same rules, key and frames, but one of them only those that
 * the table of the other one lets through: they must not be told apart.
 */
#include "barred_twin.h"
#include "frames6.h"
#include "limits_fixture.h"
#include "random.h"
#include "suites.h"

#include <stdlib.h>

enum { SYN = 0x02, FIN = 0x01, CLIENTS = 6, SPORTS = 400, TALKS = 32, STEPS = 4000 };

/* All frames go to `engine`, and what isn't dropped before it to `spared`. */
static struct engine spared;
static struct barred *barred;
static unsigned ndropped, nall; /* since they were taken, and in all */
static bool is_ipv6;

static struct rules *rules_of(unsigned variant)
{
	struct rules *ret = fixture_farms(2, 2);

	for (unsigned f = 0; f < 2; f++) {
		struct rules_farm *farm = &ret->farms[f];

		farm->on_limit = variant & 1 ? ON_LIMIT_RESET : ON_LIMIT_DROP;
		farm->client_rate = variant & 2 ? 8 : 0;
		farm->client_burst = 3;
		farm->block_for_ms = variant & 4 ? 700 : 0;
		farm->client_connections = variant & 8 ? 4 : 0;
		if (variant & 16) {
			struct value value = {.text = "10.9.0.0/31, 2001:db8::a09:0/127"};
			struct prefix_list list = {0};

			ck_assert_int_eq(prefixes_read(&value, "lb.ini", ret, PREFIX_DENY, &list),
			                 0);
			ck_assert_int_eq(prefixes_make(&list, &farm->access), 0);
			free(list.at);
		}
	}
	if (is_ipv6)
		fixture_make_ipv6(ret);
	return ret;
}

static void begin_both(unsigned variant)
{
	const struct hash_key key = {{random_next(), random_next()}};

	barred = malloc(sizeof(*barred));
	engine_start(&engine, rules_of(variant));
	engine_start(&spared, rules_of(variant));
	lb_use_barred(spared.lb, barred, &key);
	ndropped = nall = 0;
}

static void take(void)
{
	struct barred_counts counts;
	uint64_t n = 0;

	lb_take_barred(spared.lb, spared.now, &counts);
	for (unsigned side = 0; side < NSIDES; side++)
		for (unsigned i = 0; i < BARRED_KINDS; i++)
			n += counts.frames[side][i];
	ck_assert_uint_eq(n, ndropped);
	ndropped = 0;
}

/* Whatever they count. */
static void same_counts(void)
{
	take();
	ck_assert_mem_eq(lb_whys(engine.lb), lb_whys(spared.lb), LB_NWHYS * sizeof(uint64_t));
	ck_assert_mem_eq(&lb_balance(engine.lb)->limits.counts,
	                 &lb_balance(spared.lb)->limits.counts,
	                 offsetof(struct limits_counts, elsewhere));
	ck_assert_uint_eq(lb_balance(spared.lb)->limits.counts.elsewhere, nall);
	ck_assert_mem_eq(&lb_balance(engine.lb)->counts, &lb_balance(spared.lb)->counts,
	                 sizeof(struct balance_counts));
}

static void end_both(void)
{
	same_counts();
	engine_stop(&engine);
	engine_stop(&spared);
	free(barred);
}

static void same_reason(uint32_t kind, const struct verdict *v)
{
	require_eq(v->act, LB_DROP);
	require_eq(v->why, kind < BARRED_RST ? WHY_CLIENT_DROPPED : WHY_RST_LIMITED);
	if (kind < BARRED_RST)
		require_eq(v->limit, WHY_CLIENT_DENIED + kind);
}

/* To both; what comes of it. */
static struct verdict both(struct built *built)
{
	struct built copy;
	struct verdict v, other;
	uint32_t kind;

	frames_copy(&copy, built);
	if (barred_twin_drops(barred, &built->frame, spared.now, &kind)) {
		v = engine_input(&engine, built);
		same_reason(kind, &v);
		ndropped++;
		nall++;
		return v;
	}
	v = engine_input(&engine, built);
	other = engine_input(&spared, &copy);
	require_eq(v.act, other.act);
	require_eq(v.why, other.why);
	require_eq(v.flow, other.flow);
	require(!memcmp(built->frame.data, copy.frame.data, built->frame.len));
	return v;
}

static void wait_both(unsigned ms)
{
	engine_wait_ms(&engine, ms);
	engine_wait_ms(&spared, ms);
}

/* A SYN, and sometimes something that is none, or not a good one. */
static struct spec random_syn(void)
{
	struct spec spec =
	        spec_syn(fixture_client(random_below(CLIENTS)),
	                 (uint16_t)(100 + random_below(SPORTS)), random_below(4) ? 443 : 444);

	if (!random_below(16))
		spec.ntags = 1 + random_below(2), spec.tpid[0] = random_below(2) ? 0x8100 : 0x88a8,
		spec.tpid[1] = 0x8100, spec.tci[0] = (uint16_t)random_below(3);
	if (!random_below(16))
		spec.src = mac_of((uint8_t)random_below(4));
	if (!random_below(16))
		spec.dst = FIXTURE_BROADCAST;
	if (!random_below(16))
		spec.payload = (uint16_t)random_below(8);
	if (!random_below(16) && !is_ipv6)
		spec.fragment = (uint16_t)(random_below(2) ? 0x2000 : 0x4000);
	if (!random_below(16) && !is_ipv6)
		spec.ip_options = 4;
	if (!random_below(16))
		spec.flags = (uint8_t)random_below(64);
	if (!random_below(16))
		spec.side = INSIDE;
	if (!random_below(16))
		spec.to = random_below(2) ? ip4(10, 0, 1, 40) : ip4(10, 0, 0, 77);
	spec.partial = !random_below(4);
	spec.tcp_options = (uint8_t)(4 * random_below(11));
	spec.seq += random_below(3) * 100000;
	return spec;
}

static void build(struct built *ret, const struct spec *spec)
{
	struct built four;

	if (!is_ipv6) {
		frames_tcp(ret, spec);
		return;
	}
	frames_tcp(&four, spec);
	frames6_of(ret, &four);
}

/* What is wrong with it nobody may see but the engine. */
static void damage(struct built *built)
{
	const uint32_t at = built->l3 + random_below(built->frame.len - built->l3);

	if (random_below(24))
		return;
	built->frame.data[at] ^= (uint8_t)(1u << random_below(8));
	if (random_below(2) && !is_ipv6 && built->frame.data[built->l3] == 0x45 &&
	    built->l3 + frames_get16(built->frame.data + built->l3 + 2) == built->frame.len)
		frames_fix(built);
}

static void knock_both(void)
{
	const struct spec spec = random_syn();
	struct built built;

	build(&built, &spec);
	damage(&built);
	both(&built);
}

/* Asks for a flow, which may open, and end one day. */
static void ask_both(struct talk *talk, unsigned client, uint16_t sport)
{
	struct spec spec = spec_syn(fixture_client(client), sport, 443);
	struct built built;
	struct verdict v;

	spec.seq += random_below(1000) * 1000;
	frames_tcp(&built, &spec);
	v = both(&built);
	if (v.why != WHY_FLOW_NEW)
		return;
	*talk = (struct talk){.engine = &engine,
	                      .client = spec.from,
	                      .sport = spec.sport,
	                      .dport = spec.dport,
	                      .server = v.way.server,
	                      .snat = be32_load(built.frame.data + built.l3 + 12),
	                      .snat_port = frames_get16(built.frame.data + built.l4),
	                      .next = {spec.seq + 1, 5000}};
}

static void say(struct talk *talk, enum end end, uint8_t flags)
{
	const struct spec spec = talk_spec(talk, end, flags, 0);
	struct built built;

	frames_tcp(&built, &spec);
	talk->next[end] += !!(flags & (SYN | FIN));
	both(&built);
}

static void go_on(struct talk *talk)
{
	if (!talk->sport || is_ipv6)
		return;
	if (talk->next[SERVER] == 5000) {
		say(talk, SERVER, SYN | ACK);
		say(talk, CLIENT, ACK);
		return;
	}
	say(talk, CLIENT, random_below(2) ? RST | ACK : FIN | ACK);
	say(talk, SERVER, FIN | ACK);
	say(talk, CLIENT, ACK);
	talk->sport = 0;
}

static void knock_some(void)
{
	for (unsigned i = random_below(20); i; i--)
		knock_both();
}

static void bypass_both(bool on)
{
	lb_bypass(engine.lb, on);
	lb_bypass(spared.lb, on);
}

static void reload_both(unsigned variant)
{
	engine_reload(&engine, rules_of(variant));
	engine_reload(&spared, rules_of(variant));
}

static void something_else(unsigned variant)
{
	const struct mac mac = FIXTURE_OUTSIDE_MAC;

	switch (random_below(64)) {
	case 0:
		bypass_both(true);
		knock_some();
		bypass_both(false);
		break;
	case 1:
		lb_rest_barred(spared.lb, true);
		knock_some();
		lb_rest_barred(spared.lb, false);
		break;
	case 4:
		lb_set_mac(engine.lb, OUTSIDE, &mac);
		lb_set_mac(spared.lb, OUTSIDE, &mac);
		break;
	case 5:
		take();
		break;
	case 6: /* RSTs instead of silence, or the other way round, for a while */
		reload_both(variant ^ 1);
		knock_some();
		reload_both(variant);
		break;
	case 7:
		reload_both(variant);
		break;
	default:
		wait_both(random_below(8) ? random_below(4) : random_below(400));
	}
}

static void nobody_tells_them_apart(unsigned variant)
{
	struct talk talks[TALKS] = {{0}};

	begin_both(variant);
	for (unsigned i = 0; i < STEPS; i++) {
		struct talk *talk = &talks[random_below(TALKS)];

		if (random_below(8))
			knock_both();
		else if (random_below(3) && !talk->sport && !is_ipv6)
			ask_both(talk, random_below(CLIENTS),
			         (uint16_t)(100 + random_below(SPORTS)));
		else if (random_below(3))
			go_on(talk);
		else
			something_else(variant);
	}
	if (!(variant & 1) && variant & (2 | 16))
		ck_assert_uint_gt(nall, STEPS / 400);
	end_both();
}

START_TEST(as_the_engine)
{
	random_restart(random_seed() + (unsigned)_i); /* each another world */
	is_ipv6 = false;
	nobody_tells_them_apart((unsigned)_i * 4 + random_below(4));
}
END_TEST

START_TEST(as_the_engine_ipv6)
{
	random_restart(random_seed() + (unsigned)_i);
	is_ipv6 = true;
	nobody_tells_them_apart((unsigned)_i * 8 + random_below(8));
}
END_TEST

/* If a flow of whomever is counted where one from that port would be: then SYNs from there are the
 * engine's. It is so of one port in a few hundred thousand, by the key. */
static bool is_place_taken(unsigned client, uint16_t sport)
{
	const uint64_t hash = barred_hash_client(barred, be32_get(fixture_client(client)));
	const be16 port = be16_from(sport);

	return barred->flows[barred_flow_at(barred, hash, csum_load(port.b))];
}

/* dropped: before the engine. */
static void knock_as(unsigned client, uint16_t sport, enum lb_why why, bool dropped)
{
	const struct spec spec = spec_syn(fixture_client(client), sport, 443);
	const unsigned before = ndropped;
	const bool taken = is_place_taken(client, sport);
	struct built built;

	frames_tcp(&built, &spec);
	require_eq(both(&built).why, why);
	require_eq(ndropped - before, dropped && !taken);
}

/* The first one that is refused says so of those that follow, up to when one is due again. */
START_TEST(a_flood_is_dropped_but_for_its_first)
{
	is_ipv6 = false;
	begin_both(2);
	for (uint16_t i = 0; i < 3; i++)
		knock_as(9, i, WHY_FLOW_NEW, false);
	knock_as(9, 3, WHY_CLIENT_DROPPED, false);
	for (uint16_t i = 4; i < 1000; i++)
		knock_as(9, i, WHY_CLIENT_DROPPED, true);
	knock_as(9, 2, WHY_FLOW_HIT, false); /* sent again */
	knock_as(8, 2, WHY_FLOW_NEW, false);
	wait_both(124);
	knock_as(9, 1000, WHY_CLIENT_DROPPED, true);
	wait_both(1);
	knock_as(9, 1000, WHY_FLOW_NEW, false);
	end_both();
}
END_TEST

/* Only what gets no RST is, and RSTs go on at the rate that they may. */
START_TEST(what_gets_a_rst_is_not_dropped)
{
	unsigned answered = 0;

	is_ipv6 = false;
	begin_both(3);
	for (unsigned i = 0; i < 40000; i++) {
		const struct spec spec = spec_syn(fixture_client(i % 3), (uint16_t)i, 443);
		struct built built;

		frames_tcp(&built, &spec);
		answered += both(&built).why == WHY_CLIENT_RATE;
		engine.now.ns = spared.now.ns += 1000 + random_below(100000);
	}
	ck_assert_uint_gt(answered, 1000);
	ck_assert_uint_gt(nall, 10000);
	end_both();
}
END_TEST

/* Up to the end of the block, and no longer. */
START_TEST(a_block_ends)
{
	struct talk talk = {0};
	uint16_t sport = 1;

	is_ipv6 = false;
	begin_both(2 | 4);
	for (; sport <= 3; sport++) {
		ask_both(&talk, 9, sport);
		go_on(&talk);
	}
	knock_as(9, sport, WHY_CLIENT_DROPPED, false);
	for (unsigned ms = 0; ms < 700; ms++) {
		knock_as(9, ++sport, WHY_CLIENT_DROPPED, true);
		wait_both(1);
	}
	ck_assert_uint_eq(lb_balance(engine.lb)->limits.counts.blocks, 1);
	for (unsigned ms = 0; ms < 200; ms++) {
		ask_both(&talk, 9, ++sport);
		wait_both(1);
	}
	ck_assert_uint_gt(lb_balance(engine.lb)->counts.created, 3);
	end_both();
}
END_TEST

/* A flow that is forgotten isn't counted any more. */
START_TEST(flows_are_counted_while_they_are_there)
{
	unsigned n = 0;

	is_ipv6 = false;
	begin_both(2);
	for (uint16_t i = 0; i < 3; i++)
		knock_as(9, i, WHY_FLOW_NEW, false);
	for (unsigned i = 0; i < BARRED_FLOWS; i++)
		n += barred->flows[i];
	ck_assert_uint_eq(n, 3);
	wait_both(200 * 1000);
	for (unsigned i = 0; i < BARRED_FLOWS; i++)
		require_eq(barred->flows[i], 0);
	end_both();
}
END_TEST

/* Limits that a reload brings count the flows that there were. */
START_TEST(a_reload_counts_flows_anew)
{
	is_ipv6 = false;
	begin_both(0);
	knock_as(9, 1, WHY_FLOW_NEW, false);
	engine_reload(&engine, rules_of(2));
	engine_reload(&spared, rules_of(2));
	for (uint16_t i = 2; i < 5; i++)
		knock_as(9, i, WHY_FLOW_NEW, false);
	knock_as(9, 5, WHY_CLIENT_DROPPED, false);
	knock_as(9, 6, WHY_CLIENT_DROPPED, true);
	knock_as(9, 1, WHY_FLOW_HIT, false);
	end_both();
}
END_TEST

Suite *barred_suite(void)
{
	Suite *suite = suite_create("barred");
	TCase *tcase = tcase_create("barred");

	tcase_add_loop_test(tcase, as_the_engine, 0, 8);
	tcase_add_loop_test(tcase, as_the_engine_ipv6, 0, 4);
	tcase_add_test(tcase, a_flood_is_dropped_but_for_its_first);
	tcase_add_test(tcase, what_gets_a_rst_is_not_dropped);
	tcase_add_test(tcase, a_block_ends);
	tcase_add_test(tcase, flows_are_counted_while_they_are_there);
	tcase_add_test(tcase, a_reload_counts_flows_anew);
	suite_add_tcase(suite, tcase);
	return suite;
}
