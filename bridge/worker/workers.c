/*
 * The workers together.
 *
 * They share nothing that changes while they run: the rules are read only, and each has an engine,
 * ports and a queue of the connection log of its own. What concerns all of them, such as a reload,
 * is done while they stand still (loop.h).
 */
#include "workers.h"

#include "barring.h"
#include "burst.h"
#include "../process/limits.h"
#include "../process/log.h"
#include "../../lb/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

unsigned workers_wanted(const struct rules *rules)
{
	const unsigned n = rules->workers ? rules->workers : limits_processors();

	return n <= RULES_WORKERS_MAX ? n : RULES_WORKERS_MAX;
}

bool workers_keep_clients(const struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (rules->farms[f].persist_ms || rules->farms[f].client_connections ||
		    rules->farms[f].client_rate)
			return true;
	return false;
}

struct share workers_share(const struct rules *rules, unsigned worker, unsigned n,
                           const struct hash_key *key)
{
	return share_make(worker, n, workers_keep_clients(rules), key);
}

static int make_inboxes(struct workers *workers)
{
	workers->inboxes = calloc(workers->n, sizeof(*workers->inboxes));
	if (!workers->inboxes)
		return -ENOMEM;
	for (unsigned k = 0; k < workers->n; k++)
		if (!(workers->inboxes[k] = inbox_new()))
			return -ENOMEM;
	return 0;
}

static int make_workers(struct workers *workers, const struct rules *rules,
                        const struct hash_key *key, const workers_ports *ports,
                        const struct share *any, lb_time now)
{
	struct inbox **inboxes = workers->n > 1 ? workers->inboxes : NULL;
	int err = 0;

	fastpath_begin(workers->fastpath, rules);
	for (unsigned k = 0; k < workers->n && !err; k++) {
		struct share share = *any;

		share.worker = (uint16_t)k;
		err = worker_init(&workers->worker[k], rules, &share, inboxes, key, ports[k],
		                  workers->fastpath, now);
	}
	return err;
}

struct adoption workers_adoption(const struct workers *workers)
{
	struct adoption sum = {.done = true};

	for (unsigned k = 0; k < workers->n; k++) {
		const struct adoption *one = &workers->worker[k].adoption;

		sum.open += one->open;
		sum.quarantined += one->quarantined;
		sum.half_open += one->half_open;
		sum.unfit += one->unfit;
		sum.damaged += one->damaged;
		sum.done &= one->done;
	}
	return sum;
}

static void log_adoption(const struct workers *workers)
{
	const struct adoption sum = workers_adoption(workers);
	struct details details = {.n = 0};

	details_number(&details, "open", sum.open);
	details_number(&details, "unfit", sum.unfit);
	details_number(&details, "half_open", sum.half_open);
	details_number(&details, "damaged", sum.damaged);
	log_with(LOG_INFO, &details, "%u connections of an earlier process go on%s", sum.open,
	         sum.done ? "" : ", but for a part that can't be read");
	if (sum.unfit)
		log_warning("%u connections no longer fit the rules: they are reset", sum.unfit);
	if (sum.half_open || sum.damaged)
		log_info("%u half-open and %u damaged connections are forgotten", sum.half_open,
		         sum.damaged);
}

int workers_init(struct workers *workers, struct rules *rules, const struct hash_key *key,
                 const workers_ports *ports, const struct share *share, struct fastpath *fastpath,
                 bool live, lb_time now)
{
	const unsigned n = share->n;
	int err;

	*workers = (struct workers){.worker = calloc(n, sizeof(*workers->worker)),
	                            .n = n,
	                            .fastpath = fastpath,
	                            .live = live};
	err = workers->worker ? connlog_open(rules, n, live, NULL, &workers->connlog) : -ENOMEM;
	if (!err && (live || n > 1))
		err = make_inboxes(workers);
	if (!err)
		err = make_workers(workers, rules, key, ports, share, now);
	if (err < 0) {
		log_error("starting %u worker%s: %s", n, n == 1 ? "" : "s", strerror(-err));
		workers_free(workers); /* but for the rules, which are still the caller's */
		return err;
	}
	for (unsigned k = 0; k < n; k++)
		worker_log_to(&workers->worker[k], workers->connlog, k);
	workers->rules = rules;
	if (fastpath_inherits(fastpath))
		log_adoption(workers);
	return 0;
}

void workers_free(struct workers *workers)
{
	connlog_close(workers->connlog);
	for (unsigned k = 0; workers->worker && k < workers->n; k++)
		worker_free(&workers->worker[k]);
	for (unsigned k = 0; workers->inboxes && k < workers->n; k++)
		inbox_free(workers->inboxes[k]);
	free(workers->inboxes);
	free(workers->worker);
	rules_free(workers->rules);
}

void workers_finish(struct workers *workers, bool go_on, lb_time now)
{
	for (unsigned k = 0; k < workers->n; k++) {
		barring_count(&workers->worker[k], now);
		worker_finish(&workers->worker[k], go_on, now);
	}
}

void workers_note_flows(const struct workers *workers)
{
	for (unsigned s = 0; s < workers->rules->nservers; s++) {
		bool has_flows = false;

		if (!rules_is_left(&workers->rules->servers[s]))
			continue;
		for (unsigned k = 0; k < workers->n && !has_flows; k++)
			has_flows = sched_has_flows(&workers->worker[k].setup.farms->sched, s);
		probes_note_flows(workers->worker[0].setup.probes, s, has_flows);
	}
}

/* If no flow uses the farm's i-th kept SNAT address any more; behind the last one, i stands for its
 * flows without SNAT. */
static bool is_idle(const struct workers *workers, unsigned farm, unsigned i)
{
	for (unsigned k = 0; k < workers->n; k++)
		if (kept_flows(&workers->worker[k].setup.farms->kept, farm, i))
			return false;
	return true;
}

