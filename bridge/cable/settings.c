/*
 * The host's settings on a port: one table says of each what it has to be, why, and whose address
 * spares it. Setting, watching and giving back are the same for all.
 *
 * An interface without an address still speaks: IPv6 makes itself an address there and looks for
 * routers and neighbours, and ARP answers for addresses of other interfaces. A cable does neither.
 * And a host that routes takes packets to a VIP for its own to forward; it may begin to at any
 * time, as when a container engine is started.
 *
 * IPv4's settings are told by rtnetlink. (IFF_NOARP would silence ARP as well, but stops neighbour
 * discovery with it, which a host with an IPv6 address there needs.) IPv6 has no such message, only
 * the sysctl disable_ipv6, whose file is kept open, so that it can be set back without access to
 * files. (Of root's rights it needs CAP_NET_ADMIN, and at the time of writing, not of opening.)
 * With IPv6 off, none is routed either; where it is on, the kernel has one switch for all
 * interfaces only, which isn't ours to turn: so that is watched.
 *
 * Where the host has an address of its own on a port, somebody may be logged in by it. So what
 * would silence that family is left alone, and stays so if the interface is made anew, when
 * addresses come late. An IPv4 address that comes late gets its ARP back. (An IPv6 address can't
 * come: the kernel refuses it where IPv6 is disabled.)
 *
 * What somebody else sets while tmbridge runs is what he finds at its end. Who has the host route
 * no more at all turns a switch for all interfaces, which shows nowhere on a port that doesn't: so
 * a port that did because of that switch is asked about it again in the end. Nothing is undone if
 * the process is killed; but what it had set can be taken over by the next one.
 */
#include "settings.h"

#include "../process/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/ip.h>

enum { SETTINGS_PATH_BYTES = 64, VALUE_BYTES = 16, LOOPBACK_INDEX = 1 };

static const struct kind {
	const char *name;   /* the sysctl's, of an interface's directory */
	const char *family; /* that directory's */
	int devconf;        /* IPV4_DEVCONF_..., for rtnetlink; 0: it is a file's */
	uint32_t wanted;
	bool spared;        /* where the host has an address of that family */
	bool must;          /* without it tmbridge doesn't run */
	const char *hazard; /* what happens if it isn't so */
} kinds[NSETTINGS] = {
        [SETTING_FORWARDING] = {"forwarding", "ipv4", IPV4_DEVCONF_FORWARDING, 0, false, true,
                                "the host routes what arrives there, the VIP's packets too"},
        [SETTING_ARP_IGNORE] = {"arp_ignore", "ipv4", IPV4_DEVCONF_ARP_IGNORE, 8, true, false,
                                "the host's ARP can't be silenced"},
        [SETTING_DISABLE_IPV6] = {"disable_ipv6", "ipv6", 0, 1, true, false,
                                  "the host's IPv6 can't be silenced"},
};

static const char path_format[] = "/proc/sys/net/%s/conf/%s/%s";
static const char all_routes_path[] = "/proc/sys/net/ipv6/conf/all/forwarding";

static bool is_spared(const struct settings *settings, const struct kind *kind)
{
	return settings->is_hosts ||
	       (kind->spared && (kind->devconf ? settings->ipv4_used : settings->ipv6_used));
}

/* ---- Values ---- */

static int read_file(int fd, uint32_t *ret)
{
	char text[VALUE_BYTES] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	*ret = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}

