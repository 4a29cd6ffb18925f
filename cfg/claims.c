/*
 * Whether each address of lb.ini has one meaning.
 *
 * A frame is told apart by addresses and ports alone, so no address, and no port of a VIP, may have
 * two meanings. Every address that the file gives a meaning to is a claim. The claims are sorted,
 * so that those of one address stand together, and each is compared with those before it: one rule
 * for each pair of kinds, in clash(). The message goes to the line that came later, and names the
 * other one.
 */
#include "claims.h"

#include <errno.h>
#include <stdlib.h>

enum claim_kind { CLAIM_VIP, CLAIM_SNAT, CLAIM_SERVER };

struct claim {
	uint32_t address;
	enum claim_kind kind;
	unsigned farm, server; /* server: CLAIM_SERVER only */
};

struct claims {
	struct claim *all;
	size_t n;
};

/* If the address isn't set, as its key was refused. */
static bool is_none(be32 address)
{
	return be32_get(address) == 0;
}

static const struct where_section *claim_where(const struct where *where, const struct rules *rules,
                                               const struct claim *claim)
{
	if (claim->kind == CLAIM_SERVER)
		return where_find(where, SECTION_SERVER, rules->servers[claim->server].name);
	return where_find(where, SECTION_FARM, rules->farms[claim->farm].name);
}

static void claims_add(struct claims *claims, be32 address, struct claim claim)
{
	if (is_none(address))
		return;
	claim.address = be32_get(address);
	claims->all[claims->n++] = claim;
}

static void claims_fill(struct claims *claims, const struct rules *rules)
{
	for (unsigned i = 0; i < rules->nfarms; i++) {
		const struct rules_farm *farm = &rules->farms[i];

		claims_add(claims, farm->vip, (struct claim){.kind = CLAIM_VIP, .farm = i});
		/* a SNAT address that is the farm's own VIP claims nothing more */
		for (unsigned j = 0; j < farm->nsnat; j++)
			if (!be32_eq(farm->snat[j], farm->vip))
				claims_add(claims, farm->snat[j],
				           (struct claim){.kind = CLAIM_SNAT, .farm = i});
	}
	for (unsigned i = 0; i < rules->nservers; i++)
		claims_add(claims, rules->servers[i].address,
		           (struct claim){.kind = CLAIM_SERVER,
		                          .farm = rules->servers[i].farm,
		                          .server = i});
}

static int compare(unsigned a, unsigned b)
{
	return (a > b) - (a < b);
}

static int claim_compare(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;
	int order = compare(a->address, b->address);

	if (order == 0)
		order = compare(a->kind, b->kind);
	if (order == 0)
		order = compare(a->farm, b->farm);
	return order ? order : compare(a->server, b->server);
}

/* The first service port that both have, or 0. */
static unsigned common_port(const struct rules_farm *a, const struct rules_farm *b)
{
	for (unsigned i = 0, j = 0; i < a->nports && j < b->nports;) {
		unsigned left = be16_get(a->ports[i]), right = be16_get(b->ports[j]);

		if (left == right)
			return left;
		i += left < right;
		j += right < left;
	}
	return 0;
}

/* ---- SNAT addresses in common ---- */

/* Whether services of both are at the same port of their servers. */
static bool server_ports_meet(const struct rules_farm *a, const struct rules_farm *b)
{
	bool has[UINT16_MAX + 1] = {false};

	for (unsigned i = 0; i < a->nports; i++)
		has[be16_get(rules_server_port(a, i))] = true;
	for (unsigned i = 0; i < b->nports; i++)
		if (has[be16_get(rules_server_port(b, i))])
			return true;
	return false;
}

/* Whether two farms have flows to the same server address and port. */
static bool servers_meet(const struct rules *rules, const struct rules_farm *a,
                         const struct rules_farm *b)
{
	for (unsigned i = 0; i < a->nservers; i++)
		for (unsigned j = 0; j < b->nservers; j++)
			if (!is_none(rules->servers[a->server + i].address) &&
			    be32_eq(rules->servers[a->server + i].address,
			            rules->servers[b->server + j].address))
				return server_ports_meet(a, b);
	return false;
}

/* Whether they have SNAT ports in common, but not all. */
static bool snat_ports_differ(const struct rules_farm *a, const struct rules_farm *b)
{
	if (a->nsnat_ports == b->nsnat_ports &&
	    !memcmp(a->snat_ports, b->snat_ports, a->nsnat_ports * sizeof(*a->snat_ports)))
		return false;
	for (unsigned i = 0, j = 0; i < a->nsnat_ports && j < b->nsnat_ports;) {
		const struct port_range *left = &a->snat_ports[i], *right = &b->snat_ports[j];

		if (left->first <= right->last && right->first <= left->last)
			return true;
		if (left->last < right->last)
			i++;
		else
			j++;
	}
	return false;
}

