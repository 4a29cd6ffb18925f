/*
 * Which server belongs to a client, or to a connection: the one with the least score.
 */
#ifndef LB_SCORE_H
#define LB_SCORE_H

#include "rules.h"

/* The client that begins a connection: his address, or its ip6_digest(), and his port, which is 0
 * for `source`. */
struct asker {
	be32 client;
	be16 port;
};

/* The server's score; or, sooner, any number above best if the score isn't below it. The server's
 * weight mustn't be 0. */
uint64_t score_of(const struct rules *rules, unsigned server, const struct asker *asker,
                  uint64_t best);

#endif
