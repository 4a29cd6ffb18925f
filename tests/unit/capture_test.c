/*
 * Capture files as a port: times, cut frames, damage, and checksums yet to be completed.
 */
#include "frames.h"
#include "suites.h"

#include "../../bridge/port/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char in[] = "/tmp/capture_test.XXXXXX", out[] = "/tmp/capture_test.XXXXXX";
static struct port *port;

static void setup(void)
{
	close(mkstemp(in));
	close(mkstemp(out));
}

static void teardown(void)
{
	unlink(in);
	unlink(out);
}

/* The file of path being written, with times in nanoseconds or not. */
struct writer {
	pcap_t *pcap;
	pcap_dumper_t *dumper;
};

static struct writer write_to(const char *path, int link, bool nano)
{
	struct writer writer = {
	        .pcap = pcap_open_dead_with_tstamp_precision(link, 65535,
	                                                     nano ? PCAP_TSTAMP_PRECISION_NANO
	                                                          : PCAP_TSTAMP_PRECISION_MICRO)};

	writer.dumper = pcap_dump_open(writer.pcap, path);
	return writer;
}

static void add(struct writer *writer, long s, long fraction, const struct built *built)
{
	struct pcap_pkthdr header = {.ts = {.tv_sec = s, .tv_usec = fraction},
	                             .caplen = built->frame.len,
	                             .len = built->frame.wire_len};

	pcap_dump((uint8_t *)writer->dumper, &header, built->frame.data);
}

static void done(struct writer *writer)
{
	pcap_dump_close(writer->dumper);
	pcap_close(writer->pcap);
}

static void build(struct built *built, uint16_t payload, bool partial)
{
	struct spec spec = {.dst = mac_of(1),
	                    .src = mac_of(9),
	                    .from = ip4(10, 9, 0, 1),
	                    .to = ip4(10, 0, 0, 40),
	                    .sport = 40000,
	                    .dport = 443,
	                    .flags = 0x10,
	                    .payload = payload,
	                    .partial = partial};

	frames_tcp(built, &spec);
}

static void open_in(enum side side)
{
	ck_assert_int_eq(capture_open(side, in, NULL, mac_of(1), &port), 0);
}

static struct frame receive(void)
{
	struct frame frames[PORT_BURST];

	ck_assert_uint_eq(port->ops->receive(port, frames), 1);
	return frames[0];
}

static bool is_partial(const struct built *built)
{
	struct writer writer = write_to(in, DLT_EN10MB, false);
	struct frame frame;

	add(&writer, 1, 0, built);
	done(&writer);
	open_in(OUTSIDE);
	frame = receive();
	ck_assert_uint_eq(frame.len, built->frame.len);
	ck_assert_mem_eq(frame.data, built->frame.data, frame.len);
	ck_assert_int_eq(capture_close(port), 0);
	return frame.flags & FRAME_CSUM_PARTIAL;
}

START_TEST(partial_checksums_are_known)
{
	struct built built;

	for (uint16_t payload = 0; payload < 200; payload += 7) {
		build(&built, payload, true);
		ck_assert(is_partial(&built));
		build(&built, payload, false);
		ck_assert(!is_partial(&built));
		/* damaged: neither */
		built.frame.data[built.l4 + 17] ^= 1;
		ck_assert(!is_partial(&built));
	}
}
END_TEST

START_TEST(partial_only_where_it_can_be_told)
{
	struct built built;

	build(&built, 100, true);
	built.frame.len -= 10; /* cut: its checksum can't be verified */
	ck_assert(!is_partial(&built));
	build(&built, 100, true);
	frames_put16(built.frame.data + built.l3 + 6, 0x2000); /* the first fragment */
	ck_assert(!is_partial(&built));
	build(&built, 100, true);
	built.frame.data[built.l3 + 9] = 17; /* UDP */
	ck_assert(!is_partial(&built));
	for (uint32_t len = 0; len < 60; len++) {
		build(&built, 100, true);
		built.frame.len = built.frame.wire_len = len;
		ck_assert(!is_partial(&built));
	}
}
END_TEST

