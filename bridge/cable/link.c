/*
 * Asking and telling the kernel about an interface, by rtnetlink: unlike sysfs it always speaks of
 * the network namespace that this process is in, and unlike sysctl files it needs no access to any
 * file, so it goes on working where there is none.
 *
 * The kernel answers while it is asked, so nothing here waits, but for other users of its lock on
 * interfaces.
 */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>

enum {
	LINK_REPLY_BYTES = 32 << 10, /* rtnetlink(7): link messages can be large */
	LINK_REQUEST_BYTES = 256,
};

static_assert(LINK_NAME_BYTES == IFNAMSIZ, "room for a name");
static_assert(LINK_ADDRESS_BYTES == INET6_ADDRSTRLEN, "room for an address");

/* IFLA_INET_CONF: the interface's IPv4 sysctls, by IPV4_DEVCONF_... less 1. */
static void read_ipv4_sysctls(const struct nlattr *attribute, struct link *link)
{
	const uint32_t *values = mnl_attr_get_payload(attribute);
	size_t n = mnl_attr_get_payload_len(attribute) / sizeof(*values);

	if (n >= IPV4_DEVCONF_FORWARDING)
		link->forwards = values[IPV4_DEVCONF_FORWARDING - 1];
	if (n >= IPV4_DEVCONF_ARP_IGNORE)
		link->arp_ignore = values[IPV4_DEVCONF_ARP_IGNORE - 1];
}

static int read_ipv4(const struct nlattr *attribute, void *data)
{
	if (mnl_attr_get_type(attribute) == IFLA_INET_CONF)
		read_ipv4_sysctls(attribute, data);
	return MNL_CB_OK;
}

static int read_family(const struct nlattr *family, void *data)
{
	return mnl_attr_get_type(family) == AF_INET ? mnl_attr_parse_nested(family, read_ipv4, data)
	                                            : MNL_CB_OK;
}

static void read_figures(const struct nlattr *attribute, struct link *link)
{
	struct rtnl_link_stats64 figures = {0};
	const size_t bytes = mnl_attr_get_payload_len(attribute);

	memcpy(&figures, mnl_attr_get_payload(attribute),
	       bytes < sizeof(figures) ? bytes : sizeof(figures));
	link->refused = figures.rx_dropped;
}

static int read_attribute(const struct nlattr *attribute, void *data)
{
	struct link *link = data;

	switch (mnl_attr_get_type(attribute)) {
	case IFLA_IFNAME:
		strncpy(link->name, mnl_attr_get_str(attribute), sizeof(link->name) - 1);
		break;
	case IFLA_MTU:
		link->mtu = mnl_attr_get_u32(attribute);
		break;
	case IFLA_CARRIER_DOWN_COUNT:
		link->drops = mnl_attr_get_u32(attribute);
		break;
	case IFLA_MASTER:
		link->master = (int)mnl_attr_get_u32(attribute);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attribute) == sizeof(link->mac))
			memcpy(&link->mac, mnl_attr_get_payload(attribute), sizeof(link->mac));
		break;
	case IFLA_STATS64:
		read_figures(attribute, link);
		break;
	case IFLA_AF_SPEC:
		return mnl_attr_parse_nested(attribute, read_family, link);
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
	                      .carrier = info->ifi_flags & IFF_LOWER_UP,
	                      .promiscuous = info->ifi_flags & IFF_PROMISC,
	                      .ethernet = info->ifi_type == ARPHRD_ETHER};
	return mnl_attr_parse(message, sizeof(*info), read_attribute, link);
}

int link_open(unsigned groups, struct mnl_socket **ret)
{
	struct mnl_socket *socket =
	        mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0));
	int err;

	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		mnl_socket_close(socket);
		return err;
	}
	*ret = socket;
	return 0;
}

struct nlmsghdr *link_begin(char *buffer, uint16_t type, unsigned flags, size_t body)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = type;
	request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	mnl_nlmsg_put_extra_header(request, body);
	return request;
}

