/*
 * Which servers are up, as the probes say.
 */
#ifndef LB_HEALTH_H
#define LB_HEALTH_H

#include "agent.h"
#include "arena.h"
#include "rules.h"

enum health_verdict { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

/* A returning server's share grows to its whole weight in this many steps over this time. */
enum { HEALTH_RAMP_STEPS = 16, HEALTH_RAMP_S = 30 };

/* One checked port of one server. */
struct health_check {
	uint8_t verdict; /* enum health_verdict */
	bool failed;     /* the last probe */
	bool foreign;    /* not one that the server had in its own file, which it is gone from; nor
	                    has a probe of it been good since */
	uint32_t streak; /* results in a row that contradict the verdict */
	uint64_t began;  /* health.reports when the first of these came */
};

struct health_server {
	uint8_t verdict; /* enum health_verdict */
	bool failing;    /* the last probe of a check of it failed, and the rules have it */
	bool kept;       /* counts as up though its checks say down, by `all_down = keep` */
	uint8_t forced;  /* a verdict that counts instead, as an operator wants it; HEALTH_UNKNOWN:
	                    none */
	bool late;       /* wasn't there from the start: ramps up like one that was down */
	lb_time since;   /* of this verdict */
	lb_time ramp;    /* when the ramp began; 0: none */
	uint64_t probes_ok, probes_failed;
	uint64_t good; /* health.reports when its last probe, and all its other checks, were good */
	uint32_t check; /* its first in health.checks */
	struct agent agent;
};

/* Of a farm's servers, those that are left (rules_is_left()) not counted. */
struct health_farm {
	uint16_t servers, failing;
	uint16_t kept; /* servers that count as up by `all_down = keep` alone */
};

struct health {
	const struct rules *rules;
	struct health_server *servers; /* by rules.servers[] */
	struct health_check *checks;
	struct health_farm *farms; /* by rules.farms[] */
	uint64_t changes; /* counts each change of a verdict or ramp: whoever keeps a result of
	                     these sees if it is out of date */
	uint64_t reports; /* counts results of probes: says which of two came first */
};

/* Takes its state from arena; servers with nothing to check are up, the others unknown. */
void health_lay_out(struct health *health, struct arena *arena, const struct rules *rules,
                    lb_time now);

static inline enum health_verdict health_of(const struct health *health, unsigned server)
{
	return (enum health_verdict)health->servers[server].verdict;
}

/*
 * Notes the result of a probe of the server's check (an index of its farm's checks). True if the
 * server's verdict changed.
 */
bool health_report(struct health *health, unsigned server, unsigned check, bool ok, lb_time now);

/* If the server is up, and its agent lets it have new connections. */
static inline bool health_takes(const struct health *health, unsigned server)
{
	return health_of(health, server) == HEALTH_UP && agent_lets(&health->servers[server].agent);
}

/* Notes what the server's agent says. True if the server's verdict changed. */
bool health_agent(struct health *health, unsigned server, const struct agent *agent, lb_time now);

/*
 * Sets a verdict that counts instead of the probes'; with HEALTH_UNKNOWN theirs counts again. True
 * if the server's verdict changed.
 */
bool health_force(struct health *health, unsigned server, enum health_verdict verdict, lb_time now);

/* Sets what was known of a server beside its verdict, as a recording has it (bridge/recall.c): what
 * its agent had said, and when its ramp began. */
void health_recall(struct health *health, unsigned server, const struct agent *agent, lb_time ramp);

/* If the last results of the check contradict its verdict, so that it is worth probing sooner. */
bool health_in_doubt(const struct health *health, unsigned server, unsigned check);

/* How much of its weight the server counts with now: 1 to HEALTH_RAMP_STEPS. */
unsigned health_ramp(const struct health *health, unsigned server, lb_time now);

/* When that is next going to change by itself; UINT64_MAX: never. */
lb_time health_ramp_until(const struct health *health, unsigned server, lb_time now);

/*
 * Takes over what old knew of its server from_server as to_server: the same checks, times
 * and counts. Of one that has been disabled, or that was disabled or gone and comes back, only the
 * counts and the verdict that is forced: what nobody has checked isn't believed. Nor does a server
 * that is gone from the file fail by checks that are new since.
 */
void health_inherit(struct health *health, unsigned to_server, const struct health *old,
                    unsigned from_server);

const char *health_name(enum health_verdict verdict);

#endif
