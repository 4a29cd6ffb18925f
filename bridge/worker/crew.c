/*
 * Changes to all workers are made while all of them stand still. They stop together, so that no
 * worker hands a frame to one that has stopped for good.
 */
#include "crew.h"

#include "burst.h"
#include "../port/packet.h"
#include "../port/fanout.h"
#include "../../lb/way.h"
#include "../process/clock.h"
#include "../process/log.h"

#include <errno.h>
#include <stdlib.h>

int crew_init(struct crew *crew, unsigned n)
{
	crew->n = n;
	crew->ports = calloc(n, sizeof(*crew->ports));
	crew->loops = calloc(n, sizeof(*crew->loops));
	crew->bouncers = calloc(n, sizeof(*crew->bouncers));
	return crew->ports && crew->loops && crew->bouncers ? 0 : -ENOMEM;
}

void crew_free(struct crew *crew)
{
	for (unsigned k = 0; crew->ports && k < crew->n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			if (crew->ports[k][side])
				packet_close(crew->ports[k][side]);
	for (unsigned k = 0; crew->bouncers && k < crew->n; k++)
		bouncer_close(crew->bouncers[k]);
	free(crew->ports);
	free(crew->loops);
	free(crew->bouncers);
}

void crew_load_bouncers(struct crew *crew, const struct rules *rules)
{
	int err = 0;

	for (unsigned k = 0; k < crew->n && !err; k++)
		err = bouncer_open(&crew->bouncers[k]);
	if (err < 0 && limits_any_farm(rules))
		log_info("what limits for clients refuse isn't dropped in the kernel: %s (it takes "
		         "CAP_BPF)",
		         strerror(-err));
}

void crew_use_bouncers(struct crew *crew)
{
	for (unsigned k = 0; k < crew->n; k++)
		if (crew->bouncers[k])
			lb_use_barred(crew->workers.worker[k].lb, bouncer_table(crew->bouncers[k]),
			              &crew->workers.worker[k].key);
}

/* Attaches the bouncers to the workers' sockets if the rules limit clients. Otherwise those that
 * are attached stay so, and drop nothing. */
static void post_bouncers(struct crew *crew, const struct rules *rules)
{
	int err = 0;

	if (!limits_any_farm(rules))
		return;
	for (unsigned k = 0; k < crew->n; k++)
		for (unsigned side = 0; crew->bouncers[k] && side < NSIDES && !err; side++)
			err = packet_set_program(
			        crew->ports[k][side],
			        bouncer_program_fd(crew->bouncers[k], (enum side)side));
	if (err < 0)
		log_warning("a filter of packet sockets: %s", strerror(-err));
}

int crew_start(struct crew *crew)
{
	int err = 0;

	for (unsigned k = 0; k < crew->n && !err; k++) {
		struct worker *worker = &crew->workers.worker[k];

		rush_open(&worker->rush, k < crew->rushers, clock_now());
		err = loop_start(worker, crew->workers.inboxes[k], &crew->loops[k]);
	}
	return err;
}

/* ---- Errands ---- */

/* Of an errand that was given up while a worker was at it. */
struct crew_left {
	struct crew_left *next;
	void *ctx;
	crew_free_ctx *free;
};

bool crew_has(const struct crew *crew, const void *ctx)
{
	for (unsigned k = 0; k < crew->n; k++)
		if (crew->loops[k] && loop_has(crew->loops[k], ctx))
			return true;
	return false;
}

/* Frees what no worker has any more. */
static void tidy(struct crew *crew)
{
	struct crew_left **at = &crew->left, *left;

	while ((left = *at)) {
		if (crew_has(crew, left->ctx)) {
			at = &left->next;
			continue;
		}
		*at = left->next;
		left->free(left->ctx);
		free(left);
	}
}

void crew_dispose(struct crew *crew, void *ctx, crew_free_ctx *free_ctx)
{
	struct crew_left *left;

	if (!crew_has(crew, ctx)) {
		free_ctx(ctx);
		return;
	}
	left = malloc(sizeof(*left));
	if (!left)
		return; /* lost, rather than written to when it is somebody else's */
	*left = (struct crew_left){.next = crew->left, .ctx = ctx, .free = free_ctx};
	crew->left = left;
}

/* Sends an errand to n workers from the first one on, and waits. Fails at once if one of them is
 * stuck. */
static int send_some(struct crew *crew, unsigned first, unsigned n, loop_errand *errand, void *ctx)
{
	const struct timespec begin_by = clock_in(CREW_ERRAND_MS * LB_NS_PER_MS);
	const struct timespec end_by = clock_in((CREW_ERRAND_MS + CREW_END_MS) * LB_NS_PER_MS);
	bool goes[RULES_WORKERS_MAX];
	int err = 0;

	tidy(crew);
	for (unsigned k = first; k < first + n; k++) {
		struct loop *loop = crew->loops[k];

		goes[k] = loop && !loop_is_stuck(loop);
		if (goes[k])
			loop_send(loop, errand, ctx);
		else if (loop)
			err = -ETIMEDOUT;
		else
			while (errand(&crew->workers.worker[k], ctx, clock_now()))
				;
	}
	for (unsigned k = first; k < first + n; k++)
		if (goes[k] && !loop_wait_done(crew->loops[k], &begin_by, &end_by))
			err = -ETIMEDOUT;
	return err;
}

int crew_errand(struct crew *crew, loop_errand *errand, void *ctx)
{
	return send_some(crew, 0, crew->n, errand, ctx);
}

int crew_errand_to(struct crew *crew, unsigned worker, loop_errand *errand, void *ctx)
{
	return send_some(crew, worker, 1, errand, ctx);
}

bool crew_is_stuck(const struct crew *crew)
{
	for (unsigned k = 0; k < crew->n; k++)
		if (crew->loops[k] && loop_is_stuck(crew->loops[k]))
			return true;
	return false;
}

/* ---- Standing still ---- */

int crew_pause(struct crew *crew)
{
	const struct timespec until = clock_in(CREW_PAUSE_MS * LB_NS_PER_MS);
	bool all = true;

	for (unsigned k = 0; k < crew->n; k++)
		loop_pause(crew->loops[k]);
	for (unsigned k = 0; k < crew->n && all; k++)
		all = loop_wait_paused(crew->loops[k], &until);
	if (all)
		return 0;
	crew_resume(crew);
	return -ETIMEDOUT;
}

void crew_resume(struct crew *crew)
{
	for (unsigned k = 0; k < crew->n; k++)
		loop_resume(crew->loops[k]);
}

int crew_stop(struct crew *crew)
{
	int err = -ETIMEDOUT;

	for (unsigned i = 0; i < CREW_STOP_TRIES && err; i++)
		err = crew_pause(crew);
	if (err)
		return err;
	for (unsigned k = 0; k < crew->n; k++)
		while (burst_take_inbox(&crew->workers.worker[k], clock_now()))
			;
	for (unsigned k = 0; k < crew->n; k++)
		loop_stop(crew->loops[k]);
	for (unsigned k = 0; k < crew->n; k++)
		crew->loops[k] = NULL;
	tidy(crew);
	return 0;
}

/* ---- Sharing ---- */

/* The ports of a side, by worker; false if there is nothing to be shared there. */
static bool shared_ports(const struct crew *crew, const struct rules *rules, unsigned side,
                         struct port *ret[RULES_WORKERS_MAX])
{
	for (unsigned k = 0; k < crew->n; k++)
		ret[k] = crew->ports[k][side];
	return crew->n > 1 && way_ports(rules) >> side & 1;
}

int crew_join(struct crew *crew, const struct rules *rules)
{
	struct port *ports[RULES_WORKERS_MAX];
	int err = 0;

	post_bouncers(crew, rules);
	for (unsigned side = 0; side < NSIDES && !err; side++)
		if (shared_ports(crew, rules, side, ports))
			err = fanout_join(ports, crew->n);
	return err;
}

int crew_steer(struct crew *crew, const struct rules *rules, const struct share *share)
{
	struct port *ports[RULES_WORKERS_MAX];
	int err = 0;

	for (unsigned side = 0; side < NSIDES && !err; side++)
		if (shared_ports(crew, rules, side, ports))
			err = fanout_steer(ports, rules, share);
	return err;
}

int crew_share_out(struct crew *crew, const struct rules *rules, const struct share *share)
{
	int err = crew_join(crew, rules);

	return err ? err : crew_steer(crew, rules, share);
}

int crew_still(struct crew *crew)
{
	for (unsigned k = 0; k < crew->n; k++)
		if (!loop_has_moved(crew->loops[k]))
			return (int)k;
	for (unsigned k = 0; k < crew->n; k++)
		loop_see(crew->loops[k]);
	return -1;
}
