/*
 * The ports that the rules take from the host.
 */
#include "local.h"

static void add(uint64_t ports[LOCAL_PORT_WORDS], unsigned port)
{
	ports[port / 64] |= 1ull << port % 64;
}

static void add_farm(struct local *local, const struct rules_farm *farm)
{
	for (unsigned i = 0; i < farm->nports; i++)
		add(local->servers, be16_get(rules_server_port(farm, i)));
	for (unsigned i = 0; i < farm->nchecks; i++)
		add(local->servers, be16_get(farm->checks[i]));
	if (rules_has_agent(farm))
		add(local->servers, be16_get(farm->agent));
	for (unsigned i = 0; i < farm->nsnat_ports; i++)
		for (unsigned p = farm->snat_ports[i].first; p <= farm->snat_ports[i].last; p++)
			add(local->snat, p);
}

void local_lay_out(struct local **ret, struct arena *arena, const struct rules *rules)
{
	*ret = NULL;
	if (!rules_has_stack(rules))
		return;
	*ret = arena_take(arena, 1, sizeof(**ret));
	if (!*ret)
		return;
	memset(*ret, 0, sizeof(**ret));
	for (unsigned f = 0; f < rules->nfarms; f++)
		add_farm(*ret, &rules->farms[f]);
	for (unsigned i = 0; i < RULES_PROBE_PORTS; i++)
		add((*ret)->snat, RULES_PROBE_PORT + i);
}
