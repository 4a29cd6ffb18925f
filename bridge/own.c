/*
 * The frames that tmbridge makes itself: ARP, RSTs, the segments of probes, echo replies.
 *
 * libnet makes one of each at start, and these are the templates: a frame is a copy of one, with
 * the fields filled in that differ. So nothing allocates while traffic flows (libnet does, for each
 * packet), and the layout of a header is nobody's business here but libnet's.
 *
 * Frames live in a space that is used anew for each burst. It holds one answer for each frame of a
 * burst, and the requests that go out in between.
 */
#include "own.h"

#include "l2.h"
#include "log.h"
#include "../lb/csum.h"
#include "../lb/wire.h"

#include <libnet.h>
#include <stdlib.h>

enum {
	OWN_TTL = 64,                /* RFC 1700's recommended default */
	OWN_WINDOW = 8192,           /* bytes: more than a server says to a probe at once */
	OWN_ARENA_BYTES = 256 << 10, /* a burst of echo replies of 4 KiB, twice over */
};

/* A packet from layer 3 upwards. */
struct template
{
	uint8_t bytes[IPV4_HEADER_BYTES + TCP_HEADER_BYTES];
	uint32_t len;
};

struct own_maker {
	struct template arp, tcp, echo;
	uint32_t used;
	uint8_t space[OWN_ARENA_BYTES];
};

/* Takes over what has been built in context. Returns 0, or -EIO with the reason logged. */
static int take_template(libnet_t *context, struct template *ret)
{
	uint8_t *packet;
	uint32_t len;

	if (libnet_pblock_coalesce(context, &packet, &len) < 0) {
		log_error("libnet: %s", libnet_geterror(context));
		return -EIO;
	}
	assert(len <= sizeof(ret->bytes));
	memcpy(ret->bytes, packet, len);
	ret->len = len;
	libnet_adv_free_packet(context, packet);
	libnet_clear_packet(context);
	return 0;
}

static int make_arp(libnet_t *context, struct template *ret)
{
	static const uint8_t nobody[6];

	if (libnet_build_arp(ARPHRD_ETHER, ETHERTYPE_IPV4, sizeof(nobody), sizeof(be32),
	                     ARPOP_REQUEST, nobody, nobody, nobody, nobody, NULL, 0, context,
	                     0) < 0) {
		log_error("libnet: %s", libnet_geterror(context));
		return -EIO;
	}
	return take_template(context, ret);
}

static int make_ipv4(libnet_t *context, uint16_t payload, uint8_t protocol, struct template *ret)
{
	if (libnet_build_ipv4((uint16_t)(LIBNET_IPV4_H + payload), 0, 0, IP_DF, OWN_TTL, protocol,
	                      0, 0, 0, NULL, 0, context, 0) < 0) {
		log_error("libnet: %s", libnet_geterror(context));
		return -EIO;
	}
	return take_template(context, ret);
}

static int make_tcp(libnet_t *context, struct template *ret)
{
	if (libnet_build_tcp(0, 0, 0, 0, TH_RST, 0, 0, 0, LIBNET_TCP_H, NULL, 0, context, 0) < 0) {
		log_error("libnet: %s", libnet_geterror(context));
		return -EIO;
	}
	return make_ipv4(context, LIBNET_TCP_H, IPPROTO_TCP, ret);
}

struct own_maker *own_maker_new(void)
{
	char error[LIBNET_ERRBUF_SIZE] = "";
	struct own_maker *maker = calloc(1, sizeof(*maker));
	libnet_t *context = libnet_init(LIBNET_NONE, NULL, error);

	if (!context || !maker) {
		log_error("libnet: %s", error);
		goto fail;
	}
	if (make_arp(context, &maker->arp) < 0 || make_tcp(context, &maker->tcp) < 0 ||
	    make_ipv4(context, 0, IPPROTO_ICMP, &maker->echo) < 0)
		goto fail;
	libnet_destroy(context);
	return maker;
fail:
	if (context)
		libnet_destroy(context);
	free(maker);
	return NULL;
}

void own_maker_free(struct own_maker *maker)
{
	free(maker);
}

void own_reuse(struct own_maker *maker)
{
	maker->used = 0;
}

/* An empty frame to hop of len bytes behind the Ethernet header, and where they go. */
static uint8_t *start(struct own_maker *maker, const struct hop *hop, uint16_t ethertype,
                      uint32_t len, const struct port *port, struct frame *ret)
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

