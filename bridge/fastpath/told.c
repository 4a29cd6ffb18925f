/*
 * Some frames that cross in the kernel also come to the process as a copy, such as ARP of others. A
 * copy looks like any frame that the process is to handle. So whether one is a copy is found out
 * here, by judging the frame as the programs did.
 */
#include "told.h"

#include "known.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

static bool is_ours(const struct fastpath_conf *conf, const struct fastpath_address *places,
                    struct fastpath_key key, const struct packet *packet)
{
	return known_kinds(conf, places, &key, hop_vlan(&packet->from)) & ADDRESS_OURS;
}

/* As judge_nd() in judge.bpf.h does it: the target of neighbour discovery, or NULL. */
static const struct ip6 *nd_target(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *ip = frame->data + packet->l3, *nd = ip + IPV6_HEADER_BYTES;

	if (ip[IPV6_NEXT_HEADER] != IPPROTO_NUM_ICMPV6 ||
	    frame->len < packet->l3 + (uint32_t)IPV6_HEADER_BYTES + ND_BYTES ||
	    (nd[ICMP_TYPE] != ND_SOLICITATION && nd[ICMP_TYPE] != ND_ADVERTISEMENT))
		return NULL;
	return (const struct ip6 *)(nd + ND_TARGET);
}

/* Likewise as the programs see it. */
static bool is_mld_query(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *ip = frame->data + packet->l3, *next = ip + IPV6_HEADER_BYTES;

	return ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_HOP_BY_HOP && ip[IPV6_DST] == 0xff &&
	       frame->len > packet->l3 + (uint32_t)IPV6_HEADER_BYTES + MLD_OPTIONS_BYTES &&
	       next[0] == IPPROTO_NUM_ICMPV6 && next[1] == 0 &&
	       next[MLD_OPTIONS_BYTES] == MLD_QUERY;
}

bool told_is_one(const struct fastpath_conf *conf, const struct fastpath_address *places,
                 const struct frame *frame)
{
	const struct ip6 *target;
	struct packet packet;

	parse_frame(frame, &packet);
	if (packet.kind == PACKET_ARP)
		return !is_ours(conf, places, fastpath_key4(packet.tuple.dst), &packet);
	if (packet.kind != PACKET_IPV6)
		return false;
	if (is_mld_query(frame, &packet))
		return true;
	target = nd_target(frame, &packet);
	return target && !is_ours(conf, places, fastpath_key6(target), &packet) &&
	       !is_ours(conf, places, fastpath_key6(packet.dst6), &packet);
}