/* Two farms with a SNAT address in common share its ports for each server: all of them or none. */
static const char *snat_clash(const struct rules *rules, unsigned a, unsigned b)
{
	const struct rules_farm *left = &rules->farms[a], *right = &rules->farms[b];

	return snat_ports_differ(left, right) && servers_meet(rules, left, right)
	               ? "farms that share it and a server's port have the same snat_ports, or "
	                 "none "
	                 "in common"
	               : NULL;
}

static bool has_vip_for_snat(const struct rules_farm *farm)
{
	for (unsigned i = 0; i < farm->nsnat; i++)
		if (be32_eq(farm->snat[i], farm->vip))
			return true;
	return false;
}

/* Two farms of one VIP. That their ports differ is said of the ports: see check_ports(). */
static const char *vip_clash(const struct rules *rules, unsigned a, unsigned b)
{
	const struct rules_farm *left = &rules->farms[a], *right = &rules->farms[b];

	if (left->vlan != right->vlan)
		return "farms of one VIP are in the same VLAN";
	return has_vip_for_snat(left) && has_vip_for_snat(right) ? snat_clash(rules, a, b) : NULL;
}

/* ---- One address ---- */

/* What is wrong with a and b both claiming their address, or NULL. a->kind <= b->kind. */
static const char *clash(const struct rules *rules, const struct claim *a, const struct claim *b)
{
	if (a->kind == CLAIM_VIP && b->kind == CLAIM_VIP)
		return vip_clash(rules, a->farm, b->farm);
	if (a->kind == CLAIM_VIP && b->kind == CLAIM_SNAT)
		return "a SNAT address is no other farm's VIP";
	if (a->kind == CLAIM_SNAT && b->kind == CLAIM_SNAT)
		return snat_clash(rules, a->farm, b->farm);
	if (a->kind != CLAIM_SERVER)
		return "a server has an address of its own";
	return a->farm == b->farm && a->farm != KEYS_NO_FARM ? "a farm has each server once" : NULL;
}

static void claims_report(const struct where *where, const struct rules *rules,
                          const struct claim *a, const struct claim *b, const char *why)
{
	static const struct {
		const char *key, *noun;
	} words[] = {
	        [CLAIM_VIP] = {"vip", "the VIP"},
	        [CLAIM_SNAT] = {"snat", "a SNAT address"},
	        [CLAIM_SERVER] = {"address", "the address"},
	};
	const struct where_section *first = claim_where(where, rules, a);
	const struct where_section *second = claim_where(where, rules, b);
	char address[VALUE_ADDRESS_BYTES];

	if (where_line(first, words[a->kind].key) > where_line(second, words[b->kind].key))
		return claims_report(where, rules, b, a, why);
	where_error(where, second, words[b->kind].key, "%s is also %s of [%s] (line %u): %s",
	            value_address_text(rules, be32_from(a->address), address), words[a->kind].noun,
	            first->title, where_line(first, words[a->kind].key), why);
}

/* The key that says which ports the farm of that section has. */
static const char *ports_key(const struct where_section *section)
{
	return where_has(section, "ports") ? "ports" : "preset";
}

/* Whether two farms of one VIP have a port in common: then it is said, of the later one. */
static bool check_ports(const struct where *where, const struct rules *rules, const struct claim *a,
                        const struct claim *b)
{
	const unsigned port = common_port(&rules->farms[a->farm], &rules->farms[b->farm]);
	const struct where_section *first = claim_where(where, rules, a),
	                           *second = claim_where(where, rules, b);

	if (!port)
		return true;
	if (first->line > second->line)
		return check_ports(where, rules, b, a);
	where_error(where, second, ports_key(second),
	            "%u is also a port of [%s] (line %u), which has the same VIP", port,
	            first->title, where_line(first, ports_key(first)));
	return false;
}

/* Compares claim i with those of its address before it, from first on; one message is enough. */
static void claims_compare(const struct where *where, const struct rules *rules,
                           const struct claims *claims, size_t first, size_t i)
{
	for (size_t j = first; j < i; j++) {
		const char *why = clash(rules, &claims->all[j], &claims->all[i]);

		if (why)
			return claims_report(where, rules, &claims->all[j], &claims->all[i], why);
		if (claims->all[i].kind == CLAIM_VIP &&
		    !check_ports(where, rules, &claims->all[j], &claims->all[i]))
			return;
	}
}

int claims_check(const struct where *where, const struct rules *rules)
{
	struct claims claims = {0};
	size_t n = rules->nfarms + rules->nservers + 1, first = 0;

	for (unsigned i = 0; i < rules->nfarms; i++)
		n += rules->farms[i].nsnat;
	claims.all = calloc(n, sizeof(*claims.all));
	if (!claims.all)
		return -ENOMEM;
	claims_fill(&claims, rules);
	qsort(claims.all, claims.n, sizeof(*claims.all), claim_compare);
	for (size_t i = 0; i < claims.n; i++) {
		if (claims.all[i].address != claims.all[first].address)
			first = i;
		claims_compare(where, rules, &claims, first, i);
	}
	free(claims.all);
	return 0;
}