START_TEST(times_in_micro_and_nanoseconds)
{
	for (unsigned nano = 0; nano < 2; nano++) {
		struct writer writer = write_to(in, DLT_EN10MB, nano);
		struct built built;
		lb_time time = {0};

		build(&built, 5, false);
		add(&writer, 1700000000, nano ? 123456789 : 123456, &built);
		add(&writer, 1700000001, 0, &built);
		done(&writer);
		open_in(INSIDE);
		ck_assert(capture_next(port, &time));
		ck_assert(time.ns == 1700000000ull * 1000000000 + (nano ? 123456789 : 123456000));
		ck_assert(capture_next(port, &time)); /* asking takes nothing */
		ck_assert(time.ns == 1700000000ull * 1000000000 + (nano ? 123456789 : 123456000));
		receive();
		ck_assert(capture_next(port, &time));
		ck_assert(time.ns == 1700000001ull * 1000000000);
		receive();
		ck_assert(!capture_next(port, &time));
		ck_assert_uint_eq(port->counts.received, 2);
		ck_assert_int_eq(capture_close(port), 0);
	}
}
END_TEST

START_TEST(cut_frames_know_their_length)
{
	struct writer writer = write_to(in, DLT_EN10MB, false);
	struct built built;
	struct frame frame;

	build(&built, 1000, false);
	built.frame.len = 60;
	add(&writer, 1, 0, &built);
	done(&writer);
	open_in(INSIDE);
	frame = receive();
	ck_assert_uint_eq(frame.len, 60);
	ck_assert_uint_eq(frame.wire_len, built.frame.wire_len);
	ck_assert_uint_eq(frame.side, INSIDE);
	ck_assert_uint_eq(frame.headroom, FRAME_HEADROOM);
	memset(frame.data - frame.headroom, 0, frame.headroom); /* it is there */
	ck_assert_int_eq(capture_close(port), 0);
}
END_TEST

/* The file's size; and byte at of it becomes value. */
static void damage(long at, uint8_t value)
{
	FILE *file = fopen(in, "r+");

	ck_assert_int_eq(fseek(file, at, SEEK_SET), 0);
	ck_assert_int_ne(fputc(value, file), EOF);
	fclose(file);
}

/* What capture_next() and receive() say on stderr until the file ends; *ret_n frames come. */
static const char *read_saying(unsigned *ret_n)
{
	static char text[2048];
	int terminal = dup(STDERR_FILENO);
	struct frame frames[PORT_BURST];
	FILE *file = tmpfile();

	dup2(fileno(file), STDERR_FILENO);
	for (*ret_n = 0; port->ops->receive(port, frames) == 1;)
		++*ret_n;
	for (unsigned i = 0; i < 5; i++) /* as often as somebody asks */
		ck_assert_uint_eq(port->ops->receive(port, frames), 0);
	dup2(terminal, STDERR_FILENO);
	close(terminal);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

/* The second of four records has a length that no record has: what follows isn't looked for. */
START_TEST(a_damaged_record_ends_the_file)
{
	struct writer writer = write_to(in, DLT_EN10MB, false);
	char expected[256];
	struct built built;
	const char *said;
	unsigned n;

	build(&built, 100, false);
	for (unsigned i = 0; i < 4; i++)
		add(&writer, i, 0, &built);
	done(&writer);
	damage(24 + 16 + (long)built.frame.len + 8 + 3, 0x7f);
	open_in(INSIDE);
	said = read_saying(&n);
	ck_assert_uint_eq(n, 1);
	snprintf(expected, sizeof(expected), "tmbridge: %s: damaged at frame 2: ", in);
	ck_assert_msg(!strncmp(said, expected, strlen(expected)), "%s", said);
	ck_assert_msg(strstr(said, ": the capture ends before it\n") &&
	                      strchr(said, '\n') == said + strlen(said) - 1,
	              "%s", said);
	ck_assert_int_eq(capture_close(port), 0);
}
END_TEST

/* Up to the damage, and then no more. */
START_TEST(damaged_file)
{
	struct writer writer = write_to(in, DLT_EN10MB, false);
	struct frame frames[PORT_BURST];
	struct built built;
	lb_time time;

	build(&built, 100, false);
	for (unsigned i = 0; i < 3; i++)
		add(&writer, i, 0, &built);
	done(&writer);
	ck_assert_int_eq(truncate(in, 24 + 3 * (16 + built.frame.len) - 20), 0);
	open_in(OUTSIDE);
	receive();
	receive();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!capture_next(port, &time));
		ck_assert_uint_eq(port->ops->receive(port, frames), 0);
	}
	ck_assert_int_eq(capture_close(port), 0);
}
END_TEST

