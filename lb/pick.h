/*
 * Which server gets the next connection: the schedulers.
 */
#ifndef LB_PICK_H
#define LB_PICK_H

#include "sched.h"

/*
 * The server for the farm's next connection, or SERVER_NONE if none may take it. client is the
 * address that asks, or of an IPv6 one the ip6_digest(), and port the one that it asks from. A
 * server that is full (sched_is_full()) comes after all that are not. Nothing is counted by that:
 * sched_opened() is the caller's to call.
 */
uint16_t pick_server(struct sched *sched, unsigned farm, be32 client, be16 port, lb_time now);

/* If that server will do; of is what was given to pick_server_if(). */
typedef bool pick_test(const void *of, unsigned server);

/* The same of those servers that pass the test, which is asked of one after the other: for when the
 * first choice won't do. */
uint16_t pick_server_if(struct sched *sched, unsigned farm, be32 client, be16 port, lb_time now,
                        pick_test *test, const void *of);

/* A guess at what pick_server() will return, for prefetching; or SERVER_NONE, where a guess would
 * cost as much as the choice. */
uint16_t pick_foresee(const struct sched *sched, unsigned farm);

#endif
