/*
 * struct rules after cfg/ has built it: names of IPv6 addresses and words of enums, look-ups, and
 * its release.
 */
#include "rules.h"

#include <errno.h>
#include <stdlib.h>

static void free_scripts(struct rules *rules)
{
	for (unsigned i = 0; i < rules->nscripts; i++) {
		free(rules->scripts[i].text);
		free(rules->scripts[i].send);
		free(rules->scripts[i].expect);
		free(rules->scripts[i].mask);
	}
	free(rules->scripts);
}

static void prefixes_free(struct prefixes *prefixes)
{
	free(prefixes->first);
	free(prefixes->word);
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (unsigned i = 0; i < rules->nfarms; i++) {
		struct rules_farm *farm = &rules->farms[i];

		free(farm->ports);
		free(farm->server_ports);
		free(farm->checks);
		free(farm->scripts);
		free(farm->snat);
		free(farm->snat_ports);
		free(farm->connlog);
		prefixes_free(&farm->access);
		prefixes_free(&farm->exempt);
		free(farm->allow);
		free(farm->deny);
		free(farm->client_exempt);
	}
	free_scripts(rules);
	for (unsigned i = 0; i < rules->nfilters; i++)
		free(rules->filters[i].match);
	free(rules->filters);
	for (unsigned i = 0; i < rules->nlists; i++)
		free(rules->lists[i]);
	free(rules->lists);
	free(rules->farms);
	free(rules->servers);
	free(rules->names);
	free(rules);
}

int rules_name(struct rules *rules, const struct ip6 *ip, be32 *ret)
{
	/* by words, as there may be thousands of names */
	const uint64_t first = word64_load(ip->b), last = word64_load(ip->b + 8);
	struct ip6 *names = rules->names;
	uint32_t i = 0;

	while (i < rules->nnames &&
	       (word64_load(names[i].b) != first || word64_load(names[i].b + 8) != last))
		i++;
	*ret = name_of(i);
	if (i < rules->nnames)
		return 0;
	if (i == RULES_NAMES_MAX)
		return -E2BIG;
	if ((i & (i - 1)) == 0) { /* i is 0 or a power of two: the array is full */
		names = realloc(rules->names, (i ? 2 * i : 1) * sizeof(*names));
		if (!names)
			return -ENOMEM;
		rules->names = names;
	}
	rules->names[rules->nnames++] = *ip;
	return 0;
}

#define RULES_WORD(enumerator, word, ...) [enumerator] = (word),
const char *const rules_scheduler_words[] = {RULES_SCHEDULERS(RULES_WORD)[RULES_NSCHEDULERS] =
                                                     NULL};
const char *const rules_mode_words[] = {RULES_MODES(RULES_WORD)[RULES_NMODES] = NULL};
const char *const rules_state_words[] = {RULES_STATES(RULES_WORD)[RULES_NSTATES] = NULL};
const char *const rules_filter_action_words[] = {
        RULES_FILTER_ACTIONS(RULES_WORD)[RULES_NFILTER_ACTIONS] = NULL};
#undef RULES_WORD

bool rules_is_left(const struct rules_server *server)
{
	return server->state == STATE_DISABLED || server->gone;
}

unsigned rules_pools_per_server(const struct rules_farm *farm)
{
	return farm->nports <= RULES_POOLED_PORTS_MAX ? farm->nports : 1;
}

int rules_service(const struct rules_farm *farm, be16 port)
{
	unsigned low = 0, high = farm->nports;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (be16_get(farm->ports[mid]) < be16_get(port))
			low = mid + 1;
		else
			high = mid;
	}
	return low < farm->nports && be16_eq(farm->ports[low], port) ? (int)low : -1;
}
