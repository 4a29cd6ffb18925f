/*
 * A probe.
 *
 * It is a TCP connection made of frames: SYN, and when the server's SYN comes the port is good;
 * then it is closed in an orderly way, FIN for FIN, so that nothing is left on the server. What the
 * server may say meanwhile is acknowledged and ignored; if it doesn't answer, or close its end,
 * within the timeout it gets a RST: a SYN of the server's that was lost leaves nothing there for a
 * later probe to meet.
 *
 * Then it rests until it is next due. The first time it may rest for longer, so that all probes are
 * spread over an interval. When a result contradicts the verdict, the next one comes after half the
 * interval, so that `fall` failures fit into `fall` intervals even if each takes a whole timeout to
 * fail.
 */
#include "probe.h"

#include "../../lb/wire.h"

#define PROBE_RESEND_NS LB_NS_PER_S /* RFC 6298: the initial retransmission timeout */
enum { PROBE_SYNS = 2, PROBE_ANEW = 3 };

static const struct rules_farm *farm_of(const struct rules *rules, const struct probe *probe)
{
	return &rules->farms[rules->servers[probe->server].farm];
}

be32 probe_server(const struct rules *rules, const struct probe *probe)
{
	return rules->servers[probe->server].address;
}

be32 probe_own_address(const struct rules *rules, const struct probe *probe)
{
	const struct rules_farm *farm = farm_of(rules, probe);

	return farm->nsnat ? farm->snat[0] : farm->vip;
}

be16 probe_server_port(const struct rules *rules, const struct probe *probe)
{
	return farm_of(rules, probe)->checks[probe->check];
}

static uint64_t interval_of(const struct probe_world *world, const struct probe *probe)
{
	return farm_of(world->rules, probe)->check_interval_ms * LB_NS_PER_MS;
}

static uint64_t late_at(const struct probe_world *world, const struct probe *probe)
{
	return probe->started.ns + farm_of(world->rules, probe)->check_timeout_ms * LB_NS_PER_MS;
}

lb_time probe_due(const struct probe_world *world, const struct probe *probe)
{
	uint64_t late = late_at(world, probe), again = probe->sent.ns + PROBE_RESEND_NS;

	if (probe->state == PROBE_RESTS)
		return probe->next;
	if (probe->state == PROBE_CONNECTS && probe->syns && probe->syns < PROBE_SYNS &&
	    again < late)
		return (lb_time){again};
	return (lb_time){late};
}

static void say(const struct probe_world *world, const struct probe *probe, uint8_t flags,
                uint32_t seq, struct own_list *out)
{
	const struct rules *rules = world->rules;
	struct own *own = &out->items[out->n++];

	*own = (struct own){
	        .kind = OWN_TCP,
	        .tcp_flags = flags,
	        .server = probe->server,
	        .tuple = {.src = probe_own_address(rules, probe),
	                  .dst = probe_server(rules, probe),
	                  .sport = probe->port,
	                  .dport = probe_server_port(rules, probe)},
	        .ipv6 = name_is_ipv6(probe_server(rules, probe)),
	        .seq = seq,
	        .ack = flags & TCP_ACK ? probe->rcv_next : 0,
	};
	if (!own->ipv6)
		return;
	own->src6 = *rules_ip6(rules, own->tuple.src);
	own->dst6 = *rules_ip6(rules, own->tuple.dst);
}

/* Rests until whole has gone by since it began, or, the first time, up to twice as long. */
static void rest_for(struct probe *probe, uint64_t whole, lb_time now)
{
	probe->state = PROBE_RESTS;
	probe->next.ns = probe->started.ns + whole;
	if (!probe->is_spread)
		probe->next.ns += (uint64_t)((unsigned __int128)whole * probe->phase >> 32);
	if (probe->next.ns < now.ns)
		probe->next = now;
}

static void rest(const struct probe_world *world, struct probe *probe, lb_time now)
{
	rest_for(probe, interval_of(world, probe), now);
}

void probe_hurry(const struct probe_world *world, struct probe *probe, lb_time now)
{
	if (probe->state == PROBE_RESTS &&
	    health_in_doubt(world->health, probe->server, probe->check))
		rest_for(probe, interval_of(world, probe) / 2, now);
}

/* Fills in the result; why is NULL if the port is good. */
static bool finish(const struct probe *probe, const char *why, struct probe_result *ret)
{
	*ret = (struct probe_result){.server = probe->server,
	                             .check = probe->check,
	                             .ok = !why,
	                             .began = probe->started,
	                             .why = why};
	return true;
}

void probe_begin(struct probe *probe, be16 port, uint32_t isn, lb_time now)
{
	probe->is_spread = probe->has_begun;
	probe->has_begun = true;
	probe->round++;
	probe->state = PROBE_CONNECTS;
	probe->started = now;
	probe->port = port;
	probe->isn = isn;
	probe->syns = probe->anew = 0;
	probe->rcv_next = 0;
}

