/*
 * Frames of captures as natcheck sees them: read, taken apart, summed up. It shares no code with
 * the engine.
 */
#ifndef TOOLS_LAYERS_H
#define TOOLS_LAYERS_H

#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IP4 = 0x0800, ARP = 0x0806, IP6 = 0x86dd, NONE = -1 };
enum { PARTIAL = 0x10000 };
enum { TCP = 6, ICMP = 1, ICMP6 = 58, RST = 4, SYN = 2, ACK = 16 };

/* IPv4 addresses as ::ffff:10.0.0.40. */
struct ip {
	uint8_t b[16];
};

struct frame {
	struct frame *next;
	uint32_t len, wire_len;
	bool used;
	struct timeval time;
	uint8_t data[];
};

/* Where things are in a frame; offsets that aren't there are NONE. */
struct layers {
	int type; /* IP4, IP6, ARP, or 0 */
	int l3, l4, end;
	int protocol;
	bool fragment; /* any of several */
	bool first;
};

static inline void die(const char *what)
{
	fprintf(stderr, "natcheck: %s\n", what);
	exit(2);
}

static inline unsigned get16(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

static inline struct ip ip_at(const struct frame *f, const struct layers *l, bool dst)
{
	struct ip ip = {{[10] = 0xff, [11] = 0xff}};
	const uint8_t *p = f->data + l->l3;

	if (l->type == IP6)
		memcpy(ip.b, p + (dst ? 24 : 8), 16);
	else
		memcpy(ip.b + 12, p + (l->type == ARP ? (dst ? 24 : 14) : (dst ? 16 : 12)), 4);
	return ip;
}

static inline bool is_ip4(const struct ip *ip)
{
	static const struct ip mapped = {{[10] = 0xff, [11] = 0xff}};

	return memcmp(ip, &mapped, 12) == 0;
}

static inline bool is_same(struct ip a, struct ip b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static inline struct ip ip_of(const char *text)
{
	struct ip ip = {{[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, ip.b + 12) != 1 && inet_pton(AF_INET6, text, ip.b) != 1)
		die("not an address");
	return ip;
}

static inline int next_header(const struct frame *f, struct layers *l, int next, int at)
{
	while ((next == 0 || next == 43 || next == 44 || next == 60) && at + 8 <= (int)f->len &&
	       !(l->fragment && !l->first)) {
		const uint8_t *p = f->data + at;

		if (next == 44) {
			l->fragment = get16(p + 2) & 0xfff9;
			l->first = !(get16(p + 2) & 0xfff8);
		}
		at += next == 44 ? 8 : 8 + p[1] * 8;
		next = p[0];
	}
	l->protocol = next;
	return at;
}

static inline void parse_ip(const struct frame *f, struct layers *l)
{
	const uint8_t *p = f->data + l->l3;

	l->first = true;
	if (l->type == IP4) {
		l->l4 = l->l3 + (p[0] & 15) * 4;
		l->end = l->l3 + (int)get16(p + 2);
		l->protocol = p[9];
		l->fragment = get16(p + 6) & 0x3fff;
		l->first = !(get16(p + 6) & 0x1fff);
	} else {
		l->end = l->l3 + 40 + (int)get16(p + 4);
		l->l4 = next_header(f, l, p[6], l->l3 + 40);
	}
}

static inline struct layers parse(const struct frame *f)
{
	static const int least[] = {20, 40, 28};
	struct layers l = {.l3 = 14, .l4 = NONE, .end = NONE, .protocol = NONE};
	int type = f->len >= 14 ? (int)get16(f->data + 12) : 0;

	for (int i = 0; i < 2 && (type == 0x8100 || type == 0x88a8 || type == 0x9100) &&
	                l.l3 + 4 <= (int)f->len;
	     i++) {
		type = (int)get16(f->data + l.l3 + 2);
		l.l3 += 4;
	}
	for (int i = 0; i < 3; i++)
		if (type == (i == 0   ? IP4
		             : i == 1 ? IP6
		                      : ARP) &&
		    l.l3 + least[i] <= (int)f->len && (i == 2 || f->data[l.l3] >> 4 == (i ? 6 : 4)))
			l.type = type;
	if (l.type == IP4 || l.type == IP6)
		parse_ip(f, &l);
	return l;
}

static inline bool has_tcp(const struct frame *f, const struct layers *l)
{
	return l->protocol == TCP && l->first && l->l4 + 20 <= (int)f->len;
}

static inline pcap_t *open_file(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap =
	        pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);

	if (!pcap)
		die(error);
	return pcap;
}

/* All frames that can be read; closes the file: a run goes through more than may be open. */
static inline struct frame *read_frames(pcap_t *pcap)
{
	struct frame *first = NULL, **end = &first;
	struct pcap_pkthdr *head;
	const uint8_t *data;

	while (pcap_next_ex(pcap, &head, &data) == 1) {
		struct frame *f = calloc(1, sizeof(*f) + head->caplen + 64);

		if (!f)
			die("out of memory");
		f->len = head->caplen;
		f->wire_len = head->len;
		f->time = head->ts;
		memcpy(f->data, data, head->caplen);
		*end = f;
		end = &f->next;
	}
	pcap_close(pcap);
	return first;
}

/* --- checksums --- */

static inline uint32_t sum_of(const uint8_t *p, int len, uint32_t sum)
{
	for (int i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] * 256u;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* How far a sum is from what it must be, 0 if not at all; or NONE if there is nothing to sum up. */
static inline int ip_error(const struct frame *f, const struct layers *l)
{
	if (l->type != IP4 || l->l4 < l->l3 + 20 || l->l4 > (int)f->len)
		return NONE;
	return (int)sum_of(f->data + l->l3, l->l4 - l->l3, 0) % 0xffff;
}

static inline uint32_t pseudo_sum(const struct frame *f, const struct layers *l)
{
	uint32_t sum = (uint32_t)l->protocol + (uint32_t)(l->end - l->l4);

	return l->type == IP4 ? sum_of(f->data + l->l3 + 12, 8, sum)
	                      : sum_of(f->data + l->l3 + 8, 32, sum);
}

/* PARTIAL: the network card would have completed it. */
static inline int l4_error(const struct frame *f, const struct layers *l)
{
	uint32_t pseudo = 0;
	int error;

	if (!(l->protocol == TCP || l->protocol == ICMP || l->protocol == ICMP6) || l->fragment ||
	    l->l4 + 8 > l->end || l->end > (int)f->len)
		return NONE;
	if (l->protocol != ICMP)
		pseudo = pseudo_sum(f, l);
	error = (int)sum_of(f->data + l->l4, l->end - l->l4, pseudo) % 0xffff;
	if (error && has_tcp(f, l) && get16(f->data + l->l4 + 16) == pseudo)
		return PARTIAL;
	return error;
}

#endif
