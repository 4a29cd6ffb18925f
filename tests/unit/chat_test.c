/*
 * A probe's conversation with a server: what it says, and what it makes of answers, of losses, and
 * of servers that mean ill.
 */
#include "suites.h"

#include "../../bridge/worker/answer.h"
#include "../../bridge/worker/chat.h"
#include "../../lb/wire.h"

#include <stdlib.h>

enum { FIN = TCP_FIN, SYN = TCP_SYN, RST = TCP_RST, PSH = TCP_PSH, ACK = TCP_ACK };
enum { ISN = 0xfffffffe, PEER = 0x7ffffffd, TIMEOUT_MS = 2000 }; /* both wrap soon */

static uint8_t ping[] = "PING", pong[] = "+PONG",
               mask[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static struct script script;
static struct chat chat;
static struct chat_terms terms;
static struct chat_says says;
static struct chat_result result;
static lb_time now;

static void begin(unsigned rooms)
{
	script = (struct script){
	        .send = ping, .expect = pong, .mask = mask, .nsend = 4, .nexpect = 5};
	terms = (struct chat_terms){.script = &script,
	                            .timeout_ns = TIMEOUT_MS * LB_NS_PER_MS,
	                            .rooms = chat_rooms_new(rooms)};
	now = (lb_time){1000 * LB_NS_PER_S};
	chat = (struct chat){.state = CHAT_OVER};
	chat_begin(&chat, ISN, now);
	says.n = 0;
	chat_connect(&chat, now, &says);
	ck_assert(says.n == 1 && says.segments[0].flags == SYN && says.segments[0].seq == ISN);
}

static void end(void)
{
	chat_drop(&chat, &terms);
	chat_rooms_free(terms.rooms);
}

/* A segment of len bytes at text, offset bytes behind the server's SYN. */
static enum chat_end hear(uint8_t flags, uint32_t offset, uint32_t ack, const char *text,
                          uint32_t len)
{
	const struct chat_segment segment = {.flags = flags,
	                                     .seq = PEER + 1 + offset,
	                                     .ack = ISN + 1 + ack,
	                                     .data = (const uint8_t *)text,
	                                     .len = len};

	says.n = 0;
	result = chat_take(&chat, &terms, &segment, now, &says);
	return result.end;
}

static enum chat_end hear_text(uint32_t offset, const char *text)
{
	return hear(ACK | PSH, offset, 4, text, (uint32_t)strlen(text));
}

static enum chat_end wait_due(void)
{
	now = chat_due(&chat, &terms);
	says.n = 0;
	result = chat_poll(&chat, &terms, now, &says);
	return result.end;
}

/* seq and ack are counted from either SYN. */
static bool said(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	const struct chat_segment *s = &says.segments[0];

	return says.n == 1 && s->flags == flags && s->seq == ISN + 1 + seq && s->len == len &&
	       (!(flags & ACK) || s->ack == PEER + 1 + ack);
}

static void accept(void)
{
	hear(SYN | ACK, (uint32_t)-1, 0, NULL, 0);
	ck_assert(said(ACK | PSH, 0, 0, 4));
	ck_assert_mem_eq(says.segments[0].data, "PING", 4);
}

START_TEST(an_answer)
{
	begin(1);
	accept();
	ck_assert(hear(ACK, 0, 4, NULL, 0) == CHAT_GOES_ON && says.n == 0);
	ck_assert(hear_text(0, "+PONG\r\n") == CHAT_GOOD);
	ck_assert(result.nheard == 7 && !memcmp(result.heard, "+PONG\r\n", 7));
	ck_assert(said(FIN | ACK, 4, 7, 0));
	ck_assert(hear(ACK, 7, 5, NULL, 0) == CHAT_GOES_ON && says.n == 0);
	ck_assert(hear(FIN | ACK, 7, 5, NULL, 0) == CHAT_GOES_ON);
	ck_assert(said(ACK, 5, 8, 0) && chat.state == CHAT_OVER);
	end();
}
END_TEST

START_TEST(what_is_lost_is_said_again)
{
	begin(1);
	ck_assert(wait_due() == CHAT_GOES_ON && said(SYN, (uint32_t)-1, 0, 0));
	accept();
	ck_assert(wait_due() == CHAT_GOES_ON && said(ACK | PSH, 0, 0, 4));
	ck_assert(hear_text(0, "+PONG") == CHAT_GOOD);
	end();
	begin(1);
	accept();
	ck_assert(hear(SYN | ACK, (uint32_t)-1, 0, NULL, 0) == CHAT_GOES_ON);
	ck_assert(said(ACK | PSH, 0, 0, 4));
	ck_assert(wait_due() == CHAT_GOES_ON && said(ACK | PSH, 0, 0, 4));
	/* acknowledged with the answer; then FIN, until that is */
	ck_assert(hear_text(0, "+PONG") == CHAT_GOOD && said(FIN | ACK, 4, 5, 0));
	ck_assert(wait_due() == CHAT_GOES_ON);
	ck_assert(says.n == 1 && says.segments[0].flags & (FIN | RST));
	end();
}
END_TEST

START_TEST(an_answer_without_an_acknowledgment_says_it_all_again)
{
	begin(1);
	accept();
	ck_assert(hear(ACK | PSH, 0, 0, "+PONG", 5) == CHAT_GOOD);
	ck_assert(said(FIN | ACK | PSH, 0, 5, 4));
	end();
}
END_TEST

START_TEST(pieces_are_put_together)
{
	begin(1);
	accept();
	ck_assert(hear_text(0, "+P") == CHAT_GOES_ON && said(ACK, 4, 2, 0));
	ck_assert(hear_text(3, "NG") == CHAT_GOES_ON && said(ACK, 4, 2, 0)); /* one is missing */
	ck_assert(hear_text(0, "+P") == CHAT_GOES_ON && said(ACK, 4, 2, 0)); /* old */
	ck_assert(hear_text(1, "PO") == CHAT_GOES_ON && said(ACK, 4, 3, 0)); /* half old */
	ck_assert(hear_text(3, "NG") == CHAT_GOOD && result.nheard == 5);
	ck_assert(!memcmp(result.heard, "+PONG", 5));
	end();
}
END_TEST

START_TEST(without_room_a_piece_has_to_be_said_again)
{
	struct chat other = {.state = CHAT_OVER};

	begin(1);
	accept();
	hear_text(0, "+");
	other = chat; /* has the only room */
	chat_begin(&chat, ISN, now);
	chat_connect(&chat, now, &says);
	accept();
	ck_assert(hear_text(0, "+P") == CHAT_GOES_ON && says.n == 0);
	ck_assert_uint_eq(chat_rooms_missed(terms.rooms), 1);
	chat_drop(&other, &terms);
	ck_assert(hear_text(0, "+P") == CHAT_GOES_ON && said(ACK, 4, 2, 0));
	ck_assert(hear_text(2, "ONG") == CHAT_GOOD);
	end();
	begin(0);
	accept();
	ck_assert(hear_text(0, "+PONG") == CHAT_GOOD); /* that comes whole needs none */
	end();
}
END_TEST

/* So many answers in pieces at a time; the next one's pieces have to be said again until one has
 * ended. */
START_TEST(rooms_are_for_so_many)
{
	enum { ROOMS = 256 };
	static struct chat others[ROOMS];

	begin(ROOMS);
	for (unsigned i = 0; i < ROOMS; i++) {
		accept();
		require(hear_text(0, "+P") == CHAT_GOES_ON && said(ACK, 4, 2, 0));
		others[i] = chat;
		chat = (struct chat){.state = CHAT_OVER};
		chat_begin(&chat, ISN, now);
		says.n = 0;
		chat_connect(&chat, now, &says);
	}
	ck_assert_uint_eq(chat_rooms_missed(terms.rooms), 0);
	accept();
	ck_assert(hear_text(0, "+P") == CHAT_GOES_ON && says.n == 0); /* one more */
	ck_assert_uint_eq(chat_rooms_missed(terms.rooms), 1);
	chat_drop(&others[ROOMS / 2], &terms);
	ck_assert(hear_text(0, "+P") == CHAT_GOES_ON && said(ACK, 4, 2, 0));
	ck_assert(hear_text(2, "ONG") == CHAT_GOOD);
	for (unsigned i = 0; i < ROOMS; i++)
		chat_drop(&others[i], &terms);
	end();
}
END_TEST

/* A pattern whose last byte is the last one that is looked at, and one behind it. */
START_TEST(so_much_of_an_answer_is_looked_at)
{
	static char text[SCRIPT_ANSWER_MAX + 1];

	for (unsigned more = 0; more < 2; more++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + SCRIPT_ANSWER_MAX - 5 + more, "+PONG", 5);
		script.where = SCRIPT_ANYWHERE;
		begin(1);
		script.where = SCRIPT_ANYWHERE;
		accept();
		ck_assert(hear(ACK, 0, 4, text, 1460) == CHAT_GOES_ON);
		ck_assert_int_eq(hear(ACK, 1460, 4, text + 1460, SCRIPT_ANSWER_MAX + more - 1460),
		                 more ? CHAT_BAD : CHAT_GOOD);
		end();
	}
}
END_TEST