static int open_file(const struct kind *kind, const char *interface, int flags)
{
	char path[SETTINGS_PATH_BYTES];
	int fd;

	snprintf(path, sizeof(path), path_format, kind->family, interface, kind->name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* By the open file, or else by one opened for reading, as it may be read-only but right. */
static int read_ipv6(const struct kind *kind, const struct setting *setting, const char *interface,
                     uint32_t *ret)
{
	int fd, err;

	if (setting->fd >= 0)
		return read_file(setting->fd, ret);
	fd = open_file(kind, interface, O_RDONLY);
	if (fd < 0)
		return fd;
	err = read_file(fd, ret);
	close(fd);
	return err;
}

static int read_value(const struct kind *kind, const struct setting *setting,
                      const struct link *link, uint32_t *ret)
{
	if (!kind->devconf)
		return read_ipv6(kind, setting, link->name, ret);
	*ret = kind->devconf == IPV4_DEVCONF_FORWARDING ? link->forwards : link->arp_ignore;
	return 0;
}

static int write_value(const struct kind *kind, struct setting *setting, struct mnl_socket *socket,
                       const struct link *link, uint32_t value)
{
	char text[VALUE_BYTES];
	int n;

	if (kind->devconf)
		return link_set_ipv4(socket, link->index, kind->devconf, value);
	if (setting->fd < 0)
		setting->fd = open_file(kind, link->name, O_RDWR);
	if (setting->fd < 0)
		return setting->fd;
	n = snprintf(text, sizeof(text), "%u", value);
	return pwrite(setting->fd, text, (size_t)n, 0) < 0 ? -errno : 0;
}

/* If the host routes IPv4: the switch for all interfaces is the loopback's as well, of which
 * rtnetlink tells. */
static bool host_routes(struct mnl_socket *socket)
{
	struct link loopback;

	return link_query_index(socket, LOOPBACK_INDEX, &loopback) == 0 && loopback.forwards;
}

/* If it is the switch for all interfaces that has it so. */
static bool goes_with_all(enum setting_name name, struct mnl_socket *socket)
{
	return name == SETTING_FORWARDING && host_routes(socket);
}

/* ---- Setting ---- */

static int complain(const struct kind *kind, struct setting *setting, const struct link *link,
                    int err)
{
	void (*say)(const char *, ...) = kind->must ? log_error : log_warning;

	if (!setting->failed)
		say("%s: %s: %s: sysctl -w net.%s.conf.%s.%s=%u", link->name, kind->hazard,
		    strerror(-err), kind->family, link->name, kind->name, kind->wanted);
	setting->failed = true;
	return kind->must ? err : 0;
}

/* *ret_done says if it had to be set. Returns as settings_begin() does. */
static int set(struct settings *settings, enum setting_name name, struct mnl_socket *socket,
               const struct link *link, bool *ret_done)
{
	const struct kind *kind = &kinds[name];
	struct setting *setting = &settings->setting[name];
	uint32_t is = 0;
	int err = read_value(kind, setting, link, &is);

	*ret_done = false;
	if (err == -ENOENT || (!err && is == kind->wanted)) /* there is no IPv6, or all is well */
		return 0;
	if (!err)
		err = write_value(kind, setting, socket, link, kind->wanted);
	if (err == -ENODEV)
		return 0; /* it is gone, and news of that will come */
	if (err < 0)
		return complain(kind, setting, link, err);
	*ret_done = setting->ours = true;
	setting->failed = false;
	setting->before = is;
	setting->with_all = goes_with_all(name, socket);
	return 0;
}

static int set_all(struct settings *settings, struct mnl_socket *socket, const struct link *link)
{
	int err = 0;
	bool done;

	for (unsigned i = 0; i < NSETTINGS && !err; i++)
		if (!is_spared(settings, &kinds[i]))
			err = set(settings, (enum setting_name)i, socket, link, &done);
	return err;
}

static void say_used(const char *name, const struct link_addresses *used)
{
	bool both = *used->ipv4 && *used->ipv6;

	log_info("%s: the host has %s%s%s there: its %s%s%s may speak on the wire", name,
	         used->ipv4, both ? " and " : "", used->ipv6, *used->ipv4 ? "ARP" : "",
	         both ? " and " : "", *used->ipv6 ? "IPv6" : "");
}

/* Warns once if the host routes IPv6 and has an IPv6 address on the port, as it routes what arrives
 * there then. */
static void watch_routing(struct settings *settings, const char *name)
{
	int fd = settings->ipv6_used ? open(all_routes_path, O_RDONLY | O_CLOEXEC) : -1;
	uint32_t routes = 0;

	if (fd >= 0) {
		read_file(fd, &routes);
		close(fd);
	}
	if (routes && !settings->routes_ipv6)
		log_warning("%s: the host routes IPv6 and has an address there: it may take the "
		            "VIP's packets: sysctl -w net.ipv6.conf.all.forwarding=0",
		            name);
	settings->routes_ipv6 = routes;
}

void settings_init(struct settings *settings)
{
	*settings = (struct settings){0};
	for (unsigned i = 0; i < NSETTINGS; i++)
		settings->setting[i].fd = -1;
}

int settings_begin(struct settings *settings, struct mnl_socket *socket, const struct link *link)
{
	struct link_addresses addresses;
	int err = link_addresses(socket, link->index, &addresses);

	settings_init(settings);
	if (err < 0) {
		log_warning("%s: addresses: %s", link->name, strerror(-err));
		settings->ipv4_used = settings->ipv6_used = true;
	} else {
		settings->ipv4_used = *addresses.ipv4;
		settings->ipv6_used = *addresses.ipv6;
		if (settings->ipv4_used || settings->ipv6_used)
			say_used(link->name, &addresses);
	}
	watch_routing(settings, link->name);
	return set_all(settings, socket, link);
}

void settings_spare(struct settings *settings)
{
	settings_init(settings);
	settings->is_hosts = settings->ipv4_used = settings->ipv6_used = true;
}

static void forget_file(struct setting *setting)
{
	if (setting->fd >= 0)
		close(setting->fd);
	setting->fd = -1;
}

static void forget(struct settings *settings)
{
	for (unsigned i = 0; i < NSETTINGS; i++) {
		forget_file(&settings->setting[i]);
		settings->setting[i] = (struct setting){.fd = -1};
	}
}

void settings_again(struct settings *settings, struct mnl_socket *socket, const struct link *link)
{
	forget(settings);
	set_all(settings, socket, link);
}

void settings_renamed(struct settings *settings, const struct link *link)
{
	for (unsigned i = 0; i < NSETTINGS; i++) {
		struct setting *setting = &settings->setting[i];

		if (setting->fd < 0)
			continue;
		forget_file(setting);
		setting->fd = open_file(&kinds[i], link->name, O_RDWR);
		if (setting->fd >= 0)
			continue;
		log_warning("%s: %s stays %u: %s", link->name, kinds[i].name, kinds[i].wanted,
		            strerror(-setting->fd));
		*setting = (struct setting){.fd = -1};
	}
}

/* ---- Watching ---- */

static void restore(struct settings *settings, enum setting_name name, struct mnl_socket *socket,
                    const struct link *link)
{
	const struct kind *kind = &kinds[name];
	struct setting *setting = &settings->setting[name];
	uint32_t is = 0;
	int err = 0;

	if (setting->ours && (!setting->with_all || goes_with_all(name, socket)) &&
	    read_value(kind, setting, link, &is) == 0 && is == kind->wanted)
		err = write_value(kind, setting, socket, link, setting->before);
	if (err < 0)
		log_warning("%s: %s stays %u: %s", link->name, kind->name, kind->wanted,
		            strerror(-err));
	forget_file(setting);
	*setting = (struct setting){.fd = -1};
}

/* An MTU below 1280 ends IPv6 there with all its settings; a larger one has it begin anew. */
static void renew_file(struct setting *setting)
{
	uint32_t unused;

	if (setting->fd < 0 || read_file(setting->fd, &unused) == 0)
		return;
	forget_file(setting);
	setting->ours = false;
}

static void look_at(struct settings *settings, enum setting_name name, struct mnl_socket *socket,
                    const struct link *link)
{
	const struct kind *kind = &kinds[name];
	struct setting *setting = &settings->setting[name];
	struct details details = {.n = 0};
	bool done;

	if (is_spared(settings, kind)) {
		restore(settings, name, socket, link);
		return;
	}
	renew_file(setting);
	set(settings, name, socket, link, &done);
	if (!done)
		return;
	details_text(&details, "setting", kind->name);
	details_number(&details, "was", setting->before);
	details_number(&details, "is", kind->wanted);
	log_with(LOG_WARNING, &details,
	         "%s: net.%s.conf.%s.%s was set to %u: it is %u again, while tmbridge runs",
	         link->name, kind->family, link->name, kind->name, setting->before, kind->wanted);
}

/* An IPv4 address may have come. */
static void look_for_address(struct settings *settings, struct mnl_socket *socket,
                             const struct link *link)
{
	struct link_addresses addresses;

	if (settings->ipv4_used || link_addresses(socket, link->index, &addresses) < 0 ||
	    !*addresses.ipv4)
		return;
	*addresses.ipv6 = '\0';
	say_used(link->name, &addresses);
	settings->ipv4_used = true;
}

void settings_look(struct settings *settings, struct mnl_socket *socket, const struct link *link)
{
	if (settings->is_hosts)
		return;
	look_for_address(settings, socket, link);
	watch_routing(settings, link->name);
	for (unsigned i = 0; i < NSETTINGS; i++)
		look_at(settings, (enum setting_name)i, socket, link);
}

struct settings_left settings_left(const struct settings *settings)
{
	struct settings_left ret;

	for (unsigned i = 0; i < NSETTINGS; i++) {
		ret.ours[i] = settings->setting[i].ours;
		ret.with_all[i] = settings->setting[i].with_all;
		ret.before[i] = settings->setting[i].before;
	}
	return ret;
}

void settings_take_over(struct settings *settings, const struct link *link,
                        const struct settings_left *left)
{
	for (unsigned i = 0; i < NSETTINGS; i++) {
		struct setting *setting = &settings->setting[i];
		uint32_t is = 0;

		if (!left->ours[i] || setting->ours || is_spared(settings, &kinds[i]) ||
		    read_value(&kinds[i], setting, link, &is) < 0 || is != kinds[i].wanted)
			continue;
		if (!kinds[i].devconf)
			setting->fd = open_file(&kinds[i], link->name, O_RDWR);
		setting->ours = true;
		setting->before = left->before[i];
		setting->with_all = left->with_all[i];
	}
}

void settings_end(struct settings *settings, struct mnl_socket *socket, const struct link *link)
{
	for (unsigned i = 0; link && i < NSETTINGS; i++)
		restore(settings, (enum setting_name)i, socket, link);
	forget(settings);
}
