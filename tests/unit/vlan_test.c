/*
 * `vlan = N`: whose an address is, by the VLAN that a frame is in.
 */
#include "fixture.h"
#include "suites.h"

#include <stdlib.h>

enum { ACK = 0x10, SYN = 0x02, VLAN = 10, OTHER = 20, REQUEST = 1, REPLY = 2 };

static struct engine engine;

/* What tags a frame may have, and if it is in VLAN. */
static const struct tags {
	unsigned n;
	uint16_t tpid[2], tci[2];
	bool in_vlan;
} all_tags[] = {
        {0, {0}, {0}, false},
        {1, {0x8100}, {VLAN}, true},
        {1, {0x8100}, {5 << 13 | 1 << 12 | VLAN}, true}, /* priority and DEI don't count */
        {1, {0x8100}, {OTHER}, false},
        {1, {0x8100}, {0}, false}, /* a priority tag only */
        {1, {0x8100}, {5 << 13}, false},
        {1, {0x88a8}, {VLAN}, false}, /* a service VLAN of the same number is another one */
        {1, {0x9100}, {VLAN}, false},
        {2, {0x88a8, 0x8100}, {VLAN, VLAN}, false},
        {2, {0x8100, 0x8100}, {VLAN, OTHER}, false},
        {2, {0x8100, 0x8100}, {OTHER, VLAN}, false},
        {2, {0x8100, 0x8100}, {0, VLAN}, false},
        {2, {0x88a8, 0x88a8}, {VLAN, VLAN}, false},
        {2, {0x88a8, 0x8100}, {VLAN, 0}, false}, /* in a service VLAN, by its priority alone */
};

enum { NTAGS = sizeof(all_tags) / sizeof(all_tags[0]) };

static struct spec tagged(struct spec spec, const struct tags *tags)
{
	spec.dst = mac_of(0x77); /* interception is by IP address */
	spec.ntags = tags->n;
	for (unsigned i = 0; i < tags->n; i++) {
		spec.tpid[i] = tags->tpid[i];
		spec.tci[i] = tags->tci[i];
	}
	return spec;
}

static struct spec in_vlan(struct spec spec, uint16_t vlan)
{
	const struct tags tags = {1, {0x8100}, {vlan}, true};

	const struct tags none = {0, {0}, {0}, false};

	return tagged(spec, vlan ? &tags : &none);
}

static struct rules *with_vlan(uint16_t farm, uint16_t server)
{
	struct rules *rules = fixture_rules(2);

	rules->farms[0].vlan = farm;
	for (unsigned s = 0; s < 2; s++)
		rules->servers[s].vlan = server;
	return rules;
}

static struct verdict tcp(const struct spec *spec)
{
	struct built built;

	frames_tcp(&built, spec);
	return engine_input(&engine, &built);
}

static struct verdict arp(be32 from, be32 to, uint16_t oper, const struct tags *tags)
{
	struct spec spec = tagged((struct spec){.dst = FIXTURE_BROADCAST,
	                                        .src = FIXTURE_CLIENT_MAC,
	                                        .from = from,
	                                        .to = to,
	                                        .arp_oper = oper},
	                          tags);
	struct built built;

	frames_arp(&built, &spec);
	return engine_input(&engine, &built);
}

static struct verdict echo(const struct tags *tags)
{
	struct spec spec = tagged((struct spec){.dst = FIXTURE_OUTSIDE_MAC,
	                                        .src = FIXTURE_CLIENT_MAC,
	                                        .from = fixture_client(1),
	                                        .to = fixture_vip(),
	                                        .icmp_type = 8},
	                          tags);
	struct built built;

	frames_icmp(&built, &spec);
	return engine_input(&engine, &built);
}

