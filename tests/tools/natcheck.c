/*
 * Makes the engine work on captures of anybody's traffic, and checks what it made of them.
 *
 *   natcheck copy|pick|recast|compare
 *
 * There are many captures, so each line on stdin is a job:
 *
 *   copy      FILE TO.pcap
 *   pick      FILE
 *   recast    VIP SERVER FILE OUTSIDE.pcap INSIDE.pcap
 *   compare   NAME OUTSIDE-IN INSIDE-IN OUTSIDE-OUT INSIDE-OUT     (- for no file)
 *
 * copy writes what can be read of a capture of any kind, damaged or not, with times in
 * microseconds.
 *
 * pick prints "VIP FILE", VIP being the address that serves best as one: where the first SYN goes;
 * else most TCP packets, or else most packets of IP or ARP. Nothing if there is none.
 *
 * recast splits a capture: what VIP has sent becomes SERVER's and goes to INSIDE.pcap, as if the
 * VIP were balanced to that server with `snat = off`; the rest to OUTSIDE.pcap. Its checksums stay
 * as right or wrong as they are. Of connections whose beginning is missing it makes up the SYN.
 *
 * compare finds for each frame that was sent the one that was received: the same one, to the byte,
 * in order, if it was bridged; if it was rewritten (its source MAC is tmbridge's own), one that
 * differs in nothing but what may be rewritten, its checksums off by as much as before. What is
 * left must be what tmbridge says by itself. Prints the counts as JSON, or what is wrong: then it
 * exits with 1 in the end.
 *
 * It parses and sums up by itself (layers.h), and shares no code with the engine.
 */
#include "layers.h"

enum { ARGS = 5, PATH_BYTES = 256, ADDRESSES = 4096 };

/* --- copy --- */

static void copy(char args[][PATH_BYTES])
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(args[0], error);
	pcap_dumper_t *to;
	struct pcap_pkthdr *head;
	const uint8_t *data;

	if (!pcap)
		die(error);
	to = pcap_dump_open(pcap, args[1]);
	if (!to)
		die(pcap_geterr(pcap));
	while (pcap_next_ex(pcap, &head, &data) == 1)
		pcap_dump((uint8_t *)to, head, data);
	pcap_dump_close(to);
	pcap_close(pcap);
}

/* --- pick --- */

static struct ip addresses[ADDRESSES];
static uint64_t scores[ADDRESSES];
static unsigned naddresses;

static bool is_host(const struct ip *ip)
{
	static const struct ip none;

	if (is_ip4(ip))
		return ip->b[12] != 0 && ip->b[12] != 127 && ip->b[12] < 224;
	return memcmp(ip, &none, 15) != 0 && ip->b[0] != 0xff;
}

static void score(struct ip ip, uint64_t points)
{
	unsigned i = 0;

	while (i < naddresses && !is_same(addresses[i], ip))
		i++;
	if (i == ADDRESSES || !is_host(&ip))
		return;
	naddresses += i == naddresses;
	addresses[i] = ip;
	scores[i] += points;
}

static void pick(const char *path)
{
	const uint64_t much = 1ull << 32, most = 1ull << 60;
	char text[INET6_ADDRSTRLEN];
	bool seen = false;
	unsigned best = 0;

	for (const struct frame *f = read_frames(open_file(path)); f; f = f->next) {
		struct layers l = parse(f);
		bool tcp = has_tcp(f, &l);
		bool syn = tcp && (f->data[l.l4 + 13] & (SYN | ACK | RST)) == SYN;

		if (l.type)
			score(ip_at(f, &l, true), syn && !seen ? most : tcp ? much : 1);
		seen |= syn;
	}
	if (!naddresses)
		return;
	for (unsigned i = 1; i < naddresses; i++)
		best = scores[i] > scores[best] ? i : best;
	if (is_ip4(&addresses[best]))
		inet_ntop(AF_INET, addresses[best].b + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, addresses[best].b, text, sizeof(text));
	printf("%s %s\n", text, path);
	memset(scores, 0, sizeof(scores));
	naddresses = 0;
}

