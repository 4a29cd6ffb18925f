/*
 * The steering program against the engine's own idea of whose a frame is, on random frames.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/port/steer.h"
#include "../../lb/farms.h"
#include "../../lb/icmp.h"
#include "../../lb/owner.h"
#include "../../lb/parse.h"

#include <pcap/pcap.h>
#include <stdlib.h>

enum { SYN = 0x02, ACK = 0x10, MIX = 3000, PROTOCOL_AT = 1, MOST = BPF_MAXINSNS };

static struct sock_filter program[MOST];
static int length;
static struct rules *rules;
static struct farms *farms;

static void begin(struct rules *made, unsigned n, bool by_address)
{
	const struct hash_key key = {{random_next(), random_next()}};
	const struct share share = share_make(0, n, by_address, &key);

	rules = made;
	farms = farms_init(aligned_alloc(ARENA_ALIGN, farms_size(rules)), rules, &share, &key,
	                   (lb_time){0});
	length = steer_program(rules, &share, program, MOST);
	ck_assert_int_gt(length, 0);
	/* which the kernel knows, and libpcap's interpreter doesn't */
	ck_assert_uint_eq(program[PROTOCOL_AT].k, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL));
}

static void end(void)
{
	free(farms);
	rules_free(rules);
}

/* What the kernel would compute for a frame of which it has taken the outer tag off. */
static unsigned steered(const struct built *built)
{
	uint32_t at = 12, skip = built->frame.len > 16 ? 4 : 0;

	if (frames_get16(built->frame.data + at) == 0x8100)
		at += skip;
	program[PROTOCOL_AT].code = BPF_LD | BPF_IMM;
	program[PROTOCOL_AT].k = frames_get16(built->frame.data + at);
	return bpf_filter((const struct bpf_insn *)program, built->frame.data + at + 2,
	                  built->frame.len - at - 2, built->frame.len - at - 2);
}

/* Some address and port that the rules know, or near them. */
static be32 any_address(void)
{
	switch (random_below(5)) {
	case 0:
		return fixture_vip();
	case 1:
		return fixture_server(random_below(3));
	case 2:
		return ip4(10, 0, 0, (uint8_t)(90 + random_below(3)));
	default:
		return fixture_client(random_below(1000));
	}
}

static uint16_t any_port(void)
{
	static const uint16_t ports[] = {443,  444,  5060, 5061, 442,  445,
	                                 5059, 5062, 1007, 1008, 1023, 1024};

	if (random_below(2))
		return ports[random_below(sizeof(ports) / sizeof(ports[0]))];
	return (uint16_t)random_next();
}

static struct spec any_tcp(void)
{
	struct spec spec = {.dst = FIXTURE_OUTSIDE_MAC,
	                    .src = FIXTURE_CLIENT_MAC,
	                    .from = any_address(),
	                    .to = any_address(),
	                    .sport = any_port(),
	                    .dport = any_port(),
	                    .flags = ACK,
	                    .ip_options = (uint8_t)(4 * random_below(11)),
	                    .payload = 20};

	spec.ntags = random_below(3);
	for (unsigned i = 0; i < spec.ntags; i++)
		spec.tpid[i] = 0x8100;
	return spec;
}

static struct rules *with_snat(void)
{
	const be32 snat[] = {ip4(10, 0, 0, 90), ip4(10, 0, 0, 91)};
	struct rules *made = fixture_rules(2);

	fixture_set_snat(&made->farms[0], snat, 2);
	return made;
}

static struct rules *without_snat(void)
{
	struct rules *made = fixture_rules(2);

	fixture_set_snat(&made->farms[0], NULL, 0);
	return made;
}

/* 443 and 5060 are one farm's, 444 and 5061 another's of the same VIP, at other ports. */
static struct rules *sharing_a_vip(void)
{
	const be32 snat[] = {ip4(10, 0, 0, 90), ip4(10, 0, 0, 91)};
	struct rules *made = fixture_two_farms();

	for (unsigned f = 0; f < 2; f++) {
		struct rules_farm *farm = &made->farms[f];

		farm->vip = fixture_vip();
		fixture_set_snat(farm, &snat[f], 1);
		farm->ports[0] = farm->ports[f];
		farm->ports[1] = farm->ports[2 + f];
		farm->nports = 2;
	}
	made->farms[1].server_ports = calloc(2, sizeof(be16));
	for (unsigned i = 0; i < 2; i++)
		made->farms[1].server_ports[i] = be16_from((uint16_t)(8444 + i));
	return made;
}

/* If the engine would look for a flow, so that it has an idea of whose the packet is. */
static bool concerns_us(const struct tuple *t)
{
	return addresses_find(&farms->addresses, t->dst, VLAN_NONE)->kinds & ADDRESS_OURS ||
	       addresses_find(&farms->addresses, t->src, VLAN_NONE)->kinds & ADDRESS_NO_SNAT;
}