START_TEST(a_farm_is_in_its_vlan_only)
{
	engine_start(&engine, with_vlan(VLAN, VLAN));
	for (unsigned i = 0; i < NTAGS; i++) {
		const struct tags *t = &all_tags[i];
		struct spec syn = spec_syn(fixture_client(i), 4000, 5061), stray = syn;
		struct verdict v;

		syn = tagged(syn, t);
		require_eq(tcp(&syn).why, t->in_vlan ? WHY_FLOW_NEW : WHY_NOT_OURS);
		stray = tagged(stray, t);
		stray.dport = 22;
		require_eq(tcp(&stray).why, t->in_vlan ? WHY_PORT_NOT_SERVED : WHY_NOT_OURS);
		require_eq(echo(t).why, t->in_vlan ? WHY_ECHO_REPLY : WHY_NOT_OURS);
		v = arp(fixture_client(i), fixture_vip(), REQUEST, t);
		require_eq(v.why, t->in_vlan ? WHY_ARP_REPLY : WHY_NOT_OURS);
		/* somebody else has the address in another VLAN, and that is no conflict */
		v = arp(fixture_vip(), fixture_client(i), REQUEST, t);
		require_eq(v.conflict, t->in_vlan);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(a_farm_without_is_in_all)
{
	engine_start(&engine, with_vlan(0, 0));
	for (unsigned i = 0; i < NTAGS; i++) {
		const struct tags *t = &all_tags[i];
		struct spec syn = tagged(spec_syn(fixture_client(i), 4000, 5061), t);

		require_eq(tcp(&syn).why, WHY_FLOW_NEW);
		require_eq(echo(t).why, WHY_ECHO_REPLY);
		require(arp(fixture_vip(), fixture_client(i), REQUEST, t).conflict);
		require(arp(fixture_server(0), fixture_client(i), REQUEST, t).sighted);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(a_server_is_sighted_in_its_vlan_only)
{
	static const uint16_t vlans[] = {VLAN, OTHER, 0};

	for (unsigned k = 0; k < 3; k++) {
		engine_start(&engine, with_vlan(VLAN, vlans[k]));
		for (unsigned i = 0; i < NTAGS; i++) {
			const struct tags *t = &all_tags[i];
			bool there = t->n == 1 && t->tpid[0] == 0x8100
			                     ? (t->tci[0] & 0xfff) == vlans[k]
			                     : !t->n && !vlans[k];

			require_eq(arp(fixture_server(1), ip4(10, 0, 0, 99), REPLY, t).sighted,
			           there);
		}
		engine_stop(&engine);
	}
}
END_TEST

/* A reply of the server to the flow that syn has made, by way of vlan. */
static struct verdict reply(const struct talk *talk, uint16_t vlan)
{
	struct spec spec = in_vlan(talk_spec(talk, SERVER, SYN | ACK, 0), vlan);

	return tcp(&spec);
}

START_TEST(a_server_in_another_vlan_replies_there)
{
	static const uint16_t vlans[] = {OTHER, 0};

	for (unsigned k = 0; k < 2; k++) {
		struct spec syn = in_vlan(spec_syn(fixture_client(1), 4000, 5061), VLAN);
		const struct tags none = {0, {0}, {0}, false}, there = {1, {0x8100}, {OTHER}, true};
		const struct tags *t = vlans[k] ? &there : &none;
		struct built built;
		struct talk talk = {.engine = &engine,
		                    .client = fixture_client(1),
		                    .sport = 4000,
		                    .dport = 5061,
		                    .next = {syn.seq + 1, 7000}};
		struct verdict v;

		engine_start(&engine, with_vlan(VLAN, vlans[k]));
		frames_tcp(&built, &syn);
		v = engine_input(&engine, &built);
		require_eq(v.why, WHY_FLOW_NEW);
		talk.server = v.way.server;
		talk.snat = be32_load(built.frame.data + built.l3 + 12);
		talk.snat_port = frames_get16(built.frame.data + built.l4);
		/* it asks for the SNAT address, and its replies are caught, where it is */
		require_eq(arp(fixture_server(v.way.server), fixture_vip(), REQUEST, t).why,
		           WHY_ARP_REPLY);
		require_eq(reply(&talk, VLAN + 5).why, WHY_NOT_OURS);
		v = reply(&talk, vlans[k]);
		require_eq(v.why, WHY_FLOW_HIT);
		require_eq(hop_vlan(&v.way.hop), VLAN);
		/* but the farm isn't served there */
		syn = in_vlan(spec_syn(fixture_client(2), 4000, 5061), vlans[k]);
		require_eq(tcp(&syn).why, WHY_PORT_NOT_SERVED);
		engine_stop(&engine);
	}
}
END_TEST

/* A reload takes out a server and gives its farm a VLAN. Like the farm's other servers, who were in
 * any, this one is in that from then on; one that was where no tags are stays there. */
START_TEST(who_is_gone_is_in_the_farms_vlan)
{
	static const struct {
		uint16_t farm, server, now, replies_in;
	} cases[] = {{0, 0, VLAN, VLAN},
	             {0, OTHER, VLAN, OTHER},
	             {VLAN, VLAN, 0, VLAN},
	             {VLAN, 0, VLAN, 0}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec syn = in_vlan(spec_syn(fixture_client(1), 4000, 5061), VLAN);
		struct rules *after = with_vlan(cases[i].now, cases[i].now);
		struct talk talk;

		engine_start(&engine, with_vlan(cases[i].farm, cases[i].server));
		require_eq(talk_syn_from(&talk, &engine, &syn).why, WHY_FLOW_NEW);
		after->servers[talk.server].address = ip4(10, 0, 0, 99);
		engine_reload(&engine, after);
		require(after->servers[2].gone);
		talk.server = 2;
		talk.next[SERVER] = 7000;
		require_eq(reply(&talk, cases[i].replies_in).why, WHY_FLOW_HIT);
		require_eq(rules_server_vlan(after, 2),
		           cases[i].replies_in ? cases[i].replies_in : VLAN_NONE);
		engine_wait_ms(&engine, 1000);
		require_eq(balance_open_flows(lb_balance(engine.lb)), 1);
		engine_stop(&engine);
	}
}
END_TEST

START_TEST(the_same_address_in_two_vlans)
{
	struct rules *rules = fixture_two_farms();
	struct spec syn;

	/* the second farm's server has the address of the first one's VIP, elsewhere */
	rules->farms[0].vlan = VLAN;
	rules->farms[1].vlan = OTHER;
	for (unsigned s = 0; s < rules->nservers; s++)
		rules->servers[s].vlan = rules->farms[rules->servers[s].farm].vlan;
	rules->servers[rules->farms[1].server].address = fixture_vip();
	engine_start(&engine, rules);
	for (unsigned i = 0; i < NTAGS; i++) {
		const struct tags *t = &all_tags[i];
		struct verdict v = arp(fixture_vip(), ip4(10, 0, 1, 99), REQUEST, t);
		bool other = t->n == 1 && t->tpid[0] == 0x8100 && t->tci[0] == OTHER;

		require_eq(v.conflict, t->in_vlan);
		require_eq(v.sighted, other);
	}
	syn = in_vlan(spec_syn(fixture_client(1), 4000, 5061), VLAN);
	require_eq(tcp(&syn).why, WHY_FLOW_NEW);
	syn = in_vlan(spec_syn(fixture_client(1), 4001, 5061), OTHER);
	require_eq(tcp(&syn).why, WHY_NOT_OURS);
	engine_stop(&engine);
}
END_TEST

START_TEST(what_is_in_all_vlans_is_also_in_one_that_is_named)
{
	struct rules *rules = fixture_two_farms();

	/* a server of both farms, of which only the second has a VLAN */
	rules->farms[1].vlan = VLAN;
	rules->servers[rules->farms[1].server].vlan = VLAN;
	rules->servers[rules->farms[1].server].address = fixture_server(0);
	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	for (uint16_t vlan = VLAN; vlan <= VLAN + 1; vlan++) {
		const struct addresses *addresses = &lb_balance(engine.lb)->farms->addresses;
		uint8_t kinds = addresses_find(addresses, fixture_server(0), vlan)->kinds;

		require_eq(kinds, ADDRESS_SERVER | ADDRESS_NO_SNAT);
	}
	engine_stop(&engine);
}
END_TEST

/* Which of all_tags are one VLAN: those of the same letter. */
static const char vlan_of_tags[NTAGS + 1] = "nvvonnsqadepkz";

/* The address and port of an open connection's client, from behind other tags: another client. */
START_TEST(a_client_is_in_one_vlan)
{
	for (unsigned i = 0; i < NTAGS; i++)
		for (unsigned k = 0; k < NTAGS; k++) {
			struct spec syn =
			        tagged(spec_syn(fixture_client(1), 4000, 5061), &all_tags[i]);
			struct talk talk;

			engine_start(&engine, with_vlan(0, 0));
			require_eq(talk_syn_from(&talk, &engine, &syn).why, WHY_FLOW_NEW);
			syn = tagged(spec_syn(fixture_client(1), 4000, 5061), &all_tags[k]);
			syn.seq += 100000;
			require_eq(tcp(&syn).why, vlan_of_tags[i] == vlan_of_tags[k]
			                                  ? WHY_FLOW_HIT
			                                  : WHY_OTHER_VLAN);
			engine_stop(&engine);
		}
}
END_TEST

/* A server in a VLAN of its own: in the farm's, where the VIP is as well, somebody else may have
 * its address. He opens no connection that he has begun in a client's name. */
START_TEST(nobody_shakes_hands_in_another_vlan)
{
	struct spec syn = in_vlan(spec_syn(fixture_client(1), 4000, 5061), VLAN);
	const struct flow *flow;
	struct talk talk;
	struct spec ack;

	engine_start(&engine, with_vlan(VLAN, OTHER));
	require_eq(talk_syn_from(&talk, &engine, &syn).why, WHY_FLOW_NEW);
	flow = flows_at(&lb_balance(engine.lb)->flows, 0);
	talk.next[SERVER] = 7000;
	require_eq(reply(&talk, VLAN).why, WHY_FLOW_HIT);
	require_eq(lb_balance(engine.lb)->counts.wrong_side, 1);
	talk.next[SERVER]++;
	ack = in_vlan(talk_spec(&talk, CLIENT, ACK, 0), VLAN);
	tcp(&ack);
	require_eq(flow->state, FLOW_HALF_OPEN);
	talk.next[SERVER]--;
	require_eq(reply(&talk, OTHER).why, WHY_FLOW_HIT);
	tcp(&ack);
	require_eq(flow->state, FLOW_OPEN);
	engine_stop(&engine);
}
END_TEST

/* Two farms in a VLAN each: in the second one nobody has had what the first one's flow has sent, or
 * a probe, and no error about that is believed. */
START_TEST(errors_are_about_what_was_sent_there)
{
	static struct built passed, error;
	struct rules *rules = fixture_two_farms();
	struct spec about = {.dst = mac_of(1),
	                     .src = mac_of(0x99),
	                     .side = INSIDE,
	                     .icmp_type = 3,
	                     .icmp_code = 4,
	                     .from = ip4(10, 0, 1, 254)};
	struct spec syn = in_vlan(spec_syn(fixture_client(1), 4000, 5061), VLAN);

	rules->farms[0].vlan = VLAN;
	rules->farms[1].vlan = OTHER;
	for (unsigned s = 0; s < rules->nservers; s++)
		rules->servers[s].vlan = rules->farms[rules->servers[s].farm].vlan;
	engine_start(&engine, rules);
	frames_tcp(&passed, &syn);
	require_eq(engine_input(&engine, &passed).why, WHY_FLOW_NEW);
	for (unsigned probe = 0; probe < 2; probe++) {
		if (probe)
			frames_put16(passed.frame.data + passed.l4, RULES_PROBE_PORT);
		about = in_vlan(about, OTHER);
		about.to = rules->farms[1].vip;
		frames_icmp_error(&error, &about, &passed, 28);
		require_eq(engine_input(&engine, &error).why, WHY_ICMP_NO_FLOW);
		about = in_vlan(about, VLAN);
		about.to = rules->farms[0].vip;
		frames_icmp_error(&error, &about, &passed, 28);
		require_eq(engine_input(&engine, &error).why, probe ? WHY_PROBE : WHY_ICMP_ERROR);
	}
	engine_stop(&engine);
}
END_TEST

/* Two clients with one address, in two VLANs, number their datagrams alike. */
START_TEST(datagrams_of_two_vlans_do_not_mix)
{
	static struct built whole, pieces[NTAGS][2];

	engine_start(&engine, with_vlan(0, 0));
	for (unsigned i = 0; i < NTAGS; i++) {
		struct spec syn = tagged(spec_syn(fixture_client(1), (uint16_t)(4000 + i), 5061),
		                         &all_tags[i]);

		if (strchr(vlan_of_tags, vlan_of_tags[i]) != &vlan_of_tags[i])
			continue;
		syn.payload = 200;
		frames_tcp(&whole, &syn);
		frames_fragment(&pieces[i][0], &whole, 0, 64);
		frames_fragment(&pieces[i][1], &whole, 64, 200 + 20 - 64);
		require_eq(engine_input(&engine, &pieces[i][0]).why, WHY_FLOW_NEW);
	}
	for (unsigned i = 0; i < NTAGS; i++)
		if (pieces[i][1].frame.len)
			require_eq(engine_input(&engine, &pieces[i][1]).why, WHY_FRAGMENT);
	engine_stop(&engine);
}
END_TEST

Suite *vlan_suite(void)
{
	return suite_of("vlan", (const TTest *const[]){
	                                a_farm_is_in_its_vlan_only,
	                                a_farm_without_is_in_all,
	                                a_server_is_sighted_in_its_vlan_only,
	                                a_server_in_another_vlan_replies_there,
	                                who_is_gone_is_in_the_farms_vlan,
	                                the_same_address_in_two_vlans,
	                                what_is_in_all_vlans_is_also_in_one_that_is_named,
	                                a_client_is_in_one_vlan,
	                                nobody_shakes_hands_in_another_vlan,
	                                errors_are_about_what_was_sent_there,
	                                datagrams_of_two_vlans_do_not_mix,
	                                NULL,
	                        });
}
