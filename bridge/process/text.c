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

char *text_put_number(char *at, uint64_t n)
{
	char digits[20];
	unsigned i = 0;

	do
		digits[i++] = (char)('0' + n % 10);
	while (n /= 10);
	while (i)
		*at++ = digits[--i];
	*at = '\0';
	return at;
}

/* Returns its end. */
static char *put_ip4(char *at, be32 ip)
{
	for (unsigned i = 0; i < sizeof(ip.b); i++) {
		if (i)
			*at++ = '.';
		at = text_put_number(at, ip.b[i]);
	}
	return at;
}

const char *text_ip(be32 ip4, const struct ip6 *ip6, char ret[TEXT_ADDRESS_BYTES])
{
	if (ip6)
		return inet_ntop(AF_INET6, ip6, ret, TEXT_ADDRESS_BYTES);
	put_ip4(ret, ip4);
	return ret;
}

const char *text_address(const struct rules *rules, be32 address, char ret[TEXT_ADDRESS_BYTES])
{
	return text_ip(address, name_is_ipv6(address) ? rules_ip6(rules, address) : NULL, ret);
}

const char *text_endpoint(be32 ip4, const struct ip6 *ip6, be16 port, char ret[TEXT_ENDPOINT_BYTES])
{
	char *at = ret;

	if (ip6) {
		*at++ = '[';
		inet_ntop(AF_INET6, ip6, at, TEXT_ADDRESS_BYTES);
		at += strlen(at);
		*at++ = ']';
	} else {
		at = put_ip4(at, ip4);
	}
	*at++ = ':';
	text_put_number(at, be16_get(port));
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

enum { NO_CHARACTER = 0x110000 }; /* behind Unicode's last one */

/*
 * The character that a string begins with and, by *ret_bytes, how many bytes it takes (RFC 3629).
 * Of what is none NO_CHARACTER, and one byte: also of a character that is cut off, of one that
 * would have been shorter, and of half a UTF-16 pair.
 */
static uint32_t read_character(const char *string, unsigned *ret_bytes)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const uint8_t *b = (const uint8_t *)string;
	unsigned more = b[0] >= 0xf0 ? 3 : b[0] >= 0xe0 ? 2 : b[0] >= 0xc0 ? 1 : 0;
	uint32_t c = more ? b[0] & (0x3fu >> more) : b[0];
	unsigned i = 1;

	for (; i <= more && (b[i] & 0xc0) == 0x80; i++)
		c = c << 6 | (b[i] & 0x3f);
	*ret_bytes = 1;
	if (i <= more || c < least[more] || c >= NO_CHARACTER || b[0] >= 0xf8 ||
	    (!more && b[0] >= 0x80) || (c >= 0xd800 && c < 0xe000))
		return NO_CHARACTER;
	*ret_bytes = more + 1;
	return c;
}

/* Returns how many bytes it has written, with a NUL behind them. */
static int escape(uint32_t c, char *ret)
{
	if (c >= 0x10000)
		return sprintf(ret, "\\u%04x\\u%04x", 0xd800 | ((c - 0x10000) >> 10 & 0x3ff),
		               0xdc00 | (c & 0x3ff));
	if (c < ' ' || c > '~')
		return sprintf(ret, "\\u%04x", (uint16_t)c);
	return sprintf(ret, c == '"' || c == '\\' ? "\\%c" : "%c", (char)c);
}

const char *text_json(const char *string, char *ret, size_t size)
{
	enum { LONGEST = sizeof("\\ud83d\\ude00") };
	char *at = ret, one[LONGEST];
	unsigned bytes;

	*at = 0;
	for (; *string; string += bytes) {
		uint32_t c = read_character(string, &bytes);
		int n = escape(c == NO_CHARACTER ? (uint8_t)*string : c, one);

		if (size - (size_t)(at - ret) <= (size_t)n)
			break;
		strcpy(at, one);
		at += n;
	}
	return ret;
}

/* Unicode's controls, and what breaks a line or turns it round. */
static bool is_control(uint32_t c)
{
	return c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

void text_printable(char *string)
{
	unsigned bytes;

	for (; *string; string += bytes) {
		uint32_t c = read_character(string, &bytes);

		if (c == NO_CHARACTER || is_control(c))
			memset(string, '?', bytes);
	}
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
