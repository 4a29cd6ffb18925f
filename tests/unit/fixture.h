/*
 * A small OCS pool, and an engine over it.
 *
 * VIP 10.0.0.40 with ports 443, 444, 5060 and 5061, servers 10.0.0.41, .42 and on, of weight 1 and
 * without checks, the VIP as SNAT address with ports 1024-65535, and room for 1000 connections.
 */
#ifndef UNIT_FIXTURE_H
#define UNIT_FIXTURE_H

#include "frames.h"

#include "../../lb/lb.h"

enum { FIXTURE_SERVERS = 4, FIXTURE_SERVICES = 4, FIXTURE_OWNS = 64 };

/* Own MACs by side, a client, the router, and a server by number. */
#define FIXTURE_OUTSIDE_MAC mac_of(0x01)
#define FIXTURE_INSIDE_MAC  mac_of(0x02)
#define FIXTURE_CLIENT_MAC  mac_of(0x99)
#define FIXTURE_BROADCAST   ((struct mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})

static inline be32 fixture_vip(void)
{
	return ip4(10, 0, 0, 40);
}

static inline be32 fixture_server(unsigned server)
{
	return ip4(10, 0, 0, (uint8_t)(41 + server));
}

static inline be32 fixture_client(unsigned client)
{
	return ip4(10, 9, (uint8_t)(client / 256), (uint8_t)client);
}

/* For rules_free(). nfarms: further ones have VIP 10.0.1.40 and servers 10.0.1.41 and on. */
struct rules *fixture_rules(unsigned nservers);
struct rules *fixture_two_farms(void);
struct rules *fixture_farms(unsigned nfarms, unsigned nservers); /* servers of each */

/* Replace what a farm has. */
void fixture_set_ports(struct rules_farm *farm, uint16_t first, uint16_t last);
void fixture_set_snat(struct rules_farm *farm, const be32 *addresses, unsigned n);
void fixture_set_snat_ports(struct rules_farm *farm, uint16_t first, uint16_t last);

/* 2001:db8::10.0.0.40 for 10.0.0.40; and rules in which all addresses have become such. */
struct ip6 fixture_ip6(be32 ip);
void fixture_make_ipv6(struct rules *rules);

struct engine {
	struct rules *rules;
	void *mem, *farms_mem, *extra_mem[LB_EXTRAS];
	struct lb *lb;
	lb_time now;
	/* what engine_wait_ms() was asked to send, the first of it */
	struct own owns[FIXTURE_OWNS];
	unsigned nowns;
};

/* Takes over rules. The one of several workers that has this share, or the only one. */
void engine_start_share(struct engine *engine, struct rules *rules, const struct share *share);
void engine_start(struct engine *engine, struct rules *rules);
void engine_stop(struct engine *engine);

/* The same with the engine's arrays (lb/table.h) apart, in *ret_table. */
void engine_start_shared(struct engine *engine, struct rules *rules, struct table *ret_table);
void engine_stop_shared(struct engine *engine, struct table *table);

/* Gives the engine other memory, of so many bytes, to be laid out by the caller. */
void engine_take_memory(struct engine *engine, size_t bytes);

/* Gives the engine what it needs besides for these rules, if it lacks that. */
void engine_use_extras(struct engine *engine, const struct rules *rules);

/* Moves to other rules, which it takes over. */
void engine_reload(struct engine *engine, struct rules *rules);

/* To be called when rules have changed under the engine, which they otherwise never do. */
void engine_rules_changed(struct engine *engine);

/* Passes one frame in. Checks that its reason was counted and fits its act. */
struct verdict engine_input(struct engine *engine, struct built *built);

/* A connection, as its two ends know it. */
struct talk {
	struct engine *engine;
	be32 client;
	uint16_t sport, dport;
	unsigned server; /* rules.servers[server] */
	be32 snat;
	uint16_t snat_port;
	uint16_t server_port; /* 0: dport */
	uint32_t next[2];     /* sequence numbers, by enum end */
};

/* What the client of a connection to the first VIP sends first. */
struct spec spec_syn(be32 client, uint16_t sport, uint16_t dport);

/*
 * The SYN only, or that one; *ret is filled in if a flow was made. Or the whole handshake, which
 * must succeed.
 */
struct verdict talk_syn(struct talk *ret, struct engine *engine, be32 client, uint16_t sport,
                        uint16_t dport);
struct verdict talk_syn_from(struct talk *ret, struct engine *engine, const struct spec *syn);
void talk_open(struct talk *ret, struct engine *engine, be32 client, uint16_t sport,
               uint16_t dport);

/*
 * What end sends next, as it leaves that end; and the same sent, with its sequence numbers used up.
 */
struct spec talk_spec(const struct talk *talk, enum end end, uint8_t flags, uint16_t payload);
struct verdict talk_send(struct talk *talk, enum end end, uint8_t flags, uint16_t payload);

/* An orderly close begun by first. */
void talk_close(struct talk *talk, enum end first);

/*
 * Does what time asks for, at engine->now; then lets time go by and does so as a live bridge would.
 */
void engine_poll(struct engine *engine);
void engine_wait_ms(struct engine *engine, uint64_t ms);

#endif