START_TEST(another_answer)
{
	begin(1);
	accept();
	hear_text(0, "+P");
	ck_assert(hear_text(2, "ENG!") == CHAT_BAD && result.fault == FAULT_UNEXPECTED);
	ck_assert(result.nheard == 6 && !memcmp(result.heard, "+PENG!", 6));
	ck_assert(said(RST | ACK, 4, 6, 0) && chat.state == CHAT_OVER);
	end();
}
END_TEST

START_TEST(the_end_before_the_answer)
{
	begin(1);
	accept();
	ck_assert(hear(FIN | ACK, 0, 4, NULL, 0) == CHAT_BAD && result.fault == FAULT_CLOSED);
	end();
	begin(1);
	accept();
	ck_assert(hear(FIN | ACK, 0, 4, "+P", 2) == CHAT_BAD);
	ck_assert(result.fault == FAULT_UNEXPECTED && result.nheard == 2);
	end();
	begin(1);
	accept();
	hear_text(0, "+P");
	ck_assert(hear(RST, 1, 0, NULL, 0) == CHAT_GOES_ON); /* not what is due next */
	ck_assert(hear(RST, 3, 0, NULL, 0) == CHAT_GOES_ON);
	ck_assert(hear(RST, 2, 0, NULL, 0) == CHAT_BAD && result.fault == FAULT_UNEXPECTED);
	ck_assert(result.nheard == 2 && says.n == 0);
	end();
	begin(1);
	accept();
	ck_assert(hear(RST, 0, 0, NULL, 0) == CHAT_BAD && result.fault == FAULT_CLOSED);
	end();
}
END_TEST

