/*
 * The host's addresses and routes, by rtnetlink.
 *
 * A route is asked for each server: so it is the one that the kernel would take, whatever tables
 * and rules it has.
 */
#include "host.h"

#include "../process/log.h"
#include "../../lb/way.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

enum { HOST_REQUEST_BYTES = 256, MAPPED_BITS = 96 };

/* ---- Addresses ---- */

struct nets_search {
	const int *indices;
	struct rules_nets *found;
	bool is_ipv6; /* of the message at hand */
	bool any;     /* an address was found in it */
	struct rules_net net;
};

static int read_address(const struct nlattr *attribute, void *data)
{
	struct nets_search *search = data;
	const unsigned type = mnl_attr_get_type(attribute);
	be32 ip4;

	/* IFA_LOCAL, where there is one, is the address, and IFA_ADDRESS the link's other end */
	if (type != IFA_LOCAL && (type != IFA_ADDRESS || search->any))
		return MNL_CB_OK;
	search->any = true;
	if (search->is_ipv6) {
		memcpy(&search->net.address, mnl_attr_get_payload(attribute),
		       sizeof(search->net.address));
	} else {
		memcpy(&ip4, mnl_attr_get_payload(attribute), sizeof(ip4));
		search->net.address = ip6_mapped(ip4);
	}
	return MNL_CB_OK;
}

static int read_net(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	struct nets_search *search = data;

	if (info->ifa_scope == RT_SCOPE_LINK || info->ifa_scope == RT_SCOPE_HOST ||
	    search->found->n == RULES_NETS_MAX)
		return MNL_CB_OK;
	search->is_ipv6 = info->ifa_family == AF_INET6;
	search->any = false;
	search->net = (struct rules_net){.side = NSIDES};
	search->net.prefix = (uint8_t)(info->ifa_prefixlen + (search->is_ipv6 ? 0 : MAPPED_BITS));
	for (unsigned side = 0; side < NSIDES; side++)
		if (search->indices[side] == (int)info->ifa_index)
			search->net.side = (uint8_t)side;
	mnl_attr_parse(message, sizeof(*info), read_address, search);
	if (search->any)
		search->found->all[search->found->n++] = search->net;
	return MNL_CB_OK;
}

static void clear_nets(void *data)
{
	struct nets_search *search = data;

	*search->found = (struct rules_nets){0};
}

