/*
 * SYNs that are known to get nothing for a while: what the limits for clients have refused, and
 * would refuse again. Another reader, a program before the process's sockets, drops them by this
 * table, so that a flood of them costs nobody else anything.
 *
 * It drops what the engine would, and nothing else:
 *
 * - An entry stands for SYNs that differ in nothing that the engine looks at but their source port:
 *   addresses, port, VLAN, and the MAC address that they come from.
 * - It holds up to a time before which the engine would say the same, as long as nothing happens to
 *   the client. What does happen (a connection opens, or ends, or the client is forgotten) takes
 *   back all entries of his, by another number of his epoch. At most it holds for
 *   BARRED_LONGEST_NS: so the log hears of a flood while it lasts.
 * - A SYN of a flow isn't the limits' concern. Each flow is counted at a place that goes by its
 *   client and source port, and what finds its place taken is the engine's.
 * - Anything out of the ordinary is the engine's: options of IP, fragments, data, a checksum that
 *   doesn't hold, a packet that may go no further.
 * - What is still in a socket has not happened yet: a SYN right behind the packet that would let it
 *   in (an ACK that opens a connection, a FIN) may be dropped before the engine has seen that, some
 *   microseconds in all. Its client sends it again.
 *
 * Both read and write it, without a lock: see both.h. The engine never reads what it has written
 * here but to write it, so that no verdict depends on it. This header is compiled for both.
 */
#ifndef LB_BARRED_H
#define LB_BARRED_H

#include "both.h"
#include "csum.h"
#include "frame.h"
#include "tuple.h"
#include "wire.h"

enum {
	BARRED_SETS = 512,
	BARRED_WAYS = 4, /* entries of a set */
	BARRED_EPOCHS = 4096,
	BARRED_FLOWS = 1 << 20, /* places where flows are counted */
	BARRED_LANES = 16,      /* of counts: processors, some of which share one */
	/* a SYN without data: Ethernet, IPv6, TCP with all of its options */
	BARRED_SYN_MIN = ETH_HEADER_BYTES + IPV4_HEADER_BYTES + TCP_HEADER_BYTES,
	BARRED_SYN_MAX = ETH_HEADER_BYTES + IPV6_HEADER_BYTES + TCP_HEADER_BYTES_MAX,
};

#define BARRED_LONGEST_NS LB_NS_PER_S

/* Which of the farm's limits refuses it. */
enum barred_limit {
	BARRED_DENIED,
	BARRED_CONNECTIONS,
	BARRED_RATE,
	BARRED_BLOCKED,
	BARRED_LIMITS,
};

/* And whether it would have got a RST, if RSTs weren't limited: added to that. */
enum { BARRED_RST = BARRED_LIMITS, BARRED_KINDS = 2 * BARRED_LIMITS };

/* What the SYNs of an entry have in common, in the machine's order: source, destination, each of
 * them two words as they stand in memory; MAC address and destination port; VLAN. */
enum { BARRED_WORDS = 6 };

struct barred_entry {
	uint64_t until_ns; /* 0: nothing, or it is being written */
	uint32_t epoch;    /* the client's when it was made */
	uint16_t generation;
	uint8_t kind, unused;
	uint64_t words[BARRED_WORDS];
};

static_assert(sizeof(struct barred_entry) == 64, "a cache line");

/* What has been dropped, since the beginning, by the port that it came by. */
struct barred_counts {
	uint64_t frames[NSIDES][BARRED_KINDS];
	uint64_t bytes[NSIDES];
	uint64_t unused[6]; /* three cache lines */
};

struct barred {
	uint64_t seed, factor; /* of hashes; the factor is odd */
	uint64_t last_ns;      /* when the last entry ends; 0: there is none */
	uint16_t generation;   /* of the entries that are valid; others are as good as empty */
	uint16_t rests;        /* not 0: no entry is to be made */
	uint32_t unused;
	uint32_t epochs[BARRED_EPOCHS];
	struct barred_entry entries[BARRED_SETS][BARRED_WAYS];
	struct barred_counts counts[BARRED_LANES];
	uint8_t flows[BARRED_FLOWS]; /* up to 255, which stays */
};

/* A SYN, as far as it matters here. */
struct barred_syn {
	uint64_t words[BARRED_WORDS];
	uint64_t client; /* as limits.h knows him */
	uint16_t sport;  /* as it stands in memory */
};

/* ---- Where things stand ---- */

static inline uint64_t barred_stir(const struct barred *barred, uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * barred->factor;
	return hash ^ hash >> 32;
}

static inline uint64_t barred_hash_client(const struct barred *barred, uint64_t client)
{
	return barred_stir(barred, barred->seed, client);
}

static inline uint32_t barred_epoch_at(uint64_t client_hash)
{
	return (uint32_t)client_hash & (BARRED_EPOCHS - 1);
}

static inline uint32_t barred_flow_at(const struct barred *barred, uint64_t client_hash,
                                      uint16_t sport)
{
	return (uint32_t)barred_stir(barred, client_hash, sport) & (BARRED_FLOWS - 1);
}

