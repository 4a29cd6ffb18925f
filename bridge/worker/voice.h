/*
 * Sends frames that tmbridge makes itself.
 */
#ifndef BRIDGE_VOICE_H
#define BRIDGE_VOICE_H

#include "maker.h"
#include "neigh.h"
#include "tap.h"
#include "../../lb/rules.h"

/* By two ports, which must stay. */
struct voice {
	struct port *ports[NSIDES]; /* by enum side */
	struct maker *maker;
	struct tap *tap; /* gets a copy of each frame; or NULL */
	uint8_t held;    /* sides (1 << side) on which nothing is sent */
};

/* Returns 0, or -ENOMEM with the reason logged. voice_close() is due in either case. */
int voice_open(struct voice *voice, struct port *const ports[NSIDES]);
void voice_close(struct voice *voice);

/* If nothing would be sent on any of these sides. */
static inline bool voice_is_mute(const struct voice *voice, unsigned sides)
{
	return !(sides & ~(unsigned)voice->held);
}

/* Sends what is queued on both ports, also by others. */
void voice_flush(struct voice *voice, lb_time now);

/* Makes and queues a frame to own->to; request is what it answers, or NULL. */
void voice_say(struct voice *voice, const struct own *own, const struct frame *request,
               lb_time now);

/*
 * Makes and sends all frames of list, which is empty then. None of them answers a frame. One for a
 * server whose place neigh doesn't know is dropped.
 */
void voice_say_all(struct voice *voice, struct neigh_table *neigh, struct own_list *list,
                   lb_time now);

/*
 * Makes and queues a request for target from sender, to one neighbour or, by way_everybody(), to
 * everybody: ARP or, if they are names of rules, neighbour discovery.
 */
void voice_ask(struct voice *voice, const struct rules *rules, be32 sender, be32 target,
               const struct hop *to, lb_time now);

/* The same with a probe for an address that we are about to use; with its announcement. */
void voice_probe(struct voice *voice, const struct rules *rules, be32 ip, const struct hop *to,
                 lb_time now);
void voice_announce(struct voice *voice, const struct rules *rules, be32 ip, const struct hop *to,
                    lb_time now);

/*
 * The same with a report that we listen to where solicitations for an IPv6 address go (RFC 3810).
 */
void voice_join(struct voice *voice, enum own_mld kind, const struct rules *rules, be32 ip,
                const struct hop *to, lb_time now);

#endif
