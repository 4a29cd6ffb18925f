/*
 * Frames are queued in their port with those that are forwarded, so that all leave in order.
 */
#include "voice.h"

#include "../../lb/wire.h"

#include <errno.h>

int voice_open(struct voice *voice, struct port *const ports[NSIDES])
{
	*voice = (struct voice){.ports = {ports[OUTSIDE], ports[INSIDE]}, .maker = maker_new()};
	return voice->maker ? 0 : -ENOMEM;
}

void voice_close(struct voice *voice)
{
	maker_free(voice->maker);
}

void voice_flush(struct voice *voice, lb_time now)
{
	port_flush(voice->ports[OUTSIDE], now);
	port_flush(voice->ports[INSIDE], now);
	maker_reuse(voice->maker);
}

static void say(struct voice *voice, struct port *port, struct frame *frame, const char *what,
                lb_time now)
{
	if (voice->tap)
		tap_sent(voice->tap, frame, port->side, what, now);
	port_queue(port, frame, now);
}

/* request: the frame that it answers, or NULL. */
static const char *word_for(const struct own *own, const struct frame *request)
{
	switch ((enum own_kind)own->kind) {
	case OWN_ARP_REPLY:
		return "ARP reply";
	case OWN_ND_REPLY:
		return "neighbour advertisement";
	case OWN_ECHO_REPLY:
		return "echo reply";
	case OWN_ICMP_ERROR:
		return "ICMP error";
	case OWN_TCP:
		break;
	}
	if (own->tcp_flags & TCP_RST)
		return "reset";
	return request ? "challenge" : "probe";
}

void voice_say(struct voice *voice, const struct own *own, const struct frame *request, lb_time now)
{
	struct port *port = voice->ports[own->to.side];
	struct frame frame;

	if (voice->held >> own->to.side & 1)
		return;
	if (!maker_make(voice->maker, own, request, port, &frame)) {
		voice_flush(voice, now);
		if (!maker_make(voice->maker, own, request, port, &frame)) {
			port->counts.send_failed++;
			return;
		}
	}
	say(voice, port, &frame, word_for(own, request), now);
}

void voice_say_all(struct voice *voice, struct neigh_table *neigh, struct own_list *list,
                   lb_time now)
{
	for (unsigned i = 0; i < list->n; i++) {
		struct own *own = &list->items[i];
		const struct hop *hop = &own->to;

		if (own->server != SERVER_NONE)
			hop = neigh_find(neigh, own->server, now);
		if (!hop)
			continue;
		own->to = *hop;
		voice_say(voice, own, NULL, now);
	}
	list->n = 0;
	voice_flush(voice, now);
}

/* ARP for an IPv4 target; for a named one a solicitation from sender6, NULL being nobody. */
static void request(struct voice *voice, const struct rules *rules, be32 sender,
                    const struct ip6 *sender6, be32 target, const struct hop *to, const char *what,
                    lb_time now)
{
	struct port *port = voice->ports[to->side];
	struct frame frame;
	bool made;

	if (voice->held >> to->side & 1)
		return;
	if (name_is_ipv6(target))
		made = maker_nd_solicitation(voice->maker, sender6, rules_ip6(rules, target), to,
		                             port, &frame);
	else
		made = maker_arp_request(voice->maker, sender, target, to, port, &frame);
	if (made)
		say(voice, port, &frame, what, now);
}

void voice_ask(struct voice *voice, const struct rules *rules, be32 sender, be32 target,
               const struct hop *to, lb_time now)
{
	const struct ip6 *sender6 = name_is_ipv6(target) ? rules_ip6(rules, sender) : NULL;

	request(voice, rules, sender, sender6, target, to, "question for a server", now);
}

void voice_probe(struct voice *voice, const struct rules *rules, be32 ip, const struct hop *to,
                 lb_time now)
{
	const be32 nobody = {{0}};

	request(voice, rules, nobody, NULL, ip, to, "check of an address", now);
}

void voice_announce(struct voice *voice, const struct rules *rules, be32 ip, const struct hop *to,
                    lb_time now)
{
	struct port *port = voice->ports[to->side];
	struct frame frame;
	bool made;

	if (voice->held >> to->side & 1)
		return;
	if (name_is_ipv6(ip))
		made = maker_nd_announcement(voice->maker, rules_ip6(rules, ip), to, port, &frame);
	else
		made = maker_arp_request(voice->maker, ip, ip, to, port, &frame);
	if (made)
		say(voice, port, &frame, "announcement", now);
}

void voice_join(struct voice *voice, enum own_mld kind, const struct rules *rules, be32 ip,
                const struct hop *to, lb_time now)
{
	struct port *port = voice->ports[to->side];
	struct frame frame;

	if (!(voice->held >> to->side & 1) &&
	    maker_mld_report(voice->maker, kind, rules_ip6(rules, ip), to, port, &frame))
		say(voice, port, &frame, "MLD report", now);
}
