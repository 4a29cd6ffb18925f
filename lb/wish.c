/*
 * Whether a server can be had for a SYN, and by which tuple its packets will come back.
 *
 * The SNAT port is the client's own port number if that is free, or rests after a connection of the
 * same client and port (asked only of who has had one lately, as it takes a look at the table):
 * then the server sees what it would see without us, and its TIME_WAIT, sequence numbers and
 * timestamps fit (RFC 9293, 3.6.1; RFC 6191). Else it is the one that was longest unused.
 *
 * With `snat = off` the server sees the client's own address and port, and there is no SNAT port to
 * take: its packets are recognized by their source.
 */
#include "wish.h"

#include "life.h"
#include "tcp.h"

enum {
	/*
	 * ms that a half-open flow has before it makes way for another one of a server that is
	 * full: its client's answer may be on its way, or be waiting to be read. At a server that
	 * is crowded (sched.h) a stranger's makes way at once, but only for a client who is known:
	 * so forged addresses don't shut those out.
	 */
	WISH_LEAST_AGE_MS = 100,
	/* SNAT addresses at which the client's own port is asked for */
	WISH_OWN_TRIES = 4,
	/* free ports, and flows that would give theirs up, that are looked at for one that no live
	   flow from before a reload has; without such flows the first one serves */
	WISH_PORT_TRIES = 256,
};

/* The reference of the flow that packets with this tuple belong to, or FLOW_NONE. An IPv6 address
 * in it that is a hash is the client's. */
static uint32_t holder_of(const struct wish *wish, const struct tuple *tuple)
{
	const struct flow_key key = {.tuple = *tuple,
	                             .ipv6 = wish->key->ipv6,
	                             .hashed = wish_farm(wish)->nsnat ? NULL : wish->key->hashed};

	return flows_find(&wish->balance->flows, &key, flows_hash_key(&wish->balance->flows, &key));
}

static be32 address_of(const struct wish *wish, uint16_t server)
{
	return wish->balance->farms->rules->servers[server].address;
}

be16 wish_server_port(const struct wish *wish)
{
	return rules_server_port(wish_farm(wish), wish->service);
}

/* How packets from the server will arrive with `snat = off`. */
static struct tuple arrival_without_snat(const struct wish *wish, uint16_t server)
{
	const struct tuple *client = &wish->packet->tuple;

	return tuple_of(address_of(wish, server), client->src, wish_server_port(wish),
	                client->sport);
}

/* How packets from the server will arrive at this SNAT port. */
static struct tuple arrival_at(const struct wish *wish, uint16_t server, struct snat_port port)
{
	return tuple_of(address_of(wish, server), wish_farm(wish)->snat[port.address],
	                wish_server_port(wish), port.port);
}

/* If a flow may have a tuple though its port is free in the pools: a stray may (balance.h). */
static bool may_collide(const struct wish *wish)
{
	return wish->balance->strays;
}

/* If no live flow but f, which may be FLOW_NONE, has the tuple with which packets from the server
 * would arrive at the port. */
static bool is_nobodys(const struct wish *wish, uint16_t server, struct snat_port port, uint32_t f)
{
	const struct tuple tuple = arrival_at(wish, server, port);
	const uint32_t ref = may_collide(wish) ? holder_of(wish, &tuple) : FLOW_NONE;

	return ref == FLOW_NONE || flow_of(ref) == f ||
	       !flow_is_live(flows_at(&wish->balance->flows, flow_of(ref)));
}

/* Sets *ret to the free port whose turn it is, of those that no stray has. */
static bool find_free(const struct wish *wish, uint16_t server, struct snat_port *ret)
{
	const struct snat *snat = &wish->balance->farms->snat;
	bool found = snat_peek(snat, wish->farm, server, wish->service, ret);

	for (unsigned n = 0; found && n < WISH_PORT_TRIES; n++) {
		if (is_nobodys(wish, server, *ret, FLOW_NONE))
			return true;
		found = snat_peek_after(snat, wish->farm, server, wish->service, ret);
	}
	return false;
}

/* Of the service's i-th pool: the flow, of those that rest (rests) or that are half-open, that has
 * had its port for longest; sets *ret to that port. FLOW_NONE if there is none. */
