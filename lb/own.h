/*
 * What tmbridge wants to say itself: frames described here, made in bridge/.
 */
#ifndef LB_OWN_H
#define LB_OWN_H

#include "frame.h"
#include "tuple.h"

enum own_kind { OWN_ARP_REPLY, OWN_ND_REPLY, OWN_ECHO_REPLY, OWN_TCP, OWN_ICMP_ERROR };

struct own {
	uint8_t kind;                 /* enum own_kind */
	uint8_t tcp_flags;            /* OWN_TCP */
	uint16_t server;              /* goes to this server's MAC, or SERVER_NONE: to `to` */
	uint8_t icmp_type, icmp_code; /* OWN_ICMP_ERROR */
	uint16_t l4, l4_len; /* OWN_ECHO_REPLY, OWN_ICMP_ERROR: what of the frame is quoted */
	struct hop to;
	/* as the frame shall say it, of IPv6 only the ports; ARP: src is our address, dst the
	 * asker's */
	struct tuple tuple;
	bool ipv6;             /* then src6 and dst6 are the addresses */
	struct ip6 src6, dst6; /* OWN_ND_REPLY: our address, and the asker's or :: if it has none */
	uint32_t seq, ack;     /* OWN_TCP, host order */
	uint32_t mtu;          /* OWN_ICMP_ERROR: the next link's, or 0 */
	const uint8_t *data; /* OWN_TCP: data_len bytes of data, which are the caller's; or NULL */
	uint16_t data_len;
};

/* Own frames to be sent. */
struct own_list {
	struct own *items;
	unsigned n, max;
};

#endif
