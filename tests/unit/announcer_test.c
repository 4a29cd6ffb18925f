/*
 * Announcing addresses, and defending them.
 */
#include "fixture.h"
#include "suites.h"

#include "../../bridge/worker/announcer.h"
#include "../../bridge/worker/defence.h"

#include <stdlib.h>

static struct rules *rules;
static struct addresses addresses;
static void *mem;
static struct announcer announcer;
static lb_time now;

static void begin(unsigned nsnat)
{
	be32 snat[300];

	rules = fixture_rules(1);
	snat[0] = fixture_vip();
	for (unsigned i = 1; i < nsnat; i++)
		snat[i] = ip4(10, 5, (uint8_t)(i / 256), (uint8_t)i);
	fixture_set_snat(&rules->farms[0], snat, nsnat);
	now = (lb_time){1000 * LB_NS_PER_S};
	announcer = (struct announcer){0};
}

/* Of the rules as they are now. */
static void lay_out(void)
{
	struct arena arena = {0};

	addresses_lay_out(&addresses, &arena, rules);
	mem = aligned_alloc(ARENA_ALIGN, arena.used);
	arena = (struct arena){.base = mem};
	addresses_lay_out(&addresses, &arena, rules);
}

static void end(void)
{
	free(mem);
	rules_free(rules);
}

/* How many are announced now, on each side. */
static void count(unsigned ret[NSIDES])
{
	enum side side;
	uint16_t vlan;
	be32 ip;

	ret[OUTSIDE] = ret[INSIDE] = 0;
	while (announcer_next(&announcer, &addresses, now, &side, &ip, &vlan))
		ret[side]++;
}

/* In each of the following ms until nothing is underway. */
static unsigned count_all(unsigned ret[NSIDES])
{
	unsigned most = 0, n[NSIDES];

	ret[OUTSIDE] = ret[INSIDE] = 0;
	for (unsigned i = 0; i < 100; i++, now.ns += LB_NS_PER_MS) {
		count(n);
		ret[OUTSIDE] += n[OUTSIDE];
		ret[INSIDE] += n[INSIDE];
		most = n[OUTSIDE] + n[INSIDE] > most ? n[OUTSIDE] + n[INSIDE] : most;
	}
	return most;
}

START_TEST(twice_two_seconds_apart)
{
	unsigned n[NSIDES];

	begin(2);
	lay_out();
	ck_assert(announcer_due(&announcer).ns == UINT64_MAX);
	announcer_begin(&announcer, rules, ANNOUNCER_BOTH, now);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(announcer_due(&announcer).ns <= now.ns);
		count(n);
		ck_assert(n[OUTSIDE] == 2 && n[INSIDE] == 2);
		now.ns += 2 * LB_NS_PER_S - 1;
		count(n);
		ck_assert_uint_eq(n[OUTSIDE], 0);
		now.ns++;
	}
	ck_assert(announcer_due(&announcer).ns == UINT64_MAX);
	end();
}
END_TEST

START_TEST(one_side_only)
{
	unsigned n[NSIDES];

	begin(2);
	lay_out();
	announcer_begin(&announcer, rules, 1 << INSIDE, now);
	count(n);
	ck_assert(n[OUTSIDE] == 0 && n[INSIDE] == 2);
	end();
}
END_TEST

START_TEST(many_don_t_leave_at_once)
{
	unsigned n[NSIDES], most;

	begin(300);
	lay_out();
	announcer_begin(&announcer, rules, ANNOUNCER_BOTH, now);
	most = count_all(n);
	ck_assert_uint_le(most, ANNOUNCER_PER_MS);
	ck_assert(n[OUTSIDE] == 300 && n[INSIDE] == 300);
	end();
}
END_TEST

/* Farms of one VIP, and with a SNAT address in common, announce these once. */
START_TEST(shared_addresses_once)
{
	const be32 snat[] = {fixture_vip(), ip4(10, 0, 0, 77), ip4(10, 0, 0, 78)};
	unsigned n[NSIDES];

	for (unsigned vlan = 0; vlan < 2; vlan++) {
		rules = fixture_two_farms();
		now = (lb_time){1000 * LB_NS_PER_S};
		announcer = (struct announcer){0};
		rules->farms[1].vip = rules->farms[0].vip;
		fixture_set_snat(&rules->farms[0], snat, 2);
		fixture_set_snat(&rules->farms[1], snat + 1, 2);
		/* in another VLAN it is another address */
		rules->farms[1].vlan = vlan ? 7 : 0;
		lay_out();
		announcer_begin(&announcer, rules, ANNOUNCER_BOTH, now);
		count(n);
		ck_assert_uint_eq(n[OUTSIDE], vlan ? 5 : 3);
		ck_assert_uint_eq(n[INSIDE], n[OUTSIDE]);
		end();
	}
}
END_TEST

