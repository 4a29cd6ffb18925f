/*
 * IPv6, through lb_input().
 *
 * What balancing does doesn't depend on the version of IP. So this is one test: two engines with
 * the same farm, of IPv4 and of IPv6, get the same random traffic, each frame translated from the
 * one version to the other, and have to do the same. What only IPv6 has is in ipv6_only_test.c.
 */
#include "ipv6_fixture.h"
#include "random.h"

/* ---- twins ---- */

static void wait_ms(uint64_t ms)
{
	engine_wait_ms(&four, ms);
	engine_wait_ms(&six, ms);
	require_eq(four.nowns, six.nowns);
	for (unsigned i = 0; i < four.nowns && i < FIXTURE_OWNS; i++)
		check_same_own(&four.owns[i], &six.owns[i]);
}

enum { EVENTS_MAX = 10 * EVENTS };

static const uint8_t any_flags[] = {SYN, SYN,       SYN | ACK, ACK,       ACK,
                                    ACK, FIN | ACK, RST,       RST | ACK, 0};

static void random_packet(struct talk *t)
{
	enum end end = random_below(2) && t->snat_port ? SERVER : CLIENT;
	uint8_t flags = any_flags[random_below(sizeof(any_flags))];
	uint16_t payload = (uint16_t)(flags & ACK ? random_below(3) * 100 : 0);
	struct spec spec = talk_spec(t, end, flags, payload);
	struct built built;
	struct verdict v;

	if (random_below(10) == 0)
		spec.seq += (uint32_t)random_below(3000) - 1500;
	else
		t->next[end] += payload + (flags & 1u) + (flags >> 1 & 1u);
	spec.partial = random_below(3) == 0;
	spec.ntags = random_below(3);
	spec.tpid[0] = spec.tpid[1] = 0x8100;
	frames_tcp(&built, &spec);
	v = pass(&built);
	if (v.act == LB_FORWARD && end == CLIENT)
		note_server(t, &built, &v);
}

static bool has_resets(void)
{
	return lb_balance(four.lb)->counts.resets > 20;
}

START_TEST(does_what_ipv4_does)
{
	struct talk talks[TALKS];

	begin(3);
	for (unsigned i = 0; i < TALKS; i++)
		talks[i] = (struct talk){.engine = &four,
		                         .client = fixture_client(i / 2),
		                         .sport = (uint16_t)(40000 + i % 2),
		                         .dport = i % 5 ? 443 : 80,
		                         .next = {1000, 2000}};
	/* chance says how many RSTs there are: so many events, and more until there are some */
	for (unsigned i = 0; i < EVENTS || (!has_resets() && i < EVENTS_MAX); i++) {
		random_packet(&talks[random_below(TALKS)]);
		if (random_below(50) == 0)
			wait_ms(random_below(20) ? random_below(4000) : 25 * S);
	}
	ck_assert_uint_gt(lb_whys(four.lb)[WHY_FLOW_HIT], EVENTS / 20);
	ck_assert_uint_gt(lb_balance(four.lb)->counts.created, 200);
	ck_assert(has_resets());
	finish();
}
END_TEST

START_TEST(echo)
{
	struct spec spec = {.dst = mac_of(1),
	                    .src = mac_of(0x99),
	                    .from = fixture_client(1),
	                    .to = fixture_vip(),
	                    .icmp_type = 8,
	                    .payload = 56};
	struct built built;

	begin(2);
	frames_icmp(&built, &spec);
	ck_assert_uint_eq(pass(&built).why, WHY_ECHO_REPLY);
	finish();
}
END_TEST

Suite *ipv6_suite(void)
{
	const TTest *const tests[] = {
	        does_what_ipv4_does,
	        echo,
	        NULL,
	};

	return suite_of("ipv6", tests);
}
