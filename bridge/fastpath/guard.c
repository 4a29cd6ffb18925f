/*
 * The guard, as the process sees it: its arrays are in the process's memory, so that other rules
 * need nothing of the kernel.
 */
#include "guard.h"

#include "guard_program.h"
#include "guard_shared.h"
#include "object.h"
#include "tc.h"
#include "../process/log.h"
#include "../../lb/flow.h"
#include "../../lb/local.h"
#include "../../lb/way.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>

struct guard {
	struct bpf_object *object;
	struct mnl_socket *socket;
	int program;
	struct object_memory conf, places, ports;
	bool is_cables;
	struct link links[NSIDES]; /* index 0: none */
	bool hook_made[NSIDES];
	const struct rules *prepared; /* in the half that isn't in use; or NULL */
};

/* ---- What the program looks at ---- */

/* One half, being filled. */
struct half {
	struct guard_place *places;
	struct guard_ports *ports;
	unsigned nslots;
};

static struct ip6 full(const struct rules *rules, be32 address)
{
	return name_is_ipv6(address) ? *rules_ip6(rules, address) : ip6_mapped(address);
}

/* The place of the address, which may be an empty one; NULL: there is no room. */
static struct guard_place *place_of(struct half *half, const struct ip6 *ip)
{
	for (uint32_t n = 0; n < GUARD_PROBES; n++) {
		struct guard_place *place =
		        &half->places[(guard_hash(ip) + n) & (GUARD_PLACES - 1)];

		if (!place->kinds || ip6_eq(&place->ip, ip))
			return place;
	}
	return NULL;
}

static struct guard_place *add(struct half *half, const struct rules *rules, be32 address,
                               unsigned kinds)
{
	const struct ip6 ip = full(rules, address);
	struct guard_place *place = place_of(half, &ip);

	if (!place)
		return NULL;
	place->ip = ip;
	place->kinds |= kinds;
	if (kinds & GUARD_OURS && way_is_hosts(rules, address))
		place->kinds |= GUARD_HOSTS;
	for (unsigned side = 0; kinds & GUARD_OURS && side < NSIDES; side++)
		if (way_is_ours(rules, address, (enum side)side))
			place->kinds |= (uint32_t)GUARD_ANSWERED << side;
	return place;
}

static void add_port(struct guard_ports *ports, unsigned port)
{
	ports->words[port / 64] |= 1ull << port % 64;
}

/* The service ports of a VIP, in a set of their own if the host has the address. */
static bool add_vip(struct half *half, const struct rules *rules, const struct rules_farm *farm)
{
	struct guard_place *place = add(half, rules, farm->vip, GUARD_OURS);

	if (!place)
		return false;
	if (!(place->kinds & GUARD_HOSTS))
		return true;
	if (!place->slot && half->nslots == GUARD_SLOTS)
		return false;
	if (!place->slot)
		place->slot = half->nslots++;
	for (unsigned i = 0; i < farm->nports; i++)
		add_port(&half->ports[place->slot], be16_get(farm->ports[i]));
	return true;
}

/* On a cable the addresses of a VLAN's farm are somebody else's where there is no tag. */
static bool add_farm(struct half *half, const struct rules *rules, const struct rules_farm *farm)
{
	bool ok = true;

	if (!rules_has_stack(rules) && farm->vlan)
		return true;
	ok = farm->gone || add_vip(half, rules, farm);
	for (unsigned i = 0; i < rules_all_snat(farm) && ok; i++)
		ok = add(half, rules, farm->snat[i], GUARD_OURS);
	for (unsigned i = 0; i < farm->nservers && ok; i++)
		ok = add(half, rules, rules->servers[farm->server + i].address, GUARD_SERVER);
	return ok;
}

static void copy_local(struct half *half, const struct rules *rules)
{
	static_assert(sizeof(((struct local *)NULL)->snat) == sizeof(struct guard_ports),
	              "a set of ports");
	_Alignas(ARENA_ALIGN) static uint8_t memory[2 * sizeof(struct local)];
	struct arena arena = {.base = memory};
	struct local *local;

	local_lay_out(&local, &arena, rules);
	if (!local)
		return;
	memcpy(&half->ports[GUARD_SLOT_SNAT], local->snat, sizeof(local->snat));
	memcpy(&half->ports[GUARD_SLOT_SERVERS], local->servers, sizeof(local->servers));
}

/* The one in use, or the other one. */
static struct half half_of(const struct guard *guard, bool in_use)
{
	const struct guard_conf *conf = guard->conf.at;
	const uint32_t half = (conf->half & 1) ^ !in_use;

	return (struct half){
	        .places = (struct guard_place *)guard->places.at + half * GUARD_PLACES,
	        .ports = (struct guard_ports *)guard->ports.at + half * GUARD_SLOTS,
	        .nslots = GUARD_SLOT_FIRST,
	};
}

