/*
 * Following a connection from the middle.
 */
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

static unsigned packet(enum end from, int flags, uint32_t seq, uint32_t ack, uint32_t payload)
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

static void begin(void)
{
	window = 0xffff;
	wscale = 8;
	elsewhere = waits = false;
	flow = (struct flow){.state = FLOW_HALF_OPEN};
}

static void shake_hands(struct isns i)
{
	begin();
	ck_assert_uint_eq(packet(CLIENT, SYN, i.c, 0, 0), 0);
	ck_assert_uint_eq(packet(SERVER, SYN | ACK, i.s, i.c + 1, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, i.c + 1, i.s + 1, 0), TCP_OPENED);
}

static void orderly_close(struct isns i, enum end first)
{
	const enum end second = end_other(first);
	const uint32_t a = (first == CLIENT ? i.c : i.s) + 1, b = (first == CLIENT ? i.s : i.c) + 1;

	shake_hands(i);
	ck_assert_uint_eq(packet(first, ACK, a, b, 100), 0);
	ck_assert_uint_eq(packet(second, ACK, b, a + 100, 0), 0);
	ck_assert_uint_eq(packet(first, FIN | ACK, a + 100, b, 0), TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(second, ACK, b, a + 101, 50), 0);
	ck_assert_uint_eq(packet(first, ACK, a + 101, b + 50, 0), 0);
	ck_assert_uint_eq(packet(second, FIN | ACK, b + 50, a + 101, 0), TCP_BOTH_CLOSED);
	ck_assert_uint_eq(packet(first, ACK, a + 101, b + 51, 0), TCP_ENDED);
	ck_assert(!(flow.flags & FLOW_SERVER_FIN_FIRST) == (first == CLIENT));
}

START_TEST(client_closes_first)
{
	orderly_close(plain, CLIENT);
	orderly_close(wrapping, CLIENT);
}
END_TEST

START_TEST(server_closes_first)
{
	orderly_close(plain, SERVER);
	orderly_close(wrapping, SERVER);
}
END_TEST

/* Both FINs cross: both ends, the server too, come to TIME_WAIT. */
static void simultaneous_close(struct isns i, enum end seen_first)
{
	const enum end second = end_other(seen_first);
	const uint32_t a = (seen_first == CLIENT ? i.c : i.s) + 1,
	               b = (seen_first == CLIENT ? i.s : i.c) + 1;

	shake_hands(i);
	ck_assert_uint_eq(packet(seen_first, FIN | ACK, a, b, 0), TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(second, FIN | ACK, b, a, 0), TCP_BOTH_CLOSED);
	ck_assert(flow.flags & FLOW_SERVER_FIN_FIRST);
	ck_assert_uint_eq(packet(seen_first, ACK, a + 1, b + 1, 0), 0);
	ck_assert_uint_eq(packet(second, ACK, b + 1, a + 1, 0), TCP_ENDED);
}

START_TEST(both_close_at_once)
{
	simultaneous_close(plain, CLIENT);
	simultaneous_close(plain, SERVER);
	simultaneous_close(wrapping, CLIENT);
}
END_TEST

START_TEST(fin_with_data_and_ack_of_it_all)
{
	shake_hands(plain);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 1001, 500001, 300), TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 500001, 1302, 0), TCP_BOTH_CLOSED);
	/* acknowledges the FIN's data, but not the FIN */
	ck_assert_uint_eq(packet(CLIENT, ACK, 1302, 500001, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1302, 500002, 0), TCP_ENDED);
}
END_TEST

START_TEST(retransmissions_change_nothing)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	ck_assert_uint_eq(packet(CLIENT, SYN, 1000, 0, 0), 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(SERVER, SYN | ACK, 500000, 1001, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), TCP_OPENED);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), 0);
	packet(CLIENT, ACK, 1001, 500001, 200);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 100), 0);
	ck_assert_uint_eq(flow.next_seq[CLIENT], 1201);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 1201, 500001, 0), TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 1201, 500001, 0), 0);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 500001, 1202, 0), TCP_BOTH_CLOSED);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 500001, 1202, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1202, 500002, 0), TCP_ENDED);
}
END_TEST

