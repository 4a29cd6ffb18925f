/*
 * Where the servers are.
 *
 * Each server is asked for, by ARP or neighbour discovery, at start, inside; later whenever a frame
 * waits for it, first inside and then on both sides, once a second; and again when it is used after
 * a minute of silence. Whatever such frame a server sends counts as an answer (RFC 826's merge),
 * also one on its way to somebody else. A server with `mac =` in lb.ini is inside, at that address,
 * and never asked for.
 *
 * Frames that wait are few and small: the first SYN of a server that hasn't been heard of yet. What
 * is larger or too many is dropped and counted, and TCP sends it again.
 */
#include "neigh.h"

#include "own.h"
#include "../../lb/csum.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

#include <stdlib.h>

enum {
	NEIGH_WAIT_SLOTS = 64,   /* frames of all servers together */
	NEIGH_WAIT_BYTES = 1600, /* one Ethernet frame of standard size with its tags */
	NEIGH_TRIES = 3,         /* RFC 4861's MAX_MULTICAST_SOLICIT, which ARP caches use too */
	NEIGH_RETRY_S = 1,       /* RFC 1122, 2.3.2.1: at most one request a second */
	NEIGH_STALE_S = 60,      /* RFC 1122, 2.3.2.1: "on the order of a minute" */
};

struct neighbour {
	struct hop hop;
	bool known;
	bool fixed;    /* by lb.ini */
	bool wanted;   /* to be asked for */
	uint8_t tries; /* requests sent since it was last heard of */
	lb_time asked, heard;
};

struct waiting {
	uint8_t bytes[FRAME_HEADROOM + NEIGH_WAIT_BYTES];
	struct frame frame;
	unsigned server;
	uint64_t order; /* earlier ones are sent first */
	bool used;
};

struct neigh_table {
	const struct rules *rules;
	struct neighbour *neighbours; /* by rules.servers[] */
	unsigned nwanted;
	unsigned nwaiting;
	struct waiting waiting[NEIGH_WAIT_SLOTS];
	struct neigh_counts counts;
};

static void want(struct neigh_table *table, unsigned server)
{
	table->nwanted += !table->neighbours[server].wanted;
	table->neighbours[server].wanted = true;
}

static void unwant(struct neigh_table *table, unsigned server)
{
	table->nwanted -= table->neighbours[server].wanted;
	table->neighbours[server].wanted = false;
	table->neighbours[server].tries = 0;
}

struct neigh_table *neigh_new(const struct rules *rules)
{
	struct neigh_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->rules = rules;
	table->neighbours =
	        calloc(rules->nservers ? rules->nservers : 1, sizeof(*table->neighbours));
	if (!table->neighbours) {
		free(table);
		return NULL;
	}
	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct rules_server *rule = &rules->servers[s];
		struct neighbour *n = &table->neighbours[s];

		if (rule->has_mac) {
			n->hop = own_broadcast(INSIDE, rule->vlan);
			n->hop.mac = rule->mac;
			n->known = n->fixed = true;
		} else if (rule->state != STATE_DISABLED) {
			want(table, s);
		}
	}
	return table;
}

void neigh_free(struct neigh_table *table)
{
	if (table)
		free(table->neighbours);
	free(table);
}

const struct hop *neigh_find(struct neigh_table *table, unsigned server, lb_time now)
{
	struct neighbour *n = &table->neighbours[server];

	if (!n->known)
		return NULL;
	if (!n->fixed && now.ns - n->heard.ns > NEIGH_STALE_S * LB_NS_PER_S)
		want(table, server);
	return &n->hop;
}

const struct hop *neigh_known(const struct neigh_table *table, unsigned server)
{
	const struct neighbour *n = &table->neighbours[server];

	return n->known ? &n->hop : NULL;
}

void neigh_ask(struct neigh_table *table, unsigned server)
{
	if (!table->neighbours[server].fixed)
		want(table, server);
}

void neigh_inherit(struct neigh_table *table, const struct neigh_table *old)
{
	table->counts = old->counts;
	for (unsigned s = 0; s < table->rules->nservers; s++)
		for (unsigned o = 0; o < old->rules->nservers; o++)
			if (be32_eq(table->rules->servers[s].address,
			            old->rules->servers[o].address) &&
			    old->neighbours[o].known && !old->neighbours[o].fixed &&
			    !table->neighbours[s].fixed) {
				table->neighbours[s] = old->neighbours[o];
				table->neighbours[s].wanted = false;
			}
	table->nwanted = 0;
	for (unsigned s = 0; s < table->rules->nservers; s++)
		table->nwanted += table->neighbours[s].wanted;
}

