/*
 * The health checks of one worker: what becomes of a probe's result.
 *
 * The first worker has all probes. It gives results to its own engine and, by news, to those of the
 * others.
 */
#include "checks.h"

#include "news.h"

enum { CHECKS_OWN_BURST = 256 }; /* segments of probes sent at once: they don't stall the wire */

/* If the result says something about the server: a failure doesn't if our own cable was dead. */
static bool says_something(const struct worker *worker, const struct probe_result *result)
{
	const struct hop *place = neigh_known(worker->setup.neigh, result->server);

	return result->ok || carrier_was_there(&worker->carrier, place, result->began);
}

static void note_fault(struct worker *worker, const struct probe_result *result)
{
	struct server_faults *faults = &worker->setup.faults[result->server];

	faults->last = result->fault;
	faults->n[result->fault.kind]++;
}

/* What an agent has said counts until it says something else, also when it doesn't answer. */
static void tell_agent(struct worker *worker, struct probe_result *result, lb_time now)
{
	const struct health_server before = worker->setup.farms->health.servers[result->server];
	struct news news = {.kind = NEWS_AGENT, .server = result->server, .agent = before.agent};

	events_agent(&worker->setup.events, worker->setup.rules, result);
	if (!result->ok)
		return;
	agent_take(&news.agent, result->heard, result->nheard);
	if (agent_eq(&news.agent, &before.agent))
		return;
	result->fault.kind = FAULT_AGENT;
	if (news.agent.down && !before.agent.down)
		note_fault(worker, result);
	if (lb_agent(worker->lb, result->server, &news.agent, now))
		events_verdict(&worker->setup.events, worker->setup.farms, result,
		               (enum health_verdict)before.verdict, now.ns - before.since.ns);
	else
		events_farm(&worker->setup.events, worker->setup.farms,
		            worker->setup.rules->servers[result->server].farm);
	news_spread(worker, &news);
}

static void tell(struct worker *worker, struct probe_result *result, lb_time now)
{
	const struct news news = {.kind = NEWS_PROBED,
	                          .server = result->server,
	                          .check = result->check,
	                          .ok = result->ok};
	const struct health_server before = worker->setup.farms->health.servers[result->server];

	if (!says_something(worker, result))
		return;
	if (probe_is_agent(worker->setup.rules, result->server, result->check))
		return tell_agent(worker, result, now);
	if (!result->ok)
		note_fault(worker, result);
	if (lb_probed(worker->lb, result->server, result->check, result->ok, now))
		events_verdict(&worker->setup.events, worker->setup.farms, result,
		               (enum health_verdict)before.verdict, now.ns - before.since.ns);
	events_kept(&worker->setup.events, worker->setup.farms,
	            worker->setup.rules->servers[result->server].farm);
	probes_told(worker->setup.probes, result, now);
	news_spread(worker, &news);
}

void checks_poll(struct worker *worker, lb_time now)
{
	struct own items[CHECKS_OWN_BURST];
	struct own_list out = {.items = items, .max = CHECKS_OWN_BURST};
	struct probe_result result;

	if (worker_is_held(worker))
		return;
	while (probes_poll(worker->setup.probes, now, &out, &result))
		tell(worker, &result, now);
	voice_say_all(&worker->voice, worker->setup.neigh, &out, now);
}

void checks_reply(struct worker *worker, const struct probe_reply *reply, const struct frame *frame,
                  lb_time now)
{
	struct own items[PROBES_OUT_MAX];
	struct own_list out = {.items = items, .max = PROBES_OUT_MAX};
	struct probe_result result;

	if (probes_reply(worker->setup.probes, reply, frame, now, &out, &result))
		tell(worker, &result, now);
	voice_say_all(&worker->voice, worker->setup.neigh, &out, now);
}

void checks_suspects(struct worker *worker, lb_time now)
{
	struct news news = {.kind = NEWS_SUSPECT};

	while (lb_take_suspect(worker->lb, &news.server)) {
		events_suspect(&worker->setup.events, worker->setup.rules, news.server, now);
		if (!worker->share.worker)
			probes_hurry(worker->setup.probes, news.server, now);
		else
			news_to_first(worker, &news);
	}
}
