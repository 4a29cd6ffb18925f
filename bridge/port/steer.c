/*
 * The kernel's part in sharing out frames: the program for each side's sockets.
 *
 * The sockets of a side are a packet fanout group, for which a program, made of the rules, chooses
 * the member. It is the same for both sides:
 *
 * - TCP to a service port of a VIP: by the client's address and port;
 * - TCP to another port of an address of ours: by that port, modulo n;
 * - TCP from a server of a farm without SNAT: by the client's, its destination's address and port;
 * - an ICMP error: as the packet that it quotes would arrive, reversed;
 * - all other IP: by both addresses, so that one conversation keeps its order;
 * - the rest, ARP and neighbour discovery: to the first worker, who looks for servers.
 *
 * First the addresses (IPv6: their hashes) and ports are put into memory words, then come the
 * comparisons with the rules. Fragments and extension headers are left to the engine, and so are
 * the answers to probes that come from a port which the VIP serves (owner_of()): it hands over
 * what came to the wrong worker; so a program that is wrong costs speed and nothing else, and when
 * rules are too many for one, there is a program without them.
 */
#include "steer.h"

#include "../../lb/snat.h"
#include "../../lb/wire.h"

#include <errno.h>

/* Memory words. */
enum { SRC, DST, SPORT, DPORT, BASE, TEMP };

/* Places that are jumped to. */
enum {
	TAGGED,
	UNTAGGED,
	IPV4,
	IPV6,
	ICMP,
	ICMP_ERROR,
	ICMPV6,
	FIRST,    /* to the first worker */
	PAIR,     /* by both addresses */
	FROM_DST, /* by DST and DPORT, as a client's */
	FROM_SRC, /* by SRC and SPORT, as a client's */
	PORT,     /* by DPORT */
	RULES4,
	RULES6,
	FARM, /* and further ones, by farm */
	LABELS = FARM + RULES_FARMS_MAX,
};

struct code {
	struct sock_filter *at;
	unsigned n, max; /* n may be more than max: then it didn't fit */
	unsigned label[LABELS];
};

static void emit_branch(struct code *code, unsigned op, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (code->n < code->max)
		code->at[code->n] = (struct sock_filter){(uint16_t)op, jt, jf, k};
	code->n++;
}

static void emit(struct code *code, unsigned op, uint32_t k)
{
	emit_branch(code, op, k, 0, 0);
}

static void mark(struct code *code, unsigned label)
{
	code->label[label] = code->n;
}

/* Appends a jump. Its k holds the label until link_jumps(). */
static void jump(struct code *code, unsigned label)
{
	emit(code, BPF_JMP | BPF_JA, label);
}

/* Jumps if the accumulator compares so with k, or unless it does. */
static void jump_if(struct code *code, unsigned comparison, uint32_t k, unsigned label)
{
	emit_branch(code, BPF_JMP | comparison | BPF_K, k, 0, 1);
	jump(code, label);
}

static void jump_unless(struct code *code, unsigned comparison, uint32_t k, unsigned label)
{
	emit_branch(code, BPF_JMP | comparison | BPF_K, k, 1, 0);
	jump(code, label);
}

static void link_jumps(struct code *code)
{
	for (unsigned i = 0; i < code->n; i++)
		if (code->at[i].code == (BPF_JMP | BPF_JA))
			code->at[i].k = code->label[code->at[i].k] - i - 1;
}

/* Loads, of size BPF_W, BPF_H or BPF_B, from behind the index register. */
static void load(struct code *code, unsigned size, uint32_t offset)
{
	emit(code, BPF_LD | size | BPF_IND, offset);
}

static void load_to(struct code *code, unsigned size, uint32_t offset, unsigned word)
{
	load(code, size, offset);
	emit(code, BPF_ST, word);
}

