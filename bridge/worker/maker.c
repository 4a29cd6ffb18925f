/*
 * The frames that tmbridge makes itself: ARP, neighbour discovery, RSTs, the segments of probes,
 * echo replies.
 *
 * A frame is a copy of a template, with the fields filled in that differ. So nothing allocates
 * while traffic flows.
 *
 * Frames live in a space that is used anew for each burst. It holds one answer for each frame of a
 * burst, and the requests that go out in between.
 */
#include "maker.h"

#include "templates.h"
#include "../port/l2.h"
#include "../process/log.h"
#include "../../lb/csum.h"
#include "../../lb/wire.h"

#include <errno.h>
#include <stdlib.h>

enum {
	OWN_WINDOW = 8192,           /* bytes: more than a server says to a probe at once */
	OWN_ARENA_BYTES = 256 << 10, /* a burst of echo replies of 4 KiB, twice over */
};

struct maker {
	struct templates templates;
	uint32_t used;
	uint8_t space[OWN_ARENA_BYTES];
};

struct maker *maker_new(void)
{
	struct maker *maker = calloc(1, sizeof(*maker));

	if (!maker) {
		log_error("frames of our own: %s", strerror(ENOMEM));
		return NULL;
	}
	if (templates_make(&maker->templates) < 0) {
		free(maker);
		return NULL;
	}
	return maker;
}

void maker_free(struct maker *maker)
{
	free(maker);
}

void maker_reuse(struct maker *maker)
{
	maker->used = 0;
}

/* An empty frame to hop of len bytes behind the Ethernet header, and where they go. */
static uint8_t *start(struct maker *maker, const struct hop *hop, uint16_t ethertype, uint32_t len,
                      const struct port *port, struct frame *ret)
{
	uint32_t total = l2_bytes(hop) + len;
	uint8_t *data = maker->space + maker->used;

	if (total > sizeof(maker->space) - maker->used)
		return NULL;
	maker->used += total;
	l2_write(data, hop, &port->mac, ethertype);
	*ret = (struct frame){
	        .data = data, .len = total, .wire_len = total, .side = (uint8_t)port->side};
	return data + l2_bytes(hop);
}

static uint8_t *start_from(struct maker *maker, const struct template *template,
                           const struct hop *hop, uint16_t ethertype, uint32_t payload,
                           const struct port *port, struct frame *ret)
{
	uint8_t *p = start(maker, hop, ethertype, template->len + payload, port, ret);

	if (p)
		memcpy(p, template->bytes, template->len);
	return p;
}

static void fill_arp(uint8_t *arp, uint16_t oper, const struct port *port, be32 sender,
                     const struct mac *target_mac, be32 target)
{
	be16_store(arp + ARP_OPER, be16_from(oper));
	memcpy(arp + ARP_SHA, &port->mac, sizeof(port->mac));
	be32_store(arp + ARP_SPA, sender);
	memcpy(arp + ARP_THA, target_mac, sizeof(*target_mac));
	be32_store(arp + ARP_TPA, target);
}

static bool arp_reply(struct maker *maker, const struct own *own, const struct port *port,
                      struct frame *ret)
{
	uint8_t *p =
	        start_from(maker, &maker->templates.arp, &own->to, ETHERTYPE_ARP, 0, port, ret);

	if (p)
		fill_arp(p, ARP_REPLY, port, own->tuple.src, &own->to.mac, own->tuple.dst);
	return p;
}

/* Lengths, addresses and checksum of a template's IP header; returns the sum over the pseudo header
 * of what follows. */
static csum_acc fill_ip(uint8_t *ip, const struct own *own, uint8_t protocol, uint16_t payload)
{
	if (own->ipv6) {
		be16_store(ip + IPV6_PAYLOAD_LENGTH, be16_from(payload));
		memcpy(ip + IPV6_SRC, &own->src6, sizeof(own->src6));
		memcpy(ip + IPV6_DST, &own->dst6, sizeof(own->dst6));
		return csum_pseudo6(&own->src6, &own->dst6, protocol, payload);
	}
	be16_store(ip + IPV4_TOTAL_LENGTH, be16_from((uint16_t)(IPV4_HEADER_BYTES + payload)));
	be32_store(ip + IPV4_SRC, own->tuple.src);
	be32_store(ip + IPV4_DST, own->tuple.dst);
	csum_store(ip + IPV4_CHECKSUM, 0);
	csum_store(ip + IPV4_CHECKSUM, (uint16_t)~csum_fold(csum_add(0, ip, IPV4_HEADER_BYTES)));
	return csum_pseudo(own->tuple.src, own->tuple.dst, protocol, payload);
}

