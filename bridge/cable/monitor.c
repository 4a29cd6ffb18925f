/*
 * News of interfaces, by rtnetlink.
 *
 * What a message says is out of date when it is read: the interface may have changed again, by our
 * own doing even. So messages say only where to look (link_query() tells what is so now), with one
 * exception: that an interface was removed can't be seen any more if another one has its index
 * already. News that were lost, because too many came, are news of both. An interface that is
 * waited for may appear with the name, have it as another one (altname), or get it later: so any
 * news may be about it.
 */
#include "monitor.h"

#include "link.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

enum {
	MONITOR_BYTES = 32 << 10,
	/* Read at a time, so that others' busy interfaces don't keep us from our own work. */
	MONITOR_MESSAGES = 256,
};

static void read_link_news(const struct nlmsghdr *message, struct monitor_watch *watch)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	bool is_it = !watch->index || watch->index == info->ifi_index;

	/* A bridge says in the same way, as AF_BRIDGE, that an interface was a port of it. */
	if (info->ifi_family != AF_UNSPEC || !is_it)
		return;
	watch->changed = true;
	if (!watch->index || message->nlmsg_type != RTM_DELLINK)
		return;
	watch->removed = true;
	watch->index = 0; /* the next message may be of its successor */
}

static void read_address_news(const struct nlmsghdr *message, struct monitor_watch *watch)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);

	watch->changed |= watch->index && (int)info->ifa_index == watch->index;
}

static int read_news(const struct nlmsghdr *message, void *data)
{
	struct monitor_watch *watches = data;

	for (unsigned side = 0; side < NSIDES; side++)
		if (message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK)
			read_link_news(message, &watches[side]);
		else if (message->nlmsg_type == RTM_NEWADDR)
			read_address_news(message, &watches[side]);
		else if (message->nlmsg_type == RTM_NEWNETCONF) /* forwarding, of one or of all */
			watches[side].changed = true;
	return MNL_CB_OK;
}

int monitor_open(struct mnl_socket **ret)
{
	return link_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
	                         1u << (RTNLGRP_IPV4_NETCONF - 1) |
	                         1u << (RTNLGRP_IPV6_NETCONF - 1),
	                 ret);
}

bool monitor_hear(struct mnl_socket *socket, struct monitor_watch watches[NSIDES])
{
	char news[MONITOR_BYTES];

	for (unsigned i = 0; i < MONITOR_MESSAGES; i++) {
		ssize_t n = mnl_socket_recvfrom(socket, news, sizeof(news));

		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0 || mnl_cb_run(news, (size_t)n, 0, 0, read_news, watches) < 0)
			watches[OUTSIDE].changed = watches[INSIDE].changed = true;
	}
	return watches[OUTSIDE].changed || watches[INSIDE].changed;
}
