/*
 * Addresses in lb.ini.
 *
 * An address that no host can have is refused, and so is what is more than an address; what it was
 * most likely meant to be is in the message.
 */
#include "ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

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

bool ip_is(const char *text)
{
	struct ip6 bytes;

	return inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, &bytes) == 1;
}

bool ip_begins(const char *from, const char *end, char ret[VALUE_ADDRESS_BYTES])
{
	if (!end || end - from >= VALUE_ADDRESS_BYTES)
		return false;
	memcpy(ret, from, (size_t)(end - from));
	ret[end - from] = 0;
	return ip_is(ret);
}

/* Says what is wrong with what is no address, but may hold one. */
static int not_an_ip(struct value *value, const char *item)
{
	char address[VALUE_ADDRESS_BYTES];
	const char *colon = strrchr(item, ':');

	if (ip_begins(item, strchr(item, '/'), address))
		return value_wrong(value, item, "has a prefix length, but is to be one address: %s",
		                   address);
	if (ip_begins(item, colon, address) && !strchr(address, ':'))
		return value_wrong(
		        value, item,
		        "has a port: the address is %s, and ports have keys of their own", address);
	if (*item == '[' && ip_begins(item + 1, strchr(item, ']'), address))
		return value_wrong(value, item, "has brackets, and maybe a port: the address is %s",
		                   address);
	return value_wrong(value, item,
	                   colon ? "is not an IPv6 address such as 2001:db8::40"
	                         : "is not an IPv4 address such as 10.0.0.40");
}

int ip_read(struct value *value, const char *item, struct ip *ret)
{
	const char *flaw;

	*ret = (struct ip){.is_ipv6 = strchr(item, ':')};
	if (inet_pton(ret->is_ipv6 ? AF_INET6 : AF_INET, item,
	              ret->is_ipv6 ? ret->ip6.b : ret->ip4.b) != 1)
		return not_an_ip(value, item);
	flaw = ret->is_ipv6 ? ip6_flaw(&ret->ip6) : ip4_flaw(ret->ip4);
	return flaw ? value_wrong(value, item, "is %s, but a host's is needed", flaw) : 0;
}

int ip_name(struct value *value, struct rules *rules, const struct ip *ip, be32 *ret)
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
	int err = ip_read(value, value->text, &ip);

	if (!err)
		err = ip_name(value, rules, &ip, &address);
	if (!err)
		*ret = address;
	return err;
}

int ip_compare(const struct ip *a, const struct ip *b)
{
	return a->is_ipv6 ? memcmp(&a->ip6, &b->ip6, sizeof(a->ip6))
	                  : memcmp(&a->ip4, &b->ip4, sizeof(a->ip4));
}

const char *ip6_text(const struct ip6 *ip, char text[VALUE_ADDRESS_BYTES])
{
	const bool is_ipv4 = ip6_is_mapped(ip);

	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, ip->b + (is_ipv4 ? 12 : 0), text,
	          VALUE_ADDRESS_BYTES);
	return text;
}

void ip_step(struct ip *ip)
{
	uint8_t *b = ip->is_ipv6 ? ip->ip6.b : ip->ip4.b;
	int i = ip->is_ipv6 ? sizeof(ip->ip6.b) : sizeof(ip->ip4.b);

	while (--i >= 0 && ++b[i] == 0)
		;
}