static uint32_t ip_header_bytes(const struct own *own)
{
	return own->ipv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
}

static uint16_t ethertype_of(const struct own *own)
{
	return own->ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
}

/* The checksum of len bytes at p, to be stored at field in them, with a pseudo header's sum. */
static void complete(uint8_t *p, uint16_t len, uint8_t *field, csum_acc pseudo)
{
	csum_store(field, 0);
	csum_store(field, (uint16_t)~csum_fold(csum_add(pseudo, p, len)));
}

static bool tcp_segment(struct maker *maker, const struct own *own, const struct port *port,
                        struct frame *ret)
{
	uint8_t *ip = start_from(maker, own->ipv6 ? &maker->templates.tcp6 : &maker->templates.tcp,
	                         &own->to, ethertype_of(own), own->data_len, port, ret);
	const uint16_t len = (uint16_t)(TCP_HEADER_BYTES + own->data_len);
	uint8_t *tcp;
	csum_acc pseudo;

	if (!ip)
		return false;
	tcp = ip + ip_header_bytes(own);
	pseudo = fill_ip(ip, own, IPPROTO_NUM_TCP, len);
	be16_store(tcp + TCP_SRC, own->tuple.sport);
	be16_store(tcp + TCP_DST, own->tuple.dport);
	be32_store(tcp + TCP_SEQ, be32_from(own->seq));
	be32_store(tcp + TCP_ACK_NUMBER, be32_from(own->ack));
	tcp[TCP_FLAGS] = own->tcp_flags;
	be16_store(tcp + TCP_WINDOW, be16_from(own->tcp_flags & TCP_RST ? 0 : OWN_WINDOW));
	if (own->data_len)
		memcpy(tcp + TCP_HEADER_BYTES, own->data, own->data_len);
	complete(tcp, len, tcp + TCP_CHECKSUM, pseudo);
	return true;
}

/* The request's ICMP message as it is, but for the type (RFC 792; RFC 4443, 4.2). */
static bool echo_reply(struct maker *maker, const struct own *own, const struct frame *request,
                       const struct port *port, struct frame *ret)
{
	uint8_t *ip =
	        start_from(maker, own->ipv6 ? &maker->templates.echo6 : &maker->templates.echo,
	                   &own->to, ethertype_of(own), own->l4_len, port, ret);
	uint8_t *icmp;

	if (!ip)
		return false;
	icmp = ip + ip_header_bytes(own);
	fill_ip(ip, own, own->ipv6 ? IPPROTO_NUM_ICMPV6 : IPPROTO_NUM_ICMP, own->l4_len);
	memcpy(icmp, request->data + own->l4, own->l4_len);
	/* ICMPv6's pseudo header has the same two addresses, and so the same sum */
	icmp[ICMP_TYPE] = own->ipv6 ? ICMPV6_ECHO_REPLY : ICMP_ECHO_REPLY;
	csum_update(icmp + ICMP_CHECKSUM,
	            csum_change16(be16_load(request->data + own->l4), be16_load(icmp)));
	return true;
}

/* An ICMP error that quotes the beginning of the packet that it is about (RFC 792; RFC 4443, 3). */
static bool icmp_error(struct maker *maker, const struct own *own, const struct frame *request,
                       const struct port *port, struct frame *ret)
{
	const uint16_t len = (uint16_t)(ICMP_HEADER_BYTES + own->l4_len);
	uint8_t *ip =
	        start_from(maker, own->ipv6 ? &maker->templates.echo6 : &maker->templates.echo,
	                   &own->to, ethertype_of(own), len, port, ret);
	uint8_t *icmp;
	csum_acc pseudo;

	if (!ip)
		return false;
	icmp = ip + ip_header_bytes(own);
	pseudo = fill_ip(ip, own, own->ipv6 ? IPPROTO_NUM_ICMPV6 : IPPROTO_NUM_ICMP, len);
	icmp[ICMP_TYPE] = own->icmp_type;
	icmp[ICMP_CODE] = own->icmp_code;
	be32_store(icmp + ICMP_MTU, be32_from(own->mtu));
	memcpy(icmp + ICMP_HEADER_BYTES, request->data + own->l4, own->l4_len);
	complete(icmp, len, icmp + ICMP_CHECKSUM, own->ipv6 ? pseudo : 0);
	return true;
}

