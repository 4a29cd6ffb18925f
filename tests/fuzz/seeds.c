/*
 * Seeds for the fuzzers: seeds FRAME_DIR SEQUENCE_DIR CAPTURE...
 *
 * From each capture its first frames, as inputs of the frame fuzzer and, together, as one of the
 * sequence fuzzer. Their addresses become those of the fuzzers' engine wherever they stand: the
 * receiver of the first IP packet is the VIP, its sender a client, others are servers; so do the
 * ports of TCP, the lower one being the service. Then the checksums that were right are right
 * again. And from nothing: the frames that can follow in the flows that the engine begins with.
 */
#include "engine.h"
#include "packets.h"
#include "steps.h"

#include <pcap/pcap.h>
#include <stdio.h>

enum { FRAMES = 16, FRAME_MAX = 1500, PEERS = 16, SEQUENCE_MAX = 8192 };

/* An address of the capture, and the last byte of what it becomes. */
struct peer {
	struct ip6 ip; /* or, in its first four bytes, an IPv4 address */
	bool ipv6;
	uint8_t last;
};

struct peers {
	struct peer peer[PEERS];
	unsigned n;
};

static struct sequence {
	uint8_t bytes[SEQUENCE_MAX];
	uint32_t len;
} sequence;

static void write_file(const char *dir, unsigned n, const char *what, const uint8_t *p,
                       uint32_t len)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s-%u", dir, what, n);
	file = fopen(path, "w");
	if (!file || fwrite(p, 1, len, file) != len || fclose(file)) {
		perror(path);
		exit(1);
	}
}

/* As an input of the frame fuzzer, and a step of the sequence. */
static void put_frame(const char *dir, unsigned n, const uint8_t *frame, uint32_t len, uint8_t way)
{
	uint8_t *to = sequence.bytes + sequence.len;
	uint8_t bytes[FRAME_MAX + 1] = {way};

	memcpy(bytes + 1, frame, len);
	write_file(dir, n, "frame", bytes, len + 1);
	if (sequence.len + 4 + len > SEQUENCE_MAX)
		return;
	to[0] = STEP_RAW;
	to[1] = (uint8_t)(len >> 8);
	to[2] = (uint8_t)len;
	to[3] = way;
	memcpy(to + 4, frame, len);
	sequence.len += 4 + len;
}

static void end_sequence(const char *dir, unsigned n)
{
	sequence.bytes[0] = (uint8_t)n; /* the engine's option: each has its turn */
	write_file(dir, n, "sequence", sequence.bytes, sequence.len);
	sequence.len = 1;
}

/* ---- from captures ---- */

static uint32_t bytes_of(bool ipv6)
{
	return ipv6 ? 16 : 4;
}

/* The n-th address of the capture is a client's, the VIP, and then servers'. */
static void note_peer(struct peers *peers, const uint8_t *ip, bool ipv6)
{
	static const uint8_t first[] = {ENGINE_CLIENT, ENGINE_VIP, ENGINE_SERVER};
	struct peer *peer = &peers->peer[peers->n];

	for (unsigned i = 0; i < peers->n; i++)
		if (peers->peer[i].ipv6 == ipv6 && !memcmp(&peers->peer[i].ip, ip, bytes_of(ipv6)))
			return;
	if (peers->n == PEERS)
		return;
	memcpy(&peer->ip, ip, bytes_of(ipv6));
	peer->ipv6 = ipv6;
	peer->last = peers->n < sizeof(first) ? first[peers->n]
	                                      : (uint8_t)(ENGINE_SERVER + peers->n - 2);
	peers->n++;
}

static void note_peers(struct peers *peers, const uint8_t *frame, const struct parts *parts)
{
	const uint8_t *src = frame + parts->l3 + (parts->ipv6 ? 8 : 12);

	note_peer(peers, src, parts->ipv6);
	note_peer(peers, src + bytes_of(parts->ipv6), parts->ipv6);
}

static void patch_addresses(const struct peers *peers, uint8_t *p, uint32_t len)
{
	for (unsigned i = 0; i < peers->n; i++) {
		const struct peer *peer = &peers->peer[i];
		const be32 ip4 = packets_ip4(peer->last);
		const struct ip6 ip6 = packets_ip6(peer->last);
		const uint8_t *to = peer->ipv6 ? ip6.b : ip4.b;
		uint32_t bytes = bytes_of(peer->ipv6);

		for (uint32_t at = 0; at + bytes <= len; at++)
			if (!memcmp(p + at, &peer->ip, bytes))
				memcpy(p + at, to, bytes);
	}
}

static void patch_ports(uint8_t *tcp)
{
	bool to_service = tcp[0] * 256 + tcp[1] > tcp[2] * 256 + tcp[3];

	packets_put_ports(tcp, to_service ? ENGINE_CLIENT_PORT : ENGINE_SERVICE,
	                  to_service ? ENGINE_SERVICE : ENGINE_CLIENT_PORT);
}

