/*
 * Whether a farm has SNAT ports enough.
 *
 * Not all of snat_ports can be had: the source ports of probes are theirs, where the SNAT address
 * is a VIP its service ports are its clients', and each worker has those that are its number modulo
 * how many workers there are. A worker without any refuses every connection of its clients, which
 * would be seen only by some of them: so that is a mistake in the file.
 */
#include "snat.h"

struct pools {
	unsigned workers;
	bool has[RULES_WORKERS_MAX]; /* a port, on any address */
	unsigned left;               /* how many have none */
};

static void add_port(struct pools *pools, unsigned port)
{
	bool *has = &pools->has[port % pools->workers];

	pools->left -= !*has;
	*has = true;
}

/* Whether a farm whose VIP the address is serves the port. */
static bool is_service(const struct rules *rules, be32 address, be16 port)
{
	for (unsigned i = 0; i < rules->nfarms; i++)
		if (be32_eq(rules->farms[i].vip, address) &&
		    rules_service(&rules->farms[i], port) >= 0)
			return true;
	return false;
}

/* Whether a flow may have the port of the address. */
static bool is_free(const struct rules *rules, be32 address, be16 port)
{
	return !rules_is_probe_port(port) && !is_service(rules, address, port);
}

static void add_address(struct pools *pools, const struct rules *rules,
                        const struct rules_farm *farm, be32 address)
{
	for (unsigned i = 0; i < farm->nsnat_ports; i++)
		for (unsigned port = farm->snat_ports[i].first;
		     port <= farm->snat_ports[i].last && pools->left; port++)
			if (is_free(rules, address, be16_from((uint16_t)port)))
				add_port(pools, port);
}

/* The first worker without a port, or as many as there are; of an address that is the VIP. */
static unsigned worker_without(const struct rules *rules, const struct rules_farm *farm,
                               unsigned workers)
{
	struct pools pools = {.workers = workers, .left = workers};
	unsigned worker = 0;

	for (unsigned i = 0; i < farm->nsnat && pools.left; i++)
		add_address(&pools, rules, farm, farm->snat[i]);
	while (worker < workers && pools.has[worker])
		worker++;
	return worker;
}

void snat_check(const struct where *where, const struct rules *rules, const struct rules_farm *farm,
                const struct where_section *section)
{
	unsigned workers = rules->workers ? rules->workers : RULES_WORKERS_MAX, worker;

	if (worker_without(rules, farm, 1) == 0) {
		where_error(where, section, "snat_ports",
		            "no port is left for connections: %u-%u are the probes', and the "
		            "service ports of a VIP aren't used as its SNAT ports",
		            RULES_PROBE_PORT, RULES_PROBE_PORT + RULES_PROBE_PORTS - 1);
		return;
	}
	worker = worker_without(rules, farm, workers);
	if (worker == workers)
		return;
	if (rules->workers)
		where_error(where, section, "snat_ports",
		            "leaves none for worker %u of %u, which has those that are %u modulo "
		            "%u: any %u in a row are enough",
		            worker + 1, workers, worker, workers, workers);
	else
		where_warning(where, section, "snat_ports",
		              "leaves none for worker %u, should workers = auto be that many: any "
		              "%u in a row are enough",
		              worker + 1, workers);
}
