/*
 * A side's packet sockets as one fanout group (packet(7)), of which each frame goes to the member
 * that a program chooses: see steer.c.
 */
#include "fanout.h"

#include "../process/log.h"
#include "packet.h"
#include "steer.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

enum { FANOUT_DRAIN = 1000 }; /* bursts at most, as more may come all the time */

/* A port's fanout group, as the kernel has it: its ID in the low half; 0: it has none. */
static uint32_t group_of(const struct port *port)
{
	uint32_t group = 0;
	socklen_t len = sizeof(group);

	if (getsockopt(packet_fd(port), SOL_PACKET, PACKET_FANOUT, &group, &len) < 0)
		return 0;
	return group;
}

/* Discards what the port received before it shared, as the other ports received it as well. */
static void drain(struct port *port)
{
	const struct port_counts counts = port->counts;
	struct frame frames[PORT_BURST];

	for (unsigned i = 0; i < FANOUT_DRAIN && port->ops->receive(port, frames); i++)
		;
	port->counts = counts;
}

/*
 * What the kernel sends on the interface, our own frames too, comes to a group's members in spite
 * of their PACKET_IGNORE_OUTGOING (for instance the segments of a frame that it has cut up).
 */
static int ignore_outgoing(const struct port *port)
{
	struct sock_filter instructions[] = {
	        {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)},
	        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
	        {BPF_RET | BPF_K, 0, 0, 0},
	        {BPF_RET | BPF_K, 0, 0, UINT32_MAX},
	};
	struct sock_fprog program = {.len = sizeof(instructions) / sizeof(instructions[0]),
	                             .filter = instructions};

	return setsockopt(packet_fd(port), SOL_SOCKET, SO_ATTACH_FILTER, &program,
	                  sizeof(program)) < 0
	               ? -errno
	               : 0;
}

/* Makes the port a member of first's group, or found one if that is itself. */
static int join(struct port *port, const struct port *first)
{
	uint32_t group = PACKET_FANOUT_CBPF << 16;
	int err;

	if (group_of(port))
		return 0;
	if (!packet_has_program(port) && (err = ignore_outgoing(port)) < 0)
		return err;
	if (port == first)
		group |= (uint32_t)PACKET_FANOUT_FLAG_UNIQUEID << 16;
	else
		group |= group_of(first) & UINT16_MAX;
	if (setsockopt(packet_fd(port), SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) < 0)
		return -errno;
	drain(port);
	return 0;
}

/* The program of these rules or, if they are too many, one that knows no rules. */
static struct sock_fprog program_of(const struct rules *rules, const struct share *share,
                                    struct sock_filter *at)
{
	static const struct rules nothing;
	int n = steer_program(rules, share, at, BPF_MAXINSNS);

	if (n < 0) {
		log_warning("rules are too many to steer frames by: workers hand them over");
		n = steer_program(&nothing, share, at, BPF_MAXINSNS);
	}
	return (struct sock_fprog){.len = (unsigned short)n, .filter = at};
}

static int say(const struct port *port, int err)
{
	if (err < 0)
		log_error("%s: sharing frames between workers: %s", port->name, strerror(-err));
	return err;
}

int fanout_join(struct port *const *ports, unsigned n)
{
	int err = 0;

	for (unsigned k = 0; k < n && !err; k++)
		err = join(ports[k], ports[0]);
	return say(ports[0], err);
}

int fanout_steer(struct port *const *ports, const struct rules *rules, const struct share *share)
{
	struct sock_filter instructions[BPF_MAXINSNS];
	struct sock_fprog program = program_of(rules, share, instructions);

	return say(ports[0], setsockopt(packet_fd(ports[0]), SOL_PACKET, PACKET_FANOUT_DATA,
	                                &program, sizeof(program)) < 0
	                             ? -errno
	                             : 0);
}