START_TEST(a_server_that_hangs)
{
	unsigned times = 0;

	begin(1);
	accept();
	while (wait_due() == CHAT_GOES_ON)
		times++;
	ck_assert_uint_eq(times, 2); /* after 500 and 1500 ms */
	ck_assert(result.fault == FAULT_SILENT && said(RST | ACK, 4, 0, 0));
	ck_assert_uint_eq(now.ns - chat.began.ns, TIMEOUT_MS * LB_NS_PER_MS);
	end();
}
END_TEST

START_TEST(what_wasnt_said_isnt_acknowledged)
{
	begin(1);
	hear(SYN | ACK, (uint32_t)-1, 7, NULL, 0); /* left over: gets a RST, and the SYN again */
	ck_assert(says.n == 2 && says.segments[0].flags == RST && says.segments[1].flags == SYN);
	accept();
	ck_assert(hear(ACK, 0, 5, "+PONG", 5) == CHAT_GOES_ON && says.n == 0);
	ck_assert(hear(ACK, 0, (uint32_t)-2, "+PONG", 5) == CHAT_GOES_ON && says.n == 0);
	ck_assert(hear(0, 0, 4, "+PONG", 5) == CHAT_GOES_ON && says.n == 0);
	ck_assert(hear(ACK, 0, 4, "+PONG", 5) == CHAT_GOOD);
	end();
}
END_TEST

