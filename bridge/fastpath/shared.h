/*
 * What the programs in the kernel and the process have in common memory: the layout of the maps.
 *
 * This header is compiled for both. Numbers are in the machine's order unless said otherwise. A
 * change of a layout needs another FASTPATH_LAYOUT, so that a process doesn't adopt what it can't
 * read.
 */
#ifndef BRIDGE_FASTPATH_SHARED_H
#define BRIDGE_FASTPATH_SHARED_H

#include "first.h"
#include "../../lb/address.h"
#include "../../lb/flow.h"
#include "../../lb/frame.h"
#include "../../lb/rules.h"
#include "../../lb/share.h"
#include "../../lb/table.h"
#include "../../lb/why.h"

enum {
	FASTPATH_LAYOUT = 11,
	FASTPATH_GIVEN_UP = 0, /* instead of a layout: no process may go on with these maps */
	FASTPATH_MAPS_MAX = 24,
};

/* How a port is, as bits. */
enum {
	FASTPATH_HOSTS = 1,   /* the host has an address there, so group frames are its as well */
	FASTPATH_NO_LINK = 2, /* it is down, or has no carrier: the kernel drops what is sent */
};

/* Of a port. */
struct fastpath_side {
	uint32_t ifindex; /* 0: the interface is gone */
	uint32_t punt;    /* index of the punt device on which the workers listen for this side */
	uint32_t mtu;     /* bytes */
	uint32_t is;      /* FASTPATH_HOSTS and the like */
	uint64_t mac;     /* as fastpath_mac() reads one */
};

/* What was changed of an interface for the fast path's sake, to be set back one day, by whatever
 * process: not 0 if so. */
struct fastpath_left {
	uint32_t ifindex;
	uint32_t hook, promiscuous;
	uint32_t ours[4], before[4]; /* struct settings_left; the former of these bits */
};

enum { FASTPATH_LEFT_OURS = 1, FASTPATH_LEFT_WITH_ALL = 2 };

/* A table of addresses within the map of that name: a reload fills the other half. */
struct fastpath_table {
	uint32_t base, mask;
	uint64_t factor;                /* odd */
	uint32_t any_no_snat, any_ipv6; /* as in struct addresses */
};

/* Of the map `parts`, by worker: where its engine's arrays (lb/table.h) begin in the maps of their
 * names. */
struct fastpath_part {
	uint32_t base[(TABLE_NARRAYS + 1) / 2 * 2]; /* elements; an even number of them */
};

/* The only element of the map `conf`: written by the process. */
struct fastpath_conf {
	uint32_t layout; /* FASTPATH_LAYOUT, or FASTPATH_GIVEN_UP */
	uint32_t active; /* else all goes to the host's stack, and to packet sockets on the ports */
	uint64_t alive_ns;     /* CLOCK_MONOTONIC: when the process last said that it is well */
	uint32_t table;        /* which of the two is in use */
	uint32_t table_places; /* of either */
	struct fastpath_table tables[2];
	struct fastpath_side sides[NSIDES];
	struct fastpath_left left[NSIDES];
	struct share share;     /* any worker's */
	uint32_t held;          /* enum fastpath_held */
	uint32_t ways_half;     /* of the map `ways`: that of the rules in use */
	uint32_t client6;       /* the map client6 has room for clients */
	uint32_t mode;          /* enum mode */
	uint32_t filters_parts; /* of their maps: bits of those that an attached program may name */
	uint32_t filtered;      /* the filters' program is there */
	uint32_t routes; /* not a cable: each packet loses one of its TTL, and must fit the link's
	                    MTU */
	/* what the table was made for, as the rules have it */
	uint32_t max_connections, max_half_open;
	uint32_t maps[FASTPATH_MAPS_MAX]; /* the kernel's numbers of those that belong together, by
	                                     enum loaded_map; the last to be written */
};

