/*
 * The host's silence.
 *
 * An interface without an address still speaks: IPv6 makes itself an address there and looks for
 * routers and neighbours, and ARP answers for addresses of other interfaces. A cable does neither.
 *
 * ARP is silenced by arp_ignore, by rtnetlink. IFF_NOARP would do as well, but stops neighbour
 * discovery with it, which a host with an IPv6 address there needs. IPv6 has no such message, only
 * the sysctl disable_ipv6, whose file is kept open, so that it can be set back without access to
 * files. (Of root's rights it needs CAP_NET_ADMIN, and at the time of writing, not of opening.)
 *
 * Where the host has an address of its own on a port, somebody may be logged in by it. So that
 * family is left alone, and stays so if the interface is made anew, when addresses come late. An
 * IPv4 address that comes late gets its ARP back. (An IPv6 address can't come: the kernel refuses
 * it where IPv6 is disabled.)
 *
 * Nothing of this is undone if the process is killed.
 */
#include "silence.h"

#include "../process/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	ARP_IGNORE_ALL = 8, /* Documentation/networking/ip-sysctl.rst */
	SILENCE_PATH_BYTES = 64,
};

static const char disable_ipv6_path[] = "/proc/sys/net/ipv6/conf/%s/disable_ipv6";

static_assert(sizeof(disable_ipv6_path) + LINK_NAME_BYTES <= SILENCE_PATH_BYTES, "room for it");

static void silence_arp(struct silence *silence, struct mnl_socket *socket, const struct link *link)
{
	int err;

	if (silence->ipv4_used || link->arp_ignore == ARP_IGNORE_ALL)
		return;
	err = link_set_arp_ignore(socket, link->index, ARP_IGNORE_ALL);
	if (err < 0) {
		log_warning("%s: the host's ARP can't be silenced: %s", link->name, strerror(-err));
		return;
	}
	silence->arp_changed = true;
	silence->arp_ignore = link->arp_ignore;
}

/* What the sysctl is, '0' or '1', or a negative errno. */
static int read_sysctl(int fd)
{
	char value;
	ssize_t n = pread(fd, &value, 1, 0);

	return n < 0 ? -errno : n == 1 ? value : -EIO;
}

static int write_sysctl(int fd, char value)
{
	return pwrite(fd, &value, 1, 0) < 0 ? -errno : 0;
}

/* As read_sysctl(); with O_RDWR the file stays open. */
static int open_sysctl(struct silence *silence, const char *name, int flags)
{
	char path[SILENCE_PATH_BYTES];
	int fd, value;

	snprintf(path, sizeof(path), disable_ipv6_path, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	value = read_sysctl(fd);
	if (flags == O_RDWR)
		silence->ipv6_fd = fd;
	else
		close(fd);
	return value;
}

/* Writes it only where it has to: it may be read-only but right. */
static void silence_ipv6(struct silence *silence, const char *name)
{
	int value, err = 0;

	if (silence->ipv6_used)
		return;
	value = open_sysctl(silence, name, O_RDONLY);
	if (value == '1' || value == -ENOENT) /* there is no IPv6 in this kernel */
		return;
	value = open_sysctl(silence, name, O_RDWR);
	err = value < 0 ? value : write_sysctl(silence->ipv6_fd, '1');
	if (err < 0)
		log_warning("%s: the host's IPv6 can't be silenced: %s: "
		            "sysctl -w net.ipv6.conf.%s.disable_ipv6=1",
		            name, strerror(-err), name);
	else
		silence->ipv6_changed = true;
}

static void say_used(const char *name, const struct link_addresses *used)
{
	bool both = *used->ipv4 && *used->ipv6;

	log_info("%s: the host has %s%s%s there: its %s%s%s may speak on the wire", name,
	         used->ipv4, both ? " and " : "", used->ipv6, *used->ipv4 ? "ARP" : "",
	         both ? " and " : "", *used->ipv6 ? "IPv6" : "");
}

void silence_begin(struct silence *silence, struct mnl_socket *socket, const struct link *link)
{
	struct link_addresses addresses;
	int err = link_addresses(socket, link->index, &addresses);

	*silence = (struct silence){.ipv6_fd = -1};
	if (err < 0) {
		log_warning("%s: addresses: %s", link->name, strerror(-err));
		silence->ipv4_used = silence->ipv6_used = true;
		return;
	}
	silence->ipv4_used = *addresses.ipv4;
	silence->ipv6_used = *addresses.ipv6;
	if (silence->ipv4_used || silence->ipv6_used)
		say_used(link->name, &addresses);
	silence_arp(silence, socket, link);
	silence_ipv6(silence, link->name);
}

static void drop(struct silence *silence)
{
	if (silence->ipv6_fd >= 0)
		close(silence->ipv6_fd);
	silence->ipv6_fd = -1;
	silence->ipv6_changed = silence->arp_changed = false;
}

void silence_again(struct silence *silence, struct mnl_socket *socket, const struct link *link)
{
	drop(silence);
	silence_arp(silence, socket, link);
	silence_ipv6(silence, link->name);
}

void silence_renamed(struct silence *silence, const struct link *link)
{
	int err;

	if (!silence->ipv6_changed)
		return;
	close(silence->ipv6_fd);
	silence->ipv6_fd = -1;
	err = open_sysctl(silence, link->name, O_RDWR);
	if (err < 0)
		log_warning("%s: IPv6 will stay silenced: %s", link->name, strerror(-err));
	silence->ipv6_changed = silence->ipv6_fd >= 0;
}

static void restore_arp(const struct silence *silence, struct mnl_socket *socket,
                        const struct link *link)
{
	int err = 0;

	if (silence->arp_changed && link->arp_ignore == ARP_IGNORE_ALL)
		err = link_set_arp_ignore(socket, link->index, silence->arp_ignore);
	if (err < 0)
		log_warning("%s: ARP stays silenced: %s", link->name, strerror(-err));
}

/* An MTU below 1280 ends IPv6 there with all its settings; a larger one has it begin anew. */
static void renew_ipv6(struct silence *silence, const char *name)
{
	bool is_stale = silence->ipv6_fd >= 0 && read_sysctl(silence->ipv6_fd) < 0;

	if (!is_stale || open_sysctl(silence, name, O_RDONLY) == -ENOENT)
		return;
	close(silence->ipv6_fd);
	silence->ipv6_fd = -1;
	silence->ipv6_changed = false;
	silence_ipv6(silence, name);
}

void silence_look(struct silence *silence, struct mnl_socket *socket, const struct link *link)
{
	struct link_addresses addresses;

	renew_ipv6(silence, link->name);
	if (!silence->arp_changed || link_addresses(socket, link->index, &addresses) < 0 ||
	    !*addresses.ipv4)
		return;
	*addresses.ipv6 = '\0';
	say_used(link->name, &addresses);
	restore_arp(silence, socket, link);
	silence->ipv4_used = true;
	silence->arp_changed = false;
}

static void restore_ipv6(const struct silence *silence, const char *name)
{
	int err = 0;

	if (silence->ipv6_changed && read_sysctl(silence->ipv6_fd) == '1')
		err = write_sysctl(silence->ipv6_fd, '0');
	if (err < 0)
		log_warning("%s: IPv6 stays silenced: %s", name, strerror(-err));
}

void silence_end(struct silence *silence, struct mnl_socket *socket, const struct link *link)
{
	if (link) {
		restore_arp(silence, socket, link);
		restore_ipv6(silence, link->name);
	}
	drop(silence);
}
