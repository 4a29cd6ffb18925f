/*
 * What new rules take over from old ones at a reload: the servers and farms that are no longer in
 * the file but have flows, marked as gone, the SNAT addresses that flows still have, and the names
 * of IPv6 addresses, which flows hold.
 */
#include "takeover.h"

#include "way.h"

#include <errno.h>
#include <stdlib.h>

/* If both serve a port. */
static bool share_a_port(const struct rules_farm *a, const struct rules_farm *b)
{
	for (unsigned i = 0, j = 0; i < a->nports && j < b->nports;) {
		const unsigned left = be16_get(a->ports[i]), right = be16_get(b->ports[j]);

		if (left == right)
			return true;
		i += left < right;
		j += right < left;
	}
	return false;
}

/* How many farms, but for gone ones, have this VIP. */
static unsigned count_of_vip(const struct rules *rules, be32 vip)
{
	unsigned n = 0;

	for (unsigned f = 0; f < rules->nfarms; f++)
		n += !rules->farms[f].gone && be32_eq(rules->farms[f].vip, vip);
	return n;
}

/* How well farm would follow upon old, a farm of the same VIP; 0: not at all. */
static unsigned likeness(const struct rules_farm *farm, const struct rules_farm *old)
{
	const bool is_namesake = !strcmp(farm->name, old->name);

	if (farm->gone) /* takeover has just added it, for another server of old's */
		return is_namesake;
	return 2u * share_a_port(farm, old) + is_namesake;
}

/*
 * The farm of rules that follows upon old's farm f, or NULL: one of the same VIP that serves a port
 * of it; else one of the same name; else any, if each is the only farm of that VIP.
 */
static struct rules_farm *heir_of(const struct rules *rules, const struct rules *old, unsigned f)
{
	const struct rules_farm *before = &old->farms[f];
	struct rules_farm *best = NULL, *any = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < rules->nfarms; i++) {
		struct rules_farm *farm = &rules->farms[i];

		if (!be32_eq(farm->vip, before->vip))
			continue;
		if (!farm->gone)
			any = farm;
		if (likeness(farm, before) > most) {
			most = likeness(farm, before);
			best = farm;
		}
	}
	if (best || count_of_vip(rules, before->vip) > 1 || count_of_vip(old, before->vip) > 1)
		return best;
	return any;
}

/* The farm's server of this address, or NULL. */
static struct rules_server *server_of(const struct rules *rules, const struct rules_farm *farm,
                                      be32 address)
{
	for (unsigned s = farm->server; s < farm->server + farm->nservers; s++)
		if (be32_eq(rules->servers[s].address, address))
			return &rules->servers[s];
	return NULL;
}

/* Adds a farm that is gone, with what its flows still need: timeout and log. False if memory runs
 * out. */
static bool add_gone_farm(struct rules *rules, const struct rules_farm *old)
{
	struct rules_farm *farm = &rules->farms[rules->nfarms];

	*farm = *old;
	farm->ports = farm->server_ports = farm->checks = NULL;
	farm->scripts = NULL;
	farm->agent = (be16){{0}};
	farm->snat = NULL;
	farm->snat_ports = NULL;
	farm->nports = farm->nchecks = farm->nsnat = farm->nkept = farm->nsnat_ports = 0;
	farm->keeps_off = false;
	farm->server = farm->nservers = 0;
	farm->gone = true;
	farm->access = farm->exempt = (struct prefixes){0};
	farm->allow = farm->deny = farm->client_exempt = NULL;
	farm->client_connections = farm->client_rate = 0;
	farm->connlog = old->connlog ? strdup(old->connlog) : NULL;
	if (old->connlog && !farm->connlog)
		return false;
	rules->nfarms++;
	return true;
}

/* Room for what is gone, beside what there is, and one more, so that none at all isn't taken for a
 * lack of memory; false if that ran out. */
static bool make_room(struct rules *rules, const struct rules *old)
{
	struct rules_farm *farms =
	        realloc(rules->farms, (rules->nfarms + old->nfarms + 1) * sizeof(*farms));
	struct rules_server *servers;

	if (!farms)
		return false;
	rules->farms = farms;
	servers = realloc(rules->servers, (rules->nservers + old->nservers + 1) * sizeof(*servers));
	if (!servers)
		return false;
	rules->servers = servers;
	return true;
}

/* The `vlan` of old's server s in a farm of the present rules: one that was in any VLAN is in those
 * of that farm. */
static uint16_t vlan_of_gone(const struct rules_farm *farm, const struct rules *old, unsigned s)
{
	return rules_server_vlan(old, s) == VLAN_ANY ? farm->vlan : old->servers[s].vlan;
}

/* Puts old's server s, as one that is gone, behind the others of its farm. It is reached by the
 * present rules' ways. */
