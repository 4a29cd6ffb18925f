/*
 * capture: what the running process copies of frames, as a pcapng file (draft-ietf-opsawg-pcapng).
 *
 * The filter is compiled here, by libpcap, and so is the file written here, by whoever asks. It has
 * four interfaces, each side's frames as they come and as they leave; a comment on each packet says
 * what became of it.
 */
#include "show.h"

#include "pack.h"

#include "../operator/request.h"
#include "../process/clock.h"
#include "../process/log.h"
#include "../process/quantity.h"
#include "../../cfg/nearest.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	NG_SECTION = 0x0a0d0d0a,
	NG_INTERFACE = 1,
	NG_PACKET = 6,
	NG_MAGIC = 0x1a2b3c4d,
	NG_IF_NAME = 2,
	NG_IF_TSRESOL = 9,
	NG_COMMENT = 1,
	NG_BYTES = 8192,
	CAPTURE_SNAP = 1600, /* bytes of a frame that a record has at most: TAP_BYTES there */
	CAPTURE_WORDS_MAX = REQUEST_WORDS - 8, /* of a filter, besides the request's others */
	CAPTURE_INSN_BYTES = 16,               /* of an instruction in a request, hexadecimal */
};

struct capture {
	const char *path;      /* - is stdout */
	const char *directory; /* --bundle: for all that a replay takes; or NULL */
	bool both, has_dropped;
	const char *dropped; /* a reason */
	uint64_t count;      /* 0: any */
	uint64_t ms;         /* 0: until it is ended */
	char filter[CLI_LINE_BYTES];
	FILE *out;
	struct pack *pack; /* of directory, or NULL */
	uint64_t n;        /* packets so far, and those that were lost */
	json_int_t lost;
};

/* ---- pcapng ---- */

struct block {
	uint8_t bytes[NG_BYTES];
	uint32_t len;
};

static void add(struct block *block, const void *bytes, size_t n)
{
	const uint32_t whole = (uint32_t)(n + 3) / 4 * 4;

	if (block->len + whole > sizeof(block->bytes) - 16)
		return;
	memset(block->bytes + block->len, 0, whole);
	memcpy(block->bytes + block->len, bytes, n);
	block->len += whole;
}

static void add32(struct block *block, uint32_t word)
{
	add(block, &word, sizeof(word));
}

static void add_option(struct block *block, uint16_t code, const void *value, uint16_t n)
{
	const uint16_t head[2] = {code, n};

	add(block, head, sizeof(head));
	add(block, value, n);
}

static void write_block(FILE *out, uint32_t type, const struct block *block)
{
	const uint32_t len = block->len + 12;

	fwrite(&type, sizeof(type), 1, out);
	fwrite(&len, sizeof(len), 1, out);
	fwrite(block->bytes, block->len, 1, out);
	fwrite(&len, sizeof(len), 1, out);
}

static void write_head(FILE *out)
{
	static const char *const names[] = {"outside-in", "outside-out", "inside-in", "inside-out"};
	struct block section = {.len = 0};
	const uint16_t version[2] = {1, 0};
	const uint8_t nanoseconds = 9;

	add32(&section, NG_MAGIC);
	add(&section, version, sizeof(version));
	add32(&section, UINT32_MAX); /* the length is not said */
	add32(&section, UINT32_MAX);
	write_block(out, NG_SECTION, &section);
	for (unsigned i = 0; i < 4; i++) {
		struct block interface = {.len = 0};
		const uint16_t link[2] = {DLT_EN10MB, 0};

		add(&interface, link, sizeof(link));
		add32(&interface, CAPTURE_SNAP);
		add_option(&interface, NG_IF_NAME, names[i], (uint16_t)strlen(names[i]));
		add_option(&interface, NG_IF_TSRESOL, &nanoseconds, 1);
		add_option(&interface, 0, "", 0);
		write_block(out, NG_INTERFACE, &interface);
	}
}

static uint32_t from_hex(const char *hex, uint8_t *ret)
{
	uint32_t n = 0;
	unsigned byte;

	while (n < CAPTURE_SNAP && sscanf(hex + 2 * n, "%2x", &byte) == 1)
		ret[n++] = (uint8_t)byte;
	return n;
}