static inline uint32_t barred_set_at(const struct barred *barred, const uint64_t *words)
{
	uint64_t hash = barred->seed;

	for (unsigned i = 0; i < BARRED_WORDS; i++)
		hash = barred_stir(barred, hash, words[i]);
	return (uint32_t)hash & (BARRED_SETS - 1);
}

/* ---- Reading a frame ---- */

static inline uint64_t barred_mac_and_port(const uint8_t *mac, uint16_t port)
{
	return (uint64_t)port << 48 | (uint64_t)csum_load(mac + 4) << 32 |
	       (uint64_t)csum_load(mac + 2) << 16 | csum_load(mac);
}

/* The sum of so many words of four bytes, at most 15. p is aligned to them. */
static inline uint64_t barred_sum(const uint8_t *p, unsigned words)
{
	uint64_t sum = 0;

#ifdef __clang__
#pragma unroll
#endif
	for (unsigned i = 0; i < TCP_HEADER_BYTES_MAX / sizeof(uint32_t); i++)
		sum += i < words ? word32_load(p + i * sizeof(uint32_t)) : 0;
	return sum;
}

/* If TCP is a SYN without data of len bytes, whose checksum holds, pseudo being the sum of its
 * addresses; one that is only that and still to be completed holds as well. */
static inline bool barred_is_syn(const uint8_t *tcp, uint32_t len, uint64_t pseudo)
{
	const uint8_t flags = tcp[TCP_FLAGS] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	const uint8_t tail[4] = {0, IPPROTO_NUM_TCP, (uint8_t)(len >> 8), (uint8_t)len};
	const uint32_t words = tcp[TCP_DATA_OFFSET] >> 4;
	const uint16_t field = csum_load(tcp + TCP_CHECKSUM);

	if (flags != TCP_SYN || words * 4 != len || len < TCP_HEADER_BYTES)
		return false;
	pseudo += word32_load(tail);
	return csum_fold(pseudo + barred_sum(tcp, words)) == 0xffff || csum_fold(pseudo) == field;
}

static inline void barred_note_ports(const uint8_t *p, const uint8_t *tcp, struct barred_syn *syn)
{
	syn->sport = csum_load(tcp + TCP_SRC);
	syn->words[4] = barred_mac_and_port(p + ETH_SRC, csum_load(tcp + TCP_DST));
}

static inline void barred_note_addresses(const struct ip6 *src, const struct ip6 *dst,
                                         struct barred_syn *syn)
{
	syn->words[0] = word64_load(src->b);
	syn->words[1] = word64_load(src->b + sizeof(uint64_t));
	syn->words[2] = word64_load(dst->b);
	syn->words[3] = word64_load(dst->b + sizeof(uint64_t));
}

static inline bool barred_read_ipv4(const uint8_t *p, uint32_t len, struct barred_syn *ret)
{
	const uint8_t *ip = p + ETH_HEADER_BYTES, *tcp = ip + IPV4_HEADER_BYTES;
	const uint32_t total = be16_get(be16_load(ip + IPV4_TOTAL_LENGTH));
	const uint64_t addresses =
	        (uint64_t)word32_load(ip + IPV4_SRC) + word32_load(ip + IPV4_DST);
	struct ip6 src, dst;

	if (ip[0] != (4 << 4 | IPV4_HEADER_BYTES / 4) || ip[IPV4_PROTOCOL] != IPPROTO_NUM_TCP ||
	    be16_get(be16_load(ip + IPV4_FRAGMENT)) & IPV4_FRAGMENT_MASK || ip[IPV4_TTL] <= 1 ||
	    total < IPV4_HEADER_BYTES || total > len - ETH_HEADER_BYTES ||
	    csum_fold(barred_sum(ip, IPV4_HEADER_BYTES / 4)) != 0xffff ||
	    !barred_is_syn(tcp, total - IPV4_HEADER_BYTES, addresses))
		return false;
	src = ip6_mapped(be32_load(ip + IPV4_SRC));
	dst = ip6_mapped(be32_load(ip + IPV4_DST));
	barred_note_addresses(&src, &dst, ret);
	ret->client = be32_get(be32_load(ip + IPV4_SRC));
	barred_note_ports(p, tcp, ret);
	return true;
}