/*
 * If the programs leave all segments of flows to the process for now. If there is no process any
 * more, flows under FASTPATH_HELD go on in the kernel; those under FASTPATH_RENAMED can't, as in
 * the middle of a renaming a name may mean one IPv6 address to some flows and another one to
 * others.
 */
enum fastpath_held { FASTPATH_FREE, FASTPATH_HELD, FASTPATH_RENAMED };

/*
 * Element of the map `ways`, by number of the server: where that is. While `known` is 0 the rest
 * may change; a reader reads `known` before and after the rest. Whenever the rest has changed
 * `known` gets another number, so that a reader who was held up in between sees it.
 *
 * The map has two halves of FASTPATH_WAYS. While rules follow upon others that number servers
 * otherwise, one half has the old numbers and the other one the new ones: a flow has either, one
 * after the other gets the new one, and by its addresses it is found which. At other times nothing
 * is known in the half that isn't in use.
 */
struct fastpath_way {
	struct ip6 address; /* the server's, that of IPv4 being mapped: who comes after has other
	                       numbers, and names */
	struct hop hop;
	uint8_t known;
	uint32_t used; /* the program has sent something there: set by it, cleared by the process */
	struct flow_sum
	        sum; /* what its flows have carried: the program adds to it, the process takes it */
	be32 name, vip; /* of the server and its farm, as its flows have them */
	uint8_t times;  /* the last number of `known`, after which 1 to 255 begin again */
	uint8_t unused[7];
};

enum { FASTPATH_WAYS = RULES_SERVERS_KEPT_MAX };

/* If it is the way of the flows with that server of that VIP. */
static inline bool fastpath_is_way(const struct fastpath_way *way, be32 server, be32 vip)
{
	return be32_eq(way->name, server) && be32_eq(way->vip, vip);
}

static_assert(sizeof(struct fastpath_way) == 64, "a lookup is a shift");

/* What the time was in ticks, at that count of the kernel's, since an epoch. */
struct fastpath_clock {
	uint64_t jiffies, epoch_ns;
	uint64_t tick;
};

/* One for each processor: only programs on that processor write it, without locks; the process
 * reads all of them. */
struct fastpath_counts {
	uint64_t whys[LB_NWHYS];                 /* frames that went no further than here */
	uint64_t received[NSIDES], sent[NSIDES]; /* the same by port */
	uint64_t received_bytes[NSIDES], sent_bytes[NSIDES];
	uint64_t unsent[NSIDES];     /* frames that didn't fit the port out, or it had no link */
	uint64_t punted[NSIDES];     /* to the process */
	uint64_t unattended[NSIDES]; /* would have been, but there was none */
	struct fastpath_clock clock; /* the last: no count */
};

enum { FASTPATH_NCOUNTS = offsetof(struct fastpath_counts, clock) / sizeof(uint64_t) };

/* The Ethernet address at p as a number. */
static inline uint64_t fastpath_mac(const uint8_t *p)
{
	return word16_load(p) | (uint32_t)word16_load(p + 2) << 16 |
	       (uint64_t)word16_load(p + 4) << 32;
}

/* An address as the table has it: of IPv4 the upper half is 0. */
struct fastpath_key {
	uint64_t high, low;
	uint32_t ipv6;
};

static inline struct fastpath_key fastpath_key4(be32 ip)
{
	return (struct fastpath_key){.low = word32_load(&ip)};
}

static inline struct fastpath_key fastpath_key6(const struct ip6 *ip)
{
	return (struct fastpath_key){
	        .high = word64_load(ip->b), .low = word64_load(ip->b + 8), .ipv6 = 1};
}

/* A process that has not said for so long that it is well is taken for dead. */
#define FASTPATH_STALE_NS (2 * LB_NS_PER_S)

enum { FASTPATH_PROBES = 8 }; /* places that a lookup looks at */

/* A place of the map `addresses`. kinds are ADDRESS_..., 0: empty. */
struct fastpath_address {
	struct fastpath_key key;
	be32 name;     /* the IPv4 address, or the IPv6 address's name */
	uint16_t vlan; /* in which it counts, or VLAN_ANY */
	uint16_t kinds;
};