static const char *text(const json_t *record, const char *member)
{
	const char *value = json_string_value(json_object_get(record, member));

	return value ? value : "";
}

static void comment_on(const json_t *record, char *ret, size_t size)
{
	const json_t *flow = json_object_get(record, "flow");
	int len = snprintf(ret, size, "%s", text(record, "reason"));

	if (*text(record, "own")) {
		snprintf(ret, size, "own: %s", text(record, "own"));
		return;
	}
	if (flow)
		len += snprintf(ret + len, size - (size_t)len, ", flow %" PRIi64,
		                (int64_t)json_integer_value(flow));
	if (*text(record, "server"))
		snprintf(ret + len, size - (size_t)len, ", server %s", text(record, "server"));
}

static void write_packet(FILE *out, const json_t *record)
{
	const uint64_t ns = (uint64_t)json_integer_value(json_object_get(record, "time_ns"));
	const bool inside = !strcmp(text(record, "side"), "inside");
	const bool left = json_is_true(json_object_get(record, "out"));
	uint8_t bytes[CAPTURE_SNAP];
	const uint32_t n = from_hex(text(record, "data"), bytes);
	struct block block = {.len = 0};
	char comment[200];

	comment_on(record, comment, sizeof(comment));
	add32(&block, 2u * inside + left);
	add32(&block, (uint32_t)(ns >> 32));
	add32(&block, (uint32_t)ns);
	add32(&block, n);
	add32(&block, (uint32_t)json_integer_value(json_object_get(record, "len")));
	add(&block, bytes, n);
	add_option(&block, NG_COMMENT, comment, (uint16_t)strlen(comment));
	add_option(&block, 0, "", 0);
	write_block(out, NG_PACKET, &block);
}

static void take_packet(struct capture *capture, const json_t *record)
{
	uint8_t bytes[CAPTURE_SNAP];

	write_packet(capture->out, record);
	if (capture->pack)
		pack_frame(capture->pack, record, bytes, from_hex(text(record, "data"), bytes));
}

/* ---- What is asked ---- */

static int complain(const char *what)
{
	log_error("capture: %s", what);
	return ASK_USAGE;
}

/* Options with a value, and those without. */
static const char *const valued[] = {"-c", "-t", "-w", "--bundle"};
static const char *const flags[] = {"--both", "--dropped"};

enum { NVALUED = sizeof(valued) / sizeof(valued[0]), NFLAGS = sizeof(flags) / sizeof(flags[0]) };

/* Returns the exit status, if the value is none for that option with what is wrong logged. */
static int take_value(struct capture *capture, const char *option, const char *value)
{
	char why[QUANTITY_WHY_BYTES];
	bool is = true;

	if (option[1] == '-')
		capture->directory = value;
	else if (option[1] == 'c')
		is = quantity_parse(QUANTITY_PACKETS, value, &capture->count, why);
	else if (option[1] == 't')
		is = quantity_parse(QUANTITY_SECONDS, value, &capture->ms, why);
	else
		capture->path = value;
	return is ? 0 : complain(why);
}

/* The option of these that words[*i] is, with its value in the same word (-c5, --bundle=DIRECTORY)
 * or the next one, to which *i is moved; or NULL. Without a value *ret_value is NULL. */
static const char *find_valued(const struct cli *cli, unsigned *i, const char **ret_value)
{
	const char *word = cli->words[*i];

	for (unsigned k = 0; k < NVALUED; k++) {
		const size_t len = strlen(valued[k]);

		if (strncmp(word, valued[k], len) || (len > 2 && word[len] && word[len] != '='))
			continue;
		*ret_value = word[len] ? word + len + (word[len] == '=') : NULL;
		if (!word[len] && *i + 1 < cli->nwords)
			*ret_value = cli->words[++*i];
		return valued[k];
	}
	return NULL;
}