START_TEST(whoever_goes_on_and_on_is_reset)
{
	static char text[1000];
	uint32_t sent = 0;

	memset(text, '+', sizeof(text));
	script.where = SCRIPT_ANYWHERE;
	begin(1);
	script.where = SCRIPT_ANYWHERE;
	accept();
	while (hear(ACK, sent, 4, text, sizeof(text)) == CHAT_GOES_ON && sent < 1 << 20)
		sent += sizeof(text);
	ck_assert(result.end == CHAT_BAD && result.fault == FAULT_UNEXPECTED);
	ck_assert_uint_eq(result.nheard, SCRIPT_ANSWER_MAX);
	end();
	begin(1);
	accept();
	ck_assert(hear_text(0, "+PONG") == CHAT_GOOD);
	for (sent = 5; chat.state != CHAT_OVER && sent < 1 << 20; sent += sizeof(text)) {
		hear(ACK, sent, 5, text, sizeof(text));
		ck_assert(says.n == 1);
	}
	ck_assert_uint_le(sent, 20000);
	ck_assert(says.segments[0].flags == (RST | ACK));
	end();
}
END_TEST

START_TEST(icmp_is_believed_of_the_syn_that_was_sent)
{
	begin(0);
	ck_assert(chat_unreachable(&chat, &terms, ISN + 1).end == CHAT_GOES_ON);
	result = chat_unreachable(&chat, &terms, ISN);
	ck_assert(result.end == CHAT_BAD && result.fault == FAULT_UNREACHABLE);
	end();
	begin(0);
	accept();
	ck_assert(chat_unreachable(&chat, &terms, ISN).end == CHAT_GOES_ON);
	end();
}
END_TEST

/* ---- patterns ---- */

static const struct {
	const char *expect;
	enum script_where where;
	uint16_t low, high;
	const char *answer;
	enum answer more, whole; /* if more may come, and if not */
} patterns[] = {
        {"220", SCRIPT_PREFIX, 0, 0, "", ANSWER_UNCLEAR, ANSWER_WRONG},
        {"220", SCRIPT_PREFIX, 0, 0, "22", ANSWER_UNCLEAR, ANSWER_WRONG},
        {"220", SCRIPT_PREFIX, 0, 0, "220", ANSWER_RIGHT, ANSWER_RIGHT},
        {"220", SCRIPT_PREFIX, 0, 0, "221", ANSWER_WRONG, ANSWER_WRONG},
        {"220", SCRIPT_PREFIX, 0, 0, "1", ANSWER_WRONG, ANSWER_WRONG},
        {"H ", SCRIPT_PREFIX, 200, 399, "H ", ANSWER_UNCLEAR, ANSWER_WRONG},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 20", ANSWER_UNCLEAR, ANSWER_WRONG},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 200", ANSWER_UNCLEAR, ANSWER_RIGHT},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 200 ", ANSWER_RIGHT, ANSWER_RIGHT},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 399\r", ANSWER_RIGHT, ANSWER_RIGHT},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 400 ", ANSWER_WRONG, ANSWER_WRONG},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 199 ", ANSWER_WRONG, ANSWER_WRONG},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 00200 ", ANSWER_RIGHT, ANSWER_RIGHT},
        {"H ", SCRIPT_PREFIX, 200, 399, "H 4294967496 ", ANSWER_WRONG, ANSWER_WRONG},
        {"H ", SCRIPT_PREFIX, 0, 9, "H 000001 ", ANSWER_WRONG, ANSWER_WRONG},
        {"H ", SCRIPT_PREFIX, 0, 9, "H x", ANSWER_WRONG, ANSWER_WRONG},
        {"ab", SCRIPT_ANYWHERE, 0, 0, "aaab", ANSWER_RIGHT, ANSWER_RIGHT},
        {"ab", SCRIPT_ANYWHERE, 0, 0, "aaa", ANSWER_UNCLEAR, ANSWER_WRONG},
        {"ab", SCRIPT_ANYWHERE, 5, 6, "ab4 ab", ANSWER_UNCLEAR, ANSWER_WRONG},
        {"ab", SCRIPT_ANYWHERE, 5, 6, "ab4 ab5", ANSWER_UNCLEAR, ANSWER_RIGHT},
        {"ab", SCRIPT_ANYWHERE, 5, 6, "ab4 ab5.", ANSWER_RIGHT, ANSWER_RIGHT},
        {"", SCRIPT_LINE, 0, 0, "", ANSWER_UNCLEAR, ANSWER_WRONG},
        {"", SCRIPT_LINE, 0, 0, "up", ANSWER_UNCLEAR, ANSWER_RIGHT},
        {"", SCRIPT_LINE, 0, 0, "up\n", ANSWER_RIGHT, ANSWER_RIGHT},
        {"", SCRIPT_LINE, 0, 0, "\r", ANSWER_RIGHT, ANSWER_RIGHT},
};

