/*
 * A worker's figures, copied by its own thread between two bursts: so they belong together.
 */
#ifndef BRIDGE_FIGURES_H
#define BRIDGE_FIGURES_H

#include "counters.h"
#include "worker.h"

/* Of a server, as the first worker knows it, which sends all probes. */
struct figures_health {
	struct health_server health;
	struct server_faults faults;
};

struct figures {
	uint64_t whys[LB_NWHYS]; /* by enum lb_why */
	uint64_t counters[NCOUNTERS];
	uint64_t ports[NSIDES][NPORT_COUNTERS];
	struct times bursts;
	struct server_times *times;            /* by rules.servers[] */
	uint64_t (*servers)[NSERVER_COUNTERS]; /* by rules.servers[] */
	uint64_t *snat_in_use;                 /* by farm, and by SNAT address within it */
	struct figures_health *healths;        /* by rules.servers[]; the first worker's only */
	struct firewall_counts filters[RULES_FILTERS_MAX]; /* by rules.filters[] */
	bool *farm_up;                                     /* by rules.farms[]; likewise */
};

/* Makes room for a worker's figures under these rules, all 0. Returns 0 or -ENOMEM; figures_free()
 * is due in either case. */
int figures_init(struct figures *figures, const struct rules *rules);
void figures_free(struct figures *figures);

/* Copies worker's, by its own thread or while it stands still; the rules are those that there is
 * room for. */
void figures_take(struct figures *figures, struct worker *worker);

/* Adds another worker's, of the same rules. */
void figures_add(struct figures *sum, const struct figures *figures, const struct rules *rules);

#endif