/* If the last message of a list is among these. */
static bool has_end(const char *reply, size_t bytes)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)reply;
	int left = (int)bytes;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
			return true;
	return false;
}

int link_ask(struct mnl_socket *socket, struct nlmsghdr *request, link_read *read, void *data)
{
	static unsigned sequence;

	bool is_dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	_Alignas(struct nlmsghdr) char reply[LINK_REPLY_BYTES];
	bool more = true;
	int err = 0;

	request->nlmsg_seq = ++sequence;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (more) {
		ssize_t n = mnl_socket_recvfrom(socket, reply, sizeof(reply));

		if (n < 0)
			return -errno;
		if (((const struct nlmsghdr *)(void *)reply)->nlmsg_seq != sequence)
			continue; /* of an earlier request, whose reply could not be read */
		if (!err && mnl_cb_run(reply, (size_t)n, sequence, mnl_socket_get_portid(socket),
		                       read, data) < 0)
			err = -errno;
		/* all of a list is read, whatever comes of it: the next request would be refused */
		more = is_dump && !has_end(reply, (size_t)n);
	}
	return err;
}

int link_list(struct mnl_socket *socket, struct nlmsghdr *request, link_clear *clear,
              link_read *read, void *data)
{
	int err = -EINTR;

	for (unsigned i = 0; err == -EINTR && i < LINK_LIST_TRIES; i++) {
		clear(data);
		err = link_ask(socket, request, read, data);
	}
	return err;
}

static struct nlmsghdr *make_request(char *buffer, uint16_t type, uint16_t flags, int index)
{
	struct nlmsghdr *request = link_begin(buffer, type, flags, sizeof(struct ifinfomsg));
	struct ifinfomsg *info = mnl_nlmsg_get_payload(request);

	info->ifi_family = AF_UNSPEC;
	info->ifi_index = index;
	return request;
}

static int query(struct mnl_socket *socket, struct nlmsghdr *request, struct link *ret)
{
	struct link link = {0};
	int err = link_ask(socket, request, read_link, &link);

	if (!err)
		*ret = link;
	return err;
}

int link_query(struct mnl_socket *socket, const char *name, struct link *ret)
{
	char buffer[LINK_REQUEST_BYTES];
	struct nlmsghdr *request = make_request(buffer, RTM_GETLINK, 0, 0);

	if (strlen(name) >= ALTIFNAMSIZ)
		return -ENODEV;
	/* the kernel looks for other names as well, whichever attribute it is */
	mnl_attr_put_strz(request, strlen(name) < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME, name);
	return query(socket, request, ret);
}

int link_query_index(struct mnl_socket *socket, int index, struct link *ret)
{
	char buffer[LINK_REQUEST_BYTES];

	return query(socket, make_request(buffer, RTM_GETLINK, 0, index), ret);
}

struct mac_count {
	struct mac mac;
	int n;
};

static int count_mac(const struct nlmsghdr *message, void *data)
{
	struct mac_count *count = data;
	struct link link;
	const int more = read_link(message, &link);

	count->n += link.ethernet && mac_eq(&link.mac, &count->mac);
	return more;
}

static void clear_count(void *data)
{
	struct mac_count *count = data;

	count->n = 0;
}

int link_count_mac(struct mnl_socket *socket, struct mac mac)
{
	struct mac_count count = {.mac = mac};
	char buffer[LINK_REQUEST_BYTES];
	const int err = link_list(socket, make_request(buffer, RTM_GETLINK, NLM_F_DUMP, 0),
	                          clear_count, count_mac, &count);

	return err < 0 ? err : count.n;
}

struct name_search {
	link_name *each;
	void *ctx;
};

static int read_other_name(const struct nlattr *attribute, void *data)
{
	const struct name_search *search = data;

	if (mnl_attr_get_type(attribute) == IFLA_ALT_IFNAME)
		search->each(search->ctx, mnl_attr_get_str(attribute));
	return MNL_CB_OK;
}

