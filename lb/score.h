/*
 * Which server belongs to a client, or to a connection: the one with the least score.
 */
#ifndef LB_SCORE_H
#define LB_SCORE_H

#include "rules.h"

/* Who asks: his address, or its ip6_digest(), and his port, which is 0 for `source`. */
struct asker {
	be32 client;
	be16 port;
};

/* The server's score, or more than best if it may be no less than that. Its weight isn't 0. */
uint64_t score_of(const struct rules *rules, unsigned server, const struct asker *asker,
                  uint64_t best);

#endif
