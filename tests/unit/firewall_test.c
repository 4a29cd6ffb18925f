/*
 * Filters: which one decides, on which side, behind tags and of either version of IP; rates, and
 * what no filter has a say in. Whatever they decide is counted once by the engine.
 */
#include "fixture.h"
#include "frames6.h"
#include "suites.h"

#include "../../bridge/worker/firewall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SYN = 0x02, RST = 0x04, ACK = 0x10, OTHER_PORT = 3389 };

static struct engine engine;
static struct rules *rules;
static struct firewall *firewall;
static struct verdict verdict;
static struct built built;

static void begin(void)
{
	rules = fixture_rules(2);
	rules->filters = calloc(RULES_FILTERS_MAX, sizeof(*rules->filters));
}

static struct rules_filter *add(const char *match, enum rules_filter_action action)
{
	struct rules_filter *filter = &rules->filters[rules->nfilters];

	snprintf(filter->name, sizeof(filter->name), "f%u", rules->nfilters++);
	filter->match = strdup(match);
	filter->action = action;
	filter->sides = 1 << OUTSIDE | 1 << INSIDE;
	return filter;
}

static void go(void)
{
	const struct share share = {.n = 1};

	engine_start(&engine, rules);
	ck_assert_int_eq(firewall_new(rules, &share, engine.now, &firewall), 0);
}

static void end(void)
{
	firewall_free(firewall);
	engine_stop(&engine);
}

/* What crosses: from a client to a server's own address. */
static struct spec crossing(uint16_t dport)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, dport);

	spec.to = fixture_server(0);
	spec.dst = mac_of(7);
	return spec;
}

/* Says if it passes, and checks that what doesn't is counted once, for its reason. */
static bool lets_built(void)
{
	uint64_t sum = 0, before = 0;
	bool passes;

	for (unsigned i = 0; i < LB_NWHYS; i++)
		before += lb_whys(engine.lb)[i];
	passes = firewall_lets(firewall, engine.lb, "eth0", &built.frame, engine.now, &verdict);
	for (unsigned i = 0; i < LB_NWHYS; i++)
		sum += lb_whys(engine.lb)[i];
	ck_assert_uint_eq(sum - before, !passes);
	if (!passes)
		ck_assert_uint_eq(verdict.act, lb_why_act((enum lb_why)verdict.why));
	return passes;
}

static bool lets(const struct spec *spec)
{
	frames_tcp(&built, spec);
	return lets_built();
}

static bool lets_port(uint16_t dport)
{
	const struct spec spec = crossing(dport);

	return lets(&spec);
}

static void counted(unsigned filter, uint64_t matched, uint64_t over, uint64_t dropped)
{
	const struct firewall_counts counts = firewall_counts(firewall, filter);

	ck_assert_uint_eq(counts.matched, matched);
	ck_assert_uint_eq(counts.over, over);
	ck_assert_uint_eq(counts.dropped, dropped);
	if (matched)
		ck_assert_uint_eq(counts.last.ns, engine.now.ns);
}

START_TEST(the_first_one_that_matches_decides)
{
	begin();
	add("tcp dst port 22", ON_MATCH_PASS);
	add("tcp dst portrange 20-30", ON_MATCH_DROP);
	add("", ON_MATCH_PASS);
	add("", ON_MATCH_DROP);
	go();
	ck_assert(lets_port(22));
	ck_assert(!lets_port(23));
	ck_assert_uint_eq(verdict.why, WHY_FILTERED);
	ck_assert(lets_port(80));
	counted(0, 1, 0, 0);
	counted(1, 1, 0, 1);
	counted(2, 1, 0, 0);
	counted(3, 0, 0, 0);
	end();
}
END_TEST

START_TEST(what_only_counts_decides_nothing)
{
	begin();
	add("tcp", ON_MATCH_COUNT);
	add("tcp dst port 22", ON_MATCH_DROP);
	add("tcp", ON_MATCH_COUNT);
	go();
	ck_assert(!lets_port(22));
	ck_assert(lets_port(80));
	counted(0, 2, 0, 0);
	counted(1, 1, 0, 1);
	counted(2, 1, 0, 0);
	end();
}
END_TEST

