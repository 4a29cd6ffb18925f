/*
 * What the tests of services begin with: farms on one VIP, and services at other ports.
 */
#ifndef UNIT_SERVICES_FIXTURE_H
#define UNIT_SERVICES_FIXTURE_H

#include "fixture.h"

#include "../../lb/owner.h"
#include "../../lb/services.h"

#include <stdlib.h>

enum { SYN = 0x02, ACK = 0x10, PSH = 0x08, RST = 0x04, PORTS = 65536, FARMS = 5 };

static struct engine engine;

static inline void set_vip(struct rules_farm *farm, be32 vip)
{
	farm->vip = vip;
	fixture_set_snat(farm, &vip, 1);
}

static inline void set_ports(struct rules_farm *farm, const uint16_t *ports, unsigned n)
{
	fixture_set_ports(farm, 1, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		farm->ports[i] = be16_from(ports[i]);
}

/* Where the services go, in their order. */
static inline void map_ports(struct rules_farm *farm, const uint16_t *ports)
{
	free(farm->server_ports);
	farm->server_ports = calloc(farm->nports, sizeof(*farm->server_ports));
	for (unsigned i = 0; i < farm->nports; i++)
		farm->server_ports[i] = be16_from(ports[i]);
}

/* The VIP has 443, 444, 5060 and 5061 at servers 0 and 1; and 80, 442 and 5062 at 2 and 3. */
static inline struct rules *two_on_a_vip(void)
{
	static const uint16_t others[] = {80, 442, 5062};
	struct rules *rules = fixture_two_farms();

	set_vip(&rules->farms[1], fixture_vip());
	set_ports(&rules->farms[1], others, 3);
	return rules;
}

/* The same, with 80 at 8080, 442 at 4430 and 5062 at 443 of the second farm's servers. */
static inline struct rules *mapped(void)
{
	static const uint16_t to[] = {8080, 4430, 443};
	struct rules *rules = two_on_a_vip();

	map_ports(&rules->farms[1], to);
	return rules;
}

/* ---- SNAT ports ---- */

/* Both farms have the same servers; 5062 and 443 go to the same port of them. */
static inline struct rules *same_servers(void)
{
	struct rules *rules = mapped();

	rules->servers[2].address = rules->servers[0].address;
	rules->servers[3].address = rules->servers[1].address;
	for (unsigned f = 0; f < 2; f++)
		fixture_set_snat_ports(&rules->farms[f], 2000, 2299);
	return rules;
}

#endif
