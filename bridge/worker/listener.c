/*
 * Answering queries of multicast listeners.
 *
 * A switch that snoops forwards solicitations for our addresses to us only as long as somebody says
 * that we listen: whoever asks, a router or the switch itself, forgets who doesn't answer (RFC
 * 3810, 7.2; RFC 4541, 3). So a query is answered as a host does it, after a random part of the
 * time that it allows. Answers are per side and VLAN. One that is due covers what is asked
 * meanwhile: the sooner time counts, and of two groups it becomes one for all. After an answer
 * there is a second of calm, so that who floods us with queries gets no more than a report a second
 * for each address, and no more than LISTENER_PER_MS in a millisecond.
 *
 * A report of somebody else's isn't taken for ours, as RFC 2710 would allow: a switch wants to hear
 * each port's.
 */
#include "listener.h"

#include "../../lb/parse.h"
#include "../../lb/way.h"
#include "../../lb/wire.h"

#include <string.h>

static const struct ip6 all_nodes = {{0xff, 0x02, [15] = 1}};

/* ---- Queries ---- */

/* RFC 3810, 5.1.3. */
static uint32_t delay_of(uint16_t code)
{
	if (code < 0x8000)
		return code;
	return ((code & 0x0fffu) | 0x1000u) << ((code >> 12 & 7) + 3);
}

/* A router alert with the value 0 among the 6 bytes of options (RFC 2711, 2.1). */
static bool is_alert(const uint8_t *options)
{
	static const uint8_t alert[] = {5, 2, 0, 0};

	return !memcmp(options, alert, sizeof(alert)) || !memcmp(options + 2, alert, sizeof(alert));
}

/* If the packet is from fe80::/10 to a group, as far as the headers before MLD's go. */
static bool is_mld(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *ip = frame->data + packet->l3, *options = ip + IPV6_HEADER_BYTES;

	return ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_HOP_BY_HOP && ip[IPV6_HOP_LIMIT] == 1 &&
	       ip[IPV6_SRC] == 0xfe && (ip[IPV6_SRC + 1] & 0xc0) == 0x80 && ip[IPV6_DST] == 0xff &&
	       packet->protocol == IPPROTO_NUM_ICMPV6 && !packet->is_fragment &&
	       packet->l4 == packet->l3 + IPV6_HEADER_BYTES + MLD_OPTIONS_BYTES &&
	       is_alert(options + 2);
}

static bool read_query(const uint8_t *mld, uint16_t len, struct listener_query *ret)
{
	static const struct ip6 none;
	uint16_t code;

	if ((len != MLD_QUERY1_BYTES && len < MLD_QUERY_BYTES) || mld[ICMP_TYPE] != MLD_QUERY)
		return false;
	code = be16_get(be16_load(mld + MLD_DELAY));
	ret->is_old = len == MLD_QUERY1_BYTES;
	ret->delay_ms = ret->is_old ? code : delay_of(code);
	memcpy(&ret->group, mld + MLD_GROUP, sizeof(ret->group));
	ret->is_general = ip6_eq(&ret->group, &none);
	return true;
}

bool listener_hear(const struct frame *frame, struct listener_query *ret)
{
	struct packet packet;

	if (frame->len < ETH_HEADER_BYTES || frame->data[0] != 0x33 || frame->data[1] != 0x33)
		return false;
	parse_frame(frame, &packet);
	if (packet.kind != PACKET_IPV6 || hop_vlan(&packet.from) == VLAN_OTHER ||
	    !parse_ip(frame, &packet) || !is_mld(frame, &packet) ||
	    !parse_l4_checksum_ok(frame, &packet) ||
	    !read_query(frame->data + packet.l4, packet.l4_len, ret))
		return false;
	ret->side = frame->side;
	ret->vlan = hop_vlan(&packet.from);
	return !ret->is_general ||
	       !memcmp(frame->data + packet.l3 + IPV6_DST, &all_nodes, sizeof(all_nodes));
}

/* ---- Answers ---- */

/* xorshift64: nobody gains by foreseeing it. */
static uint64_t draw(struct listener *listener)
{
	uint64_t x = listener->random ? listener->random : 1;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return listener->random = x;
}

