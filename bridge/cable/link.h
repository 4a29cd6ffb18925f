/*
 * What the kernel says about network interfaces, and what it is told of them.
 */
#ifndef BRIDGE_LINK_H
#define BRIDGE_LINK_H

#include "../../lb/bytes.h"

#include <stdint.h>

struct mnl_socket;
struct nlmsghdr;

enum {
	LINK_NAME_BYTES = 16,    /* IFNAMSIZ */
	LINK_ADDRESS_BYTES = 46, /* INET6_ADDRSTRLEN */
};

struct link {
	int index;
	char name[LINK_NAME_BYTES];
	bool up; /* administratively */
	bool carrier;
	uint32_t drops; /* how often the carrier has gone */
	bool ethernet;
	bool promiscuous;    /* somebody has set it so, other than by a packet socket */
	uint32_t mtu;        /* bytes */
	int master;          /* index of the bridge, bond or the like that it belongs to, or 0 */
	struct mac mac;      /* if ethernet */
	uint32_t forwards;   /* not 0: the host routes IPv4 packets that arrive there */
	uint32_t arp_ignore; /* the sysctl of this name */
	uint64_t refused;    /* frames that were to arrive there, but for which it had no room */
};

/* Addresses of the host on an interface: one of each family, or empty if there is none. */
struct link_addresses {
	char ipv4[LINK_ADDRESS_BYTES];
	char ipv6[LINK_ADDRESS_BYTES]; /* not counting link-local ones */
};

/*
 * Opens a socket for requests to the kernel; or, with groups (RTMGRP_... of rtnetlink(7)), one that
 * gets the kernel's notifications of these: such a one doesn't wait, and takes no requests. Returns
 * 0 and sets *ret, for mnl_socket_close(), or a negative errno.
 */
int link_open(unsigned groups, struct mnl_socket **ret);

/*
 * Look an interface up in the network namespace of the socket, by any of its names (ip link
 * property add altname), or by its index. Only the index tells which one it is. Return 0, -ENODEV
 * if there is none, or another negative errno.
 */
int link_query(struct mnl_socket *socket, const char *name, struct link *ret);
int link_query_index(struct mnl_socket *socket, int index, struct link *ret);

/* How many interfaces in the network namespace of the socket have that MAC address: VLANs have that
 * of the interface that carries them. Or a negative errno. */
int link_count_mac(struct mnl_socket *socket, struct mac mac);

/* Calls each with every name of that interface. Returns 0 or a negative errno. */
typedef void link_name(void *ctx, const char *name);
int link_names(struct mnl_socket *socket, int index, link_name *each, void *ctx);

/* Looks up the addresses that the host has there. Returns 0 or a negative errno. */
int link_addresses(struct mnl_socket *socket, int index, struct link_addresses *ret);

/*
 * Begins a request in buffer: its header, and behind it, for the caller to fill, a body of that
 * many bytes, all 0, which mnl_nlmsg_get_payload() returns.
 */
struct nlmsghdr *link_begin(char *buffer, uint16_t type, unsigned flags, size_t body);

/*
 * Sends a request, whose sequence number is set here, and reads all of the reply: read, which may
 * be NULL, is called with data for each message of it. Returns 0 or a negative errno.
 */
typedef int link_read(const struct nlmsghdr *message, void *data);
int link_ask(struct mnl_socket *socket, struct nlmsghdr *request, link_read *read, void *data);

/*
 * The same of a list (NLM_F_DUMP), which the kernel may say has changed while it was read
 * (NLM_F_DUMP_INTR): then it asks anew, after clear has thrown away what there was of it in data.
 * -EINTR if the list has changed each of LINK_LIST_TRIES times.
 */
enum { LINK_LIST_TRIES = 100 };
typedef void link_clear(void *data);
int link_list(struct mnl_socket *socket, struct nlmsghdr *request, link_clear *clear,
              link_read *read, void *data);

/*
 * Set what struct link calls up and promiscuous, and an IPv4 sysctl, of number IPV4_DEVCONF_...
 * Return 0 or a negative errno; -ENODEV: it's gone.
 */
int link_set_up(struct mnl_socket *socket, int index, bool up);
int link_set_promiscuous(struct mnl_socket *socket, int index, bool on);
int link_set_ipv4(struct mnl_socket *socket, int index, int devconf, uint32_t value);

#endif
