/*
 * The names by which the flow table tells IPv6 clients apart.
 */
#include "ipv6_fixture.h"
#include "same_name.h"

/* ---- names ---- */

/* Passes in a packet of that client's. */
static struct verdict send_as(const struct ip6 *client, const struct spec *spec, struct built *ret)
{
	struct built ipv4;

	frames_tcp(&ipv4, spec);
	frames6_of(ret, &ipv4);
	memcpy(ret->frame.data + ret->l3 + 8, client, sizeof(*client));
	frames6_fix(ret, 6);
	return engine_input(&six, ret);
}

enum { ISN_OF_SERVER = 5000 };

static const struct flows *flows_of_six(void)
{
	return &lb_balance(six.lb)->flows;
}

/* The server's answer to the SYN that was forwarded: it goes to that client, as of that flow. */
static void answer(const struct built *syn, const struct ip6 *client, uint32_t flow)
{
	struct built answer;
	uint8_t *ip, *tcp;

	frames_copy(&answer, syn);
	ip = answer.frame.data + answer.l3;
	tcp = answer.frame.data + answer.l4;
	memcpy(ip + 8, syn->frame.data + syn->l3 + 24, 16);
	memcpy(ip + 24, syn->frame.data + syn->l3 + 8, 16);
	memcpy(tcp, syn->frame.data + syn->l4 + 2, 2);
	memcpy(tcp + 2, syn->frame.data + syn->l4, 2);
	frames_put32(tcp + 4, ISN_OF_SERVER);
	frames_put32(tcp + 8, spec_syn(fixture_client(1), 0, 0).seq + 1);
	tcp[13] = SYN | ACK;
	answer.frame.side = INSIDE;
	frames6_fix(&answer, 6);
	ck_assert_uint_eq(engine_input(&six, &answer).flow, flow);
	ck_assert_mem_eq(ip + 24, client, 16);
	ck_assert_uint_eq(frames6_tcp_error(&answer), 0);
}

/* Both have a connection, of the same ports and numbers, and each packet is of its own: on open
 * flows, those of the short way, the address alone says whose a segment is. */
static void tell_apart(const struct ip6 clients[2], struct verdict ret[2])
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);
	struct built built[2];

	for (unsigned i = 0; i < 2; i++) {
		ret[i] = send_as(&clients[i], &spec, &built[i]);
		ck_assert_uint_eq(ret[i].why, WHY_FLOW_NEW);
	}
	ck_assert_uint_ne(ret[0].flow, ret[1].flow);
	for (unsigned i = 0; i < 2; i++)
		answer(&built[i], &clients[i], ret[i].flow);
	spec.seq++;
	spec.ack = ISN_OF_SERVER + 1;
	spec.flags = ACK;
	for (unsigned n = 0; n < 4; n++) {
		ck_assert_uint_eq(send_as(&clients[n % 2], &spec, &built[0]).flow, ret[n % 2].flow);
		ck_assert_uint_eq(flows_at(flows_of_six(), ret[n % 2].flow)->state, FLOW_OPEN);
	}
}

START_TEST(clients_of_the_same_hash_are_told_apart)
{
	struct ip6 clients[2];
	struct verdict v[2];

	begin(2);
	same_name_find(&six, clients);
	tell_apart(clients, v);
	ck_assert_uint_ne(v[0].way.server, v[1].way.server); /* they alternate */
	finish();
}
END_TEST

/* The index goes by that hash for both, though one of them has a name. */
START_TEST(a_server_of_the_same_hash_is_told_apart)
{
	struct rules *rules = fixture_rules(2);
	struct ip6 ends[2];
	struct verdict v[2];

	begin(2);
	same_name_find(&six, ends);
	fixture_make_ipv6(rules);
	rules->names[name_index(rules->servers[1].address)] = ends[1];
	engine_reload(&six, rules);
	tell_apart(ends, v);
	ck_assert(name_is_hashed(flows_at(flows_of_six(), v[0].flow)->arrive[CLIENT].src));
	ck_assert(!name_is_hashed(flows_at(flows_of_six(), v[1].flow)->arrive[CLIENT].src));
	finish();
}
END_TEST

START_TEST(names_outlive_a_reload)
{
	struct rules *rules;
	struct built built;

	begin_six();
	for (unsigned i = 0; i < 3; i++) {
		rules = fixture_rules(4); /* of which the first ones come last */
		for (unsigned s = 0; s < 4; s++)
			rules->servers[s].address =
			        i % 2 ? ip4(10, 0, 0, (uint8_t)(44 - s)) : fixture_server(s);
		fixture_make_ipv6(rules);
		engine_reload(&six, rules);
		build(&built, CLIENT, 10);
		ck_assert_uint_eq(engine_input(&six, &built).why, WHY_FLOW_HIT);
		check_addresses(&built, talk.snat, four.rules->servers[talk.server].address);
		ck_assert_uint_eq(rules->nnames, 5);
	}
	engine_reload(&six, fixture_rules(2)); /* IPv4: the IPv6 farm is gone */
	engine_wait_ms(&six, 1000);
	ck_assert_uint_eq(six.nowns, 3); /* all are acknowledged at one end only */
	for (unsigned i = 0; i < six.nowns; i++)
		ck_assert(six.owns[i].ipv6);
	finish();
}
END_TEST

START_TEST(first_ipv6_farm_by_reload)
{
	struct rules *rules = fixture_rules(2);
	struct built built;

	begin_six();
	engine_stop(&six);
	engine_start(&six, fixture_rules(2));
	build(&built, CLIENT, 10);
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_TO_HOST);
	fixture_make_ipv6(rules);
	engine_reload(&six, rules);
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_NO_FLOW);
	finish();
}
END_TEST

/* IPv6 costs IPv4 no memory. */
START_TEST(ipv4_flows_cost_no_more)
{
	struct rules *rules = fixture_rules(2);
	size_t small, large;

	rules->max_connections = 1000;
	rules->max_half_open = 1000;
	small = lb_size(rules, &share_whole);
	rules->max_connections = 1001000;
	large = lb_size(rules, &share_whole);
	rules_free(rules);
	/* flow, cold, spare, check_at, stamp; index; persist; shared: hops */
	ck_assert_uint_le((large - small) / 1000000, 64 + 32 + 16 + 4 + 4 + 19 + 8 + 1);
}
END_TEST

Suite *ipv6_names_suite(void)
{
	const TTest *const tests[] = {
	        clients_of_the_same_hash_are_told_apart,
	        a_server_of_the_same_hash_is_told_apart,
	        names_outlive_a_reload,
	        first_ipv6_farm_by_reload,
	        ipv4_flows_cost_no_more,
	        NULL,
	};

	return suite_of("ipv6_names", tests);
}