START_TEST(what_is_sent_is_written)
{
	const lb_time now = {1700000000ull * 1000000000 + 999999999};
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	struct built built;
	const uint8_t *bytes;
	lb_time time;
	pcap_t *pcap;

	ck_assert_int_eq(capture_open(OUTSIDE, NULL, out, mac_of(1), &port), 0);
	ck_assert(!capture_next(port, &time));
	build(&built, 50, false);
	built.frame.wire_len += 11;
	for (unsigned i = 0; i < PORT_BURST + 3; i++)
		port_queue(port, &built.frame, now);
	ck_assert_uint_eq(port->counts.sent, PORT_BURST);
	port_flush(port, now);
	ck_assert_uint_eq(port->counts.sent, PORT_BURST + 3);
	ck_assert_int_eq(capture_close(port), 0);
	pcap = pcap_open_offline_with_tstamp_precision(out, PCAP_TSTAMP_PRECISION_NANO, error);
	for (unsigned i = 0; i < PORT_BURST + 3; i++) {
		ck_assert_int_eq(pcap_next_ex(pcap, &header, &bytes), 1);
		ck_assert_uint_eq(header->caplen, built.frame.len);
		ck_assert_uint_eq(header->len, built.frame.wire_len);
		ck_assert_int_eq(header->ts.tv_sec, 1700000000);
		ck_assert_int_eq(header->ts.tv_usec, 999999999);
		ck_assert_mem_eq(bytes, built.frame.data, built.frame.len);
	}
	ck_assert_int_eq(pcap_next_ex(pcap, &header, &bytes), PCAP_ERROR_BREAK);
	pcap_close(pcap);
}
END_TEST

START_TEST(files_that_will_not_do)
{
	struct writer writer = write_to(in, DLT_RAW, false);
	FILE *file;

	done(&writer);
	ck_assert_int_lt(capture_open(OUTSIDE, in, NULL, mac_of(1), &port), 0);
	ck_assert_int_lt(capture_open(OUTSIDE, "/tmp/no such file", NULL, mac_of(1), &port), 0);
	ck_assert_int_lt(capture_open(OUTSIDE, NULL, "/nowhere/at all", mac_of(1), &port), 0);
	file = fopen(in, "w");
	fputs("this is no capture, but text that is long enough for a header", file);
	fclose(file);
	ck_assert_int_lt(capture_open(OUTSIDE, in, NULL, mac_of(1), &port), 0);
}
END_TEST

START_TEST(full_disk_is_told)
{
	struct built built;

	ck_assert_int_eq(capture_open(OUTSIDE, NULL, "/dev/full", mac_of(1), &port), 0);
	build(&built, 50, false);
	port_queue(port, &built.frame, (lb_time){0});
	port_flush(port, (lb_time){0});
	ck_assert_int_eq(capture_close(port), -EIO);
}
END_TEST

Suite *capture_suite(void)
{
	const TTest *const tests[] = {partial_checksums_are_known,
	                              partial_only_where_it_can_be_told,
	                              times_in_micro_and_nanoseconds,
	                              cut_frames_know_their_length,
	                              damaged_file,
	                              a_damaged_record_ends_the_file,
	                              what_is_sent_is_written,
	                              files_that_will_not_do,
	                              full_disk_is_told,
	                              NULL};
	Suite *suite = suite_create("capture");
	TCase *tcase = tcase_create("capture");

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (unsigned i = 0; tests[i]; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return suite;
}
