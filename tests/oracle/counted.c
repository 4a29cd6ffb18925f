/*
 * The engine's counters beside the model's.
 *
 * Where the model can't tell what was counted by one event, it allows a range, which begins anew
 * with what the engine says then: so that a step is checked, and no doubt adds up.
 */
#include "counted.h"

#include "parts.h"

#define OF_THE_PROCESS "the engine knows nothing of it"
#define OF_THE_HASH    "who has to go for others depends on places, which the model doesn't have"

static const char *const left_out[NCOUNTERS] = {
        [COUNTER_FLOWS_PASSED_OVER] = "how often the engine looks at a server is its own affair",
        [COUNTER_WORKERS_RUNNING] = OF_THE_PROCESS,
        [COUNTER_WORKERS_NEWS_LOST] = OF_THE_PROCESS,
        [COUNTER_WORKERS_RUSHES] = OF_THE_PROCESS,
        [COUNTER_ARP_WAITED] = OF_THE_PROCESS,
        [COUNTER_ARP_LOST] = OF_THE_PROCESS,
        [COUNTER_ARP_CONFLICTS] = OF_THE_PROCESS,
        [COUNTER_ARP_MOVES] = OF_THE_PROCESS,
        [COUNTER_ARP_ATTEMPTS] = OF_THE_PROCESS,
        [COUNTER_MLD_MISSED] = OF_THE_PROCESS,
        [COUNTER_NEIGHBOURS_MOVED] = OF_THE_HASH,
        [COUNTER_NEIGHBOURS_EVICTED] = OF_THE_HASH,
        [COUNTER_NEIGHBOURS_REFUSED] = OF_THE_HASH,
        [COUNTER_FRAGS_EXPIRED] = "fragments have a model of their own: frag_twin.c",
        [COUNTER_FRAGS_EVICTED] = "likewise",
        [COUNTER_PERSIST_EVICTED] = "the model believes it: persist_twin.c checks it",
        [COUNTER_LIMITS_CLIENTS] = OF_THE_HASH,
        [COUNTER_LIMITS_FORGOTTEN] = OF_THE_HASH,
        [COUNTER_LIMITS_IN_KERNEL] = OF_THE_PROCESS,
        [COUNTER_CONNLOG_WRITTEN] = OF_THE_PROCESS,
        [COUNTER_FAST_PATH_ACTIVE] = OF_THE_PROCESS,
        [COUNTER_FAST_PATH_BRIDGED] = OF_THE_PROCESS,
        [COUNTER_FAST_PATH_FORWARDED] = OF_THE_PROCESS,
        [COUNTER_FAST_PATH_PUNTED] = OF_THE_PROCESS,
};

static bool compared[NCOUNTERS];

static void within(const struct statistics *s, enum counter counter, uint64_t least, uint64_t most)
{
	compared[counter] = true;
	if (s->counters[counter] < least || s->counters[counter] > most)
		report_mismatch("%s.%s is %llu, the model has %llu to %llu",
		                counter_names[counter].group, counter_names[counter].member,
		                (unsigned long long)s->counters[counter], (unsigned long long)least,
		                (unsigned long long)most);
}

static void same(const struct statistics *s, enum counter counter, uint64_t model)
{
	within(s, counter, model, model);
}

/* By what model_counts() has gathered since. */
static void step(struct model *m, const struct statistics *s, enum counter counter)
{
	struct counted *c = &m->counted[counter];

	within(s, counter, c->before + c->least, c->before + c->most);
	*c = (struct counted){.before = s->counters[counter]};
}

static void compare_flows(struct model *m, const struct statistics *s)
{
	const uint64_t *ended = m->counts.ended;

	same(s, COUNTER_FLOWS_OPEN, flows_model_live(m));
	same(s, COUNTER_FLOWS_CREATED, m->counts.counters[COUNTER_FLOWS_CREATED]);
	same(s, COUNTER_FLOWS_CLOSED, ended[ENDED_FIN] + ended[ENDED_RST]);
	same(s, COUNTER_FLOWS_IDLE_EXPIRED, ended[ENDED_IDLE]);
	same(s, COUNTER_FLOWS_SERVER_DOWN, ended[ENDED_SERVER_DOWN]);
	same(s, COUNTER_FLOWS_RELOAD, ended[ENDED_RELOAD]);
	same(s, COUNTER_FLOWS_OPERATOR, ended[ENDED_OPERATOR]);
	same(s, COUNTER_FLOWS_EVICTED, ended[ENDED_EVICTED]);
	same(s, COUNTER_FLOWS_LIMIT, ended[ENDED_LIMIT]);
	same(s, COUNTER_FLOWS_REFUSED, m->counts.counters[COUNTER_FLOWS_REFUSED]);
	same(s, COUNTER_FLOWS_REVIVED, m->counts.counters[COUNTER_FLOWS_REVIVED]);
	same(s, COUNTER_FLOWS_RESETS_SENT, m->counts.counters[COUNTER_FLOWS_RESETS_SENT]);
	same(s, COUNTER_FLOWS_CAPACITY, m->rules->max_connections);
	same(s, COUNTER_FLOWS_HALF_OPEN_CAPACITY,
	     m->rules->max_half_open ? m->rules->max_half_open : m->rules->max_connections / 2);
	within(s, COUNTER_FLOWS_HALF_OPEN, flows_model_half_open(m, true),
	       flows_model_half_open(m, false));
	within(s, COUNTER_FLOWS_HALF_OPEN, 0, s->counters[COUNTER_FLOWS_HALF_OPEN_CAPACITY]);
	within(s, COUNTER_FLOWS_QUARANTINED, flows_model_resting(m, true),
	       flows_model_resting(m, false));
	same(s, COUNTER_FLOWS_RESET, flows_model_unrecorded(m));
	step(m, s, COUNTER_FLOWS_OWN_PORT);
	step(m, s, COUNTER_FLOWS_WRONG_SIDE);
	step(m, s, COUNTER_FLOWS_QUARANTINE_CUT);
}

void counted_compare(struct model *m, const struct statistics *s)
{
	compare_flows(m, s);
	same(s, COUNTER_WORKERS_HANDED_OVER, m->counts.whys[WHY_HANDED_OVER]);
	same(s, COUNTER_CONNLOG_LOST, 0); /* the records are taken at once */
	step(m, s, COUNTER_LIMITS_DENIED);
	step(m, s, COUNTER_LIMITS_CONNECTIONS);
	step(m, s, COUNTER_LIMITS_RATE);
	step(m, s, COUNTER_LIMITS_BLOCKED);
	step(m, s, COUNTER_LIMITS_BLOCKS);
}

const char *counted_forgotten(void)
{
	for (unsigned i = 0; i < NCOUNTERS; i++)
		if (compared[i] == !!left_out[i])
			return counter_names[i].member;
	return NULL;
}