START_TEST(handshake_needs_the_ack_of_the_server_s_syn)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 499999, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500000, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500002, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), TCP_OPENED);
}
END_TEST

START_TEST(server_refuses)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	ck_assert_uint_eq(packet(SERVER, RST | ACK, 0, 1002, 0), 0);
	ck_assert_uint_eq(packet(SERVER, RST, 0, 1001, 0), 0);
	ck_assert_uint_eq(packet(SERVER, RST | ACK, 0, 1001, 0), TCP_RESET);
}
END_TEST

static void only_exact_rst(struct isns i, enum end from)
{
	const uint32_t next = (from == CLIENT ? i.c : i.s) + 1,
	               other = (from == CLIENT ? i.s : i.c) + 1;
	const uint32_t wrong[] = {next - 1, next + 1,           next + 1000, next - 1000,
	                          0,        next + 0x80000000u, other};

	shake_hands(i);
	for (unsigned n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		if (wrong[n] != next)
			ck_assert_uint_eq(packet(from, RST | ACK, wrong[n], other, 0), 0);
	ck_assert_uint_eq(packet(from, RST, next, 0, 0), TCP_RESET);
}

START_TEST(rst_only_with_the_exact_number)
{
	only_exact_rst(plain, CLIENT);
	only_exact_rst(plain, SERVER);
	only_exact_rst(wrapping, CLIENT);
	only_exact_rst(wrapping, SERVER);
}
END_TEST

/* Data underway: the receiver may expect anything from what it acknowledged to what comes after the
 * data. */
START_TEST(rst_behind_unacknowledged_data)
{
	shake_hands(plain);
	packet(CLIENT, ACK, 1001, 500001, 500);
	ck_assert_uint_eq(packet(CLIENT, RST, 1000, 0, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 1502, 0, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 1501, 0, 0), TCP_RESET);
	ck_assert_uint_eq(packet(CLIENT, RST, 1200, 0, 0), TCP_RESET);
	ck_assert_uint_eq(packet(CLIENT, RST, 1001, 0, 0), TCP_RESET);
}
END_TEST

START_TEST(rst_in_answer_to_a_half_close)
{
	shake_hands(plain);
	packet(CLIENT, FIN | ACK, 1001, 500001, 0);
	ck_assert_uint_eq(packet(SERVER, RST, 500002, 0, 0), 0);
	ck_assert_uint_eq(packet(SERVER, RST | ACK, 500001, 1002, 0), TCP_RESET);
}
END_TEST

/* The server, having only the SYN, expects the number after it. */
START_TEST(rst_with_the_isn_itself)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 1000, 0, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 1001, 0, 0), TCP_RESET);
}
END_TEST

/* Blindly guessing two numbers that fit each other is easy: no window holds either (RFC 5961, 1.1).
 */
START_TEST(stray_segment_does_not_open_the_door_to_a_rst)
{
	shake_hands(plain);
	packet(CLIENT, ACK, 0x7fff0000, 500001, 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 0x7fff0000, 0, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 1001, 0, 0), TCP_RESET);
}
END_TEST

/* Acknowledging what nobody can have sent yet tells nothing. */
START_TEST(stray_ack_is_no_ack)
{
	shake_hands(plain);
	packet(SERVER, ACK, 500001, 0x50000000, 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 0x50000000, 0, 0), 0);
	packet(CLIENT, FIN | ACK, 1001, 500001, 0);
	packet(SERVER, FIN | ACK, 500001, 1001, 0);
	ck_assert_uint_eq(packet(SERVER, ACK, 500002, 0x50000000, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1002, 500002, 0), 0);
	ck_assert_uint_eq(packet(SERVER, ACK, 500002, 1002, 0), TCP_ENDED);
}
END_TEST

