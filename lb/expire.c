/*
 * What time and dead servers do to flows: each is looked at once a second to see if it is due, and
 * when a server goes down or a farm is gone, once for that. Where an end may be waiting it is told
 * by a RST.
 */
#include "expire.h"

#include "life.h"
#include "wire.h"

enum {
	/* flows that are expired together */
	EXPIRE_STEP = 16,
	/* flows that one call of expire_reap() looks at */
	EXPIRE_REAP_STEP = 8192,
};

/* Describes a RST to an end, with sequence number seq. */
static void add_reset(struct balance *balance, uint32_t f, enum end to, uint32_t seq,
                      struct own_list *out)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	struct own *own = &out->items[out->n++];
	struct rewrite_to arrival;

	*own = (struct own){
	        .kind = OWN_TCP,
	        .tcp_flags = TCP_RST,
	        .server = to == SERVER ? flow->server : SERVER_NONE,
	        .to = *flows_client(&balance->flows, f),
	        .tuple = tuple_reverse(flow->arrive[to]),
	        .ipv6 = flow_is_ipv6(flow),
	        .seq = seq,
	};
	if (own->ipv6) {
		balance_arrival(balance, f, to, &arrival);
		own->src6 = *arrival.dst6;
		own->dst6 = *arrival.src6;
	}
	/* nothing came from the server yet: the client believes what acknowledges its SYN */
	if (to == CLIENT && !(flow->flags & FLOW_SEQ_KNOWN << SERVER)) {
		own->tcp_flags |= TCP_ACK;
		own->seq = 0;
		own->ack = flow_next(flow, CLIENT);
	}
	balance->counts.resets++;
}

void expire_reset(struct balance *balance, uint32_t f, enum end to, struct own_list *out)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	uint32_t expected = flow_next(flow, end_other(to));

	if (to == CLIENT && flow->hop == HOPS_NOWHERE)
		return; /* where to isn't known */
	add_reset(balance, f, to, expected, out);
	if (flow->flags & FLOW_SEQ_KNOWN << end_other(to) && flow_acked(flow, to) != expected)
		add_reset(balance, f, to, flow_acked(flow, to), out);
}

static void end_by_reset(struct balance *balance, uint32_t f, enum ended_why why, lb_time now,
                         struct own_list *out)
{
	expire_reset(balance, f, CLIENT, out);
	expire_reset(balance, f, SERVER, out);
	life_end(balance, f, why, FLOW_RESET_BY_US, now);
}

bool expire_wanted(struct balance *balance, uint32_t f, lb_time now, struct own_list *out)
{
	if (f >= balance->flows.reached || !flow_is_live(flows_at(&balance->flows, f)))
		return false;
	end_by_reset(balance, f, ENDED_OPERATOR, now, out);
	return true;
}

static bool has_room(const struct own_list *out)
{
	return out->max - out->n >= EXPIRE_RESETS_MAX;
}

/* A flow that isn't due yet. While it is used its client sticks to its server. */
static void check_again(struct balance *balance, uint32_t f, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	uint32_t persist =
	        farms_of_server(balance->farms, flow->server)->persist_ms / FLOW_MS_PER_TICK;
	uint32_t deadline = life_deadline(balance, flow), tick = balance_tick(balance, now);

	if (persist && flow_is_live(flow)) {
		life_persist(balance, flow, false, now);
		if (deadline - tick > persist / 2)
			deadline = tick + persist / 2 + 1;
	}
	flows_check_again(&balance->flows, f, deadline);
}

static void expire(struct balance *balance, uint32_t f, lb_time now, struct own_list *out)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	uint32_t deadline = life_deadline(balance, flow);

	if (deadline > balance_tick(balance, now)) {
		check_again(balance, f, now);
		return;
	}
	if (!flow_is_live(flow)) {
		life_forget(balance, f);
		return;
	}
	flows_check_again(&balance->flows, f, FLOW_NEVER);
	if (flow->state == FLOW_OPEN && farm->on_idle == ON_IDLE_RESET)
		end_by_reset(balance, f, ENDED_IDLE, now, out);
	else
		life_end(balance, f, ENDED_IDLE, 0, now);
}

/* The next flow that is to be looked at from the cursor up to limit, or FLOW_NONE. */
static uint32_t next_due(struct balance *balance, uint32_t limit, uint32_t tick)
{
	const uint32_t from = balance->cursor;
	/* then all flows but those that have no time are due */
	const uint32_t f = flows_next_due(&balance->flows, &balance->cursor, limit,
	                                  balance->look_left ? FLOW_NEVER - 1 : tick);
	const uint32_t passed = balance->cursor - from;

	balance->look_left -= passed < balance->look_left ? passed : balance->look_left;
	return f;
}

/*
 * Expires what is due from the cursor up to limit; false if out is full before. What these flows'
 * ends touch is all over the table: so it is fetched for some at a time.
 */
static bool expire_up_to(struct balance *balance, uint32_t limit, lb_time now, struct own_list *out)
{
	const uint32_t tick = balance_tick(balance, now);
	uint32_t due[EXPIRE_STEP], f = 0;
	unsigned n, max;

	while (f != FLOW_NONE && has_room(out)) {
		max = (out->max - out->n) / EXPIRE_RESETS_MAX;
		for (n = 0; n < max && n < EXPIRE_STEP; n++) {
			f = next_due(balance, limit, tick);
			if (f == FLOW_NONE)
				break;
			due[n] = f;
			flows_prefetch(&balance->flows, f);
		}
		for (unsigned i = 0; i < n; i++)
			flows_prefetch_places(&balance->flows, due[i]);
		for (unsigned i = 0; i < n; i++)
			expire(balance, due[i], now, out);
	}
	return f == FLOW_NONE;
}

