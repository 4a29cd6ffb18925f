#include "address.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* True for numbers only: of a name that begins like one, 127.0.0.1.example.com, anybody may be the
 * owner. */
bool address_is_loopback(const char *address)
{
	struct in_addr ip4;
	struct in6_addr ip6;

	if (inet_pton(AF_INET, address, &ip4) == 1)
		return ntohl(ip4.s_addr) >> 24 == IN_LOOPBACKNET;
	return inet_pton(AF_INET6, address, &ip6) == 1 && IN6_IS_ADDR_LOOPBACK(&ip6);
}

/* Compared as numbers, since a browser writes an IPv6 address in its own way. */
bool address_is_same(const char *a, const char *b)
{
	struct in6_addr ip_a, ip_b;

	return !strcasecmp(a, b) ||
	       (inet_pton(AF_INET6, a, &ip_a) == 1 && inet_pton(AF_INET6, b, &ip_b) == 1 &&
	        !memcmp(&ip_a, &ip_b, sizeof(ip_a)));
}
