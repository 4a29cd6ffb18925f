/*
 * Neighbour discovery, through lb_input().
 */
#include "ipv6_fixture.h"

/* ---- neighbour discovery ---- */

struct nd_spec {
	uint8_t type, flags, hop_limit;
	const struct ip6 *src, *dst, *target;
	struct mac mac; /* of the option; zeros: none */
	enum side side;
};

static void build_nd(struct built *built, const struct nd_spec *spec)
{
	static const struct mac none;
	bool has_option = !mac_eq(&spec->mac, &none);
	uint32_t len = has_option ? 32 : 24;
	struct spec ether = {
	        .dst = mac_of(0x77), .src = mac_of(0x66), .side = spec->side, .payload = 72};
	uint8_t *ip, *nd;

	frames_ether(built, &ether, 0x86dd);
	ip = built->frame.data + built->l3;
	nd = ip + IP6_BYTES;
	memset(ip, 0, 72);
	ip[0] = 0x60;
	frames_put16(ip + 4, (uint16_t)len);
	ip[6] = 58;
	ip[7] = spec->hop_limit;
	memcpy(ip + 8, spec->src, 16);
	memcpy(ip + 24, spec->dst, 16);
	nd[0] = spec->type;
	nd[4] = spec->flags;
	memcpy(nd + 8, spec->target, 16);
	nd[24] = spec->type == 135 ? 1 : 2;
	nd[25] = 1;
	memcpy(nd + 26, &spec->mac, 6);
	built->l4 = built->l3 + IP6_BYTES;
	built->frame.len = built->frame.wire_len = built->l4 + len;
	frames6_fix(built, 58);
}

static bool is_mac(const struct mac *mac, uint8_t last)
{
	const struct mac want = mac_of(last);

	return mac_eq(mac, &want);
}

/* Addresses that neighbour discovery is about. */
static struct ip6 vip6, server6, client6, group6, nobody6;

static void begin_nd(void)
{
	vip6 = fixture_ip6(fixture_vip());
	server6 = fixture_ip6(fixture_server(1));
	client6 = fixture_ip6(fixture_client(1));
	group6 = (struct ip6){{0xff, 0x02, [11] = 1, [12] = 0xff, [15] = 40}};
	nobody6 = (struct ip6){{0}};
	begin(2);
}

static struct verdict input_nd(const struct nd_spec *spec)
{
	struct built built, before;
	struct verdict v;

	build_nd(&built, spec);
	frames_copy(&before, &built);
	v = engine_input(&six, &built);
	ck_assert_mem_eq(built.bytes, before.bytes, sizeof(before.bytes));
	return v;
}

START_TEST(solicitation_for_the_vip_is_answered)
{
	const struct mac asker = mac_of(0x55);
	struct nd_spec spec = {135, 0, 255, &client6, &group6, &vip6, asker, OUTSIDE};
	struct verdict v;

	begin_nd();
	for (unsigned i = 0; i < 2; i++) {
		v = input_nd(&spec);
		ck_assert_uint_eq(v.why, WHY_ND_REPLY);
		ck_assert(v.own.kind == OWN_ND_REPLY && mac_eq(&v.own.to.mac, &asker));
		ck_assert(ip6_eq(&v.own.src6, &vip6) && ip6_eq(&v.own.dst6, &client6));
		ck_assert(!v.conflict && !v.sighted);
		spec.dst = &vip6; /* is it still there? */
	}
	spec.mac = (struct mac){{0}};
	v = input_nd(&spec);
	ck_assert(is_mac(&v.own.to.mac, 0x66)); /* no option: the frame's */
	spec.mac = (struct mac){{1}};
	ck_assert_uint_eq(input_nd(&spec).why, WHY_MARTIAN);
	finish();
}
END_TEST

/* RFC 3971, 5.3.2: the nonce of who guards against his own solicitations coming back. */
START_TEST(other_options_are_skipped)
{
	struct nd_spec spec = {135, 0, 255, &client6, &group6, &vip6, mac_of(0x55), OUTSIDE};
	struct built built;
	struct verdict v;
	uint8_t *options;

	begin_nd();
	build_nd(&built, &spec);
	options = built.frame.data + built.l4 + 24;
	memmove(options + 8, options, 8);
	options[0] = 14;
	options[1] = 1;
	frames_put16(built.frame.data + built.l3 + 4, 40);
	built.frame.len = built.frame.wire_len = built.frame.len + 8;
	frames6_fix(&built, 58);
	v = engine_input(&six, &built);
	ck_assert_uint_eq(v.why, WHY_ND_REPLY);
	ck_assert(is_mac(&v.own.to.mac, 0x55));
	options[9] = 2; /* the second one goes on past the packet's end */
	frames6_fix(&built, 58);
	v = engine_input(&six, &built);
	ck_assert(is_mac(&v.own.to.mac, 0x66));
	finish();
}
END_TEST

