/*
 * Sends frames on one interface and checks what arrives on another.
 *
 *   rawframe [-e] FROM_NAMESPACE/INTERFACE TO_NAMESPACE/INTERFACE [FILE.pcap...]
 *   rawframe -n TIMES FROM_NAMESPACE/INTERFACE
 *
 * The frames come from pcap files, or as lines of hex digits from stdin. Each is sent as it is and
 * must arrive byte for byte and in order; a few are under way at a time, so that order is tested
 * and no queue overflows. Prints {"files":N,"sent":N,"unsent":N,"arrived":N,"others":N}: files were
 * of a format that it reads, unsent are frames that the kernel refuses to send on this interface
 * (too short, too long), others are frames that arrived and weren't the next one expected. Exit
 * status 0 if all that was sent arrived.
 *
 * With -e the last frame is one that crosses whatever becomes of the others, and isn't counted:
 * what isn't there before it is lost, so that nobody waits for it.
 *
 * With -n the frames from stdin are sent so many times, as fast as can be, and nothing is received.
 *
 * It takes packet sockets in both namespaces, and puts VLAN tags back that the kernel strips.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PCAP_MAGIC 0xa1b2c3d4u

enum {
	PCAP_ETHERNET = 1,
	FRAME_BYTES = 1 << 18,
	WINDOW = 16,
	QUIET_MS = 1000, /* a frame not there by then is lost */
	TAG_AT = 12,     /* both MAC addresses come before the VLAN tag */
	TAG_BYTES = 4,
	RECEIVE_BUFFER = 16 << 20,
};

struct bytes {
	uint8_t *data;
	size_t len;
};

static struct bytes *frames;
static size_t nframes;

static void die(const char *where)
{
	fprintf(stderr, "rawframe: %s: %s\n", where, strerror(errno));
	exit(1);
}

static void frame_add(const uint8_t *data, size_t len)
{
	frames = reallocarray(frames, nframes + 1, sizeof(*frames));
	if (!frames)
		die("frames");
	frames[nframes].data = malloc(len + 1);
	if (!frames[nframes].data)
		die("frames");
	memcpy(frames[nframes].data, data, len);
	frames[nframes++].len = len;
}

static void read_hex(void)
{
	static uint8_t data[FRAME_BYTES];
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		size_t len = 0;
		int used;

		for (char *p = line;
		     len < sizeof(data) && sscanf(p, "%2hhx%n", &data[len], &used) == 1; p += used)
			len++;
		if (len)
			frame_add(data, len);
	}
	free(line);
}

/*
 * Only Ethernet, in the classic format, in this machine's byte order; returns whether it is. A
 * damaged file is read as far as it goes.
 */
static bool read_pcap(const char *path)
{
	static uint8_t data[FRAME_BYTES];
	uint32_t file[6], record[4]; /* record: seconds, fraction, captured length, length */
	FILE *f = fopen(path, "r");

	if (!f)
		die(path);
	if (fread(file, sizeof(file), 1, f) != 1 || file[0] != PCAP_MAGIC ||
	    file[5] != PCAP_ETHERNET) {
		fclose(f);
		return false;
	}
	while (fread(record, sizeof(record), 1, f) == 1 && record[2] <= sizeof(data) &&
	       fread(data, 1, record[2], f) == record[2])
		frame_add(data, record[2]);
	fclose(f);
	return true;
}

/*
 * where is NAMESPACE/INTERFACE. Leaves the process in that namespace. What somebody else sends on
 * that interface is never received: that is said before anything can be.
 */
static int socket_open(const char *where, int protocol)
{
	struct sockaddr_ll self = {.sll_family = AF_PACKET,
	                           .sll_protocol = htons((uint16_t)protocol)};
	const char *interface = strchr(where, '/');
	char path[256];
	int ns, fd;

	if (!interface)
		interface = where + strlen(where);
	snprintf(path, sizeof(path), "/run/netns/%.*s", (int)(interface - where), where);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(where);
	close(ns);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	self.sll_ifindex = (int)if_nametoindex(*interface ? interface + 1 : "");
	if (fd < 0 || !self.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &(int){1}, sizeof(int)) ||
	    bind(fd, (struct sockaddr *)&self, sizeof(self)))
		die(where);
	return fd;
}

