/*
 * The workers get the same frames as well; an ear is for code that can wait for an answer, and
 * costs nothing while it rests. The kernel gives it ARP and neighbour discovery and nothing else,
 * so that other traffic can't fill its queue.
 */
#include "ear.h"

#include "l2.h"
#include "../process/log.h"
#include "../../lb/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	EAR_FRAME_BYTES = 512, /* of what it listens for */
	/* as no Ethernet frame is: one's length or type is larger, or the kernel calls it 1 or 4 */
	EAR_NOTHING = ETH_P_CONTROL,
};

struct ear {
	struct port port;
	int fd;
	bool was_down; /* since it listens */
	uint8_t frames[PORT_BURST][FRAME_HEADROOM + EAR_FRAME_BYTES];
};

static struct ear *ear_of(const struct port *port)
{
	return (struct ear *)(uintptr_t)port;
}

static bool hear(struct ear *ear, uint8_t *bytes, struct frame *ret)
{
	struct iovec iov = {.iov_base = bytes + FRAME_HEADROOM, .iov_len = EAR_FRAME_BYTES};
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(ear->fd, &msg, MSG_DONTWAIT);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct tpacket_auxdata aux;

	if (n < 0) {
		ear->was_down |= errno == ENETDOWN;
		return false;
	}
	*ret = (struct frame){.data = iov.iov_base,
	                      .len = (uint32_t)n,
	                      .wire_len = (uint32_t)n,
	                      .headroom = FRAME_HEADROOM,
	                      .side = (uint8_t)ear->port.side};
	if (c && c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		l2_restore_tag(ret, aux.tp_status, aux.tp_vlan_tci, aux.tp_vlan_tpid);
	}
	return true;
}

static unsigned ear_receive(struct port *port, struct frame ret[PORT_BURST])
{
	struct ear *ear = ear_of(port);
	unsigned n = 0;

	while (n < PORT_BURST && hear(ear, ear->frames[n], &ret[n]))
		n++;
	return n;
}

static void ear_send(struct port *port, const struct frame *frames, unsigned n, lb_time now)
{
	struct ear *ear = ear_of(port);

	(void)now;
	for (unsigned i = 0; i < n; i++) {
		if (sendto(ear->fd, frames[i].data, frames[i].len, MSG_DONTWAIT, NULL, 0) >= 0)
			continue;
		ear->was_down |= errno == ENETDOWN;
		port->counts.send_failed++;
	}
}

/* ARP and IPv6 ND (types 135 and 136), untagged or behind one tag that the kernel leaves in. */
static int set_filter(int fd)
{
	enum { SNAP = 0x40000 };
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	        BPF_STMT(BPF_LDX | BPF_IMM, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_8021Q, 1, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_8021AD, 0, 2),
	        BPF_STMT(BPF_LDX | BPF_IMM, FRAME_TAG_BYTES),
	        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 12),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_ARP, 6, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IPV6, 0, 6),
	        BPF_STMT(BPF_LD | BPF_B | BPF_IND, 14 + IPV6_NEXT_HEADER),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_NUM_ICMPV6, 0, 4),
	        BPF_STMT(BPF_LD | BPF_B | BPF_IND, 14 + IPV6_HEADER_BYTES + ICMP_TYPE),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_SOLICITATION, 1, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_ADVERTISEMENT, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SNAP),
	        BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
	                                                                                   : 0;
}

static int set_options(int fd)
{
	static const int on = 1;

	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
		return -errno;
	return set_filter(fd);
}

int ear_open(enum side side, const char *name, struct port **ret)
{
	static const struct port_ops ops = {.receive = ear_receive, .send = ear_send};
	struct ear *ear = calloc(1, sizeof(*ear));
	int err;

	if (!ear)
		return -ENOMEM;
	ear->port = (struct port){.ops = &ops, .name = name, .side = side};
	ear->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = ear->fd < 0 ? -errno : set_options(ear->fd);
	if (err < 0) {
		log_error("%s: packet socket: %s", name, strerror(-err));
		ear_close(&ear->port);
		return err;
	}
	*ret = &ear->port;
	return 0;
}

void ear_close(struct port *port)
{
	struct ear *ear = port ? ear_of(port) : NULL;

	if (ear && ear->fd >= 0)
		close(ear->fd);
	free(ear);
}

static int bind_to(const struct ear *ear, int index, uint16_t protocol)
{
	const struct sockaddr_ll address = {
	        .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = index};

	return bind(ear->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/* Discards what has come so far, as much as a socket's buffer may hold. */
static void forget(struct port *port)
{
	enum { ROUNDS = 64 };
	struct frame frames[PORT_BURST];

	for (unsigned i = 0; i < ROUNDS && ear_receive(port, frames); i++)
		;
}

/* Discards first what came before it rested, which may be out of date. */
int ear_listen(struct port *port, const struct link *link)
{
	struct ear *ear = ear_of(port);
	int err = bind_to(ear, link->index, ETH_P_ALL);

	ear->was_down = false;
	port->mac = link->mac;
	forget(port);
	return err;
}

void ear_rest(struct port *port)
{
	/* protocol 0 would leave the socket at its old protocol, on all interfaces */
	bind_to(ear_of(port), 0, EAR_NOTHING);
	forget(port);
}

bool ear_was_down(const struct port *port)
{
	return ear_of(port)->was_down;
}

int ear_fd(const struct port *port)
{
	return ear_of(port)->fd;
}
