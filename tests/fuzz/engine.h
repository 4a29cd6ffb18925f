/*
 * An engine with four small farms for the fuzzers: few flows, few ports, few addresses, so that
 * everything collides.
 *
 * Addresses are 10.0.0.N or 2001:db8::N. VIP .40: ports 80 and 443, two SNAT addresses (.40 and
 * .140) with six ports each, two checked servers .41 and .42, persistence. VIP .50: the same ports,
 * snat = off, one unchecked server .51. The same two in IPv6. The other set of rules, to which a
 * reload goes and from which it comes back, lacks the servers .42 and the farms .50, and has
 * servers .43.
 *
 * It begins with an established flow on each farm, from client .38 and port 5000, the server's SNAT
 * port being 2000 to 2005.
 */
#ifndef FUZZ_ENGINE_H
#define FUZZ_ENGINE_H

#include "ensure.h"
#include "../../lb/lb.h"

enum {
	ENGINE_VIP = 40,
	ENGINE_SERVER = 41,
	ENGINE_VIP_NO_SNAT = 50,
	ENGINE_SERVER_NO_SNAT = 51,
	ENGINE_SNAT = 140, /* beside the VIP */
	ENGINE_CLIENT = 38,
	ENGINE_SERVICE = 80,
	ENGINE_CLIENT_PORT = 5000,
	ENGINE_SNAT_PORT = 2000,  /* the first of six */
	ENGINE_CLIENT_SEQ = 1000, /* the next sequence numbers of all flows at the start */
	ENGINE_SERVER_SEQ = 1000,
};

/* Ready for frames, at time 1 s; option, of any value, chooses scheduler, on_idle, on_down and
 * limits. There is one engine at a time, and it is always the same for the same option. */
struct lb *engine_new(uint8_t option);
void engine_free(void);

/* Where it keeps which SYNs it is known to drop; or NULL: it has no limits for clients. */
struct barred *engine_barred(void);

/* Frames that it got to open its flows. */
uint64_t engine_frames(void);

/*
 * The same engine, its arrays in table; and another one that adopts them, as they are then, with
 * the same or the other rules. NULL if they are none that can be adopted.
 */
struct lb *engine_new_shared(uint8_t option, struct table *table);
struct lb *engine_adopt(struct table *table, bool other, lb_time now, struct adoption *ret);

/* Goes over to the other of the two sets of rules. */
void engine_reload(struct lb *lb, lb_time now);

#endif