/* Neither does a FIN outside any window say that its end is done. */
START_TEST(stray_fin_is_no_fin)
{
	shake_hands(plain);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 0x70000000, 500001, 0), 0);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 0x80000000, 1001, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 1001, 500001, 0), TCP_HALF_CLOSED);
}
END_TEST

/*
 * Who knows the addresses and ports but no acknowledgment can't say where a number stands, to send
 * a RST with it then (RFC 5961, 5.2); nor end the flow by a FIN.
 */
START_TEST(stranger_must_guess_both_numbers)
{
	static const uint32_t acks[] = {0xc0000000, 0x50000000, 500002 + (17u << 20),
	                                500001 - (1u << 20) - 1};

	shake_hands(plain);
	for (unsigned i = 0; i < sizeof(acks) / sizeof(acks[0]); i++) {
		ck_assert_uint_eq(packet(CLIENT, ACK, 6000, acks[i], 1), 0);
		ck_assert_uint_eq(packet(CLIENT, RST, 6001, 0, 0), 0);
		ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 1001, acks[i], 0), 0);
	}
	ck_assert_uint_eq(packet(CLIENT, 0, 6000, 500001, 1), 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 6001, 0, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, FIN, 1001, 500001, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 1001, 0, 0), TCP_RESET);
}
END_TEST

/* The same for the numbers that a RST of the other end would have. */
START_TEST(stranger_acknowledges_what_is_in_flight)
{
	shake_hands(plain);
	packet(SERVER, ACK, 500001, 1001, 30000);
	packet(CLIENT, ACK, 0x40000000, 510000, 0);
	ck_assert_uint_eq(flow.acked[CLIENT], 500001);
	packet(CLIENT, ACK, 1001, 510000, 0);
	ck_assert_uint_eq(packet(SERVER, RST, 509999, 0, 0), 0);
	ck_assert_uint_eq(packet(SERVER, RST, 510000, 0, 0), TCP_RESET);
}
END_TEST

/* What other packets have overtaken by a megabyte of acknowledgments, but no more. */
START_TEST(late_segment_counts)
{
	shake_hands(plain);
	for (uint32_t i = 0; i < 1u << 20; i += 32768) {
		packet(SERVER, ACK, 500001 + i, 1001, 32768);
		packet(CLIENT, ACK, 1001, 500001 + i + 32768, 0);
	}
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500000, 10), 0);
	ck_assert_uint_eq(flow.next_seq[CLIENT], 1001);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 10), 0);
	ck_assert_uint_eq(flow.next_seq[CLIENT], 1011);
}
END_TEST

/* Only the first fragment of each packet is seen; what is acknowledged is beyond. */
START_TEST(fragments_are_no_dead_end)
{
	uint32_t seq = 1001;

	shake_hands(plain);
	window = 31; /* 8000 bytes */
	packet(SERVER, ACK, 500001, seq, 0);
	for (unsigned i = 0; i < 100; i++, seq += 3000) {
		packet(CLIENT, ACK, seq, 500001, 1440);
		packet(SERVER, ACK, 500001, seq + 3000, 0);
		ck_assert_uint_eq(flow.acked[SERVER], seq + 3000);
	}
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, seq, 500001, 1440), TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 500001, seq + 3001, 0), TCP_BOTH_CLOSED);
	ck_assert_uint_eq(packet(CLIENT, ACK, seq + 3001, 500002, 0), TCP_ENDED);
}
END_TEST

/* One segment is lost of a large window in flight; when it has come, all is acknowledged at once.
 */
START_TEST(ack_jumps_over_a_big_window)
{
	uint32_t seq = 1001;

	shake_hands(plain);
	packet(SERVER, ACK, 500001, 1001, 0); /* offers its scaled window */
	for (; seq < 1001 + (12u << 20); seq += 1000)
		packet(CLIENT, ACK, seq, 500001, 1000);
	packet(SERVER, ACK, 500001, 1001, 0);
	packet(CLIENT, ACK, 1001, 500001, 1000);
	packet(SERVER, ACK, 500001, seq, 0);
	ck_assert_uint_eq(packet(CLIENT, RST, seq, 0, 0), TCP_RESET);
}
END_TEST

