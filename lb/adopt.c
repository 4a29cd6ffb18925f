/*
 * Adoption.
 *
 * What is in the arrays is not believed: whoever wrote it may have died in the middle of a write,
 * and its rules were others. Only flows count, and of them only what this process's rules confirm:
 * the VIP and its port are a farm's, in the VLAN where its client is, the server is one of it, and
 * the server's peer is a SNAT address of it. All by value: the numbers that a flow holds are hints.
 * Everything else is made anew from that: the index, lists, SNAT ports, counts of servers, users of
 * hops, check times.
 *
 * Live flows come first, so that of two with the same tuple the one that ended makes way. A
 * half-open flow has nothing to lose, and only goes on where it is asked for (OPENING). One that
 * has been reset can't be told from one whose end has gone on: it is in quarantine. So is one to
 * which a program that was alone has noted a RST.
 *
 * Who has a connection open is known as a client from the start (strangers.h): of many flows those
 * of some are asked, as only so many clients can be.
 */
#include "adopt.h"

#include "expire.h"
#include "life.h"
#include "notes.h"
#include "tcp.h"
#include "wire.h"

enum {
	ADOPT_STEP = 32,     /* flows whose places in the index are fetched together */
	ADOPT_AHEAD = 16,    /* flows that are fetched themselves before their turn */
	ADOPT_MEETS = 32768, /* flows whose clients are known then */
};

/* A window is 1 GiB at most (RFC 7323, 2.3); what is known of it may be late. */
#define ADOPT_WINDOW_MAX (2u << 30)

struct adopter {
	struct balance *balance;
	const struct ip6 *names; /* that the flows name, nnames of them */
	uint32_t nnames;
	uint32_t tick;
	unsigned farm;  /* that was asked for last: mostly it is the next one, too */
	uint32_t meets; /* the clients of one of so many are known */
	bool keep_half_open;
	struct adoption *ret;
};

enum fate {
	FATE_FREE,
	FATE_DAMAGED,
	FATE_HALF_OPEN,
	FATE_UNFIT,
	FATE_OPENING, /* from here on they are taken in */
	FATE_OPEN,
	FATE_ENDED,
};

/* A flow that has been judged. */
struct found {
	uint32_t f;
	enum fate fate;
	uint64_t hashes[2]; /* flows_hash_end() of its tuples, by enum end */
	bool has_port;
	struct snat_port port; /* of SNAT, if it has one */
};

/* ---- Names of IPv6 addresses ---- */

/* Makes name, which was given by other rules, what these name the address; *ret_value is it. */
static bool rename_known(const struct adopter *a, be32 *name, const struct ip6 **ret_value)
{
	if (name_index(*name) >= a->nnames)
		return false;
	*ret_value = &a->names[name_index(*name)];
	return addresses_name(&a->balance->farms->addresses, *ret_value, name);
}

/* The same of a client, which may have become known to the rules or no longer be. */
static bool rename_client(const struct adopter *a, uint32_t f, be32 *name)
{
	struct flows *flows = &a->balance->flows;
	const struct ip6 *value = &flows->client6[f];

	if (name_is_hashed(*name)) {
		if (!be32_eq(*name, name_hashed(flows->factors6, value)))
			return false;
		addresses_name(&a->balance->farms->addresses, value, name);
		return true;
	}
	if (!name_is_ipv6(*name))
		return false;
	if (rename_known(a, name, &value))
		return true;
	if (!value || value == &flows->client6[f])
		return false;
	both_copy(&flows->client6[f], value, sizeof(*value));
	*name = name_hashed(flows->factors6, value);
	return true;
}

/* Gives the flow's addresses the names that these rules have; false if they don't know them. */
static bool rename_flow(const struct adopter *a, uint32_t f)
{
	const struct flow *flow = flows_at(&a->balance->flows, f);
	struct tuple arrive[2] = {flow->arrive[CLIENT], flow->arrive[SERVER]};
	const bool snat_off = be32_eq(arrive[SERVER].dst, arrive[CLIENT].src);
	const struct ip6 *value;

	if (!a->balance->flows.client6 || !rename_known(a, &arrive[CLIENT].dst, &value) ||
	    !rename_known(a, &arrive[SERVER].src, &value) ||
	    !rename_client(a, f, &arrive[CLIENT].src))
		return false;
	if (snat_off)
		arrive[SERVER].dst = arrive[CLIENT].src;
	else if (!rename_known(a, &arrive[SERVER].dst, &value))
		return false;
	flows_rename(&a->balance->flows, f, arrive);
	return true;
}

/* ---- Whether it fits ---- */

static bool is_hop(const struct hop *hop)
{
	return mac_is_host(&hop->mac) && hop->ntags <= FRAME_TAGS_MAX && !hop->unused;
}