/* The IPv6 address at offset, as share_address6() has it, with the index register at BASE. */
static void load_ip6_to(struct code *code, const struct share *share, uint32_t offset,
                        unsigned word)
{
	load(code, BPF_W, offset);
	for (uint32_t i = 1; i < sizeof(struct ip6) / sizeof(uint32_t); i++) {
		emit(code, BPF_ALU | BPF_MUL | BPF_K, share->salt);
		emit(code, BPF_ST, TEMP);
		load(code, BPF_W, offset + i * (uint32_t)sizeof(uint32_t));
		emit(code, BPF_LDX | BPF_MEM, TEMP);
		emit(code, BPF_ALU | BPF_ADD | BPF_X, 0);
		emit(code, BPF_LDX | BPF_MEM, BASE);
	}
	emit(code, BPF_ST, word);
}

/* Moves the index register on by the length of the IPv4 header at offset. */
static void skip_ipv4(struct code *code, uint32_t offset)
{
	load(code, BPF_B, offset);
	emit(code, BPF_ALU | BPF_AND | BPF_K, 0x0f);
	emit(code, BPF_ALU | BPF_LSH | BPF_K, 2);
	emit(code, BPF_ALU | BPF_ADD | BPF_X, 0);
	emit(code, BPF_MISC | BPF_TAX, 0);
}

/* The kernel has taken the outer tag off; of an inner one the TCI stands first. */
static void emit_ethertype(struct code *code)
{
	emit(code, BPF_LDX | BPF_IMM, 0);
	emit(code, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL));
	jump_if(code, BPF_JEQ, ETHERTYPE_8021Q, TAGGED);
	jump_if(code, BPF_JEQ, ETHERTYPE_8021AD, TAGGED);
	jump_if(code, BPF_JEQ, ETHERTYPE_QINQ_OLD, TAGGED);
	jump(code, UNTAGGED);
	mark(code, TAGGED);
	emit(code, BPF_LDX | BPF_IMM, FRAME_TAG_BYTES);
	emit(code, BPF_LD | BPF_H | BPF_ABS, FRAME_TAG_BYTES / 2);
	mark(code, UNTAGGED);
	emit(code, BPF_STX, BASE);
	jump_if(code, BPF_JEQ, ETHERTYPE_IPV4, IPV4);
	jump_if(code, BPF_JEQ, ETHERTYPE_IPV6, IPV6);
	jump(code, FIRST);
}

static void emit_ipv4(struct code *code)
{
	mark(code, IPV4);
	load_to(code, BPF_W, IPV4_SRC, SRC);
	load_to(code, BPF_W, IPV4_DST, DST);
	load(code, BPF_H, IPV4_FRAGMENT);
	jump_if(code, BPF_JSET, IPV4_FRAGMENT_MASK, PAIR);
	load(code, BPF_B, IPV4_PROTOCOL);
	jump_if(code, BPF_JEQ, IPPROTO_NUM_ICMP, ICMP);
	jump_unless(code, BPF_JEQ, IPPROTO_NUM_TCP, PAIR);
	skip_ipv4(code, 0);
	load_to(code, BPF_H, TCP_SRC, SPORT);
	load_to(code, BPF_H, TCP_DST, DPORT);
	jump(code, RULES4);
}

static void emit_icmp(struct code *code)
{
	mark(code, ICMP);
	skip_ipv4(code, 0);
	load(code, BPF_B, ICMP_TYPE);
	jump_if(code, BPF_JEQ, ICMP_UNREACHABLE, ICMP_ERROR);
	jump_if(code, BPF_JEQ, ICMP_TIME_EXCEEDED, ICMP_ERROR);
	jump_unless(code, BPF_JEQ, ICMP_PARAMETER_PROBLEM, PAIR);
	mark(code, ICMP_ERROR);
	load_to(code, BPF_W, ICMP_HEADER_BYTES + IPV4_DST, SRC);
	load_to(code, BPF_W, ICMP_HEADER_BYTES + IPV4_SRC, DST);
	skip_ipv4(code, ICMP_HEADER_BYTES);
	load_to(code, BPF_H, ICMP_HEADER_BYTES + TCP_DST, SPORT);
	load_to(code, BPF_H, ICMP_HEADER_BYTES + TCP_SRC, DPORT);
	jump(code, RULES4);
}