START_TEST(somebody_else_s_vip_is_a_conflict)
{
	struct nd_spec spec = {135, 0, 255, &nobody6, &group6, &vip6, {{0}}, OUTSIDE};
	struct verdict v;

	begin_nd();
	v = input_nd(&spec); /* about to use it */
	ck_assert_uint_eq(v.why, WHY_ND_REPLY);
	ck_assert(v.conflict && ip6_eq(rules_ip6(six.rules, v.sighting.ip), &vip6));
	spec = (struct nd_spec){136, 0x20, 255, &vip6, &client6, &vip6, mac_of(0x55), INSIDE};
	v = input_nd(&spec);
	ck_assert_uint_eq(v.why, WHY_ND_CONFLICT);
	ck_assert(v.conflict && is_mac(&v.sighting.hop.mac, 0x55));
	finish();
}
END_TEST

START_TEST(servers_are_seen)
{
	struct nd_spec spec = {136, 0x60, 255, &server6, &vip6, &server6, mac_of(0x55), INSIDE};
	struct verdict v;

	begin_nd();
	v = input_nd(&spec);
	ck_assert_uint_eq(v.why, WHY_ND_LEARNED);
	ck_assert(v.sighted && be32_eq(v.sighting.ip, six.rules->servers[1].address));
	ck_assert(is_mac(&v.sighting.hop.mac, 0x55) && v.sighting.hop.side == INSIDE);
	spec.dst = &client6; /* to somebody else: seen all the same */
	v = input_nd(&spec);
	ck_assert(v.why == WHY_NOT_OURS && v.sighted);
	spec = (struct nd_spec){135, 0, 255, &server6, &group6, &client6, mac_of(0x55), INSIDE};
	v = input_nd(&spec);
	ck_assert(v.why == WHY_NOT_OURS && v.sighted);
	spec.dst = &vip6; /* asks us for somebody else */
	ck_assert_uint_eq(input_nd(&spec).why, WHY_ND_OTHER);
	/* where no host can be: our own ports, a group */
	for (unsigned i = 0; i < 3; i++) {
		const struct mac nowhere[] = {
		        FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC, {{0x33, 0x33, 0, 0, 0, 1}}};

		spec = (struct nd_spec){136,      0x60,     255,        &server6,
		                        &client6, &server6, nowhere[i], INSIDE};
		v = input_nd(&spec);
		ck_assert(!v.sighted && !v.heard);
	}
	finish();
}
END_TEST

START_TEST(what_a_host_must_not_believe_is_not_believed)
{
	static const struct ip6 group = {{0xff, 0x02, [15] = 1}};
	struct nd_spec spec = {136, 0x60, 64, &server6, &vip6, &server6, mac_of(0x55), INSIDE};
	struct built built;
	struct verdict v;

	begin_nd();
	v = input_nd(&spec); /* from beyond a router */
	ck_assert(v.why == WHY_ICMP_OTHER && !v.sighted);
	spec.hop_limit = 255;
	build_nd(&built, &spec);
	built.frame.data[built.l4 + 30] ^= 1; /* damaged */
	v = engine_input(&six, &built);
	ck_assert(v.act == LB_DROP && v.why != WHY_ND_LEARNED && !v.sighted);
	build_nd(&built, &spec);
	built.frame.data[built.l4 + 25] = 0; /* an option without length */
	frames6_fix(&built, 58);
	v = engine_input(&six, &built);
	ck_assert(v.why == WHY_ICMP_OTHER && !v.sighted && !v.heard);
	spec.target = &group;
	v = input_nd(&spec);
	ck_assert(v.why == WHY_ICMP_OTHER && !v.sighted && !v.heard);
	spec.dst = &client6;
	spec.target = spec.src = &client6;
	ck_assert_uint_eq(input_nd(&spec).why, WHY_NOT_OURS);
	finish();
}
END_TEST

Suite *ipv6_nd_suite(void)
{
	const TTest *const tests[] = {
	        solicitation_for_the_vip_is_answered,
	        other_options_are_skipped,
	        somebody_else_s_vip_is_a_conflict,
	        servers_are_seen,
	        what_a_host_must_not_believe_is_not_believed,
	        NULL,
	};

	return suite_of("ipv6_nd", tests);
}
