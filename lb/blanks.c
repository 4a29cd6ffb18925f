/*
 * Blank pools of SNAT ports, of which nothing is taken.
 *
 * Ports outside snat_ports or of another worker, those of probes, and the service ports of a VIP of
 * the same address, are marked busy for good: so a packet to address:port is either a client's or a
 * server's, never both.
 */
#include "blanks.h"

#include "bytes.h"

/* Ports as a bitmap. */
struct ports {
	uint64_t bits[POOL_WORDS];
};

static void set_port(struct ports *ports, uint32_t port)
{
	ports->bits[port / POOL_WORD] |= 1ull << port % POOL_WORD;
}

/* Sets the ports that this worker may hand out. */
static void set_mine(struct ports *ports, const struct share *share)
{
	memset(ports, 0, sizeof(*ports));
	for (uint32_t p = share->worker; p < POOL_PORTS; p += share->n)
		set_port(ports, p);
	for (uint32_t p = RULES_PROBE_PORT; p < RULES_PROBE_PORT + RULES_PROBE_PORTS; p++)
		ports->bits[p / POOL_WORD] &= ~(1ull << p % POOL_WORD);
}

/* Marks those of mine free that are in the range, word by word. */
static void free_range(struct pool *pool, const struct port_range *range, const struct ports *mine)
{
	for (uint32_t w = range->first / POOL_WORD; w <= range->last / POOL_WORD; w++) {
		uint64_t in_range = ~0ull;

		if (w == range->first / POOL_WORD)
			in_range &= ~0ull << range->first % POOL_WORD;
		if (w == range->last / POOL_WORD)
			in_range &= ~0ull >> (POOL_WORD - 1 - range->last % POOL_WORD);
		pool->busy[w] &= ~(mine->bits[w] & in_range);
	}
}

/* Makes the blank for the farm's pools: its ports free, all others busy. */
static void make_blank(struct pool *pool, const struct rules_farm *farm, const struct ports *mine)
{
	memset(pool, 0xff, sizeof(*pool));
	for (unsigned r = 0; r < farm->nsnat_ports; r++)
		free_range(pool, &farm->snat_ports[r], mine);
	for (uint32_t w = 0; w < POOL_WORDS; w++)
		if (~pool->busy[w])
			pool->full[w / POOL_WORD] &= ~(1ull << w % POOL_WORD);
}

/* The same for an address that is a VIP: its service ports are busy as well. */
static void make_blank_of_vip(struct pool *pool, const struct pool *other,
                              const struct rules *rules, be32 vip)
{
	*pool = *other;
	for (unsigned f = 0; f < rules->nfarms; f++)
		for (unsigned i = 0;
		     be32_eq(rules->farms[f].vip, vip) && i < rules->farms[f].nports; i++)
			pool_mark_busy(pool, be16_get(rules->farms[f].ports[i]));
}

/* A bit for each address, which it may share with others. */
static uint32_t address_bit(be32 address)
{
	return be32_get(address) * 0x9e3779b1u >> 16;
}

static void set_vips(struct ports *vips, const struct rules *rules)
{
	memset(vips, 0, sizeof(*vips));
	for (unsigned f = 0; f < rules->nfarms; f++)
		set_port(vips, address_bit(rules->farms[f].vip));
}

static bool is_vip(const struct ports *vips, const struct rules *rules, be32 address)
{
	const uint32_t bit = address_bit(address);

	if (!(vips->bits[bit / POOL_WORD] >> bit % POOL_WORD & 1))
		return false;
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (be32_eq(rules->farms[f].vip, address))
			return true;
	return false;
}

uint32_t blanks_count(const struct rules *rules)
{
	uint32_t n = rules->nfarms;
	struct ports vips;

	set_vips(&vips, rules);
	for (unsigned f = 0; f < rules->nfarms; f++)
		for (unsigned i = 0; i < rules->farms[f].nsnat; i++)
			n += is_vip(&vips, rules, rules->farms[f].snat[i]);
	return n;
}

void blanks_make(const struct blanks *blanks, const struct rules *rules, const struct share *share)
{
	uint32_t n = rules->nfarms, *of = blanks->of;
	struct ports vips, mine;

	set_vips(&vips, rules);
	set_mine(&mine, share);
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const struct rules_farm *farm = &rules->farms[f];

		make_blank(&blanks->pools[f], farm, &mine);
		for (unsigned i = 0; i < farm->nsnat; i++, of++) {
			*of = f;
			if (!is_vip(&vips, rules, farm->snat[i]))
				continue;
			*of = n++;
			make_blank_of_vip(&blanks->pools[*of], &blanks->pools[f], rules,
			                  farm->snat[i]);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		blanks->rooms[i] = pool_room(&blanks->pools[i]);
}