START_TEST(a_side_is_where_frames_arrive)
{
	for (unsigned sides = 1; sides < 1 << NSIDES; sides++)
		for (unsigned side = 0; side < NSIDES; side++) {
			struct spec spec = crossing(22);

			begin();
			add("tcp", ON_MATCH_DROP)->sides = (uint8_t)sides;
			go();
			spec.side = (enum side)side;
			ck_assert_int_eq(lets(&spec), !(sides >> side & 1));
			end();
		}
}
END_TEST

START_TEST(tags_are_there_as_on_the_wire)
{
	struct spec spec = crossing(22);

	begin();
	add("tcp dst port 22", ON_MATCH_DROP);
	add("vlan 7 and tcp dst port 22", ON_MATCH_DROP);
	add("vlan 8 and vlan 9 and tcp dst port 22", ON_MATCH_DROP);
	go();
	ck_assert(!lets(&spec));
	spec.ntags = 1;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = 6;
	ck_assert(lets(&spec));
	spec.tci[0] = 0xe007; /* of a priority, too */
	ck_assert(!lets(&spec));
	spec.ntags = 2;
	spec.tpid[0] = 0x88a8;
	spec.tci[0] = 8;
	spec.tpid[1] = 0x8100;
	spec.tci[1] = 9;
	ck_assert(!lets(&spec));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(firewall_counts(firewall, i).matched, 1);
	end();
}
END_TEST

START_TEST(ipv6_is_judged_and_reset_alike)
{
	const struct spec spec = crossing(22);
	struct built ipv4;

	begin();
	fixture_make_ipv6(rules);
	add("ip6 and tcp dst port 22", ON_MATCH_RESET);
	go();
	frames_tcp(&ipv4, &spec);
	frames6_of(&built, &ipv4);
	ck_assert(!lets_built());
	ck_assert_uint_eq(verdict.why, WHY_FILTER_RESET);
	ck_assert(verdict.own.ipv6);
	ck_assert_mem_eq(&verdict.own.dst6, built.frame.data + built.l3 + 8, 16);
	frames_tcp(&built, &spec);
	ck_assert(lets_built());
	end();
}
END_TEST

START_TEST(a_reset_is_what_tcp_gets)
{
	struct spec spec = crossing(22);

	begin();
	add("", ON_MATCH_RESET);
	go();
	ck_assert(!lets(&spec));
	ck_assert_uint_eq(verdict.why, WHY_FILTER_RESET);
	ck_assert_uint_eq(verdict.own.tcp_flags, RST | ACK);
	ck_assert_uint_eq(verdict.own.ack, spec.seq + 1);
	ck_assert(be32_eq(verdict.own.tuple.src, spec.to));
	ck_assert(be32_eq(verdict.own.tuple.dst, spec.from));
	ck_assert_uint_eq(verdict.own.to.side, OUTSIDE);
	ck_assert_mem_eq(&verdict.own.to.mac, &spec.src, sizeof(spec.src));
	spec.flags = RST;
	ck_assert(!lets(&spec));
	ck_assert_uint_eq(verdict.why, WHY_FILTERED);
	spec.flags = SYN;
	frames_tcp(&built, &spec);
	built.frame.data[built.l4 + 16] ^= 1;
	ck_assert(!lets_built());
	ck_assert_uint_eq(verdict.why, WHY_FILTERED);
	spec.protocol = 17;
	spec.payload = 20;
	frames_ipv4(&built, &spec);
	ck_assert(!lets_built());
	ck_assert_uint_eq(verdict.why, WHY_FILTERED);
	counted(0, 4, 0, 4);
	end();
}
END_TEST

START_TEST(resets_are_limited)
{
	unsigned resets = 0;

	begin();
	add("tcp", ON_MATCH_RESET);
	go();
	for (unsigned i = 0; i < 3000; i++) {
		ck_assert(!lets_port(22));
		resets += verdict.why == WHY_FILTER_RESET;
		ck_assert(verdict.why == WHY_FILTER_RESET || verdict.why == WHY_RST_LIMITED);
	}
	ck_assert_uint_ge(resets, 16);
	ck_assert_uint_le(resets, 1000);
	end();
}
END_TEST

