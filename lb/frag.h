/*
 * Fragments of packets to us: what the first one decided holds for the others.
 */
#ifndef LB_FRAG_H
#define LB_FRAG_H

#include "arena.h"
#include "frame.h"
#include "parse.h"
#include "share.h"
#include "way.h"

enum {
	FRAG_DATAGRAMS = 256,   /* that are followed at a time */
	FRAG_HELD = 64,         /* fragments that wait for their first one, of all together */
	FRAG_HELD_BYTES = 9216, /* of such a frame: jumbo */
	FRAG_IDS = 256,         /* counters of identifications, shared by pairs of addresses */
	FRAG_TIMEOUT_S = 10,    /* Linux waits for 30, Windows for 60; fragments come together */
};

/* What becomes of a datagram: the addresses that its fragments get, and where they go. */
struct frag_route {
	be32 src, dst;
	struct ip6 src6, dst6; /* of IPv6, instead */
	uint16_t worker;       /* to which they belong */
	struct way way;
	be32 id;             /* the identification that they get */
	uint64_t created_ms; /* when the flow was */
	uint32_t flow;       /* FLOW_NONE: not a flow's: it crosses the wire as it is */
};

enum frag_result {
	FRAG_FIRST,    /* the first fragment: for the flow table, then frag_decide() */
	FRAG_ROUTED,   /* goes as the first one did */
	FRAG_WAITS,    /* a copy is kept until the first one comes */
	FRAG_OVERLAPS, /* with one that came before */
	FRAG_TINY,     /* doesn't hold, or would overwrite, the TCP header (RFC 1858) */
	FRAG_NO_ROOM,  /* to wait: it is too long, or too many of the same datagram do */
};

struct frag_datagram;
struct frag_held;

struct frags {
	struct frag_datagram *datagrams;
	struct frag_held *held;
	uint32_t nheld;
	uint32_t ids[FRAG_IDS]; /* how many datagrams got one */
	lb_time looked;         /* for what has expired */
	uint64_t expired;       /* fragments that waited in vain */
	uint64_t evicted;       /* datagrams given up for others */
};

void frags_lay_out(struct frags *frags, struct arena *arena);

/*
 * Takes note of a fragment, an IP packet that parse_ip() has checked and says is one. With
 * FRAG_ROUTED sets *ret_route, with FRAG_FIRST and FRAG_ROUTED *ret_datagram.
 */
enum frag_result frags_take(struct frags *frags, const struct frame *frame,
                            const struct packet *packet, lb_time now,
                            const struct frag_route **ret_route, uint32_t *ret_datagram);

/*
 * An identification for fragments that go with the route's addresses; unique, as far as the 16 bits
 * of IPv4's allow, among those that share of n gives to the same pair of addresses, and those that
 * the others do (RFC 6864, 4.2).
 */
be32 frags_new_id(struct frags *frags, const struct frag_route *route, const struct share *share,
                  bool ipv6);

/* Has identifications begin at numbers that nobody can guess (RFC 7739). */
void frags_seed(struct frags *frags, const struct hash_key *key);

/* Notes where the first fragment of a datagram went: the others follow it. */
void frags_decide(struct frags *frags, uint32_t datagram, const struct frag_route *route);

/*
 * Takes out a fragment that waited and whose datagram has been decided upon since; false if there
 * is none. The frame is valid until the next frags_take().
 */
bool frags_release(struct frags *frags, struct frame *ret, const struct frag_route **ret_route);

/* Moves what is known of datagrams to other numbers of servers: map gives the new one by the old
 * one, or SERVER_NONE for a server that is gone. */
void frags_renumber(struct frags *frags, const uint16_t *map);

/* Forgets what has waited for too long. */
void frags_expire(struct frags *frags, lb_time now);

#endif
