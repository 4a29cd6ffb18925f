/* What a frame's addresses are to us where it came from. That depends on rules and ports alone,
 * never on flows. In a VLAN that isn't their farm's our addresses are somebody else's. */
#include "scene.h"

#include "wire.h"

const struct address *scene_find(const struct scene *scene, const struct packet *packet,
                                 be32 address)
{
	const struct addresses *addresses = &scene->farms->addresses;
	const uint16_t vlan = hop_vlan(&packet->from);

	return packet->kind == PACKET_IPV6 ? addresses_find_name(addresses, address, vlan)
	                                   : addresses_find(addresses, address, vlan);
}

const struct address *scene_src(const struct scene *scene, const struct packet *packet)
{
	return scene_find(scene, packet, packet->tuple.src);
}

const struct address *scene_dst(const struct scene *scene, const struct packet *packet)
{
	return scene_find(scene, packet, packet->tuple.dst);
}

be32 scene_name(const struct scene *scene, const struct ip6 *ip)
{
	be32 known;

	return addresses_name(&scene->farms->addresses, ip, &known)
	               ? known
	               : name_hashed(scene->factors6, ip);
}

bool scene_is_ours_on(const struct scene *scene, be32 address, uint8_t kinds, uint8_t side)
{
	return kinds & ADDRESS_OURS &&
	       (!scene->has_stack || way_is_ours(scene->farms->rules, address, (enum side)side));
}

bool scene_is_hosts(const struct scene *scene, const struct packet *packet,
                    const struct tuple *tuple)
{
	const struct addresses *addresses = &scene->farms->addresses;
	const struct address *dst = scene_find(scene, packet, tuple->dst);
	const struct address *src = scene_find(scene, packet, tuple->src);
	unsigned farm, service;

	if (!(dst->kinds & ADDRESS_HOST))
		return false;
	if (farms_service(scene->farms, dst, tuple->dport, &farm, &service))
		return false;
	return !(src->kinds & ADDRESS_SERVER &&
	         local_is_answer(addresses->local, tuple->sport, tuple->dport));
}

bool scene_is_martian(const struct scene *scene, const struct frame *frame,
                      const struct packet *packet)
{
	bool is_host = packet->kind == PACKET_IPV6 ? ip6_is_host(packet->src6)
	                                           : be32_is_host(packet->tuple.src);

	return frame->data[ETH_DST] & 1 || !mac_is_host(&packet->from.mac) || !is_host ||
	       scene_src(scene, packet)->kinds & ADDRESS_OURS;
}

void scene_settle_other(const struct scene *scene, const struct frame *frame, struct verdict *ret)
{
	bool to_host = scene->has_stack || (frame->len >= ETH_HEADER_BYTES &&
	                                    scene_is_own_mac(scene, frame->data + ETH_DST));

	verdict_settle(ret, to_host ? WHY_TO_HOST : WHY_NOT_OURS);
}

void scene_settle_no_flow(const struct scene *scene, const struct frame *frame,
                          const struct packet *packet, enum lb_why why, struct verdict *ret)
{
	if (scene_dst(scene, packet)->kinds & ADDRESS_OURS)
		verdict_settle(ret, why);
	else
		scene_settle_other(scene, frame, ret);
}
