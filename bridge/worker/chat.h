/*
 * A probe's TCP connection: bytes in, bytes out, and what came of it. No I/O, no clock, no
 * allocation.
 */
#ifndef BRIDGE_CHAT_H
#define BRIDGE_CHAT_H

#include "fault.h"
#include "../../lb/frame.h"
#include "../../lb/script.h"

/* CONNECTS: until the server's SYN. TALKS: until its answer. CLOSES: its verdict is known. */
enum chat_state { CHAT_OVER, CHAT_CONNECTS, CHAT_TALKS, CHAT_CLOSES };

/* A TCP segment, from either end; numbers in host order. data belongs to whoever made it. */
struct chat_segment {
	uint8_t flags; /* TCP_SYN ... */
	uint32_t seq, ack;
	const uint8_t *data;
	uint32_t len; /* of data */
};

enum { CHAT_SAYS_MAX = 2 }; /* segments that one call has to send, at most */

struct chat_says {
	struct chat_segment segments[CHAT_SAYS_MAX];
	unsigned n;
};

/* Where answers that come in pieces are put together; a fixed number of them. */
struct chat_rooms;

struct chat {
	uint8_t state;  /* enum chat_state */
	uint8_t tries;  /* how often it has sent what isn't answered yet; 0 of a SYN: it hasn't been
	                   sent */
	uint8_t anew;   /* times that it has begun anew as it met what was left over */
	bool closed;    /* the server has sent FIN */
	uint16_t acked; /* bytes of ours behind the SYN that the server has acknowledged, the FIN
	                   included */
	uint16_t nheard; /* bytes of the answer so far, or, while it CLOSES, behind it */
	uint32_t room;   /* in which the former are; 0: none */
	uint32_t isn, rcv_next;
	lb_time began, sent;
};

/* What a conversation goes by. */
struct chat_terms {
	const struct script *script; /* NULL: it is good as soon as the server accepts */
	uint64_t timeout_ns;         /* for all of it */
	struct chat_rooms *rooms;
};

enum chat_end { CHAT_GOES_ON, CHAT_GOOD, CHAT_BAD };

/*
 * What has come of a call. GOOD and BAD come once in each conversation. heard are the nheard bytes
 * of the answer so far, which live until the next call for any.
 */
struct chat_result {
	enum chat_end end;
	enum fault_kind fault; /* if BAD */
	const uint8_t *heard;
	unsigned nheard;
};

/* Returns NULL if memory runs out. */
struct chat_rooms *chat_rooms_new(unsigned n);
void chat_rooms_free(struct chat_rooms *rooms);

/* How often a server's segment wasn't taken for want of room, so that it had to send it again. */
uint64_t chat_rooms_missed(const struct chat_rooms *rooms);

/* Begins. Nothing is sent before chat_connect(), as the server's place may not be known yet. */
void chat_begin(struct chat *chat, uint32_t isn, lb_time now);

/* Sends a SYN, again if there was one. */
void chat_connect(struct chat *chat, lb_time now, struct chat_says *says);

/* Sends again what wasn't answered, or gives up: to be called when chat_due() says. */
struct chat_result chat_poll(struct chat *chat, const struct chat_terms *terms, lb_time now,
                             struct chat_says *says);

/* Takes a segment that has come from the server. */
struct chat_result chat_take(struct chat *chat, const struct chat_terms *terms,
                             const struct chat_segment *segment, lb_time now,
                             struct chat_says *says);

/* Notes that by ICMP the segment of this number couldn't reach the server. */
struct chat_result chat_unreachable(struct chat *chat, const struct chat_terms *terms,
                                    uint32_t seq);

/* Forgets the conversation, and gives its room back; nothing is sent. */
void chat_drop(struct chat *chat, const struct chat_terms *terms);

/* The time from which an answer comes too late. */
lb_time chat_late(const struct chat *chat, const struct chat_terms *terms);

/* When chat_poll() is due; not of one that is over. */
lb_time chat_due(const struct chat *chat, const struct chat_terms *terms);

/* Sets says to the answer to a segment that belongs to no conversation (any more), a RST; or to
 * none if it needs none. */
void chat_stray(const struct chat_segment *segment, struct chat_says *says);

#endif