static uint8_t *start_from(struct own_maker *maker, const struct template *template,
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

static bool arp_reply(struct own_maker *maker, const struct own *own, const struct port *port,
                      struct frame *ret)
{
	uint8_t *p = start_from(maker, &maker->arp, &own->to, ETHERTYPE_ARP, 0, port, ret);

	if (p)
		fill_arp(p, ARP_REPLY, port, own->tuple.src, &own->to.mac, own->tuple.dst);
	return p;
}

/* Addresses, total length and checksum of a template's IPv4 header. */
static void fill_ipv4(uint8_t *ip, const struct tuple *tuple, uint32_t total)
{
	be16_store(ip + IPV4_TOTAL_LENGTH, be16_from((uint16_t)total));
	be32_store(ip + IPV4_SRC, tuple->src);
	be32_store(ip + IPV4_DST, tuple->dst);
	csum_store(ip + IPV4_CHECKSUM, 0);
	csum_store(ip + IPV4_CHECKSUM, (uint16_t)~csum_fold(csum_add(0, ip, IPV4_HEADER_BYTES)));
}

static bool tcp_segment(struct own_maker *maker, const struct own *own, const struct port *port,
                        struct frame *ret)
{
	uint8_t *ip = start_from(maker, &maker->tcp, &own->to, ETHERTYPE_IPV4, 0, port, ret);
	uint8_t *tcp;
	csum_acc sum;

	if (!ip)
		return false;
	tcp = ip + IPV4_HEADER_BYTES;
	fill_ipv4(ip, &own->tuple, maker->tcp.len);
	be16_store(tcp + TCP_SRC, own->tuple.sport);
	be16_store(tcp + TCP_DST, own->tuple.dport);
	be32_store(tcp + TCP_SEQ, be32_from(own->seq));
	be32_store(tcp + TCP_ACK_NUMBER, be32_from(own->ack));
	tcp[TCP_FLAGS] = own->tcp_flags;
	be16_store(tcp + TCP_WINDOW, be16_from(own->tcp_flags & TCP_RST ? 0 : OWN_WINDOW));
	csum_store(tcp + TCP_CHECKSUM, 0);
	sum = csum_pseudo(own->tuple.src, own->tuple.dst, IPPROTO_NUM_TCP, TCP_HEADER_BYTES);
	csum_store(tcp + TCP_CHECKSUM, (uint16_t)~csum_fold(csum_add(sum, tcp, TCP_HEADER_BYTES)));
	return true;
}

/* The request's ICMP message as it is, but for the type (RFC 792). */
static bool echo_reply(struct own_maker *maker, const struct own *own, const struct frame *request,
                       const struct port *port, struct frame *ret)
{
	uint8_t *ip =
	        start_from(maker, &maker->echo, &own->to, ETHERTYPE_IPV4, own->l4_len, port, ret);
	uint8_t *icmp;

	if (!ip)
		return false;
	icmp = ip + IPV4_HEADER_BYTES;
	fill_ipv4(ip, &own->tuple, maker->echo.len + own->l4_len);
	memcpy(icmp, request->data + own->l4, own->l4_len);
	csum_update(icmp + ICMP_CHECKSUM,
	            csum_change16(be16_load(icmp), be16_from(ICMP_ECHO_REPLY << 8)));
	icmp[ICMP_TYPE] = ICMP_ECHO_REPLY;
	return true;
}

bool own_make(struct own_maker *maker, const struct own *own, const struct frame *request,
              const struct port *port, struct frame *ret)
{
	switch ((enum own_kind)own->kind) {
	case OWN_ARP_REPLY:
		return arp_reply(maker, own, port, ret);
	case OWN_TCP:
		return tcp_segment(maker, own, port, ret);
	case OWN_ECHO_REPLY:
		return echo_reply(maker, own, request, port, ret);
	}
	return false;
}

bool own_arp_request(struct own_maker *maker, be32 sender, be32 target, const struct hop *to,
                     const struct port *port, struct frame *ret)
{
	static const struct mac unknown;
	uint8_t *p = start_from(maker, &maker->arp, to, ETHERTYPE_ARP, 0, port, ret);

	if (p)
		fill_arp(p, ARP_REQUEST, port, sender, &unknown, target);
	return p;
}

struct hop own_broadcast(enum side side, uint16_t vlan)
{
	return (struct hop){.mac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	                    .side = side & 1u,
	                    .ntags = vlan != 0,
	                    .tpid0 = TPID_8021Q,
	                    .tci = {be16_from(vlan)}};
}