/* --- recast --- */

/* ~(~old + ~from + to), word by word (RFC 1624); a partial sum isn't complemented. */
static void fix(uint8_t *field, const struct ip *from, const struct ip *to, bool partial)
{
	uint32_t flip = partial ? 0 : 0xffff, sum = get16(field) ^ flip;

	for (int i = 0; i < 16; i += 2)
		sum += (~get16(from->b + i) & 0xffff) + get16(to->b + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum ^= flip;
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
}

static void change_source(struct frame *f, const struct layers *l, struct ip from, struct ip to)
{
	uint8_t *ip = f->data + l->l3;

	if (has_tcp(f, l))
		fix(f->data + l->l4 + 16, &from, &to, l4_error(f, l) == PARTIAL);
	if (l->type == IP6) {
		memcpy(ip + 8, to.b, 16);
		return;
	}
	fix(ip + 10, &from, &to, false);
	memcpy(ip + 12, to.b + 12, 4);
}

/* One way of a connection: the client's address and both ports. */
struct conn {
	struct ip client;
	unsigned sport, dport;
};

static struct conn conns[ADDRESSES];
static unsigned nconns;

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	put16(p, value >> 16);
	put16(p + 2, value);
}

/* The first 40 or 60 bytes of a SYN of conn to vip, from layer 3 on; returns how many. */
static int make_syn(uint8_t *p, const struct conn *conn, const struct ip *vip, uint32_t seq)
{
	const bool ip4 = is_ip4(vip);
	uint8_t *tcp = p + (ip4 ? 20 : 40);

	if (ip4) {
		put32(p, 0x45000000 + 40);
		put32(p + 4, 0x4000);
		put32(p + 8, 0x40060000);
		memcpy(p + 12, conn->client.b + 12, 4);
		memcpy(p + 16, vip->b + 12, 4);
		put16(p + 10, ~sum_of(p, 20, 0));
	} else {
		put32(p, 0x60000000);
		put32(p + 4, (20 << 16) + 0x0640);
		memcpy(p + 8, conn->client.b, 16);
		memcpy(p + 24, vip->b, 16);
	}
	put16(tcp, conn->sport);
	put16(tcp + 2, conn->dport);
	put32(tcp + 4, seq);
	put32(tcp + 12, 0x5002ffff);
	put16(tcp + 16, ~sum_of(ip4 ? p + 12 : p + 8, ip4 ? 28 : 52, TCP + 20));
	return ip4 ? 40 : 60;
}

/* If f, of a connection to vip, is the first of it that is seen, and no SYN: writes one. */
static void begin_connection(struct ip vip, const struct frame *f, const struct layers *l,
                             pcap_dumper_t *outside)
{
	const uint8_t *tcp = f->data + l->l4;
	bool is_reply = is_same(ip_at(f, l, false), vip);
	struct conn conn = {ip_at(f, l, is_reply), get16(tcp + 2 * is_reply),
	                    get16(tcp + 2 * !is_reply)};
	const uint8_t *next = tcp + (is_reply ? 8 : 4); /* the client's number */
	uint32_t seq = get16(next) * 65536u + get16(next + 2) - 1;
	struct pcap_pkthdr head = {.ts = f->time};
	uint8_t syn[128] = {0};

	for (unsigned i = 0; i < nconns; i++)
		if (!memcmp(&conns[i], &conn, sizeof(conn)))
			return;
	if (nconns == ADDRESSES)
		return;
	conns[nconns++] = conn;
	if ((tcp[13] & (SYN | ACK | RST)) == SYN)
		return;
	memcpy(syn, f->data + (is_reply ? 6 : 0), 6);
	memcpy(syn + 6, f->data + (is_reply ? 0 : 6), 6);
	put16(syn + 12, is_ip4(&vip) ? IP4 : IP6);
	head.caplen = head.len = 14 + (uint32_t)make_syn(syn + 14, &conn, &vip, seq);
	pcap_dump((uint8_t *)outside, &head, syn);
}