/* A message of neighbour discovery about target, from own->src6 to own->dst6. */
static bool nd_message(struct maker *maker, const struct own *own, uint8_t type, uint8_t flags,
                       const struct ip6 *target, const struct port *port, struct frame *ret)
{
	uint8_t *ip =
	        start_from(maker, &maker->templates.nd, &own->to, ETHERTYPE_IPV6, 0, port, ret);
	uint8_t *nd, *option;
	csum_acc pseudo;

	if (!ip)
		return false;
	nd = ip + IPV6_HEADER_BYTES;
	option = nd + ND_BYTES;
	nd[ICMP_TYPE] = type;
	nd[ND_FLAGS] = flags;
	memcpy(nd + ND_TARGET, target, sizeof(*target));
	option[0] = type == ND_SOLICITATION ? ND_OPTION_SOURCE : ND_OPTION_TARGET;
	memcpy(option + ND_OPTION_MAC, &port->mac, sizeof(port->mac));
	pseudo = fill_ip(ip, own, IPPROTO_NUM_ICMPV6, ND_BYTES + ND_OPTION_BYTES);
	complete(nd, ND_BYTES + ND_OPTION_BYTES, nd + ICMP_CHECKSUM, pseudo);
	return true;
}

/* Takes the link-layer address out of a solicitation: one without a sender must have none (RFC
 * 4861, 4.3). */
static void drop_nd_option(struct frame *frame)
{
	uint8_t *nd = frame->data + frame->len - ND_BYTES - ND_OPTION_BYTES;
	uint8_t *ip = nd - IPV6_HEADER_BYTES;
	csum_acc pseudo =
	        csum_pseudo6((const struct ip6 *)(ip + IPV6_SRC),
	                     (const struct ip6 *)(ip + IPV6_DST), IPPROTO_NUM_ICMPV6, ND_BYTES);

	be16_store(ip + IPV6_PAYLOAD_LENGTH, be16_from(ND_BYTES));
	complete(nd, ND_BYTES, nd + ICMP_CHECKSUM, pseudo);
	frame->len -= ND_OPTION_BYTES;
	frame->wire_len = frame->len;
}

static const struct ip6 unspecified, all_nodes = {{0xff, 0x02, [15] = 1}};

/* To whom a multicast goes: RFC 2464, 7. */
static struct hop to_multicast(const struct hop *hop, const struct ip6 *ip)
{
	struct hop ret = *hop;

	ret.mac = (struct mac){{0x33, 0x33}};
	memcpy(ret.mac.b + 2, ip->b + 12, 4);
	return ret;
}

/* Makes an advertisement. If the solicitation has no source address it goes to all nodes (RFC 4861,
 * 7.2.4). */
static bool nd_reply(struct maker *maker, const struct own *own, const struct port *port,
                     struct frame *ret)
{
	struct own to = *own;

	if (!ip6_eq(&own->dst6, &unspecified))
		return nd_message(maker, own, ND_ADVERTISEMENT, ND_SOLICITED | ND_OVERRIDE,
		                  &own->src6, port, ret);
	to.dst6 = all_nodes;
	to.to = to_multicast(&own->to, &all_nodes);
	return nd_message(maker, &to, ND_ADVERTISEMENT, ND_OVERRIDE, &own->src6, port, ret);
}

bool maker_make(struct maker *maker, const struct own *own, const struct frame *request,
                const struct port *port, struct frame *ret)
{
	switch ((enum own_kind)own->kind) {
	case OWN_ARP_REPLY:
		return arp_reply(maker, own, port, ret);
	case OWN_ND_REPLY:
		return nd_reply(maker, own, port, ret);
	case OWN_TCP:
		return tcp_segment(maker, own, port, ret);
	case OWN_ECHO_REPLY:
		return echo_reply(maker, own, request, port, ret);
	case OWN_ICMP_ERROR:
		return icmp_error(maker, own, request, port, ret);
	}
	return false;
}

bool maker_arp_request(struct maker *maker, be32 sender, be32 target, const struct hop *to,
                       const struct port *port, struct frame *ret)
{
	static const struct mac unknown;
	uint8_t *p = start_from(maker, &maker->templates.arp, to, ETHERTYPE_ARP, 0, port, ret);

	if (p)
		fill_arp(p, ARP_REQUEST, port, sender, &unknown, target);
	return p;
}