static void compare_tcp(void)
{
	unsigned concerned = 0, at[RULES_WORKERS_MAX] = {0};

	for (unsigned i = 0; i < MIX; i++) {
		struct spec spec = any_tcp();
		const struct tuple tuple = {spec.from, spec.to, be16_from(spec.sport),
		                            be16_from(spec.dport)};
		struct built built;
		unsigned worker;

		frames_tcp(&built, &spec);
		worker = steered(&built);
		require(worker < farms->share.n);
		at[worker]++;
		if (!concerns_us(&tuple))
			continue;
		require_eq(worker, owner_of(farms, &tuple, NULL, NULL, VLAN_NONE));
		concerned++;
	}
	ck_assert_uint_gt(concerned, MIX / 5);
	for (unsigned k = 0; k < farms->share.n; k++)
		ck_assert_uint_gt(at[k], (unsigned)MIX / farms->share.n / 2);
}

START_TEST(tcp_goes_where_the_engine_says)
{
	for (unsigned n = 1; n <= 5; n++) {
		begin(with_snat(), n, n == 4);
		compare_tcp();
		end();
		begin(without_snat(), n, n == 4);
		compare_tcp();
		end();
		begin(sharing_a_vip(), n, n == 4);
		compare_tcp();
		end();
	}
}
END_TEST

START_TEST(errors_go_where_their_quoted_packet_came_from)
{
	unsigned concerned = 0;

	begin(with_snat(), 3, false);
	for (unsigned i = 0; i < MIX; i++) {
		static const uint8_t types[] = {3, 11, 12};
		struct spec spec = any_tcp(), outer = any_tcp();
		const struct tuple arriving = {spec.to, spec.from, be16_from(spec.dport),
		                               be16_from(spec.sport)};
		struct built quoted, error;

		spec.ntags = 0;
		frames_tcp(&quoted, &spec);
		outer.icmp_type = types[random_below(3)];
		outer.ip_options = 0;
		frames_icmp_error(&error, &outer, &quoted, 28u + spec.ip_options);
		if (!concerns_us(&arriving))
			continue;
		require_eq(steered(&error), owner_of(farms, &arriving, NULL, NULL, VLAN_NONE));
		concerned++;
	}
	ck_assert_uint_gt(concerned, MIX / 5);
	end();
}
END_TEST

START_TEST(conversations_keep_to_one_worker)
{
	begin(with_snat(), 3, false);
	for (unsigned i = 0; i < MIX; i++) {
		struct spec spec = {.from = fixture_client(random_below(1000)),
		                    .to = fixture_client(random_below(1000)),
		                    .protocol = 17,
		                    .payload = 40};
		struct built whole, fragment;
		unsigned worker;

		frames_ipv4(&whole, &spec);
		worker = steered(&whole);
		spec.fragment = 0x2000;
		frames_ipv4(&fragment, &spec);
		require_eq(steered(&fragment), worker);
		spec.fragment = 100;
		spec.protocol = 6;
		frames_ipv4(&fragment, &spec);
		require_eq(steered(&fragment), worker);
		be32 from = spec.from;

		spec.from = spec.to;
		spec.to = from;
		frames_ipv4(&fragment, &spec);
		require_eq(steered(&fragment), worker);
	}
	end();
}
END_TEST

START_TEST(what_is_no_ip_is_the_first_workers)
{
	struct spec arp = {.arp_oper = 1, .from = fixture_server(0), .to = fixture_vip()};
	struct built built;

	begin(with_snat(), 7, false);
	frames_arp(&built, &arp);
	ck_assert_uint_eq(steered(&built), 0);
	frames_ether(&built, &arp, 0x88cc);
	ck_assert_uint_eq(steered(&built), 0);
	end();
}
END_TEST

START_TEST(too_many_rules_are_said_so)
{
	struct rules *made = fixture_rules(2);
	be32 snat[RULES_SNAT_MAX];
	const struct share share = share_whole;

	for (unsigned i = 0; i < RULES_SNAT_MAX; i++)
		snat[i] = be32_from(0x0a010000u + i);
	fixture_set_snat(&made->farms[0], snat, RULES_SNAT_MAX);
	length = steer_program(made, &share, program, MOST);
	ck_assert_int_gt(length, RULES_SNAT_MAX);
	ck_assert_int_eq(steer_program(made, &share, program, (unsigned)length), length);
	ck_assert_int_eq(steer_program(made, &share, program, (unsigned)length - 1),
	                 -7); /* E2BIG */
	rules_free(made);
}
END_TEST

Suite *steer_suite(void)
{
	const TTest *const tests[] = {
	        tcp_goes_where_the_engine_says,   errors_go_where_their_quoted_packet_came_from,
	        conversations_keep_to_one_worker, what_is_no_ip_is_the_first_workers,
	        too_many_rules_are_said_so,       NULL,
	};

	return suite_of("steer", tests);
}
