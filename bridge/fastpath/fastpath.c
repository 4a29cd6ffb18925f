/*
 * The fast path, as the process sees it.
 *
 * What the programs need is in maps that this process has in its memory: nothing but their
 * attachment to interfaces needs the kernel after the start.
 */
#include "fastpath.h"

#include "maps.h"
#include "punt.h"
#include "known.h"
#include "tc.h"
#include "../process/log.h"
#include "../../lb/lb.h"
#include "../../lb/parse.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>

/* What was done to an interface. */
struct attached {
	int ifindex; /* 0: none */
	bool hook_made, made_promiscuous;
};

struct fastpath {
	struct mnl_socket *socket;
	struct pins pins;
	struct maps maps;
	struct link punts[NSIDES];
	struct attached ends[NSIDES];
};

enum { FIRST = 1, SECOND }; /* priorities of the programs of an interface and direction */

static int attach_nobody(struct fastpath *fastpath, int ifindex)
{
	struct tc_place place = {.ifindex = ifindex, .priority = FIRST};
	int err = tc_add_hook(fastpath->socket, ifindex);

	if (err == -EEXIST)
		err = 0;
	for (int egress = 0; egress < 2 && !err; egress++) {
		place.egress = egress;
		err = tc_attach(fastpath->socket, &place,
		                fastpath->maps.loaded.programs[LOADED_NOBODY],
		                loaded_name(LOADED_NOBODY));
	}
	return err;
}

static int make_punts(struct fastpath *fastpath, int outside)
{
	int err = punt_make(fastpath->socket, outside, fastpath->punts);

	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = attach_nobody(fastpath, fastpath->punts[side].index);
	return err;
}

/* Each step with what to say if it fails. */
static int open_all(struct fastpath *fastpath, const char *const names[NSIDES],
                    const struct cable *cable, const struct rules *rules,
                    const struct share *shares, unsigned n, const char **ret_what)
{
	int err;

	*ret_what = "rtnetlink";
	if ((err = link_open(0, &fastpath->socket)) < 0)
		return err;
	*ret_what = "a BPF file system in /sys/fs/bpf";
	if ((err = pins_open(&fastpath->pins, names)) < 0)
		return err;
	*ret_what = "loading programs";
	if ((err = maps_open(&fastpath->maps, rules, shares, n)) < 0)
		return err;
	*ret_what = "pinning maps";
	if ((err = loaded_pin(&fastpath->maps.loaded, &fastpath->pins)) < 0)
		return err;
	*ret_what = "making a pair of veth devices";
	if ((err = make_punts(fastpath, cable_state(cable, OUTSIDE)->link.index)) < 0)
		return err;
	*ret_what = "entering programs into an array";
	return loaded_attend(&fastpath->maps.loaded);
}

int fastpath_open(const char *const names[NSIDES], const struct cable *cable,
                  const struct rules *rules, const struct share *shares, unsigned n,
                  struct fastpath **ret)
{
	struct fastpath *fastpath;
	const char *what = "memory";
	int err;

	*ret = NULL;
	if (rules->fast_path == FAST_PATH_OFF)
		return 0;
	fastpath = calloc(1, sizeof(*fastpath));
	err = fastpath ? open_all(fastpath, names, cable, rules, shares, n, &what) : -ENOMEM;
	if (!err) {
		*ret = fastpath;
		return 0;
	}
	fastpath_close(fastpath);
	if (rules->fast_path == FAST_PATH_KERNEL) {
		log_error("fast path: %s: %s", what, strerror(-err));
		return err;
	}
	log_info("no fast path, but packet sockets: %s: %s", what, strerror(-err));
	return 0;
}

/* What is gone, or was changed by others meanwhile, is no matter. */
static void detach(struct fastpath *fastpath, struct attached *end)
{
	struct tc_place place = {.ifindex = end->ifindex};

	if (!end->ifindex)
		return;
	for (place.priority = FIRST; place.priority <= SECOND; place.priority++)
		tc_detach(fastpath->socket, &place);
	if (end->hook_made && tc_is_empty(fastpath->socket, end->ifindex))
		tc_remove_hook(fastpath->socket, end->ifindex);
	if (end->made_promiscuous)
		link_set_promiscuous(fastpath->socket, end->ifindex, false);
	*end = (struct attached){0};
}

void fastpath_close(struct fastpath *fastpath)
{
	if (!fastpath)
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		detach(fastpath, &fastpath->ends[side]);
	if (fastpath->punts[OUTSIDE].index)
		punt_remove(fastpath->socket, &fastpath->punts[OUTSIDE]);
	loaded_unpin(&fastpath->pins);
	maps_close(&fastpath->maps);
	if (fastpath->socket)
		mnl_socket_close(fastpath->socket);
	free(fastpath);
}

const struct link *fastpath_punt(const struct fastpath *fastpath, enum side side)
{
	return &fastpath->punts[side];
}

