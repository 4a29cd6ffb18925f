/*
 * What is counted, beside the frames' reasons (lb/why.h): each counter is a line here, and nowhere
 * else is there a list of them. The statistics, the manual page and whatever else shows figures are
 * made of it or compared with it.
 *
 * The values are one worker's, and what is shown is the sum over all workers. They are written in
 * terms of w, a struct worker, and of b, its struct balance, g, its struct segment, n, its struct
 * neigh_counts, and f, the struct fastpath_counts, which are 0 but for the first worker, as is what
 * stands in FIRST(): what the process has but once.
 */
#ifndef BRIDGE_COUNTERS_H
#define BRIDGE_COUNTERS_H

/* A counter only grows, a gauge is how much there is now. */
enum counter_kind { COUNTER_GROWS, COUNTER_GAUGE };

/* X(enumerator, group, member, kind, value, what it is); those of a group stand together. */
#define COUNTERS(X)                                                                                \
	X(FLOWS_OPEN, "flows", "open", COUNTER_GAUGE, balance_open_flows(b),                       \
	  "live flows, half-open ones included")                                                   \
	X(FLOWS_CREATED, "flows", "created", COUNTER_GROWS, b->counts.created,                     \
	  "flows that were made")                                                                  \
	X(FLOWS_CLOSED, "flows", "closed", COUNTER_GROWS,                                          \
	  b->counts.ended[ENDED_FIN] + b->counts.ended[ENDED_RST],                                 \
	  "flows ended by both ends' FIN, or by a reset; less those that were revived")            \
	X(FLOWS_IDLE_EXPIRED, "flows", "idle_expired", COUNTER_GROWS, b->counts.ended[ENDED_IDLE], \
	  "flows ended by a timer")                                                                \
	X(FLOWS_SERVER_DOWN, "flows", "server_down", COUNTER_GROWS,                                \
	  b->counts.ended[ENDED_SERVER_DOWN], "flows ended because their server went down")        \
	X(FLOWS_RELOAD, "flows", "reload", COUNTER_GROWS, b->counts.ended[ENDED_RELOAD],           \
	  "flows ended because their farm is gone from the file")                                  \
	X(FLOWS_OPERATOR, "flows", "operator", COUNTER_GROWS, b->counts.ended[ENDED_OPERATOR],     \
	  "flows ended because an operator wanted it")                                             \
	X(FLOWS_EVICTED, "flows", "evicted", COUNTER_GROWS, b->counts.ended[ENDED_EVICTED],        \
	  "half-open flows that made room for newer ones, or for the same client's next")          \
	X(FLOWS_LIMIT, "flows", "limit", COUNTER_GROWS, b->counts.ended[ENDED_LIMIT],              \
	  "flows that were reset when they opened, being more than their client may have")         \
	X(FLOWS_REFUSED, "flows", "refused", COUNTER_GROWS, b->counts.refused,                     \
	  "SYNs to a service port that were turned away")                                          \
	X(FLOWS_HALF_OPEN, "flows", "half_open", COUNTER_GAUGE, b->flows.openings.list.length,     \
	  "live flows whose client hasn't acknowledged the server's SYN yet")                      \
	X(FLOWS_QUARANTINED, "flows", "quarantined", COUNTER_GAUGE, balance_quarantined(b),        \
	  "ended flows whose place and SNAT port still rest")                                      \
	X(FLOWS_QUARANTINE_CUT, "flows", "quarantine_cut", COUNTER_GROWS,                          \
	  b->counts.quarantine_cut, "of those, given up early for their place or port")            \
	X(FLOWS_RESET, "flows", "reset", COUNTER_GAUGE, b->reset,                                  \
	  "closed flows that may still be revived")                                                \
	X(FLOWS_REVIVED, "flows", "revived", COUNTER_GROWS, b->counts.revived,                     \
	  "flows that went on after a reset")                                                      \
	X(FLOWS_RESETS_SENT, "flows", "resets_sent", COUNTER_GROWS, b->counts.resets,              \
	  "TCP resets to the ends of flows that we ended")                                         \
	X(FLOWS_PASSED_OVER, "flows", "passed_over", COUNTER_GROWS, b->counts.passed_over,         \
	  "times that a server wasn't chosen for want of a SNAT port")                             \
	X(FLOWS_OWN_PORT, "flows", "own_port", COUNTER_GROWS, b->counts.own_port,                  \
	  "flows whose SNAT port has the number of the client's own port")                         \
	X(FLOWS_WRONG_SIDE, "flows", "wrong_side", COUNTER_GROWS, b->counts.wrong_side,            \
	  "segments of handshakes in a server's name from where it isn't")                         \
	X(FLOWS_CAPACITY, "flows", "capacity", COUNTER_GAUGE, b->most_open,                        \
	  "flows that may be open at a time")                                                      \
	X(FLOWS_HALF_OPEN_CAPACITY, "flows", "half_open_capacity", COUNTER_GAUGE,                  \
	  b->most_half_open, "flows that may be half-open at a time")                              \
	X(WORKERS_RUNNING, "workers", "running", COUNTER_GAUGE, 1, "threads that share the work")  \
	X(WORKERS_HANDED_OVER, "workers", "handed_over", COUNTER_GROWS,                            \
	  lb_whys(w->lb)[WHY_HANDED_OVER],                                                         \
	  "frames that came to another worker than theirs, and went on to theirs")                 \
	X(WORKERS_NEWS_LOST, "workers", "news_lost", COUNTER_GROWS, w->news_lost,                  \
	  "results of probes, or places, that a worker heard of only at the next time")            \
	X(WORKERS_RUSHES, "workers", "rushes", COUNTER_GROWS, w->rush.times,                       \
	  "times that one went before all other threads, as much was waiting")                     \
	X(ARP_WAITED, "arp", "waited", COUNTER_GROWS, n->waited,                                   \
	  "frames that waited for a server's MAC address")                                         \
	X(ARP_LOST, "arp", "lost", COUNTER_GROWS, n->lost,                                         \
	  "of those, given up, or there was no place to wait")                                     \
	X(ARP_CONFLICTS, "arp", "conflicts", COUNTER_GROWS, w->conflicts,                          \
	  "frames in which somebody claimed an address of ours")                                   \
	X(ARP_MOVES, "arp", "moves", COUNTER_GROWS, n->moves,                                      \
	  "servers that are at another place than before")                                         \
	X(ARP_ATTEMPTS, "arp", "attempts", COUNTER_GROWS, n->attempts,                             \
	  "claims that a server is elsewhere, while it answered where it was")                     \
	X(MLD_MISSED, "mld", "missed", COUNTER_GROWS, w->listener.missed,                          \
	  "queries that were not answered, as too many had been asked at once")                    \
	X(NEIGHBOURS_MOVED, "neighbours", "moved", COUNTER_GROWS, g->counts.moved,                 \
	  "clients and routers on the segment that are somewhere else now")                        \
	X(NEIGHBOURS_EVICTED, "neighbours", "evicted", COUNTER_GROWS, g->counts.evicted,           \
	  "those that were forgotten to make room for others")                                     \
	X(NEIGHBOURS_REFUSED, "neighbours", "refused", COUNTER_GROWS, g->counts.refused,           \
	  "those that found no room")                                                              \
	X(FRAGS_EXPIRED, "frags", "expired", COUNTER_GROWS, lb_frags(w->lb)->expired,              \
	  "fragments that waited for their first one in vain")                                     \
	X(FRAGS_EVICTED, "frags", "evicted", COUNTER_GROWS, lb_frags(w->lb)->evicted,              \
	  "fragmented packets given up half-way for newer ones")                                   \
	X(PERSIST_EVICTED, "persist", "evicted", COUNTER_GROWS, b->persist.evicted,                \
	  "clients that were forgotten before their time")                                         \
	X(LIMITS_DENIED, "limits", "denied", COUNTER_GROWS, b->limits.counts.denied,               \
	  "SYNs of clients that deny lists, or that allow does not")                               \
	X(LIMITS_CONNECTIONS, "limits", "connections", COUNTER_GROWS,                              \
	  b->limits.counts.connections, "SYNs of clients that had their client_connections")       \
	X(LIMITS_RATE, "limits", "rate", COUNTER_GROWS, b->limits.counts.rate,                     \
	  "SYNs of clients beyond their client_rate")                                              \
	X(LIMITS_BLOCKED, "limits", "blocked", COUNTER_GROWS, b->limits.counts.blocked,            \
	  "SYNs of clients that were blocked")                                                     \
	X(LIMITS_IN_KERNEL, "limits", "in_kernel", COUNTER_GROWS, b->limits.counts.elsewhere,      \
	  "SYNs among these that the kernel dropped before they reached the process")              \
	X(LIMITS_BLOCKS, "limits", "blocks", COUNTER_GROWS, b->limits.counts.blocks,               \
	  "times that a client was blocked")                                                       \
	X(LIMITS_CLIENTS, "limits", "clients", COUNTER_GAUGE, b->limits.counts.clients,            \
	  "clients of farms with limits that are remembered")                                      \
	X(LIMITS_FORGOTTEN, "limits", "forgotten", COUNTER_GROWS, b->limits.counts.forgotten,      \
	  "clients with connections, or blocked, for whom there was no room")                      \
	X(CONNLOG_WRITTEN, "connlog", "written", COUNTER_GROWS,                                    \
	  FIRST(connlog_counts(w->connlog).written), "lines of the connection log")                \
	X(CONNLOG_LOST, "connlog", "lost", COUNTER_GROWS,                                          \
	  b->ended.lost + FIRST(connlog_counts(w->connlog).lost),                                  \
	  "lines of the connection log that were lost")                                            \
	X(FAST_PATH_ACTIVE, "fast_path", "active", COUNTER_GAUGE,                                  \
	  FIRST(fastpath_is_active(w->fastpath)), "1 if programs in the kernel carry frames")      \
	X(FAST_PATH_BRIDGED, "fast_path", "bridged", COUNTER_GROWS, f->whys[WHY_NOT_OURS],         \
	  "frames that they let cross")                                                            \
	X(FAST_PATH_FORWARDED, "fast_path", "forwarded", COUNTER_GROWS, f->whys[WHY_FLOW_HIT],     \
	  "segments of open flows that they forwarded")                                            \
	X(FAST_PATH_PUNTED, "fast_path", "punted", COUNTER_GROWS,                                  \
	  f->punted[OUTSIDE] + f->punted[INSIDE], "frames that they gave to the process")

