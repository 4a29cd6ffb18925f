/*
 * The first step of the engine: what a frame is, and all that can be settled without a flow.
 */
#ifndef LB_SCREEN_H
#define LB_SCREEN_H

#include "icmp.h"
#include "scene.h"

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

/*
 * Says what is left to do for the frame. Fills in job but for its hash, and unless that is
 * REST_PLAIN or REST_PLAIN_IPV6 what ret has of the packet; with REST_NONE the verdict in ret is
 * settled.
 */
enum rest screen_frame(const struct scene *scene, struct frame *frame, struct job *job,
                       struct verdict *ret);

/* Reads the rest of a plain frame; what is left to do for it is then REST_TCP. */
void screen_plain(const struct scene *scene, const struct frame *frame, struct job *job,
                  struct verdict *ret);

/* The key for the flow of a TCP packet, parsed by parse_tcp(). */
void screen_key(const struct packet *packet, struct flow_key *ret);

#endif