int guard_prepare_rules(struct guard *guard, const struct rules *rules)
{
	struct half half = half_of(guard, false);

	guard->prepared = NULL;
	memset(half.places, 0, GUARD_PLACES * sizeof(*half.places));
	memset(half.ports, 0, GUARD_SLOTS * sizeof(*half.ports));
	copy_local(&half, rules);
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (!add_farm(&half, rules, &rules->farms[f]))
			return -E2BIG;
	guard->prepared = rules;
	return 0;
}

int guard_set_rules(struct guard *guard, const struct rules *rules)
{
	struct guard_conf *conf = guard->conf.at;
	int err = guard->prepared == rules ? 0 : guard_prepare_rules(guard, rules);

	guard->prepared = NULL;
	if (!err)
		__atomic_store_n(&conf->half, !conf->half, __ATOMIC_RELEASE);
	return err;
}

/* ---- What flows need beyond the rules ---- */

/* Adds the ports of before, or all if that is NULL, to those of now. True if that lacked any. */
static bool merge(struct guard_ports *now, const struct guard_ports *before)
{
	bool ret = false;

	for (unsigned i = 0; i < sizeof(now->words) / sizeof(now->words[0]); i++) {
		const uint64_t words = before ? before->words[i] : UINT64_MAX;

		ret |= words & ~now->words[i];
		now->words[i] |= words;
	}
	return ret;
}

/* The same of what is sent to a farm's VIP. What the host didn't have at all was ours. */
static bool merge_vip(struct half *now, struct half *before, const struct rules *rules, be32 vip)
{
	const struct ip6 ip = full(rules, vip);
	const struct guard_place *was = place_of(before, &ip), *is = place_of(now, &ip);

	if (!was || !is || !(was->kinds & GUARD_OURS) || !(is->kinds & GUARD_HOSTS))
		return false;
	return merge(&now->ports[is->slot],
	             was->kinds & GUARD_HOSTS ? &before->ports[was->slot] : NULL);
}

bool guard_keep_all(struct guard *guard, const struct rules *rules)
{
	struct half before = half_of(guard, true), now = half_of(guard, false);
	bool any = false;

	if (guard->prepared != rules || !rules_has_stack(rules))
		return false;
	for (unsigned slot = 0; slot < GUARD_SLOT_FIRST; slot++)
		any |= merge(&now.ports[slot], &before.ports[slot]);
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (!rules->farms[f].gone)
			any |= merge_vip(&now, &before, rules, rules->farms[f].vip);
	return any;
}

/* True if it wasn't there. */
static bool keep_port(struct guard_ports *ports, be16 port)
{
	const uint64_t bit = 1ull << be16_get(port) % 64;
	uint64_t *word = &ports->words[be16_get(port) / 64];
	const bool ret = !(*word & bit);

	*word |= bit;
	return ret;
}

/* The place of an address of ours that the host has itself, or NULL. Of a flow that ends just now
 * the address may be any. */
static const struct guard_place *shared(struct half *half, const struct rules *rules, be32 address)
{
	const struct guard_place *place;
	struct ip6 ip;

	if (name_is_ipv6(address) && name_index(address) >= rules->nnames)
		return NULL;
	ip = full(rules, address);
	place = place_of(half, &ip);
	return place && place->kinds & GUARD_OURS && place->kinds & GUARD_HOSTS ? place : NULL;
}

bool guard_keep(struct guard *guard, const struct rules *rules, const struct tuple arrive[2])
{
	const struct tuple *client = &arrive[CLIENT], *server = &arrive[SERVER];
	struct half half = half_of(guard, false);
	const struct guard_place *vip = shared(&half, rules, client->dst);
	bool any = false;

	if (vip && vip->slot)
		any |= keep_port(&half.ports[vip->slot], client->dport);
	if (be32_eq(server->dst, client->src) || !shared(&half, rules, server->dst))
		return any;
	any |= keep_port(&half.ports[GUARD_SLOT_SERVERS], server->sport);
	any |= keep_port(&half.ports[GUARD_SLOT_SNAT], server->dport);
	return any;
}

/* ---- Loading ---- */

static int set_size(struct guard *guard, const char *name, uint32_t elements)
{
	return bpf_map__set_max_entries(bpf_object__find_map_by_name(guard->object, name),
	                                elements);
}

static int find_program(struct guard *guard)
{
	const uint32_t key = 0;
	int attended, err;

	if (!guard->is_cables)
		return object_program(guard->object, "guard", &guard->program);
	err = object_program(guard->object, "guard_attended", &attended);
	if (!err)
		err = bpf_map_update_elem(
		        bpf_object__find_map_fd_by_name(guard->object, "guard_attendant"), &key,
		        &attended, BPF_ANY);
	return err ? err : object_program(guard->object, "guard_cable", &guard->program);
}

