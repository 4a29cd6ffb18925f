/*
 * Probes.
 *
 * A probe is a TCP connection made of frames: SYN, and when the server's SYN comes the port is
 * good; then it is closed in an orderly way, FIN for FIN, so that nothing is left on the server.
 * What the server may say meanwhile is acknowledged and ignored; if it doesn't close its end within
 * the timeout it gets a RST.
 *
 * Each checked port of each server has one probe, which rests until it is next due. The first ones
 * leave at once; the second are spread over an interval, and so all later ones. When a result
 * contradicts the verdict, the next probe comes after half the interval, so that `fall` failures
 * fit into `fall` intervals even if each takes a whole timeout to fail.
 *
 * It comes from one of RULES_PROBE_PORTS source ports in turn, which flows never get.
 */
#include "probe.h"

#include "../../lb/wire.h"

#include <stdlib.h>

#define PROBE_RESEND_NS LB_NS_PER_S /* RFC 6298: the initial retransmission timeout */

enum probe_state { PROBE_RESTS, PROBE_CONNECTS, PROBE_CLOSES };

struct probe {
	uint16_t server, check;
	uint8_t state; /* enum probe_state */
	uint8_t syns;  /* sent */
	uint32_t round;
	uint32_t isn, rcv_next;
	be16 port; /* ours */
	lb_time started, next;
};

struct probes {
	const struct rules *rules;
	const struct health *health;
	struct neigh_table *neigh;
	struct hash_key key;
	struct probe *probes;
	unsigned n;
	lb_time due;
};

static const struct rules_farm *farm_of(const struct probes *probes, const struct probe *probe)
{
	return &probes->rules->farms[probes->rules->servers[probe->server].farm];
}

static bool is_probed(const struct rules *rules, unsigned server)
{
	return rules->servers[server].state != STATE_DISABLED && !rules->servers[server].gone;
}

static unsigned count(const struct rules *rules)
{
	unsigned n = 0;

	for (unsigned s = 0; s < rules->nservers; s++)
		if (is_probed(rules, s))
			n += rules->farms[rules->servers[s].farm].nchecks;
	return n;
}

struct probes *probes_new(const struct rules *rules, const struct share *share,
                          const struct health *health, struct neigh_table *neigh,
                          const struct hash_key *key, lb_time now)
{
	struct probes *probes = calloc(1, sizeof(*probes));
	unsigned n = share->worker ? 0 : count(rules);

	if (!probes)
		return NULL;
	*probes = (struct probes){
	        .rules = rules, .health = health, .neigh = neigh, .key = *key, .due = now};
	probes->probes = calloc(n ? n : 1, sizeof(*probes->probes));
	if (!probes->probes) {
		free(probes);
		return NULL;
	}
	for (unsigned s = 0; n && s < rules->nservers; s++)
		for (unsigned c = 0;
		     is_probed(rules, s) && c < rules->farms[rules->servers[s].farm].nchecks; c++)
			probes->probes[probes->n++] = (struct probe){
			        .server = (uint16_t)s, .check = (uint16_t)c, .next = now};
	return probes;
}

void probes_free(struct probes *probes)
{
	if (probes)
		free(probes->probes);
	free(probes);
}

static bool is_same(const struct probes *a, const struct probe *pa, const struct probes *b,
                    const struct probe *pb)
{
	return be32_eq(a->rules->servers[pa->server].address,
	               b->rules->servers[pb->server].address) &&
	       be32_eq(farm_of(a, pa)->vip, farm_of(b, pb)->vip) &&
	       be16_eq(farm_of(a, pa)->checks[pa->check], farm_of(b, pb)->checks[pb->check]);
}

void probes_inherit(struct probes *probes, const struct probes *old)
{
	for (unsigned i = 0; i < probes->n; i++)
		for (unsigned o = 0; o < old->n; o++)
			if (is_same(probes, &probes->probes[i], old, &old->probes[o])) {
				probes->probes[i].round = old->probes[o].round;
				probes->probes[i].next = old->probes[o].next;
			}
}

static be32 own_address(const struct rules_farm *farm)
{
	return farm->nsnat ? farm->snat[0] : farm->vip;
}

static void say(const struct probes *probes, const struct probe *probe, uint8_t flags, uint32_t seq,
                struct own_list *out)
{
	const struct rules_farm *farm = farm_of(probes, probe);
	struct own *own = &out->items[out->n++];