static void add_gone_server(struct rules *rules, unsigned f, const struct rules *old, unsigned s)
{
	struct rules_farm *farm = &rules->farms[f];
	unsigned at = farm->nservers ? farm->server + farm->nservers : rules->nservers;

	memmove(&rules->servers[at + 1], &rules->servers[at],
	        (rules->nservers - at) * sizeof(*rules->servers));
	rules->nservers++;
	for (unsigned i = 0; i < rules->nfarms; i++)
		if (i != f && rules->farms[i].nservers && rules->farms[i].server >= at)
			rules->farms[i].server++;
	farm->server = farm->nservers ? farm->server : at;
	farm->nservers++;
	rules->servers[at] = old->servers[s];
	rules->servers[at].farm = f;
	rules->servers[at].vlan = vlan_of_gone(farm, old, s);
	rules->servers[at].state = STATE_DRAIN;
	rules->servers[at].weight = 0;
	rules->servers[at].gone = true;
	way_settle_server(rules, &rules->servers[at]);
}

static int add_gone(struct rules *rules, const struct rules *old, unsigned s)
{
	const struct rules_farm *old_farm = &old->farms[old->servers[s].farm];
	struct rules_farm *farm = heir_of(rules, old, old->servers[s].farm);

	if (farm && server_of(rules, farm, old->servers[s].address))
		return 0;
	if (rules->nservers >= RULES_SERVERS_KEPT_MAX)
		return -E2BIG;
	if (!farm && !add_gone_farm(rules, old_farm))
		return -ENOMEM;
	if (!farm)
		farm = &rules->farms[rules->nfarms - 1];
	add_gone_server(rules, (unsigned)(farm - rules->farms), old, s);
	return 0;
}

/* If the address is a name, one of names, changes it to the name that rules give to the same IPv6
 * address. */
static int rename_one(struct rules *rules, const struct ip6 *names, be32 *address)
{
	return name_is_ipv6(*address) && be32_get(*address)
	               ? rules_name(rules, &names[name_index(*address)], address)
	               : 0;
}

static int rename_farm(struct rules *rules, const struct ip6 *names, struct rules_farm *farm)
{
	int err = rename_one(rules, names, &farm->vip);

	for (unsigned i = 0; i < farm->nsnat && !err; i++)
		err = rename_one(rules, names, &farm->snat[i]);
	return err;
}

/* Makes names the n of before. */
static int copy_names(struct rules *rules, const struct ip6 *before, uint32_t n)
{
	uint32_t room = 1;

	rules->names = NULL;
	rules->nnames = 0;
	while (room < n)
		room *= 2;
	rules->names = realloc(NULL, room * sizeof(*rules->names));
	if (!rules->names)
		return -ENOMEM;
	if (n)
		memcpy(rules->names, before, n * sizeof(*rules->names));
	rules->nnames = n;
	return 0;
}

int takeover_names(struct rules *rules, const struct ip6 *before, uint32_t n)
{
	struct ip6 *names = rules->names;
	int err = copy_names(rules, before, n);

	for (unsigned f = 0; f < rules->nfarms && !err; f++)
		err = rename_farm(rules, names, &rules->farms[f]);
	for (unsigned s = 0; s < rules->nservers && !err; s++)
		if (!(err = rename_one(rules, names, &rules->servers[s].address)))
			err = rename_one(rules, names, &rules->servers[s].next);
	if (!err && be32_get(rules->gateway6))
		err = rename_one(rules, names, &rules->gateway6);
	free(names);
	return err == -E2BIG ? -EOVERFLOW : err;
}

/* The server of rules that follows upon old's server s, or NULL. */
static struct rules_server *heir_of_server(const struct rules *rules, const struct rules *old,
                                           unsigned s)
{
	const struct rules_farm *farm = heir_of(rules, old, old->servers[s].farm);

	return farm ? server_of(rules, farm, old->servers[s].address) : NULL;
}

/* Notes of servers in farms that got ports of another farm of their VIP, as when a farm is split,
 * upon which server of that farm they follow. */
static void note_relatives(struct rules *rules, const struct rules *old)
{
	for (unsigned s = 0; s < rules->nservers; s++) {
		struct rules_server *server = &rules->servers[s];
		const struct rules_farm *farm = &rules->farms[server->farm];

		for (unsigned f = 0; f < old->nfarms && !server->was; f++) {
			const struct rules_server *before;

			if (!be32_eq(old->farms[f].vip, farm->vip) || old->farms[f].gone)
				continue;
			before = server_of(old, &old->farms[f], server->address);
			server->was = before ? (uint16_t)(before - old->servers + 1) : 0;
		}
	}
}

static void note_heirs(struct rules *rules, const struct rules *old, uint16_t *ret_map)
{
	for (unsigned s = 0; s < rules->nservers; s++) {
		rules->servers[s].was = 0;
		rules->servers[s].is_heir = false;
	}
	for (unsigned s = 0; s < old->nservers; s++) {
		struct rules_server *server = heir_of_server(rules, old, s);

		ret_map[s] = server ? (uint16_t)(server - rules->servers) : SERVER_NONE;
		if (!server || server->was)
			continue;
		server->was = (uint16_t)(s + 1);
		server->is_heir = true;
	}
	note_relatives(rules, old);
}

