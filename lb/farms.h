/*
 * The running state that hangs on the rules: which addresses are whose, which servers are up and
 * how loaded, which SNAT ports are taken. A reload makes another one and moves over.
 */
#ifndef LB_FARMS_H
#define LB_FARMS_H

#include "address.h"
#include "health.h"
#include "rules.h"
#include "sched.h"
#include "share.h"
#include "snat.h"

struct farms {
	const struct rules *rules;
	struct share share;
	struct addresses addresses;
	struct health health;
	struct sched sched;
	struct snat snat;
};

/* The bytes of memory, aligned to ARENA_ALIGN, that farms_init() needs for rules. */
size_t farms_size(const struct rules *rules);

/* Makes one worker's state in mem. rules must stay. */
struct farms *farms_init(void *mem, const struct rules *rules, const struct share *share,
                         const struct hash_key *key, lb_time now);

static inline const struct rules_farm *farms_of_server(const struct farms *farms, unsigned server)
{
	return &farms->rules->farms[farms->rules->servers[server].farm];
}

#endif