bool maker_nd_announcement(struct maker *maker, const struct ip6 *ip, const struct hop *to,
                           const struct port *port, struct frame *ret)
{
	const struct own own = {
	        .to = to_multicast(to, &all_nodes), .ipv6 = true, .src6 = *ip, .dst6 = all_nodes};

	return nd_message(maker, &own, ND_ADVERTISEMENT, ND_OVERRIDE, ip, port, ret);
}

static struct ip6 link_local(const struct mac *mac)
{
	const uint8_t *b = mac->b;

	return (struct ip6){{0xfe, 0x80, [8] = b[0] ^ 2, b[1], b[2], 0xff, 0xfe, b[3], b[4], b[5]}};
}

/* The IPv6 header and options of an MLD message to dst, in an otherwise empty frame, or NULL. */
static uint8_t *start_mld(struct maker *maker, const struct ip6 *dst, uint32_t len,
                          const struct hop *to, const struct port *port, struct frame *ret)
{
	/* a router alert (RFC 2711), and padding */
	static const uint8_t options[MLD_OPTIONS_BYTES] = {IPPROTO_NUM_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
	const struct ip6 self = link_local(&port->mac);
	const struct hop hop = to_multicast(to, dst);
	const uint32_t headers = IPV6_HEADER_BYTES + MLD_OPTIONS_BYTES;
	uint8_t *p = start(maker, &hop, ETHERTYPE_IPV6, headers + len, port, ret);

	if (!p)
		return NULL;
	memset(p, 0, headers + len);
	p[0] = 0x60;
	be16_store(p + IPV6_PAYLOAD_LENGTH, be16_from((uint16_t)(MLD_OPTIONS_BYTES + len)));
	p[IPV6_HOP_LIMIT] = 1;
	memcpy(p + IPV6_SRC, &self, sizeof(self));
	memcpy(p + IPV6_DST, dst, sizeof(*dst));
	memcpy(p + IPV6_HEADER_BYTES, options, sizeof(options));
	return p + headers;
}

static void complete_mld(uint8_t *mld, uint16_t len, const struct ip6 *dst, const struct port *port)
{
	const struct ip6 self = link_local(&port->mac);

	complete(mld, len, mld + ICMP_CHECKSUM, csum_pseudo6(&self, dst, IPPROTO_NUM_ICMPV6, len));
}

/* RFC 2710, 4: to the group itself. */
static bool mld_report1(struct maker *maker, const struct ip6 *group, const struct hop *to,
                        const struct port *port, struct frame *ret)
{
	uint8_t *mld = start_mld(maker, group, MLD_QUERY1_BYTES, to, port, ret);

	if (!mld)
		return false;
	mld[ICMP_TYPE] = MLD_REPORT1;
	memcpy(mld + MLD_GROUP, group, sizeof(*group));
	complete_mld(mld, MLD_QUERY1_BYTES, group, port);
	return true;
}

bool maker_mld_report(struct maker *maker, enum own_mld kind, const struct ip6 *ip,
                      const struct hop *to, const struct port *port, struct frame *ret)
{
	static const struct ip6 routers = {{0xff, 0x02, [15] = 0x16}};
	const struct ip6 group = ip6_solicited_node(ip);
	uint8_t *mld;

	if (kind == OWN_MLD_OLD)
		return mld_report1(maker, &group, to, port, ret);
	mld = start_mld(maker, &routers, MLD_REPORT_BYTES, to, port, ret);
	if (!mld)
		return false;
	mld[ICMP_TYPE] = MLD_REPORT;
	be16_store(mld + MLD_RECORDS, be16_from(1));
	mld[MLD_RECORD_TYPE] = kind == OWN_MLD_ANSWER ? MLD_IS_EXCLUDE : MLD_TO_EXCLUDE;
	memcpy(mld + MLD_RECORD_GROUP, &group, sizeof(group));
	complete_mld(mld, MLD_REPORT_BYTES, &routers, port);
	return true;
}

bool maker_nd_solicitation(struct maker *maker, const struct ip6 *sender, const struct ip6 *target,
                           const struct hop *to, const struct port *port, struct frame *ret)
{
	struct own own = {.ipv6 = true,
	                  .src6 = sender ? *sender : unspecified,
	                  .dst6 = ip6_solicited_node(target)};

	own.to = to_multicast(to, &own.dst6);
	if (!mac_is_group(&to->mac)) {
		own.dst6 = *target;
		own.to = *to;
	}
	if (!nd_message(maker, &own, ND_SOLICITATION, 0, target, port, ret))
		return false;
	if (!sender)
		drop_nd_option(ret);
	return true;
}