static void emit_ipv6(struct code *code, const struct share *share)
{
	mark(code, IPV6);
	load_ip6_to(code, share, IPV6_SRC, SRC);
	load_ip6_to(code, share, IPV6_DST, DST);
	load(code, BPF_B, IPV6_NEXT_HEADER);
	jump_if(code, BPF_JEQ, IPPROTO_NUM_ICMPV6, ICMPV6);
	jump_unless(code, BPF_JEQ, IPPROTO_NUM_TCP, PAIR);
	load_to(code, BPF_H, IPV6_HEADER_BYTES + TCP_SRC, SPORT);
	load_to(code, BPF_H, IPV6_HEADER_BYTES + TCP_DST, DPORT);
	jump(code, RULES6);
}

static void emit_icmpv6(struct code *code, const struct share *share)
{
	const uint32_t quoted = IPV6_HEADER_BYTES + ICMP_HEADER_BYTES;

	mark(code, ICMPV6);
	load(code, BPF_B, IPV6_HEADER_BYTES + ICMP_TYPE);
	jump_if(code, BPF_JEQ, ND_SOLICITATION, FIRST);
	jump_if(code, BPF_JEQ, ND_ADVERTISEMENT, FIRST);
	jump_if(code, BPF_JGT, ICMPV6_PARAMETER_PROBLEM, PAIR);
	load(code, BPF_B, quoted + IPV6_NEXT_HEADER);
	jump_unless(code, BPF_JEQ, IPPROTO_NUM_TCP, PAIR);
	load_ip6_to(code, share, quoted + IPV6_DST, SRC);
	load_ip6_to(code, share, quoted + IPV6_SRC, DST);
	load_to(code, BPF_H, quoted + IPV6_HEADER_BYTES + TCP_DST, SPORT);
	load_to(code, BPF_H, quoted + IPV6_HEADER_BYTES + TCP_SRC, DPORT);
	jump(code, RULES6);
}

/* An address of the rules as the program sees it. */
static uint32_t number_of(const struct rules *rules, const struct share *share, be32 address)
{
	return name_is_ipv6(address) ? share_address6(share, rules_ip6(rules, address))
	                             : share_address(address);
}

/* If another farm before f has the same VIP. */
static bool is_further(const struct rules *rules, unsigned f)
{
	for (unsigned i = 0; i < f; i++)
		if (be32_eq(rules->farms[i].vip, rules->farms[f].vip) && !rules->farms[i].gone)
			return true;
	return false;
}

/* Appends: a packet to a service port of the farm is a client's. Ports that follow each other are
 * compared as a range. */
static void emit_ports(struct code *code, const struct rules_farm *farm)
{
	for (unsigned i = 0, n; i < farm->nports; i += n) {
		uint32_t first = be16_get(farm->ports[i]);

		for (n = 1; i + n < farm->nports && be16_get(farm->ports[i + n]) == first + n;)
			n++;
		emit(code, BPF_LD | BPF_MEM, DPORT);
		emit(code, BPF_ALU | BPF_SUB | BPF_K, first);
		jump_unless(code, BPF_JGE, n, FROM_SRC);
	}
}

/* Appends what is due for packets to the VIP of farm f, for all farms that share it; f is the first
 * of them. */
static void emit_farm(struct code *code, const struct rules *rules, unsigned f)
{
	mark(code, FARM + f);
	for (unsigned i = f; i < rules->nfarms; i++)
		if (be32_eq(rules->farms[i].vip, rules->farms[f].vip) && !rules->farms[i].gone)
			emit_ports(code, &rules->farms[i]);
	jump(code, PORT);
}

/* What the rules say of the addresses in memory, for one version of IP. */
static void emit_rules(struct code *code, const struct rules *rules, const struct share *share,
                       bool ipv6)
{
	mark(code, ipv6 ? RULES6 : RULES4);
	emit(code, BPF_LD | BPF_MEM, DST);
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const struct rules_farm *farm = &rules->farms[f];

		if (farm->gone || name_is_ipv6(farm->vip) != ipv6)
			continue;
		if (!is_further(rules, f))
			jump_if(code, BPF_JEQ, number_of(rules, share, farm->vip), FARM + f);
		for (unsigned i = 0; i < rules_all_snat(farm); i++)
			jump_if(code, BPF_JEQ, number_of(rules, share, farm->snat[i]), PORT);
	}
	emit(code, BPF_LD | BPF_MEM, SRC);
	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct rules_farm *farm = &rules->farms[rules->servers[s].farm];

		if (!farm->gone && (!farm->nsnat || farm->keeps_off) &&
		    name_is_ipv6(farm->vip) == ipv6)
			jump_if(code, BPF_JEQ, number_of(rules, share, rules->servers[s].address),
			        FROM_DST);
	}
	jump(code, PAIR);
}

