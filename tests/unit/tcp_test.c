/*
 * Following a connection from the middle.
 */
#include "tcp_fixture.h"

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

/*
 * One segment is lost of a large window in flight; when it has come, all is acknowledged at once.
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

/* The first of what the client sends is lost: what follows in the first window opens. */
START_TEST(opens_by_what_follows)
{
	static const uint32_t behind[] = {1, 1000, TCP_WINDOW_LEAST};

	for (unsigned i = 0; i < sizeof(behind) / sizeof(*behind); i++) {
		begin();
		packet(CLIENT, SYN, 1000, 0, 0);
		packet(SERVER, SYN | ACK, 500000, 1001, 0);
		ck_assert_uint_eq(packet(CLIENT, ACK, 1001 + behind[i], 500001, 10), TCP_OPENED);
	}
	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	ck_assert_uint_eq(packet(CLIENT, ACK, 1001 + TCP_WINDOW_LEAST + 1, 500001, 10), 0);
	ck_assert_uint_eq(kind, TCP_STRAY);
}
END_TEST

/* The number is no acknowledgment without the flag. */
START_TEST(without_ack_nothing_counts_in_a_handshake)
{
	struct flow before;

	begin();
	packet(CLIENT, SYN, 1000, 0, 0);
	packet(SERVER, SYN | ACK, 500000, 1001, 0);
	before = flow;
	for (unsigned flags = 0; flags <= FIN; flags += FIN) {
		packet(CLIENT, (int)flags, 1001, 500001, 10);
		packet(SERVER, (int)flags, 500001, 1001, 10);
	}
	ck_assert(memcmp(&before, &flow, sizeof(flow)) == 0);
}
END_TEST

/* Who has moved may repeat what began up to a window ago, and that is 64 KiB at least. */
START_TEST(who_has_moved_may_repeat_a_small_window)
{
	static const uint32_t offered[] = {1, 1000, TCP_WINDOW_LEAST, 1 << 18};

	for (unsigned i = 0; i < sizeof(offered) / sizeof(*offered); i++) {
		const uint32_t window_then =
		        offered[i] < TCP_WINDOW_LEAST ? TCP_WINDOW_LEAST : offered[i];

		shake_hands(plain);
		flow_set_next(&flow, CLIENT, 2000000);
		flow_set_acked(&flow, SERVER, 2000000);
		flow_set_limit(&flow, CLIENT, 2000000 + offered[i]);
		elsewhere = true;
		packet(CLIENT, ACK, 2000000 - window_then - 1, 500001, 10);
		ck_assert_uint_eq(kind, TCP_STRAY);
		packet(CLIENT, ACK, 2000000 - window_then, 500001, 10);
		ck_assert_uint_eq(kind, TCP_ACCEPTABLE);
	}
}
END_TEST

/* Windows of a connection that begins anew are scaled if both of its own SYNs say so. */
START_TEST(scales_anew)
{
	for (unsigned with = 0; with < 4; with++) {
		shake_hands(plain);
		wscale = with & 1 ? 3 : PACKET_NO_WSCALE;
		packet(CLIENT, SYN, 7000000, 0, 0);
		wscale = with & 2 ? 4 : PACKET_NO_WSCALE;
		packet(SERVER, SYN | ACK, 9000000, 7000001, 0);
		ck_assert_uint_eq(kind, TCP_ANEW);
		ck_assert_uint_eq(flow_wscale(&flow, CLIENT), with == 3 ? 3 : 0);
		ck_assert_uint_eq(flow_wscale(&flow, SERVER), with == 3 ? 4 : 0);
	}
}
END_TEST

/* What was sent before the handshake (RFC 7413) may be more than any window is then. */
START_TEST(revived_with_more_than_a_window)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		wscale = 0;
		shake_hands(plain);
		flow_set_next(&flow, end, flow_acked(&flow, end_other(end)) + (100u << 20));
		tcp_revived(&flow);
		ck_assert_uint_eq(flow_limit(&flow, end), flow_next(&flow, end));
	}
}
END_TEST

Suite *tcp_suite(void)
{
	const TTest *const tests[] = {
	        client_closes_first,
	        server_closes_first,
	        both_close_at_once,
	        fin_with_data_and_ack_of_it_all,
	        retransmissions_change_nothing,
	        handshake_needs_the_ack_of_the_server_s_syn,
	        server_refuses,
	        fragments_are_no_dead_end,
	        ack_jumps_over_a_big_window,
	        zero_window_probe_is_no_dead_end,
	        window_is_scaled_only_if_both_say_so,
	        fin_in_the_packet_that_opens,
	        may_have_sent,
	        server_speaks_early,
	        keep_alive_opens,
	        numbers_go_around,
	        opens_by_what_follows,
	        without_ack_nothing_counts_in_a_handshake,
	        who_has_moved_may_repeat_a_small_window,
	        scales_anew,
	        revived_with_more_than_a_window,
	        NULL,
	};

	return suite_of("tcp", tests);
}
