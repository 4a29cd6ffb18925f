/*
 * A probe.
 *
 * It is a TCP connection made of frames (chat.c), in which it sends what its check's script says,
 * and judges the answer; it may take check_timeout in all.
 *
 * Then it rests until it is next due. The first time it may rest for longer, so that all probes are
 * spread over an interval. When a result contradicts the verdict, the next one comes after half the
 * interval, so that `fall` failures fit into `fall` intervals even if each takes a whole timeout to
 * fail.
 */
#include "probe.h"

#include "../../lb/wire.h"

#include <stdio.h>

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
	const struct rules_farm *farm = farm_of(rules, probe);

	return probe_is_agent(rules, probe->server, probe->check) ? farm->agent
	                                                          : farm->checks[probe->check];
}

static uint64_t interval_of(const struct probe_world *world, const struct probe *probe)
{
	return farm_of(world->rules, probe)->check_interval_ms * LB_NS_PER_MS;
}

const struct script *probe_script(const struct rules *rules, const struct probe *probe)
{
	static char text[] = "agent";
	static const struct script agent = {.text = text, .where = SCRIPT_LINE};

	if (probe_is_agent(rules, probe->server, probe->check))
		return &agent;
	return rules_script(rules, farm_of(rules, probe), probe->check);
}

static struct chat_terms terms_of(const struct probe_world *world, const struct probe *probe)
{
	const struct rules_farm *farm = farm_of(world->rules, probe);

	return (struct chat_terms){.script = probe_script(world->rules, probe),
	                           .timeout_ns = farm->check_timeout_ms * LB_NS_PER_MS,
	                           .rooms = world->rooms};
}

lb_time probe_due(const struct probe_world *world, const struct probe *probe)
{
	const struct chat_terms terms = terms_of(world, probe);

	return probe_rests(probe) ? probe->next : chat_due(&probe->chat, &terms);
}

static void speak(const struct probe_world *world, const struct probe *probe, be16 port,
                  const struct chat_segment *segment, struct own_list *out)
{
	const struct rules *rules = world->rules;
	struct own *own = &out->items[out->n++];

	*own = (struct own){
	        .kind = OWN_TCP,
	        .tcp_flags = segment->flags,
	        .server = probe->server,
	        .tuple = {.src = probe_own_address(rules, probe),
	                  .dst = probe_server(rules, probe),
	                  .sport = port,
	                  .dport = probe_server_port(rules, probe)},
	        .ipv6 = name_is_ipv6(probe_server(rules, probe)),
	        .seq = segment->seq,
	        .ack = segment->ack,
	        .data = segment->data,
	        .data_len = (uint16_t)segment->len,
	};
	if (!own->ipv6)
		return;
	own->src6 = *rules_ip6(rules, own->tuple.src);
	own->dst6 = *rules_ip6(rules, own->tuple.dst);
}

static void speak_all(const struct probe_world *world, const struct probe *probe, be16 port,
                      const struct chat_says *says, struct own_list *out)
{
	for (unsigned i = 0; i < says->n; i++)
		speak(world, probe, port, &says->segments[i], out);
}

/* Rests until whole has gone by since it began, or, the first time, up to twice as long. */
static void rest_for(struct probe *probe, uint64_t whole, lb_time now)
{
	probe->next.ns = probe->chat.began.ns + whole;
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
	if (probe_rests(probe) && health_in_doubt(world->health, probe->server, probe->check))
		rest_for(probe, interval_of(world, probe) / 2, now);
}

static struct fault fault_of(const struct probe_world *world, const struct probe *probe,
                             const struct chat_result *result, lb_time now)
{
	const struct script *script = probe_script(world->rules, probe);
	struct fault fault = {.kind = (uint8_t)result->fault,
	                      .port = probe_server_port(world->rules, probe),
	                      .ipv6 = name_is_ipv6(probe_server(world->rules, probe)),
	                      .at = now};

	if (script)
		snprintf(fault.check, sizeof(fault.check), "%.*s", (int)strcspn(script->text, " "),
		         script->text);
	if (fault.kind == FAULT_UNEXPECTED)
		fault_set_heard(&fault, result->heard, result->nheard);
	return fault;
}

/* Goes on after a step of the conversation: if that is over the probe rests. True if there is a
 * result now, in *ret. */
static bool finish(const struct probe_world *world, struct probe *probe,
                   const struct chat_result *result, lb_time now, struct probe_result *ret)
{
	if (probe_rests(probe))
		rest(world, probe, now);
	if (result->end == CHAT_GOES_ON)
		return false;
	*ret = (struct probe_result){.server = probe->server,
	                             .check = probe->check,
	                             .ok = result->end == CHAT_GOOD,
	                             .began = probe->chat.began,
	                             .fault = fault_of(world, probe, result, now),
	                             .heard = result->heard,
	                             .nheard = result->nheard};
	return true;
}