int host_nets(struct mnl_socket *socket, const int indices[NSIDES], struct rules_nets *ret)
{
	struct nets_search search = {.indices = indices, .found = ret};
	char buffer[HOST_REQUEST_BYTES];
	struct nlmsghdr *request =
	        link_begin(buffer, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	const int err = link_list(socket, request, clear_nets, read_net, &search);

	if (err < 0)
		clear_nets(&search);
	return err;
}

/* ---- Routes ---- */

struct route {
	int index;      /* of the interface by which it goes */
	bool is_direct; /* to the address itself, without: */
	struct ip6 gateway;
};

static int read_route_attribute(const struct nlattr *attribute, void *data)
{
	struct route *route = data;
	be32 ip4;

	switch (mnl_attr_get_type(attribute)) {
	case RTA_OIF:
		route->index = (int)mnl_attr_get_u32(attribute);
		break;
	case RTA_GATEWAY:
		route->is_direct = false;
		if (mnl_attr_get_payload_len(attribute) == sizeof(route->gateway)) {
			memcpy(&route->gateway, mnl_attr_get_payload(attribute),
			       sizeof(route->gateway));
			break;
		}
		memcpy(&ip4, mnl_attr_get_payload(attribute), sizeof(ip4));
		route->gateway = ip6_mapped(ip4);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int read_route(const struct nlmsghdr *message, void *data)
{
	return mnl_attr_parse(message, sizeof(struct rtmsg), read_route_attribute, data);
}

static int ask_route(struct mnl_socket *socket, const struct ip6 *to, struct route *ret)
{
	const bool is_ipv4 = ip6_is_mapped(to);
	const size_t bytes = is_ipv4 ? sizeof(be32) : sizeof(*to);
	char buffer[HOST_REQUEST_BYTES];
	struct nlmsghdr *request = link_begin(buffer, RTM_GETROUTE, 0, sizeof(struct rtmsg));
	struct rtmsg *info = mnl_nlmsg_get_payload(request);

	info->rtm_family = is_ipv4 ? AF_INET : AF_INET6;
	info->rtm_dst_len = (unsigned char)(8 * bytes);
	mnl_attr_put(request, RTA_DST, bytes, to->b + sizeof(*to) - bytes);
	*ret = (struct route){.is_direct = true};
	return link_ask(socket, request, read_route, ret);
}

static struct ip6 full(const struct rules *rules, be32 address)
{
	return name_is_ipv6(address) ? *rules_ip6(rules, address) : ip6_mapped(address);
}

/* If the rules name a gateway for servers of that version of IP: then the host isn't asked. */
static bool has_gateway(const struct rules *rules, const struct rules_server *server)
{
	return be32_get(name_is_ipv6(server->address) ? rules->gateway6 : rules->gateway4);
}

/* Which side it is, or NSIDES. */
static unsigned side_of(const int indices[NSIDES], int index)
{
	unsigned side = 0;

	while (side < NSIDES && (!index || indices[side] != index))
		side++;
	return side;
}

static int note(struct rules *rules, struct rules_server *server, const struct route *route,
                unsigned side)
{
	int err;

	server->side = (uint8_t)side;
	server->next = server->address;
	if (route->is_direct)
		return 0;
	if (!ip6_is_mapped(&route->gateway)) {
		err = rules_name(rules, &route->gateway, &server->next);
		return err == -E2BIG ? -EOVERFLOW : err;
	}
	memcpy(&server->next, route->gateway.b + 12, sizeof(server->next));
	return 0;
}

int host_routes(struct mnl_socket *socket, const int indices[NSIDES], struct rules *rules,
                bool gone)
{
	int err = 0;

	for (unsigned s = 0; rules_has_stack(rules) && s < rules->nservers && !err; s++) {
		struct rules_server *server = &rules->servers[s];
		const struct ip6 to = full(rules, server->address);
		struct route route;
		unsigned side;

		if (server->gone != gone || server->has_mac || has_gateway(rules, server))
			continue;
		side = ask_route(socket, &to, &route) < 0 ? NSIDES : side_of(indices, route.index);
		if (side < NSIDES)
			err = note(rules, server, &route, side);
		else
			log_warning("[server %s]: the host has no route to it by tmbridge's "
			            "interfaces",
			            server->name);
	}
	return err;
}

static bool is_same_way(struct mnl_socket *socket, const int indices[NSIDES],
                        const struct rules *rules, const struct rules_server *server)
{
	const struct ip6 to = full(rules, server->address);
	struct ip6 next = full(rules, server->next);
	struct route route;
	unsigned side;

	if (server->has_mac || has_gateway(rules, server))
		return true;
	side = ask_route(socket, &to, &route) < 0 ? NSIDES : side_of(indices, route.index);
	if (side == NSIDES)
		return true; /* no route on these sides: what was known stays */
	return side == server->side && ip6_eq(route.is_direct ? &to : &route.gateway, &next);
}

bool host_is_as(struct mnl_socket *socket, const int indices[NSIDES], const struct rules *rules)
{
	struct rules_nets nets;

	if (host_nets(socket, indices, &nets) < 0)
		return true;
	if (nets.n != rules->nets.n ||
	    memcmp(nets.all, rules->nets.all, nets.n * sizeof(nets.all[0])) != 0)
		return false;
	for (unsigned s = 0; s < rules->nservers; s++)
		if (!is_same_way(socket, indices, rules, &rules->servers[s]))
			return false;
	return true;
}

/* ---- Before anything is open ---- */

static int open_for(const char *const names[NSIDES], struct mnl_socket **ret, int indices[NSIDES])
{
	int err = link_open(0, ret);

	for (unsigned side = 0; side < NSIDES; side++) {
		struct link link;

		indices[side] = !err && names[side] && link_query(*ret, names[side], &link) == 0
		                        ? link.index
		                        : 0;
	}
	return err;
}

void host_ask(const char *const names[NSIDES], struct rules_nets *ret)
{
	struct mnl_socket *socket;
	int indices[NSIDES];

	*ret = (struct rules_nets){0};
	if (open_for(names, &socket, indices) < 0)
		return;
	host_nets(socket, indices, ret);
	mnl_socket_close(socket);
}

int host_settle(const char *const names[NSIDES], struct rules *rules)
{
	struct mnl_socket *socket;
	int indices[NSIDES];
	int err = open_for(names, &socket, indices);

	if (err < 0)
		return err;
	err = host_routes(socket, indices, rules, false);
	mnl_socket_close(socket);
	return err;
}
