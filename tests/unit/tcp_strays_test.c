/*
 * Following a connection past segments that aren't its own, or not of now.
 */
#include "tcp_fixture.h"

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

/*
 * Blindly guessing two numbers that fit each other is easy: no window holds either (RFC 5961, 1.1).
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

Suite *tcp_strays_suite(void)
{
	const TTest *const tests[] = {
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
	        second_syn_with_a_lower_isn_counts,
	        syn_again_behind_its_acknowledgment,
	        syn_ack_of_another_syn,
	        stray_ack_before_the_syn_ack,
	        bare_syn_of_a_server_that_has_answered,
	        NULL,
	};

	return suite_of("tcp_strays", tests);
}
