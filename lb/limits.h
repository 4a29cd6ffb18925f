/*
 * Which clients may begin a connection: lists of addresses, and how many connections each client
 * may have and may begin in a second.
 *
 * A client is an IPv4 address or an IPv6 /64, for each farm by itself.
 */
#ifndef LB_LIMITS_H
#define LB_LIMITS_H

#include "barred.h"
#include "own.h"
#include "rules.h"
#include "tuple.h"
#include "why.h"

enum {
	LIMITS_CLIENTS = 65536, /* that are remembered */
	LIMITS_WAYS = 8,        /* places where one may stand */
	LIMITS_OVER = 64,       /* flows that wait for their resets */
};

#define LIMITS_TENTH_NS (LB_NS_PER_S / 10)

/* The times are those up to which connections are paid for: see limits.c. */
struct limits_client {
	uint64_t key;       /* its address, or the first half of that */
	int64_t asked_ns;   /* by SYNs, which may be anybody's */
	int64_t opened_ns;  /* by connections that it has opened */
	uint32_t blocked_t; /* until then, in tenths of a second */
	uint16_t farm;      /* rules.farms[farm], or LIMITS_NO_FARM: the place is free */
	uint16_t open;      /* connections that are open */
};

#define LIMITS_NO_FARM UINT16_MAX
static_assert(RULES_FARMS_MAX < LIMITS_NO_FARM, "client.farm");

struct limits_counts {
	uint64_t denied, connections, rate, blocked; /* SYNs, by what refused them */
	uint64_t blocks;                             /* times that a client was blocked */
	uint64_t over;      /* connections that opened beyond the limit, and were reset */
	uint64_t forgotten; /* clients with connections, or blocked, for whom there was no room */
	uint64_t clients;   /* that are remembered now */
	uint64_t elsewhere; /* those of denied, connections, rate and blocked that a program dropped
	                       before the engine */
};

/* A flow whose ends are to be told that it has been ended. */
struct limits_reset {
	uint32_t flow;
	uint64_t created_ms;
};

struct limits {
	struct limits_client *clients; /* NULL: there is no room for any */
	struct hash_key key;
	struct limits_counts counts;
	struct limits_reset resets[LIMITS_OVER];
	unsigned nresets;
	struct barred *barred; /* where entries of clients are taken back; NULL: nowhere */
};

/* Who asks. */
struct limits_asker {
	const struct rules *rules;
	unsigned farm;
	uint64_t key;
	bool exempt;
};

/* With no room for clients: nobody is remembered, so that nobody has too much of anything. */
void limits_begin(struct limits *limits, const struct hash_key *key);

/* The bytes of that room, aligned to ARENA_ALIGN; and gives the room, which must stay. */
size_t limits_size(void);
void limits_use(struct limits *limits, void *mem);

/* How many clients there is room for. */
static inline unsigned limits_places(const struct limits *limits)
{
	return limits->clients ? LIMITS_CLIENTS : 0;
}

/* If the farm limits its clients in any way. */
static inline bool limits_any(const struct rules_farm *farm)
{
	return farm->access.n || farm->client_connections || farm->client_rate;
}

/* If any farm does. */
static inline bool limits_any_farm(const struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (limits_any(&rules->farms[f]))
			return true;
	return false;
}

/* An address, of IPv4 as ip6_mapped(), as limits_client.key. */
static inline uint64_t limits_key(bool is_ipv6, const struct ip6 *ip)
{
	return is_ipv6 ? (uint64_t)be32_get(be32_load(ip->b)) << 32 |
	                         be32_get(be32_load(ip->b + sizeof(be32)))
	               : be32_get(be32_load(ip->b + 12));
}

/* ip: of IPv4 as ip6_mapped(). */
struct limits_asker limits_asker(const struct rules *rules, unsigned farm, const struct ip6 *ip);

/*
 * Judges a SYN of the client's: returns WHY_FLOW_NEW if it may begin a connection, or what refuses
 * it. Blocks the client if that is because he has opened too many.
 */
enum lb_why limits_judge(struct limits *limits, const struct limits_asker *asker,
                         const struct ip6 *ip, lb_time now);

/*
 * What will go on to refuse the client, whom limits_judge() has just refused. Sets *ret_until to
 * when that ends if nothing else is noted of him.
 */
enum lb_why limits_foresee(const struct limits *limits, const struct limits_asker *asker,
                           const struct ip6 *ip, lb_time now, lb_time *ret_until);

/*
 * Notes that the client has begun a connection; that it is open, as a packet proves that only he
 * can have sent (false: it is one too many); that an open one has ended; that one that had ended
 * goes on after all.
 */
void limits_begun(struct limits *limits, const struct limits_asker *asker, lb_time now);
bool limits_opened(struct limits *limits, const struct limits_asker *asker, lb_time now);
void limits_closed(struct limits *limits, const struct limits_asker *asker);
void limits_revived(struct limits *limits, const struct limits_asker *asker, lb_time now);

/*
 * Notes that the flow was one too many and has been ended, for RSTs to be sent to its ends
 * (expire_doomed()). False if LIMITS_OVER wait already: then its ends get a RST with the next
 * packet that they send.
 */
void limits_doom(struct limits *limits, uint32_t flow, uint64_t created_ms);

/* What had been noted of a client in a time that is gone on with; how many connections it has open
 * isn't part of it. */
void limits_recall(struct limits *limits, const struct limits_asker *asker, int64_t asked_ns,
                   int64_t opened_ns, lb_time blocked, lb_time now);

/*
 * Goes over to other rules: map gives the new number of each of nfarms farms, or LIMITS_NO_FARM. A
 * client of several that become one keeps what was worst.
 * The counts of open connections are set to 0: the caller counts them anew by limits_revived().
 */
void limits_renumber(struct limits *limits, const uint16_t *map, unsigned nfarms);

#endif
