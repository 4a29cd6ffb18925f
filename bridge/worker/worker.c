/*
 * What a worker is: its engine and tables, taken at start; and what hangs on the rules, replaced by
 * a reload. What it does with a burst is in burst.c, what time asks for in duties.c.
 */
#include "worker.h"

/* Takes what these rules are the first ones to ask for. */
static int take_extras(const struct worker *worker, const struct rules *rules,
                       struct memory ret[LB_EXTRAS])
{
	size_t bytes;
	int err = 0;

	for (unsigned i = 0; i < LB_EXTRAS && !err; i++)
		if ((bytes = lb_extra_size(worker->lb, rules, (enum lb_extra)i)) > 0)
			err = memory_take(&ret[i], bytes);
	return err;
}

static void use_extras(struct worker *worker, struct memory extras[LB_EXTRAS], lb_time now)
{
	for (unsigned i = 0; i < LB_EXTRAS; i++) {
		if (!extras[i].at)
			continue;
		worker->extras[i] = extras[i];
		extras[i] = (struct memory){0};
		lb_use_extra(worker->lb, (enum lb_extra)i, worker->extras[i].at, now);
	}
}

void worker_reuse_extras(struct worker *worker, lb_time now)
{
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		if (worker->extras[i].at &&
		    lb_extra_size(worker->lb, worker->setup.rules, (enum lb_extra)i))
			lb_use_extra(worker->lb, (enum lb_extra)i, worker->extras[i].at, now);
}

/* Takes over the flows in table, if there are any that can be. Where servers are is known then. */
static int adopt(struct worker *worker, struct table *table, const struct mac macs[NSIDES],
                 lb_time now)
{
	const struct table_array *buckets = &table->arrays[TABLE_BUCKETS];
	struct memory scratch;
	struct hop hop;
	int err = memory_take(&scratch, buckets->elements * buckets->element_bytes);

	if (err < 0)
		return err;
	worker->lb = lb_adopt(worker->memory.at, table, scratch.at, worker->setup.farms, macs, now,
	                      &worker->adoption);
	memory_free(&scratch);
	for (unsigned s = 0; worker->lb && s < worker->setup.rules->nservers; s++)
		if (fastpath_way(worker->fastpath, s, &hop))
			neigh_recall(worker->setup.neigh, s, &hop);
	return 0;
}

/* Makes the engine, its arrays with the fast path if there is one. */
static int take_engine(struct worker *worker, const struct rules *rules,
                       const struct mac macs[NSIDES], lb_time now)
{
	struct table table = {0};
	size_t bytes = lb_size(rules, &worker->share);
	int err;

	if (worker->fastpath) {
		bytes = lb_table_sizes(rules, &worker->share, &table);
		fastpath_table(worker->fastpath, worker->share.worker, &table);
	}
	if ((err = memory_take(&worker->memory, bytes)) < 0)
		return err;
	if (fastpath_inherits(worker->fastpath) && (err = adopt(worker, &table, macs, now)) < 0)
		return err;
	if (!worker->lb)
		worker->lb = lb_init_shared(worker->memory.at, worker->fastpath ? &table : NULL,
		                            worker->setup.farms, &worker->key, macs, now);
	return 0;
}

/* Tells the engine where servers are known to be, which has been made or has other rules. */
static void place_servers(struct worker *worker)
{
	for (unsigned s = 0; s < worker->setup.rules->nservers; s++) {
		const struct hop *hop = neigh_known(worker->setup.neigh, s);

		if (hop)
			lb_place_server(worker->lb, s, hop);
		else
			lb_miss_server(worker->lb, s);
	}
}

int worker_init(struct worker *worker, const struct rules *rules, const struct share *share,
                struct inbox **inboxes, const struct hash_key *key,
                struct port *const ports[NSIDES], struct fastpath *fastpath, lb_time now)
{
	const struct mac macs[NSIDES] = {ports[OUTSIDE]->mac, ports[INSIDE]->mac};
	int err;

