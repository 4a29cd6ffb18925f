/*
 * Addresses in lb.ini, of both versions of IP.
 */
#ifndef CFG_IP_H
#define CFG_IP_H

#include "value.h"

struct ip {
	bool is_ipv6;
	be32 ip4;
	struct ip6 ip6;
};

/* Whether text is an address of either version. */
bool ip_is(const char *text);

/* Whether what begins at from and ends before end is one, which then is in ret; not if end is
 * NULL. */
bool ip_begins(const char *from, const char *end, char ret[VALUE_ADDRESS_BYTES]);

/* Reads an address that a host can have. Returns 0, or -EINVAL with value->why filled in. */
int ip_read(struct value *value, const char *item, struct ip *ret);

/*
 * The address as rules have it, which may have to be named there: 0, -EINVAL as above or -ENOMEM.
 */
int ip_name(struct value *value, struct rules *rules, const struct ip *ip, be32 *ret);

/* Less than 0, 0 or more as a comes before b, is b, or comes after it; both of one version. */
int ip_compare(const struct ip *a, const struct ip *b);

/* The text of an address, of IPv4 as ip6_mapped(). Returns text. */
const char *ip6_text(const struct ip6 *ip, char text[VALUE_ADDRESS_BYTES]);

/* Makes it the next address. */
void ip_step(struct ip *ip);

#endif