static bool take_flag(struct capture *capture, const char *word)
{
	if (!strcmp(word, "--both"))
		capture->both = true;
	else if (!strcmp(word, "--dropped"))
		capture->has_dropped = true;
	else if (!strncmp(word, "--dropped=", 10))
		capture->dropped = word + 10;
	else
		return false;
	return true;
}

static int refuse_option(const char *word)
{
	struct nearest nearest = {.word = word};

	for (unsigned k = 0; k < NVALUED; k++)
		nearest_offer(&nearest, valued[k]);
	for (unsigned k = 0; k < NFLAGS; k++)
		nearest_offer(&nearest, flags[k]);
	if (nearest_best(&nearest))
		log_error("capture: %s: no such option (did you mean %s?)", word,
		          nearest_best(&nearest));
	else
		log_error("capture: %s: no such option", word);
	return ASK_USAGE;
}

static int parse(struct capture *capture, const struct cli *cli)
{
	for (unsigned i = 1; i < cli->nwords; i++) {
		const char *word = cli->words[i], *value = NULL;
		const char *option = find_valued(cli, &i, &value);
		const size_t len = strlen(capture->filter);

		if (option && !value)
			return complain("-c N, -t SECONDS, -w FILE, --bundle DIRECTORY");
		if (option && take_value(capture, option, value))
			return ASK_USAGE;
		if (option || take_flag(capture, word))
			continue;
		if (!strncmp(word, "--", 2))
			return refuse_option(word);
		snprintf(capture->filter + len, sizeof(capture->filter) - len, "%s%s",
		         len ? " " : "", word);
	}
	return 0;
}

/* If the running one can have it in its log: words of one line, and not too many. */
static bool can_be_said(const char *filter)
{
	unsigned words = 1;
	bool is_plain = true;

	for (const char *c = filter; *c; c++) {
		words += *c == ' ';
		is_plain &= *c >= ' ' && *c <= '~';
	}
	return is_plain && words <= CAPTURE_WORDS_MAX;
}

/* Appends the instructions, behind what they are made of if there is room for that. */
static int say_program(const struct capture *capture, const struct bpf_program *program,
                       char *request, size_t size)
{
	static const char option[] = " --bpf=";
	const size_t bytes = sizeof(option) - 1 + (size_t)program->bf_len * CAPTURE_INSN_BYTES;
	const size_t said = strlen(capture->filter) + 1;
	size_t len = strlen(request);

	if (len + bytes >= size)
		return complain("the filter is too long");
	if (len + said + bytes < size && can_be_said(capture->filter))
		len += (size_t)sprintf(request + len, " %s", capture->filter);
	len += (size_t)sprintf(request + len, "%s", option);
	for (unsigned i = 0; i < program->bf_len; i++) {
		const struct bpf_insn *insn = &program->bf_insns[i];

		len += (size_t)sprintf(request + len, "%04x%02x%02x%08x", insn->code, insn->jt,
		                       insn->jf, insn->k);
	}
	return 0;
}

static int compile(const struct capture *capture, char *request, size_t size)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, CAPTURE_SNAP);
	struct bpf_program program;
	int status;

	if (!pcap || pcap_compile(pcap, &program, capture->filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		log_error("capture: %s: %s", capture->filter,
		          pcap ? pcap_geterr(pcap) : "no memory");
		if (pcap)
			pcap_close(pcap);
		return ASK_USAGE;
	}
	status = say_program(capture, &program, request, size);
	pcap_freecode(&program);
	pcap_close(pcap);
	return status;
}

/* Waits for a record, up to that time; false if it is over. */
static bool await(struct ask *ask, lb_time end)
{
	struct pollfd fd = {.fd = ask_fd(ask), .events = POLLIN};
	lb_time now;

	if (end.ns == 0 || ask_has_line(ask))
		return true;
	now = clock_now();
	return end.ns > now.ns && poll(&fd, 1, (int)((end.ns - now.ns) / LB_NS_PER_MS) + 1) > 0;
}

static lb_time end_of(const struct capture *capture)
{
	if (!capture->ms)
		return (lb_time){0};
	return (lb_time){clock_now().ns + capture->ms * LB_NS_PER_MS};
}

