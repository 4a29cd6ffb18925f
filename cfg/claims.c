/*
 * Whether each address of lb.ini has one meaning.
 *
 * A frame is told apart by addresses and ports alone, so no address may have two meanings. Every
 * address that the file gives a meaning to is a claim. The claims are sorted, so that those of one
 * address stand together, and each is compared with those before it: one rule for each pair of
 * kinds, in clash(). The message goes to the line that came later, and names the other one.
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

/* What a key has left that was refused. */
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
			if (!is_none(rules->servers[left->server + i].address) &&
			    be32_eq(rules->servers[left->server + i].address,
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
		return "a SNAT address is no other farm's VIP";
	if (a->kind == CLAIM_SNAT && b->kind == CLAIM_SNAT)
		return servers_meet(rules, a->farm, b->farm)
		               ? "as these farms share a server's address and port, their "
		                 "connections could collide"
		               : NULL;
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

/* Compares claim i with those of its address before it, from first on; one message is enough. */
static void claims_compare(const struct where *where, const struct rules *rules,
                           const struct claims *claims, size_t first, size_t i)
{
	for (size_t j = first; j < i; j++) {
		const char *why = clash(rules, &claims->all[j], &claims->all[i]);

		if (why)
			return claims_report(where, rules, &claims->all[j], &claims->all[i], why);
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