/* If it is known, and can be true, where the flow's client is. */
static bool has_hop(const struct flows *flows, uint32_t f)
{
	return flows_at(flows, f)->hop < flows->hops.nplaces && is_hop(flows_client(flows, f));
}

/* If the flow's client can be in the farm's VLAN: its frames from another one are left alone. */
static bool is_in_vlan(const struct flows *flows, uint32_t f, const struct rules_farm *farm)
{
	return !farm->vlan || !has_hop(flows, f) ||
	       vlan_matches(rules_farm_vlan(farm), hop_vlan(flows_client(flows, f)));
}

static bool is_farm_of(const struct rules_farm *farm, const struct tuple *client)
{
	return !farm->gone && be32_eq(farm->vip, client->dst) &&
	       rules_service(farm, client->dport) >= 0;
}

static bool find_farm(struct adopter *a, const struct flow *flow)
{
	const struct rules *rules = a->balance->farms->rules;

	if (a->farm < rules->nfarms && is_farm_of(&rules->farms[a->farm], &flow->arrive[CLIENT]))
		return true;
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (is_farm_of(&rules->farms[f], &flow->arrive[CLIENT])) {
			a->farm = f;
			return true;
		}
	return false;
}

/* The number of the flow's server among those of the farm, or SERVER_NONE. */
static uint16_t find_server(const struct adopter *a, const struct flow *flow)
{
	const struct rules *rules = a->balance->farms->rules;
	const struct rules_farm *farm = &rules->farms[a->farm];
	const be32 address = flow->arrive[SERVER].src;
	const unsigned hint = flow->server;

	if (hint >= farm->server && hint < farm->server + farm->nservers &&
	    be32_eq(rules->servers[hint].address, address))
		return (uint16_t)hint;
	for (unsigned s = farm->server; s < farm->server + farm->nservers; s++)
		if (be32_eq(rules->servers[s].address, address))
			return (uint16_t)s;
	return SERVER_NONE;
}

/* If the flow's server knows it by an address and port that the rules give out, or its client's. */
static bool has_peer(const struct adopter *a, const struct flow *flow, struct found *ret)
{
	const struct rules_farm *farm = &a->balance->farms->rules->farms[a->farm];
	const int service = rules_service(farm, flow->arrive[CLIENT].dport);

	if (service < 0 ||
	    !be16_eq(flow->arrive[SERVER].sport, rules_server_port(farm, (unsigned)service)))
		return false;
	if (!farm->nsnat)
		return be32_eq(flow->arrive[SERVER].dst, flow->arrive[CLIENT].src) &&
		       be16_eq(flow->arrive[SERVER].dport, flow->arrive[CLIENT].sport);
	ret->has_port = be16_get(flow->arrive[SERVER].dport) &&
	                balance_locate_port(a->balance, flow, &ret->port);
	return ret->has_port;
}

/* Its numbers can be those of a connection. */
static bool has_numbers(const struct flow *flow, enum end end)
{
	const uint32_t acked = flow_acked(flow, end_other(end));

	return flow->flags & FLOW_SEQ_KNOWN << end && flow_wscale(flow, end) <= TCP_WSCALE_MAX &&
	       flow_next(flow, end) - acked <= ADOPT_WINDOW_MAX &&
	       flow_limit(flow, end) + 1 - acked <= ADOPT_WINDOW_MAX;
}

/* Gives the flow what a program that was alone has noted of its end. */
static void take_ends(struct flows *flows, uint32_t f)
{
	struct flow *flow = flows_at(flows, f);
	const uint8_t note = notes_take(flows->notes, f);

	if (!note || !flow_is_live(flow))
		return;
	tcp_take_note(flow, note);
	for (unsigned end = CLIENT; end <= SERVER; end++)
		if (note & NOTE_RST << end)
			flow->flags |= (uint8_t)(FLOW_RST_SENT << end);
}

static bool has_ended(const struct flow *flow)
{
	return flow->flags & FLOW_RESET_BY_US || tcp_is_closed(flow);
}

static enum fate fate_of_state(const struct adopter *a, const struct flow *flow)
{
	switch ((unsigned)flow->state) {
	case FLOW_FREE:
		return FATE_FREE;
	case FLOW_HALF_OPEN:
		return a->keep_half_open ? FATE_OPENING : FATE_HALF_OPEN;
	case FLOW_OPEN:
	case FLOW_CLOSING:
		return has_ended(flow) ? FATE_ENDED : FATE_OPEN;
	case FLOW_RESET:
	case FLOW_QUARANTINE:
		return FATE_ENDED;
	default:
		return FATE_DAMAGED;
	}
}

/* The fate of a flow that doesn't fit the rules: its ends are reset, unless it has ended. */
static enum fate unfit(enum fate fate)
{
	return fate == FATE_OPEN ? FATE_UNFIT : FATE_FREE;
}