/* Makes a partial checksum a full one: the frame will leave without the port's offload data. */
static void complete_checksum(struct frame *frame)
{
	struct packet packet;
	uint8_t *field;

	if (!(frame->flags & FRAME_CSUM_PARTIAL))
		return;
	parse_frame(frame, &packet);
	if (!parse_ip(frame, &packet) || packet.protocol != IPPROTO_NUM_TCP ||
	    frame->len < (uint32_t)packet.l4 + packet.l4_len || packet.l4_len < TCP_HEADER_BYTES)
		return;
	/* the field holds the pseudo header's sum: adding all up includes it */
	field = frame->data + packet.l4 + TCP_CHECKSUM;
	csum_store(field,
	           (uint16_t)~csum_fold(csum_add(0, frame->data + packet.l4, packet.l4_len)));
	frame->flags &= (uint8_t)~FRAME_CSUM_PARTIAL;
}

static struct waiting *free_place(struct neigh_table *table)
{
	for (unsigned i = 0; i < NEIGH_WAIT_SLOTS; i++)
		if (!table->waiting[i].used)
			return &table->waiting[i];
	return NULL;
}

void neigh_wait(struct neigh_table *table, unsigned server, const struct frame *frame)
{
	struct waiting *place = free_place(table);

	want(table, server);
	if (!place || frame->len > NEIGH_WAIT_BYTES) {
		table->counts.lost++;
		return;
	}
	memcpy(place->bytes + FRAME_HEADROOM, frame->data, frame->len);
	place->frame = *frame;
	place->frame.data = place->bytes + FRAME_HEADROOM;
	place->frame.headroom = FRAME_HEADROOM;
	place->frame.port_data = NULL;
	complete_checksum(&place->frame);
	place->server = server;
	place->used = true;
	place->order = table->counts.waited++;
	table->nwaiting++;
}

bool neigh_sighted(struct neigh_table *table, const struct sighting *sighting, lb_time now)
{
	bool found = false;

	if (mac_is_group(&sighting->hop.mac))
		return false;
	for (unsigned s = 0; s < table->rules->nservers; s++) {
		struct neighbour *n = &table->neighbours[s];

		if (!be32_eq(table->rules->servers[s].address, sighting->ip) || n->fixed)
			continue;
		n->hop = sighting->hop;
		n->heard = now;
		n->known = found = true;
		unwant(table, s);
	}
	return found;
}

bool neigh_next_ready(struct neigh_table *table, struct frame *ret, const struct hop **ret_hop)
{
	struct waiting *first = NULL;

	for (unsigned i = 0; table->nwaiting && i < NEIGH_WAIT_SLOTS; i++) {
		struct waiting *place = &table->waiting[i];

		if (place->used && table->neighbours[place->server].known &&
		    (!first || place->order < first->order))
			first = place;
	}
	if (!first)
		return false;
	first->used = false;
	table->nwaiting--;
	*ret = first->frame;
	*ret_hop = &table->neighbours[first->server].hop;
	return true;
}

static void give_up(struct neigh_table *table, unsigned server)
{
	unwant(table, server);
	for (unsigned i = 0; i < NEIGH_WAIT_SLOTS; i++) {
		if (!table->waiting[i].used || table->waiting[i].server != server)
			continue;
		table->waiting[i].used = false;
		table->nwaiting--;
		table->counts.lost++;
	}
}

static bool is_due(const struct neighbour *n, lb_time now)
{
	return n->wanted && (!n->tries || now.ns - n->asked.ns >= NEIGH_RETRY_S * LB_NS_PER_S);
}

static void ask(struct neigh_table *table, unsigned server, lb_time now, struct neigh_question *ret)
{
	const struct rules_server *rule = &table->rules->servers[server];
	const struct rules_farm *farm = &table->rules->farms[rule->farm];
	struct neighbour *n = &table->neighbours[server];

	ret->sender = farm->nsnat ? farm->snat[0] : farm->vip;
	ret->target = rule->address;
	ret->vlan = rule->vlan;
	ret->everywhere = n->tries > 0;
	n->tries++;
	n->asked = now;
}

bool neigh_next_question(struct neigh_table *table, lb_time now, struct neigh_question *ret)
{
	for (unsigned s = 0; table->nwanted && s < table->rules->nservers; s++) {
		struct neighbour *n = &table->neighbours[s];

		if (!is_due(n, now))
			continue;
		if (n->tries >= NEIGH_TRIES) {
			give_up(table, s);
			continue;
		}
		ask(table, s, now, ret);
		return true;
	}
	return false;
}

const struct neigh_counts *neigh_counts(const struct neigh_table *table)
{
	return &table->counts;
}
