/*
 * A frame on loan, and where frames come from and go to at layer 2.
 */
#ifndef LB_FRAME_H
#define LB_FRAME_H

#include "bytes.h"
#include "wire.h"

/* The sides of tmbridge: the switch, clients and router are outside, the servers inside. */
enum side { OUTSIDE, INSIDE };
enum { NSIDES = 2 };

enum {
	/*
	 * The TCP checksum field holds the pseudo header's sum only, not complemented, ports not in
	 * it: whoever sends the frame last completes it (Linux CHECKSUM_PARTIAL,
	 * VIRTIO_NET_HDR_F_NEEDS_CSUM).
	 */
	FRAME_CSUM_PARTIAL = 1 << 0,
};

enum {
	FRAME_TAGS_MAX = 2, /* VLAN tags that are looked behind */
	FRAME_TAG_BYTES = 4,
	FRAME_HEADROOM = FRAME_TAGS_MAX * FRAME_TAG_BYTES,
};

/* Ports own the bytes; whoever gets a frame has it for one call. */
struct frame {
	uint8_t *data;     /* the destination MAC first, all VLAN tags in place */
	uint32_t len;      /* bytes at data */
	uint32_t wire_len; /* bytes it had on the wire: more than len in a capture that cut it */
	uint32_t headroom; /* bytes before data that may be written */
	uint16_t merged; /* bytes of payload of each packet of a merged frame; 0: it isn't merged */
	uint8_t side;    /* enum side it came in by */
	uint8_t flags;   /* FRAME_... */
	void *port_data; /* the receiving port's own, carried along untouched; NULL: none */
};

/* TPIDs of VLAN tags; the names of struct hop's tpid. */
enum hop_tpid { TPID_8021Q, TPID_8021AD, TPID_QINQ_OLD };

/* The EtherType that announces such a tag. */
static inline uint16_t tpid_ethertype(unsigned tpid)
{
	return tpid == TPID_8021Q    ? ETHERTYPE_8021Q
	       : tpid == TPID_8021AD ? ETHERTYPE_8021AD
	                             : ETHERTYPE_QINQ_OLD;
}

/* If an EtherType announces a tag, says of which kind. */
static inline bool tpid_of(uint16_t ethertype, unsigned *ret)
{
	*ret = ethertype == ETHERTYPE_8021Q    ? TPID_8021Q
	       : ethertype == ETHERTYPE_8021AD ? TPID_8021AD
	                                       : TPID_QINQ_OLD;
	return ethertype == tpid_ethertype(*ret);
}

/* A neighbour as layer 2 sees it: on which side, behind which tags, at which MAC. */
struct hop {
	struct mac mac;
	be16 tci[FRAME_TAGS_MAX]; /* outer first */
	uint8_t side : 1;         /* enum side */
	uint8_t ntags : 2;
	uint8_t tpid0 : 2, tpid1 : 2; /* enum hop_tpid of either tag */
	uint8_t unused : 1;           /* named, so that it is 0 and hops can be compared as bytes */
};

static_assert(sizeof(struct hop) == 11, "struct hop is kept for each flow");

/* VLANs as lb.ini names them, by ID: those of frames with one 802.1Q tag. */
enum {
	VLAN_NONE = 0, /* untagged, or tagged for its priority alone (IEEE 802.1Q, 9.6) */
	VLAN_ID_MASK = 0xfff,
	VLAN_OTHER = 0xfffe, /* behind other tags than that one: no VLAN that a rule can name */
	VLAN_ANY = 0xffff,   /* of a rule: all of them */
};

/* The VLAN that a neighbour is in. */
static inline uint16_t hop_vlan(const struct hop *hop)
{
	if (!hop->ntags)
		return VLAN_NONE;
	if (hop->ntags > 1 || hop->tpid0 != TPID_8021Q)
		return VLAN_OTHER;
	return be16_get(hop->tci[0]) & VLAN_ID_MASK;
}

/* If both are in one VLAN: behind the same tags, whatever their priority. */
static inline bool hop_shares_vlan(const struct hop *a, const struct hop *b)
{
	bool same = a->ntags == b->ntags && a->tpid0 == b->tpid0 && a->tpid1 == b->tpid1;

	if (hop_vlan(a) != VLAN_OTHER)
		return hop_vlan(a) == hop_vlan(b);
	for (unsigned i = 0; i < FRAME_TAGS_MAX; i++)
		same &= !((be16_get(a->tci[i]) ^ be16_get(b->tci[i])) & VLAN_ID_MASK);
	return same;
}

/* If a rule for VLAN `rule` (or VLAN_ANY) holds for a frame in vlan. */
static inline bool vlan_matches(uint16_t rule, uint16_t vlan)
{
	return rule == VLAN_ANY || rule == vlan;
}

#endif
