/*
 * Writing frames and passing them in.
 *
 * Each frame is TCP as it would be: sequence numbers go on, everything is acknowledged, and both
 * checksums are right. What the engine makes of a ring of frames is checked by its counts.
 */
#include "traffic.h"

#include "floor.h"

#include "measure.h"
#include "../../lb/wire.h"

#include <stdlib.h>

enum {
	SLOT_BYTES = 2112, /* 33 cache lines: buffers don't all begin in the same set */
	CLIENT_PORTS = 16, /* of each client */
	FIRST_CLIENT = 11 << 24,
	FIRST_CLIENT_PORT = 40000,
	WINDOW = 65535,
};

static const struct mac peers[2] = {
        [CLIENT] = {{2, 0, 0, 0, 0, 0x99}}, [SERVER] = {{2, 0, 0, 0, 0, 0x41}}};

static uint64_t next_random(struct traffic *traffic)
{
	uint64_t z = traffic->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void traffic_make(struct traffic *traffic, struct subject *subject, uint32_t nconns, bool ipv6)
{
	*traffic = (struct traffic){.subject = subject, .nconns = nconns, .ipv6 = ipv6};
	traffic->conns = calloc(nconns, sizeof(*traffic->conns));
	traffic->ring = calloc(TRAFFIC_RING, SLOT_BYTES);
	if (!traffic->conns || !traffic->ring)
		measure_fail("no memory");
	for (uint32_t i = 0; i < nconns; i++)
		traffic->conns[i].id = i;
}

void traffic_free(struct traffic *traffic)
{
	free(traffic->conns);
	free(traffic->ring);
}

/* The tuple of a packet that comes from that end. */
static struct tuple tuple_from(const struct conn *conn, enum end end)
{
	const be16 service = be16_from(
	        (uint16_t)(SUBJECT_FIRST_SERVICE + conn->id / CLIENT_PORTS % SUBJECT_SERVICES));

	if (end == SERVER)
		return (struct tuple){conn->server, conn->snat, service, conn->snat_port};
	return (struct tuple){be32_from(FIRST_CLIENT + conn->id / CLIENT_PORTS), subject_vip(),
	                      be16_from((uint16_t)(FIRST_CLIENT_PORT + conn->id % CLIENT_PORTS)),
	                      service};
}

static csum_acc write_ipv4(uint8_t *ip, const struct tuple *tuple, uint16_t l4_len)
{
	static const uint8_t header[] = {0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, IPPROTO_NUM_TCP};

	memset(ip, 0, IPV4_HEADER_BYTES);
	memcpy(ip, header, sizeof(header));
	be16_store(ip + IPV4_TOTAL_LENGTH, be16_from((uint16_t)(IPV4_HEADER_BYTES + l4_len)));
	be32_store(ip + IPV4_SRC, tuple->src);
	be32_store(ip + IPV4_DST, tuple->dst);
	csum_store(ip + IPV4_CHECKSUM, (uint16_t)~csum_fold(csum_add(0, ip, IPV4_HEADER_BYTES)));
	return csum_pseudo(tuple->src, tuple->dst, IPPROTO_NUM_TCP, l4_len);
}

static struct ip6 ip6_of(be32 last)
{
	struct ip6 ip;

	memcpy(ip.b, subject_prefix6, sizeof(subject_prefix6));
	memcpy(ip.b + sizeof(subject_prefix6), &last, sizeof(last));
	return ip;
}

static csum_acc write_ipv6(uint8_t *ip, const struct tuple *tuple, uint16_t l4_len)
{
	const struct ip6 src = ip6_of(tuple->src), dst = ip6_of(tuple->dst);

	memset(ip, 0, IPV6_HEADER_BYTES);
	ip[0] = 0x60;
	be16_store(ip + IPV6_PAYLOAD_LENGTH, be16_from(l4_len));
	ip[IPV6_NEXT_HEADER] = IPPROTO_NUM_TCP;
	ip[IPV6_HOP_LIMIT] = 64;
	memcpy(ip + IPV6_SRC, &src, sizeof(src));
	memcpy(ip + IPV6_DST, &dst, sizeof(dst));
	return csum_pseudo6(&src, &dst, IPPROTO_NUM_TCP, l4_len);
}

/* The payload is zeros, which stand there since the ring was made. */
static void write_tcp(uint8_t *tcp, const struct conn *conn, const struct tuple *tuple,
                      const struct step *step, csum_acc pseudo)
{
	memset(tcp, 0, TCP_HEADER_BYTES);
	be16_store(tcp + TCP_SRC, tuple->sport);
	be16_store(tcp + TCP_DST, tuple->dport);
	be32_store(tcp + TCP_SEQ, be32_from(conn->next[step->end]));
	if (step->flags & TCP_ACK)
		be32_store(tcp + TCP_ACK_NUMBER, be32_from(conn->next[end_other(step->end)]));
	tcp[TCP_DATA_OFFSET] = TCP_HEADER_BYTES / 4 << 4;
	tcp[TCP_FLAGS] = step->flags;
	be16_store(tcp + TCP_WINDOW, be16_from(WINDOW));
	csum_store(tcp + TCP_CHECKSUM,
	           (uint16_t)~csum_fold(csum_add(pseudo, tcp, TCP_HEADER_BYTES)));
}

/* What the connection sends next, into a buffer of the ring. */
static void write_frame(struct traffic *traffic, unsigned slot, struct conn *conn,
                        const struct step *step)
{
	const uint32_t l3 = traffic->ipv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
	const uint32_t headers = ETH_HEADER_BYTES + l3 + TCP_HEADER_BYTES;
	const uint32_t bytes = step->bytes ? step->bytes : headers;
	const struct tuple tuple = tuple_from(conn, step->end);
	const enum side side = step->end == CLIENT ? OUTSIDE : INSIDE;
	uint8_t *p = traffic->ring + (size_t)slot * SLOT_BYTES + ARENA_ALIGN;
	uint16_t l4_len = (uint16_t)(bytes - ETH_HEADER_BYTES - l3);
	csum_acc pseudo;

	traffic->frames[slot] = (struct frame){.data = p,
	                                       .len = bytes,
	                                       .wire_len = bytes,
	                                       .headroom = FRAME_HEADROOM,
	                                       .side = (uint8_t)side};
	memcpy(p + ETH_DST, &subject_macs[side], sizeof(struct mac));
	memcpy(p + ETH_SRC, &peers[step->end], sizeof(struct mac));
	be16_store(p + ETH_TYPE, be16_from(traffic->ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4));
	pseudo = traffic->ipv6 ? write_ipv6(p + ETH_HEADER_BYTES, &tuple, l4_len)
	                       : write_ipv4(p + ETH_HEADER_BYTES, &tuple, l4_len);
	write_tcp(p + ETH_HEADER_BYTES + l3, conn, &tuple, step, pseudo);
	if (traffic->bare)
		return;
	conn->next[step->end] +=
	        bytes - headers + (step->flags & TCP_SYN ? 1 : 0) + (step->flags & TCP_FIN ? 1 : 0);
}

/* Notes how the engine has rewritten the SYN of a connection. */
static void learn(struct traffic *traffic, unsigned slot, struct conn *conn)
{
	const uint8_t *ip = traffic->frames[slot].data + ETH_HEADER_BYTES;
	const uint32_t header = traffic->ipv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
	const uint32_t last = traffic->ipv6 ? sizeof(subject_prefix6) : 0;

	conn->snat = be32_load(ip + (traffic->ipv6 ? IPV6_SRC : IPV4_SRC) + last);
	conn->server = be32_load(ip + (traffic->ipv6 ? IPV6_DST : IPV4_DST) + last);
	conn->snat_port = be16_load(ip + header + TCP_SRC);
}

/* Passes in n frames of the ring. Returns the time. */
static uint64_t input(struct traffic *traffic, unsigned n, enum lb_why why)
{
	struct subject *subject = traffic->subject;
	struct verdict verdicts[TRAFFIC_BURST];
	uint64_t before = lb_whys(subject->lb)[why], start = measure_ns(), spent;
	unsigned found = 0;

	if (traffic->program)
		return program_input(traffic->program, traffic->frames, n);
	for (unsigned i = 0; i < n; i += TRAFFIC_BURST) {
		unsigned burst = n - i < TRAFFIC_BURST ? n - i : TRAFFIC_BURST;

		if (traffic->bare)
			found += floor_input(&lb_balance(subject->lb)->flows, &traffic->frames[i],
			                     burst);
		else
			lb_input(subject->lb, &traffic->frames[i], burst, subject->now, verdicts);
		subject_pass(subject, TRAFFIC_BURST * TRAFFIC_NS);
	}
	spent = measure_since(start);
	if (traffic->bare && found == n)
		return spent;
	if (lb_whys(subject->lb)[why] - before != n)
		measure_fail("of %u frames only %lu are %s", n, lb_whys(subject->lb)[why] - before,
		             lb_why_name(why));
	return spent;
}

/* A permutation of [0, n), n being a power of two, that is another for each step. */
static uint32_t shuffled(const struct step *step, uint32_t i, uint32_t n)
{
	return (i * (2654435761u + 2u * (step->flags * 2u + step->end)) + step->bytes) & (n - 1);
}

uint64_t traffic_step(struct traffic *traffic, const struct step *step, uint32_t first, uint32_t n)
{
	bool is_power = !(n & (n - 1));
	uint64_t spent = 0;

	for (uint32_t done = 0; done < n; done += TRAFFIC_RING) {
		struct conn *conns[TRAFFIC_RING];
		unsigned batch = n - done < TRAFFIC_RING ? n - done : TRAFFIC_RING;

		for (unsigned i = 0; i < batch; i++) {
			uint32_t at = is_power ? shuffled(step, done + i, n) : done + i;

			conns[i] = &traffic->conns[first + at];
			write_frame(traffic, i, conns[i], step);
		}
		spent += input(traffic, batch, step->why);
		for (unsigned i = 0; i < batch && step->why == WHY_FLOW_NEW; i++)
			learn(traffic, i, conns[i]);
	}
	return spent;
}

void traffic_renew(struct traffic *traffic, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		traffic->conns[i].id += traffic->nconns;
}

void traffic_open(struct traffic *traffic, uint32_t first, uint32_t n)
{
	const struct step steps[] = {{CLIENT, TCP_SYN, 0, WHY_FLOW_NEW},
	                             {SERVER, TCP_SYN | TCP_ACK, 0, WHY_FLOW_HIT},
	                             {CLIENT, TCP_ACK, 0, WHY_FLOW_HIT}};

	/* a few at a time: half-open flows mustn't fill half of the table */
	for (uint32_t done = 0; done < n; done += TRAFFIC_RING / 4)
		for (unsigned s = 0; s < sizeof(steps) / sizeof(*steps); s++)
			traffic_step(traffic, &steps[s], first + done,
			             n - done < TRAFFIC_RING / 4 ? n - done : TRAFFIC_RING / 4);
}

uint64_t traffic_data(struct traffic *traffic, uint32_t bytes, uint32_t n)
{
	uint64_t spent = 0;

	for (uint32_t done = 0; done < n; done += TRAFFIC_RING) {
		for (unsigned i = 0; i < TRAFFIC_RING; i++) {
			uint64_t random = next_random(traffic);
			const struct step step = {random & 1 ? SERVER : CLIENT, TCP_ACK, bytes,
			                          WHY_FLOW_HIT};

			write_frame(traffic, i,
			            &traffic->conns[(random >> 32) * traffic->nconns >> 32], &step);
		}
		spent += input(traffic, TRAFFIC_RING, WHY_FLOW_HIT);
	}
	return spent;
}