void probe_begin(struct probe *probe, be16 port, uint32_t isn, lb_time now)
{
	probe->is_spread = probe->has_begun;
	probe->has_begun = true;
	probe->round++;
	probe->port = port;
	chat_begin(&probe->chat, isn, now);
}

void probe_pass(const struct probe_world *world, struct probe *probe, lb_time now)
{
	probe->next.ns = now.ns + interval_of(world, probe);
}

void probe_drop(const struct probe_world *world, struct probe *probe)
{
	const struct chat_terms terms = terms_of(world, probe);

	if (!probe_rests(probe))
		chat_drop(&probe->chat, &terms);
}

/* Sends the SYN once the server's place is known, and again if it isn't answered; then the place is
 * in doubt. */
static void connect(const struct probe_world *world, struct probe *probe,
                    const struct chat_terms *terms, lb_time now, struct chat_says *says)
{
	const bool known = neigh_find(world->neigh, probe->server, now);

	if (!known || probe->chat.tries)
		neigh_doubt(world->neigh, probe->server, now);
	if (known && !probe->chat.tries && now.ns < chat_late(&probe->chat, terms).ns)
		chat_connect(&probe->chat, now, says);
}

bool probe_poll(const struct probe_world *world, struct probe *probe, lb_time now,
                struct own_list *out, struct probe_result *ret)
{
	const struct chat_terms terms = terms_of(world, probe);
	struct chat_says says = {.n = 0};
	struct chat_result result;

	if (probe_rests(probe))
		return false;
	if (probe->chat.state == CHAT_CONNECTS)
		connect(world, probe, &terms, now, &says);
	result = chat_poll(&probe->chat, &terms, now, &says);
	if (result.fault == FAULT_NO_ANSWER && !neigh_is_there(world->neigh, probe->server))
		result.fault = FAULT_NO_ARP;
	speak_all(world, probe, probe->port, &says, out);
	return finish(world, probe, &result, now, ret);
}

static struct chat_segment segment_of(const struct probe_reply *reply, const struct frame *frame)
{
	return (struct chat_segment){.flags = reply->tcp_flags,
	                             .seq = reply->seq,
	                             .ack = reply->ack,
	                             .data = reply->data_len ? frame->data + reply->data_at : NULL,
	                             .len = reply->data_len};
}

/* Answers a segment of a connection that is over here, of whose end the server doesn't know. */
static void answer_stray(const struct probe_world *world, const struct probe *probe,
                         const struct probe_reply *reply, const struct frame *frame,
                         struct own_list *out)
{
	const struct chat_segment segment = segment_of(reply, frame);
	struct chat_says says = {.n = 0};

	chat_stray(&segment, &says);
	speak_all(world, probe, reply->tuple.dport, &says, out);
}

/* ICMP's destination unreachable, that no smaller packet would mend (RFC 1191; RFC 4443, 3.1). */
static bool is_unreachable(const struct probe_reply *reply)
{
	if (name_is_ipv6(reply->tuple.src))
		return reply->icmp_type == ICMPV6_UNREACHABLE;
	return reply->icmp_type == ICMP_UNREACHABLE && reply->icmp_code != ICMP_FRAG_NEEDED;
}

static bool answer_icmp(const struct probe_world *world, struct probe *probe,
                        const struct probe_reply *reply, lb_time now, struct probe_result *ret)
{
	const struct chat_terms terms = terms_of(world, probe);
	struct chat_result result;

	if (probe_rests(probe) || !be16_eq(probe->port, reply->tuple.dport) ||
	    !is_unreachable(reply))
		return false;
	result = chat_unreachable(&probe->chat, &terms, reply->seq);
	if (!finish(world, probe, &result, now, ret))
		return false;
	ret->fault.icmp_code = reply->icmp_code;
	return true;
}

bool probe_answer(const struct probe_world *world, struct probe *probe,
                  const struct probe_reply *reply, const struct frame *frame, lb_time now,
                  struct own_list *out, struct probe_result *ret)
{
	const struct chat_terms terms = terms_of(world, probe);
	struct chat_says says = {.n = 0};
	struct chat_segment segment;
	struct chat_result result;

	if (reply->is_icmp)
		return answer_icmp(world, probe, reply, now, ret);
	if (probe_rests(probe) || !be16_eq(probe->port, reply->tuple.dport)) {
		answer_stray(world, probe, reply, frame, out);
		return false;
	}
	segment = segment_of(reply, frame);
	result = chat_take(&probe->chat, &terms, &segment, now, &says);
	speak_all(world, probe, probe->port, &says, out);
	return finish(world, probe, &result, now, ret);
}