START_TEST(above_a_rate_is_dropped)
{
	begin();
	add("tcp dst port 22", ON_MATCH_PASS)->rate = 10;
	add("tcp dst port 23", ON_MATCH_COUNT)->rate = 1;
	add("tcp dst port 22", ON_MATCH_DROP); /* never: the first decides */
	go();
	for (unsigned i = 0; i < 10; i++)
		ck_assert(lets_port(22));
	ck_assert(!lets_port(22));
	ck_assert_uint_eq(verdict.why, WHY_FILTER_RATE);
	counted(0, 11, 1, 1);
	ck_assert(lets_port(23) && lets_port(23));
	counted(1, 2, 1, 0);
	counted(2, 0, 0, 0);
	engine.now.ns += 99 * LB_NS_PER_MS;
	ck_assert(!lets_port(22));
	engine.now.ns += LB_NS_PER_MS;
	ck_assert(lets_port(22));
	ck_assert(!lets_port(22));
	engine.now.ns += 3600 * LB_NS_PER_S;
	for (unsigned i = 0; i < 10; i++)
		ck_assert(lets_port(22));
	ck_assert(!lets_port(22));
	end();
}
END_TEST

START_TEST(the_hosts_probes_and_loops_are_none_of_theirs)
{
	struct spec spec = crossing(22), reply = crossing(RULES_PROBE_PORT);

	begin();
	add("", ON_MATCH_DROP);
	go();
	spec.dst = FIXTURE_OUTSIDE_MAC;
	ck_assert(lets(&spec)); /* SSH to the host */
	spec.to = fixture_vip();
	ck_assert(!lets(&spec)); /* to a VIP */
	spec = crossing(22);
	spec.src = FIXTURE_INSIDE_MAC;
	ck_assert(lets(&spec));
	reply.from = fixture_server(0);
	reply.to = fixture_vip();
	reply.side = INSIDE;
	reply.sport = 5061;
	reply.flags = SYN | ACK;
	ck_assert(lets(&reply));
	reply.flags = ACK;
	ck_assert(lets(&reply));
	reply.to = fixture_server(1); /* not to us */
	ck_assert(!lets(&reply));
	counted(0, 2, 0, 2);
	end();
}
END_TEST

START_TEST(a_merged_frame_is_judged_as_its_first_packet)
{
	struct spec spec = crossing(22);

	begin();
	add("tcp and greater 200", ON_MATCH_DROP);
	add("ip[2:2] = 140 and len = 154", ON_MATCH_PASS)->rate = 10;
	add("tcp", ON_MATCH_DROP);
	go();
	spec.flags = ACK;
	spec.tcp_options = 0;
	spec.payload = 950;
	frames_tcp(&built, &spec);
	built.frame.merged = 100;
	ck_assert(lets_built()); /* 9 packets of 100 bytes, one of 50 */
	counted(0, 0, 0, 0);
	counted(1, 10, 0, 0);
	ck_assert_uint_eq(frames_get16(built.frame.data + built.l3 + 2), 990);
	ck_assert(!lets_built());
	counted(1, 20, 10, 10);
	built.frame.merged = 0;
	ck_assert(!lets_built());
	counted(0, 1, 0, 1);
	end();
}
END_TEST

START_TEST(counts_and_rates_go_along)
{
	const struct share share = {.n = 1};
	struct firewall *next;

	begin();
	add("tcp dst port 22", ON_MATCH_PASS)->rate = 1;
	add("tcp dst port 23", ON_MATCH_DROP);
	go();
	ck_assert(lets_port(22) && !lets_port(22) && !lets_port(23));
	strcpy(rules->filters[1].name, "other");
	ck_assert_int_eq(firewall_new(rules, &share, engine.now, &next), 0);
	strcpy(rules->filters[1].name, "f1");
	firewall_inherit(next, firewall);
	firewall_inherit(NULL, firewall);
	firewall_inherit(next, NULL);
	firewall_free(firewall);
	firewall = next;
	counted(0, 2, 1, 1);
	ck_assert(!lets_port(22));
	end();
}
END_TEST