static inline bool barred_read_ipv6(const uint8_t *p, uint32_t len, struct barred_syn *ret)
{
	const uint8_t *ip = p + ETH_HEADER_BYTES, *tcp = ip + IPV6_HEADER_BYTES;
	const uint32_t payload = be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH));
	struct ip6 src, dst;

	if (ip[0] >> 4 != 6 || ip[IPV6_NEXT_HEADER] != IPPROTO_NUM_TCP || ip[IPV6_HOP_LIMIT] <= 1 ||
	    len < ETH_HEADER_BYTES + IPV6_HEADER_BYTES ||
	    payload > len - ETH_HEADER_BYTES - IPV6_HEADER_BYTES ||
	    !barred_is_syn(tcp, payload, barred_sum(ip + IPV6_SRC, 2 * sizeof(struct ip6) / 4)))
		return false;
	memcpy(&src, ip + IPV6_SRC, sizeof(src));
	memcpy(&dst, ip + IPV6_DST, sizeof(dst));
	barred_note_addresses(&src, &dst, ret);
	ret->client = (uint64_t)be32_get(be32_load(ip + IPV6_SRC)) << 32 |
	              be32_get(be32_load(ip + IPV6_SRC + sizeof(be32)));
	barred_note_ports(p, tcp, ret);
	return true;
}

/*
 * If the frame of len bytes, between BARRED_SYN_MIN and BARRED_SYN_MAX, is such a SYN. vlan is that
 * of the tag that the kernel has taken out of it, or VLAN_NONE; there are BARRED_SYN_MAX bytes at
 * p, and what follows upon the Ethernet header is aligned to four of them.
 */
static inline bool barred_read(const uint8_t *p, uint32_t len, uint16_t vlan,
                               struct barred_syn *ret)
{
	const uint32_t type = be16_get(be16_load(p + ETH_TYPE));

	ret->words[5] = vlan;
	if (p[ETH_DST] & 1)
		return false;
	if (type == ETHERTYPE_IPV4)
		return barred_read_ipv4(p, len, ret);
	return type == ETHERTYPE_IPV6 && barred_read_ipv6(p, len, ret);
}

/* ---- Looking it up ---- */

static inline bool barred_holds(const struct barred *barred, const struct barred_entry *entry,
                                const struct barred_syn *syn, uint32_t epoch, uint64_t now_ns)
{
	const uint64_t until = BOTH_READ_FIRST(entry->until_ns);
	uint64_t differ = 0;

	if (until <= now_ns)
		return false;
	for (unsigned i = 0; i < BARRED_WORDS; i++)
		differ |= BOTH_READ(entry->words[i]) ^ syn->words[i];
	return !differ && BOTH_READ(entry->epoch) == epoch &&
	       BOTH_READ(entry->generation) == BOTH_READ(barred->generation) &&
	       BOTH_READ_FIRST(entry->until_ns) == until;
}

/* If the engine would drop the SYN now; sets *ret_kind then. */
static inline bool barred_find(const struct barred *barred, const struct barred_syn *syn,
                               uint64_t now_ns, uint32_t *ret_kind)
{
	const uint64_t client = barred_hash_client(barred, syn->client);
	const uint32_t set = barred_set_at(barred, syn->words);
	const uint32_t epoch = BOTH_READ(barred->epochs[barred_epoch_at(client)]);

	if (BOTH_READ(barred->flows[barred_flow_at(barred, client, syn->sport)]))
		return false;
	for (unsigned i = 0; i < BARRED_WAYS; i++) {
		const struct barred_entry *entry = &barred->entries[set][i];

		if (!barred_holds(barred, entry, syn, epoch, now_ns))
			continue;
		*ret_kind = BOTH_READ(entry->kind) & (BARRED_KINDS - 1);
		return true;
	}
	return false;
}

/* Counts one of len bytes that has been dropped, on that processor. */
static inline void barred_count(struct barred *barred, uint32_t processor, uint32_t kind,
                                uint32_t side, uint32_t len)
{
	struct barred_counts *counts = &barred->counts[processor & (BARRED_LANES - 1)];

	BOTH_ADD(counts->frames[side & 1][kind & (BARRED_KINDS - 1)], 1);
	BOTH_ADD(counts->bytes[side & 1], len);
}

#ifndef __bpf__

struct packet;

/* ---- The engine's part: barred.c ---- */

/* An empty table. key is that of the engine's. */
void barred_begin(struct barred *barred, const struct hash_key *key);

/* Forgets all entries; and lets none be made while rests, or lets them again. */
void barred_clear(struct barred *barred);
void barred_rest(struct barred *barred, bool rests);

/* What barred_read() says of the packet, a SYN; client: as limits.h knows him. */
void barred_describe(const struct packet *packet, uint64_t client, struct barred_syn *ret);

/* Makes an entry for SYNs like this one, from whichever port: that they get nothing up to a time,
 * which isn't before now. */
void barred_put(struct barred *barred, const struct barred_syn *syn, unsigned kind, lb_time until,
                lb_time now);

/* Takes back all entries of the client's. */
void barred_retract(struct barred *barred, uint64_t client);

/* Counts that a flow of the client's with that source port begins, or is forgotten. */
void barred_flow(struct barred *barred, uint64_t client, be16 sport, bool begins);

/* Sets the count of all flows to none, for them to be counted anew. */
void barred_forget_flows(struct barred *barred);

/* Adds up what has been dropped so far, on all processors; to be called now and then. */
void barred_sum_up(struct barred *barred, lb_time now, struct barred_counts *ret);

#endif

#endif
