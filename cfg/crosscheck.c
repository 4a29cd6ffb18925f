/*
 * Checks what no key can know by itself.
 *
 * A frame is told apart by addresses and ports alone, so no address may have two meanings. Every
 * address that the file gives a meaning to is a claim. The claims are sorted, so that those of one
 * address stand together, and each two of them are compared: one rule for each pair of kinds, in
 * clash(). The message goes to the line that came later, and names the other one.
 */
#include "crosscheck.h"

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

/* ---- one farm ---- */

static const struct where_section *farm_where(const struct where *where,
                                              const struct rules_farm *farm)
{
	return where_find(where, SECTION_FARM, farm->name);
}

static int check_times(const struct where *where, const struct rules_farm *farm)
{
	char timeout[VALUE_DURATION_BYTES], interval[VALUE_DURATION_BYTES];

	if (farm->check_timeout_ms <= farm->check_interval_ms)
		return 0;
	return where_error(where, farm_where(where, farm), "check_timeout",
	                   "%s is longer than check_interval, %s",
	                   value_duration_text(farm->check_timeout_ms, timeout),
	                   value_duration_text(farm->check_interval_ms, interval));
}

static bool is_service_port(const struct rules_farm *farm, unsigned port)
{
	unsigned low = 0, high = farm->nports;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (be16_get(farm->ports[middle]) < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low < farm->nports && be16_get(farm->ports[low]) == port;
}

static bool has_snat_port(const struct rules_farm *farm)
{
	for (unsigned i = 0; i < farm->nsnat_ports; i++)
		for (unsigned port = farm->snat_ports[i].first; port <= farm->snat_ports[i].last;
		     port++)
			if (!is_service_port(farm, port))
				return true;
	return false;
}

/* A flow can't change from one version of IP to the other on its way. */
static int check_family(const struct where *where, const struct rules *rules,
                        const struct rules_farm *farm)
{
	const char *family = name_is_ipv6(farm->vip) ? "IPv6" : "IPv4";
	char text[VALUE_ADDRESS_BYTES];

	for (unsigned i = 0; i < farm->nsnat; i++)
		if (name_is_ipv6(farm->snat[i]) != name_is_ipv6(farm->vip))
			return where_error(where, farm_where(where, farm), "snat",
			                   "%s is not an %s address as the VIP is",
			                   value_address_text(rules, farm->snat[i], text), family);
	for (unsigned i = farm->server; i < farm->server + farm->nservers; i++) {
		const struct rules_server *server = &rules->servers[i];

		if (name_is_ipv6(server->address) != name_is_ipv6(farm->vip))
			return where_error(where, where_find(where, SECTION_SERVER, server->name),
			                   "address", "%s is not an %s address as the VIP is",
			                   value_address_text(rules, server->address, text),
			                   family);
	}
	return 0;
}

static int check_farm(const struct where *where, const struct rules *rules,
                      const struct rules_farm *farm)
{
	int ret;

	if (farm->nports == 0)
		return where_error(where, farm_where(where, farm), "ports",
		                   "a farm needs TCP ports, such as ports = 443, 5060-5061");
	if (farm->nsnat && !has_snat_port(farm))
		return where_error(where, farm_where(where, farm), "snat_ports",
		                   "none is left without the farm's own service ports");
	ret = check_times(where, farm);
	return ret ? ret : check_family(where, rules, farm);
}

static int check_farms(const struct where *where, const struct rules *rules)
{
	int ret = 0;

	if (rules->nfarms == 0)
		return note_error(where->notes, 0,
		                  "no farm: there must be a section such as [farm ocspool]");
	for (unsigned i = 0; ret == 0 && i < rules->nfarms; i++)
		ret = check_farm(where, rules, &rules->farms[i]);
	return ret;
}

static int check_pools(const struct where *where, const struct rules *rules)
{
	uint64_t pools = 0;

	for (unsigned i = 0; i < rules->nfarms; i++) {
		const struct rules_farm *farm = &rules->farms[i];

		pools += (uint64_t)rules_pools_per_server(farm) * farm->nservers * farm->nsnat;
		if (pools > RULES_POOLS_MAX)
			return where_error(where, farm_where(where, farm), "snat",
			                   "makes %llu pools of SNAT ports (ports x servers x SNAT "
			                   "addresses, of all "
			                   "farms so far): at most %u",
			                   (unsigned long long)pools, RULES_POOLS_MAX);
	}
	return 0;
}

static void warn_empty_farms(const struct where *where, const struct rules *rules)
{
	for (unsigned i = 0; i < rules->nfarms; i++)
		if (rules->farms[i].nservers == 0)
			where_warning(where, farm_where(where, &rules->farms[i]), NULL,
			              "has no server: every connection will be refused");
}

/* ---- claims ---- */

static void claims_add(struct claims *claims, be32 address, struct claim claim)
{
	claim.address = be32_get(address);
	claims->all[claims->n++] = claim;
}

static void claims_fill(struct claims *claims, const struct rules *rules)
{
	for (unsigned i = 0; i < rules->nfarms; i++) {
		const struct rules_farm *farm = &rules->farms[i];

		claims_add(claims, farm->vip, (struct claim){.kind = CLAIM_VIP, .farm = i});
		for (unsigned j = 0; j < farm->nsnat; j++)
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

static bool ports_meet(const struct rules_farm *a, const struct rules_farm *b)
{
	for (unsigned i = 0, j = 0; i < a->nports && j < b->nports;) {
		unsigned left = be16_get(a->ports[i]), right = be16_get(b->ports[j]);

		if (left == right)
			return true;
		i += left < right;
		j += right < left;
	}
	return false;
}

/* Whether two farms have flows to the same server address and port. */
static bool servers_meet(const struct rules *rules, unsigned a, unsigned b)
{
	const struct rules_farm *left = &rules->farms[a], *right = &rules->farms[b];

	for (unsigned i = 0; i < left->nservers; i++)
		for (unsigned j = 0; j < right->nservers; j++)
			if (be32_eq(rules->servers[left->server + i].address,
			            rules->servers[right->server + j].address))
				return ports_meet(left, right);
	return false;
}

/* What is wrong with a and b both claiming their address, or NULL. a->kind <= b->kind. */
static const char *clash(const struct rules *rules, const struct claim *a, const struct claim *b)
{
	if (a->kind == CLAIM_VIP && b->kind == CLAIM_VIP)
		return "each farm needs its own";
	if (a->kind == CLAIM_VIP && b->kind == CLAIM_SNAT)
		return a->farm == b->farm ? NULL : "a SNAT address is no other farm's VIP";
	if (a->kind == CLAIM_SNAT && b->kind == CLAIM_SNAT)
		return servers_meet(rules, a->farm, b->farm)
		               ? "as these farms share a server's address and port, their "
		                 "connections could collide"
		               : NULL;
	if (a->kind != CLAIM_SERVER)
		return "a server has an address of its own";
	return a->farm == b->farm ? "a farm has each server once" : NULL;
}

static const struct where_section *claim_where(const struct where *where, const struct rules *rules,
                                               const struct claim *claim)
{
	if (claim->kind == CLAIM_SERVER)
		return where_find(where, SECTION_SERVER, rules->servers[claim->server].name);
	return where_find(where, SECTION_FARM, rules->farms[claim->farm].name);
}

static int claims_report(const struct where *where, const struct rules *rules,
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
	return where_error(where, second, words[b->kind].key, "%s is also %s of [%s] (line %u): %s",
	                   value_address_text(rules, be32_from(a->address), address),
	                   words[a->kind].noun, first->title, where_line(first, words[a->kind].key),
	                   why);
}

static int claims_compare(const struct where *where, const struct rules *rules,
                          const struct claims *claims)
{
	for (size_t i = 0; i < claims->n; i++) {
		const struct claim *a = &claims->all[i];

		for (size_t j = i + 1; j < claims->n; j++) {
			const struct claim *b = &claims->all[j];
			const char *why;

			if (a->address != b->address)
				break;
			why = clash(rules, a, b);
			if (why)
				return claims_report(where, rules, a, b, why);
		}
	}
	return 0;
}

static int check_claims(const struct where *where, const struct rules *rules)
{
	struct claims claims = {0};
	size_t n = rules->nfarms + rules->nservers;
	int ret;

	for (unsigned i = 0; i < rules->nfarms; i++)
		n += rules->farms[i].nsnat;
	claims.all = calloc(n, sizeof(*claims.all));
	if (!claims.all)
		return note_errno(where->notes, ENOMEM);
	claims_fill(&claims, rules);
	qsort(claims.all, claims.n, sizeof(*claims.all), claim_compare);
	ret = claims_compare(where, rules, &claims);
	free(claims.all);
	return ret;
}

int crosscheck(const struct where *where, const struct rules *rules)
{
	int ret = check_farms(where, rules);

	if (ret == 0)
		ret = check_pools(where, rules);
	if (ret == 0)
		ret = check_claims(where, rules);
	if (ret == 0)
		warn_empty_farms(where, rules);
	return ret;
}
