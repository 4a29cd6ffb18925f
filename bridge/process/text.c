/*
 * Addresses, names and times as text: IPv6 as RFC 5952 wants it, which is what inet_ntop() does.
 */
#include "text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static_assert(TEXT_ADDRESS_BYTES >= INET6_ADDRSTRLEN, "an address fits");

const char *text_ip(be32 ip4, const struct ip6 *ip6, char ret[TEXT_ADDRESS_BYTES])
{
	if (ip6)
		return inet_ntop(AF_INET6, ip6, ret, TEXT_ADDRESS_BYTES);
	return inet_ntop(AF_INET, &ip4, ret, TEXT_ADDRESS_BYTES);
}

const char *text_address(const struct rules *rules, be32 address, char ret[TEXT_ADDRESS_BYTES])
{
	return text_ip(address, name_is_ipv6(address) ? rules_ip6(rules, address) : NULL, ret);
}

const char *text_endpoint(be32 ip4, const struct ip6 *ip6, be16 port, char ret[TEXT_ENDPOINT_BYTES])
{
	char address[TEXT_ADDRESS_BYTES];

	snprintf(ret, TEXT_ENDPOINT_BYTES, ip6 ? "[%s]:%u" : "%s:%u", text_ip(ip4, ip6, address),
	         be16_get(port));
	return ret;
}

const char *text_time(lb_time time, uint64_t offset, char ret[TEXT_TIME_BYTES])
{
	const uint64_t ns = time.ns + offset;
	const time_t seconds = (time_t)(ns / LB_NS_PER_S);
	struct tm tm;
	size_t n = strftime(ret, TEXT_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));

	snprintf(ret + n, TEXT_TIME_BYTES - n, ".%03uZ",
	         (unsigned)(ns % LB_NS_PER_S / LB_NS_PER_MS));
	return ret;
}

const char *text_json(const char *string, char *ret, size_t size)
{
	enum { LONGEST = sizeof("\\u00ff") };
	char *at = ret;

	for (; *string && size - (size_t)(at - ret) >= LONGEST; string++) {
		unsigned char c = (unsigned char)*string;

		if (c < ' ' || c > '~')
			at += sprintf(at, "\\u%04x", c);
		else
			at += sprintf(at, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	*at = 0;
	return ret;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool text_number(const char *text, unsigned long max, unsigned long *ret)
{
	unsigned long n = 0;
	const char *c = text;

	for (; is_digit(*c); c++) {
		const unsigned long digit = (unsigned long)(*c - '0');

		if (digit > max || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (c == text || *c)
		return false;
	*ret = n;
	return true;
}

bool text_seconds(const char *text, double max, double *ret)
{
	char *end;
	const double seconds = strtod(text, &end);

	if (!is_digit(*text) || strspn(text, "0123456789.") != (size_t)(end - text) || *end ||
	    !(seconds > 0 && seconds <= max))
		return false;
	*ret = seconds;
	return true;
}