static uint32_t oldest_of_pool(const struct wish *wish, uint16_t server, bool rests, unsigned i,
                               struct snat_port *ret)
{
	const struct snat *snat = &wish->balance->farms->snat;
	const struct flows *flows = &wish->balance->flows;
	const uint32_t pool = snat_pool(snat, wish->farm, server, wish->service, i);
	uint32_t f = rests ? flows_oldest_resting(flows, farms_resting(pool))
	                   : flows_oldest_half_open(flows, farms_half_open(pool));

	for (unsigned n = 0; f != FLOW_NONE && n < WISH_PORT_TRIES; n++) {
		if (snat_port_of(snat, wish->farm, server, wish->service, i,
		                 flows_at(flows, f)->arrive[SERVER].dport, ret) &&
		    is_nobodys(wish, server, *ret, f))
			return f;
		f = rests ? flows_younger_resting(flows, f) : flows_younger_half_open(flows, f);
	}
	return FLOW_NONE;
}

/* That of the first of the service's pools, in turn, that has such a flow. */
static uint32_t oldest_with_port(const struct wish *wish, uint16_t server, bool rests,
                                 struct snat_port *ret)
{
	uint32_t f = FLOW_NONE;

	for (unsigned i = 0; i < wish_farm(wish)->nsnat && f == FLOW_NONE; i++)
		f = oldest_of_pool(wish, server, rests, i, ret);
	return f;
}

/* If the server can be reached: see wish_can_be_had(). */
static bool can_reach(const void *of, unsigned s)
{
	const struct wish *wish = of;
	const uint16_t server = (uint16_t)s;
	struct snat_port port;
	struct tuple tuple;
	uint32_t ref;

	if (wish_farm(wish)->nsnat)
		return find_free(wish, server, &port) ||
		       oldest_with_port(wish, server, true, &port) != FLOW_NONE ||
		       oldest_with_port(wish, server, false, &port) != FLOW_NONE;
	/* the client may have this port open to the same server already, by way of another VIP */
	tuple = arrival_without_snat(wish, server);
	ref = holder_of(wish, &tuple);
	return ref == FLOW_NONE || !flow_is_live(flows_at(&wish->balance->flows, flow_of(ref)));
}

/* If the half-open flow of a full server makes way for the client's. */
static bool makes_way(const struct wish *wish, uint32_t f, unsigned server)
{
	const struct balance *balance = wish->balance;

	if (flows_created_ms(&balance->flows, f) + WISH_LEAST_AGE_MS <=
	    balance_ms(balance, wish->now))
		return true;
	return wish->is_known && sched_is_crowded(&balance->farms->sched, server) &&
	       !strangers_have_met(&balance->strangers, balance_client_key(balance, f), wish->now);
}

bool wish_is_open(const void *of, unsigned server)
{
	const struct wish *wish = of;
	const struct balance *balance = wish->balance;
	uint32_t f;

	if (!sched_is_full(&balance->farms->sched, server))
		return true;
	f = flows_oldest_half_open(&balance->flows, farms_opening(balance->farms, server));
	return f != FLOW_NONE && makes_way(wish, f, server);
}

bool wish_can_be_had(const void *of, unsigned server)
{
	return wish_is_open(of, server) && can_reach(of, server);
}

/* Makes an older flow give up its port, *ret; false if there is none that may. */
static bool free_a_port(const struct wish *wish, uint16_t server, struct snat_port *ret)
{
	uint32_t f = oldest_with_port(wish, server, true, ret);

	if (f != FLOW_NONE) {
		life_cut_quarantine(wish->balance, f);
		return true;
	}
	f = oldest_with_port(wish, server, false, ret);
	if (f == FLOW_NONE)
		return false;
	life_evict(wish->balance, f, wish->now);
	return true;
}

/* Frees the tuple: a flow that has it and rests is forgotten. False if a live flow has it. */
static bool free_tuple(const struct wish *wish, const struct tuple *tuple)
{
	uint32_t ref = holder_of(wish, tuple);

	if (ref == FLOW_NONE)
		return true;
	if (flow_is_live(flows_at(&wish->balance->flows, flow_of(ref))))
		return false;
	life_cut_quarantine(wish->balance, flow_of(ref));
	return true;
}

