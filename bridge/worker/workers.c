/*
 * The workers together.
 *
 * They share nothing that changes while they run: the rules are read only, and each has an engine,
 * ports and a queue of the connection log of its own. What concerns all of them, such as a reload,
 * is done while they stand still (loop.h).
 */
#include "workers.h"

#include "../process/log.h"
#include "../../lb/takeover.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

unsigned workers_wanted(const struct rules *rules)
{
	cpu_set_t set;
	unsigned n = rules->workers;

	if (!n)
		n = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
	return n <= RULES_WORKERS_MAX ? n : RULES_WORKERS_MAX;
}

bool workers_keep_clients(const struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (rules->farms[f].persist_ms)
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
                        const struct hash_key *key, const workers_ports *ports, lb_time now)
{
	struct inbox **inboxes = workers->n > 1 ? workers->inboxes : NULL;
	int err = 0;

	for (unsigned k = 0; k < workers->n && !err; k++) {
		const struct share share = workers_share(rules, k, workers->n, key);

		err = worker_init(&workers->worker[k], rules, &share, inboxes, key, ports[k], now);
	}
	return err;
}

int workers_init(struct workers *workers, struct rules *rules, const struct hash_key *key,
                 const workers_ports *ports, unsigned n, bool live, lb_time now)
{
	int err;

	*workers = (struct workers){
	        .worker = calloc(n, sizeof(*workers->worker)), .n = n, .live = live};
	err = workers->worker ? connlog_open(rules, n, live, NULL, &workers->connlog) : -ENOMEM;
	if (!err && live)
		err = make_inboxes(workers);
	if (!err)
		err = make_workers(workers, rules, key, ports, now);
	if (err < 0) {
		log_error("starting %u worker%s: %s", n, n == 1 ? "" : "s", strerror(-err));
		workers_free(workers); /* but for the rules, which are still the caller's */
		return err;
	}
	for (unsigned k = 0; k < n; k++)
		worker_log_to(&workers->worker[k], workers->connlog, k);
	workers->rules = rules;
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

void workers_use(struct workers *workers, struct fastpath *fastpath)
{
	workers->fastpath = fastpath;
	for (unsigned k = 0; k < workers->n; k++)
		workers->worker[k].fastpath = fastpath;
}

void workers_finish(struct workers *workers)
{
	for (unsigned k = 0; k < workers->n; k++)
		worker_finish(&workers->worker[k]);
}

/* Numbers the old servers in the new rules, to which those with flows that are gone are added. */
static int take_over(struct workers *workers, struct rules *rules, uint16_t *map)
{
	const struct rules *old = workers->rules;
	bool *referenced = calloc(old->nservers + 1, sizeof(*referenced));
	int err;

	if (!referenced)
		return -ENOMEM;
	for (unsigned k = 0; k < workers->n; k++)
		balance_referenced(lb_balance(workers->worker[k].lb), referenced);
	err = takeover_rules(rules, old, referenced, map);
	free(referenced);
	return err;
}

/* Makes what each worker needs for rules; all of them or none. */
static int prepare(struct workers *workers, const struct rules *rules, lb_time now,
                   struct setup *ret)
{
	int err = 0;
	unsigned k;

	for (k = 0; k < workers->n && !err; k++)
		err = worker_prepare(&workers->worker[k], rules, now, &ret[k]);
	if (!err)
		return 0;
	while (--k)
		setup_free(&ret[k - 1]);
	return err;
}

static void move(struct workers *workers, struct rules *rules, const struct setup *setups,
                 struct connlog *connlog, const uint16_t *map, lb_time now)
{
	for (unsigned k = 0; k < workers->n; k++) {
		worker_move(&workers->worker[k], &setups[k], map, now);
		worker_log_to(&workers->worker[k], connlog, k);
	}
	connlog_replace(connlog, workers->connlog);
	rules_free(workers->rules);
	workers->rules = rules;
	workers->connlog = connlog;
}

static int reload(struct workers *workers, struct rules *rules, struct connlog *connlog,
                  struct setup *setups, uint16_t *map, lb_time now)
{
	int err;

	if ((err = take_over(workers, rules, map)) < 0 ||
	    (err = prepare(workers, rules, now, setups)) < 0)
		return err;
	for (unsigned k = 0; workers->n > 1 && k < workers->n; k++)
		worker_take_news(&workers->worker[k],
		                 now); /* by the old rules, like the following */
	for (unsigned k = 0; k < workers->n; k++)
		worker_log_ended(&workers->worker[k]);
	move(workers, rules, setups, connlog, map, now);
	return 0;
}

int workers_open_log(const struct workers *workers, const struct rules *rules, struct connlog **ret)
{
	return connlog_open(rules, workers->n, workers->live, workers->connlog, ret);
}

int workers_reload(struct workers *workers, struct rules *rules, struct connlog *connlog,
                   lb_time now)
{
	uint16_t *map = calloc(workers->rules->nservers + 1, sizeof(*map));
	struct setup *setups = calloc(workers->n, sizeof(*setups));
	int err = map && setups ? reload(workers, rules, connlog, setups, map, now) : -ENOMEM;

	free(setups);
	free(map);
	return err;
}
