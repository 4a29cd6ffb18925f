/*
 * libnet makes them, once: so the layout of a header is nobody's business here but libnet's, which
 * allocates for each packet that it makes.
 */
#include "templates.h"

#include "../process/log.h"
#include "../../lb/bytes.h"

#include <assert.h>
#include <errno.h>
#include <libnet.h>
#include <string.h>

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
	if (libnet_build_ipv4((uint16_t)(LIBNET_IPV4_H + payload), 0, 0, IP_DF, TEMPLATES_TTL,
	                      protocol, 0, 0, 0, NULL, 0, context, 0) < 0) {
		log_error("libnet: %s", libnet_geterror(context));
		return -EIO;
	}
	return take_template(context, ret);
}

static int make_ipv6(libnet_t *context, uint16_t payload, uint8_t protocol, uint8_t hop_limit,
                     struct template *ret)
{
	static const struct libnet_in6_addr nobody;

	if (libnet_build_ipv6(0, 0, payload, protocol, hop_limit, nobody, nobody, NULL, 0, context,
	                      0) < 0) {
		log_error("libnet: %s", libnet_geterror(context));
		return -EIO;
	}
	return take_template(context, ret);
}

static int make_tcp(libnet_t *context, struct template *ret, struct template *ret6)
{
	for (unsigned i = 0; i < 2; i++) {
		int err;

		if (libnet_build_tcp(0, 0, 0, 0, TH_RST, 0, 0, 0, LIBNET_TCP_H, NULL, 0, context,
		                     0) < 0) {
			log_error("libnet: %s", libnet_geterror(context));
			return -EIO;
		}
		err = i ? make_ipv6(context, LIBNET_TCP_H, IPPROTO_TCP, TEMPLATES_TTL, ret6)
		        : make_ipv4(context, LIBNET_TCP_H, IPPROTO_TCP, ret);
		if (err < 0)
			return err;
	}
	return 0;
}

/* A solicitation with a link-layer address; an advertisement has the same layout. */
static int make_nd(libnet_t *context, struct template *ret)
{
	static const struct libnet_in6_addr nobody;
	uint8_t mac[6] = {0};

	if (libnet_build_icmpv6_ndp_opt(ND_OPTION_SOURCE, mac, sizeof(mac), context, 0) < 0 ||
	    libnet_build_icmpv6_ndp_nsol(ND_SOLICITATION, 0, 0, nobody, NULL, 0, context, 0) < 0) {
		log_error("libnet: %s", libnet_geterror(context));
		return -EIO;
	}
	return make_ipv6(context, ND_BYTES + ND_OPTION_BYTES, IPPROTO_ICMPV6, ND_HOP_LIMIT, ret);
}

static int make_all(libnet_t *context, struct templates *ret)
{
	int err;

	if ((err = make_arp(context, &ret->arp)) < 0 || (err = make_nd(context, &ret->nd)) < 0 ||
	    (err = make_tcp(context, &ret->tcp, &ret->tcp6)) < 0 ||
	    (err = make_ipv4(context, 0, IPPROTO_ICMP, &ret->echo)) < 0)
		return err;
	return make_ipv6(context, 0, IPPROTO_ICMPV6, TEMPLATES_TTL, &ret->echo6);
}

int templates_make(struct templates *ret)
{
	char error[LIBNET_ERRBUF_SIZE] = "";
	libnet_t *context = libnet_init(LIBNET_NONE, NULL, error);
	int err;

	if (!context) {
		log_error("libnet: %s", error);
		return -EIO;
	}
	err = make_all(context, ret);
	libnet_destroy(context);
	return err;
}