void probe_pass(const struct probe_world *world, struct probe *probe, lb_time now)
{
	probe->next.ns = now.ns + interval_of(world, probe);
}

static const char *no_neighbour(const struct rules_farm *farm)
{
	return name_is_ipv6(farm->vip) ? "no neighbour advertisement" : "no ARP reply";
}

static bool fail_late(const struct probe_world *world, struct probe *probe, lb_time now,
                      struct own_list *out, struct probe_result *ret)
{
	bool known = neigh_find(world->neigh, probe->server, now);

	neigh_doubt(world->neigh, probe->server, now);
	if (probe->syns)
		say(world, probe, TCP_RST, probe->isn + 1, out);
	rest(world, probe, now);
	return finish(probe, known ? "no answer" : no_neighbour(farm_of(world->rules, probe)), ret);
}

static void send_syn(const struct probe_world *world, struct probe *probe, lb_time now,
                     struct own_list *out)
{
	bool known = neigh_find(world->neigh, probe->server, now);

	if (!known || probe->syns)
		neigh_doubt(world->neigh, probe->server, now);
	if (!known)
		return;
	probe->syns++;
	probe->sent = now;
	say(world, probe, TCP_SYN, probe->isn, out);
}

bool probe_poll(const struct probe_world *world, struct probe *probe, lb_time now,
                struct own_list *out, struct probe_result *ret)
{
	bool late = now.ns >= late_at(world, probe);

	if (probe->state == PROBE_CONNECTS && late)
		return fail_late(world, probe, now, out, ret);
	if (probe->state == PROBE_CONNECTS && probe->syns < PROBE_SYNS)
		send_syn(world, probe, now, out);
	if (probe->state == PROBE_CLOSES && late) {
		say(world, probe, TCP_RST | TCP_ACK, probe->isn + 2, out);
		rest(world, probe, now);
	}
	return false;
}

/*
 * An earlier connection is left over there: ends it, and tries again (RFC 9293, 3.10.7.3). Whoever
 * answers everything so isn't tried again and again.
 */
static void meet_left_over(const struct probe_world *world, struct probe *probe,
                           const struct probe_reply *reply, lb_time now, struct own_list *out)
{
	say(world, probe, TCP_RST, reply->ack, out);
	if (probe->anew == PROBE_ANEW)
		return;
	probe->anew++;
	probe->syns = 0;
	send_syn(world, probe, now, out);
}

static bool answer_connecting(const struct probe_world *world, struct probe *probe,
                              const struct probe_reply *reply, lb_time now, struct own_list *out,
                              struct probe_result *ret)
{
	bool acks = reply->tcp_flags & TCP_ACK && reply->ack == probe->isn + 1;

	if (acks && reply->tcp_flags & TCP_RST) {
		rest(world, probe, now);
		return finish(probe, "connection refused", ret);
	}
	if (acks && reply->tcp_flags & TCP_SYN) {
		probe->state = PROBE_CLOSES;
		probe->rcv_next = reply->seq + 1;
		say(world, probe, TCP_FIN | TCP_ACK, probe->isn + 1, out);
		return finish(probe, NULL, ret);
	}
	if (reply->tcp_flags & TCP_ACK && !(reply->tcp_flags & TCP_RST))
		meet_left_over(world, probe, reply, now, out);
	return false;
}

static void answer_closing(const struct probe_world *world, struct probe *probe,
                           const struct probe_reply *reply, lb_time now, struct own_list *out)
{
	if (reply->tcp_flags & TCP_RST) {
		rest(world, probe, now);
		return;
	}
	if (reply->tcp_flags & TCP_SYN || !reply->seq_len)
		return;
	if (reply->seq == probe->rcv_next)
		probe->rcv_next += reply->seq_len;
	say(world, probe, TCP_ACK, probe->isn + 2, out);
	if (reply->tcp_flags & TCP_FIN && probe->rcv_next == reply->seq + reply->seq_len)
		rest(world, probe, now);
}

/* Of a connection that is over here: it didn't hear the end. */
static void answer_stray(const struct probe_world *world, const struct probe *probe,
                         const struct probe_reply *reply, struct own_list *out)
{
	if (!(reply->tcp_flags & TCP_ACK) || reply->tcp_flags & TCP_RST)
		return;
	say(world, probe, TCP_RST, reply->ack, out);
	out->items[out->n - 1].tuple.sport = reply->tuple.dport;
}

bool probe_answer(const struct probe_world *world, struct probe *probe,
                  const struct probe_reply *reply, lb_time now, struct own_list *out,
                  struct probe_result *ret)
{
	if (probe->state == PROBE_RESTS || !be16_eq(probe->port, reply->tuple.dport))
		answer_stray(world, probe, reply, out);
	else if (probe->state == PROBE_CONNECTS)
		return answer_connecting(world, probe, reply, now, out, ret);
	else
		answer_closing(world, probe, reply, now, out);
	return false;
}
