/*
 * What a value of lb.ini may look like, and what to say when it doesn't.
 *
 * Each parser takes a whole value, which iniparser has already stripped of blanks, quotes and
 * comment. Parsing is strict: no signs, no hexadecimal, no leading or trailing rest, because what a
 * sloppy parser makes of a typing error is worse than an error. A message always begins with the
 * very item that is wrong, and says what would be right. Lists are collected in a set first, so
 * that they come out sorted and without duplicates.
 *
 * Which bounds apply to which key is not known here: see keys.c.
 */
#include "value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	ITEM_SHOWN = 40, /* bytes of a wrong item that a message shows */
	TCP_PORTS = 65536,
};

struct port_set {
	bool has[TCP_PORTS];
};

/* Largest first, so that the first one that divides a duration is the one to show it in. */
static const struct unit {
	const char *name;
	uint32_t ms;
} units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

enum {
	UNITS = sizeof(units) / sizeof(units[0]),
};

int value_wrong(struct value *value, const char *item, const char *fmt, ...)
{
	const char *cut = strlen(item) > ITEM_SHOWN ? "..." : "";
	char text[VALUE_WHY_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!*item)
		item = "an empty value";
	snprintf(value->why, sizeof(value->why), "%.*s%s %s", ITEM_SHOWN, item, cut, text);
	return -EINVAL;
}

/* Reads the digits that text begins with; fails above max or without any. Returns the rest. */
static const char *read_digits(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t number = 0;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++) {
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > max)
			return NULL;
	}
	*ret = (uint32_t)number;
	return text;
}

/* The whole of text as a number of min to max. */
static bool read_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint32_t number;
	const char *rest = read_digits(text, max, &number);

	if (!rest || *rest || number < min)
		return false;
	*ret = number;
	return true;
}

int value_number(struct value *value, uint32_t min, uint32_t max, uint32_t *ret)
{
	if (read_number(value->text, min, max, ret))
		return 0;
	return value_wrong(value, value->text, "is not a number from %u to %u", min, max);
}

const char *value_duration_text(uint32_t ms, char text[VALUE_DURATION_BYTES])
{
	const struct unit *unit = units;

	while (unit->ms > 1 && (ms == 0 || ms % unit->ms))
		unit++;
	snprintf(text, VALUE_DURATION_BYTES, "%u%s", ms / unit->ms, unit->name);
	return text;
}

