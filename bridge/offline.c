/*
 * Replaying captures: the clock is the frames' timestamps.
 *
 * Both sides' frames are merged by time, the outside's first among equals. Between two frames the
 * engine's clock moves in steps, as it does live, so that what time causes happens when it should;
 * when nothing is left that time could change, the rest of a gap is skipped. A timestamp that goes
 * back doesn't take the clock back.
 *
 * There is one worker, whatever lb.ini says: the order of frames is all that counts.
 *
 * The engine begins a little before the first frame. So what it does by the clock, above all its
 * probes, is never later than when the captures were taken live, and the answers in them come
 * after.
 */
#include "offline.h"

#include "port/capture.h"
#include "worker/burst.h"
#include "worker/duties.h"
#include "operator/stats.h"
#include "process/log.h"
#include "operator/statsfile.h"

#include <errno.h>
#include <stdlib.h>

#define OFFLINE_STEP_NS (100 * LB_NS_PER_MS)
#define OFFLINE_LEAD_NS (10 * LB_NS_PER_MS)
/* A gap that is longer than this is damage, or two captures: nobody wants its probes. */
#define OFFLINE_GAP_NS (24 * 3600 * LB_NS_PER_S)

/* For captures whose lb.ini doesn't say: the defaults of outside_mac and inside_mac. */
static const struct mac default_macs[NSIDES] = {
        [OUTSIDE] = {{0x02, 0, 0, 0, 0, 0x01}},
        [INSIDE] = {{0x02, 0, 0, 0, 0, 0x02}},
};

/* The port that has the earliest next frame, or NULL, and its time. */
static struct port *next_port(struct port *ports[NSIDES], lb_time *ret)
{
	struct port *best = NULL;
	lb_time time;

	for (unsigned i = 0; i < NSIDES; i++) {
		if (!capture_next(ports[i], &time) || (best && time.ns >= ret->ns))
			continue;
		best = ports[i];
		*ret = time;
	}
	return best;
}

/* When to stop next between two frames. */
static uint64_t next_step(const struct worker *worker, lb_time now)
{
	uint64_t due = duties_due(worker).ns;
	uint64_t step = lb_is_busy(worker->lb) ? now.ns + OFFLINE_STEP_NS : UINT64_MAX;

	if (due <= now.ns)
		due = now.ns + LB_NS_PER_MS;
	return due < step ? due : step;
}

static lb_time advance(struct worker *worker, lb_time now, lb_time to)
{
	uint64_t step;

	if (to.ns > now.ns && to.ns - now.ns > OFFLINE_GAP_NS)
		now.ns = to.ns - OFFLINE_GAP_NS;
	while ((step = next_step(worker, now)) < to.ns) {
		now.ns = step;
		duties_tick(worker, now);
	}
	if (now.ns < to.ns)
		now = to;
	duties_tick(worker, now);
	return now;
}

static void replay(struct worker *worker, lb_time *now)
{
	struct frame frames[PORT_BURST];
	struct port *port;
	lb_time time;

	duties_start(worker, *now);
	while ((port = next_port(worker->ports, &time))) {
		*now = advance(worker, *now, time);
		burst_decide(worker, frames, port->ops->receive(port, frames), *now);
	}
}

static int write_stats(const char *path, const struct workers *workers, lb_time start, lb_time now)
{
	struct snapshot snapshot;
	int err = snapshot_offline(&snapshot, workers, start, now);
	char *text;

	if (err)
		return err;
	snapshot_look_at_snat(&snapshot, workers);
	text = stats_text(&snapshot);
	err = text ? statsfile_write(text, path) : -ENOMEM;
	free(text);
	snapshot_free(&snapshot);
	return err;
}

static int replay_ports(const struct options *options, struct rules *rules,
                        struct port *ports[NSIDES])
{
	const workers_ports all_ports[1] = {{ports[OUTSIDE], ports[INSIDE]}};
	struct workers workers;
	lb_time start = {0}, now;
	int err;

	if (next_port(ports, &start) && start.ns > OFFLINE_LEAD_NS)
		start.ns -= OFFLINE_LEAD_NS;
	err = workers_init(&workers, rules, &options->key, all_ports, &share_whole, NULL, false,
	                   start);
	if (err < 0) {
		rules_free(rules);
		return err;
	}
	now = start;
	replay(&workers.worker[0], &now);
	workers_finish(&workers, false, now);
	if (options->stats)
		err = write_stats(options->stats, &workers, start, now);
	workers_free(&workers);
	return err;
}

int offline_run(const struct options *options, struct rules *rules)
{
	const struct mac macs[NSIDES] = {
	        [OUTSIDE] = rules->has_outside_mac ? rules->outside_mac : default_macs[OUTSIDE],
	        [INSIDE] = rules->has_inside_mac ? rules->inside_mac : default_macs[INSIDE],
	};
	struct port *ports[NSIDES] = {NULL, NULL};
	int err = 0;

	if (rules->mode == MODE_ONE_ARMED && options->read[INSIDE]) {
		log_error("%s: mode = one-armed has one side, and one capture",
		          options->read[INSIDE]);
		rules_free(rules);
		return -EINVAL;
	}
	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = capture_open((enum side)side, options->read[side], options->write[side],
		                   macs[side], &ports[side]);
	if (!err)
		err = replay_ports(options, rules, ports);
	else
		rules_free(rules);
	for (unsigned side = 0; side < NSIDES; side++)
		if (ports[side] && capture_close(ports[side]) < 0)
			err = -EIO;
	return err;
}
