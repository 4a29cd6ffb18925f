/*
 * What is done to all workers is done while all of them stand still: they come to a stop together,
 * and nobody hands a frame to one who has stopped for good.
 */
#include "crew.h"

#include "burst.h"
#include "../port/packet.h"
#include "../port/steer.h"
#include "../../lb/way.h"
#include "../process/clock.h"

#include <errno.h>
#include <stdlib.h>

int crew_init(struct crew *crew, unsigned n)
{
	crew->n = n;
	crew->ports = calloc(n, sizeof(*crew->ports));
	crew->loops = calloc(n, sizeof(*crew->loops));
	return crew->ports && crew->loops ? 0 : -ENOMEM;
}

void crew_free(struct crew *crew)
{
	for (unsigned k = 0; crew->ports && k < crew->n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			if (crew->ports[k][side])
				packet_close(crew->ports[k][side]);
	free(crew->ports);
	free(crew->loops);
}

int crew_start(struct crew *crew)
{
	int err = 0;

	for (unsigned k = 0; k < crew->n && !err; k++)
		err = loop_start(&crew->workers.worker[k], crew->workers.inboxes[k],
		                 &crew->loops[k]);
	return err;
}

int crew_errand(struct crew *crew, loop_errand *errand, void *ctx)
{
	const lb_time now = clock_now();
	int err = 0;

	for (unsigned k = 0; k < crew->n; k++)
		if (crew->loops[k])
			loop_send(crew->loops[k], errand, ctx);
		else
			errand(&crew->workers.worker[k], ctx, now);
	for (unsigned k = 0; k < crew->n; k++)
		if (crew->loops[k] && !loop_wait_done(crew->loops[k]))
			err = -ETIMEDOUT;
	return err;
}

int crew_errand_to(struct crew *crew, unsigned worker, loop_errand *errand, void *ctx)
{
	if (!crew->loops[worker]) {
		errand(&crew->workers.worker[worker], ctx, clock_now());
		return 0;
	}
	loop_send(crew->loops[worker], errand, ctx);
	return loop_wait_done(crew->loops[worker]) ? 0 : -ETIMEDOUT;
}

void crew_pause(struct crew *crew)
{
	for (unsigned k = 0; k < crew->n; k++)
		loop_pause(crew->loops[k]);
	for (unsigned k = 0; k < crew->n; k++)
		loop_wait_paused(crew->loops[k]);
}

void crew_resume(struct crew *crew)
{
	for (unsigned k = 0; k < crew->n; k++)
		loop_resume(crew->loops[k]);
}

void crew_stop(struct crew *crew)
{
	crew_pause(crew);
	for (unsigned k = 0; k < crew->n; k++)
		while (burst_take_inbox(&crew->workers.worker[k], clock_now()))
			;
	for (unsigned k = 0; k < crew->n; k++)
		loop_stop(crew->loops[k]);
	for (unsigned k = 0; k < crew->n; k++)
		crew->loops[k] = NULL;
}

int crew_steer(struct crew *crew, const struct rules *rules, const struct share *share)
{
	struct port *ports[RULES_WORKERS_MAX];
	int err = 0;

	for (unsigned side = 0; crew->n > 1 && side < NSIDES && !err; side++) {
		for (unsigned k = 0; k < crew->n; k++)
			ports[k] = crew->ports[k][side];
		if (way_ports(rules) >> side & 1)
			err = steer_ports(ports, crew->n, rules, share);
	}
	return err;
}

bool crew_has_moved(struct crew *crew)
{
	for (unsigned k = 0; k < crew->n; k++)
		if (!loop_has_moved(crew->loops[k]))
			return false;
	for (unsigned k = 0; k < crew->n; k++)
		loop_see(crew->loops[k]);
	return true;
}
