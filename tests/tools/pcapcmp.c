/*
 * Compares captures frame by frame, in pairs: bytes and both lengths.
 *
 *   pcapcmp [-pt] [-o MAC] A.pcap B.pcap [A2.pcap B2.pcap]...
 *
 * With -o frames of B from that source address (six hex bytes with colons) don't count. With -t
 * also the times, to the microsecond. One that goes back in A counts as the latest before it, as a
 * clock doesn't go back; and once A has one that can't be (a fraction of a second or more, or
 * seconds that libpcap takes for negative), times aren't compared any more. With -p a TCP checksum
 * of A's that is the pseudo header's sum only, as a frame has it that whoever sends it is to
 * complete, is as good as the complete one of B's: one of 65,536 is both, and a capture doesn't say
 * which. Says at which frame a pair parts, and exits with 1 in the end; else prints how many there
 * are, a line for each pair.
 *
 * It reads the classic format in this machine's byte order, as tcpdump -w writes it, and by design
 * without libpcap.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du
#define US_PER_S 1000000ull

enum { FRAME_BYTES = 1 << 18, NS_PER_US = 1000 };

struct capture {
	const char *path;
	FILE *file;
	uint32_t units_per_us;
	uint64_t us, latest_us;
	bool is_time; /* so far */
	uint32_t caplen, len;
	uint8_t data[FRAME_BYTES];
};

static void die(const char *path, const char *what)
{
	fprintf(stderr, "pcapcmp: %s: %s\n", path, what);
	exit(2);
}

static void capture_open(struct capture *c, const char *path)
{
	uint32_t head[6];

	if (c->file)
		fclose(c->file);
	c->path = path;
	c->file = fopen(path, "r");
	if (!c->file)
		die(path, strerror(errno));
	if (fread(head, sizeof(head), 1, c->file) != 1)
		die(path, "too short");
	if (head[0] != MAGIC_US && head[0] != MAGIC_NS)
		die(path, "not a format that this reads");
	c->units_per_us = head[0] == MAGIC_US ? 1 : NS_PER_US;
	c->is_time = true;
	c->latest_us = 0;
}

static bool capture_next(struct capture *c)
{
	uint32_t head[4]; /* seconds, fraction, captured length, length */

	if (fread(head, sizeof(head), 1, c->file) != 1)
		return false;
	if (head[2] > FRAME_BYTES || fread(c->data, 1, head[2], c->file) != head[2])
		die(c->path, "damaged");
	c->us = head[0] * US_PER_S + head[1] / c->units_per_us;
	c->latest_us = c->us > c->latest_us ? c->us : c->latest_us;
	c->is_time = c->is_time && head[0] <= INT32_MAX && head[1] / c->units_per_us < US_PER_S;
	c->caplen = head[2];
	c->len = head[3];
	return true;
}

/* ---- Checksums that are to be completed ---- */

struct segment {
	const uint8_t *addresses, *tcp;
	uint32_t address_bytes, len;
};

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Finds the TCP segment of a frame that is there as a whole; false if it has none. */
static bool find_segment(const struct capture *c, struct segment *ret)
{
	const uint8_t *at = c->data + 12, *ip;

	if (c->caplen != c->len || c->len < 14 + 20 + 20)
		return false;
	while (at < c->data + 20 && (be16(at) == 0x8100 || be16(at) == 0x88a8))
		at += 4;
	ip = at + 2;
	if (be16(at) == 0x0800 && ip[9] == 6 && !(be16(ip + 6) & 0x3fff))
		*ret = (struct segment){ip + 12, ip + (ip[0] & 15) * 4, 8,
		                        be16(ip + 2) - (ip[0] & 15u) * 4};
	else if (be16(at) == 0x86dd && ip[6] == 6)
		*ret = (struct segment){ip + 8, ip + 40, 32, be16(ip + 4)};
	else
		return false;
	return ret->len >= 20 && ret->tcp + ret->len <= c->data + c->len;
}

/* If the checksum of a is to be completed, that of b is complete, and all else is the same. */
static bool differ_by_completion(const struct capture *a, const struct capture *b)
{
	struct segment of_a, of_b;
	uint32_t pseudo, field;

	if (!find_segment(a, &of_a) || !find_segment(b, &of_b))
		return false;
	pseudo = fold(add(6 + of_a.len, of_a.addresses, of_a.address_bytes));
	field = (uint32_t)(of_a.tcp - a->data) + 16;
	return memcmp(a->data, b->data, field) == 0 &&
	       memcmp(a->data + field + 2, b->data + field + 2, a->caplen - field - 2) == 0 &&
	       be16(a->data + field) == pseudo && fold(add(pseudo, of_b.tcp, of_b.len)) == 0xffff;
}

/* ---- Frames ---- */

struct options {
	bool times, completes;
	const uint8_t *but; /* a source address, or NULL */
};

static const char *difference(const struct capture *a, const struct capture *b,
                              const struct options *options)
{
	if (a->caplen != b->caplen || a->len != b->len)
		return "length";
	if (memcmp(a->data, b->data, a->caplen) != 0 &&
	    !(options->completes && differ_by_completion(a, b)))
		return "content";
	if (options->times && a->is_time && a->latest_us != b->us)
		return "time";
	return NULL;
}

/* The same, but for frames from that source address. */
static bool capture_next_but(struct capture *c, const uint8_t *mac)
{
	bool ret;

	do
		ret = capture_next(c);
	while (ret && mac && c->caplen >= 12 && memcmp(c->data + 6, mac, 6) == 0);
	return ret;
}

/* Says how many frames they have in common, or where they differ. */
static bool compare(struct capture *a, struct capture *b, const struct options *options)
{
	for (int n = 0;; n++) {
		bool has_a = capture_next(a), has_b = capture_next_but(b, options->but);
		const char *what = has_a == has_b ? NULL : "the number of frames";

		if (!has_a && !has_b) {
			printf("%d\n", n);
			return true;
		}
		what = what ? what : difference(a, b, options);
		if (what) {
			printf("%s and %s differ at frame %d: %s\n", a->path, b->path, n + 1, what);
			return false;
		}
	}
}

int main(int argc, char **argv)
{
	static struct capture a, b;
	struct options options = {.but = NULL};
	bool same = true;
	uint8_t mac[6];
	int c;

	while ((c = getopt(argc, argv, "pto:")) != -1) {
		if (c == 't')
			options.times = true;
		else if (c == 'p')
			options.completes = true;
		else if (c == 'o' && sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0],
		                            &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6)
			options.but = mac;
		else
			return 2;
	}
	if (argc == optind || (argc - optind) % 2)
		die("usage", "pcapcmp [-pt] [-o MAC] A.pcap B.pcap [A2.pcap B2.pcap]...");
	for (; optind < argc; optind += 2) {
		capture_open(&a, argv[optind]);
		capture_open(&b, argv[optind + 1]);
		same &= compare(&a, &b, &options);
	}
	return same ? 0 : 1;
}