/* Byte by byte it comes to the same as at once. */
static enum answer judge_in_pieces(const struct script *s, const char *answer, bool whole)
{
	const unsigned n = (unsigned)strlen(answer);
	enum answer ret = answer_judge(s, (const uint8_t *)answer, 0, 0, whole && !n);

	for (unsigned i = 0; i < n && ret == ANSWER_UNCLEAR; i++)
		ret = answer_judge(s, (const uint8_t *)answer, i + 1, i, whole && i + 1 == n);
	return ret;
}

START_TEST(a_pattern)
{
	const char *answer = patterns[_i].answer;
	const struct script s = {.expect = (uint8_t *)(uintptr_t)patterns[_i].expect,
	                         .mask = mask,
	                         .nexpect = (uint16_t)strlen(patterns[_i].expect),
	                         .low = patterns[_i].low,
	                         .high = patterns[_i].high,
	                         .where = (uint8_t)patterns[_i].where};
	const unsigned n = (unsigned)strlen(answer);

	ck_assert_int_eq(answer_judge(&s, (const uint8_t *)answer, n, 0, false), patterns[_i].more);
	ck_assert_int_eq(answer_judge(&s, (const uint8_t *)answer, n, 0, true), patterns[_i].whole);
	ck_assert_int_eq(judge_in_pieces(&s, answer, false), patterns[_i].more);
	ck_assert_int_eq(judge_in_pieces(&s, answer, true), patterns[_i].whole);
}
END_TEST

/* ---- faults ---- */

START_TEST(a_fault_is_one_line_of_printable_text)
{
	char text[FAULT_TEXT_BYTES], all[FAULT_HEARD_MAX];
	struct fault fault = {.port = be16_from(443), .check = "tls"};

	for (unsigned kind = FAULT_NONE; kind < NFAULTS; kind++)
		for (unsigned code = 0; code < 256; code++) {
			fault.kind = (uint8_t)kind;
			fault.icmp_code = (uint8_t)code;
			fault.ipv6 = code & 1;
			memset(all, (int)code, sizeof(all));
			fault_set_heard(&fault, (const uint8_t *)all, sizeof(all) + code);
			fault_text(&fault, text);
			ck_assert(!strncmp(text, "port 443 tls: ", 14) && text[14]);
			for (const char *at = text; *at; at++)
				ck_assert(*at >= ' ' && *at <= '~');
		}
	fault.kind = FAULT_UNEXPECTED;
	fault_set_heard(&fault, (const uint8_t *)"a\\\"\r\n\t\x7f", 7);
	ck_assert_str_eq(fault_why(&fault, text),
	                 "unexpected answer \"a\\x5c\\x22\\r\\n\\t\\x7f\"");
}
END_TEST

Suite *chat_suite(void)
{
	const TTest *const tests[] = {an_answer,
	                              what_is_lost_is_said_again,
	                              an_answer_without_an_acknowledgment_says_it_all_again,
	                              pieces_are_put_together,
	                              rooms_are_for_so_many,
	                              so_much_of_an_answer_is_looked_at,
	                              without_room_a_piece_has_to_be_said_again,
	                              another_answer,
	                              the_end_before_the_answer,
	                              a_server_that_hangs,
	                              what_wasnt_said_isnt_acknowledged,
	                              whoever_goes_on_and_on_is_reset,
	                              icmp_is_believed_of_the_syn_that_was_sent,
	                              a_fault_is_one_line_of_printable_text,
	                              NULL};
	Suite *suite = suite_of("chat", tests);
	TCase *tables = tcase_create("patterns");

	tcase_add_loop_test(tables, a_pattern, 0, sizeof(patterns) / sizeof(patterns[0]));
	suite_add_tcase(suite, tables);
	return suite;
}
