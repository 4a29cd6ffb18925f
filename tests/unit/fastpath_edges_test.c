/*
 * The kernel's programs at the edges of what is the wire's: VLANs, and what the host has a part in.
 */
#include "fastpath_fixture.h"
#include "kept_programs.h"

/* What a server sends that is no TCP, to the port's own MAC address or to another one. Returns what
 * the program says. */
static uint32_t say(bool to_port, struct fastpath_counts *ret)
{
	const struct spec spec = {.dst = to_port ? FIXTURE_INSIDE_MAC : mac_of(0x90),
	                          .src = server_mac(0),
	                          .side = INSIDE,
	                          .from = fixture_server(0),
	                          .to = fixture_client(0),
	                          .icmp_type = 8,
	                          .payload = LEAST};
	struct __sk_buff ctx = {0};
	struct built built;
	uint32_t act;

	frames_icmp(&built, &spec);
	act = run(LOADED_RECEIVE, &built, &ctx);
	maps_count(&maps, ret);
	return act;
}

/* It is the host's, or the wire's. */
START_TEST(what_is_sent_to_the_port_is_the_hosts)
{
	struct fastpath_counts before, counts;

	if (!begin(false))
		return;
	maps_count(&maps, &before);
	ck_assert_uint_eq(say(true, &counts), TC_ACT_OK);
	ck_assert_uint_eq(counts.whys[WHY_TO_HOST], before.whys[WHY_TO_HOST] + 1);
	ck_assert_uint_eq(say(false, &counts), TC_ACT_REDIRECT);
	ck_assert_uint_eq(counts.whys[WHY_TO_HOST], before.whys[WHY_TO_HOST] + 1);
	ck_assert_uint_eq(counts.punted[INSIDE], before.punted[INSIDE]);
	end();
}
END_TEST

/* With `snat = off` it may be a flow's, which the process is to say: it gets a copy of what is the
 * host's, and the frame itself of what isn't. */
START_TEST(what_may_be_a_flow_s_is_the_hosts_as_well)
{
	struct fastpath_counts counts;

	bare = true;
	if (begin(false)) {
		maps.conf->sides[INSIDE].punt = OUT_IFINDEX;
		ck_assert_uint_eq(say(true, &counts), TC_ACT_OK);
		ck_assert_uint_eq(counts.punted[INSIDE], 1);
		ck_assert_uint_eq(say(false, &counts), TC_ACT_REDIRECT);
		ck_assert_uint_eq(counts.punted[INSIDE], 2);
		end();
	}
	bare = false;
}
END_TEST

/* An echo request to the VIP behind these tags; if it is in the VLAN of that. */
static void ask_in(unsigned ntags, const uint16_t *tpids, const uint16_t *tcis, bool is_in)
{
	struct spec spec = {.dst = mac_of(0x91),
	                    .src = mac_of(0x90),
	                    .from = fixture_client(0),
	                    .to = fixture_vip(),
	                    .icmp_type = 8,
	                    .ntags = ntags,
	                    .payload = LEAST};
	struct built built;

	memcpy(spec.tpid, tpids, ntags * sizeof(*tpids));
	memcpy(spec.tci, tcis, ntags * sizeof(*tcis));
	frames_icmp(&built, &spec);
	ck_assert_int_eq(is_told(&built), is_in);
	ck_assert_int_eq(engine_input(&plain, &built).act == LB_ANSWER, is_in);
}

/* That is what one tag of 802.1Q says, whatever its priority is; behind any other one it says
 * nothing. */
START_TEST(an_address_counts_in_its_vlan)
{
	static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100}, tcis[] = {7, 0x6007, 8};

	vlan = 7;
	if (begin(false)) {
		ask_in(0, tpids, tcis, false);
		for (unsigned i = 0; i < 81; i++) {
			const uint16_t tpid[] = {tpids[i % 3], tpids[i / 3 % 3]};
			const uint16_t tci[] = {tcis[i / 9 % 3], tcis[i / 27]};

			ask_in(1, tpid, tci, tpid[0] == 0x8100 && tci[0] != 8);
			ask_in(2, tpid, tci, false);
		}
		end();
	}
	vlan = 0;
}
END_TEST

/* Of IPv6 all of an address counts. */
START_TEST(an_address_counts_in_both_halves)
{
	const struct spec spec = spec_syn(fixture_client(0), 5000, 443);

	if (!begin(true))
		return;
	for (unsigned i = 0; i <= 16; i++) {
		struct __sk_buff ctx = {0};
		struct built built;

		build(&built, &spec);
		if (i < 16)
			built.frame.data[built.l3 + IPV6_DST + i] ^= 1;
		ck_assert_uint_eq(run(LOADED_RECEIVE, &built, &ctx),
		                  i < 16 ? TC_ACT_OK : (uint32_t)TC_ACT_UNSPEC);
	}
	end();
}
END_TEST

Suite *fastpath_edges_suite(void)
{
	const TTest *const tests[] = {
	        what_is_sent_to_the_port_is_the_hosts,
	        what_may_be_a_flow_s_is_the_hosts_as_well,
	        an_address_counts_in_its_vlan,
	        an_address_counts_in_both_halves,
	        NULL,
	};

	return suite_of_programs("fastpath_edges", tests, true);
}
