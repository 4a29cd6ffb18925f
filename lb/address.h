/*
 * Which addresses concern us, and in which VLANs: VIPs, SNAT addresses, servers.
 */
#ifndef LB_ADDRESS_H
#define LB_ADDRESS_H

#include "arena.h"
#include "local.h"

enum {
	ADDRESS_VIP = 1 << 0,
	ADDRESS_SNAT = 1 << 1,
	ADDRESS_OURS = ADDRESS_VIP | ADDRESS_SNAT, /* we answer ARP or neighbour discovery */
	ADDRESS_SERVER = 1 << 2,
	ADDRESS_HOST = 1 << 4, /* ours, but the host's own as well: see local.h */
	ADDRESS_NEXT = 1 << 5, /* a gateway, behind which servers are */
	/* a server of a farm with snat = off: packets from it may be flows' */
	ADDRESS_NO_SNAT = 1 << 3,
};

struct address {
	be32 ip;       /* or a name */
	uint32_t user; /* the first farm that has it as VIP or for SNAT, in addresses.users; or
	                  ADDRESS_NO_USER */
	uint16_t vlan; /* in which it is that, or VLAN_ANY */
	uint8_t kinds; /* ADDRESS_...; 0: an empty place of the table */
};

#define ADDRESS_NO_USER UINT32_MAX

/* A farm that has an address. */
struct address_user {
	uint64_t changes; /* of the first one: health.changes when is_up was found out */
	uint32_t next;    /* another farm that has it, or ADDRESS_NO_USER */
	uint16_t farm;
	bool is_up; /* of the first one: see farms_is_up() */
};

/* Open addressing, a power of two. Of the same address, what is in one VLAN only comes first. */
struct address_table {
	struct address *places;
	uint32_t mask;
};

struct addresses {
	struct address_table ipv4, named; /* named: of IPv6, by their names */
	struct address_user *users;
	uint32_t nusers;
	uint32_t *names; /* index + 1 in rules.names: open addressing, a power of two */
	uint32_t names_mask;
	uint8_t *untagged;    /* addresses_untagged() */
	struct ip6 *numbered; /* rules.names by number; that of 0 is no host's */
	const struct rules *rules;
	struct local *local; /* NULL: the host takes part in nothing */
	bool any_no_snat;    /* there is an ADDRESS_NO_SNAT */
	bool any_ipv6;       /* there is an IPv6 address */
};

/* Takes the table from arena and, unless that only measures, fills it from rules. */
void addresses_lay_out(struct addresses *addresses, struct arena *arena, const struct rules *rules);

/* Where the walk through a table for an address begins. */
static inline uint32_t address_start(const struct address_table *table, be32 ip)
{
	return (be32_get(ip) * 0x9e3779b1u) >> 7 & table->mask; /* Fibonacci hashing */
}

/* What the address is to us in a VLAN. Never NULL: one that isn't known has no kinds. */
static inline const struct address *address_in(const struct address_table *table, be32 ip,
                                               uint16_t vlan)
{
	const struct address *places = table->places;
	uint32_t i = address_start(table, ip);

	while (places[i].kinds &&
	       !(be32_eq(places[i].ip, ip) && vlan_matches(places[i].vlan, vlan)))
		i = (i + 1) & table->mask;
	return &places[i];
}

/* The same of an IPv4 address, and of a name. */
static inline const struct address *addresses_find(const struct addresses *addresses, be32 ip,
                                                   uint16_t vlan)
{
	return address_in(&addresses->ipv4, ip, vlan);
}

static inline const struct address *addresses_find_name(const struct addresses *addresses,
                                                        be32 name, uint16_t vlan)
{
	return address_in(&addresses->named, name, vlan);
}

/* The first farm that has the address, of which it must be a VIP or a SNAT address. */
static inline unsigned addresses_farm(const struct addresses *addresses,
                                      const struct address *address)
{
	return addresses->users[address->user].farm;
}

/* If the farm is the first one to have the address in its own VLAN: of several that share one, one
 * is. */
bool addresses_is_first(const struct addresses *addresses, unsigned farm, be32 ip);

/*
 * Where the walk through names for an address begins. What addresses of a network differ by stands
 * in the last bytes of low, its upper ones: they are brought down, as a product only carries
 * upwards.
 */
static inline uint32_t address_name_start(const struct addresses *addresses, const struct ip6 *ip)
{
	uint64_t high = word64_load(ip->b), low = word64_load(ip->b + sizeof(high));

	high ^= low * 3;
	high ^= high >> 32;
	return (uint32_t)(high * 0x9e3779b97f4a7c15ull >> 32) & addresses->names_mask;
}

/* The name that the rules give to an IPv6 address; false if they don't know it. */
bool addresses_name(const struct addresses *addresses, const struct ip6 *ip, be32 *ret);

/* The number of the address's name: 1 for the first one that the rules give; 0 if they don't know
 * it. */
uint32_t addresses_number(const struct addresses *addresses, const struct ip6 *ip);

/* Sets *ret to that of a name which stands where the walk begins, if that is the address's, as it
 * mostly is of one that has a name: found without a branch that a processor can't predict. False if
 * not. The rules must give at least one name. */
static inline bool addresses_number_first(const struct addresses *addresses, const struct ip6 *ip,
                                          uint32_t *ret)
{
	const uint32_t number = addresses->names[address_name_start(addresses, ip)];
	const struct ip6 *name = &addresses->numbered[number];

	*ret = number;
	return !((word64_load(name->b) ^ word64_load(ip->b)) |
	         (word64_load(name->b + 8) ^ word64_load(ip->b + 8)));
}

/* What the address with the name of that number is to us in untagged frames (ADDRESS_...); 0 for
 * number 0. */
static inline uint8_t addresses_untagged(const struct addresses *addresses, uint32_t number)
{
	return addresses->untagged[number];
}

#endif
