/*
 * Compares captures frame by frame, in pairs: bytes and both lengths.
 *
 *   pcapcmp [-t] [-o MAC] A.pcap B.pcap [A2.pcap B2.pcap]...
 *
 * With -o frames of B from that source address (six hex bytes with colons) don't count. With -t
 * also the times, to the microsecond. One that goes back in A counts as the latest before it, as a
 * clock doesn't go back; and once A has one that can't be (a fraction of a second or more, or
 * seconds that libpcap takes for negative), times aren't compared any more. Says at which frame a
 * pair parts, and exits with 1 in the end; else prints how many there are, a line for each pair.
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

static const char *difference(const struct capture *a, const struct capture *b, bool times)
{
	if (a->caplen != b->caplen || a->len != b->len)
		return "length";
	if (memcmp(a->data, b->data, a->caplen) != 0)
		return "content";
	if (times && a->is_time && a->latest_us != b->us)
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
static bool compare(struct capture *a, struct capture *b, bool times, const uint8_t *but)
{
	for (int n = 0;; n++) {
		bool has_a = capture_next(a), has_b = capture_next_but(b, but);
		const char *what = has_a == has_b ? NULL : "the number of frames";

		if (!has_a && !has_b) {
			printf("%d\n", n);
			return true;
		}
		what = what ? what : difference(a, b, times);
		if (what) {
			printf("%s and %s differ at frame %d: %s\n", a->path, b->path, n + 1, what);
			return false;
		}
	}
}

int main(int argc, char **argv)
{
	static struct capture a, b;
	bool times = false, same = true;
	uint8_t mac[6], *but = NULL;
	int c;

	while ((c = getopt(argc, argv, "to:")) != -1) {
		if (c == 't')
			times = true;
		else if (c == 'o' && sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0],
		                            &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6)
			but = mac;
		else
			return 2;
	}
	if (argc == optind || (argc - optind) % 2)
		die("usage", "pcapcmp [-t] [-o MAC] A.pcap B.pcap [A2.pcap B2.pcap]...");
	for (; optind < argc; optind += 2) {
		capture_open(&a, argv[optind]);
		capture_open(&b, argv[optind + 1]);
		same &= compare(&a, &b, times, but);
	}
	return same ? 0 : 1;
}