/* If what is noted of the flow can be true. Hardly anything is noted of a half-open one. */
static bool is_possible(const struct flow *flow, enum fate fate)
{
	return fate != FATE_OPEN || (has_numbers(flow, CLIENT) && has_numbers(flow, SERVER));
}

/* Decides what is to become of the flow. Gives one that goes on this process's numbers. */
static enum fate judge(struct adopter *a, uint32_t f, struct found *ret)
{
	struct flows *flows = &a->balance->flows;
	const struct flow *flow = flows_at(flows, f);
	const enum fate fate = fate_of_state(a, flow);
	uint16_t server;

	if (fate < FATE_UNFIT)
		return fate;
	if (!is_possible(flow, fate))
		return FATE_DAMAGED;
	if (flow_is_ipv6(flow) && !rename_flow(a, f))
		return unfit(fate);
	server = find_farm(a, flow) ? find_server(a, flow) : SERVER_NONE;
	if (server != SERVER_NONE)
		flows_renumber(flows, f, server);
	if (server == SERVER_NONE || !has_peer(a, flow, ret) ||
	    !is_in_vlan(flows, f, &a->balance->farms->rules->farms[a->farm]))
		return unfit(fate);
	return fate;
}

/* ---- Taking it in ---- */

/* Forgets where the client is if that can't be true: its next packet says it again. */
static void mend_hop(struct flows *flows, uint32_t f)
{
	if (!has_hop(flows, f))
		flows_set_hop(flows, f, HOPS_NOWHERE);
}

/* Sets times of the flow that are later than now to now. */
static void mend_times(const struct adopter *a, uint32_t f, lb_time now)
{
	struct flows *flows = &a->balance->flows;
	const uint64_t ms = balance_ms(a->balance, now);

	if (flow_last(flows_at(flows, f)) > a->tick)
		flow_set_last(flows_at(flows, f), a->tick);
	if (flows_created_ms(flows, f) > ms)
		flows_set_created_ms(flows, f, ms);
}

/* If a flow that has been taken in has this tuple. */
static bool is_taken(const struct flows *flows, const struct found *found, enum end end)
{
	const uint32_t f = found->f;
	const struct tuple *tuple = &flows_at(flows, f)->arrive[end];
	const bool ipv6 = flow_is_ipv6(flows_at(flows, f));
	const bool hashed = ipv6 && (name_is_hashed(tuple->src) || name_is_hashed(tuple->dst));
	const struct flow_key key = {
	        .tuple = *tuple, .ipv6 = ipv6, .hashed = hashed ? &flows->client6[f] : NULL};

	return flows_find(flows, &key, found->hashes[end]) != FLOW_NONE;
}

static bool is_full(const struct flows *flows, const struct adoption *adoption)
{
	return adoption->open + adoption->quarantined >= flows->capacity;
}

/* The state and flags that a flow has from now on. */
static enum flow_state begin_anew(struct flow *flow, enum fate fate)
{
	if (fate == FATE_ENDED)
		return FLOW_QUARANTINE;
	flow->flags &= (uint8_t)~FLOW_CLIENT_UNLISTED;
	if (fate == FATE_OPENING)
		return FLOW_HALF_OPEN;
	return flow_is_closed(flow) ? FLOW_CLOSING : FLOW_OPEN;
}

/* One that goes on, or has ended. False if it can't, another one having its place. */
static bool take_in(struct adopter *a, const struct found *found, lb_time now)
{
	const enum fate fate = found->fate;
	const uint32_t f = found->f;
	struct balance *balance = a->balance;
	struct flows *flows = &balance->flows;
	struct flow *flow = flows_at(flows, f);
	const uint16_t server = flow->server;

	if (is_full(flows, a->ret) || is_taken(flows, found, SERVER) ||
	    (fate == FATE_OPENING && flows->openings.list.length >= balance->most_half_open))
		return false;
	if (is_taken(flows, found, CLIENT)) {
		if (fate != FATE_ENDED)
			return false;
		flow->flags |= FLOW_CLIENT_UNLISTED;
	}
	mend_hop(flows, f);
	mend_times(a, f, now);
	if (fate == FATE_ENDED)
		life_ended_before(balance, f);
	flows_adopt(flows, f, begin_anew(flow, fate), found->hashes);
	sched_count_flow(&balance->farms->sched, server, 1);
	if (found->has_port && !balance_keep_port(balance, server, found->port))
		balance->strays++;
	if (fate == FATE_OPEN) {
		sched_adopt(&balance->farms->sched, server, !flow_is_closing(flow));
		balance->counts.created++;
		if (f % a->meets == 0)
			strangers_met(&balance->strangers, balance_client_key(balance, f), now);
	}
	if (fate == FATE_OPENING) {
		sched_opened(&balance->farms->sched, server);
		balance->counts.created++;
	}
	if (fate != FATE_OPEN)
		balance_queue(balance, f);
	flows_check_again(flows, f, life_deadline(balance, flow));
	return true;
}

