/*
 * Frames for tests.
 *
 * Nothing here uses lb/csum.h, lb/wire.h or lb/parse.c: offsets are written out, and checksums are
 * added up byte by byte, so that an error there can't hide here.
 */
#include "frames.h"

#include <string.h>

uint16_t frames_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] * 256 + p[1]);
}

uint32_t frames_get32(const uint8_t *p)
{
	return (uint32_t)frames_get16(p) * 65536 + frames_get16(p + 2);
}

void frames_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v / 256);
	p[1] = (uint8_t)(v % 256);
}

void frames_put32(uint8_t *p, uint32_t v)
{
	frames_put16(p, (uint16_t)(v / 65536));
	frames_put16(p + 2, (uint16_t)(v % 65536));
}

uint16_t frames_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : p[i] * 256u;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (uint16_t)sum;
}

static uint16_t pseudo_sum(const struct built *built)
{
	const uint8_t *ip = built->frame.data + built->l3;
	uint8_t pseudo[12] = {0};

	memcpy(pseudo, ip + 12, 8);
	pseudo[9] = ip[9];
	frames_put16(pseudo + 10, (uint16_t)(frames_get16(ip + 2) - (ip[0] & 15) * 4));
	return frames_sum(pseudo, sizeof(pseudo), 0);
}

static uint32_t l4_len(const struct built *built)
{
	return (uint32_t)(frames_get16(built->frame.data + built->l3 + 2)) -
	       (built->l4 - built->l3);
}

/* Of a sum that ought to be -0. */
static uint16_t error_of(uint16_t sum)
{
	return sum == 0xffff ? 0 : sum;
}

uint16_t frames_ip_error(const struct built *built)
{
	const uint8_t *ip = built->frame.data + built->l3;

	return error_of(frames_sum(ip, (ip[0] & 15u) * 4, 0));
}

uint16_t frames_tcp_error(const struct built *built)
{
	const uint8_t *tcp = built->frame.data + built->l4;
	uint16_t pseudo = pseudo_sum(built);

	if (built->frame.flags & FRAME_CSUM_PARTIAL) {
		uint16_t minus = (uint16_t)~frames_get16(tcp + 16);
		uint8_t both[4];

		frames_put16(both, minus);
		frames_put16(both + 2, pseudo);
		return error_of(frames_sum(both, 4, 0));
	}
	return error_of(frames_sum(tcp, l4_len(built), pseudo));
}

uint16_t frames_icmp_wrong(const struct built *built)
{
	return error_of(frames_sum(built->frame.data + built->l4, l4_len(built), 0));
}

void frames_fix(struct built *built)
{
	uint8_t *ip = built->frame.data + built->l3;
	uint8_t *tcp = built->frame.data + built->l4;

	frames_put16(ip + 10, 0);
	frames_put16(ip + 10, (uint16_t)~frames_sum(ip, (ip[0] & 15u) * 4, 0));
	if (ip[9] != 6)
		return;
	frames_put16(tcp + 16, 0);
	if (built->frame.flags & FRAME_CSUM_PARTIAL)
		frames_put16(tcp + 16, pseudo_sum(built));
	else
		frames_put16(tcp + 16,
		             (uint16_t)~frames_sum(tcp, l4_len(built), pseudo_sum(built)));
}

void frames_copy(struct built *to, const struct built *from)
{
	*to = *from;
	to->frame.data = to->bytes + (from->frame.data - from->bytes);
}

/* Writes layer 2. Returns where layer 3 begins. */
static uint8_t *begin(struct built *built, const struct spec *spec, uint16_t ethertype)
{
	uint8_t *p = built->bytes + FRAME_HEADROOM;

	memset(built, 0, sizeof(*built));
	built->frame = (struct frame){.data = p,
	                              .headroom = FRAME_HEADROOM,
	                              .side = (uint8_t)spec->side,
	                              .flags = spec->partial ? FRAME_CSUM_PARTIAL : 0};
	memcpy(p, &spec->dst, 6);
	memcpy(p + 6, &spec->src, 6);
	p += 12;
	for (unsigned i = 0; i < spec->ntags; i++, p += 4) {
		frames_put16(p, spec->tpid[i]);
		frames_put16(p + 2, spec->tci[i]);
	}
	frames_put16(p, ethertype);
	built->l3 = built->l4 = (uint32_t)(p + 2 - built->frame.data);
	return p + 2;
}

static void end(struct built *built, uint8_t *p)
{
	built->frame.len = built->frame.wire_len = (uint32_t)(p - built->frame.data);
}

/* A payload in which no two words are alike. */
static uint8_t *fill(uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		*p++ = (uint8_t)(i * 7 + 3 + i / 256);
	return p;
}

