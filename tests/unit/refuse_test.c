/*
 * How many RSTs there are: for a network, for a kind of what is turned away, and from when on there
 * is another one.
 */
#include "random.h"
#include "suites.h"

#include "../../lb/refuse.h"

enum { SELDOM = 16, OFTEN = 500, ALL = 2000, MS_LATEST = 2, NETWORKS = 5000 };

static struct refuse table;
static lb_time now;

static void begin(void)
{
	const struct hash_key key = {{1, 2}};

	now.ns = 7 * LB_NS_PER_S;
	refuse_begin(&table, &key, now);
}

static struct packet ipv4(uint32_t address)
{
	return (struct packet){.kind = PACKET_IPV4, .tuple.src = be32_from(address)};
}

static struct packet ipv6(const struct ip6 *address)
{
	return (struct packet){.kind = PACKET_IPV6, .src6 = address, .dst6 = address};
}

static bool asks(struct refuse *of, const struct packet *packet, enum lb_why why, lb_time when)
{
	struct verdict v = {0};

	if (why == WHY_TTL_EXPIRED)
		return refuse_by_icmp(of, &v, why, packet, when);
	refuse(of, &v, why, packet, when);
	ck_assert(v.why == why || v.why == WHY_RST_LIMITED);
	return v.act == LB_ANSWER;
}

/* How many of 2000, from addresses whose last bits differ. */
static unsigned of_ipv4(uint32_t network)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2000; i++) {
		const struct packet packet = ipv4(network | random_below(256));

		n += asks(&table, &packet, WHY_NO_FLOW, now);
	}
	return n;
}

static unsigned of_ipv6(struct ip6 network)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2000; i++) {
		const struct packet packet = ipv6(&network);

		random_bytes(network.b + 6, sizeof(network.b) - 6);
		n += asks(&table, &packet, WHY_NO_FLOW, now);
	}
	return n;
}

/* An IPv4 /24 and an IPv6 /48, whoever in it asks; nobody can choose with whom he shares. */
START_TEST(a_network_is_one)
{
	const struct ip6 first = {{0x20, 0x01, 0x0d, 0xb8, 0, 1}},
	                 second = {{0x20, 0x01, 0x0d, 0xb8, 0, 2}};

	begin();
	ck_assert_uint_eq(of_ipv4(0x14010200), SELDOM + OFTEN);
	ck_assert_uint_eq(of_ipv4(0x14010200 + (REFUSE_SOURCES << 8)), SELDOM + OFTEN);
	begin();
	ck_assert_uint_eq(of_ipv6(first), SELDOM + OFTEN);
	ck_assert_uint_eq(of_ipv6(second), SELDOM + OFTEN);
}
END_TEST

/* Whoever has used up one kind has taken nothing of another. */
START_TEST(kinds_are_apart)
{
	static const enum lb_why whys[] = {WHY_NO_FLOW, WHY_PORT_NOT_SERVED, WHY_FILTER_RESET,
	                                   WHY_NO_SERVER, WHY_TTL_EXPIRED};

	begin();
	for (unsigned k = 0; k < sizeof(whys) / sizeof(whys[0]); k++) {
		unsigned n = 0;

		for (uint32_t i = 0; i < NETWORKS; i++) {
			const struct packet packet = ipv4(0x14000000 + (i << 8));

			n += asks(&table, &packet, whys[k], now);
		}
		ck_assert_uint_eq(n, ALL);
	}
}
END_TEST

/* What is said of when there may be another one is neither too late, nor much too early. */
START_TEST(nothing_comes_before_it_may)
{
	static struct refuse copy;
	unsigned limited = 0;

	begin();
	for (unsigned i = 0; i < 60000; i++) {
		const struct packet packet =
		        ipv4(0x14000000 + (random_below(random_below(2) ? 3 : NETWORKS) << 8));
		lb_time until, when;

		now.ns += random_below(5000) ? random_below(200000) : random_below(9) * LB_NS_PER_S;
		if (asks(&table, &packet, WHY_NO_FLOW, now))
			continue;
		until = refuse_until(&table, WHY_NO_FLOW, &packet, now);
		require(until.ns <= now.ns + MS_LATEST * LB_NS_PER_MS);
		limited++;
		/* it may be soon that he is one who asks seldom: then nothing is said */
		if (until.ns <= now.ns || random_below(64))
			continue;
		when.ns = until.ns - 1 - random_below((uint32_t)(until.ns - now.ns));
		copy = table;
		require(!asks(&copy, &packet, WHY_NO_FLOW, when));
	}
	ck_assert_uint_gt(limited, 1000);
}
END_TEST

/* Sources' accounts are of 32 bits. */
START_TEST(milliseconds_go_around)
{
	begin();
	now.ns += (UINT32_MAX - 4000ull) * LB_NS_PER_MS;
	ck_assert_uint_ge(of_ipv4(0x14010200), OFTEN);
	for (unsigned ms = 0; ms < 9000; ms += 100) {
		now.ns += 100 * LB_NS_PER_MS;
		ck_assert_uint_eq(of_ipv4(0x14010200), 50);
	}
	now.ns += 20 * LB_NS_PER_S;
	ck_assert_uint_eq(of_ipv4(0x14010200), SELDOM + OFTEN);
}
END_TEST

Suite *refuse_suite(void)
{
	const TTest *const tests[] = {
	        a_network_is_one,
	        kinds_are_apart,
	        nothing_comes_before_it_may,
	        milliseconds_go_around,
	        NULL,
	};

	return suite_of("refuse", tests);
}