static const struct unit *find_unit(const char *name)
{
	for (unsigned i = 0; i < UNITS; i++)
		if (strcasecmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

int value_duration(struct value *value, uint32_t min_ms, uint32_t max_ms, uint32_t *ret_ms)
{
	char min[VALUE_DURATION_BYTES], max[VALUE_DURATION_BYTES];
	uint32_t number;
	const char *rest = read_digits(value->text, UINT32_MAX, &number);
	const struct unit *unit = rest ? find_unit(rest) : NULL;
	uint64_t ms;

	if (rest && !*rest)
		return value_wrong(value, value->text, "has no unit: %us, or one of ms, m, h, d",
		                   number);
	if (!unit)
		return value_wrong(value, value->text,
		                   "is not a duration such as 500ms, 90s, 30m, 1h or 1d");
	ms = (uint64_t)number * unit->ms;
	if (ms < min_ms || ms > max_ms)
		return value_wrong(value, value->text, "is not from %s to %s",
		                   value_duration_text(min_ms, min),
		                   value_duration_text(max_ms, max));
	*ret_ms = (uint32_t)ms;
	return 0;
}

int value_word(struct value *value, const char *const *words, unsigned *ret_index)
{
	char all[VALUE_WHY_BYTES / 4] = "";
	size_t used = 0;

	for (unsigned i = 0; words[i]; i++) {
		if (strcasecmp(words[i], value->text) == 0) {
			*ret_index = i;
			return 0;
		}
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
			                         i ? ", " : "", words[i]);
	}
	return value_wrong(value, value->text, "is not one of: %s", all);
}

const char *value_address_text(const struct rules *rules, be32 address,
                               char text[VALUE_ADDRESS_BYTES])
{
	static_assert(VALUE_ADDRESS_BYTES >= INET6_ADDRSTRLEN, "an address fits");
	if (name_is_ipv6(address))
		inet_ntop(AF_INET6, rules_ip6(rules, address), text, VALUE_ADDRESS_BYTES);
	else
		inet_ntop(AF_INET, address.b, text, VALUE_ADDRESS_BYTES);
	return text;
}

/* An address of either family. */
struct ip {
	bool is_ipv6;
	be32 ip4;
	struct ip6 ip6;
};

/* What keeps an address from being a host's (RFC 6890, RFC 1112), or NULL. */
static const char *ip4_flaw(be32 address)
{
	if (be32_get(address) == UINT32_MAX)
		return "the broadcast address";
	if (address.b[0] == 0)
		return "no host's address (0.0.0.0/8)";
	if (address.b[0] == 127)
		return "a loopback address";
	if (address.b[0] >= 240)
		return "a reserved address (240.0.0.0/4)";
	if (address.b[0] >= 224)
		return "a multicast address";
	return NULL;
}

/* The same (RFC 4291, 2.4 and 2.5.5). */
static const char *ip6_flaw(const struct ip6 *address)
{
	static const struct ip6 unspecified, loopback = {{[15] = 1}};
	static const struct ip6 mapped = {{[10] = 0xff, [11] = 0xff}};

	if (ip6_eq(address, &unspecified))
		return "no host's address (::)";
	if (ip6_eq(address, &loopback))
		return "a loopback address";
	if (address->b[0] == 0xff)
		return "a multicast address";
	if (!memcmp(address, &mapped, 12))
		return "an IPv4 address in IPv6 (::ffff:0:0/96)";
	return NULL;
}

static int read_ip(struct value *value, const char *item, struct ip *ret)
{
	const char *flaw;

	*ret = (struct ip){.is_ipv6 = strchr(item, ':')};
	if (inet_pton(ret->is_ipv6 ? AF_INET6 : AF_INET, item,
	              ret->is_ipv6 ? ret->ip6.b : ret->ip4.b) != 1)
		return value_wrong(value, item,
		                   ret->is_ipv6 ? "is not an IPv6 address such as 2001:db8::40"
		                                : "is not an IPv4 address such as 10.0.0.40");
	flaw = ret->is_ipv6 ? ip6_flaw(&ret->ip6) : ip4_flaw(ret->ip4);
	return flaw ? value_wrong(value, item, "is %s, but a host's is needed", flaw) : 0;
}

/* The address as rules have it. */
static int name_ip(struct value *value, struct rules *rules, const struct ip *ip, be32 *ret)
{
	int err;

	*ret = ip->ip4;
	if (!ip->is_ipv6)
		return 0;
	err = rules_name(rules, &ip->ip6, ret);
	return err == -E2BIG
	               ? value_wrong(value, value->text, "is one IPv6 address too many: at most %u",
	                             RULES_NAMES_MAX)
	               : err;
}

int value_address(struct value *value, struct rules *rules, be32 *ret)
{
	struct ip ip;
	be32 address;
	int err = read_ip(value, value->text, &ip);

	if (!err)
		err = name_ip(value, rules, &ip, &address);
	if (!err)
		*ret = address;
	return err;
}

/* Six pairs of hexadecimal digits with a colon, or always a hyphen, in between. */
static bool read_mac(const char *text, struct mac *ret)
{
	char sep = text[0] && text[1] && text[2] == '-' ? '-' : ':';

	for (unsigned i = 0; i < sizeof(ret->b); i++, text += 3) {
		char pair[3] = {text[0], text[0] ? text[1] : 0, 0};

		if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
			return false;
		if (text[2] != (i + 1 < sizeof(ret->b) ? sep : 0))
			return false;
		ret->b[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return true;
}

int value_mac(struct value *value, struct mac *ret)
{
	static const struct mac zero;
	struct mac mac;

	if (!read_mac(value->text, &mac))
		return value_wrong(value, value->text,
		                   "is not a MAC address such as 02:00:00:00:00:41");
	if (mac_is_group(&mac))
		return value_wrong(value, value->text,
		                   "is a multicast MAC address, but an interface's is needed");
	if (mac_eq(&mac, &zero))
		return value_wrong(value, value->text, "is no interface's MAC address");
	*ret = mac;
	return 0;
}

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

/* What a list is read into: takes the range first to last, and says in value what is wrong. */
typedef int list_add(struct value *value, const char *first, const char *last, void *set);

static int list_read(struct value *value, list_add *add, void *set)
{
	char text[VALUE_BYTES], *rest = text;
	int ret = 0;

	if (strlen(value->text) >= sizeof(text))
		return value_wrong(value, value->text, "is too long");
	strcpy(text, value->text);
	while (rest && ret == 0) {
		const char *first, *last;
		char *item = strip(strsep(&rest, ","));

		if (!*item && *value->text)
			return value_wrong(value, value->text, "has a comma too many");
		split_range(item, &first, &last);
		ret = add(value, first, last, set);
	}
	return ret;
}

static int read_port(struct value *value, const char *item, uint32_t *ret)
{
	if (read_number(item, 1, TCP_PORTS - 1, ret))
		return 0;
	return value_wrong(value, item, "is not a TCP port (1-65535)");
}

static int port_set_add(struct value *value, const char *first, const char *last, void *set)
{
	struct port_set *ports = set;
	uint32_t low = 0, high = 0;

	if (read_port(value, first, &low) || read_port(value, last, &high))
		return -EINVAL;
	if (low > high)
		return value_wrong(value, first, "to %u runs backwards: %u-%u is right", high, high,
		                   low);
	memset(ports->has + low, true, high - low + 1);
	return 0;
}

int value_ports(struct value *value, be16 **ret_ports, unsigned *ret_n)
{
	struct port_set set = {0};
	be16 *ports;
	unsigned n = 0;
	int ret = list_read(value, port_set_add, &set);

	if (ret)
		return ret;
	for (unsigned port = 0; port < TCP_PORTS; port++)
		n += set.has[port];
	ports = malloc(n * sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	n = 0;
	for (unsigned port = 0; port < TCP_PORTS; port++)
		if (set.has[port])
			ports[n++] = be16_from((uint16_t)port);
	*ret_ports = ports;
	*ret_n = n;
	return 0;
}

/* Port 0 is in no set, so that each port has one below it. */
static bool range_begins(const struct port_set *set, unsigned port)
{
	return set->has[port] && !set->has[port - 1];
}

int value_port_ranges(struct value *value, struct port_range **ret_ranges, unsigned *ret_n)
{
	struct port_set set = {0};
	struct port_range *ranges;
	unsigned n = 0;
	int ret = list_read(value, port_set_add, &set);

	if (ret)
		return ret;
	for (unsigned port = 1; port < TCP_PORTS; port++)
		n += range_begins(&set, port);
	ranges = malloc(n * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	n = 0;
	for (unsigned port = 1; port < TCP_PORTS; port++) {
		if (range_begins(&set, port))
			ranges[n++].first = (uint16_t)port;
		if (set.has[port])
			ranges[n - 1].last = (uint16_t)port;
	}
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
	int err = name_ip(value, set->rules, ip, &address);

	if (err || address_set_has(set, address))
		return err;
	if (set->n == RULES_SNAT_MAX)
		return value_wrong(value, value->text,
		                   "has more than %u addresses, which is the most", RULES_SNAT_MAX);
	set->addresses[set->n++] = address;
	return 0;
}

/* Less than 0, 0 or more as a comes before b, is b, or comes after it. */
static int ip_compare(const struct ip *a, const struct ip *b)
{
	return a->is_ipv6 ? memcmp(&a->ip6, &b->ip6, sizeof(a->ip6))
	                  : memcmp(&a->ip4, &b->ip4, sizeof(a->ip4));
}

/* The next address. */
static void ip_step(struct ip *ip)
{
	uint8_t *b = ip->is_ipv6 ? ip->ip6.b : ip->ip4.b;
	int i = ip->is_ipv6 ? sizeof(ip->ip6.b) : sizeof(ip->ip4.b);

	while (--i >= 0 && ++b[i] == 0)
		;
}

static int address_set_add(struct value *value, const char *first, const char *last, void *ctx)
{
	struct ip low, high;
	int err;

	if (read_ip(value, first, &low) || read_ip(value, last, &high))
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