/* The one to that querier, or one that is free; NULL if there is neither. */
static struct listener_answer *find_answer(struct listener *listener,
                                           const struct listener_query *query, lb_time now)
{
	struct listener_answer *free = NULL;

	for (unsigned i = 0; i < LISTENER_ANSWERS; i++) {
		struct listener_answer *answer = &listener->answers[i];
		bool is_same =
		        answer->query.side == query->side && answer->query.vlan == query->vlan;
		bool is_over =
		        !answer->is_due && answer != listener->going && answer->calm.ns <= now.ns;

		if (is_same && !is_over)
			return answer;
		if (is_over)
			free = answer;
	}
	return free;
}

/* An answer that is due takes in one more query. */
static void widen(struct listener_query *to, const struct listener_query *query)
{
	to->is_old |= query->is_old;
	if (query->is_general || !ip6_eq(&to->group, &query->group))
		to->is_general = true;
}

void listener_note(struct listener *listener, const struct listener_query *query, lb_time now)
{
	struct listener_answer *answer = find_answer(listener, query, now);
	const uint32_t ms =
	        query->delay_ms < LISTENER_LATEST_MS ? query->delay_ms : LISTENER_LATEST_MS;
	lb_time when = {now.ns + draw(listener) % (ms * LB_NS_PER_MS + 1)};

	if (query->is_old)
		listener->old[query->side].ns = now.ns + LISTENER_OLD_S * LB_NS_PER_S;
	if (!answer) {
		listener->missed++;
		return;
	}
	if (answer->is_due) {
		widen(&answer->query, query);
		when.ns = when.ns < answer->when.ns ? when.ns : answer->when.ns;
	} else {
		answer->query = *query;
	}
	answer->is_due = true;
	answer->when = when;
}

static lb_time due_of(const struct listener_answer *answer)
{
	if (!answer->is_due)
		return (lb_time){UINT64_MAX};
	return answer->when.ns > answer->calm.ns ? answer->when : answer->calm;
}

/* Begins with one that is due; false if there is none. */
static bool begin(struct listener *listener, lb_time now)
{
	for (unsigned i = 0; i < LISTENER_ANSWERS; i++) {
		struct listener_answer *answer = &listener->answers[i];

		if (due_of(answer).ns > now.ns)
			continue;
		answer->is_due = false;
		answer->calm.ns = now.ns + LISTENER_CALM_MS * LB_NS_PER_MS;
		listener->going = answer;
		listener->given = answer->query;
		listener->walk = (struct walk){0};
		return true;
	}
	return false;
}

/* If that is what the query asks for. */
static bool is_asked(const struct listener_query *query, const struct rules *rules, be32 ip,
                     uint16_t vlan)
{
	struct ip6 group;

	if (!name_is_ipv6(ip) || (vlan && vlan != query->vlan) ||
	    !way_is_ours(rules, ip, (enum side)query->side))
		return false;
	group = ip6_solicited_node(rules_ip6(rules, ip));
	return query->is_general || ip6_eq(&query->group, &group);
}

bool listener_next(struct listener *listener, const struct addresses *addresses, lb_time now,
                   struct listener_report *ret)
{
	const struct listener_query *query = &listener->given;
	unsigned budget = LISTENER_LOOKS;
	uint16_t vlan;
	be32 ip;

	if ((!listener->going && !begin(listener, now)) ||
	    !pace_take(&listener->pace, LISTENER_PER_MS, now))
		return false;
	while (walk_next(&listener->walk, addresses, &budget, &ip, &vlan)) {
		if (!is_asked(query, addresses->rules, ip, vlan))
			continue;
		*ret = (struct listener_report){.side = query->side,
		                                .is_old = query->is_old,
		                                .vlan = query->vlan,
		                                .ip = ip};
		return true;
	}
	if (walk_is_over(&listener->walk, addresses))
		listener->going = NULL;
	return false;
}

lb_time listener_due(const struct listener *listener)
{
	lb_time due = {UINT64_MAX};

	if (listener->going)
		return pace_due(&listener->pace, listener->pace.window);
	for (unsigned i = 0; i < LISTENER_ANSWERS; i++)
		if (due_of(&listener->answers[i]).ns < due.ns)
			due = due_of(&listener->answers[i]);
	return due;
}
