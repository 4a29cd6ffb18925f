/*
 * A sequence of TCP packets, ICMP errors, fragments, raw frames, time steps, probe results and
 * reloads, from few addresses and ports, so that flows open, close, collide and run out.
 *
 * Each step is a byte that says what, and bytes that say how. Sequence numbers are mostly those
 * that fit, from a small model of what was sent last.
 */
#include "engine.h"
#include "../../lb/csum.h"
#include "../../lb/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 2048, L3 = ETH_HEADER_BYTES, L4 = L3 + IPV4_HEADER_BYTES };

struct input {
	const uint8_t *data;
	size_t left;
};

struct run {
	struct lb *lb;
	uint64_t frames;
	lb_time now;
	struct verdict last;
	uint8_t bytes[FRAME_HEADROOM + ROOM];
};

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static void feed(struct run *run, enum side side, uint32_t len, uint8_t flags)
{
	struct frame frame = {.data = run->bytes + FRAME_HEADROOM,
	                      .len = len,
	                      .wire_len = len,
	                      .headroom = FRAME_HEADROOM,
	                      .side = (uint8_t)side,
	                      .flags = flags};
	struct verdict verdict;

	lb_input(run->lb, &frame, 1, run->now, &run->last);
	run->frames++;
	while (lb_take_fragment(run->lb, &frame, &verdict))
		;
}

/* Addresses of clients, servers, VIPs, SNAT: .38 to .53, and .140. */
static be32 pick_address(uint8_t from)
{
	return be32_from(0x0a000000u + (from % 17 == 16 ? 140 : 38 + from % 17));
}

static be16 pick_port(uint8_t from)
{
	static const uint16_t ports[] = {80,   443,  2000, 2001, 2002, 2003,
	                                 2004, 2005, 1008, 5000, 5001, 5002};

	return be16_from(ports[from % (sizeof(ports) / sizeof(ports[0]))]);
}

static uint8_t *put_ipv4(struct run *run, struct input *in, uint8_t protocol, uint16_t l4_len)
{
	static const uint8_t ethernet[ETH_HEADER_BYTES] = {2, 0, 0, 0, 0, 1, 2,
	                                                   0, 0, 0, 0, 9, 8, 0};
	uint8_t *frame = run->bytes + FRAME_HEADROOM, *ip = frame + L3;

	memset(frame, 0, ROOM);
	memcpy(frame, ethernet, sizeof(ethernet));
	ip[0] = 0x45;
	be16_store(ip + IPV4_TOTAL_LENGTH, be16_from((uint16_t)(IPV4_HEADER_BYTES + l4_len)));
	ip[IPV4_TTL] = 64;
	ip[IPV4_PROTOCOL] = protocol;
	be32_store(ip + IPV4_SRC, pick_address(take(in)));
	be32_store(ip + IPV4_DST, pick_address(take(in)));
	return frame + L4;
}

static void set_checksum(struct run *run, uint8_t *tcp, uint16_t len)
{
	const uint8_t *ip = run->bytes + FRAME_HEADROOM + L3;
	csum_acc sum = csum_pseudo(be32_load(ip + IPV4_SRC), be32_load(ip + IPV4_DST),
	                           IPPROTO_NUM_TCP, len);

	csum_store(tcp + TCP_CHECKSUM, (uint16_t)~csum_fold(csum_add(sum, tcp, len)));
}

static void put_tcp(struct run *run, struct input *in, uint8_t *tcp, uint16_t len)
{
	be16_store(tcp + TCP_SRC, pick_port(take(in)));
	be16_store(tcp + TCP_DST, pick_port(take(in)));
	be32_store(tcp + TCP_SEQ, be32_from(1000u + take(in) % 4));
	be32_store(tcp + TCP_ACK_NUMBER, be32_from(1000u + take(in) % 4));
	tcp[TCP_DATA_OFFSET] = 5 << 4;
	tcp[TCP_FLAGS] = take(in) & 0x17;
	set_checksum(run, tcp, len);
}

static void step_tcp(struct run *run, struct input *in)
{
	uint16_t len = (uint16_t)(TCP_HEADER_BYTES + take(in) % 3);

	put_tcp(run, in, put_ipv4(run, in, IPPROTO_NUM_TCP, len), len);
	feed(run, take(in) & 1, (uint32_t)L4 + len, 0);
}

static void step_fragment(struct run *run, struct input *in)
{
	uint16_t len = (uint16_t)(take(in) % 64);
	uint8_t *tcp = put_ipv4(run, in, IPPROTO_NUM_TCP, len), *ip = tcp - IPV4_HEADER_BYTES;

	put_tcp(run, in, tcp, len);
	ip[IPV4_ID] = take(in) & 1;
	be16_store(ip + IPV4_FRAGMENT, be16_from((uint16_t)((take(in) & 1) << 13 | take(in) % 8)));
	feed(run, take(in) & 1, (uint32_t)L4 + len, 0);
}

/* An error that quotes a packet of few addresses and ports. */
static void step_icmp(struct run *run, struct input *in)
{
	enum { QUOTED = IPV4_HEADER_BYTES + TCP_HEADER_BYTES };
	uint8_t *icmp = put_ipv4(run, in, IPPROTO_NUM_ICMP, ICMP_HEADER_BYTES + QUOTED);
	uint8_t *ip = icmp + ICMP_HEADER_BYTES, *tcp = ip + IPV4_HEADER_BYTES;

	icmp[ICMP_TYPE] = take(in) % 13;
	ip[0] = 0x45;
	ip[IPV4_PROTOCOL] = IPPROTO_NUM_TCP;
	be32_store(ip + IPV4_SRC, pick_address(take(in)));
	be32_store(ip + IPV4_DST, pick_address(take(in)));
	put_tcp(run, in, tcp, TCP_HEADER_BYTES);
	feed(run, take(in) & 1, L4 + ICMP_HEADER_BYTES + QUOTED, 0);
}

static void step_raw(struct run *run, struct input *in)
{
	uint32_t len = take(in);

	for (uint32_t i = 0; i < len; i++)
		run->bytes[FRAME_HEADROOM + i] = take(in);
	feed(run, take(in) & 1, len, take(in) & 1);
}

static void step_time(struct run *run, struct input *in)
{
	struct own own[BALANCE_RESETS_MAX * 2];
	bool more;

	run->now.ns += (uint64_t)take(in) * take(in) * LB_NS_PER_MS;
	lb_poll(run->lb, run->now, own, sizeof(own) / sizeof(own[0]), &more);
}

static void step(struct run *run, struct input *in)
{
	const struct rules *rules = lb_balance(run->lb)->farms->rules;
	struct ended ended;
	unsigned server;

	switch (take(in) % 12) {
	case 0:
		return step_raw(run, in);
	case 1:
	case 2:
		return step_time(run, in);
	case 3:
		server = take(in) % rules->nservers;
		if (rules->farms[rules->servers[server].farm].nchecks)
			lb_probed(run->lb, server, 0, take(in) & 1, run->now);
		return;
	case 4:
		if (take(in) % 4 == 0)
			engine_reload(run->lb, run->now);
		return;
	case 5:
		return step_icmp(run, in);
	case 6:
		return step_fragment(run, in);
	case 7:
		while (lb_take_ended(run->lb, &ended))
			;
		return;
	default:
		return step_tcp(run, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = {.lb = engine_new((lb_time){0})};
	struct input in = {data, size};

	while (in.left) {
		step(&run, &in);
		engine_check(run.lb, run.frames);
	}
	engine_free(run.lb);
	return 0;
}
