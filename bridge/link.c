/*
 * Asking the kernel about an interface, by rtnetlink: unlike sysfs it always speaks of the network
 * namespace that this process is in.
 */
#include "link.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

enum { LINK_REPLY_BYTES = 32 << 10 }; /* rtnetlink(7): link messages can be large */

static int read_attribute(const struct nlattr *attribute, void *data)
{
	struct link *link = data;

	switch (mnl_attr_get_type(attribute)) {
	case IFLA_MTU:
		link->mtu = mnl_attr_get_u32(attribute);
		break;
	case IFLA_MASTER:
		link->master = (int)mnl_attr_get_u32(attribute);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attribute) == sizeof(link->mac))
			memcpy(&link->mac, mnl_attr_get_payload(attribute), sizeof(link->mac));
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int read_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct link *link = data;

	*link = (struct link){.index = info->ifi_index,
	                      .up = info->ifi_flags & IFF_UP,
	                      .ethernet = info->ifi_type == ARPHRD_ETHER};
	return mnl_attr_parse(message, sizeof(*info), read_attribute, link);
}

static struct nlmsghdr *make_request(char *buffer, const char *name)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info;

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST;
	request->nlmsg_seq = 1;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	return request;
}

int link_query(const char *name, struct link *ret)
{
	char buffer[LINK_REPLY_BYTES];
	struct mnl_socket *socket;
	struct link link = {0};
	ssize_t n = -1;
	int err = 0;

	if (strlen(name) >= IF_NAMESIZE)
		return -ENODEV;
	socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, buffer, make_request(buffer, name)->nlmsg_len) < 0 ||
	    (n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer))) < 0 ||
	    mnl_cb_run(buffer, (size_t)n, 1, mnl_socket_get_portid(socket), read_link, &link) < 0)
		err = -errno;
	mnl_socket_close(socket);
	if (!err)
		*ret = link;
	return err;
}
