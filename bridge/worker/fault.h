/*
 * What is wrong with a server, as a probe has found.
 */
#ifndef BRIDGE_FAULT_H
#define BRIDGE_FAULT_H

#include "../../lb/rules.h"

/* X(enumerator, name in the statistics, text) */
#define FAULTS(X)                                                                                  \
	X(FAULT_NONE, "none", "answers")                                                           \
	/* a RST instead of a SYN */                                                               \
	X(FAULT_REFUSED, "refused", "connection refused")                                          \
	/* neither */                                                                              \
	X(FAULT_NO_ANSWER, "no_answer", "no answer")                                               \
	/* nor to ARP or neighbour discovery */                                                    \
	X(FAULT_NO_ARP, "no_arp", "no ARP reply")                                                  \
	/* ICMP says that it can't be reached */                                                   \
	X(FAULT_UNREACHABLE, "unreachable", "ICMP says that it can't be reached")                  \
	/* it accepts, and then says nothing */                                                    \
	X(FAULT_SILENT, "silent", "accepts connections, but doesn't answer")                       \
	/* it accepts, and closes or resets before it has said anything */                         \
	X(FAULT_CLOSED, "closed_early", "closes the connection without an answer")                 \
	/* it says something else */                                                               \
	X(FAULT_UNEXPECTED, "unexpected", "unexpected answer")                                     \
	/* its agent says so */                                                                    \
	X(FAULT_AGENT, "agent", "the agent says that it is down")                                  \
	/* no probe, but somebody who knows better */                                              \
	X(FAULT_SAID, "said", "an operator says")

#define FAULT_ENUM(enumerator, ...) enumerator,
enum fault_kind { FAULTS(FAULT_ENUM) NFAULTS };
#undef FAULT_ENUM

enum {
	FAULT_HEARD_MAX = 40
}; /* bytes of an unexpected answer, or of what an operator says, that are kept */

struct fault {
	uint8_t kind;      /* enum fault_kind */
	uint8_t icmp_code; /* FAULT_UNREACHABLE: RFC 792 and RFC 1122, or RFC 4443 */
	uint8_t nheard;    /* FAULT_UNEXPECTED, FAULT_SAID: what it began with */
	uint8_t heard[FAULT_HEARD_MAX];
	be16 port;      /* that was probed */
	char check[24]; /* how: the first word of `check`, cut to fit; empty: connect */
	bool ipv6;      /* of the server */
	lb_time at;     /* when that was */
};

/* Of one server: the last one, none before the first, and how many of each kind. */
struct server_faults {
	struct fault last;
	uint32_t n[NFAULTS];
};

const char *fault_name(enum fault_kind kind);

/* Notes that n bytes at heard have come instead of what was wanted. */
void fault_set_heard(struct fault *fault, const uint8_t *heard, unsigned n);

enum { FAULT_TEXT_BYTES = 4 * FAULT_HEARD_MAX + 128 };

/* `unexpected answer "\x15\x03"`, and the same behind `port 5061 tls: `: in printable ASCII. */
const char *fault_why(const struct fault *fault, char ret[FAULT_TEXT_BYTES]);
const char *fault_text(const struct fault *fault, char ret[FAULT_TEXT_BYTES]);

#endif
