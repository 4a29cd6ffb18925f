/*
 * Building frames: what is nothing to the model is at random.
 */
#include "build.h"

#include "../unit/frames.h"
#include "../unit/random.h"

enum { MINIMUM_BYTES = 60 };

static uint8_t *begin(struct made *made, const struct letter *l, uint16_t ethertype)
{
	static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100};
	const unsigned tpid[2] = {l->from.tpid0, l->from.tpid1};
	uint8_t *p = made->bytes + FRAME_HEADROOM;

	made->frame = (struct frame){.data = p, .headroom = FRAME_HEADROOM, .side = l->from.side};
	memcpy(p, &l->to, 6);
	memcpy(p + 6, &l->from.mac, 6);
	p += 12;
	for (unsigned i = 0; i < l->from.ntags; i++, p += 4) {
		frames_put16(p, tpids[tpid[i]]);
		memcpy(p + 2, &l->from.tci[i], 2);
	}
	frames_put16(p, ethertype);
	return p + 2;
}

static void end(struct made *made, const uint8_t *p)
{
	made->frame.len = made->frame.wire_len = (uint32_t)(p - made->frame.data);
}

static void pad(struct made *made)
{
	while (made->frame.len < MINIMUM_BYTES)
		made->frame.data[made->frame.len++] = (uint8_t)random_next();
	made->frame.wire_len = made->frame.len;
}

static uint8_t *put_ip4(uint8_t *ip, const struct letter *l, uint8_t protocol, uint32_t bytes)
{
	const uint32_t header = random_below(16) ? 20 : 28;

	random_bytes(ip, header);
	ip[0] = (uint8_t)(0x40 + header / 4);
	frames_put16(ip + 2, (uint16_t)(header + bytes));
	frames_put16(ip + 6, 0x4000);
	ip[9] = protocol;
	frames_put16(ip + 10, 0);
	memcpy(ip + 12, l->src.b, 4);
	memcpy(ip + 16, l->dst.b, 4);
	if (header > 20)
		memset(ip + 20, 1, header - 20);
	frames_put16(ip + 10, (uint16_t)~frames_sum(ip, header, 0));
	return ip + header;
}

static uint8_t *put_ip6(uint8_t *ip, const struct letter *l, uint8_t protocol, uint32_t bytes)
{
	random_bytes(ip, 8);
	ip[0] = (uint8_t)(0x60 | ip[0] % 16);
	frames_put16(ip + 4, (uint16_t)bytes);
	ip[6] = protocol;
	memcpy(ip + 8, l->src.b, 16);
	memcpy(ip + 24, l->dst.b, 16);
	return ip + 40;
}

static uint8_t *begin_ip(struct made *made, const struct letter *l, uint8_t protocol,
                         uint32_t bytes)
{
	uint8_t *ip = begin(made, l, l->src.v6 ? 0x86dd : 0x0800);

	return l->src.v6 ? put_ip6(ip, l, protocol, bytes) : put_ip4(ip, l, protocol, bytes);
}

static void set_checksum(struct made *made, uint32_t damage)
{
	struct seen seen;
	uint8_t *field;

	seen_read(&made->frame, &seen);
	seen_set_checksum(made->frame.data, &seen);
	field = made->frame.data + seen.l4 + (seen.kind == SEEN_TCP ? 16 : 2);
	frames_put16(field, (uint16_t)((frames_get16(field) + damage) % 0xffff));
}

static uint32_t option_bytes(const struct letter *l)
{
	return l->wscale >= 0 && l->flags & SYN ? 4 : 0;
}

void build_tcp(struct made *ret, const struct letter *l)
{
	const uint32_t header = 20 + option_bytes(l);
	uint8_t *tcp = begin_ip(ret, l, 6, header + l->payload);
	const uint8_t options[4] = {1, 3, 3, (uint8_t)l->wscale};

	random_bytes(tcp, header);
	frames_put16(tcp, l->sport);
	frames_put16(tcp + 2, l->dport);
	frames_put32(tcp + 4, l->seq);
	frames_put32(tcp + 8, l->ack);
	tcp[12] = (uint8_t)(header / 4 * 16);
	tcp[13] = l->flags;
	frames_put16(tcp + 14, l->window);
	memcpy(tcp + 20, options, header - 20);
	random_bytes(tcp + header, l->payload);
	end(ret, tcp + header + l->payload);
	if (random_below(8) == 0)
		ret->frame.flags = FRAME_CSUM_PARTIAL;
	set_checksum(ret, l->damage);
	if (random_below(3) == 0)
		pad(ret);
}

void build_ip(struct made *ret, const struct letter *l, uint8_t protocol, const uint8_t *first,
              uint32_t nfirst, uint32_t bytes)
{
	uint8_t *p = begin_ip(ret, l, protocol, bytes);

	random_bytes(p, bytes);
	memcpy(p, first, nfirst);
	end(ret, p + bytes);
	if (protocol == (l->src.v6 ? 58 : 1))
		set_checksum(ret, l->damage);
}

void build_error(struct made *ret, const struct letter *l, uint8_t type, uint8_t code,
                 const struct letter *about, uint32_t quoted)
{
	static struct made original;
	uint8_t message[MODEL_FRAME_BYTES];
	uint32_t l3 = 14 + 4u * about->from.ntags, len;

	build_tcp(&original, about);
	len = original.frame.len - l3 < quoted ? original.frame.len - l3 : quoted;
	random_bytes(message, 8);
	message[0] = type;
	message[1] = code;
	memcpy(message + 8, original.frame.data + l3, len);
	build_ip(ret, l, l->src.v6 ? 58 : 1, message, 8 + len, 8 + len);
}

void build_arp(struct made *ret, const struct letter *l, uint16_t oper)
{
	uint8_t *arp = begin(ret, l, 0x0806);

	frames_put16(arp, 1);
	frames_put16(arp + 2, 0x0800);
	arp[4] = 6;
	arp[5] = 4;
	frames_put16(arp + 6, oper);
	memcpy(arp + 8, &l->from.mac, 6);
	memcpy(arp + 14, l->src.b, 4);
	memset(arp + 18, 0, 6);
	memcpy(arp + 24, l->dst.b, 4);
	end(ret, arp + 28);
	pad(ret);
}

void build_nd(struct made *ret, const struct letter *l, const struct addr *target,
              bool solicitation)
{
	uint8_t message[32] = {solicitation ? 135 : 136};
	const uint32_t len = random_below(6) ? 32 : 24; /* mostly with the option */
	uint8_t *ip;

	memcpy(message + 8, target->b, 16);
	message[24] = solicitation ? 1 : 2;
	message[25] = 1;
	memcpy(message + 26, &l->from.mac, 6);
	message[4] = !solicitation && random_below(3) ? 0x20 : 0;
	build_ip(ret, l, 58, message, len, len);
	ip = ret->frame.data + 14 + 4 * l->from.ntags;
	ip[7] = 255;
}

void build_raw(struct made *ret, const struct letter *l, uint16_t ethertype, uint32_t bytes)
{
	uint8_t *p = begin(ret, l, ethertype);

	random_bytes(p, bytes);
	end(ret, p + bytes);
}

void build_done(struct made *made)
{
	memcpy(made->before_bytes, made->frame.data, made->frame.len);
	made->before = made->frame;
	made->before.data = made->before_bytes;
}