/* X(enumerator, member, kind, value in terms of p, a struct port, what it is): for each side */
#define PORT_COUNTERS(X)                                                                           \
	X(RECEIVED, "received", COUNTER_GROWS, p->counts.received, "frames that came")             \
	X(SENT, "sent", COUNTER_GROWS, p->counts.sent, "frames that were sent")                    \
	X(SEND_FAILED, "send_failed", COUNTER_GROWS, p->counts.send_failed,                        \
	  "frames that the kernel did not take")                                                   \
	X(MISSED, "missed", COUNTER_GROWS, p->counts.missed,                                       \
	  "frames that came, but for which there was no room")                                     \
	X(RECEIVED_BYTES, "received_bytes", COUNTER_GROWS, p->counts.received_bytes,               \
	  "bytes of the frames that came; merged ones have one header")                            \
	X(SENT_BYTES, "sent_bytes", COUNTER_GROWS, p->counts.sent_bytes,                           \
	  "bytes of the frames that were sent")

/* X(enumerator, member, kind, value in terms of s, a struct sched_server, and c, what its flows
 * have carried, what it is): for each server */
#define SERVER_COUNTERS(X)                                                                         \
	X(CONNECTIONS, "connections", COUNTER_GAUGE, s->connections, "live flows")                 \
	X(HALF_OPEN, "half_open", COUNTER_GAUGE, s->half_open, "those that aren't open yet")       \
	X(CONNECTIONS_TOTAL, "connections_total", COUNTER_GROWS, s->connections_total,             \
	  "flows since the start")                                                                 \
	X(CLIENT_BYTES, "client_bytes", COUNTER_GROWS, c->bytes[CLIENT],                           \
	  "bytes that clients sent to it; a live flow is counted by 64 KiB")                       \
	X(SERVER_BYTES, "server_bytes", COUNTER_GROWS, c->bytes[SERVER],                           \
	  "bytes that it sent to clients; likewise")

#define COUNTER_ENUM(enumerator, ...)        COUNTER_##enumerator,
#define PORT_COUNTER_ENUM(enumerator, ...)   PORT_COUNTER_##enumerator,
#define SERVER_COUNTER_ENUM(enumerator, ...) SERVER_COUNTER_##enumerator,
enum counter { COUNTERS(COUNTER_ENUM) NCOUNTERS };
enum port_counter { PORT_COUNTERS(PORT_COUNTER_ENUM) NPORT_COUNTERS };
enum server_counter { SERVER_COUNTERS(SERVER_COUNTER_ENUM) NSERVER_COUNTERS };
#undef COUNTER_ENUM
#undef PORT_COUNTER_ENUM
#undef SERVER_COUNTER_ENUM

/* How a counter is called, and what it is. */
struct counter_name {
	const char *group, *member; /* a port's or server's has no group */
	enum counter_kind kind;
	const char *help;
};

extern const struct counter_name counter_names[NCOUNTERS];
extern const struct counter_name port_counter_names[NPORT_COUNTERS];
extern const struct counter_name server_counter_names[NSERVER_COUNTERS];

#endif
