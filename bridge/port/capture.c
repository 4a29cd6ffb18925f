/*
 * Capture files as a port.
 *
 * A capture taken on a host holds frames whose TCP checksum is yet to be completed by the network
 * card, and says nothing about it. So a checksum that is wrong, but would be right as a partial
 * one, is taken for one: the frame is then rewritten as it was on the live port.
 *
 * A damaged file ends at its first damage, for good: whatever libpcap would find behind it begins
 * at some byte of some frame. Times are in nanoseconds since 1970, as libpcap gives them; a file's
 * times may go back, the clock doesn't (offline.c).
 */
#include "capture.h"

#include "../process/log.h"
#include "../../lb/csum.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

enum { CAPTURE_SNAPLEN = 262144 }; /* tcpdump's and Wireshark's maximum */

struct capture {
	struct port port;
	pcap_t *in, *dead;
	pcap_dumper_t *out;
	const char *in_name, *out_name;
	bool loaded; /* frame holds the next one, which came at time */
	bool ended;  /* there is no next one */
	struct frame frame;
	lb_time time;
	uint8_t bytes[FRAME_HEADROOM + CAPTURE_SNAPLEN];
};

static struct capture *capture_of(struct port *port)
{
	return (struct capture *)port;
}

/* See the top of the file. */
static bool has_partial_checksum(const struct frame *frame)
{
	struct packet packet;
	const uint8_t *field;

	parse_frame(frame, &packet);
	if (!parse_ip(frame, &packet) || packet.is_fragment || packet.protocol != IPPROTO_NUM_TCP ||
	    !parse_tcp(frame, &packet) || frame->len < (uint32_t)packet.l4 + packet.l4_len ||
	    parse_l4_checksum_ok(frame, &packet))
		return false;
	field = frame->data + packet.l4 + TCP_CHECKSUM;
	return csum_load(field) == csum_fold(parse_pseudo_sum(&packet));
}

/* Says where a damaged file ends, and why. */
static void say_damaged(const struct capture *capture, const char *why)
{
	log_warning("%s: damaged at frame %llu: %s: the capture ends before it", capture->in_name,
	            (unsigned long long)capture->port.counts.received + 1, why);
}

static bool load(struct capture *capture)
{
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	int got = pcap_next_ex(capture->in, &header, &bytes);

	capture->ended = got != 1 || header->caplen > CAPTURE_SNAPLEN;
	if (got == PCAP_ERROR)
		say_damaged(capture, pcap_geterr(capture->in));
	else if (got == 1 && capture->ended)
		say_damaged(capture, "it is longer than any");
	if (capture->ended)
		return false;
	memcpy(capture->bytes + FRAME_HEADROOM, bytes, header->caplen);
	capture->frame = (struct frame){
	        .data = capture->bytes + FRAME_HEADROOM,
	        .len = header->caplen,
	        .wire_len = header->len,
	        .headroom = FRAME_HEADROOM,
	        .side = (uint8_t)capture->port.side,
	};
	if (has_partial_checksum(&capture->frame))
		capture->frame.flags |= FRAME_CSUM_PARTIAL;
	/* opened for nanoseconds, which libpcap puts into tv_usec */
	capture->time.ns = (uint64_t)header->ts.tv_sec * LB_NS_PER_S + (uint64_t)header->ts.tv_usec;
	return true;
}

bool capture_next(struct port *port, lb_time *ret)
{
	struct capture *capture = capture_of(port);

	if (!capture->loaded && capture->in && !capture->ended)
		capture->loaded = load(capture);
	if (capture->loaded)
		*ret = capture->time;
	return capture->loaded;
}

static unsigned receive(struct port *port, struct frame ret[PORT_BURST])
{
	struct capture *capture = capture_of(port);
	lb_time time;

	if (!capture_next(port, &time))
		return 0;
	capture->loaded = false;
	port->counts.received++;
	ret[0] = capture->frame;
	port->counts.received_bytes += port_bytes(ret, 1);
	return 1;
}

static void send_frames(struct port *port, const struct frame *frames, unsigned n, lb_time now)
{
	struct capture *capture = capture_of(port);

	for (unsigned i = 0; i < n; i++) {
		struct pcap_pkthdr header = {
		        .ts = {.tv_sec = (time_t)(now.ns / LB_NS_PER_S),
		               .tv_usec = (suseconds_t)(now.ns % LB_NS_PER_S)},
		        .caplen = frames[i].len,
		        .len = frames[i].wire_len,
		};

		port->counts.sent++;
		port->counts.sent_bytes += port_bytes(&frames[i], 1);
		if (capture->out)
			pcap_dump((uint8_t *)capture->out, &header, frames[i].data);
	}
}

static int open_in(struct capture *capture, const char *name)
{
	char error[PCAP_ERRBUF_SIZE];

	capture->in_name = name;
	capture->in =
	        pcap_open_offline_with_tstamp_precision(name, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!capture->in) {
		log_error("%s%s%s", strstr(error, name) ? "" : name,
		          strstr(error, name) ? "" : ": ", error);
		return -EINVAL;
	}
	if (pcap_datalink(capture->in) != DLT_EN10MB) {
		log_error("%s: holds %s, not Ethernet frames", name,
		          pcap_datalink_val_to_description_or_dlt(pcap_datalink(capture->in)));
		return -EINVAL;
	}
	return 0;
}

static int open_out(struct capture *capture, const char *name)
{
	capture->out_name = name;
	capture->dead = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, CAPTURE_SNAPLEN,
	                                                     PCAP_TSTAMP_PRECISION_NANO);
	if (!capture->dead)
		return -ENOMEM;
	capture->out = pcap_dump_open(capture->dead, name);
	if (!capture->out) {
		log_error("%s", pcap_geterr(capture->dead));
		return -EIO;
	}
	return 0;
}

int capture_open(enum side side, const char *in, const char *out, struct mac mac, struct port **ret)
{
	static const struct port_ops ops = {.receive = receive, .send = send_frames};
	struct capture *capture = calloc(1, sizeof(*capture));
	int err = 0;

	if (!capture)
		return -ENOMEM;
	capture->port = (struct port){.ops = &ops,
	                              .name = side == OUTSIDE ? "outside" : "inside",
	                              .side = side,
	                              .mac = mac};
	if (in)
		err = open_in(capture, in);
	if (!err && out)
		err = open_out(capture, out);
	if (err) {
		capture_close(&capture->port);
		return err;
	}
	*ret = &capture->port;
	return 0;
}

int capture_close(struct port *port)
{
	struct capture *capture = capture_of(port);
	int err = 0;

	if (capture->out) {
		if (pcap_dump_flush(capture->out) < 0 || ferror(pcap_dump_file(capture->out))) {
			log_error("%s: not all could be written", capture->out_name);
			err = -EIO;
		}
		pcap_dump_close(capture->out);
	}
	if (capture->dead)
		pcap_close(capture->dead);
	if (capture->in)
		pcap_close(capture->in);
	free(capture);
	return err;
}
