/*
 * A verdict goes to all workers, as that of a probe does, and is in force until it is taken back:
 * by the next one on the same server, or when its time is over. Then what the probes have found
 * meanwhile counts.
 */
#include "verdicts.h"

#include "../process/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct given {
	char server[RULES_NAME_BYTES], why[VERDICT_WHY_BYTES];
	enum health_verdict verdict; /* HEALTH_UNKNOWN: that of the probes */
};

/* Logs what has become of a server, as the first worker does after a probe; of a verdict that is
 * given the control thread says so itself. */
static void say_changed(struct worker *worker, unsigned s, const struct health_server *was,
                        bool is_over, lb_time now)
{
	struct setup *setup = &worker->setup;
	const struct probe_result result = {.server = (uint16_t)s, .fault = setup->faults[s].last};

	if (worker->share.worker)
		return;
	if (is_over && health_of(&setup->farms->health, s) != was->verdict)
		events_verdict(&setup->events, setup->farms, &result,
		               (enum health_verdict)was->verdict, now.ns - was->since.ns);
	events_farm(&setup->events, setup->farms, setup->rules->servers[s].farm);
}

static bool give(struct worker *worker, void *ctx, lb_time now)
{
	const struct rules *rules = worker->setup.rules;
	const struct given *given = ctx;

	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct health_server was = worker->setup.farms->health.servers[s];
		struct server_faults *faults = &worker->setup.faults[s];

		if (strcmp(rules->servers[s].name, given->server))
			continue;
		lb_force_health(worker->lb, s, given->verdict, now);
		say_changed(worker, s, &was, given->verdict == HEALTH_UNKNOWN, now);
		if (given->verdict != HEALTH_DOWN)
			continue;
		faults->last = (struct fault){.kind = FAULT_SAID, .at = now};
		fault_set_heard(&faults->last, (const uint8_t *)given->why,
		                (unsigned)strlen(given->why));
		faults->n[FAULT_SAID]++;
	}
	return false;
}

static bool is_there(const struct rules *rules, const char *server)
{
	unsigned s = 0;

	while (s < rules->nservers && strcmp(rules->servers[s].name, server))
		s++;
	return s < rules->nservers;
}

/* 0, -ENOENT, -ENOMEM or -ETIMEDOUT. */
static int tell(struct crew *crew, const char *server, enum health_verdict verdict, const char *why)
{
	struct given *given;
	int err;

	if (!is_there(crew->workers.rules, server))
		return -ENOENT;
	given = calloc(1, sizeof(*given));
	if (!given)
		return -ENOMEM;
	given->verdict = verdict;
	snprintf(given->server, sizeof(given->server), "%s", server);
	snprintf(given->why, sizeof(given->why), "%s", why);
	err = crew_errand(crew, give, given);
	crew_dispose(crew, given, free);
	return err;
}

static void forget(struct verdicts *verdicts, const char *server)
{
	for (unsigned i = 0; i < verdicts->n; i++)
		if (!strcmp(verdicts->all[i].server, server))
			verdicts->all[i--] = verdicts->all[--verdicts->n];
}

int verdicts_give(struct verdicts *verdicts, struct crew *crew, const char *server,
                  enum health_verdict verdict, const char *why, lb_time until)
{
	struct verdict_given *at;
	struct details details = {.n = 0};
	int err;

	forget(verdicts, server);
	if (verdicts->n == VERDICTS_MAX)
		return -ENOSPC;
	err = tell(crew, server, verdict, why);
	if (err == -ENOENT || err == -ENOMEM)
		return err;
	/* also if some haven't been told: of the others it is taken back */
	at = &verdicts->all[verdicts->n++];
	snprintf(at->server, sizeof(at->server), "%s", server);
	at->until = until;
	if (err)
		return err;
	details_text(&details, "health", health_name(verdict));
	details_text(&details, "reason", fault_name(FAULT_SAID));
	log_with(LOG_INFO, &details, "server %s: %s, as an operator says: %s", server,
	         health_name(verdict), why);
	return 0;
}

void verdicts_expire(struct verdicts *verdicts, struct crew *crew, lb_time now)
{
	for (unsigned i = 0; i < verdicts->n; i++) {
		struct verdict_given over = verdicts->all[i];
		int err;

		if (over.until.ns > now.ns)
			continue;
		err = tell(crew, over.server, HEALTH_UNKNOWN, "");
		if (err == -ETIMEDOUT || err == -ENOMEM)
			continue;
		verdicts->all[i--] = verdicts->all[--verdicts->n];
		if (!err)
			log_info("server %s: what an operator said of its health is over",
			         over.server);
	}
}
