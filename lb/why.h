/*
 * What can become of a frame, and why: each exit of lb_input() has one reason, and each reason one
 * act. Adding a reason is adding a line here.
 */
#ifndef LB_WHY_H
#define LB_WHY_H

#include <stdbool.h>
#include <stdint.h>

/* LB_HAND_OVER: to another worker, which decides and counts. */
enum lb_act { LB_BRIDGE, LB_FORWARD, LB_ANSWER, LB_DROP, LB_HAND_OVER };
enum { LB_NACTS = LB_HAND_OVER + 1 };

/* X(enumerator, act, name in the statistics) */
#define LB_WHYS(X)                                                                                 \
	/* not addressed to a VIP or SNAT address: to the other side */                            \
	X(NOT_OURS, LB_BRIDGE, "not_ours")                                                         \
	/* TCP of a known flow */                                                                  \
	X(FLOW_HIT, LB_FORWARD, "flow_hit")                                                        \
	/* a SYN that made a flow */                                                               \
	X(FLOW_NEW, LB_FORWARD, "flow_new")                                                        \
	/* a fragment of a flow's packet, following the first one */                               \
	X(FRAGMENT, LB_FORWARD, "fragment")                                                        \
	/* the same, that came before the first one: it goes when that comes */                    \
	X(FRAGMENT_HELD, LB_FORWARD, "fragment_held")                                              \
	/* an ICMP error about a flow, translated */                                               \
	X(ICMP_ERROR, LB_FORWARD, "icmp_error")                                                    \
	/* an ARP request for a VIP or SNAT address */                                             \
	X(ARP_REPLY, LB_ANSWER, "arp_reply")                                                       \
	/* a neighbour solicitation for a VIP or SNAT address */                                   \
	X(ND_REPLY, LB_ANSWER, "nd_reply")                                                         \
	/* an ICMP echo request to a VIP or SNAT address */                                        \
	X(ECHO_REPLY, LB_ANSWER, "echo_reply")                                                     \
	/* answered with RST: TCP of no flow, without SYN */                                       \
	X(NO_FLOW, LB_ANSWER, "no_flow")                                                           \
	/* answered with RST: a SYN to a port that isn't served */                                 \
	X(PORT_NOT_SERVED, LB_ANSWER, "port_not_served")                                           \
	/* answered with RST: a SYN that no server may take */                                     \
	X(NO_SERVER, LB_ANSWER, "no_server")                                                       \
	/* answered with RST: a SYN while each server has its max_connections */                   \
	X(SERVERS_FULL, LB_ANSWER, "servers_full")                                                 \
	/* answered with RST: a SYN for which no SNAT port is left */                              \
	X(SNAT_EXHAUSTED, LB_ANSWER, "snat_exhausted")                                             \
	/* answered with RST: a SYN for which the flow table has no room */                        \
	X(TABLE_FULL, LB_ANSWER, "table_full")                                                     \
	/* answered with RST: a SYN of an address and port that are connected in another VLAN */   \
	X(OTHER_VLAN, LB_ANSWER, "other_vlan")                                                     \
	/* answered with an ICMP error: its TTL would be spent here */                             \
	X(TTL_EXPIRED, LB_ANSWER, "ttl_expired")                                                   \
	/* answered with an ICMP error: too long for where it goes */                              \
	X(TOO_BIG, LB_ANSWER, "too_big")                                                           \
	/* answered with RST: a SYN of a client that deny lists, or that allow doesn't */          \
	X(CLIENT_DENIED, LB_ANSWER, "client_denied")                                               \
	/* answered with RST: a SYN of a client that has its client_connections */                 \
	X(CLIENT_CONNECTIONS, LB_ANSWER, "client_connections")                                     \
	/* answered with RST: a SYN of a client that begins more than its client_rate */           \
	X(CLIENT_RATE, LB_ANSWER, "client_rate")                                                   \
	/* answered with RST: a SYN of a client that is blocked for having had too many */         \
	X(CLIENT_BLOCKED, LB_ANSWER, "client_blocked")                                             \
	/* answered with RST: TCP that a [filter NAME] resets */                                   \
	X(FILTER_RESET, LB_ANSWER, "filter_reset")                                                 \
	/* a SYN of such a client as STRANGER has, answered with an ACK that calls for a RST */    \
	X(STRANGER_CHALLENGED, LB_ANSWER, "stranger_challenged")                                   \
	/* a [filter NAME] drops it */                                                             \
	X(FILTERED, LB_DROP, "filtered")                                                           \
	/* above the rate of a [filter NAME] */                                                    \
	X(FILTER_RATE, LB_DROP, "filter_rate")                                                     \
	/* a SYN over any of these limits, with on_limit = drop */                                 \
	X(CLIENT_DROPPED, LB_DROP, "client_dropped")                                               \
	/* a SYN of a client that has never been here, in a flood: see strangers.c */              \
	X(STRANGER, LB_DROP, "stranger")                                                           \
	/* that RST: the SYN is let in when it comes again */                                      \
	X(STRANGER_ANSWERED, LB_DROP, "stranger_answered")                                         \
	/* sent by one of our own MAC addresses */                                                 \
	X(LOOP, LB_DROP, "loop")                                                                   \
	/* to a port's own MAC address, or not transparent and not ours: the host's */             \
	X(TO_HOST, LB_DROP, "to_host")                                                             \
	/* not transparent: to the MAC address of somebody else */                                 \
	X(OTHER_HOST, LB_DROP, "other_host")                                                       \
	/* an ARP reply to us: its sender was noted */                                             \
	X(ARP_LEARNED, LB_DROP, "arp_learned")                                                     \
	/* somebody else claims a VIP or SNAT address */                                           \
	X(ARP_CONFLICT, LB_DROP, "arp_conflict")                                                   \
	/* a neighbour advertisement to us: its sender was noted */                                \
	X(ND_LEARNED, LB_DROP, "nd_learned")                                                       \
	/* a neighbour advertisement of a VIP or SNAT address by somebody else */                  \
	X(ND_CONFLICT, LB_DROP, "nd_conflict")                                                     \
	/* a neighbour solicitation to us for somebody else */                                     \
	X(ND_OTHER, LB_DROP, "nd_other")                                                           \
	/* the answer to a probe of ours */                                                        \
	X(PROBE, LB_DROP, "probe")                                                                 \
	/* ARP to us, neither request nor reply */                                                 \
	X(ARP_OTHER, LB_DROP, "arp_other")                                                         \
	/* to a VIP or SNAT address, an IPv4 header that can't be */                               \
	X(IP_MALFORMED, LB_DROP, "ip_malformed")                                                   \
	X(TCP_MALFORMED, LB_DROP, "tcp_malformed")                                                 \
	/* a fragment of anything but TCP */                                                       \
	X(FRAGMENT_OTHER, LB_DROP, "fragment_other")                                               \
	/* overlaps one that came before */                                                        \
	X(FRAGMENT_OVERLAP, LB_DROP, "fragment_overlap")                                           \
	/* doesn't hold all of the TCP header, or stands where that should be */                   \
	X(FRAGMENT_TINY, LB_DROP, "fragment_tiny")                                                 \
	/* came before the first one, and there was no room to wait */                             \
	X(FRAGMENT_NO_ROOM, LB_DROP, "fragment_no_room")                                           \
	/* TCP of no flow, or an echo request, whose checksum is wrong */                          \
	X(BAD_CHECKSUM, LB_DROP, "bad_checksum")                                                   \
	/* from an address that can't be a sender's; or of no flow, and to a group MAC address */  \
	X(MARTIAN, LB_DROP, "martian")                                                             \
	/* a RST of no flow: never answered */                                                     \
	X(RST_NO_FLOW, LB_DROP, "rst_no_flow")                                                     \
	/* would have got an ICMP error, but for the rate limit, or as it is one, or a fragment */ \
	X(ICMP_LIMITED, LB_DROP, "icmp_limited")                                                   \
	/* would have got a RST, but for the rate limit */                                         \
	X(RST_LIMITED, LB_DROP, "rst_limited")                                                     \
	/* an echo request while the farm has no server up */                                      \
	X(ECHO_NO_SERVER, LB_DROP, "echo_no_server")                                               \
	/* an ICMP error about nothing that a flow has sent */                                     \
	X(ICMP_NO_FLOW, LB_DROP, "icmp_no_flow")                                                   \
	/* to a client whose place isn't known: hops.h had no room when his flow ended */          \
	X(CLIENT_NOWHERE, LB_DROP, "client_nowhere")                                               \
	/* of another worker, whose queue was full */                                              \
	X(NOT_HANDED_OVER, LB_DROP, "not_handed_over")                                             \
	/* of another worker: it isn't among the reasons here, but has one there */                \
	X(HANDED_OVER, LB_HAND_OVER, "handed_over")                                                \
	/* ICMP other than echo requests and errors about TCP */                                   \
	X(ICMP_OTHER, LB_DROP, "icmp_other")                                                       \
	/* neither TCP nor ICMP */                                                                 \
	X(PROTOCOL_NOT_SERVED, LB_DROP, "protocol_not_served")