/* share_spread() of the accumulator, and the end. */
static void emit_spread(struct code *code, const struct share *share)
{
	emit(code, BPF_ALU | BPF_MUL | BPF_K, SHARE_FACTOR_1);
	emit(code, BPF_MISC | BPF_TAX, 0);
	emit(code, BPF_ALU | BPF_RSH | BPF_K, SHARE_SHIFT_1);
	emit(code, BPF_ALU | BPF_XOR | BPF_X, 0);
	emit(code, BPF_ALU | BPF_MUL | BPF_K, SHARE_FACTOR_2);
	emit(code, BPF_ALU | BPF_RSH | BPF_K, SHARE_SHIFT_2);
	emit(code, BPF_ALU | BPF_MOD | BPF_K, share->n);
	emit(code, BPF_RET | BPF_A, 0);
}

/* share_of_client() of two memory words. */
static void emit_client(struct code *code, const struct share *share, unsigned address,
                        unsigned port)
{
	if (share->by_address) {
		emit(code, BPF_LD | BPF_IMM, 0);
	} else {
		emit(code, BPF_LD | BPF_MEM, port);
		emit(code, BPF_ALU | BPF_LSH | BPF_K, 16);
	}
	emit(code, BPF_LDX | BPF_MEM, address);
	emit(code, BPF_ALU | BPF_ADD | BPF_X, 0);
	emit(code, BPF_ALU | BPF_ADD | BPF_K, share->salt);
	emit_spread(code, share);
}

/*
 * In this order, because the kernel's check goes on behind a return with the memory words that were
 * valid there: no block may need more of them than the one before.
 */
static void emit_ends(struct code *code, const struct share *share)
{
	mark(code, FROM_DST);
	emit_client(code, share, DST, DPORT);
	mark(code, FROM_SRC);
	emit_client(code, share, SRC, SPORT);
	mark(code, PORT); /* share_of_port() */
	emit(code, BPF_LD | BPF_MEM, DPORT);
	emit(code, BPF_ALU | BPF_SUB | BPF_K, RULES_PROBE_PORT);
	emit_branch(code, BPF_JMP | BPF_JGE | BPF_K, RULES_PROBE_PORTS, 1, 0);
	emit(code, BPF_RET | BPF_K, 0);
	emit(code, BPF_LD | BPF_MEM, DPORT);
	emit(code, BPF_ALU | BPF_MOD | BPF_K, share->n);
	emit(code, BPF_RET | BPF_A, 0);
	mark(code, PAIR);
	emit(code, BPF_LD | BPF_MEM, SRC);
	emit(code, BPF_LDX | BPF_MEM, DST);
	emit(code, BPF_ALU | BPF_XOR | BPF_X, 0); /* the same in both directions */
	emit_spread(code, share);
	mark(code, FIRST);
	emit(code, BPF_RET | BPF_K, 0);
}

int steer_program(const struct rules *rules, const struct share *share, struct sock_filter *ret,
                  unsigned max)
{
	struct code code = {.at = ret, .max = max};

	emit_ethertype(&code);
	emit_ipv4(&code);
	emit_icmp(&code);
	emit_ipv6(&code, share);
	emit_icmpv6(&code, share);
	emit_rules(&code, rules, share, false);
	emit_rules(&code, rules, share, true);
	/* farms that are gone stand behind all others */
	for (unsigned f = 0; f < rules->nfarms && !rules->farms[f].gone; f++)
		if (!is_further(rules, f))
			emit_farm(&code, rules, f);
	emit_ends(&code, share);
	if (code.n > max)
		return -E2BIG;
	link_jumps(&code);
	return (int)code.n;
}