bool expire_due(struct balance *balance, lb_time now, struct own_list *out)
{
	uint64_t elapsed = now.ns - balance->swept.ns, share;
	uint32_t reached = balance->flows.reached;
	lb_time until;

	/* places that were taken since are on the way, wherever the cursor is */
	if (balance->look_left)
		balance->look_left += reached - balance->look_reached;
	balance->look_reached = reached;
	if (elapsed > LB_NS_PER_S)
		elapsed = LB_NS_PER_S;
	share = reached * elapsed / LB_NS_PER_S;
	if (!share && reached)
		return true;
	/* up to what this share covers: the rest of the time counts for the next call */
	until.ns = reached ? now.ns - elapsed + share * LB_NS_PER_S / reached : now.ns;
	if (balance->cursor + share > reached) {
		share -= reached - balance->cursor;
		if (!expire_up_to(balance, reached, now, out))
			return false;
		balance->cursor = 0;
	}
	if (!expire_up_to(balance, balance->cursor + (uint32_t)share, now, out))
		return false;
	balance->swept = until;
	return true;
}

/* What an address is to us in a VLAN. */
static uint8_t kinds_of(const struct balance *balance, be32 address, uint16_t vlan)
{
	const struct addresses *addresses = &balance->farms->addresses;

	return (name_is_ipv6(address) ? addresses_find_name(addresses, address, vlan)
	                              : addresses_find(addresses, address, vlan))
	        ->kinds;
}

/* If a reload has left the flow no address where one of its ends is, in the VLAN that its client
 * comes from, or its server is in now; or has made the server's address ours. */
static bool is_cut_off(const struct balance *balance, uint32_t f)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const uint16_t client = hop_vlan(flows_client(&balance->flows, f)),
	               server = rules_server_vlan(balance->farms->rules, flow->server);

	if (!(kinds_of(balance, flow->arrive[CLIENT].dst, client) & ADDRESS_OURS) ||
	    kinds_of(balance, flow->arrive[SERVER].src, server) & ADDRESS_OURS)
		return true;
	if (flow_has_snat(flow))
		return !(kinds_of(balance, flow->arrive[SERVER].dst, server) & ADDRESS_OURS);
	return !(kinds_of(balance, flow->arrive[SERVER].src, server) & ADDRESS_NO_SNAT);
}

/*
 * Ends the flow if its server is down, its farm gone, or an address that it needs. One that isn't
 * open yet has nobody to be told whose server is down: its client tries again, and gets another
 * server.
 */
static void reap(struct balance *balance, uint32_t f, lb_time now, struct own_list *out)
{
	const struct flow *flow = flows_at(&balance->flows, f);

	if (!flow_is_live(flow))
		return;
	if (farms_of_server(balance->farms, flow->server)->gone ||
	    (balance->has_moved && is_cut_off(balance, f)))
		end_by_reset(balance, f, ENDED_RELOAD, now, out);
	else if (flow->state == FLOW_HALF_OPEN &&
	         health_of(&balance->farms->health, flow->server) == HEALTH_DOWN)
		life_drop(balance, f, ENDED_SERVER_DOWN, now);
	else if (life_is_unserved(balance, flow))
		end_by_reset(balance, f, ENDED_SERVER_DOWN, now, out);
}

void expire_look_again(struct balance *balance)
{
	balance->look_left = balance->look_reached = balance->flows.reached;
}

bool expire_doomed(struct balance *balance, struct own_list *out)
{
	struct limits *limits = &balance->limits;

	while (limits->nresets && has_room(out)) {
		const struct limits_reset *reset = &limits->resets[--limits->nresets];
		const struct flow *flow = flows_at(&balance->flows, reset->flow);

		if (flow->state != FLOW_QUARANTINE || !flow_is_reset_by_us(flow) ||
		    flows_created_ms(&balance->flows, reset->flow) != reset->created_ms)
			continue;
		expire_reset(balance, reset->flow, CLIENT, out);
		expire_reset(balance, reset->flow, SERVER, out);
	}
	return limits->nresets;
}

void expire_start_reaping(struct balance *balance)
{
	balance->reap_left = balance->reap_reached = balance->flows.reached;
}

bool expire_reap(struct balance *balance, lb_time now, struct own_list *out)
{
	/* places that were taken since are on the way, wherever the cursor is */
	if (balance->reap_left)
		balance->reap_left += balance->flows.reached - balance->reap_reached;
	balance->reap_reached = balance->flows.reached;
	for (unsigned i = 0; i < EXPIRE_REAP_STEP && balance->reap_left && has_room(out); i++) {
		if (balance->reap_cursor >= balance->flows.reached)
			balance->reap_cursor = 0;
		reap(balance, balance->reap_cursor, now, out);
		balance->reap_cursor++;
		balance->reap_left--;
	}
	balance->has_moved &= balance->reap_left > 0;
	return balance->reap_left;
}
