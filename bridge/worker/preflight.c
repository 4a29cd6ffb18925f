/*
 * Checks before start: vacancy.c has those that take time.
 */
#include "preflight.h"

#include "../cable/link.h"
#include "../process/log.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PREFLIGHT_PROBES = 2, PREFLIGHT_WAIT_MS = 150 };

static int check_interface(struct mnl_socket *socket, const char *name, bool may_be_down,
                           struct link *ret)
{
	char master[IF_NAMESIZE];
	int err = link_query(socket, name, ret);

	if (err < 0) {
		log_error("%s: %s", name, err == -ENODEV ? "no such interface" : strerror(-err));
		return err;
	}
	if (!ret->ethernet) {
		log_error("%s: not an Ethernet interface", name);
		return -EPROTOTYPE;
	}
	if (!ret->up && !may_be_down) {
		log_error("%s: is down: ip link set %s up", name, name);
		return -ENETDOWN;
	}
	if (ret->master) {
		log_error("%s: belongs to %s, which would forward its frames as well: "
		          "ip link set %s nomaster",
		          name,
		          if_indextoname((unsigned)ret->master, master) ? master
		                                                        : "another interface",
		          name);
		return -EBUSY;
	}
	return 0;
}

static int check_permission(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		int err = -errno;

		log_error("packet socket: %s: run as root, or with CAP_NET_RAW and CAP_NET_ADMIN",
		          strerror(-err));
		return err;
	}
	close(fd);
	return 0;
}

static int check_mtus(const char *const names[NSIDES], const struct link links[NSIDES])
{
	if (links[OUTSIDE].mtu == links[INSIDE].mtu)
		return 0;
	log_error("%s, %s: the MTUs differ, %u and %u: longer frames of one side would not fit the "
	          "other",
	          names[OUTSIDE], names[INSIDE], links[OUTSIDE].mtu, links[INSIDE].mtu);
	return -EMSGSIZE;
}

/* An interface has one index and any number of names. */
static int check_distinct(const char *const names[NSIDES], const struct link links[NSIDES])
{
	if (links[OUTSIDE].index != links[INSIDE].index)
		return 0;
	log_error("%s, %s: are one interface, by two of its names", names[OUTSIDE], names[INSIDE]);
	return -EINVAL;
}

int preflight_interfaces(const char *const names[NSIDES], bool may_be_down, bool same_mtu)
{
	struct link links[NSIDES];
	struct mnl_socket *socket;
	int err = link_open(0, &socket);

	if (err < 0) {
		log_error("rtnetlink: %s", strerror(-err));
		return err;
	}
	for (unsigned side = 0; side < NSIDES && names[side] && !err; side++)
		err = check_interface(socket, names[side], may_be_down, &links[side]);
	mnl_socket_close(socket);
	if (!err && names[NSIDES - 1])
		err = check_distinct(names, links);
	if (!err && names[NSIDES - 1] && same_mtu)
		err = check_mtus(names, links);
	return err ? err : check_permission();
}