static void patch(struct peers *peers, uint8_t *frame, uint32_t len)
{
	struct parts parts;
	struct packets_wrong wrong;

	if (!packets_parts(frame, len, &parts)) {
		patch_addresses(peers, frame, len); /* ARP, perhaps */
		return;
	}
	note_peers(peers, frame, &parts);
	wrong = packets_wrong(frame, &parts);
	patch_addresses(peers, frame + parts.l3, len - parts.l3);
	if (parts.protocol == 6 && !parts.later && parts.end >= parts.l4 + 4)
		patch_ports(frame + parts.l4);
	packets_fix(frame, &parts, wrong);
}

static void from_capture(char **dirs, const char *path, unsigned n)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct peers peers = {.n = 0};
	struct pcap_pkthdr *header;
	const u_char *data;

	if (!pcap)
		return;
	for (unsigned i = 0; i < FRAMES && pcap_datalink(pcap) == DLT_EN10MB &&
	                     pcap_next_ex(pcap, &header, &data) == 1;
	     i++) {
		uint32_t len = header->caplen < FRAME_MAX ? header->caplen : FRAME_MAX;
		uint8_t frame[FRAME_MAX];

		memcpy(frame, data, len);
		patch(&peers, frame, len);
		put_frame(dirs[0], n * FRAMES + i, frame, len,
		          len < header->len ? STEP_CUT : i % 2 * STEP_INSIDE);
	}
	pcap_close(pcap);
	if (sequence.len > 1)
		end_sequence(dirs[1], n);
}

/* ---- from nothing ---- */

/* Of the flow's two ends, the server with each port that it may know. */
static struct shape next_of_flow(unsigned n)
{
	bool ipv6 = n & 1, snat = n & 2, from_server = n & 4;
	struct shape ret = {.ipv6 = ipv6,
	                    .src = ENGINE_CLIENT,
	                    .dst = snat ? ENGINE_VIP : ENGINE_VIP_NO_SNAT,
	                    .sport = ENGINE_CLIENT_PORT,
	                    .dport = ENGINE_SERVICE,
	                    .flags = PACKETS_ACK,
	                    .seq = ENGINE_CLIENT_SEQ,
	                    .ack = ENGINE_SERVER_SEQ,
	                    .window = 1000};

	if (!from_server)
		return ret;
	ret.side = INSIDE;
	ret.src = snat ? (uint8_t)(ENGINE_SERVER + (n >> 3 & 1)) : ENGINE_SERVER_NO_SNAT;
	ret.dst = snat ? n & 16 ? ENGINE_SNAT : ENGINE_VIP : ENGINE_CLIENT;
	ret.sport = ENGINE_SERVICE;
	ret.dport = snat ? (uint16_t)(ENGINE_SNAT_PORT + (n >> 5) % 6) : ENGINE_CLIENT_PORT;
	return ret;
}

/* What end's next packet, and what an error about it, can be. */
static void from_flow(char **dirs, unsigned n)
{
	const struct shape next = next_of_flow(n);
	struct shape shape = next, back = next;
	uint8_t frame[PACKETS_BYTES];
	unsigned base = 100000 + n * 8;

	shape.payload = 100;
	put_frame(dirs[0], base, frame, packets_tcp(frame, &shape), next.side);
	shape.options = true;
	shape.ntags = 2;
	put_frame(dirs[0], base + 6, frame, packets_tcp(frame, &shape), next.side);
	shape.fragment = shape.more = true;
	shape.len = 64;
	put_frame(dirs[0], base + 1, frame, packets_tcp(frame, &shape), next.side);
	shape.offset = 8;
	shape.more = false;
	put_frame(dirs[0], base + 2, frame, packets_tcp(frame, &shape), next.side);
	back.src = next.dst;
	back.dst = next.src;
	back.sport = next.dport;
	back.dport = next.sport;
	back.seq -= 1;
	put_frame(dirs[0], base + 3, frame,
	          packets_icmp_error(frame, &next, next.ipv6 ? 2 : 3, &back, PACKETS_BYTES),
	          next.side);
	put_frame(dirs[0], base + 4, frame, packets_echo(frame, &next), next.side);
	put_frame(dirs[0], base + 5, frame, packets_neighbour(frame, &next, 1), next.side);
	end_sequence(dirs[1], 100000 + n);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: seeds FRAME_DIR SEQUENCE_DIR CAPTURE...\n");
		return 2;
	}
	sequence.len = 1;
	for (unsigned n = 0; n < 6 * 32; n++)
		from_flow(argv + 1, n);
	for (int i = 3; i < argc; i++)
		from_capture(argv + 1, argv[i], (unsigned)i);
	return 0;
}
