/*
 * Filters in the kernel against filters in the process: each expression asked about each frame of
 * our captures, untagged, tagged, cut short, merged; and what is done with frames that match, and
 * counted of them.
 *
 * A test run can't give a program a tag beside the frame; a live test has that. It takes the right
 * to load programs; without it there is nothing to be seen here.
 */
#include "filtering.h"
#include "kept_programs.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/fastpath/sieve.h"
#include "../../bridge/worker/firewall.h"
#include "../../lb/wire.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* whose struct bpf_insn is another one */
#include <pcap/pcap.h>

enum {
	LEAST = ETH_HEADER_BYTES + IPV6_HEADER_BYTES, /* bytes that a test run wants */
	LONGEST = FRAMES_BYTES - 2 * FRAME_TAG_BYTES
};

static const char *const expressions[] = {
        "",
        "tcp",
        "udp or arp",
        "ip6",
        "ip and not tcp",
        "tcp port 5061",
        "tcp dst portrange 5060-5075",
        "src net 10.0.0.0/24 and dst port 443",
        "host 10.0.0.40 or host 10.0.0.41 or ip6 host fd00::40",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "tcp[tcpflags] == tcp-ack and tcp[13] & 8 = 0",
        "ip[2:2] > 60",
        "ip[8] < 64 or ip6[7] < 64",
        "len > 100",
        "len <= 74",
        "greater 200 and tcp",
        "vlan",
        "vlan 7",
        "vlan 7 and tcp",
        "vlan and vlan and ip",
        "vlan 7 and (host 10.0.0.40 or tcp port 80)",
        "not vlan and ether[12:2] = 0x0800",
        "ether multicast or ether broadcast",
        "ether src 02:00:00:00:00:41 or ether dst 02:00:00:00:00:01",
        "ip[6:2] & 0x3fff != 0",
        "icmp or icmp6",
        "icmp[icmptype] == icmp-echo or icmp[icmptype] == icmp-unreach",
        "ip multicast",
        "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
        "tcp[((tcp[12:1] & 0xf0) >> 2) + 200 : 2] > 1000",
        "ether[300] > 100",
        "ether[255:4] != 0",
        "ether[len - 1] & 1 = 1",
        "ip[ip[3]] > 10",
        "(ip[2:2] - ((ip[0] & 0xf) << 2)) - ((tcp[12] & 0xf0) >> 2) != 0",
        "ip[2:2] * 3 % 7 = 2 or ip[4:2] / 5 > 100 or ip[10:2] ^ 0x5555 > 0x8000",
        "tcp[4:4] >> (ip[1] & 63) & 1 = 1",
        "portrange 1-1023 and (src net 10.0.0.0/8 or 192.168.0.0/16) and not port 135",
        "ip proto 6 and ip[0] & 0xf > 5",
        "ip6 proto 6 or ip6 proto 17",
        "dst host 10.0.0.40 and (tcp port 5060 or tcp port 5061 or tcp port 443 or tcp port 444)",
        "less 60 or ether proto 0x88cc",
        /* odd ones */
        "0 = 0",
        "greater 0",
        "less 0",
        "greater 4294967295",
        "len > 4294967295",
        "vlan and vlan and vlan",
        "ether[2147483647] = 0 or ether[100000000] = 0",
        "ether[len - 100000:4] = 0",
        "ether[len - 300] > 7",
        "ip[ip[0] - 255] = 0",
        "ip[0] - 255 > 0x80000000",
        "1 / ip[1] = 0",
        "ip[1] % ip[1] = 0",
        "ip[8:4] / ip[4] > 0 and ip[8:4] % ip[5] > 3",
        "ether[0] >> ip[1] = 1 or ether[5] << ip[3] > 0x80000000",
        "ether[ether[0]] = ether[ether[ether[1]]]",
        "ether proto \\arp or ip proto \\udp or port ldap",
        "pppoes or mpls or geneve",
        "llc or iso proto 1 or decnet host 1.2",
        "host 1.2.3 or net 10",
};

enum { NEXPRESSIONS = sizeof(expressions) / sizeof(*expressions) };

static struct filtering f;
static struct expression compiled[NEXPRESSIONS];
static unsigned chosen[NEXPRESSIONS], nchosen; /* those of them that are asked */
static struct sieve *sieve;                    /* of these */
static unsigned asked, matched;

/* ---- What matches ---- */

static void ask(const struct built *built, uint32_t len)
{
	const uint64_t says = filtering_says(&f, built);
	const uint64_t may = sieve_pass(sieve, built->frame.data, len);

	for (unsigned i = 0; i < nchosen; i++) {
		const char *match = expressions[chosen[i]];
		const bool is =
		        expression_matches(&compiled[chosen[i]], built->frame.data, len, len);

		asked++;
		matched += is;
		if (is && !(may >> i & 1)) /* an assertion that holds costs more than all else */
			ck_abort_msg("\"%s\" was left out", match);
		if (is != (says >> i & 1))
			ck_abort_msg("\"%s\": %d in the process, of %u bytes", match, is, len);
	}
}