static uint8_t *begin_ipv4(struct built *built, const struct spec *spec, uint8_t protocol,
                           uint32_t l4)
{
	uint8_t *ip = begin(built, spec, 0x0800);
	const uint32_t header = 20u + spec->ip_options;

	ip[0] = (uint8_t)(0x40 + header / 4);
	frames_put16(ip + 2, (uint16_t)(header + l4));
	frames_put16(ip + 4, spec->id ? spec->id : 0x1234);
	frames_put16(ip + 6, spec->fragment ? spec->fragment : 0x4000);
	ip[8] = 63;
	ip[9] = protocol;
	memcpy(ip + 12, &spec->from, 4);
	memcpy(ip + 16, &spec->to, 4);
	memset(ip + 20, 1, spec->ip_options); /* no-operations */
	built->l4 = built->l3 + header;
	return ip + header;
}

void frames_tcp(struct built *built, const struct spec *spec)
{
	const uint32_t header = 20u + spec->tcp_options;
	uint8_t *tcp = begin_ipv4(built, spec, 6, header + spec->payload);

	frames_put16(tcp, spec->sport);
	frames_put16(tcp + 2, spec->dport);
	frames_put32(tcp + 4, spec->seq);
	frames_put32(tcp + 8, spec->ack);
	tcp[12] = (uint8_t)(header / 4 * 16);
	tcp[13] = spec->flags;
	frames_put16(tcp + 14, 8192);
	memset(tcp + 20, 1, spec->tcp_options);
	end(built, fill(tcp + header, spec->payload));
	frames_fix(built);
}

void frames_icmp(struct built *built, const struct spec *spec)
{
	uint8_t *icmp = begin_ipv4(built, spec, 1, 8u + spec->payload);

	icmp[0] = spec->icmp_type;
	icmp[1] = spec->icmp_code;
	frames_put16(icmp + 4, 0x4321);
	frames_put16(icmp + 6, 1);
	end(built, fill(icmp + 8, spec->payload));
	frames_put16(icmp + 2, (uint16_t)~frames_sum(icmp, 8u + spec->payload, 0));
	frames_fix(built);
}

void frames_icmp_error(struct built *built, const struct spec *spec, const struct built *quoted,
                       uint32_t len)
{
	uint8_t *icmp = begin_ipv4(built, spec, 1, 8u + len);

	icmp[0] = spec->icmp_type;
	icmp[1] = spec->icmp_code;
	frames_put16(icmp + 6, 1400); /* the next hop's MTU */
	memcpy(icmp + 8, quoted->frame.data + quoted->l3, len);
	end(built, icmp + 8 + len);
	frames_put16(icmp + 2, (uint16_t)~frames_sum(icmp, 8u + len, 0));
	frames_fix(built);
}

void frames_fragment(struct built *built, const struct built *whole, uint32_t offset, uint32_t len)
{
	const uint32_t total = l4_len(whole);
	uint8_t *ip;

	frames_copy(built, whole);
	ip = built->frame.data + built->l3;
	frames_put16(ip + 2, (uint16_t)(built->l4 - built->l3 + len));
	frames_put16(ip + 6, (uint16_t)(offset / 8 + (offset + len < total ? 0x2000 : 0)));
	frames_put16(ip + 10, 0);
	frames_put16(ip + 10, (uint16_t)~frames_sum(ip, (ip[0] & 15u) * 4, 0));
	memmove(built->frame.data + built->l4, whole->frame.data + whole->l4 + offset, len);
	end(built, built->frame.data + built->l4 + len);
}

void frames_ipv4(struct built *built, const struct spec *spec)
{
	uint8_t *p = begin_ipv4(built, spec, spec->protocol, spec->payload);
	uint8_t *ip = built->frame.data + built->l3;

	end(built, fill(p, spec->payload));
	frames_put16(ip + 10, (uint16_t)~frames_sum(ip, 20u + spec->ip_options, 0));
}

void frames_arp(struct built *built, const struct spec *spec)
{
	static const struct mac none;
	const struct mac *sender =
	        mac_eq(&spec->arp_sender, &none) ? &spec->src : &spec->arp_sender;
	uint8_t *arp = begin(built, spec, 0x0806);

	frames_put16(arp, 1);
	frames_put16(arp + 2, 0x0800);
	arp[4] = 6;
	arp[5] = 4;
	frames_put16(arp + 6, spec->arp_oper);
	memcpy(arp + 8, sender, 6);
	memcpy(arp + 14, &spec->from, 4);
	if (spec->arp_oper == 2)
		memcpy(arp + 18, &spec->dst, 6);
	memcpy(arp + 24, &spec->to, 4);
	end(built, arp + 28 + spec->payload);
}

void frames_ether(struct built *built, const struct spec *spec, uint16_t ethertype)
{
	end(built, fill(begin(built, spec, ethertype), spec->payload));
}