static void leave_out(struct guard *guard, const char *name)
{
	bpf_program__set_autoload(bpf_object__find_program_by_name(guard->object, name), false);
}

static int load(struct guard *guard)
{
	int err = object_open(guard_program, guard_program_bytes, &guard->object);

	if (err < 0)
		return err;
	leave_out(guard, guard->is_cables ? "guard" : "guard_cable");
	if ((err = set_size(guard, "guard_places", 2 * GUARD_PLACES)) < 0 ||
	    (err = set_size(guard, "guard_ports", 2 * GUARD_SLOTS)) < 0 ||
	    (err = bpf_object__load(guard->object)) < 0 ||
	    (err = object_map(guard->object, "guard_conf", &guard->conf)) < 0 ||
	    (err = object_map(guard->object, "guard_places", &guard->places)) < 0 ||
	    (err = object_map(guard->object, "guard_ports", &guard->ports)) < 0)
		return err;
	return find_program(guard);
}

/* On a cable the host's stack has no use for what it gets. */
static void say_cable_without(int err)
{
	log_info("the host's stack sees what is sent to VIPs as well: a program that keeps it away "
	         "can't be used: %s",
	         err == -E2BIG ? "too many addresses" : strerror(-err));
}

static void say_missing(const struct rules *rules, int err)
{
	const char *mode = rules_mode_words[rules->mode];

	if (!rules_has_stack(rules))
		say_cable_without(err);
	else if (err == -E2BIG)
		log_error("too many addresses, or VIPs that the host has itself (at most %u), for "
		          "mode = %s",
		          GUARD_SLOTS - GUARD_SLOT_FIRST, mode);
	else
		log_error("mode = %s: a program that keeps the VIPs' packets from the host can't "
		          "be loaded: %s (it takes CAP_BPF)",
		          mode, strerror(-err));
}

int guard_open(const struct rules *rules, struct guard **ret)
{
	struct guard *guard = calloc(1, sizeof(*guard));
	int err = guard ? link_open(0, &guard->socket) : -ENOMEM;

	if (!err) {
		guard->is_cables = !rules_has_stack(rules);
		err = load(guard);
	}
	if (!err)
		err = guard_set_rules(guard, rules);
	if (err < 0) {
		say_missing(rules, err);
		guard_close(guard);
	} else {
		*ret = guard;
	}
	return err;
}

/* ---- Interfaces ---- */

static struct tc_place place_on(const struct link *link)
{
	return (struct tc_place){.ifindex = link->index, .priority = TC_GUARD};
}

static int attach(struct guard *guard, enum side side, const struct link *link)
{
	const struct tc_place place = place_on(link);
	int err = tc_add_hook(guard->socket, link->index);

	guard->hook_made[side] = !err;
	if (err && err != -EEXIST)
		return err;
	err = tc_attach(guard->socket, &place, guard->program, "guard");
	if (!err)
		guard->links[side] = *link;
	return err;
}

int guard_attach(struct guard *guard, enum side side, const struct link *link)
{
	const int err = attach(guard, side, link);

	if (err >= 0 || !guard->is_cables)
		return err;
	say_cable_without(err);
	return 0;
}

static void detach(struct guard *guard, enum side side)
{
	const struct link *link = &guard->links[side];
	const struct tc_place place = place_on(link);

	if (!link->index)
		return;
	tc_detach(guard->socket, &place);
	if (guard->hook_made[side] && tc_is_empty(guard->socket, link->index))
		tc_remove_hook(guard->socket, link->index);
}

struct loaded_guard guard_maps(const struct guard *guard)
{
	struct loaded_guard ret;

	for (unsigned i = 0; i < LOADED_GUARD_MAPS; i++)
		ret.maps[i] = bpf_object__find_map_fd_by_name(guard->object, loaded_guard_names[i]);
	return ret;
}

bool guard_release(struct mnl_socket *socket, const struct link *link)
{
	const struct tc_place place = place_on(link);

	if (tc_detach(socket, &place) < 0)
		return false;
	if (tc_is_empty(socket, link->index))
		tc_remove_hook(socket, link->index);
	return true;
}

static void forget(struct guard *guard)
{
	object_unmap(&guard->conf);
	object_unmap(&guard->places);
	object_unmap(&guard->ports);
	bpf_object__close(guard->object);
	if (guard->socket)
		mnl_socket_close(guard->socket);
	free(guard);
}

void guard_close(struct guard *guard)
{
	if (!guard)
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		detach(guard, (enum side)side);
	forget(guard);
}

void guard_leave(struct guard *guard)
{
	if (guard && guard->is_cables)
		guard_close(guard);
	else if (guard)
		forget(guard);
}
