/*
 * Lists of ports, services and addresses in lb.ini: items and ranges between commas. They are
 * collected in a set first, so that they come out sorted and without duplicates.
 */
#include "ip.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TCP_PORTS = 65536 };

struct port_set {
	bool has[TCP_PORTS];
};

/* Cuts the blanks off both ends of text, in place; returns its new beginning. */
static char *strip(char *text)
{
	size_t len;

	while (isblank((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isblank((unsigned char)text[len - 1]))
		text[--len] = 0;
	return text;
}

/* Takes "first-last" or "both" apart, in place. */
static void split_range(char *item, const char **ret_first, const char **ret_last)
{
	char *hyphen = strchr(item, '-');

	if (hyphen)
		*hyphen = 0;
	*ret_first = strip(item);
	*ret_last = hyphen ? strip(hyphen + 1) : *ret_first;
}

/*
 * What a list is read into: takes an item, which it may write to, and says in value what is wrong.
 */
typedef int list_add(struct value *value, char *item, void *set);

/* How long the first item of several is, which ends at a blank: but not at one beside what joins
 * the ends of a range, or two ports. */
static size_t item_bytes(const char *item)
{
	const char *end = item + strcspn(item, " \t"), *next = end + strspn(end, " \t");

	while (*next && end > item && (strchr("-:", *next) || strchr("-:", end[-1]))) {
		end = next + strcspn(next, " \t");
		next = end + strspn(end, " \t");
	}
	return (size_t)(end - item);
}

bool value_is_item(const char *item)
{
	return !item[item_bytes(item)];
}

int value_say_commas(struct value *value, const char *item)
{
	char list[VALUE_WHY_BYTES / 4] = "";
	size_t used = 0;

	for (size_t len; *item && used < sizeof(list); item += len + strspn(item + len, " \t")) {
		len = item_bytes(item);
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%.*s",
		                         used ? ", " : "", (int)len, item);
	}
	return value_wrong(value, value->text, "has a blank where a comma belongs: %s%s", list,
	                   used < sizeof(list) ? "" : "...");
}

static int list_read(struct value *value, list_add *add, void *set)
{
	char text[VALUE_BYTES], *rest = text;
	int ret = 0;

	if (strlen(value->text) >= sizeof(text))
		return value_wrong(value, value->text, "is too long");
	strcpy(text, value->text);
	while (rest && ret == 0) {
		char *item = strip(strsep(&rest, ","));

		if (!*item && *value->text)
			return value_wrong(value, value->text, "has a comma too many");
		if (!value_is_item(item))
			return value_say_commas(value, item);
		ret = add(value, item, set);
	}
	return ret;
}

static int read_port(struct value *value, const char *item, uint32_t *ret)
{
	if (value_read_number(item, 1, TCP_PORTS - 1, ret))
		return 0;
	return value_wrong(value, item, "is not a TCP port (1-65535)");
}

int value_port_range(struct value *value, char *item, struct port_range *ret)
{
	const char *first, *last;
	uint32_t low = 0, high = 0;

	split_range(item, &first, &last);
	if (read_port(value, first, &low) || read_port(value, last, &high))
		return -EINVAL;
	if (low > high)
		return value_wrong(value, first, "to %u runs backwards: %u-%u is right", high, high,
		                   low);
	*ret = (struct port_range){(uint16_t)low, (uint16_t)high};
	return 0;
}

static int port_set_add(struct value *value, char *item, void *set)
{
	struct port_set *ports = set;
	struct port_range range;

	if (value_port_range(value, item, &range))
		return -EINVAL;
	memset(ports->has + range.first, true, range.last - range.first + 1u);
	return 0;
}

/* ---- Services ---- */

struct service_set {
	uint16_t to[TCP_PORTS]; /* the server's port; 0: no service */
};

/* "7000-7009:17000-17009": whether both are as long. */
static int match_ranges(struct value *value, const char *item, const struct port_range *from,
                        const struct port_range *to)
{
	const unsigned n = from->last - from->first + 1u, m = to->last - to->first + 1u;

	if (n == m)
		return 0;
	if (m == 1 && to->first + n <= TCP_PORTS)
		return value_wrong(value, item,
		                   "goes from %u ports to one: %u-%u:%u-%u is one for each", n,
		                   from->first, from->last, to->first, to->first + n - 1);
	return value_wrong(value, item, "goes from %u port%s to %u", n, n == 1 ? "" : "s", m);
}

static int service_set_add(struct value *value, char *item, void *set)
{
	struct service_set *services = set;
	char whole[VALUE_BYTES], *colon = strchr(item, ':');
	struct port_range from, to;

	strcpy(whole, item);
	if (colon)
		*colon = 0;
	if (value_port_range(value, strip(item), &from))
		return -EINVAL;
	to = from;
	if (colon && (value_port_range(value, strip(colon + 1), &to) ||
	              match_ranges(value, whole, &from, &to)))
		return -EINVAL;
	for (unsigned port = from.first; port <= from.last; port++) {
		const unsigned goes = to.first + (port - from.first);

		if (services->to[port] && services->to[port] != goes)
			return value_wrong(
			        value, whole,
			        "goes to port %u of the servers, but %u goes to %u already", goes,
			        port, services->to[port]);
		services->to[port] = (uint16_t)goes;
	}
	return 0;
}

/* server_ports may be NULL. */
static void list_services(const struct service_set *set, be16 *ports, be16 *server_ports)
{
	unsigned n = 0;

	for (unsigned port = 1; port < TCP_PORTS; port++) {
		if (!set->to[port])
			continue;
		ports[n] = be16_from((uint16_t)port);
		if (server_ports)
			server_ports[n] = be16_from(set->to[port]);
		n++;
	}
}

int value_services(struct value *value, be16 **ret_ports, be16 **ret_server_ports, unsigned *ret_n)
{
	struct service_set set = {{0}};
	be16 *ports, *server_ports;
	unsigned n = 0, mapped = 0;
	int ret = list_read(value, service_set_add, &set);

	if (ret)
		return ret;
	for (unsigned port = 1; port < TCP_PORTS; port++) {
		n += set.to[port] != 0;
		mapped += set.to[port] && set.to[port] != port;
	}
	ports = calloc(n, sizeof(*ports));
	server_ports = mapped ? calloc(n, sizeof(*server_ports)) : NULL;
	if (!ports || (mapped && !server_ports)) {
		free(ports);
		free(server_ports);
		return -ENOMEM;
	}
	list_services(&set, ports, server_ports);
	*ret_ports = ports;
	*ret_server_ports = server_ports;
	*ret_n = n;
	return 0;
}

/* ---- Ranges ---- */

/* Sets *ret to the set's first range at or above from; false if there is none. */
static bool next_range(const struct port_set *set, unsigned from, struct port_range *ret)
{
	const bool *const end = set->has + TCP_PORTS;
	const bool *first = memchr(set->has + from, true, TCP_PORTS - from), *behind;

	if (!first)
		return false;
	behind = memchr(first, false, (size_t)(end - first));
	if (!behind)
		behind = end;
	*ret = (struct port_range){(uint16_t)(first - set->has), (uint16_t)(behind - set->has - 1)};
	return true;
}

int value_port_ranges(struct value *value, struct port_range **ret_ranges, unsigned *ret_n)
{
	struct port_set set = {0};
	struct port_range *ranges, range;
	unsigned n = 0;
	int ret = list_read(value, port_set_add, &set);

	if (ret)
		return ret;
	for (unsigned from = 1; from < TCP_PORTS && next_range(&set, from, &range); n++)
		from = range.last + 1u;
	ranges = malloc(n * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		next_range(&set, i ? ranges[i - 1].last + 1u : 1, &ranges[i]);
	*ret_ranges = ranges;
	*ret_n = n;
	return 0;
}

struct address_set {
	struct rules *rules;
	be32 *addresses;
	unsigned n;
};

static bool address_set_has(const struct address_set *set, be32 address)
{
	for (unsigned i = 0; i < set->n; i++)
		if (be32_eq(set->addresses[i], address))
			return true;
	return false;
}

static int address_set_add_one(struct value *value, struct address_set *set, const struct ip *ip)
{
	be32 address;
	int err = ip_name(value, set->rules, ip, &address);

	if (err || address_set_has(set, address))
		return err;
	if (set->n == RULES_SNAT_MAX)
		return value_wrong(value, value->text,
		                   "has more than %u addresses, which is the most", RULES_SNAT_MAX);
	set->addresses[set->n++] = address;
	return 0;
}

/* "10.0.0.43-44": the last address as the first one's with another end, if that makes one. */
static bool complete(const char *first, const char *end, char ret[2 * VALUE_ADDRESS_BYTES])
{
	const char *dot = strrchr(first, strchr(first, ':') ? ':' : '.');

	end += dot && *end == *dot; /* "10.0.0.43-.44" */
	if (!ip_is(first) || !dot || strpbrk(end, ".:"))
		return false;
	snprintf(ret, 2 * VALUE_ADDRESS_BYTES, "%.*s%s", (int)(dot - first + 1), first, end);
	return ip_is(ret);
}

static int address_set_add(struct value *value, char *item, void *ctx)
{
	char whole[2 * VALUE_ADDRESS_BYTES];
	const char *first, *last;
	struct ip low, high;
	int err;

	split_range(item, &first, &last);
	if (complete(first, last, whole))
		return value_wrong(value, last,
		                   "ends a range, which has two whole addresses: %s-%s", first,
		                   whole);
	if (ip_read(value, first, &low) || ip_read(value, last, &high))
		return -EINVAL;
	if (low.is_ipv6 != high.is_ipv6)
		return value_wrong(value, first, "to %s mixes IPv4 and IPv6", last);
	if (ip_compare(&low, &high) > 0)
		return value_wrong(value, first, "to %s runs backwards: %s-%s is right", last, last,
		                   first);
	while ((err = address_set_add_one(value, ctx, &low)) == 0 && ip_compare(&low, &high) < 0)
		ip_step(&low);
	return err;
}

int value_addresses(struct value *value, struct rules *rules, be32 **ret_addresses, unsigned *ret_n)
{
	struct address_set set = {rules, calloc(RULES_SNAT_MAX, sizeof(be32)), 0};
	int ret;

	if (!set.addresses)
		return -ENOMEM;
	ret = list_read(value, address_set_add, &set);
	if (ret) {
		free(set.addresses);
		return ret;
	}
	*ret_addresses = set.addresses;
	*ret_n = set.n;
	return 0;
}