	*own = (struct own){
	        .kind = OWN_TCP,
	        .tcp_flags = flags,
	        .server = probe->server,
	        .tuple = {.src = own_address(farm),
	                  .dst = probes->rules->servers[probe->server].address,
	                  .sport = probe->port,
	                  .dport = farm->checks[probe->check]},
	        .ipv6 = name_is_ipv6(farm->vip),
	        .seq = seq,
	        .ack = flags & TCP_ACK ? probe->rcv_next : 0,
	};
	if (!own->ipv6)
		return;
	own->src6 = *rules_ip6(probes->rules, own->tuple.src);
	own->dst6 = *rules_ip6(probes->rules, own->tuple.dst);
}

static void rest(struct probes *probes, struct probe *probe, lb_time now)
{
	uint64_t interval = farm_of(probes, probe)->check_interval_ms * LB_NS_PER_MS;

	probe->state = PROBE_RESTS;
	probe->next.ns = probe->started.ns + interval;
	if (probe->round == 1) /* spread the second ones */
		probe->next.ns += interval * (unsigned)(probe - probes->probes) / probes->n;
	if (probe->next.ns < now.ns)
		probe->next = now;
}

/* Fills in the result; why is NULL if the port is good. */
static bool finish(const struct probe *probe, const char *why, struct probe_result *ret)
{
	*ret = (struct probe_result){
	        .server = probe->server, .check = probe->check, .ok = !why, .why = why};
	return true;
}

static void begin(struct probes *probes, struct probe *probe, lb_time now)
{
	const struct tuple place = {
	        .src = probes->rules->servers[probe->server].address,
	        .dst = be32_from(probe->round),
	        .sport = farm_of(probes, probe)->checks[probe->check],
	};

	probe->state = PROBE_CONNECTS;
	probe->started = now;
	probe->syns = 0;
	probe->isn = (uint32_t)tuple_hash(&probes->key, &place);
	probe->port = be16_from((uint16_t)(RULES_PROBE_PORT + probe->round % RULES_PROBE_PORTS));
	probe->rcv_next = 0;
	probe->round++;
}

static uint64_t timeout_of(const struct probes *probes, const struct probe *probe)
{
	return farm_of(probes, probe)->check_timeout_ms * LB_NS_PER_MS;
}

static bool is_late(const struct probes *probes, const struct probe *probe, lb_time now)
{
	return now.ns - probe->started.ns >= timeout_of(probes, probe);
}

static const char *no_neighbour(const struct rules_farm *farm)
{
	return name_is_ipv6(farm->vip) ? "no neighbour advertisement" : "no ARP reply";
}

static bool poll_connecting(struct probes *probes, struct probe *probe, lb_time now,
                            struct own_list *out, struct probe_result *ret)
{
	bool known = neigh_find(probes->neigh, probe->server, now);

	if (is_late(probes, probe, now)) {
		rest(probes, probe, now);
		neigh_ask(probes->neigh, probe->server);
		return finish(probe, known ? "no answer" : no_neighbour(farm_of(probes, probe)),
		              ret);
	}
	if (!known) {
		neigh_ask(probes->neigh, probe->server);
	} else if (probe->syns == 0 ||
	           (probe->syns == 1 && now.ns - probe->started.ns >= PROBE_RESEND_NS)) {
		probe->syns++;
		say(probes, probe, TCP_SYN, probe->isn, out);
	}
	return false;
}

static void poll_closing(struct probes *probes, struct probe *probe, lb_time now,
                         struct own_list *out)
{
	if (!is_late(probes, probe, now))
		return;
	say(probes, probe, TCP_RST | TCP_ACK, probe->isn + 2, out);
	rest(probes, probe, now);
}

static bool poll_probe(struct probes *probes, struct probe *probe, lb_time now,
                       struct own_list *out, struct probe_result *ret)
{
	if (probe->state == PROBE_RESTS && now.ns >= probe->next.ns)
		begin(probes, probe, now);
	if (probe->state == PROBE_CONNECTS)
		return poll_connecting(probes, probe, now, out, ret);
	if (probe->state == PROBE_CLOSES)
		poll_closing(probes, probe, now, out);
	return false;
}

/* When this probe has something to do next. */
static uint64_t due_of(const struct probes *probes, const struct probe *probe)
{
	uint64_t late = probe->started.ns + timeout_of(probes, probe);

	if (probe->state == PROBE_RESTS)
		return probe->next.ns;
	if (probe->state == PROBE_CONNECTS && probe->syns == 1 &&
	    probe->started.ns + PROBE_RESEND_NS < late)
		return probe->started.ns + PROBE_RESEND_NS;
	return late;
}