bool workers_keep_in_vain(const struct workers *workers)
{
	for (unsigned f = 0; f < workers->rules->nfarms; f++) {
		const struct rules_farm *farm = &workers->rules->farms[f];

		for (unsigned i = 0; i < farm->nkept + farm->keeps_off; i++)
			if (is_idle(workers, f, i))
				return true;
	}
	return false;
}

/* ---- Reload ---- */

/* What is made for other rules, and what is left over of those before. */
struct workers_next {
	struct rules *rules;
	struct setup *setups; /* by worker */
	unsigned n;           /* setups made */
	struct connlog *connlog;
	uint16_t *map; /* from old servers to new ones: see takeover_rules() */
	bool *used; /* SNAT addresses in use when the rules were made, see there; and at the swap:
	               room */
	bool *used_now;
};

static void mark_used(const struct workers *workers, bool *ret)
{
	for (unsigned k = 0; k < workers->n; k++)
		balance_referenced_snat(lb_balance(workers->worker[k].lb), ret);
}

/* Numbers the old servers in the new rules, to which those with flows that are gone are added. The
 * workers go on meanwhile. */
static int take_over(const struct workers *workers, struct workers_next *next, bool keep_all)
{
	bool *referenced = calloc(workers->rules->nservers + 1u, sizeof(*referenced));
	int err = -ENOMEM;

	if (referenced) {
		for (unsigned k = 0; k < workers->n; k++)
			balance_referenced(lb_balance(workers->worker[k].lb), referenced);
		mark_used(workers, next->used);
		if (keep_all)
			memset(next->used, true, takeover_count_snat(workers->rules));
		err = takeover_rules(next->rules, workers->rules, referenced, next->used,
		                     next->map);
	}
	free(referenced);
	return err;
}

/* Makes what each worker needs for the rules. */
static int prepare(const struct workers *workers, struct workers_next *next, lb_time now)
{
	int err = 0;

	while (next->n < workers->n && !err) {
		err = worker_prepare(&workers->worker[next->n], next->rules, now,
		                     &next->setups[next->n]);
		next->n += !err;
	}
	return err;
}

static int take_memory(const struct workers *workers, struct workers_next *next)
{
	const size_t nsnat = takeover_count_snat(workers->rules);

	next->map = calloc(workers->rules->nservers + 1u, sizeof(*next->map));
	next->used = calloc(nsnat + 1, sizeof(*next->used));
	next->used_now = calloc(nsnat + 1, sizeof(*next->used_now));
	next->setups = calloc(workers->n, sizeof(*next->setups));
	return next->map && next->used && next->used_now && next->setups ? 0 : -ENOMEM;
}

int workers_follow(const struct workers *workers, struct rules *rules, bool keep_all,
                   struct workers_next **ret)
{
	struct workers_next *next = calloc(1, sizeof(*next));
	int err;

	if (!next) {
		rules_free(rules);
		return -ENOMEM;
	}
	next->rules = rules;
	err = take_memory(workers, next);
	if (!err)
		err = take_over(workers, next, keep_all);
	if (err < 0)
		workers_discard(next);
	else
		*ret = next;
	return err;
}

int workers_build(const struct workers *workers, struct workers_next *next, lb_time now)
{
	const int err = connlog_open(next->rules, workers->n, workers->live, workers->connlog,
	                             &next->connlog);

	return err < 0 ? err : prepare(workers, next, now);
}

struct rules *workers_next_rules(const struct workers_next *next)
{
	return next->rules;
}

void workers_discard(struct workers_next *next)
{
	for (unsigned k = 0; k < next->n; k++)
		setup_free(&next->setups[k]);
	connlog_close(next->connlog);
	rules_free(next->rules);
	free(next->setups);
	free(next->map);
	free(next->used);
	free(next->used_now);
	free(next);
}

/* If the new rules were made too early: a server that they don't have, or a SNAT address that they
 * give up, has got flows since. */
static bool is_outdated(const struct workers *workers, const struct workers_next *next)
{
	for (unsigned s = 0; s < workers->rules->nservers; s++)
		for (unsigned k = 0; next->map[s] == SERVER_NONE && k < workers->n; k++)
			if (sched_has_flows(&workers->worker[k].setup.farms->sched, s))
				return true;
	mark_used(workers, next->used_now);
	return takeover_misses(next->rules, workers->rules, next->used, next->used_now);
}

int workers_swap(struct workers *workers, struct workers_next *next, lb_time now)
{
	struct rules *old = workers->rules;
	bool renumbers;

	for (unsigned k = 0; workers->n > 1 && k < workers->n; k++)
		burst_take_news(&workers->worker[k], now); /* by the old rules, as the following */
	if (is_outdated(workers, next))
		return -EAGAIN;
	fastpath_take_sums(workers->fastpath, old->nservers, workers->worker[0].setup.farms->sums);
	/* flows get their servers' numbers one by one */
	renumbers = fastpath_renumber(workers->fastpath, next->rules, next->map, old->nservers);
	for (unsigned k = 0; k < workers->n; k++) {
		worker_log_ended(&workers->worker[k]);
		worker_move(&workers->worker[k], &next->setups[k], next->map, now);
		worker_log_to(&workers->worker[k], next->connlog, k);
	}
	if (renumbers)
		fastpath_renumbered(workers->fastpath, next->map, old->nservers,
		                    workers->worker[0].setup.farms->sums);
	worker_publish(&workers->worker[0]);
	connlog_replace(next->connlog, workers->connlog);
	workers->rules = next->rules;
	workers->generation++;
	workers->connlog = next->connlog;
	next->rules = old;
	next->connlog = NULL;
	return 0;
}
