/*
 * Replaying captures: the clock is the frames' timestamps.
 *
 * Both sides' frames are merged by time, the outside's first among equals. Between two frames the
 * engine's clock moves in steps, as it does live, so that what time causes happens when it should;
 * when nothing is left that time could change, the rest of a gap is skipped. A timestamp that goes
 * back doesn't take the clock back.
 *
 * There is one worker, whatever lb.ini says: the order of frames is all that counts. But a bundle
 * has as many as the process that it is of. Then the first one gets all frames, and hands over
 * those that belong to others, who decide as theirs did.
 *
 * The engine begins a little before the first frame. So what it does by the clock, above all its
 * probes, is never later than when the captures were taken live, and the answers in them come
 * after.
 */
#include "offline.h"

#include "recall.h"

#include "port/capture.h"
#include "worker/burst.h"
#include "worker/duties.h"
#include "operator/stats.h"
#include "process/log.h"
#include "operator/statsfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
static uint64_t next_step(const struct workers *workers, lb_time now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned k = 0; k < workers->n; k++) {
		const struct worker *worker = &workers->worker[k];
		uint64_t due = duties_due(worker).ns;

		if (due <= now.ns)
			due = now.ns + LB_NS_PER_MS;
		if (lb_is_busy(worker->lb) && now.ns + OFFLINE_STEP_NS < due)
			due = now.ns + OFFLINE_STEP_NS;
		next = due < next ? due : next;
	}
	return next;
}

/* Has workers take what they have sent to each other, until nothing is left. */
static void settle(const struct workers *workers, lb_time now)
{
	bool any = workers->n > 1;

	while (any) {
		any = false;
		for (unsigned k = 0; k < workers->n; k++)
			any |= burst_take_inbox(&workers->worker[k], now);
	}
}

static void tick(const struct workers *workers, lb_time now)
{
	for (unsigned k = 0; k < workers->n; k++)
		duties_tick(&workers->worker[k], now);
	settle(workers, now);
}

static lb_time advance(const struct workers *workers, lb_time now, lb_time to)
{
	uint64_t step;

	if (to.ns > now.ns && to.ns - now.ns > OFFLINE_GAP_NS)
		now.ns = to.ns - OFFLINE_GAP_NS;
	while ((step = next_step(workers, now)) < to.ns) {
		now.ns = step;
		tick(workers, now);
	}
	if (now.ns < to.ns)
		now = to;
	tick(workers, now);
	return now;
}

/* Replays all frames. recalled: the workers are as a bundle has them, and send nothing of what is
 * sent at a start. */
static void replay(const struct workers *workers, bool recalled, lb_time *now)
{
	struct worker *worker = &workers->worker[0];
	struct frame frames[PORT_BURST];
	struct port *port;
	lb_time time;

	if (!recalled)
		duties_start(worker, *now);
	while ((port = next_port(worker->ports, &time))) {
		*now = advance(workers, *now, time);
		burst_decide(worker, frames, port->ops->receive(port, frames), *now);
		settle(workers, *now);
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

/* Replays, and says how it went. */
static int run(const struct options *options, struct workers *workers, bool recalled, lb_time start)
{
	lb_time now = start;

	replay(workers, recalled, &now);
	workers_finish(workers, false, now);
	return options->stats ? write_stats(options->stats, workers, start, now) : 0;
}

static int replay_ports(const struct options *options, struct rules *rules,
                        struct port *ports[NSIDES], struct recall *recall)
{
	workers_ports all_ports[RULES_WORKERS_MAX];
	const struct hash_key *key = recall ? recall_key(recall) : &options->key;
	const struct share *share = recall ? recall_share(recall) : &share_whole;
	struct workers workers;
	lb_time start = {0};
	int err;

	if (!next_port(ports, &start) && recall)
		start = recall_begun(recall);
	else if (start.ns > OFFLINE_LEAD_NS)
		start.ns -= OFFLINE_LEAD_NS;
	for (unsigned k = 0; k < share->n; k++)
		memcpy(all_ports[k], ports,
		       sizeof(all_ports[k])); /* the same ones: they take turns */
	if (recall)
		recall_rules(recall, rules);
	err = workers_init(&workers, rules, key, all_ports, share, NULL, false, start);
	if (err < 0) {
		rules_free(rules);
		return err;
	}
	if (recall)
		err = recall_workers(recall, &workers, start);
	if (!err)
		err = run(options, &workers, recall, start);
	workers_free(&workers);
	return err;
}

/* The ports' own, by enum side. */
static void find_macs(const struct rules *rules, const struct recall *recall,
                      struct mac ret[NSIDES])
{
	ret[OUTSIDE] = rules->has_outside_mac ? rules->outside_mac : default_macs[OUTSIDE];
	ret[INSIDE] = rules->has_inside_mac ? rules->inside_mac : default_macs[INSIDE];
	for (unsigned side = 0; recall && side < NSIDES; side++)
		ret[side] = recall_macs(recall)[side];
}

static bool is_possible(const struct options *options, const struct rules *rules)
{
	if (rules->mode != MODE_ONE_ARMED || !options->read[INSIDE] || options->bundle)
		return true;
	log_error("%s: mode = one-armed has one side, and one capture", options->read[INSIDE]);
	return false;
}

int offline_run(const struct options *options, struct rules *rules)
{
	struct recall *recall = NULL;
	struct mac macs[NSIDES];
	struct port *ports[NSIDES] = {NULL, NULL};
	int err = is_possible(options, rules) ? 0 : -EINVAL;

	if (!err && options->bundle)
		err = recall_read(options->bundle, &recall);
	find_macs(rules, recall, macs);
	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = capture_open((enum side)side, options->read[side], options->write[side],
		                   macs[side], &ports[side]);
	if (!err)
		err = replay_ports(options, rules, ports, recall);
	else
		rules_free(rules);
	recall_free(recall);
	for (unsigned side = 0; side < NSIDES; side++)
		if (ports[side] && capture_close(ports[side]) < 0)
			err = -EIO;
	return err;
}