START_TEST(reports_for_ipv6_are_repeated)
{
	unsigned n[NSIDES];

	begin(1);
	fixture_make_ipv6(rules);
	lay_out();
	announcer_begin(&announcer, rules, ANNOUNCER_BOTH, now);
	count(n);
	ck_assert(n[OUTSIDE] == 1 && !announcer_only_joins(&announcer));
	now.ns += 2 * LB_NS_PER_S;
	count(n);
	ck_assert(n[OUTSIDE] == 1 && !announcer_only_joins(&announcer));
	for (unsigned i = 0; i < 3; i++) {
		now.ns += 59 * LB_NS_PER_S;
		count(n);
		ck_assert_uint_eq(n[OUTSIDE], 0);
		now.ns += LB_NS_PER_S;
		count(n);
		ck_assert(n[OUTSIDE] == 1 && n[INSIDE] == 1 && announcer_only_joins(&announcer));
	}
	end();
}
END_TEST

START_TEST(defended_once_in_ten_seconds)
{
	struct defence defence = {0};

	now = (lb_time){1000 * LB_NS_PER_S};
	ck_assert(defence_may(&defence, fixture_vip(), 0, now));
	ck_assert(!defence_may(&defence, fixture_vip(), 0, now));
	ck_assert(defence_may(&defence, fixture_vip(), 7, now));
	ck_assert(defence_may(&defence, fixture_server(0), 0, now));
	now.ns += 10 * LB_NS_PER_S - 1;
	ck_assert(!defence_may(&defence, fixture_vip(), 0, now));
	now.ns++;
	ck_assert(defence_may(&defence, fixture_vip(), 0, now));
}
END_TEST

/* A claim that comes too soon is answered when the time is over, as those who heard it believe it;
 * one that comes then isn't answered twice. */
START_TEST(claimed_again_it_is_defended_later)
{
	struct defence defence = {0};
	uint16_t vlan;
	be32 ip;

	now = (lb_time){1000 * LB_NS_PER_S};
	ck_assert(defence_may(&defence, fixture_vip(), 7, now));
	ck_assert(defence_may(&defence, fixture_server(0), 7, now));
	now.ns += LB_NS_PER_S;
	ck_assert(!defence_may(&defence, fixture_vip(), 7, now));
	ck_assert(!defence_may(&defence, fixture_vip(), 7, now));
	now.ns += 9 * LB_NS_PER_S - 1;
	ck_assert(!defence_next(&defence, now, &ip, &vlan));
	now.ns++;
	ck_assert(defence_next(&defence, now, &ip, &vlan));
	ck_assert(be32_eq(ip, fixture_vip()) && vlan == 7);
	ck_assert(!defence_next(&defence, now, &ip, &vlan));
	ck_assert(!defence_may(&defence, fixture_vip(), 7, now));
	now.ns += 10 * LB_NS_PER_S;
	ck_assert(defence_may(&defence, fixture_vip(), 7, now));
	ck_assert(!defence_next(&defence, now, &ip, &vlan));
}
END_TEST

START_TEST(a_flood_of_claims_is_not_answered_with_one)
{
	struct defence defence = {0};
	unsigned n = 0;

	now = (lb_time){1000 * LB_NS_PER_S};
	ck_assert_uint_gt(DEFENCE_PLACES, RULES_SNAT_MAX); /* all of a farm's, and its VIP */
	for (unsigned i = 0; i < 2 * DEFENCE_PLACES; i++)
		n += defence_may(&defence, ip4(10, 9, (uint8_t)(i >> 8), (uint8_t)i), 0, now);
	ck_assert_uint_eq(n, DEFENCE_PLACES);
}
END_TEST

Suite *announcer_suite(void)
{
	const TTest *const tests[] = {twice_two_seconds_apart,
	                              one_side_only,
	                              many_don_t_leave_at_once,
	                              shared_addresses_once,
	                              reports_for_ipv6_are_repeated,
	                              defended_once_in_ten_seconds,
	                              claimed_again_it_is_defended_later,
	                              a_flood_of_claims_is_not_answered_with_one,
	                              NULL};

	return suite_of("announcer", tests);
}