static void take(struct capture *capture, const json_t *record)
{
	capture->lost += json_integer_value(json_object_get(record, "lost"));
	if (json_object_get(record, "capture"))
		write_head(capture->out);
	else if (json_object_get(record, "bundle"))
		pack_line(capture->pack, text(record, "bundle"));
	else if (json_object_get(record, "data")) {
		take_packet(capture, record);
		capture->n++;
	}
}

/* Packets come behind it, however many flows a bundle begins with: -t is the time for them. */
static bool is_beginning(const json_t *record)
{
	return json_object_get(record, "capture") || json_object_get(record, "bundle");
}

/* Has all packets so far in their files, as a signal may end this process at any time. Returns 0 or
 * a negative errno. */
static int flush(const struct capture *capture)
{
	return fflush(capture->out) == EOF ? -errno : pack_error(capture->pack);
}

/* What there was; and where there was nothing, why that may be. */
static void say_sum(const struct capture *capture)
{
	log_info("%" PRIu64 " packet%s, %" PRIi64 " lost", capture->n, capture->n == 1 ? "" : "s",
	         (int64_t)capture->lost);
	if (!capture->n && *capture->filter && !strstr(capture->filter, "vlan"))
		log_info("in VLANs a filter begins with vlan: vlan and (%s)", capture->filter);
}

/* Takes records until there are as many as asked for, the time is over, or a file is full. Returns
 * the exit status. */
static int receive(struct capture *capture, struct ask *ask)
{
	lb_time end = {0};
	json_t *record;
	int status = 0, err = 0;

	while (!err && (!capture->count || capture->n < capture->count) && await(ask, end) &&
	       (record = ask_next(ask, &status))) {
		take(capture, record);
		if (is_beginning(record))
			end = end_of(capture);
		json_decref(record);
		err = flush(capture);
	}
	if (!status)
		say_sum(capture);
	if (!err)
		return status;
	log_error("%s: %s", capture->directory ? capture->directory : capture->path,
	          strerror(-err));
	return ASK_FAILED;
}

/* The words for the running one. */
static int make_request(const struct capture *capture, char *request, size_t size)
{
	snprintf(request, size, "capture%s%s%s", capture->directory ? " --bundle" : "",
	         capture->both ? " --both" : "", capture->has_dropped ? " --dropped" : "");
	if (capture->dropped)
		snprintf(request + strlen(request), size - strlen(request), " --dropped=%.64s",
		         capture->dropped);
	return *capture->filter ? compile(capture, request, size) : 0;
}

/* What is written to. */
static bool open_files(struct capture *capture)
{
	static char path[4096];

	if (capture->directory) {
		capture->pack = pack_open(capture->directory, CAPTURE_SNAP);
		if (!capture->pack)
			return false;
		snprintf(path, sizeof(path), "%s/capture.pcapng", capture->directory);
		capture->path = path;
	}
	capture->out = strcmp(capture->path, "-") ? fopen(capture->path, "w") : stdout;
	if (!capture->out)
		log_error("%s: %m", capture->path);
	return capture->out;
}

static bool close_files(struct capture *capture)
{
	bool good = true;

	if (capture->out)
		good = (capture->out == stdout ? fflush(stdout) : fclose(capture->out)) == 0;
	return pack_close(capture->pack) && good;
}

int run_capture(const struct cli *cli, const char *line)
{
	struct capture capture = {.path = "-"};
	char request[CLI_LINE_BYTES];
	struct ask *ask = NULL;
	int status = parse(&capture, cli);

	(void)line;
	if (!status && !capture.directory && !strcmp(capture.path, "-") && isatty(STDOUT_FILENO))
		status = complain("-w FILE, or stdout to a program: not to a terminal");
	if (!status)
		status = make_request(&capture, request, sizeof(request));
	if (!status)
		status = ask_open(cli->instance, true, &ask);
	if (status)
		return status;
	status = open_files(&capture) && ask_send(ask, request) ? receive(&capture, ask)
	                                                        : ASK_FAILED;
	ask_close(ask);
	return close_files(&capture) ? status : ASK_FAILED;
}
