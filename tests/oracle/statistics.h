/*
 * The engine's counters as the statistics show them, gathered in one place: all that the oracle
 * knows of the engine besides lb.h.
 */
#ifndef ORACLE_STATISTICS_H
#define ORACLE_STATISTICS_H

#include "../../bridge/worker/counters.h"
#include "../../lb/lb.h"

enum { STATISTICS_SERVERS = 16, STATISTICS_SNAT = 16 };

struct statistics {
	uint64_t whys[LB_NWHYS];
	uint64_t ended[ENDED_WHYS];
	uint64_t counters[NCOUNTERS]; /* those of the process are 0, and one worker is running */
	struct {
		uint32_t connections;
		uint64_t total, ok, failed;
		enum health_verdict health;
	} servers[STATISTICS_SERVERS];
	uint32_t ports_in_use[STATISTICS_SNAT]; /* by farm and SNAT address */
};

void statistics_read(const struct lb *lb, struct statistics *ret);

#endif
