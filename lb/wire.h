/*
 * Numbers and offsets of the headers that tmbridge reads and writes.
 */
#ifndef LB_WIRE_H
#define LB_WIRE_H

/* Ethernet: IEEE 802.3 clause 3; EtherTypes and TPIDs from IANA's ieee-802-numbers. */
enum {
	ETH_HEADER_BYTES = 14,
	ETH_DST = 0,
	ETH_SRC = 6,
	ETH_TYPE = 12,

	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_8021Q = 0x8100,
	ETHERTYPE_8021AD = 0x88a8,
	ETHERTYPE_QINQ_OLD = 0x9100,
};

/* ARP for Ethernet and IPv4: RFC 826. */
enum {
	ARP_BYTES = 28,
	ARP_HTYPE = 0,
	ARP_PTYPE = 2,
	ARP_HLEN = 4,
	ARP_PLEN = 5,
	ARP_OPER = 6,
	ARP_SHA = 8,
	ARP_SPA = 14,
	ARP_THA = 18,
	ARP_TPA = 24,

	ARP_HTYPE_ETHERNET = 1,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

/* IPv4: RFC 791, 3.1. */
enum {
	IPV4_HEADER_BYTES = 20, /* without options */
	IPV4_TOTAL_LENGTH = 2,
	IPV4_ID = 4,
	IPV4_FRAGMENT = 6,
	IPV4_TTL = 8,
	IPV4_PROTOCOL = 9,
	IPV4_CHECKSUM = 10,
	IPV4_SRC = 12,
	IPV4_DST = 16,

	IPV4_FRAGMENT_MASK = 0x3fff, /* MF and the offset */
	IPV4_MORE = 0x2000,
	IPV4_OFFSET_MASK = 0x1fff, /* in units of 8 bytes */
	IPPROTO_NUM_ICMP = 1,
	IPPROTO_NUM_TCP = 6,
	IPPROTO_NUM_UDP = 17,
};

/* IPv6: RFC 8200, 3 and 4. */
enum {
	IPV6_HEADER_BYTES = 40,
	IPV6_PAYLOAD_LENGTH = 4,
	IPV6_NEXT_HEADER = 6,
	IPV6_HOP_LIMIT = 7,
	IPV6_SRC = 8,
	IPV6_DST = 24,
	IPV6_GROUP = 0xff, /* the first byte of a multicast address (RFC 4291, 2.7) */

	/* extension headers: the next one's number first, then the length */
	IPV6_EXTENSION_BYTES = 8, /* of the shortest, and the unit of the length */
	IPV6_EXTENSION_LENGTH = 1,
	/* walked; RFC 8504, 5.3 lets a host set a limit, and has 8 in mind */
	IPV6_EXTENSIONS_MAX = 8,
	IPV6_ROUTING_LEFT = 3,
	IPV6_FRAGMENT_OFFSET = 2, /* in units of 8 bytes, shifted by 3 */
	IPV6_FRAGMENT_ID = 4,

	IPV6_FRAGMENT_OFFSET_MASK = 0xfff8,
	IPV6_FRAGMENT_MASK = 0xfff9, /* with M */
	IPV6_FRAGMENT_MORE = 0x0001,
	IPPROTO_NUM_HOP_BY_HOP = 0,
	IPPROTO_NUM_ROUTING = 43,
	IPPROTO_NUM_FRAGMENT = 44,
	IPPROTO_NUM_ICMPV6 = 58,
	IPPROTO_NUM_DESTINATION = 60,
};

/* TCP: RFC 9293, 3.1. */
enum {
	TCP_HEADER_BYTES = 20, /* without options */
	TCP_HEADER_BYTES_MAX = 60,
	TCP_SRC = 0,
	TCP_DST = 2,
	TCP_SEQ = 4,
	TCP_ACK_NUMBER = 8,
	TCP_DATA_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CHECKSUM = 16,

	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_WSCALE = 3, /* RFC 7323, 2.2 */
	TCP_OPTION_WSCALE_BYTES = 3,
	TCP_OPTION_TIMESTAMPS = 8, /* RFC 7323, 3.2 */
	TCP_OPTION_TIMESTAMPS_BYTES = 10,
	TCP_OPTION_HEAD_BYTES = 2, /* kind and length, of all but the one-byte options */
	TCP_WSCALE_MAX = 14,

	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
};

/* UDP: RFC 768. */
enum { UDP_HEADER_BYTES = 8 };

/* ICMP: RFC 792. */
enum {
	ICMP_HEADER_BYTES = 8,
	ICMP_TYPE = 0,
	ICMP_CODE = 1,
	ICMP_CHECKSUM = 2,
	ICMP_MTU = 4, /* 4 bytes: of IPv4 the first two are 0 (RFC 1191, 4) */

	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_FRAG_NEEDED = 4, /* a code of it */
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER_PROBLEM = 12,
};

/* ICMPv6: RFC 4443; its header is ICMP's. Errors have the types below ICMPV6_INFORMATION. */
enum {
	ICMPV6_UNREACHABLE = 1,
	ICMPV6_PACKET_TOO_BIG = 2,
	ICMPV6_TIME_EXCEEDED = 3,
	ICMPV6_PARAMETER_PROBLEM = 4,
	ICMPV6_ECHO = 128,
	ICMPV6_ECHO_REPLY = 129,
};

/* Neighbour discovery: RFC 4861, 4.3, 4.4 and 4.6.1. */
enum {
	ND_BYTES = 24, /* without options */
	ND_FLAGS = 4,
	ND_TARGET = 8,
	ND_OPTION_BYTES = 8,  /* of a link-layer address option */
	ND_OPTION_LENGTH = 1, /* in units of 8 bytes */
	ND_OPTION_MAC = 2,

	ND_SOLICITATION = 135,
	ND_ADVERTISEMENT = 136,
	ND_HOP_LIMIT = 255,
	ND_OPTION_SOURCE = 1,
	ND_OPTION_TARGET = 2,
	ND_SOLICITED = 0x40, /* of the flags */
	ND_OVERRIDE = 0x20,
};

/* Multicast listener discovery: RFC 3810, 5.1 and 5.2; RFC 2710, 3. */
enum {
	MLD_OPTIONS_BYTES = 8, /* hop-by-hop options before it: a router alert, and padding */
	MLD_DELAY = 4,         /* of a query, in ms or a code for more */
	MLD_GROUP = 8,
	MLD_QUERY1_BYTES = 24, /* of version 1; a report of it is as long */
	MLD_QUERY_BYTES = 28,  /* and more */
	MLD_RECORDS = 6,       /* of a report: how many there are; they follow, and begin with: */
	MLD_RECORD_TYPE = 8,
	MLD_RECORD_GROUP = 12,
	MLD_REPORT_BYTES = 28, /* of one record without sources */

	MLD_QUERY = 130,
	MLD_REPORT1 = 131,
	MLD_REPORT = 143,
	MLD_IS_EXCLUDE = 2, /* of a record: an answer to a query; a change */
	MLD_TO_EXCLUDE = 4,
};

#endif
