/*
 * The switches of the kernel's forwarding. IPv4 has one for each interface, by which packets
 * arrive; IPv6 has one for all, in a file that is kept open, so that it can be set back without
 * access to files.
 */
#include "routing.h"

#include "../process/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char path6[] = "/proc/sys/net/ipv6/conf/all/forwarding";

static uint32_t read6(const struct routing *routing)
{
	char text[16] = "";

	return routing->fd6 >= 0 && pread(routing->fd6, text, sizeof(text) - 1, 0) > 0
	               ? (uint32_t)strtoul(text, NULL, 10)
	               : 0;
}

static int write6(const struct routing *routing, uint32_t value)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", value);

	return routing->fd6 < 0 || pwrite(routing->fd6, text, (size_t)n, 0) == n ? 0 : -errno;
}

static int set_all(const struct routing *routing, struct mnl_socket *socket,
                   const struct link *const links[NSIDES])
{
	int err = 0;

	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = link_set_ipv4(socket, links[side]->index, IPV4_DEVCONF_FORWARDING,
		                    routing->on);
	if (!err && read6(routing) != routing->on)
		err = write6(routing, routing->on);
	return err;
}

int routing_begin(struct routing *routing, struct mnl_socket *socket,
                  const struct link *const links[NSIDES], bool on)
{
	int err;

	*routing = (struct routing){.began = true, .on = on};
	routing->fd6 = open(path6, O_RDWR | O_CLOEXEC);
	routing->before6 = read6(routing);
	for (unsigned side = 0; side < NSIDES; side++)
		routing->before[side] = links[side]->forwards;
	err = set_all(routing, socket, links);
	if (err < 0)
		log_error("the kernel's routing can't be turned %s: %s", on ? "on" : "off",
		          strerror(-err));
	return err;
}

void routing_hold(struct routing *routing, struct mnl_socket *socket,
                  const struct link *const links[NSIDES], bool on)
{
	bool differs = read6(routing) != on && routing->fd6 >= 0;

	if (!routing->began)
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		differs |= !!links[side]->forwards != on;
	if (differs && on == routing->on)
		log_warning(
		        "the kernel's routing was turned %s: it is %s again, while tmbridge runs",
		        on ? "off" : "on", on ? "on" : "off");
	else if (on != routing->on)
		log_info("the kernel routes %s", on ? "what isn't tmbridge's" : "nothing any more");
	routing->on = on;
	if (differs)
		set_all(routing, socket, links);
}

void routing_end(struct routing *routing, struct mnl_socket *socket,
                 const struct link *const links[NSIDES])
{
	if (!routing->began)
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		if (links[side])
			link_set_ipv4(socket, links[side]->index, IPV4_DEVCONF_FORWARDING,
			              routing->before[side]);
	if (routing->fd6 >= 0) {
		if (read6(routing) != routing->before6)
			write6(routing, routing->before6);
		close(routing->fd6);
	}
}
