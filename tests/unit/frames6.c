/*
 * IPv6 frames, made of IPv4 ones.
 */
#include "frames6.h"

#include "fixture.h"

#include <string.h>

uint32_t frames6_payload(const struct built *built)
{
	return frames_get16(built->frame.data + built->l3 + 4);
}

/* Of len bytes of protocol at p, with the pseudo header of the IPv6 packet. */
uint16_t frames6_sum(const struct built *built, uint8_t protocol, const uint8_t *p, uint32_t len)
{
	uint8_t tail[4] = {0, protocol};
	uint16_t sum = frames_sum(built->frame.data + built->l3 + 8, 32, 0);

	frames_put16(tail + 2, (uint16_t)len);
	sum = frames_sum(tail, 4, sum);
	return p ? frames_sum(p, len, sum) : sum;
}

uint32_t frames6_l4_len(const struct built *built)
{
	return frames6_payload(built) + built->l3 + IP6_BYTES - built->l4;
}

uint16_t frames6_tcp_error(const struct built *built)
{
	const uint8_t *tcp = built->frame.data + built->l4;

	if (built->frame.flags & FRAME_CSUM_PARTIAL)
		return (uint16_t)(frames_get16(tcp + 16) -
		                  frames6_sum(built, 6, NULL, frames6_l4_len(built)));
	return (uint16_t)~frames6_sum(built, 6, tcp, frames6_l4_len(built));
}

void frames6_fix(struct built *built, uint8_t protocol)
{
	uint8_t *l4 = built->frame.data + built->l4, *field = l4 + (protocol == 6 ? 16 : 2);

	frames_put16(field, 0);
	if (built->frame.flags & FRAME_CSUM_PARTIAL)
		frames_put16(field, frames6_sum(built, protocol, NULL, frames6_l4_len(built)));
	else
		frames_put16(field,
		             (uint16_t)~frames6_sum(built, protocol, l4, frames6_l4_len(built)));
}

/* The headers of an IPv6 packet with the addresses of the IPv4 packet ip. */
void frames6_put_header(uint8_t *p, const uint8_t *ip, uint8_t protocol, uint32_t len)
{
	const struct ip6 src = fixture_ip6(be32_load(ip + 12)),
	                 dst = fixture_ip6(be32_load(ip + 16));

	memset(p, 0, IP6_BYTES);
	p[0] = 0x60;
	frames_put16(p + 4, (uint16_t)len);
	p[6] = protocol;
	p[7] = 63;
	memcpy(p + 8, &src, 16);
	memcpy(p + 24, &dst, 16);
}

/* The same packet, TCP or an ICMP echo, in IPv6. */
void frames6_of(struct built *ret, const struct built *from)
{
	const uint8_t *ip = from->frame.data + from->l3;
	uint8_t protocol = ip[9] == 1 ? 58 : ip[9];
	uint32_t len = frames_get16(ip + 2) - (from->l4 - from->l3);
	uint8_t *p;

	frames_copy(ret, from);
	p = ret->frame.data + ret->l3;
	frames_put16(p - 2, 0x86dd);
	ret->l4 = ret->l3 + IP6_BYTES;
	frames6_put_header(p, ip, protocol, len);
	memcpy(p + IP6_BYTES, from->frame.data + from->l4, len);
	if (protocol == 58)
		p[IP6_BYTES] = p[IP6_BYTES] == 8 ? 128 : 129;
	ret->frame.len = ret->frame.wire_len = ret->l4 + len;
	frames6_fix(ret, protocol);
}