/* With a window of nothing a host tries a byte of new data, now and then with success (RFC
 * 9293, 3.8.6.1). */
START_TEST(zero_window_probe_is_no_dead_end)
{
	shake_hands(plain);
	window = 0;
	packet(CLIENT, ACK, 1001, 500001, 65535);
	packet(SERVER, ACK, 500001, 1001 + 65535, 0);
	packet(CLIENT, ACK, 1001 + 65535, 500001, 1);
	window = 0xffff;
	packet(SERVER, ACK, 500001, 1002 + 65535, 0);
	packet(CLIENT, ACK, 1002 + 65535, 500001, 1000);
	packet(SERVER, ACK, 500001, 2002 + 65535, 0);
	ck_assert_uint_eq(packet(CLIENT, RST, 2002 + 65535, 0, 0), TCP_RESET);
}
END_TEST

/* Unscaled unless both have said so: what is beyond such a window counts for nothing. */
START_TEST(window_is_scaled_only_if_both_say_so)
{
	for (unsigned i = 0; i < 4; i++) {
		const bool scaled = i == 3;

		begin();
		wscale = i & 1 ? 8 : PACKET_NO_WSCALE;
		packet(CLIENT, SYN, 1000, 0, 0);
		wscale = i & 2 ? 8 : PACKET_NO_WSCALE;
		packet(SERVER, SYN | ACK, 500000, 1001, 0);
		packet(CLIENT, ACK, 1001, 500001, 0);
		packet(SERVER, ACK, 500001, 1001, 0);
		packet(CLIENT, ACK, 1001 + 70000, 500001, 1000);
		ck_assert_uint_eq(packet(CLIENT, RST, 1001 + 71000, 0, 0), scaled ? TCP_RESET : 0);
	}
}
END_TEST

START_TEST(fin_in_the_packet_that_opens)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 1001, 500001, 40),
	                  TCP_OPENED | TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 500001, 1042, 40), TCP_BOTH_CLOSED);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1042, 500042, 0), TCP_ENDED);
}
END_TEST

/* What an ICMP error may quote (RFC 5927, 4.1). */
START_TEST(may_have_sent)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	ck_assert(tcp_may_have_sent(&flow, CLIENT, 1000));
	ck_assert(!tcp_may_have_sent(&flow, CLIENT, 1002));
	ck_assert(!tcp_may_have_sent(&flow, SERVER, 0));
	shake_hands(plain);
	packet(CLIENT, ACK, 1001, 500001, 500);
	ck_assert(tcp_may_have_sent(&flow, CLIENT, 1001));
	ck_assert(tcp_may_have_sent(&flow, CLIENT, 1501));
	ck_assert(!tcp_may_have_sent(&flow, CLIENT, 1502));
	ck_assert(!tcp_may_have_sent(&flow, CLIENT, 0x40000000));
	ck_assert(!tcp_may_have_sent(&flow, CLIENT, 0xc0000000));
}
END_TEST

/* A client whose first attempt came to nothing tries again from the same port. */
START_TEST(second_syn_with_a_lower_isn_counts)
{
	begin();
	packet(CLIENT, SYN, 900000, 0, 0);
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), TCP_OPENED);
	ck_assert_uint_eq(packet(CLIENT, RST, 1001, 0, 0), TCP_RESET);
}
END_TEST

/* A server in TIME_WAIT answers with the numbers of the old connection first. */
/* That the server has acknowledged the SYN isn't forgotten: its ISN would do for a RST. */
START_TEST(syn_again_behind_its_acknowledgment)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	packet(CLIENT, SYN, 1000, 0, 0);
	ck_assert_uint_eq(flow.acked[SERVER], 1001);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), TCP_OPENED);
	ck_assert_uint_eq(packet(CLIENT, RST, 1000, 0, 0), 0);
}
END_TEST