START_TEST(as_many_as_there_may_be)
{
	char match[64];

	begin();
	for (unsigned i = 0; i < RULES_FILTERS_MAX; i++) {
		snprintf(match, sizeof(match), "tcp dst port %u", OTHER_PORT + i);
		add(match, ON_MATCH_DROP);
	}
	go();
	for (unsigned i = 0; i < RULES_FILTERS_MAX; i++)
		ck_assert(!lets_port((uint16_t)(OTHER_PORT + i)));
	ck_assert(lets_port(OTHER_PORT + RULES_FILTERS_MAX));
	counted(RULES_FILTERS_MAX - 1, 1, 0, 1);
	end();
}
END_TEST

START_TEST(what_cannot_be_compiled_is_refused)
{
	const struct share share = {.n = 1};
	char why[256];

	begin();
	add("tcp dst port 22", ON_MATCH_DROP);
	add("tcp dst port", ON_MATCH_DROP);
	ck_assert_int_eq(firewall_check(&rules->filters[0], why, sizeof(why)), 0);
	ck_assert_int_eq(firewall_check(&rules->filters[1], why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "can't parse filter expression: syntax error");
	ck_assert_int_eq(firewall_new(rules, &share, (lb_time){0}, &firewall), -EINVAL);
	rules_free(rules);
}
END_TEST

/* A filter that matches nothing, or all, for a reason that nobody sees is worse than none. */
START_TEST(odd_expressions_are_named)
{
	static const char *const odd[] = {"inbound",
	                                  "outbound and tcp",
	                                  "ether[-1] = 0",
	                                  "ether[4294967295] = 0",
	                                  "ip broadcast",
	                                  "vlan 5000",
	                                  "ip[0] / 0 = 1",
	                                  "ip[0] % 0 = 1",
	                                  "tcp[4:4] << 40 = 0",
	                                  "tcp[0:3] = 1",
	                                  "1 = 2",
	                                  "port 99999",
	                                  "len > 4294967296",
	                                  "net 300.1.1.1",
	                                  "tcp port nosuchport",
	                                  "host nosuchhost.invalid",
	                                  "ether host nosuchhost",
	                                  "gateway fe1",
	                                  "on eth0",
	                                  "type mgt",
	                                  "(tcp",
	                                  "tcp)",
	                                  "tcp and",
	                                  "and",
	                                  "\\"};
	const struct rules_filter *filter;
	char why[256];

	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		begin();
		filter = add(odd[i], ON_MATCH_DROP);
		ck_assert_msg(firewall_check(filter, why, sizeof(why)) == -EINVAL, "%s", odd[i]);
		rules_free(rules);
	}
}
END_TEST

/* The kernel has no such loop, so this is the process's. */
START_TEST(headers_are_walked)
{
	struct spec spec = crossing(22);
	struct built ipv4;
	uint8_t *ip;

	begin();
	add("ip6 protochain 6", ON_MATCH_DROP);
	go();
	frames_tcp(&ipv4, &spec);
	frames6_of(&built, &ipv4);
	ck_assert(!lets_built());
	ip = built.frame.data + built.l3;
	memmove(ip + 48, ip + 40, built.frame.len - built.l3 - 40);
	memset(ip + 40, 0, 8);
	ip[40] = ip[6];
	ip[6] = 60; /* destination options */
	built.frame.wire_len = built.frame.len += 8;
	ck_assert(!lets_built());
	ip[40] = 17;
	ck_assert(lets_built());
	frames_tcp(&built, &spec);
	ck_assert(lets_built());
	counted(0, 2, 0, 2);
	end();
}
END_TEST

Suite *firewall_suite(void)
{
	const TTest *const tests[] = {the_first_one_that_matches_decides,
	                              what_only_counts_decides_nothing,
	                              a_side_is_where_frames_arrive,
	                              tags_are_there_as_on_the_wire,
	                              ipv6_is_judged_and_reset_alike,
	                              a_reset_is_what_tcp_gets,
	                              resets_are_limited,
	                              above_a_rate_is_dropped,
	                              the_hosts_probes_and_loops_are_none_of_theirs,
	                              a_merged_frame_is_judged_as_its_first_packet,
	                              counts_and_rates_go_along,
	                              as_many_as_there_may_be,
	                              what_cannot_be_compiled_is_refused,
	                              odd_expressions_are_named,
	                              headers_are_walked,
	                              NULL};

	return suite_of("firewall", tests);
}