#define LB_WHY_ENUM(enumerator, act, name) WHY_##enumerator,
enum lb_why { LB_WHYS(LB_WHY_ENUM) LB_NWHYS };
#undef LB_WHY_ENUM

static inline enum lb_act lb_why_act(enum lb_why why)
{
#define LB_WHY_ACT(enumerator, act, name) [WHY_##enumerator] = (act),
	static const uint8_t acts[] = {LB_WHYS(LB_WHY_ACT)};
#undef LB_WHY_ACT

	return (enum lb_act)acts[why];
}

/* If the reason is a refusal: somebody who wants something of us is turned away. */
static inline bool lb_why_refuses(enum lb_why why)
{
	return (why >= WHY_PORT_NOT_SERVED && why <= WHY_OTHER_VLAN) ||
	       (why >= WHY_CLIENT_DENIED && why <= WHY_STRANGER);
}

/* If a frame that isn't sent on isn't lost: it was for us, or the host. */
static inline bool lb_why_is_arrival(enum lb_why why)
{
	return why == WHY_PROBE || why == WHY_TO_HOST || why == WHY_ARP_LEARNED ||
	       why == WHY_ND_LEARNED || why == WHY_STRANGER_ANSWERED;
}

const char *lb_why_name(enum lb_why why);

#endif
