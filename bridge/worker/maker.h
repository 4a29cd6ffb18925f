/*
 * The frames that tmbridge makes itself.
 */
#ifndef BRIDGE_MAKER_H
#define BRIDGE_MAKER_H

#include "../../lb/lb.h"
#include "../port/port.h"

struct maker;

/* Builds the templates. Returns NULL if libnet can't, with the reason logged. */
struct maker *maker_new(void);
void maker_free(struct maker *maker);

/* Starts anew with the space for frames: those made before must have been sent. */
void maker_reuse(struct maker *maker);

/*
 * Makes the frame that own describes, to go to own->to by port; request is what it answers, if it
 * is an answer to a frame. Returns false, with *ret
 * untouched, when the space for this burst's frames is used up; ret lives until maker_reuse().
 */
bool maker_make(struct maker *maker, const struct own *own, const struct frame *request,
                const struct port *port, struct frame *ret);

/*
 * Makes an ARP packet (RFC 826) from port. A request for target from sender; if both are the same,
 * an announcement (RFC 5227, 2.3); with sender 0.0.0.0, a probe for target (2.1.1). to is broadcast
 * in all of these, and may carry tags. As for the result, see maker_make().
 */
bool maker_arp_request(struct maker *maker, be32 sender, be32 target, const struct hop *to,
                       const struct port *port, struct frame *ret);

/*
 * Make messages of neighbour discovery (RFC 4861, 4.3 and 4.4): a solicitation for target from
 * sender or, if that is NULL, of one who is about to use the address (RFC 4862, 5.4.2); an
 * unsolicited advertisement of our address ip (RFC 4861, 7.2.6). to gives side and tags; its MAC is
 * replaced by the multicast's, but for a solicitation to one host. As for the result, see
 * maker_make().
 */
bool maker_nd_solicitation(struct maker *maker, const struct ip6 *sender, const struct ip6 *target,
                           const struct hop *to, const struct port *port, struct frame *ret);
bool maker_nd_announcement(struct maker *maker, const struct ip6 *ip, const struct hop *to,
                           const struct port *port, struct frame *ret);

/*
 * Makes a report (RFC 3810, 5.2) that the port listens to the solicited-node address of ip, from
 * its link-local address (RFC 4291, 2.5.6, and appendix A): that it does from now on, or still
 * does; or an old one, which knows no such difference (RFC 2710). As for the result, see
 * maker_make().
 */
enum own_mld { OWN_MLD_CHANGE, OWN_MLD_ANSWER, OWN_MLD_OLD };

bool maker_mld_report(struct maker *maker, enum own_mld kind, const struct ip6 *ip,
                      const struct hop *to, const struct port *port, struct frame *ret);

#endif