	*worker = (struct worker){.ports = {ports[OUTSIDE], ports[INSIDE]},
	                          .share = *share,
	                          .inboxes = inboxes,
	                          .fastpath = fastpath,
	                          .listener = {.random = key->k[0] ^ now.ns},
	                          .key = *key};
	if ((err = voice_open(&worker->voice, worker->ports)) < 0 ||
	    (err = setup_init(&worker->setup, rules, share, key, now)) < 0)
		return err;
	if ((err = take_engine(worker, rules, macs, now)) == 0)
		err = take_extras(worker, rules, worker->setup.extras);
	if (err)
		return err;
	use_extras(worker, worker->setup.extras, now);
	place_servers(worker);
	return 0;
}

void worker_log_ended(struct worker *worker)
{
	struct ended ended;

	while (lb_take_ended(worker->lb, &ended))
		connlog_put(worker->connlog, worker->queue, worker->setup.rules, &ended);
}

void worker_log_to(struct worker *worker, struct connlog *connlog, unsigned queue)
{
	worker->connlog = connlog;
	worker->queue = queue;
}

void worker_free(struct worker *worker)
{
	voice_close(&worker->voice);
	memory_free(&worker->memory);
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		memory_free(&worker->extras[i]);
	setup_free(&worker->setup);
}

void worker_publish(struct worker *worker)
{
	for (unsigned s = 0; worker->fastpath && s < RULES_SERVERS_KEPT_MAX; s++)
		fastpath_set_way(worker->fastpath, worker->setup.rules, s,
		                 s < worker->setup.rules->nservers
		                         ? neigh_known(worker->setup.neigh, s)
		                         : NULL);
}

void worker_finish(struct worker *worker, bool go_on, lb_time now)
{
	uint32_t cursor = 0;
	bool more;

	do {
		more = lb_bury(worker->lb, &cursor, go_on, now);
		worker_log_ended(worker);
		connlog_drain(worker->connlog, worker->queue);
	} while (more);
}

void worker_announce(struct worker *worker, unsigned sides, lb_time now)
{
	if (!worker->share.worker)
		announcer_begin(&worker->announcer, worker->setup.rules, sides, now);
}

void worker_hold(struct worker *worker, unsigned sides)
{
	lb_hold(worker->lb, sides);
	worker->voice.held = (uint8_t)sides;
}

void worker_set_mac(struct worker *worker, enum side side, const struct mac *mac)
{
	if (!(way_ports(worker->setup.rules) >> side & 1))
		return;
	worker->ports[side]->mac = *mac;
	lb_set_mac(worker->lb, side, mac);
}

void worker_set_mtu(struct worker *worker, enum side side, uint32_t mtu)
{
	lb_set_mtu(worker->lb, side, mtu);
}

int worker_prepare(const struct worker *worker, const struct rules *rules, lb_time now,
                   struct setup *ret)
{
	int err = setup_init(ret, rules, &worker->share, &worker->key, now);

	if (!err && (err = take_extras(worker, rules, ret->extras)) < 0)
		setup_free(ret);
	if (err)
		return err;
	neigh_trace(ret->neigh, worker->setup.neigh);
	probes_trace(ret->probes, worker->setup.probes);
	return 0;
}

static void inherit_faults(const struct setup *setup, const struct setup *old, const uint16_t *map)
{
	for (unsigned s = 0; s < old->rules->nservers; s++)
		if (map[s] != SERVER_NONE)
			setup->faults[map[s]] = old->faults[s];
}

void worker_move(struct worker *worker, struct setup *setup, const uint16_t *map, lb_time now)
{
	const struct setup old = worker->setup;

	use_extras(worker, setup->extras, now);
	neigh_inherit(setup->neigh, old.neigh);
	probes_inherit(setup->probes, old.probes);
	if (!worker->share.worker) /* who has all probes */
		inherit_faults(setup, &old, map);
	lb_reload(worker->lb, setup->farms, map);
	worker->setup = *setup;
	*setup = old;
	place_servers(worker);
	events_inherit(&worker->setup.events, &old.events);
	firewall_inherit(worker->setup.firewall, old.firewall);
	for (unsigned f = 0; f < worker->setup.rules->nfarms; f++)
		events_note_farm(&worker->setup.events, worker->setup.farms, f);
	worker_announce(worker, ANNOUNCER_BOTH, now);
}