static int read_names_attribute(const struct nlattr *attribute, void *data)
{
	const struct name_search *search = data;
	const unsigned type = mnl_attr_get_type(attribute);

	if (type == IFLA_IFNAME)
		search->each(search->ctx, mnl_attr_get_str(attribute));
	return type == IFLA_PROP_LIST ? mnl_attr_parse_nested(attribute, read_other_name, data)
	                              : MNL_CB_OK;
}

static int read_names(const struct nlmsghdr *message, void *data)
{
	return mnl_attr_parse(message, sizeof(struct ifinfomsg), read_names_attribute, data);
}

int link_names(struct mnl_socket *socket, int index, link_name *each, void *ctx)
{
	struct name_search search = {.each = each, .ctx = ctx};
	char buffer[LINK_REQUEST_BYTES];

	return link_ask(socket, make_request(buffer, RTM_GETLINK, 0, index), read_names, &search);
}

struct address_search {
	unsigned index;
	int family; /* of the message at hand */
	struct link_addresses found;
};

/* IFA_LOCAL, where there is one, is the address, and IFA_ADDRESS that of the link's other end. */
static int read_address_attribute(const struct nlattr *attribute, void *data)
{
	struct address_search *search = data;
	char *ret = search->family == AF_INET6 ? search->found.ipv6 : search->found.ipv4;
	unsigned type = mnl_attr_get_type(attribute);

	if (type == IFA_LOCAL || (type == IFA_ADDRESS && !*ret))
		inet_ntop(search->family, mnl_attr_get_payload(attribute), ret, LINK_ADDRESS_BYTES);
	return MNL_CB_OK;
}

static int read_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	struct address_search *search = data;

	if (info->ifa_index != search->index ||
	    (info->ifa_family == AF_INET6 && info->ifa_scope == RT_SCOPE_LINK))
		return MNL_CB_OK;
	search->family = info->ifa_family;
	return mnl_attr_parse(message, sizeof(*info), read_address_attribute, search);
}

static void clear_addresses(void *data)
{
	struct address_search *search = data;

	search->found = (struct link_addresses){0};
}

int link_addresses(struct mnl_socket *socket, int index, struct link_addresses *ret)
{
	struct address_search search = {.index = (unsigned)index};
	char buffer[LINK_REQUEST_BYTES];
	struct nlmsghdr *request =
	        link_begin(buffer, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	const int err = link_list(socket, request, clear_addresses, read_address, &search);

	if (!err)
		*ret = search.found;
	return err;
}

static int set_flag(struct mnl_socket *socket, int index, unsigned flag, bool on)
{
	char buffer[LINK_REQUEST_BYTES];
	struct nlmsghdr *request = make_request(buffer, RTM_NEWLINK, NLM_F_ACK, index);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(request);

	info->ifi_flags = on ? flag : 0;
	info->ifi_change = flag;
	return link_ask(socket, request, NULL, NULL);
}

int link_set_up(struct mnl_socket *socket, int index, bool up)
{
	return set_flag(socket, index, IFF_UP, up);
}

int link_set_promiscuous(struct mnl_socket *socket, int index, bool on)
{
	return set_flag(socket, index, IFF_PROMISC, on);
}

int link_set_ipv4(struct mnl_socket *socket, int index, int devconf, uint32_t value)
{
	char buffer[LINK_REQUEST_BYTES];
	struct nlmsghdr *request = make_request(buffer, RTM_NEWLINK, NLM_F_ACK, index);
	struct nlattr *families = mnl_attr_nest_start(request, IFLA_AF_SPEC);
	struct nlattr *family = mnl_attr_nest_start(request, AF_INET);
	struct nlattr *conf = mnl_attr_nest_start(request, IFLA_INET_CONF);

	mnl_attr_put_u32(request, (uint16_t)devconf, value);
	mnl_attr_nest_end(request, conf);
	mnl_attr_nest_end(request, family);
	mnl_attr_nest_end(request, families);
	return link_ask(socket, request, NULL, NULL);
}