/* A tag in its place in the frame. */
static void tag(struct built *built, uint16_t tpid, uint16_t tci)
{
	uint8_t *at = built->frame.data + ETH_TYPE;

	memmove(at + FRAME_TAG_BYTES, at, built->frame.len - ETH_TYPE);
	be16_store(at, be16_from(tpid));
	be16_store(at + 2, be16_from(tci));
	built->frame.len += FRAME_TAG_BYTES;
	built->frame.wire_len = built->frame.len;
}

/* As the first of three packets that it was made of. */
static void ask_merged(struct built *built)
{
	uint8_t *ip = built->frame.data + ETH_HEADER_BYTES;
	const uint32_t l4 = ETH_HEADER_BYTES + (ip[0] & 15u) * 4;
	const uint32_t headers = l4 + (built->frame.data[l4 + TCP_DATA_OFFSET] >> 4) * 4u;
	uint32_t size;

	if (be16_get(be16_load(built->frame.data + ETH_TYPE)) != ETHERTYPE_IPV4 ||
	    ip[0] >> 4 != 4 || ip[IPV4_PROTOCOL] != IPPROTO_NUM_TCP ||
	    built->frame.len < headers + 12)
		return;
	size = (built->frame.len - headers) / 3;
	built->frame.merged = (uint16_t)size;
	{
		const uint64_t says = filtering_says(&f, built);

		be16_store(ip + IPV4_TOTAL_LENGTH,
		           be16_from((uint16_t)(headers + size - ETH_HEADER_BYTES)));
		for (unsigned i = 0; i < nchosen; i++)
			if (expression_matches(&compiled[chosen[i]], built->frame.data,
			                       headers + size, headers + size) != (says >> i & 1))
				ck_abort_msg("\"%s\": of a merged frame", expressions[chosen[i]]);
	}
}

static void set(struct built *built, const u_char *data, uint32_t len)
{
	built->frame =
	        (struct frame){.data = built->bytes + FRAME_HEADROOM, .len = len, .wire_len = len};
	memcpy(built->frame.data, data, len);
}

static void ask_all(const u_char *data, uint32_t len)
{
	struct built built;

	if (random_below(4)) /* enough of each kind are left */
		return;
	set(&built, data, len);
	ask(&built, len);
	set(&built, data, LEAST + random_below(len - LEAST + 1));
	ask(&built, built.frame.len);
	set(&built, data, len);
	ask_merged(&built);
	set(&built, data, len);
	tag(&built, ETHERTYPE_8021Q, random_below(2) ? 7 : 8);
	ask(&built, built.frame.len);
	tag(&built, random_below(2) ? ETHERTYPE_8021AD : ETHERTYPE_8021Q, 7);
	ask(&built, built.frame.len);
}

static void each_of(const char *path, void (*take)(const u_char *data, uint32_t len))
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *header;
	const u_char *data;

	while (pcap && pcap_next_ex(pcap, &header, &data) == 1)
		if (header->caplen == header->len && header->len >= LEAST && header->len <= LONGEST)
			take(data, header->len);
	if (pcap)
		pcap_close(pcap);
}