/* If the rules use the address for something else now: as a server's, or a gateway's. */
static bool is_taken(const struct rules *rules, be32 address)
{
	for (unsigned s = 0; s < rules->nservers; s++)
		if (be32_eq(rules->servers[s].address, address) ||
		    be32_eq(rules->servers[s].next, address))
			return true;
	return be32_eq(rules->gateway4, address) || be32_eq(rules->gateway6, address);
}

static bool has_snat(const struct rules_farm *farm, be32 address)
{
	for (unsigned i = 0; i < rules_all_snat(farm); i++)
		if (be32_eq(farm->snat[i], address))
			return true;
	return false;
}

/* If farm lacks an address of old's, a farm of the same VIP, and may keep it. */
static bool lacks(const struct rules *rules, const struct rules_farm *farm, be32 address)
{
	return farm->nkept < RULES_SNAT_KEPT_MAX && !has_snat(farm, address) &&
	       !is_taken(rules, address);
}

static bool lacks_off(const struct rules_farm *farm, const struct rules_farm *old)
{
	return farm->nsnat && !farm->keeps_off && (!old->nsnat || old->keeps_off);
}

/* Adds to farm the addresses of old, a farm of the same VIP, that are used; NULL: any may be. */
static int keep_snat(const struct rules *rules, struct rules_farm *farm,
                     const struct rules_farm *old, const bool *used)
{
	const unsigned n = rules_all_snat(old);
	be32 *snat = realloc(farm->snat, (rules_all_snat(farm) + n + 1) * sizeof(*snat));

	if (!snat)
		return -ENOMEM;
	farm->snat = snat;
	for (unsigned i = 0; i < n; i++)
		if ((!used || used[i]) && lacks(rules, farm, old->snat[i]))
			snat[farm->nsnat + farm->nkept++] = old->snat[i];
	farm->keeps_off |= lacks_off(farm, old) && (!used || used[n]);
	return 0;
}

/* If flows of old's may come to farm: it follows upon it, or has a port of it. */
static bool may_get_flows(const struct rules_farm *farm, const struct rules_farm *heir,
                          const struct rules_farm *old)
{
	return !farm->gone && !old->gone && be32_eq(farm->vip, old->vip) &&
	       (farm == heir || share_a_port(farm, old));
}

static int keep_all_snat(struct rules *rules, const struct rules *old, const bool *used)
{
	int err = 0;

	for (unsigned o = 0; o < old->nfarms && !err; o++) {
		const struct rules_farm *heir = heir_of(rules, old, o);

		for (unsigned f = 0; f < rules->nfarms && !err; f++)
			if (may_get_flows(&rules->farms[f], heir, &old->farms[o]))
				err = keep_snat(rules, &rules->farms[f], &old->farms[o], used);
		if (used)
			used += rules_all_snat(&old->farms[o]) + 1;
	}
	return err;
}

/* If farm would keep more of old's addresses by what is used now. */
static bool misses(const struct rules *rules, const struct rules_farm *farm,
                   const struct rules_farm *old, const bool *then, const bool *now)
{
	const unsigned n = rules_all_snat(old);

	for (unsigned i = 0; i < n; i++)
		if (now[i] && !then[i] && lacks(rules, farm, old->snat[i]))
			return true;
	return now[n] && !then[n] && lacks_off(farm, old);
}

static bool any_misses(const struct rules *rules, const struct rules *old, unsigned o,
                       const bool *then, const bool *now)
{
	const struct rules_farm *heir = heir_of(rules, old, o);

	for (unsigned f = 0; f < rules->nfarms; f++)
		if (may_get_flows(&rules->farms[f], heir, &old->farms[o]) &&
		    misses(rules, &rules->farms[f], &old->farms[o], then, now))
			return true;
	return false;
}

bool takeover_misses(const struct rules *rules, const struct rules *old, const bool *then,
                     const bool *now)
{
	for (unsigned o = 0, at = 0; o < old->nfarms; o++) {
		const unsigned n = rules_all_snat(&old->farms[o]) + 1;

		if (memcmp(then + at, now + at, n * sizeof(*now)) != 0 &&
		    any_misses(rules, old, o, then + at, now + at))
			return true;
		at += n;
	}
	return false;
}

size_t takeover_count_snat(const struct rules *rules)
{
	size_t n = 0;

	for (unsigned f = 0; f < rules->nfarms; f++)
		n += rules_all_snat(&rules->farms[f]) + 1;
	return n;
}

int takeover_rules(struct rules *rules, const struct rules *old, const bool *referenced,
                   const bool *used, uint16_t *ret_map)
{
	int err = make_room(rules, old) ? 0 : -ENOMEM;

	if (!err)
		err = takeover_names(rules, old->names, old->nnames);

	for (unsigned s = 0; s < old->nservers && !err; s++)
		if (referenced[s])
			err = add_gone(rules, old, s);
	if (!err)
		err = keep_all_snat(rules, old, used);
	if (!err)
		note_heirs(rules, old, ret_map);
	return err;
}
