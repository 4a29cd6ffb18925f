/* What a frame's addresses are to us where it came from. */
#ifndef LB_SCENE_H
#define LB_SCENE_H

#include "farms.h"
#include "verdict.h"

/* What decides upon a frame, besides the frame itself, before flows are looked up. */
struct scene {
	const struct mac *macs; /* the ports' own, by enum side */
	const struct farms *farms;
	const uint64_t *factors6; /* of name_hashed() */
	bool has_stack;           /* rules_has_stack() */
	uint8_t held;             /* sides (1 << side) from which all frames are the wire's */
	bool is_special; /* has_stack, or held isn't 0: mostly neither is so, and then one look is
	                    enough */
};

/* If the MAC address at p is one of our ports'. */
static inline bool scene_is_own_mac(const struct scene *scene, const uint8_t *p)
{
	return !memcmp(p, &scene->macs[OUTSIDE], sizeof(scene->macs[0])) ||
	       !memcmp(p, &scene->macs[INSIDE], sizeof(scene->macs[0]));
}

/* If another host than we can have the MAC address: one of ours comes from a mirror or a loop that
 * sends our own frames back, and says nothing about where somebody is. */
static inline bool scene_is_hosts_mac(const struct scene *scene, const struct mac *mac)
{
	return mac_is_host(mac) && !scene_is_own_mac(scene, mac->b);
}

/* What an address, of IPv6 its name, is to us in the VLAN in which the packet came; and what the
 * packet's source or destination is, an ARP packet included. Never NULL. */
const struct address *scene_find(const struct scene *scene, const struct packet *packet,
                                 be32 address);
const struct address *scene_src(const struct scene *scene, const struct packet *packet);
const struct address *scene_dst(const struct scene *scene, const struct packet *packet);

/* The name of an IPv6 address: the rules' name, or else its hash. */
be32 scene_name(const struct scene *scene, const struct ip6 *ip);

/* If we answer for the address, which is of these kinds (ADDRESS_...), on that side: the host may
 * do so where it has the address itself. */
bool scene_is_ours_on(const struct scene *scene, be32 address, uint8_t kinds, uint8_t side);

/*
 * If a TCP packet that arrives with that tuple is the host's: its destination is one of the host's
 * own addresses, and local.h doesn't take it.
 */
bool scene_is_hosts(const struct scene *scene, const struct packet *packet,
                    const struct tuple *tuple);

/* If no host can have sent the packet, or nobody may answer it (RFC 1122, 3.2.1.3 and 4.2.3.10). */
bool scene_is_martian(const struct scene *scene, const struct frame *frame,
                      const struct packet *packet);

/* Settles the verdict of a frame that isn't for us: across, or the host's. */
void scene_settle_other(const struct scene *scene, const struct frame *frame, struct verdict *ret);

/* Settles the verdict of a packet that belongs to no flow: it is dropped for the reason why if it
 * is addressed to us; else it isn't for us. */
void scene_settle_no_flow(const struct scene *scene, const struct frame *frame,
                          const struct packet *packet, enum lb_why why, struct verdict *ret);

#endif
