/*
 * Who is on the segment: what ARP and neighbour discovery say of the addresses that aren't ours, as
 * a host's neighbour cache would have it (RFC 826, RFC 4861 7.2).
 *
 * It is noted of all who send ARP or neighbour discovery, whether that is about us or not: a client
 * may move without a word to us. There is room for SEGMENT_ENTRIES; in a full set that entry makes
 * room for a new one which no flow goes to, and which is the oldest.
 */
#ifndef LB_SEGMENT_H
#define LB_SEGMENT_H

#include "arena.h"
#include "hops.h"
#include "tuple.h"

enum {
	SEGMENT_WAYS = 8,
	SEGMENT_SETS = 512,
	SEGMENT_ENTRIES = SEGMENT_SETS * SEGMENT_WAYS,
	SEGMENT_PAST = 3, /* earlier places of a neighbour that are remembered */
	SEGMENT_FILTER_BITS = 1 << 13,
};

/* What a frame says about whose address is where. */
struct sighting {
	struct ip6 address; /* of IPv4: ::ffff:a.b.c.d */
	be32 ip;            /* or its name, if the rules have one */
	struct hop hop;
	bool overrides; /* it may replace what is known (RFC 4861, 4.4; ARP always does) */
};

/* Where a neighbour is in its VLAN. What tags say beyond the VLAN (priority) belongs to a packet,
 * not to a place. */
struct segment_at {
	struct mac mac;
	uint8_t side; /* enum side */
	bool is;      /* there is such a place */
};

struct segment_entry {
	struct ip6 address;
	uint16_t vlan;
	bool is_counted;   /* at its MAC address */
	uint32_t heard;    /* tick (flow.h) */
	uint32_t identity; /* of this entry, and no other one before or after it */
	struct segment_at at, past[SEGMENT_PAST]; /* where it is, and was: the latest first */
};

/* How many entries are at a MAC address, of those that are counted. */
struct segment_mac {
	struct mac mac;
	uint16_t vlan;
	uint32_t entries; /* 0: free */
};

struct segment_counts {
	uint64_t moved;   /* neighbours that are somewhere else now */
	uint64_t evicted; /* that made room for others */
	uint64_t refused; /* that found none */
};

struct segment {
	struct segment_entry *entries;
	uint8_t *tags; /* by entry, of its hash; 0: it is free. A look at those of a set finds most
	                  who aren't in it */
	struct segment_mac *macs;
	/* a bit for each address that has become known: since segment_begin_look(), and before */
	uint64_t *fresh, *looked_for;
	bool any_fresh;
	uint32_t identities; /* given so far */
	struct hash_key key;
	uint64_t factors[5]; /* of an address's hash, made of key */
	struct segment_counts counts;
};

void segment_lay_out(struct segment *segment, struct arena *arena, const struct hash_key *key);

/*
 * Notes a sighting at tick now, unless it is in no VLAN that a rule can name (VLAN_OTHER). If the
 * neighbour was somewhere else, moves it, and moves in hops the place of the flows that go to it:
 * its own, and those that came from where it was. True if that was news.
 */
bool segment_note(struct segment *segment, struct hops *hops, const struct sighting *sighting,
                  uint32_t now);

/*
 * Takes for a flow (see hops_take()) the place to which its client's packets that come from there
 * are answered. If the client has said itself where it is (by ARP or neighbour discovery), that
 * place counts, whatever source address its frames have (teamed cards, NLB's masks). Else, if some
 * other neighbour is known to be where they come from, that is a router, and its place counts.
 */
uint16_t segment_take(struct segment *segment, struct hops *hops, const struct ip6 *client,
                      const struct hop *from, uint32_t now, struct hop *ret);

/* If segment_take() would go by what the client itself has said. */
bool segment_knows(const struct segment *segment, const struct ip6 *client, const struct hop *from);

/*
 * For the search through all flows for those of neighbours that have become known (follow.c). The
 * first one begins a search; the second one says if the address may be of a neighbour that became
 * known before the search began.
 */
void segment_begin_look(struct segment *segment);
bool segment_is_looked_for(const struct segment *segment, const struct ip6 *address);

#endif