/* The first place to look for an address. */
static inline uint32_t fastpath_place(const struct fastpath_table *table,
                                      const struct fastpath_key *key)
{
	uint64_t hash = key->high ^ key->low * 3;

	/* what differs in the last bytes of an address is in the upper bits */
	hash = (hash ^ hash >> 32) * table->factor;
	return (uint32_t)(hash >> 40) & table->mask;
}

static inline bool fastpath_is_at(const struct fastpath_address *place,
                                  const struct fastpath_key *key, uint16_t vlan)
{
	return place->key.low == key->low && place->key.high == key->high &&
	       place->key.ipv6 == key->ipv6 && vlan_matches(place->vlan, vlan);
}

/*
 * What the first program tells the second one, in skb->cb: where layer 3 begins; whether the frame
 * crosses if it is no flow's; if it is of IPv6, 1 and the bytes of options before TCP (jumbo6());
 * and of IPv4 which flow it may be of (foresee4()).
 */
enum { FASTPATH_CB_L3, FASTPATH_CB_CROSSES, FASTPATH_CB_IPV6, FASTPATH_CB_GUESS };

/* And what the filters' program, if there is one, has told the first one: the packets that the
 * frame stands for, times FILTER_PARTS, and which part of the map `filters` it asked; and in two
 * words which ones have matched, as bits. */
enum { FASTPATH_CB_PACKETS = 0, FASTPATH_CB_MATCHED = 3 };

/* The maps of filters have several parts, of which each program names one. One part would do, and
 * another one to fill; but a process that dies while it exchanges the programs of both sides leaves
 * two that are in use. */
enum { FILTER_PARTS_SHIFT = 2, FILTER_PARTS = 1 << FILTER_PARTS_SHIFT };

enum {
	FILTER_IMAGE_BYTES = 256,
	FILTER_PART = RULES_FILTERS_MAX, /* places of a part */
	FILTER_SEEN_BYTES = 112,
	FILTER_FIELDS = 16
};

/* What filters look at. */
struct filter_image {
	uint64_t matched; /* which ones have, so far */
	uint32_t len;     /* of the frame, or of the first packet that it was made of */
	uint32_t shift;   /* bytes that the frame has not: a tag that the kernel has taken out. Less
	                     those that the image has not, of a header that it has put in */
	uint32_t packets; /* that the frame was made of */
	uint32_t scratch;
	uint64_t candidates;          /* those that may match (sieve.h) */
	uint64_t left[FILTER_FIELDS]; /* by each field that was looked up */
	struct first_notes first;
	uint8_t bytes[FILTER_IMAGE_BYTES];
	uint8_t beyond[FIRST_BEYOND]; /* first.h reads as far */
};

/* Of the map `filters`, in its parts: what is done by a filter. */
struct fastpath_filter {
	uint64_t cost_ns, depth_ns; /* of a packet, and of the bucket; of no rate 0 */
	uint64_t paid_ns;
	uint32_t action; /* enum rules_filter_action */
	uint32_t log;
};

/* Of the map `filter_counts`, all parts for each processor: as struct firewall_counts. */
struct fastpath_filter_counts {
	uint64_t matched, over, dropped;
	uint64_t last_ns;
};

/* Of the map `filter_seen`, in its parts: a frame for the log, when one is wanted. */
struct fastpath_filter_seen {
	uint32_t wanted,
	        ready; /* set by the process, and by the program; cleared by the other one */
	uint32_t over, side;
	uint32_t len;
	uint8_t bytes[FILTER_SEEN_BYTES - 4];
};

static_assert(sizeof(struct fastpath_filter) == 32 && sizeof(struct fastpath_filter_counts) == 32 &&
                      sizeof(struct fastpath_filter_seen) == 128,
              "a lookup is a shift");

#endif