static void recast(char args[][PATH_BYTES])
{
	struct ip vip = ip_of(args[0]), server = ip_of(args[1]);
	pcap_t *pcap = open_file(args[2]);
	pcap_dumper_t *outside = pcap_dump_open(pcap, args[3]);
	pcap_dumper_t *inside = pcap_dump_open(pcap, args[4]);

	if (!outside || !inside)
		die(pcap_geterr(pcap));
	for (struct frame *f = read_frames(pcap); f; f = f->next) {
		const struct pcap_pkthdr head = {f->time, f->len, f->wire_len};
		struct layers l = parse(f);
		bool is_reply = (l.type == IP4 || l.type == IP6) && l.protocol == TCP &&
		                is_same(ip_at(f, &l, false), vip);

		if (has_tcp(f, &l) && (is_reply || is_same(ip_at(f, &l, true), vip)))
			begin_connection(vip, f, &l, outside);
		if (is_reply)
			change_source(f, &l, vip, server);
		pcap_dump((uint8_t *)(is_reply ? inside : outside), &head, f->data);
	}
	nconns = 0;
	pcap_dump_close(outside);
	pcap_dump_close(inside);
}

/* --- compare --- */

static const uint8_t own_mac[5] = {0x02, 0, 0, 0, 0};

static bool is_from_us(const struct frame *f)
{
	return f->len >= 12 && !memcmp(f->data + 6, own_mac, 5) &&
	       (f->data[11] == 1 || f->data[11] == 2);
}

static bool is_error(const struct frame *f, const struct layers *l)
{
	int type = l->l4 + 8 <= (int)f->len ? f->data[l->l4] : NONE;

	return (l->protocol == ICMP && (type == 3 || type == 11 || type == 12)) ||
	       (l->protocol == ICMP6 && type >= 1 && type <= 4);
}

/* Blanks what may be rewritten. */
static void blank(struct frame *f, const struct layers *l)
{
	uint8_t *l4 = f->data + l->l4;

	memset(f->data + l->l3 + (l->type == IP4 ? 10 : 8), 0, l->type == IP4 ? 10 : 32);
	if (has_tcp(f, l)) {
		memset(l4, 0, 4);
		memset(l4 + 16, 0, 2);
	} else if (is_error(f, l)) {
		memset(l4 + 2, 0, 2);
		memset(l4 + 8, 0, f->len - (uint32_t)l->l4 - 8);
	}
}

static struct frame *blanked(const struct frame *f, const struct layers *l)
{
	struct frame *copy = malloc(sizeof(*f) + f->len + 64);

	if (!copy)
		die("out of memory");
	memcpy(copy, f, sizeof(*f) + f->len);
	blank(copy, l);
	return copy;
}

/* If b may be what became of a. */
static bool is_rewritten(const struct frame *a, const struct frame *b)
{
	struct layers la = parse(a), lb = parse(b);
	struct frame *blank_a, *blank_b;
	bool same;

	if (la.type != lb.type || (la.type != IP4 && la.type != IP6) ||
	    a->len - (uint32_t)la.l3 != b->len - (uint32_t)lb.l3 ||
	    a->wire_len - (uint32_t)la.l3 != b->wire_len - (uint32_t)lb.l3 ||
	    la.fragment != lb.fragment)
		return false;
	blank_a = blanked(a, &la);
	blank_b = blanked(b, &lb);
	same = !memcmp(blank_a->data + la.l3, blank_b->data + lb.l3, a->len - (uint32_t)la.l3) &&
	       ip_error(a, &la) == ip_error(b, &lb) && l4_error(a, &la) == l4_error(b, &lb);
	free(blank_a);
	free(blank_b);
	return same;
}