static void settle(struct adopter *a, const struct found *found, lb_time now)
{
	struct flows *flows = &a->balance->flows;
	const uint32_t f = found->f;
	enum fate fate = found->fate;

	if (fate > FATE_UNFIT && !take_in(a, found, now))
		fate = FATE_DAMAGED;
	a->ret->open += fate == FATE_OPEN || fate == FATE_OPENING;
	a->ret->quarantined += fate == FATE_ENDED;
	a->ret->half_open += fate == FATE_HALF_OPEN || fate == FATE_OPENING;
	a->ret->damaged += fate == FATE_DAMAGED;
	a->ret->unfit += fate == FATE_UNFIT;
	if (fate == FATE_UNFIT) {
		mend_hop(flows, f);
		a->balance->counts.created++;
		flows_doom(flows, f);
	} else if (fate < FATE_UNFIT) {
		flows_abandon(flows, f);
	}
}

/* Judges the flow, and fetches where it will be in the index. */
static struct found look(struct adopter *a, uint32_t f)
{
	struct flows *flows = &a->balance->flows;
	struct found found = {.f = f};

	__builtin_prefetch(&flows->flow[f + ADOPT_AHEAD]);
	__builtin_prefetch(&flows->cold[f + ADOPT_AHEAD]);
	found.fate = judge(a, f, &found);
	if (found.fate <= FATE_UNFIT)
		return found;
	for (enum end end = CLIENT; end <= SERVER; end++) {
		found.hashes[end] = flows_hash_end(flows, f, end);
		index_prefetch(&flows->index, found.hashes[end]);
	}
	return found;
}

/* Adopts the live flows, or those that have ended. Returns how many it has left out. */
static uint32_t adopt_some(struct adopter *a, bool live, lb_time now)
{
	struct flows *flows = &a->balance->flows;
	struct found found[ADOPT_STEP];
	uint32_t f = 0, others = 0;

	while (f < flows->reached) {
		unsigned n = 0;

		for (; f < flows->reached && n < ADOPT_STEP; f++) {
			if (live)
				take_ends(flows, f);
			if (live == (fate_of_state(a, flows_at(flows, f)) == FATE_ENDED))
				others++;
			else
				found[n++] = look(a, f);
		}
		for (unsigned i = 0; i < n; i++)
			settle(a, &found[i], now);
	}
	return others;
}

/* Flows behind the last one that isn't free were never used, as far as anybody can tell. */
static uint32_t find_reached(const struct flows *flows)
{
	uint32_t n = flows->places;

	while (n && flows_at(flows, n - 1)->state == FLOW_FREE)
		n--;
	return n;
}

void adopt_flows(struct balance *balance, void *scratch, bool keep_half_open, lb_time now,
                 struct adoption *ret)
{
	struct flows *flows = &balance->flows;
	struct bucket *shared = flows->index.buckets;
	const size_t bytes = flows->index.nbuckets * sizeof(*shared);
	struct adopter a = {.balance = balance,
	                    .names = flows->names,
	                    .nnames = flows->head->nnames,
	                    .tick = balance_tick(balance, now),
	                    .keep_half_open = keep_half_open,
	                    .ret = ret};

	*ret = (struct adoption){.done = true};
	if (!a.names || a.nnames > FLOWS_NAMES_MAX)
		a.nnames = 0;
	memset(scratch, 0, bytes);
	flows->index.buckets = scratch;
	hops_adopt(&flows->hops, a.tick);
	notes_forget_groups(flows->notes, flows->places);
	flows->reached = find_reached(flows);
	a.meets = (flows->reached + ADOPT_MEETS - 1) / ADOPT_MEETS; /* 0: there are none */
	if (adopt_some(&a, true, now))
		adopt_some(&a, false, now);
	both_copy(shared, scratch, bytes);
	flows->index.buckets = shared;
}

bool adopt_reset(struct balance *balance, struct own_list *out)
{
	struct flows *flows = &balance->flows;
	uint32_t f;

	while ((f = flows->doomed.head) != FLOW_NONE && out->max - out->n >= EXPIRE_RESETS_MAX) {
		/* by IPv6 none can be sent: the address that it would come from isn't known any
		 * more */
		if (!flow_is_ipv6(flows_at(flows, f)) && is_hop(flows_client(flows, f)))
			expire_reset(balance, f, CLIENT, out);
		flows_undoom(flows, f);
		balance->counts.ended[ENDED_RELOAD]++;
	}
	return f != FLOW_NONE;
}
