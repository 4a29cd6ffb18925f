/*
 * Reading and rewriting frames, slowly.
 *
 * A checksum is rewritten by adding everything up before and after: the field becomes what leaves
 * the total as wrong as it was.
 */
#include "seen.h"

#include "../unit/frames.h"

enum { PARTIAL_FIELD = 16 };

struct addr addr_of4(be32 ip)
{
	struct addr ret = {.v6 = false};

	memcpy(ret.b, &ip, 4);
	return ret;
}

struct addr addr_of6(const struct ip6 *ip)
{
	struct addr ret = {.v6 = true};

	memcpy(ret.b, ip, 16);
	return ret;
}

struct addr addr_of_rules(const struct rules *rules, be32 address)
{
	return name_is_ipv6(address) ? addr_of6(rules_ip6(rules, address)) : addr_of4(address);
}

struct addr addr_of_vip(const struct rules *rules, unsigned farm)
{
	return addr_of_rules(rules, rules->farms[farm].vip);
}

struct addr addr_of_server(const struct rules *rules, unsigned server)
{
	return addr_of_rules(rules, rules->servers[server].address);
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->v6 == b->v6 && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool is_in_vlan(const struct hop *from, unsigned vlan)
{
	if (from->ntags == 0)
		return vlan == 0;
	return from->ntags == 1 && from->tpid0 == TPID_8021Q &&
	       (from->tci[0].b[0] % 16u << 8 | from->tci[0].b[1]) == vlan;
}

bool same_hop(const struct hop *a, const struct hop *b)
{
	return mac_eq(&a->mac, &b->mac) && a->side == b->side && a->ntags == b->ntags &&
	       (a->ntags < 1 || (a->tpid0 == b->tpid0 && be16_eq(a->tci[0], b->tci[0]))) &&
	       (a->ntags < 2 || (a->tpid1 == b->tpid1 && be16_eq(a->tci[1], b->tci[1])));
}

/* a - b in one's complement, 0 for both zeros. */
static uint16_t minus(uint16_t a, uint16_t b)
{
	return (uint16_t)((a + 0xffffu - b) % 0xffff);
}

static uint16_t pseudo(const uint8_t *ip, const struct seen *seen, uint8_t protocol)
{
	uint8_t tail[4] = {0, protocol, (uint8_t)(seen->l4_len >> 8), (uint8_t)seen->l4_len};
	uint16_t sum = seen->src.v6 ? frames_sum(ip + 8, 32, 0) : frames_sum(ip + 12, 8, 0);

	return frames_sum(tail, 4, sum);
}

static uint8_t protocol_of(const uint8_t *ip, const struct seen *seen)
{
	return seen->src.v6 ? ip[6] : ip[9];
}

/* The sum over all that the layer 4 checksum covers, itself included. */
static uint16_t l4_sum(const uint8_t *frame, const struct seen *seen)
{
	const uint8_t *ip = frame + seen->l3;
	uint8_t protocol = protocol_of(ip, seen);
	uint16_t sum = protocol == 1 ? 0 : pseudo(ip, seen, protocol);

	if (seen->partial && protocol == 6)
		return (uint16_t)~minus(frames_get16(frame + seen->l4 + PARTIAL_FIELD), sum);
	return frames_sum(frame + seen->l4, seen->l4_len, sum);
}

static uint16_t ip_sum(const uint8_t *frame, const struct seen *seen)
{
	return seen->src.v6 ? 0xffff : frames_sum(frame + seen->l3, seen->l4 - seen->l3, 0);
}

static int read_tags(const uint8_t *p, uint32_t len, struct hop *hop)
{
	int at = 12;

	for (; (uint32_t)at + 2 <= len; at += 4) {
		uint16_t type = frames_get16(p + at);
		unsigned tpid = type == 0x8100 ? TPID_8021Q
		                               : (type == 0x88a8 ? TPID_8021AD : TPID_QINQ_OLD);

		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			return at;
		if ((uint32_t)at + 4 > len || hop->ntags == 2)
			return -1;
		memcpy(&hop->tci[hop->ntags], p + at + 2, 2);
		if (hop->ntags++)
			hop->tpid1 = tpid & 3;
		else
			hop->tpid0 = tpid & 3;
	}
	return -1;
}

static void read_arp(const uint8_t *arp, uint32_t len, struct seen *ret)
{
	if (len < 28 || frames_get16(arp) != 1 || frames_get16(arp + 2) != 0x0800 || arp[4] != 6 ||
	    arp[5] != 4)
		return;
	ret->kind = SEEN_ARP;
	ret->arp_oper = frames_get16(arp + 6);
	memcpy(&ret->arp_sender, arp + 8, 6);
	ret->src = addr_of4(be32_load(arp + 14));
	ret->dst = addr_of4(be32_load(arp + 24));
}

static int read_wscale(const uint8_t *tcp, uint32_t header)
{
	for (uint32_t at = 20; at + 1 < header && tcp[at] != 0;) {
		if (tcp[at] == 1) {
			at++;
			continue;
		}
		if (tcp[at + 1] < 2)
			break;
		if (tcp[at] == 3 && tcp[at + 1] == 3 && at + 2 < header)
			return tcp[at + 2] > 14 ? 14 : tcp[at + 2];
		at += tcp[at + 1];
	}
	return -1;
}

static void read_tcp(const uint8_t *tcp, struct seen *ret)
{
	uint32_t header;

	ret->kind = SEEN_BAD_TCP;
	if (ret->l4_len < 20)
		return;
	header = tcp[12] / 16 * 4u;
	if (header < 20 || header > ret->l4_len)
		return;
	ret->kind = SEEN_TCP;
	ret->sport = frames_get16(tcp);
	ret->dport = frames_get16(tcp + 2);
	ret->seq = frames_get32(tcp + 4);
	ret->ack = frames_get32(tcp + 8);
	ret->flags = tcp[13];
	ret->window = frames_get16(tcp + 14);
	ret->len = ret->l4_len - header + (ret->flags & FIN ? 1 : 0) + (ret->flags & SYN ? 1 : 0);
	ret->wscale = ret->flags & SYN ? read_wscale(tcp, header) : -1;
}

static void read_nd(const uint8_t *ip, const uint8_t *icmp, struct seen *ret)
{
	const uint8_t wanted = icmp[0] == 135 ? 1 : 2; /* source or target link-layer address */

	ret->kind = SEEN_ICMP;
	if (ret->l4_len < 24 || ip[7] != 255 || icmp[1] != 0 || icmp[8] == 0xff)
		return;
	ret->arp_sender = ret->from.mac;
	for (uint32_t at = 24; at + 8 <= ret->l4_len; at += icmp[at + 1] * 8u) {
		if (icmp[at + 1] == 0)
			return;
		if (icmp[at] == wanted && icmp[at + 1] == 1) {
			memcpy(&ret->arp_sender, icmp + at + 2, 6);
			ret->nd_has_mac = true;
		}
	}
	ret->kind = SEEN_ND;
	ret->nd_solicitation = icmp[0] == 135;
	ret->nd_override = icmp[4] & 0x20;
	ret->target.v6 = true;
	memcpy(ret->target.b, icmp + 8, 16);
}

static void read_l4(const uint8_t *frame, struct seen *ret)
{
	const uint8_t *ip = frame + ret->l3, *l4 = frame + ret->l4;
	uint8_t protocol = protocol_of(ip, ret);

	ret->kind = SEEN_PROTOCOL;
	if (protocol == 6)
		read_tcp(l4, ret);
	else if (protocol == (ret->src.v6 ? 58 : 1)) {
		ret->kind = SEEN_ICMP;
		if (ret->l4_len >= 8 && l4[0] == (ret->src.v6 ? 128 : 8) && l4[1] == 0)
			ret->kind = SEEN_ECHO;
		if (ret->src.v6 && ret->l4_len >= 8 && (l4[0] == 135 || l4[0] == 136))
			read_nd(ip, l4, ret);
	}
	ret->ip_damage = minus(ip_sum(frame, ret), 0xffff);
	if (ret->kind == SEEN_TCP || ret->kind == SEEN_ECHO || ret->kind == SEEN_ND)
		ret->l4_damage = minus(l4_sum(frame, ret), 0xffff);
}

static void read_ip4(const uint8_t *frame, uint32_t len, struct seen *ret)
{
	const uint8_t *ip = frame + ret->l3;
	uint32_t header, total;

	if (len < 20)
		return;
	ret->src = addr_of4(be32_load(ip + 12));
	ret->dst = addr_of4(be32_load(ip + 16));
	ret->kind = ip[0] / 16 == 4 ? SEEN_BAD_IP : SEEN_NO_IP;
	header = ip[0] % 16 * 4u;
	total = frames_get16(ip + 2);
	if (ip[0] / 16 != 4 || header < 20 || total < header || total > len)
		return;
	ret->l4 = ret->l3 + header;
	ret->l4_len = total - header;
	read_l4(frame, ret);
}

static void read_ip6(const uint8_t *frame, uint32_t len, struct seen *ret)
{
	const uint8_t *ip = frame + ret->l3;
	uint32_t payload;

	if (len < 40)
		return;
	ret->src = (struct addr){.v6 = true};
	ret->dst = (struct addr){.v6 = true};
	memcpy(ret->src.b, ip + 8, 16);
	memcpy(ret->dst.b, ip + 24, 16);
	ret->kind = ip[0] / 16 == 6 ? SEEN_BAD_IP : SEEN_NO_IP;
	payload = frames_get16(ip + 4);
	if (ip[0] / 16 != 6 || payload > len - 40)
		return;
	ret->l4 = ret->l3 + 40;
	ret->l4_len = payload;
	read_l4(frame, ret);
}

void seen_read(const struct frame *frame, struct seen *ret)
{
	const uint8_t *p = frame->data;
	int type_at;

	*ret = (struct seen){.wscale = -1, .frame_len = frame->wire_len};
	ret->partial = frame->flags & FRAME_CSUM_PARTIAL;
	if (frame->len < 14)
		return;
	memcpy(&ret->to, p, 6);
	memcpy(&ret->from.mac, p + 6, 6);
	ret->from.side = frame->side & 1u;
	type_at = read_tags(p, frame->len, &ret->from);
	if (type_at < 0)
		return;
	ret->l3 = (uint32_t)type_at + 2;
	switch (frames_get16(p + type_at)) {
	case 0x0806:
		return read_arp(p + ret->l3, frame->len - ret->l3, ret);
	case 0x0800:
		return read_ip4(p, frame->len - ret->l3, ret);
	case 0x86dd:
		return read_ip6(p, frame->len - ret->l3, ret);
	}
}

static uint32_t checksum_at(const uint8_t *frame, const struct seen *seen)
{
	return seen->l4 + (protocol_of(frame + seen->l3, seen) == 6 ? 16 : 2);
}

/* Sets the field at p so that what was_sum() says is damage again; the field is 0 before. */
static void settle(uint8_t *p, uint16_t damage, uint16_t sum)
{
	frames_put16(p, minus(damage, sum));
}

static void settle_l4(uint8_t *frame, const struct seen *seen, uint16_t damage)
{
	uint8_t *field = frame + checksum_at(frame, seen);
	uint16_t sum;

	frames_put16(field, 0);
	if (seen->partial) {
		sum = pseudo(frame + seen->l3, seen, 6);
		frames_put16(field, minus(sum, damage));
		return;
	}
	sum = l4_sum(frame, seen);
	settle(field, damage, sum);
}

void seen_set_checksum(uint8_t *frame, const struct seen *seen)
{
	settle_l4(frame, seen, 0);
}

void seen_rewrite(uint8_t *frame, const struct seen *seen, const struct addr *src, uint16_t sport,
                  const struct addr *dst, uint16_t dport)
{
	uint8_t *ip = frame + seen->l3;
	const uint32_t bytes = src->v6 ? 16 : 4, at = src->v6 ? 8 : 12;

	memcpy(ip + at, src->b, bytes);
	memcpy(ip + at + bytes, dst->b, bytes);
	frames_put16(frame + seen->l4, sport);
	frames_put16(frame + seen->l4 + 2, dport);
	if (!src->v6) {
		frames_put16(ip + 10, 0);
		settle(ip + 10, seen->ip_damage, ip_sum(frame, seen));
	}
	settle_l4(frame, seen, seen->l4_damage);
}

static bool same_sum(const uint8_t *a, const uint8_t *b, uint32_t at)
{
	return frames_get16(a + at) % 0xffff == frames_get16(b + at) % 0xffff;
}

static bool same_range(const uint8_t *a, const uint8_t *b, uint32_t from, uint32_t to)
{
	return to <= from || memcmp(a + from, b + from, to - from) == 0;
}

bool seen_same(const uint8_t *a, const uint8_t *b, uint32_t len, const struct seen *seen)
{
	uint32_t l4 = checksum_at(a, seen), ip = seen->src.v6 ? l4 : seen->l3 + 10;

	return same_range(a, b, 0, ip) && same_range(a, b, ip + 2, l4) &&
	       same_range(a, b, l4 + 2, len) && same_sum(a, b, ip) && same_sum(a, b, l4);
}

/* ---- ICMP errors ---- */

static bool is_error_type(const struct seen *seen, uint8_t type)
{
	if (seen->src.v6)
		return type >= 1 && type <= 4;
	return type == 3 || type == 11 || type == 12;
}

bool seen_read_quoted(const uint8_t *frame, const struct seen *seen, struct quoted *ret)
{
	const uint8_t *icmp = frame + seen->l4, *ip = icmp + 8;
	const bool v6 = seen->src.v6;
	uint32_t header = v6 ? 40 : 20, left;

	if (seen->l4_len < 8 + header + 8 || !is_error_type(seen, icmp[0]) ||
	    ip[0] / 16 != (v6 ? 6 : 4) || ip[v6 ? 6 : 9] != 6)
		return false;
	if (!v6) {
		header = ip[0] % 16 * 4u;
		if (header < 20 || frames_get16(ip + 6) % 0x2000)
			return false;
	}
	left = seen->l4_len - 8;
	if (left < header + 8)
		return false;
	*ret = (struct quoted){.ip = seen->l4 + 8, .tcp = seen->l4 + 8 + header};
	ret->src.v6 = ret->dst.v6 = v6;
	memcpy(ret->src.b, ip + (v6 ? 8 : 12), v6 ? 16 : 4);
	memcpy(ret->dst.b, ip + (v6 ? 24 : 16), v6 ? 16 : 4);
	ret->sport = frames_get16(ip + header);
	ret->dport = frames_get16(ip + header + 2);
	ret->seq = frames_get32(ip + header + 4);
	ret->has_checksum = left >= header + 18;
	return true;
}

static void put_addrs(uint8_t *ip, const struct addr *src, const struct addr *dst)
{
	const uint32_t bytes = src->v6 ? 16 : 4, at = src->v6 ? 8 : 12;

	memcpy(ip + at, src->b, bytes);
	memcpy(ip + at + bytes, dst->b, bytes);
}

/* Addresses and ports, as TCP's checksum has them. */
static uint16_t ends_sum(const uint8_t *ip, const uint8_t *tcp, bool v6)
{
	return frames_sum(tcp, 4, frames_sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, 0));
}

