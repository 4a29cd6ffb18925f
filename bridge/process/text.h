/*
 * Addresses, names and numbers as text, for messages, statistics, the connection log and requests.
 */
#ifndef BRIDGE_TEXT_H
#define BRIDGE_TEXT_H

#include "../../lb/rules.h"

enum { TEXT_ADDRESS_BYTES = 46, TEXT_ENDPOINT_BYTES = 56, TEXT_TIME_BYTES = 40 }; /* with NUL */

/* An address of the rules, by its name if it is an IPv6 address. Returns ret. */
const char *text_address(const struct rules *rules, be32 address, char ret[TEXT_ADDRESS_BYTES]);

/* An address: *ip6 or, if that is NULL, ip4. Returns ret. */
const char *text_ip(be32 ip4, const struct ip6 *ip6, char ret[TEXT_ADDRESS_BYTES]);

/* An address and port: 10.0.0.40:443 or, if ip6 isn't NULL, [2001:db8::40]:443. Returns ret. */
const char *text_endpoint(be32 ip4, const struct ip6 *ip6, be16 port,
                          char ret[TEXT_ENDPOINT_BYTES]);

/* Writes a number in decimal digits, 20 at most, and a NUL, at which it returns. */
char *text_put_number(char *at, uint64_t n);

/* A time that is offset ns behind the time of day, as RFC 3339 has it, in UTC, to the millisecond.
 * Returns ret. */
const char *text_time(lb_time time, uint64_t offset, char ret[TEXT_TIME_BYTES]);

/*
 * A string, UTF-8 or bytes of any kind, cut to fit, as what may stand between the quotes of a JSON
 * string: what isn't printable ASCII is escaped, a byte that is part of no character as the
 * character of its number. Returns ret, of size bytes.
 */
const char *text_json(const char *string, char *ret, size_t size);

/* Puts question marks in the place of what isn't UTF-8 (RFC 3629), could move a terminal's cursor,
 * break the line or turn it round. */
void text_printable(char *string);

/*
 * A whole number of at most max, in decimal digits and nothing else; false if it is something else.
 */
bool text_number(const char *text, unsigned long max, unsigned long *ret);

#endif
