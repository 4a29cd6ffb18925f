/*
 * What the tests of a reload begin with: an engine, a conversation, and the books that must
 * balance.
 */
#ifndef UNIT_RELOAD_FIXTURE_H
#define UNIT_RELOAD_FIXTURE_H

#include "fixture.h"
#include "suites.h"

#include "../../lb/takeover.h"

enum { ACK = 0x10, SYN = 0x02, S = 1000, MANY = 60 };

static struct engine engine;
static struct talk talk;

static inline const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

/* Rules of the given servers, by the last byte of their addresses, in this order. */
static inline struct rules *rules_of(const uint8_t *last, unsigned n)
{
	struct rules *rules = fixture_rules(n);

	for (unsigned s = 0; s < n; s++)
		rules->servers[s].address = ip4(10, 0, 0, last[s]);
	return rules;
}

/* What the counters owe each other; quarantine holds ports too, unless the new rules have none
 * such. */
static inline void check_books(void)
{
	uint64_t ended = 0, connections = 0;

	for (unsigned i = 0; i < ENDED_WHYS; i++)
		ended += balance()->counts.ended[i];
	for (unsigned s = 0; s < engine.rules->nservers; s++)
		connections += balance()->farms->sched.servers[s].connections;
	ck_assert_uint_eq(balance()->counts.created, ended + balance_open_flows(balance()));
	ck_assert_uint_eq(connections, balance_open_flows(balance()));
}

/* That the talk goes on, to the server at address. */
static inline void check_goes_on(struct talk *t, be32 address)
{
	struct spec spec = talk_spec(t, CLIENT, ACK, 10);
	struct built built;
	struct verdict v;

	frames_tcp(&built, &spec);
	v = engine_input(&engine, &built);
	require_eq(v.why, WHY_FLOW_HIT);
	require(v.way.server < engine.rules->nservers);
	require(be32_eq(engine.rules->servers[v.way.server].address, address));
	require(!memcmp(built.frame.data + built.l3 + 16, &address, 4));
	t->server = v.way.server;
	t->next[CLIENT] += 10;
	require_eq(talk_send(t, SERVER, ACK, 10).why, WHY_FLOW_HIT);
}

#endif