/* The field makes good for what a sum has become. */
static void make_good(uint8_t *field, uint16_t before, uint16_t after)
{
	frames_put16(field, minus(frames_get16(field), minus(after, before)));
}

static void rewrite_quoted(uint8_t *frame, const struct quoted *quoted, const struct quoted *to)
{
	uint8_t *ip = frame + quoted->ip, *tcp = frame + quoted->tcp;
	const bool v6 = quoted->src.v6;
	const uint16_t ends = ends_sum(ip, tcp, v6), addrs = v6 ? 0 : frames_sum(ip + 12, 8, 0);

	put_addrs(ip, &to->src, &to->dst);
	frames_put16(tcp, to->sport);
	frames_put16(tcp + 2, to->dport);
	if (!v6)
		make_good(ip + 10, addrs, frames_sum(ip + 12, 8, 0));
	if (quoted->has_checksum)
		make_good(tcp + 16, ends, ends_sum(ip, tcp, v6));
}

void seen_rewrite_error(uint8_t *frame, const struct seen *seen, const struct quoted *quoted,
                        const struct addr *src, const struct addr *dst, const struct quoted *to)
{
	const uint16_t damage = minus(l4_sum(frame, seen), 0xffff);
	uint8_t *ip = frame + seen->l3;

	rewrite_quoted(frame, quoted, to);
	put_addrs(ip, src, dst);
	if (!src->v6) {
		frames_put16(ip + 10, 0);
		settle(ip + 10, seen->ip_damage, ip_sum(frame, seen));
	}
	frames_put16(frame + seen->l4 + 2, 0);
	settle(frame + seen->l4 + 2, damage, l4_sum(frame, seen));
}

/* The fields are taken out of copies when they are the same but for 0 and -0. */
bool seen_same_error(const uint8_t *a, const uint8_t *b, uint32_t len, const struct seen *seen,
                     const struct quoted *quoted)
{
	const uint32_t fields[] = {seen->l3 + 10, seen->l4 + 2, quoted->ip + 10, quoted->tcp + 16};
	uint8_t copy[4096];

	memcpy(copy, a, len);
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if ((seen->src.v6 && i % 2 == 0) || (i == 3 && !quoted->has_checksum) ||
		    !same_sum(copy, b, fields[i]))
			continue;
		memcpy(copy + fields[i], b + fields[i], 2);
	}
	return memcmp(copy, b, len) == 0;
}