static bool is_identical(const struct frame *a, const struct frame *b)
{
	return a->len == b->len && a->wire_len == b->wire_len && !memcmp(a->data, b->data, a->len);
}

/* ARP, neighbour discovery, RSTs and echo replies. */
static bool is_own(const struct frame *f)
{
	struct layers l = parse(f);

	if (has_tcp(f, &l))
		return f->data[l.l4 + 13] & RST && l4_error(f, &l) == 0 && ip_error(f, &l) <= 0;
	if (l.protocol == ICMP || l.protocol == ICMP6)
		return (f->data[l.l4] == 0 || f->data[l.l4] >= 129) && l4_error(f, &l) == 0;
	return l.type == ARP;
}

struct counts {
	unsigned bridged, forwarded, own, summed;
};

/* The frame of in, from first on, that became f, which wasn't found before; or NULL. */
static struct frame *find(struct frame *first, const struct frame *f,
                          bool (*fits)(const struct frame *, const struct frame *))
{
	for (; first; first = first->next)
		if (!first->used && fits(first, f))
			return first;
	return NULL;
}

/* Frames that were bridged to a side come from the other one, in order. */
static struct frame *find_bridged(struct frame **from, const struct frame *f)
{
	struct frame *found = find(*from, f, is_identical);

	if (found)
		*from = found->next;
	return found;
}

static struct frame *find_forwarded(struct frame *const in[2], const struct frame *f)
{
	struct frame *found = find(in[0], f, is_rewritten);

	return found ? found : find(in[1], f, is_rewritten);
}

/* Notes what a frame that was sent is; false if it is nothing. */
static bool check(struct frame *const in[2], struct frame **from, const struct frame *f,
                  struct counts *counts)
{
	bool ours = is_from_us(f);
	struct frame *found = ours ? find_forwarded(in, f) : find_bridged(from, f);
	struct layers l = parse(f);

	if (!found) {
		counts->own++;
		return ours && is_own(f);
	}
	found->used = true;
	counts->bridged += !ours;
	counts->forwarded += ours;
	counts->summed += ours && l4_error(f, &l) != NONE;
	return true;
}

/* Says if all is well. */
static bool compare(char args[][PATH_BYTES])
{
	struct frame *in[2], *from;
	struct counts counts = {0};
	unsigned n = 1;

	for (int i = 0; i < 2; i++)
		in[i] = strcmp(args[1 + i], "-") ? read_frames(open_file(args[1 + i])) : NULL;
	for (int side = 0; side < 2; side++) {
		from = in[!side];
		n = 1;
		for (const struct frame *f = read_frames(open_file(args[3 + side])); f;
		     f = f->next, n++) {
			if (check(in, &from, f, &counts))
				continue;
			printf("failed: %s: frame %u that was sent is none that was received\n",
			       args[3 + side], n);
			return false;
		}
	}
	printf("{\"name\":\"%s\",\"bridged\":%u,\"forwarded\":%u,\"own\":%u,\"summed\":%u}\n",
	       args[0], counts.bridged, counts.forwarded, counts.own, counts.summed);
	return true;
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	char line[ARGS * PATH_BYTES], args[ARGS][PATH_BYTES];
	bool well = true;
	int n;

	while (fgets(line, sizeof(line), stdin)) {
		n = sscanf(line, "%255s %255s %255s %255s %255s", args[0], args[1], args[2],
		           args[3], args[4]);
		if (n == 2 && !strcmp(what, "copy"))
			copy(args);
		else if (n == 1 && !strcmp(what, "pick"))
			pick(args[0]);
		else if (n == ARGS && !strcmp(what, "recast"))
			recast(args);
		else if (n == ARGS && !strcmp(what, "compare"))
			well &= compare(args);
		else
			die("copy|pick|recast|compare, and jobs on stdin");
	}
	return well ? 0 : 1;
}
