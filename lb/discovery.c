/*
 * ARP and neighbour discovery (RFC 826, RFC 4861). Who asks for an address of ours is answered;
 * what others say of theirs is noted in the verdict as a sighting, for those who keep where servers
 * and clients are; who claims an address of ours is a conflict (RFC 5227).
 */
#include "discovery.h"

#include "wire.h"

/* Notes in v, whose sighting is there, if it is to be followed: it is of a host and not of us, and
 * that host can be on the side that it came by. */
static void note_heard(const struct scene *scene, bool is_hosts, struct verdict *v)
{
	v->heard = is_hosts && !v->conflict &&
	           way_may_be_on(scene->farms->rules, &v->sighting.address,
	                         (enum side)v->sighting.hop.side);
}

void discovery_arp(const struct scene *scene, const struct packet *packet, struct verdict *v)
{
	uint8_t sender = scene_src(scene, packet)->kinds;
	uint8_t target = scene_dst(scene, packet)->kinds;
	const bool is_hosts = scene_is_hosts_mac(scene, &packet->arp_sender);

	v->sighted = is_hosts && sender & (ADDRESS_SERVER | ADDRESS_NEXT);
	v->conflict = scene_is_ours_on(scene, packet->tuple.src, sender, packet->from.side);
	v->sighting = (struct sighting){.address = ip6_mapped(packet->tuple.src),
	                                .ip = packet->tuple.src,
	                                .hop = packet->from,
	                                .overrides = true};
	v->sighting.hop.mac = packet->arp_sender;
	note_heard(scene, is_hosts && packet->arp_oper && be32_is_host(packet->tuple.src), v);
	if (!scene_is_ours_on(scene, packet->tuple.dst, target, packet->from.side))
		return;
	if (!mac_is_host(&packet->arp_sender)) {
		verdict_settle(v, WHY_MARTIAN);
	} else if (packet->arp_oper == ARP_REQUEST) {
		verdict_answer(v, WHY_ARP_REPLY, packet, OWN_ARP_REPLY);
		v->own.to.mac = packet->arp_sender;
	} else if (v->conflict) {
		verdict_settle(v, WHY_ARP_CONFLICT);
	} else {
		verdict_settle(v, packet->arp_oper == ARP_REPLY ? WHY_ARP_LEARNED : WHY_ARP_OTHER);
	}
}

/* What the address is to us where the packet came from; sets its name if it has one. */
static uint8_t kinds_of_ip6(const struct scene *scene, const struct packet *packet,
                            const struct ip6 *ip, be32 *ret)
{
	return addresses_name(&scene->farms->addresses, ip, ret)
	               ? scene_find(scene, packet, *ret)->kinds
	               : 0;
}

/* Settles a solicitation for one of our addresses. One without a source address is of a host that
 * is about to use it itself: a conflict. */
static void answer_nd(const struct packet *packet, const struct nd *nd, struct verdict *v)
{
	static const struct ip6 unspecified;

	const bool is_new = ip6_eq(packet->src6, &unspecified);

	if (!mac_is_host(&nd->mac) || (!is_new && !ip6_is_host(packet->src6)))
		return verdict_settle(v, WHY_MARTIAN);
	verdict_answer(v, WHY_ND_REPLY, packet, OWN_ND_REPLY);
	v->own.to.mac = nd->mac;
	v->own.src6 = *nd->target;
	v->conflict |= is_new;
}

/* Notes in v what neighbour discovery says about whose address is where: an advertisement about its
 * target, a solicitation about its source; kinds and name are that address's. */
static void sight_nd(const struct scene *scene, const struct packet *packet, const struct nd *nd,
                     uint8_t kinds, be32 name, struct verdict *v)
{
	const struct ip6 *address = nd->is_solicitation ? packet->src6 : nd->target;
	const bool is_hosts = scene_is_hosts_mac(scene, &nd->mac);

	v->sighted = is_hosts && kinds & (ADDRESS_SERVER | ADDRESS_NEXT);
	v->conflict = scene_is_ours_on(scene, name, kinds, packet->from.side);
	v->sighting = (struct sighting){
	        .address = *address, .ip = name, .hop = packet->from, .overrides = nd->overrides};
	v->sighting.hop.mac = nd->mac;
	note_heard(scene, is_hosts && nd->has_mac && ip6_is_host(address), v);
}

bool discovery_nd(const struct scene *scene, struct frame *frame, struct packet *packet,
                  struct verdict *v)
{
	be32 target_name = {0}, sender_name = {0}, receiver_name = {0};
	uint8_t target, sender, receiver;
	struct nd nd;

	if (!parse_nd(frame, packet, &nd) || !parse_ip(frame, packet) ||
	    !parse_l4_checksum_ok(frame, packet))
		return false;
	target = kinds_of_ip6(scene, packet, nd.target, &target_name);
	sender = kinds_of_ip6(scene, packet, nd.is_solicitation ? packet->src6 : nd.target,
	                      &sender_name);
	receiver = kinds_of_ip6(scene, packet, packet->dst6, &receiver_name);
	sight_nd(scene, packet, &nd, sender, sender ? sender_name : target_name, v);
	if (scene_is_ours_on(scene, target_name, target, packet->from.side)) {
		if (nd.is_solicitation)
			answer_nd(packet, &nd, v);
		else
			verdict_settle(v, WHY_ND_CONFLICT);
	} else if (scene_is_ours_on(scene, receiver_name, receiver, packet->from.side)) {
		verdict_settle(v, nd.is_solicitation ? WHY_ND_OTHER : WHY_ND_LEARNED);
	} else {
		scene_settle_other(scene, frame, v);
	}
	return true;
}
