/*
 * How full the pools of SNAT ports are. Another thread may ask while the worker goes on.
 */
#include "snat.h"

#include "both.h"

/* If a / b is more than c / d, all being numbers of ports. */
static bool is_more(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	return a * d > c * b;
}

static void look_at(const struct snat *snat, unsigned server, unsigned address, unsigned service,
                    struct snat_fill *fullest)
{
	const unsigned farm = snat->rules->servers[server].farm;
	const uint32_t taken =
	        BOTH_READ(snat->next[snat_pool_of(snat, server, address, service)].taken);
	const uint32_t of = snat->blanks.of[snat->farms[farm].address + address];

	if (is_more(taken, snat->blanks.rooms[of], fullest->taken, fullest->room))
		*fullest = (struct snat_fill){
		        .taken = taken,
		        .room = snat->blanks.rooms[of],
		        .server = (uint16_t)server,
		        .address = (uint16_t)address,
		        .port = snat_has_one_pool(&snat->rules->farms[farm])
		                        ? (be16){{0}}
		                        : rules_server_port(&snat->rules->farms[farm], service),
		};
}

void snat_fullest(const struct snat *snat, unsigned f, struct snat_fill *fullest)
{
	const struct rules_farm *farm = &snat->rules->farms[f];

	for (unsigned s = farm->server; s < farm->server + farm->nservers; s++)
		for (unsigned a = 0; a < farm->nsnat; a++)
			for (unsigned i = 0; i < rules_pools_per_server(farm); i++)
				look_at(snat, s, a, i, fullest);
}