/* If the flow is a resting one of the same client and port, whose server would take the SYN. */
static bool is_his_own(const struct wish *wish, uint32_t f)
{
	const struct flow *flow = flows_at(&wish->balance->flows, f);

	return !flow_is_live(flow) && tuple_eq(&flow->arrive[CLIENT], &wish->packet->tuple) &&
	       tcp_may_reopen(flow, wish->balance->flows.stamps[f], wish->packet) &&
	       (!wish->key->hashed || ip6_eq(&wish->balance->flows.client6[f], wish->key->hashed));
}

/* If the client may have the port with his own port's number. A flow of his that rests and has it
 * is forgotten for that. old is the flow that the client's packets find, or FLOW_NONE. */
static bool is_free_for(const struct wish *wish, uint32_t old, struct snat_port port,
                        const struct tuple *tuple)
{
	const struct snat *snat = &wish->balance->farms->snat;
	const bool is_free = snat_is_free(snat, port);
	uint32_t ref;

	if (!may_collide(wish) && (is_free || old == FLOW_NONE))
		return is_free;
	ref = holder_of(wish, tuple);
	if (is_free || ref == FLOW_NONE)
		return is_free && ref == FLOW_NONE;
	if (!is_his_own(wish, flow_of(ref)))
		return false;
	life_forget(wish->balance, flow_of(ref));
	return snat_is_free(snat, port);
}

/* Takes the client's own port, if it is free or his. */
static bool take_own_port(const struct wish *wish, uint32_t old, uint16_t server,
                          struct snat_port *ret)
{
	struct snat *snat = &wish->balance->farms->snat;
	struct tuple tuple;

	for (unsigned i = 0; i < wish_farm(wish)->nsnat && i < WISH_OWN_TRIES; i++) {
		if (!snat_port_of(snat, wish->farm, server, wish->service, i,
		                  wish->packet->tuple.sport, ret))
			continue;
		tuple = arrival_at(wish, server, *ret);
		if (!is_free_for(wish, old, *ret, &tuple))
			continue;
		snat_take_port(snat, wish->farm, server, *ret);
		return true;
	}
	return false;
}

/* Takes one that is free, or makes it so. */
static bool take_any_port(const struct wish *wish, uint16_t server, struct snat_port *ret)
{
	struct tuple tuple;

	if (!find_free(wish, server, ret) && !free_a_port(wish, server, ret))
		return false;
	tuple = arrival_at(wish, server, *ret);
	if (may_collide(wish))
		free_tuple(wish, &tuple); /* a resting stray may have it */
	snat_take_next(&wish->balance->farms->snat, wish->farm, server, *ret);
	return true;
}

bool wish_choose_arrival(const struct wish *wish, uint32_t old, uint16_t server,
                         struct snat_port *ret_port, struct tuple *ret)
{
	if (!wish_farm(wish)->nsnat) {
		*ret = arrival_without_snat(wish, server);
		return free_tuple(wish, ret);
	}
	if (!take_own_port(wish, old, server, ret_port) && !take_any_port(wish, server, ret_port))
		return false;
	*ret = arrival_at(wish, server, *ret_port);
	/* any may be his own by chance */
	wish->balance->counts.own_port += be16_eq(ret->dport, wish->packet->tuple.sport);
	return true;
}

/* Guesses the port that wish_choose_arrival() will take, as if there were no strays. */
static bool foresee_port(const struct wish *wish, uint16_t server, struct snat_port *ret)
{
	const struct snat *snat = &wish->balance->farms->snat;

	for (unsigned i = 0; i < wish_farm(wish)->nsnat && i < WISH_OWN_TRIES; i++)
		if (snat_port_of(snat, wish->farm, server, wish->service, i,
		                 wish->packet->tuple.sport, ret) &&
		    snat_is_free(snat, *ret))
			return true;
	return snat_peek(snat, wish->farm, server, wish->service, ret);
}

bool wish_foresee(const struct wish *wish, uint16_t server, struct tuple *ret)
{
	struct snat_port port;

	if (!foresee_port(wish, server, &port))
		return false;
	*ret = arrival_at(wish, server, port);
	return true;
}