static void each_frame(void (*take)(const u_char *data, uint32_t len))
{
	glob_t found;

	ck_assert_int_eq(glob("pcaps/*/*-in.pcap*", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		each_of(found.gl_pathv[i], take);
	globfree(&found);
}

static void begin_expressions(void)
{
	char why[EXPRESSION_WHY_BYTES];

	filtering_begin(&f);
	for (unsigned i = 0; i < NEXPRESSIONS; i++) {
		filtering_add(&f, expressions[i], ON_MATCH_COUNT);
		ck_assert_msg(expression_compile(&f.rules->filters[i], &compiled[i], why) == 0,
		              "%s: %s", expressions[i], why);
		chosen[i] = i;
	}
	asked = matched = 0;
	nchosen = NEXPRESSIONS;
}

static void end_expressions(void)
{
	for (unsigned i = 0; i < NEXPRESSIONS; i++)
		expression_free(&compiled[i]);
}

START_TEST(expressions_say_the_same)
{
	begin_expressions();
	ck_assert_int_eq(sieve_new(compiled, (UINT64_C(1) << NEXPRESSIONS) - 1, &sieve), 0);
	if (filtering_load(&f)) {
		each_frame(ask_all);
		ck_assert_uint_gt(asked, 10000);
		ck_assert_uint_gt(matched, asked / 20);
		filtering_end(&f);
	}
	end_expressions();
	sieve_free(sieve);
}
END_TEST

/* Of those from `from` on, that many that a sieve can leave out. Returns where the next ones
 * begin. */
static unsigned choose(unsigned from, unsigned most)
{
	for (nchosen = 0; from < NEXPRESSIONS && nchosen < most; from++) {
		struct sieve *alone;

		ck_assert_int_eq(sieve_new(&compiled[from], 1, &alone), 0);
		if (!sieve_always(alone))
			chosen[nchosen++] = from;
		sieve_free(alone);
	}
	return from;
}

/* The rules and the program have only those chosen, for all frames. */
static void ask_chosen(void)
{
	struct rules_filter *const all = f.rules->filters;
	struct rules_filter filters[NEXPRESSIONS];
	struct expression few[NEXPRESSIONS];

	for (unsigned i = 0; i < nchosen; i++) {
		filters[i] = all[chosen[i]];
		few[i] = compiled[chosen[i]];
	}
	f.rules->filters = filters;
	f.rules->nfilters = nchosen;
	ck_assert_int_eq(sieve_new(few, (UINT64_C(1) << nchosen) - 1, &sieve), 0);
	ck_assert_int_eq(filtering_prepare(&f), 0);
	each_frame(ask_all);
	f.rules->filters = all;
	f.rules->nfilters = NEXPRESSIONS;
	sieve_free(sieve);
}

/* Most frames are let go before there is an image of them, as none of a few can match. */
START_TEST(a_few_say_the_same)
{
	enum { FEW = 6 };

	begin_expressions();
	if (filtering_load(&f)) {
		for (unsigned next = 0; next < NEXPRESSIONS;) {
			next = choose(next, FEW);
			ask_chosen();
		}
		ck_assert_uint_gt(asked, 10000);
		ck_assert_uint_gt(matched, asked / 50);
		filtering_end(&f);
	}
	end_expressions();
}
END_TEST

/* ---- What isn't asked ---- */

/* Which of n expressions, the i-th with i in its place, are left of a SYN from port 40000 to
 * 10.0.0.41:443. */
static uint64_t passed(const char *format, unsigned n)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);
	char match[128], why[EXPRESSION_WHY_BYTES];
	struct expression all[RULES_FILTERS_MAX];
	struct rules_filter filter = {.match = match};
	struct sieve *made;
	struct built built;
	uint64_t ret;

	for (unsigned i = 0; i < n; i++) {
		snprintf(match, sizeof(match), format, i, i);
		ck_assert_msg(expression_compile(&filter, &all[i], why) == 0, "%s: %s", match, why);
	}
	ck_assert_int_eq(sieve_new(all, n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX, &made), 0);
	spec.to = fixture_server(0);
	frames_tcp(&built, &spec);
	ret = sieve_pass(made, built.frame.data, built.frame.len);
	sieve_free(made);
	for (unsigned i = 0; i < n; i++)
		expression_free(&all[i]);
	return ret;
}

START_TEST(what_cant_match_is_not_asked)
{
	ck_assert_uint_eq(passed("dst host 192.168.1.%u", 64), 0);
	ck_assert_uint_eq(passed("host 192.168.1.%u or ip6 host fd00::%u", 64), 0);
	ck_assert_uint_eq(passed("tcp port %u", 64), 0);
	ck_assert_uint_eq(passed("src net 172.16.%u.0/24 and tcp", 64), 0);
	ck_assert_uint_eq(passed("ip6", 1), 0);
	ck_assert_uint_eq(passed("vlan %u", 1), 0);
	ck_assert_uint_eq(passed("tcp port 44%u", 10), 1 << 3);
	ck_assert_uint_eq(passed("dst host 10.0.0.4%u", 10), 1 << 1);
	ck_assert_uint_eq(passed("not udp", 1), 1);
	ck_assert_uint_eq(passed("len > %u", 64), UINT64_MAX);
}
END_TEST

/* ---- What is done ---- */

static struct firewall *firewall;

static void do_both(const u_char *data, uint32_t len)
{
	struct fastpath_filter_counts is;
	struct firewall_counts was;
	struct verdict verdict;
	struct built built;

	set(&built, data, len);
	filtering_receive(&f, &built);
	firewall_lets(firewall, f.engine.lb, "eth0", &built.frame, f.engine.now, &verdict);
	for (unsigned i = 0; i < f.rules->nfilters; i++) {
		filters_count(&f.filters, i, &is);
		was = firewall_counts(firewall, i);
		require_eq(is.matched, was.matched);
		require_eq(is.dropped, was.dropped);
		require_eq(is.over, was.over);
	}
}