static void update_due(struct probes *probes)
{
	probes->due.ns = UINT64_MAX;
	for (unsigned i = 0; i < probes->n; i++) {
		uint64_t due = due_of(probes, &probes->probes[i]);

		if (due < probes->due.ns)
			probes->due.ns = due;
	}
}

bool probes_poll(struct probes *probes, lb_time now, struct own_list *out, struct probe_result *ret)
{
	for (unsigned i = 0; i < probes->n; i++) {
		if (out->max - out->n < PROBES_OUT_MAX)
			return false; /* due stays: the rest follows with the next call */
		if (poll_probe(probes, &probes->probes[i], now, out, ret))
			return true;
	}
	update_due(probes);
	return false;
}

static struct probe *find(const struct probes *probes, const struct probe_reply *reply)
{
	for (unsigned i = 0; i < probes->n; i++) {
		struct probe *probe = &probes->probes[i];
		const struct rules_farm *farm = farm_of(probes, probe);

		if (be32_eq(probes->rules->servers[probe->server].address, reply->tuple.src) &&
		    be16_eq(farm->checks[probe->check], reply->tuple.sport) &&
		    be16_eq(probe->port, reply->tuple.dport) &&
		    be32_eq(own_address(farm), reply->tuple.dst))
			return probe;
	}
	return NULL;
}

/* The next probe sooner, while in doubt; to be called when the result has been told. */
static void hurry(struct probes *probes, struct probe *probe, lb_time now)
{
	uint64_t half = farm_of(probes, probe)->check_interval_ms * LB_NS_PER_MS / 2;

	if (probe->state != PROBE_RESTS ||
	    !health_in_doubt(probes->health, probe->server, probe->check))
		return;
	probe->next.ns = probe->started.ns + half > now.ns ? probe->started.ns + half : now.ns;
}

void probes_told(struct probes *probes, const struct probe_result *result, lb_time now)
{
	for (unsigned i = 0; i < probes->n; i++)
		if (probes->probes[i].server == result->server &&
		    probes->probes[i].check == result->check)
			hurry(probes, &probes->probes[i], now);
	update_due(probes);
}

static bool reply_connecting(struct probes *probes, struct probe *probe,
                             const struct probe_reply *reply, lb_time now, struct own_list *out,
                             struct probe_result *ret)
{
	bool acks = reply->tcp_flags & TCP_ACK && reply->ack == probe->isn + 1;

	if (acks && reply->tcp_flags & TCP_RST) {
		rest(probes, probe, now);
		return finish(probe, "connection refused", ret);
	}
	if (acks && reply->tcp_flags & TCP_SYN) {
		probe->state = PROBE_CLOSES;
		probe->rcv_next = reply->seq + 1;
		say(probes, probe, TCP_FIN | TCP_ACK, probe->isn + 1, out);
		return finish(probe, NULL, ret);
	}
	if (reply->tcp_flags & TCP_ACK && !(reply->tcp_flags & TCP_RST)) {
		/* an earlier connection is left over there: end it, and try again (RFC
		 * 9293, 3.10.7.3) */
		say(probes, probe, TCP_RST, reply->ack, out);
		probe->syns = 0;
	}
	return false;
}

static void reply_closing(struct probes *probes, struct probe *probe,
                          const struct probe_reply *reply, lb_time now, struct own_list *out)
{
	if (reply->tcp_flags & TCP_RST) {
		rest(probes, probe, now);
		return;
	}
	if (reply->tcp_flags & TCP_SYN || !reply->seq_len)
		return;
	if (reply->seq == probe->rcv_next)
		probe->rcv_next += reply->seq_len;
	say(probes, probe, TCP_ACK, probe->isn + 2, out);
	if (reply->tcp_flags & TCP_FIN && probe->rcv_next == reply->seq + reply->seq_len)
		rest(probes, probe, now);
}

bool probes_reply(struct probes *probes, const struct probe_reply *reply, lb_time now,
                  struct own_list *out, struct probe_result *ret)
{
	struct probe *probe = find(probes, reply);
	bool ended = false;

	if (!probe || out->max - out->n < PROBES_OUT_MAX)
		return false;
	if (probe->state == PROBE_CONNECTS)
		ended = reply_connecting(probes, probe, reply, now, out, ret);
	else if (probe->state == PROBE_CLOSES)
		reply_closing(probes, probe, reply, now, out);
	else if (reply->tcp_flags & TCP_ACK && !(reply->tcp_flags & TCP_RST))
		say(probes, probe, TCP_RST, reply->ack, out); /* it didn't hear the end */
	update_due(probes);
	return ended;
}

lb_time probes_due(const struct probes *probes)
{
	return probes->due;
}
