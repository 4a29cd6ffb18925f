/*
 * The first step of the engine: what a frame is, and all that can be settled without a flow.
 */
#ifndef LB_SCREEN_H
#define LB_SCREEN_H

#include "farms.h"
#include "flows.h"
#include "icmp.h"
#include "verdict.h"

/*
 * What is left to do for a frame once it has been screened: what depends on flows. REST_PLAIN and
 * REST_PLAIN_IPV6 are REST_TCP of a plain frame (parse.h), of which so far only the key has been
 * read (plain.h).
 */
enum rest { REST_NONE, REST_PLAIN, REST_PLAIN_IPV6, REST_TCP, REST_FRAGMENT, REST_ICMP_ERROR };

static inline bool rest_is_plain(enum rest rest)
{
	return rest == REST_PLAIN || rest == REST_PLAIN_IPV6;
}

/* A frame on its way through the engine. */
struct job {
	struct packet packet;
	struct icmp_error error; /* REST_ICMP_ERROR */
	struct flow_key key;     /* with which its flow is looked up; not yet of a fragment */
	uint64_t hash;           /* of that */
	uint32_t guess;          /* flows_guess() */
	enum rest rest;
	bool is_sought; /* of a SYN: what follows is known */
	bool is_served; /* its port is one of a farm's */
	unsigned farm, service;
};

/* What screening depends on besides the frame. */
struct screen {
	const struct mac *macs; /* the ports' own, by enum side */
	const struct farms *farms;
	const uint64_t *factors6; /* of name_hashed() */
	bool has_stack;           /* rules_has_stack() */
	uint8_t held;             /* sides (1 << side) from which all frames are the wire's */
	bool is_special; /* has_stack, or held isn't 0: mostly neither is so, and then one look is
	                    enough */
};

/*
 * Says what is left to do for the frame. Fills in job but for its hash, and unless that is
 * REST_PLAIN or REST_PLAIN_IPV6 what ret has of the packet; with REST_NONE the verdict in ret is
 * settled.
 */
enum rest screen_frame(const struct screen *screen, struct frame *frame, struct job *job,
                       struct verdict *ret);

/* Reads the rest of a plain frame; what is left to do for it is then REST_TCP. */
void screen_plain(const struct screen *screen, const struct frame *frame, struct job *job,
                  struct verdict *ret);

/* Settles the verdict of a frame that isn't for us: across, or the host's. */
void screen_settle_other(const struct screen *screen, const struct frame *frame,
                         struct verdict *ret);

/* Settles the verdict of a packet that belongs to no flow: it is dropped for the reason why if it
 * is addressed to us; else it isn't for us. */
void screen_settle_no_flow(const struct screen *screen, const struct frame *frame,
                           const struct packet *packet, enum lb_why why, struct verdict *ret);

/* What the source or destination of a packet, an ARP packet included, is to us; never NULL. */
const struct address *screen_src(const struct screen *screen, const struct packet *packet);
const struct address *screen_dst(const struct screen *screen, const struct packet *packet);

/*
 * If a TCP packet that arrives with that tuple is the host's: its destination is one of the host's
 * own addresses, and local.h doesn't take it.
 */
bool screen_is_hosts(const struct screen *screen, const struct packet *packet,
                     const struct tuple *tuple);

/* If no host can have sent the packet, or nobody may answer it (RFC 1122, 3.2.1.3 and 4.2.3.10). */
bool screen_is_martian(const struct screen *screen, const struct frame *frame,
                       const struct packet *packet);

/* The key for the flow of a TCP packet, parsed by parse_tcp(). */
void screen_key(const struct packet *packet, struct flow_key *ret);

#endif