static int receiver_open(const char *where)
{
	int fd = socket_open(where, ETH_P_ALL);

	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &(int){1}, sizeof(int)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){RECEIVE_BUFFER}, sizeof(int)))
		die(where);
	return fd;
}

static size_t tag_restore(struct msghdr *message, uint8_t *data, size_t len)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	struct tpacket_auxdata aux;
	uint16_t tag[2];

	if (!c || c->cmsg_type != PACKET_AUXDATA)
		return len;
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
		return len;
	tag[0] = htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid
	                                                         : ETHERTYPE_VLAN);
	tag[1] = htons(aux.tp_vlan_tci);
	memmove(data + TAG_AT + TAG_BYTES, data + TAG_AT, len - TAG_AT);
	memcpy(data + TAG_AT, tag, TAG_BYTES);
	return len + TAG_BYTES;
}

/* Returns the frame's length, or 0 if none came in time. */
static size_t receive(int fd, uint8_t *data)
{
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec io = {data, FRAME_BYTES - TAG_BYTES};
	struct msghdr message = {.msg_iov = &io,
	                         .msg_iovlen = 1,
	                         .msg_control = control,
	                         .msg_controllen = sizeof(control)};
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	ssize_t len;

	if (poll(&waiting, 1, QUIET_MS) <= 0)
		return 0;
	len = recvmsg(fd, &message, 0);
	if (len < TAG_AT)
		return 0;
	return tag_restore(&message, data, (size_t)len);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_frame(const struct bytes *frame, const uint8_t *data, size_t len)
{
	return len == frame->len && memcmp(data, frame->data, len) == 0;
}

static struct result {
	size_t sent, unsent, arrived, others;
} run(int from, int to, bool has_end)
{
	static uint8_t data[FRAME_BYTES];
	const struct bytes **order = calloc(nframes + 1, sizeof(void *));
	struct result r = {0};
	double last = seconds();

	if (!order)
		die("frames");
	for (size_t next = 0;;) {
		size_t len;

		for (; next < nframes && r.sent - r.arrived < WINDOW; next++) {
			if (send(from, frames[next].data, frames[next].len, 0) >= 0)
				order[r.sent++] = &frames[next];
			else
				r.unsent++;
		}
		if (r.arrived == r.sent || seconds() - last > QUIET_MS / 1e3)
			break;
		len = receive(to, data);
		if (len && is_frame(order[r.arrived], data, len)) {
			r.arrived++;
			last = seconds();
		} else if (len && has_end && next == nframes && r.sent &&
		           is_frame(order[r.sent - 1], data, len)) {
			break;
		} else if (len) {
			r.others++;
		}
	}
	r.arrived -= has_end && r.arrived && r.arrived == r.sent;
	r.sent -= has_end;
	free(order);
	return r;
}

/* Fails if the kernel doesn't take all of them. */
static int burst(const char *where, unsigned long times)
{
	int fd = socket_open(where, 0);

	read_hex();
	for (unsigned long n = 0; n < times; n++)
		for (size_t i = 0; i < nframes; i++)
			if (send(fd, frames[i].data, frames[i].len, 0) < 0)
				die("send");
	return 0;
}

int main(int argc, char **argv)
{
	bool has_end = false;
	unsigned files = 0;
	struct result r;
	int to, from;

	if (argc == 4 && !strcmp(argv[1], "-n"))
		return burst(argv[3], strtoul(argv[2], NULL, 10));
	if (argc > 1 && !strcmp(argv[1], "-e")) {
		has_end = true;
		argv++;
		argc--;
	}
	if (argc < 3) {
		fputs("rawframe: see the head of tests/tools/rawframe.c\n", stderr);
		return 2;
	}
	if (argc == 3)
		read_hex();
	for (int i = 3; i < argc; i++)
		files += read_pcap(argv[i]);
	to = receiver_open(argv[2]);
	from = socket_open(argv[1], 0);
	r = run(from, to, has_end);
	printf("{\"files\":%u,\"sent\":%zu,\"unsent\":%zu,\"arrived\":%zu,\"others\":%zu}\n", files,
	       r.sent, r.unsent, r.arrived, r.others);
	return r.arrived == nframes - has_end - r.unsent ? 0 : 1;
}
