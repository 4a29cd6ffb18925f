/*
 * The punt devices.
 *
 * The programs redirect a frame to one of them as if it had arrived there, so nothing ever passes
 * from one end to the other: programs in front of either see to that, and let nothing behind the
 * packet sockets. The host is kept from speaking there as far as it can be told to; what it says
 * nevertheless is dropped as well. A GSO frame must fit, hence the MTU.
 */
#include "punt.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PUNT_REQUEST_BYTES = 512, PUNT_MTU = 65535, PUNT_PATH_BYTES = 96 };

static const char *const formats[NSIDES] = {"tmbo%d", "tmbi%d"};

static void describe(struct nlmsghdr *request, const char *name)
{
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	mnl_attr_put_u32(request, IFLA_MTU, PUNT_MTU);
}

static int make_pair(struct mnl_socket *socket, char (*names)[LINK_NAME_BYTES])
{
	char buffer[PUNT_REQUEST_BYTES];
	struct nlmsghdr *request =
	        link_begin(buffer, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
	                   sizeof(struct ifinfomsg));
	struct nlattr *info, *data, *peer;

	describe(request, names[OUTSIDE]);
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(request, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	describe(request, names[INSIDE]);
	mnl_attr_nest_end(request, peer);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, info);
	return link_ask(socket, request, NULL, NULL);
}

/* There may be no IPv6 in this kernel, or no such file here: then it's up to the programs. */
static void silence(const char *name)
{
	char path[PUNT_PATH_BYTES];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		errno = 0;
	close(fd);
}

int punt_make(struct mnl_socket *socket, int outside, struct link ret[NSIDES])
{
	char names[NSIDES][LINK_NAME_BYTES];
	int err;

	for (unsigned side = 0; side < NSIDES; side++)
		snprintf(names[side], sizeof(names[side]), formats[side], outside);
	err = make_pair(socket, names);
	if (err == -EEXIST)
		err = 0; /* those of one who has died */
	for (unsigned side = 0; side < NSIDES && !err; side++) {
		silence(names[side]);
		err = link_query(socket, names[side], &ret[side]);
	}
	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = link_set_up(socket, ret[side].index, true);
	return err;
}

int punt_find(struct mnl_socket *socket, int outside, struct link *ret)
{
	char name[LINK_NAME_BYTES];

	snprintf(name, sizeof(name), formats[OUTSIDE], outside);
	return link_query(socket, name, ret);
}

int punt_find_orphan(struct mnl_socket *socket, int index, struct link *ret)
{
	char name[LINK_NAME_BYTES];
	struct link port;
	int outside;

	if (link_query_index(socket, index, ret) < 0 ||
	    sscanf(ret->name, formats[OUTSIDE], &outside) != 1)
		return -ENODEV;
	snprintf(name, sizeof(name), formats[OUTSIDE], outside);
	return !strcmp(name, ret->name) && link_query_index(socket, outside, &port) == -ENODEV
	               ? 0
	               : -ENODEV;
}

int punt_remove(struct mnl_socket *socket, const struct link *either)
{
	char buffer[PUNT_REQUEST_BYTES];
	struct nlmsghdr *request =
	        link_begin(buffer, RTM_DELLINK, NLM_F_ACK, sizeof(struct ifinfomsg));
	struct ifinfomsg *info = mnl_nlmsg_get_payload(request);

	info->ifi_index = either->index;
	return link_ask(socket, request, NULL, NULL);
}
