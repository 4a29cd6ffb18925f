/*
 * The steering program (bridge/port/steer.c) decides the same by headers alone; here it follows
 * from what the rules say of the packet's addresses.
 */
#include "owner.h"

static bool is_service(const struct farms *farms, const struct address *address, be16 port)
{
	unsigned farm, service;

	return farms_service(farms, address, port, &farm, &service);
}

unsigned owner_of(const struct farms *farms, const struct tuple *arriving, const struct ip6 *src6,
                  const struct ip6 *dst6, uint16_t vlan)
{
	const struct addresses *addresses = &farms->addresses;
	const struct share *share = &farms->share;
	const struct address *src = src6 ? addresses_find_name(addresses, arriving->src, vlan)
	                                 : addresses_find(addresses, arriving->src, vlan);
	const struct address *dst = dst6 ? addresses_find_name(addresses, arriving->dst, vlan)
	                                 : addresses_find(addresses, arriving->dst, vlan);

	/*
	 * An answer to a probe looks like a client's packet if the VIP serves the port that the
	 * probe came from. So all that a server sends to such a port belongs to the first worker,
	 * which probes. A server that is a client there has its flow with the first worker as well,
	 * the server's end of it included.
	 */
	if (dst->kinds & ADDRESS_OURS && src->kinds & ADDRESS_SERVER &&
	    rules_is_probe_port(arriving->dport))
		return 0;
	if (is_service(farms, dst, arriving->dport))
		return share_of_client(
		        share, src6 ? share_address6(share, src6) : share_address(arriving->src),
		        arriving->sport);
	if (src->kinds & ADDRESS_NO_SNAT && !(dst->kinds & ADDRESS_OURS))
		return share_of_client(
		        share, dst6 ? share_address6(share, dst6) : share_address(arriving->dst),
		        arriving->dport);
	return share_of_port(share, arriving->dport);
}
