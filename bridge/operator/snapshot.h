/*
 * All figures at one moment, for whoever shows them.
 */
#ifndef BRIDGE_SNAPSHOT_H
#define BRIDGE_SNAPSHOT_H

#include "overrides.h"
#include "../worker/crew.h"
#include "../worker/figures.h"

struct rates;

struct snapshot {
	const struct rules *rules; /* borrowed: up to the next reload */
	struct port *const *ports; /* likewise, by enum side: of the first worker */
	lb_time taken, started;    /* of the clock that the workers go by */
	uint64_t offset;           /* ns, by which the time of day is ahead of it */
	struct figures sum;        /* over all workers */
	struct snat_fill *fullest; /* by rules.farms[]; or NULL: snapshot_look_at_snat() */
	const struct rates *rates; /* likewise */
	bool bypass;
	const struct overrides *overrides; /* of the rules; or NULL: nobody asks for them */
};

/*
 * Takes a snapshot of crew's workers, whether they run or not; started is when they began. Waits
 * for each worker to copy its figures, and no worker waits. Returns 0, or a negative errno:
 * -ETIMEDOUT if a worker doesn't move. snapshot_free() is due if it is 0.
 */
int snapshot_take(struct snapshot *ret, struct crew *crew, lb_time started);

/* The same of workers without threads, whose ports aren't interfaces, at time now. */
int snapshot_offline(struct snapshot *ret, const struct workers *workers, lb_time started,
                     lb_time now);

void snapshot_free(struct snapshot *snapshot);

/* Finds the fullest set of SNAT ports of each farm. It goes over all of them, by the caller's own
 * thread, which is the one that reloads. Without memory it finds none. */
void snapshot_look_at_snat(struct snapshot *snapshot, const struct workers *workers);

/* The sum of the frames of an act. */
uint64_t snapshot_frames(const struct snapshot *snapshot, enum lb_act act);

/* All frames but those that went on to another worker, and are counted there. */
uint64_t snapshot_received(const struct snapshot *snapshot);

/* Of that server, as the statistics have it: one that is disabled isn't checked. */
enum health_verdict snapshot_health(const struct snapshot *snapshot, unsigned server);

#endif
