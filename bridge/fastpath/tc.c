/*
 * Traffic control, spoken by hand: libbpf would open a socket for each request, which the sandbox
 * doesn't let happen, and a port that is made anew needs its programs then.
 *
 * The filters have the first priorities, so that they come before others' on the same hook. Each
 * has one of its own: of several with the same the last to come would be the first to run.
 */
#include "tc.h"

#include "../cable/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

enum { TC_REQUEST_BYTES = 512, TC_HANDLE = 1 };

static struct nlmsghdr *make_request(char *buffer, uint16_t type, uint16_t flags, int ifindex,
                                     uint32_t parent, uint32_t handle)
{
	struct nlmsghdr *request = link_begin(buffer, type, flags, sizeof(struct tcmsg));
	struct tcmsg *message = mnl_nlmsg_get_payload(request);

	message->tcm_family = AF_UNSPEC;
	message->tcm_ifindex = ifindex;
	message->tcm_parent = parent;
	message->tcm_handle = handle;
	return request;
}

static int change_hook(struct mnl_socket *socket, int ifindex, uint16_t type, uint16_t flags)
{
	char buffer[TC_REQUEST_BYTES];
	struct nlmsghdr *request = make_request(buffer, type, NLM_F_ACK | flags, ifindex,
	                                        TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0));

	mnl_attr_put_strz(request, TCA_KIND, "clsact");
	return link_ask(socket, request, NULL, NULL);
}

int tc_add_hook(struct mnl_socket *socket, int ifindex)
{
	return change_hook(socket, ifindex, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
}

int tc_remove_hook(struct mnl_socket *socket, int ifindex)
{
	return change_hook(socket, ifindex, RTM_DELQDISC, 0);
}

static uint32_t direction(bool egress)
{
	return TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

static int count(const struct nlmsghdr *message, void *data)
{
	unsigned *n = data;

	(void)message;
	++*n;
	return MNL_CB_OK;
}

bool tc_is_empty(struct mnl_socket *socket, int ifindex)
{
	char buffer[TC_REQUEST_BYTES];
	unsigned n = 0;

	for (int egress = 0; egress < 2; egress++)
		if (link_ask(socket,
		             make_request(buffer, RTM_GETTFILTER, NLM_F_DUMP, ifindex,
		                          direction(egress), 0),
		             count, &n) < 0)
			return false;
	return n == 0;
}

struct sought {
	uint16_t priority;
	bool (*is_one)(const char *name);
	bool found;
};

static int look_at_option(const struct nlattr *option, void *data)
{
	struct sought *sought = data;

	if (mnl_attr_get_type(option) == TCA_BPF_NAME &&
	    mnl_attr_validate(option, MNL_TYPE_NUL_STRING) >= 0)
		sought->found |= sought->is_one(mnl_attr_get_str(option));
	return MNL_CB_OK;
}

static int look_at_attribute(const struct nlattr *attribute, void *data)
{
	return mnl_attr_get_type(attribute) == TCA_OPTIONS
	               ? mnl_attr_parse_nested(attribute, look_at_option, data)
	               : MNL_CB_OK;
}

static int look(const struct nlmsghdr *message, void *data)
{
	const struct tcmsg *filter = mnl_nlmsg_get_payload(message);
	const struct sought *sought = data;

	return filter->tcm_info >> 16 == sought->priority
	               ? mnl_attr_parse(message, sizeof(*filter), look_at_attribute, data)
	               : MNL_CB_OK;
}

static void find_anew(void *data)
{
	struct sought *sought = data;

	sought->found = false;
}

bool tc_holds(struct mnl_socket *socket, const struct tc_place *place,
              bool (*is_one)(const char *name))
{
	struct sought sought = {.priority = place->priority, .is_one = is_one};
	char buffer[TC_REQUEST_BYTES];

	link_list(socket,
	          make_request(buffer, RTM_GETTFILTER, NLM_F_DUMP, place->ifindex,
	                       direction(place->egress), 0),
	          find_anew, look, &sought);
	return sought.found;
}

static struct nlmsghdr *filter_request(char *buffer, uint16_t type, uint16_t flags,
                                       const struct tc_place *place)
{
	struct nlmsghdr *request = make_request(buffer, type, NLM_F_ACK | flags, place->ifindex,
	                                        direction(place->egress), TC_HANDLE);
	struct tcmsg *message = mnl_nlmsg_get_payload(request);

	message->tcm_info = TC_H_MAKE((uint32_t)place->priority << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(request, TCA_KIND, "bpf");
	return request;
}

int tc_attach(struct mnl_socket *socket, const struct tc_place *place, int program,
              const char *name)
{
	char buffer[TC_REQUEST_BYTES];
	struct nlmsghdr *request = filter_request(buffer, RTM_NEWTFILTER, NLM_F_CREATE, place);
	struct nlattr *options = mnl_attr_nest_start(request, TCA_OPTIONS);

	mnl_attr_put_u32(request, TCA_BPF_FD, (uint32_t)program);
	mnl_attr_put_strz(request, TCA_BPF_NAME, name);
	mnl_attr_put_u32(request, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(request, options);
	return link_ask(socket, request, NULL, NULL);
}

int tc_detach(struct mnl_socket *socket, const struct tc_place *place)
{
	char buffer[TC_REQUEST_BYTES];

	return link_ask(socket, filter_request(buffer, RTM_DELTFILTER, 0, place), NULL, NULL);
}