/* Fast open (RFC 7413): data, or all there is, before the client's last word of the handshake. */
START_TEST(server_speaks_early)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(SERVER, ACK, 500001, 1001, 10), 0);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 500011, 1001, 0), TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(SERVER, ACK, 600000, 1001, 10), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500012, 0), TCP_OPENED);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, 1001, 500012, 0), TCP_BOTH_CLOSED);
	ck_assert_uint_eq(packet(SERVER, ACK, 500012, 1002, 0), TCP_ENDED);
}
END_TEST

/* A keep-alive, whose number is one less than the next. */
START_TEST(keep_alive_opens)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1000, 500001, 0), TCP_OPENED);
	ck_assert_uint_eq(flow.next_seq[CLIENT], 1001);
}
END_TEST

/* An older connection's: the client doesn't take it either. */
START_TEST(syn_ack_of_another_syn)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	packet(SERVER, SYN | ACK, 700000, 77, 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), TCP_OPENED);
}
END_TEST

START_TEST(stray_ack_before_the_syn_ack)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, ACK, 900000, 77777, 0);
	packet(CLIENT, RST, 77777, 0, 0);
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), TCP_OPENED);
}
END_TEST

/* A server that has answered begins nothing: whoever says so in its name is another. */
START_TEST(bare_syn_of_a_server_that_has_answered)
{
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	packet(SERVER, SYN, 700000, 0, 0);
	ck_assert_uint_eq(packet(SERVER, RST, 700001, 0, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001, 500001, 0), TCP_OPENED);
}
END_TEST

/* More than 2^32 bytes go by. */
START_TEST(numbers_go_around)
{
	uint32_t seq = 1001;

	shake_hands(plain);
	for (unsigned i = 0; i < 70000; i++) {
		ck_assert_uint_eq(packet(CLIENT, ACK, seq, 500001, 65000), 0);
		seq += 65000;
		ck_assert_uint_eq(packet(SERVER, ACK, 500001, seq, 0), 0);
	}
	ck_assert_uint_eq(packet(CLIENT, RST, seq - 65000, 0, 0), 0);
	ck_assert_uint_eq(packet(CLIENT, FIN | ACK, seq, 500001, 0), TCP_HALF_CLOSED);
	ck_assert_uint_eq(packet(SERVER, FIN | ACK, 500001, seq + 1, 0), TCP_BOTH_CLOSED);
	ck_assert_uint_eq(packet(CLIENT, ACK, seq + 1, 500002, 0), TCP_ENDED);
}
END_TEST

Suite *tcp_suite(void)
{
	const TTest *const tests[] = {client_closes_first,
	                              server_closes_first,
	                              both_close_at_once,
	                              fin_with_data_and_ack_of_it_all,
	                              retransmissions_change_nothing,
	                              handshake_needs_the_ack_of_the_server_s_syn,
	                              server_refuses,
	                              rst_only_with_the_exact_number,
	                              rst_behind_unacknowledged_data,
	                              rst_in_answer_to_a_half_close,
	                              rst_with_the_isn_itself,
	                              stray_segment_does_not_open_the_door_to_a_rst,
	                              stray_ack_is_no_ack,
	                              stray_fin_is_no_fin,
	                              stranger_must_guess_both_numbers,
	                              stranger_acknowledges_what_is_in_flight,
	                              late_segment_counts,
	                              fragments_are_no_dead_end,
	                              ack_jumps_over_a_big_window,
	                              zero_window_probe_is_no_dead_end,
	                              window_is_scaled_only_if_both_say_so,
	                              fin_in_the_packet_that_opens,
	                              may_have_sent,
	                              second_syn_with_a_lower_isn_counts,
	                              syn_again_behind_its_acknowledgment,
	                              server_speaks_early,
	                              keep_alive_opens,
	                              syn_ack_of_another_syn,
	                              stray_ack_before_the_syn_ack,
	                              bare_syn_of_a_server_that_has_answered,
	                              numbers_go_around,
	                              NULL};

	return suite_of("tcp", tests);
}