void fastpath_follow(struct fastpath *fastpath, enum side side, const struct cable_state *is)
{
	struct fastpath_side *conf = &fastpath->maps.conf->sides[side];
	const uint32_t ifindex = is->state == LINK_GONE ? 0 : (uint32_t)is->link.index;

	conf->punt = (uint32_t)fastpath->punts[side].index;
	conf->mtu = is->link.mtu;
	conf->host = is->used;
	conf->mac = fastpath_mac(is->link.mac.b);
	__atomic_store_n(&conf->ifindex, ifindex, __ATOMIC_RELEASE);
}

/* A packet socket's promiscuity ends with the process. */
static int make_promiscuous(struct fastpath *fastpath, struct attached *end,
                            const struct link *link)
{
	int err = 0;

	if (!link->promiscuous && !end->made_promiscuous)
		err = link_set_promiscuous(fastpath->socket, link->index, true);
	end->made_promiscuous |= !link->promiscuous && !err;
	return err;
}

static int attach(struct fastpath *fastpath, int ifindex, uint16_t priority,
                  enum loaded_program program)
{
	const struct tc_place place = {.ifindex = ifindex, .priority = priority};

	return tc_attach(fastpath->socket, &place, fastpath->maps.loaded.programs[program],
	                 loaded_name(program));
}

int fastpath_attach(struct fastpath *fastpath, enum side side, const struct cable_state *is)
{
	const struct link *link = &is->link;
	struct attached *end = &fastpath->ends[side];
	int err;

	if (end->ifindex != link->index)
		*end = (struct attached){.ifindex = link->index}; /* the old one is gone */
	err = tc_add_hook(fastpath->socket, link->index);
	end->hook_made |= !err;
	if (err < 0 && err != -EEXIST)
		return err;
	if ((err = make_promiscuous(fastpath, end, link)) < 0)
		return err;
	fastpath_follow(fastpath, side, is);
	err = attach(fastpath, link->index, FIRST, LOADED_RECEIVE + side);
	return err ? err : attach(fastpath, link->index, SECOND, LOADED_FLOW + side);
}

void fastpath_activate(struct fastpath *fastpath, bool active)
{
	__atomic_store_n(&fastpath->maps.conf->active, active, __ATOMIC_RELEASE);
}

bool fastpath_is_active(const struct fastpath *fastpath)
{
	return fastpath && fastpath->maps.conf->active;
}

void fastpath_beat(struct fastpath *fastpath, lb_time now)
{
	__atomic_store_n(&fastpath->maps.conf->alive_ns, now.ns, __ATOMIC_RELAXED);
}

static bool is_ours(const struct fastpath *fastpath, struct fastpath_key key,
                    const struct packet *packet)
{
	return known_kinds(fastpath->maps.conf, fastpath->maps.addresses, &key,
	                   hop_vlan(&packet->from)) &
	       ADDRESS_OURS;
}

/* As judge_nd() in fastpath.bpf.c does it: the target of neighbour discovery, or NULL. */
static const struct ip6 *nd_target(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *ip = frame->data + packet->l3, *nd = ip + IPV6_HEADER_BYTES;

	if (ip[IPV6_NEXT_HEADER] != IPPROTO_NUM_ICMPV6 ||
	    frame->len < packet->l3 + (uint32_t)IPV6_HEADER_BYTES + ND_BYTES ||
	    (nd[ICMP_TYPE] != ND_SOLICITATION && nd[ICMP_TYPE] != ND_ADVERTISEMENT))
		return NULL;
	return (const struct ip6 *)(nd + ND_TARGET);
}

bool fastpath_has_crossed(const struct fastpath *fastpath, const struct frame *frame)
{
	const struct ip6 *target;
	struct packet packet;

	if (!fastpath_is_active(fastpath))
		return false;
	parse_frame(frame, &packet);
	if (packet.kind == PACKET_ARP)
		return !is_ours(fastpath, fastpath_key4(packet.tuple.dst), &packet);
	if (packet.kind != PACKET_IPV6)
		return false;
	target = nd_target(frame, &packet);
	return target && !is_ours(fastpath, fastpath_key6(target), &packet) &&
	       !is_ours(fastpath, fastpath_key6(packet.dst6), &packet);
}

int fastpath_set_rules(struct fastpath *fastpath, const struct rules *rules)
{
	return maps_set_rules(&fastpath->maps, rules);
}

void fastpath_table(const struct fastpath *fastpath, unsigned worker, struct table *ret)
{
	maps_table(&fastpath->maps, worker, ret);
}

void fastpath_hold(struct fastpath *fastpath, bool held)
{
	maps_hold(&fastpath->maps, held);
}

void fastpath_set_way(struct fastpath *fastpath, unsigned server, const struct hop *hop)
{
	maps_set_way(&fastpath->maps, server, hop);
}

bool fastpath_used_way(struct fastpath *fastpath, unsigned server)
{
	return maps_used_way(&fastpath->maps, server);
}

void fastpath_count(const struct fastpath *fastpath, struct fastpath_counts *ret)
{
	maps_count(&fastpath->maps, ret);
}
