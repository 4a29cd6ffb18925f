/*
 * What the tests of a reload that takes something away begin with: conversations over rules that
 * change.
 */
#ifndef UNIT_KEPT_FIXTURE_H
#define UNIT_KEPT_FIXTURE_H

#include "fixture.h"
#include "frames6.h"
#include "suites.h"

enum { ACK = 0x10, SYN = 0x02, SYN_ACK = 0x12, FIN_ACK = 0x11, S = 1000, VLAN = 10, OTHER = 20 };
enum { CONNS = 12, WORKERS = 3, ISN = 7000 };

static struct engine engine;

/* What the file says before or after: the farm's SNAT addresses, and what is beside it. */
struct file {
	const char *what;
	uint8_t snat[4]; /* last bytes of addresses, up to 0 */
	uint8_t vip;
	uint16_t vlan, server_vlan;
	uint8_t other_vip, other_snat; /* of a second farm, or 0 */
	uint8_t server;                /* a further one, or 0 */
};

static inline be32 address(uint8_t last)
{
	return ip4(10, 0, 0, last);
}

static inline struct rules *rules_of(const struct file *file, bool v6)
{
	const bool two = file->other_vip;
	struct rules *rules = fixture_farms(1 + two, 2);
	be32 snat[4] = {{{0}}};
	unsigned n = 0;

	for (; file->snat[n]; n++)
		snat[n] = address(file->snat[n]);
	fixture_set_snat(&rules->farms[0], snat, n);
	rules->farms[0].vip = address(file->vip);
	rules->farms[0].vlan = file->vlan;
	for (unsigned s = 0; s < 2; s++)
		rules->servers[s].vlan = file->server_vlan ? file->server_vlan : file->vlan;
	if (file->server)
		rules->servers[1].address = address(file->server);
	if (two) {
		rules->farms[1].vip = address(file->other_vip);
		snat[0] = address(file->other_snat ? file->other_snat : file->other_vip);
		fixture_set_snat(&rules->farms[1], snat, 1);
	}
	if (v6)
		fixture_make_ipv6(rules);
	return rules;
}

/* A connection, its addresses being those of IPv4 that fixture_ip6() makes IPv6's of. */
struct conn {
	bool v6;
	uint16_t vlan;
	be32 client, server, snat;
	uint16_t sport, snat_port;
	uint32_t next[2];
};

static inline struct verdict put(const struct conn *c, const struct spec *spec, struct built *ret)
{
	struct built ipv4;

	frames_tcp(c->v6 ? &ipv4 : ret, spec);
	if (c->v6)
		frames6_of(ret, &ipv4);
	return engine_input(&engine, ret);
}

static inline void tag(struct spec *spec, uint16_t vlan)
{
	spec->ntags = vlan != 0;
	spec->tpid[0] = 0x8100;
	spec->tci[0] = vlan;
}

/* By the VLAN that the server is in by the rules of today. */
static inline struct spec spec_of(const struct conn *c, enum end end, uint8_t flags)
{
	struct spec spec = spec_syn(c->client, c->sport, 443);

	tag(&spec, c->vlan);
	if (end == SERVER) {
		spec.src = engine.rules->servers[0].mac;
		spec.dst = FIXTURE_INSIDE_MAC;
		spec.side = INSIDE;
		spec.from = c->server;
		spec.to = c->snat;
		spec.sport = 443;
		spec.dport = c->snat_port;
		tag(&spec, engine.rules->servers[0].vlan);
	}
	spec.flags = flags;
	spec.seq = c->next[end];
	spec.ack = flags == SYN ? 0 : c->next[end_other(end)];
	return spec;
}

static inline struct verdict say(struct conn *c, enum end end, uint8_t flags, uint16_t payload)
{
	struct spec spec = spec_of(c, end, flags);
	struct built built;

	spec.payload = payload;
	c->next[end] += payload + (flags & 1u) + (flags >> 1 & 1u);
	return put(c, &spec, &built);
}

static inline be32 address_at(const struct conn *c, const struct built *built, bool dst)
{
	const uint32_t at = c->v6 ? 8 + 12 + (dst ? 16u : 0) : 12 + (dst ? 4u : 0);

	return be32_load(built->frame.data + built->l3 + at);
}

/* With the first port from sport on that this worker has. */
static inline void open_at(struct conn *c, bool v6, uint16_t vlan, unsigned client, uint16_t sport)
{
	struct spec spec;
	struct built built;
	struct verdict v;

	*c = (struct conn){
	        .v6 = v6, .vlan = vlan, .client = fixture_client(client), .sport = sport};
	c->next[CLIENT] = ISN;
	do {
		spec = spec_of(c, CLIENT, SYN);
		v = put(c, &spec, &built);
		if (v.act == LB_HAND_OVER)
			c->sport++;
	} while (v.act == LB_HAND_OVER);
	require_eq(v.why, WHY_FLOW_NEW);
	c->next[CLIENT]++;
	c->next[SERVER] = 2 * ISN;
	c->snat = address_at(c, &built, false);
	c->server = address_at(c, &built, true);
	c->snat_port = frames_get16(built.frame.data + built.l3 + (v6 ? 40 : 20));
	require_eq(say(c, SERVER, SYN_ACK, 0).why, WHY_FLOW_HIT);
	require_eq(say(c, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
}

/* From either end to where the other one has always been. */
static inline void check_goes_on(struct conn *c)
{
	struct spec spec = spec_of(c, CLIENT, ACK);
	struct built built;

	require_eq(put(c, &spec, &built).why, WHY_FLOW_HIT);
	require(be32_eq(address_at(c, &built, true), c->server));
	require(be32_eq(address_at(c, &built, false), c->snat));
	spec = spec_of(c, SERVER, ACK);
	require_eq(put(c, &spec, &built).why, WHY_FLOW_HIT);
	require(be32_eq(address_at(c, &built, true), c->client));
	require_eq(say(c, CLIENT, ACK, 100).why, WHY_FLOW_HIT);
	require_eq(say(c, SERVER, ACK, 100).why, WHY_FLOW_HIT);
}

static inline const uint64_t *ended(void)
{
	return lb_balance(engine.lb)->counts.ended;
}

static inline const struct farms *farms(void)
{
	return lb_balance(engine.lb)->farms;
}

#endif
