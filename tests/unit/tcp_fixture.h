/*
 * What the tests of following a connection begin with: a flow, and packets of its two ends.
 */
#ifndef UNIT_TCP_FIXTURE_H
#define UNIT_TCP_FIXTURE_H

#include "suites.h"

#include "../../lb/tcp.h"
#include "../../lb/wire.h"

enum { SYN = TCP_SYN, ACK = TCP_ACK, FIN = TCP_FIN, RST = TCP_RST };

/* Initial sequence numbers of client and server. */
struct isns {
	uint32_t c, s;
};

static const struct isns plain = {1000, 500000}, wrapping = {0xffffffff, 0xfffffffe};

static struct flow flow;

/* The client's SYN that waits for an answer. */
static struct tcp_syn again;
static bool waits;

/* Windows are 65535 << 8 unless a test says otherwise. */
static uint16_t window = 0xffff;
static uint8_t wscale = 8;

/* If it comes from elsewhere than the client's packets before; and what it was. */
static bool elsewhere;
static enum tcp_kind kind;

static inline unsigned packet(enum end from, int flags, uint32_t seq, uint32_t ack,
                              uint32_t payload)
{
	struct packet p = {.tcp_flags = (uint8_t)flags,
	                   .seq = seq,
	                   .ack = ack,
	                   .window = window,
	                   .wscale = flags & SYN ? wscale : PACKET_NO_WSCALE,
	                   .seq_len = payload + !!(flags & SYN) + !!(flags & FIN)};
	const struct tcp_syn *syn = waits ? &again : NULL;
	unsigned events;

	/* as progress.c does */
	if (flags & RST)
		return tcp_rst_is_believed(&flow, from, &p, syn) ? TCP_RESET : 0;
	kind = tcp_judge(&flow, from, &p, elsewhere, syn);
	if (kind == TCP_AGAIN) {
		again = (struct tcp_syn){.next = p.seq + p.seq_len, .wscale = p.wscale};
		waits = true;
	}
	if (kind == TCP_ANEW) {
		tcp_begin_anew(&flow, &again, &p);
		waits = false;
	}
	if (kind != TCP_ACCEPTABLE)
		return 0;
	events = tcp_track(&flow, from, &p);
	if (events & TCP_OPENED) {
		flow.state = FLOW_OPEN;
		tcp_opened(&flow, &p);
	}
	if (events & TCP_BOTH_CLOSED && flow.state == FLOW_OPEN)
		flow.state = FLOW_CLOSING;
	return events;
}

static inline void begin(void)
{
	window = 0xffff;
	wscale = 8;
	elsewhere = waits = false;
	flow = (struct flow){.state = FLOW_HALF_OPEN};
}

static inline void shake_hands(struct isns i)
{
	begin();
	ck_assert_uint_eq(packet(CLIENT, SYN, i.c, 0, 0), 0);
	ck_assert_uint_eq(packet(SERVER, SYN | ACK, i.s, i.c + 1, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, i.c + 1, i.s + 1, 0), TCP_OPENED);
}

#endif