START_TEST(what_matches_is_treated_and_counted_the_same)
{
	int old[NSIDES];

	filtering_begin(&f);
	filtering_add(&f, "ip6", ON_MATCH_COUNT);
	filtering_add(&f, "tcp port 5061", ON_MATCH_COUNT);
	filtering_add(&f, "arp or icmp6", ON_MATCH_PASS);
	filtering_add(&f, "tcp[tcpflags] & tcp-rst != 0", ON_MATCH_DROP);
	filtering_add(&f, "tcp[tcpflags] & tcp-syn != 0", ON_MATCH_PASS);
	filtering_add(&f, "tcp port 443 or tcp port 80", ON_MATCH_RESET);
	filtering_add(&f, "len > 100", ON_MATCH_COUNT);
	filtering_add(&f, "host 10.0.0.41", ON_MATCH_DROP);
	f.rules->filters[7].sides = 1 << INSIDE;
	filtering_add(&f, "udp", ON_MATCH_DROP);
	f.rules->filters[8].rate = 1; /* of a drop it says nothing */
	f.rules->filters[8].log = true;
	if (filtering_load(&f)) {
		ck_assert_int_eq(firewall_new(f.rules, &share_whole, f.engine.now, &firewall), 0);
		filters_use(&f.filters, f.rules, f.engine.now, old);
		filtering_activate(&f);
		each_frame(do_both);
		firewall_free(firewall);
		filtering_end(&f);
	}
}
END_TEST

START_TEST(a_rate_holds_and_counts_go_on_over_a_reload)
{
	struct fastpath_filter_counts counts;
	struct fastpath_filter_seen seen;
	struct built built;
	struct spec spec = spec_syn(fixture_client(1), 40000, 22);
	int old[NSIDES];

	filtering_begin(&f);
	filtering_add(&f, "ip6", ON_MATCH_DROP);
	filtering_add(&f, "tcp dst port 22", ON_MATCH_PASS);
	f.rules->filters[1].rate = 5;
	f.rules->filters[1].log = true;
	if (!filtering_load(&f))
		return;
	filters_use(&f.filters, f.rules, (lb_time){10 * LB_NS_PER_S}, old);
	filtering_activate(&f);
	spec.to = fixture_server(0);
	spec.dst = mac_of(7); /* it crosses */
	frames_tcp(&built, &spec);
	for (unsigned i = 0; i < 50; i++) {
		filtering_receive(&f, &built);
	}
	filters_count(&f.filters, 1, &counts);
	ck_assert_uint_eq(counts.matched, 50);
	ck_assert_uint_ge(counts.over, 40); /* or less, should this take a second */
	ck_assert_uint_lt(counts.over, 46);
	ck_assert_uint_eq(counts.dropped, counts.over);
	ck_assert(filters_see(&f.filters, 1, &seen));
	ck_assert(!filters_see(&f.filters, 1, &seen));
	ck_assert_int_eq(memcmp(seen.bytes, built.frame.data, built.frame.len), 0);
	/* the same one is the first one now */
	free(f.rules->filters[0].match);
	f.rules->filters[0] = f.rules->filters[1];
	f.rules->filters[--f.rules->nfilters].match = NULL;
	ck_assert_int_eq(filtering_prepare(&f), 0);
	filters_use(&f.filters, f.rules, (lb_time){10 * LB_NS_PER_S}, old);
	for (unsigned side = 0; side < NSIDES; side++)
		close(old[side]);
	filtering_receive(&f, &built);
	filters_count(&f.filters, 0, &counts);
	ck_assert_uint_eq(counts.matched, 51);
	filtering_end(&f);
}
END_TEST

/* As many as there may be, each of 50 instructions or more. */
START_TEST(many_and_long_ones_are_taken)
{
	char match[2048];
	struct built built;
	struct spec spec = spec_syn(fixture_client(1), 40000, 22);
	uint64_t says;

	filtering_begin(&f);
	for (unsigned i = 0; i < RULES_FILTERS_MAX; i++) {
		int n = snprintf(match, sizeof(match), "ip and tcp and (dst host 192.168.1.%u", i);

		for (unsigned k = 0; k < 45; k++)
			n += snprintf(match + n, sizeof(match) - (size_t)n, " or 192.168.2.%u", k);
		snprintf(match + n, sizeof(match) - (size_t)n, ")");
		filtering_add(&f, i == RULES_FILTERS_MAX - 1 ? "tcp" : match, ON_MATCH_DROP);
	}
	if (!filtering_load(&f))
		return;
	frames_tcp(&built, &spec);
	says = filtering_says(&f, &built);
	ck_assert_uint_eq(says, UINT64_C(1) << 63);
	filtering_end(&f);
}
END_TEST

Suite *filters_suite(void)
{
	const TTest *const tests[] = {expressions_say_the_same,
	                              a_few_say_the_same,
	                              what_cant_match_is_not_asked,
	                              what_matches_is_treated_and_counted_the_same,
	                              a_rate_holds_and_counts_go_on_over_a_reload,
	                              many_and_long_ones_are_taken,
	                              NULL};

	return suite_of_programs("filters", tests, false);
}
