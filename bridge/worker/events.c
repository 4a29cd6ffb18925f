/*
 * What the log says of servers and farms: one line each, and of what traffic can cause at most one
 * line in ten seconds.
 */
#include "events.h"

#include "../process/log.h"
#include "../process/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVENTS_EVERY_S = 10 };

int events_init(struct events *events, const struct farms *farms)
{
	const unsigned n = farms->rules->nfarms;

	*events = (struct events){
	        .farm_up = calloc(n + 1, sizeof(*events->farm_up)),
	        .farm_kept = calloc(n + 1, sizeof(*events->farm_kept)),
	        .agent_silent = calloc(farms->rules->nservers + 1, sizeof(*events->agent_silent))};
	if (!events->farm_up || !events->farm_kept || !events->agent_silent) {
		events_free(events);
		*events = (struct events){.farm_up = NULL};
		return -ENOMEM;
	}
	for (unsigned f = 0; f < n; f++)
		events_note_farm(events, farms, f);
	return 0;
}

void events_note_farm(struct events *events, const struct farms *farms, unsigned farm)
{
	events->farm_up[farm] = sched_is_up(&farms->sched, farm);
	events->farm_kept[farm] = farms->health.farms[farm].kept;
}

void events_free(struct events *events)
{
	free(events->farm_up);
	free(events->farm_kept);
	free(events->agent_silent);
}

void events_inherit(struct events *events, const struct events *old)
{
	memcpy(events->refused, old->refused, sizeof(old->refused));
	memcpy(events->claims, old->claims, sizeof(old->claims));
	events->moved = old->moved;
	events->attempted = old->attempted;
	events->suspect = old->suspect;
}

static bool is_over(const struct events_limit *limit, lb_time now)
{
	return !limit->ever || now.ns - limit->said.ns >= EVENTS_EVERY_S * LB_NS_PER_S;
}

/* Counts one more event. True if it is time for a line, with how many there were since the last
 * line in *ret. */
static bool is_time(struct events_limit *limit, lb_time now, uint64_t *ret)
{
	limit->since++;
	if (!is_over(limit, now))
		return false;
	*ret = limit->since;
	*limit = (struct events_limit){.said = now, .ever = true};
	return true;
}

void events_farm(struct events *events, const struct farms *farms, unsigned farm)
{
	bool up = sched_is_up(&farms->sched, farm);
	struct details details = {.n = 0};

	if (up == events->farm_up[farm])
		return;
	events->farm_up[farm] = up;
	details_flag(&details, "up", up);
	log_with(up ? LOG_INFO : LOG_ERR, &details, "farm %s: %s", farms->rules->farms[farm].name,
	         up ? "up" : "down: no server is up");
}

void events_kept(struct events *events, const struct farms *farms, unsigned farm)
{
	const bool kept = farms->health.farms[farm].kept;
	struct details details = {.n = 0};

	if (kept == events->farm_kept[farm])
		return;
	events->farm_kept[farm] = kept;
	details_flag(&details, "kept", kept);
	log_with(kept ? LOG_WARNING : LOG_INFO, &details, "farm %s: %s",
	         farms->rules->farms[farm].name,
	         kept ? "all its servers fail: those that are up stay so (all_down = keep); is "
	                "tmbridge cut off from them?"
	              : "checks count again");
}

/* What was found at a server's port. */
static void details_fault(struct details *details, const struct fault *fault)
{
	details_number(details, "port", be16_get(fault->port));
	details_text(details, "reason", fault_name((enum fault_kind)fault->kind));
}

void events_agent(struct events *events, const struct rules *rules,
                  const struct probe_result *result)
{
	bool *silent = &events->agent_silent[result->server];
	struct details details = {.n = 0};
	char text[FAULT_TEXT_BYTES];

	if (*silent == !result->ok)
		return;
	*silent = !result->ok;
	details_flag(&details, "silent", *silent);
	if (*silent)
		details_fault(&details, &result->fault);
	if (*silent)
		log_with(LOG_WARNING, &details, "server %s: %s: what it has said last counts on",
		         rules->servers[result->server].name, fault_text(&result->fault, text));
	else
		log_with(LOG_INFO, &details, "server %s: its agent answers",
		         rules->servers[result->server].name);
}

void events_verdict(struct events *events, const struct farms *farms,
                    const struct probe_result *result, enum health_verdict was, uint64_t for_ns)
{
	const struct rules_server *server = &farms->rules->servers[result->server];
	const enum health_verdict is = health_of(&farms->health, result->server);
	const double seconds = (double)for_ns / (double)LB_NS_PER_S;
	struct details details = {.n = 0};
	char text[FAULT_TEXT_BYTES];

	details_text(&details, "health", health_name(is));
	details_text(&details, "was", health_name(was));
	details_seconds(&details, "after_s", seconds);
	if (is != HEALTH_UP)
		details_fault(&details, &result->fault);
	if (is == HEALTH_UP)
		log_with(LOG_INFO, &details, "server %s: up, after %.1f s %s", server->name,
		         seconds, health_name(was));
	else
		log_with(LOG_WARNING, &details, "server %s: %s: %s, after %.1f s %s", server->name,
		         health_name(is), fault_text(&result->fault, text), seconds,
		         health_name(was));
	events_farm(events, farms, server->farm);
}

static const char *refusal(enum lb_why why)
{
	switch (why) {
	case WHY_SNAT_EXHAUSTED:
		return "no SNAT port is left: more SNAT addresses would help";
	case WHY_TABLE_FULL:
		return "the flow table is full: see max_connections in [bridge]";
	case WHY_SERVERS_FULL:
		return "each server has its max_connections";
	case WHY_NO_SERVER:
		return "no server is up";
	case WHY_CLIENT_DENIED:
		return "it is denied";
	case WHY_CLIENT_CONNECTIONS:
		return "it has its client_connections";
	case WHY_CLIENT_RATE:
		return "it begins more than its client_rate";
	case WHY_CLIENT_BLOCKED:
		return "it is blocked (block_for)";
	case WHY_STRANGER:
	case WHY_STRANGER_CHALLENGED:
		return "a flood of SYNs: who has never been here must ask twice";
	default:
		return NULL;
	}
}

/* The client that an answer was made for, if it is he that is refused, else nothing. */
static const char *client_of(const struct own *own, enum lb_why why, char ret[TEXT_ADDRESS_BYTES])
{
	*ret = 0;
	if (why < WHY_CLIENT_DENIED || why > WHY_CLIENT_BLOCKED)
		return ret;
	return text_ip(own->tuple.dst, own->ipv6 ? &own->dst6 : NULL, ret);
}

void events_refused(struct events *events, const struct farms *farms, const struct verdict *v,
                    lb_time now)
{
	const enum lb_why why = (enum lb_why)(v->why == WHY_CLIENT_DROPPED ? v->limit : v->why);
	const char *what = refusal(why);
	struct details details = {.n = 0};
	char client[TEXT_ADDRESS_BYTES];
	uint64_t n;

	if (!what || !is_time(&events->refused[why], now, &n))
		return;
	client_of(&v->own, why, client);
	details_text(&details, "reason", lb_why_name(why));
	details_number(&details, "count", n);
	if (*client)
		details_text(&details, "client", client);
	log_with(LOG_WARNING, &details, "farm %s: connections refused (%" PRIu64 "): %s%s%s%s",
	         farms->rules->farms[v->farm].name, n, *client ? "client " : "", client,
	         *client ? ": " : "", what);
}

void events_refused_elsewhere(struct events *events, enum lb_why why, uint64_t n)
{
	events->refused[why].since += n;
}

void events_suspect(struct events *events, const struct rules *rules, unsigned server, lb_time now)
{
	const struct rules_server *rule = &rules->servers[server];
	const unsigned observe = rules->farms[rule->farm].observe;
	struct details details = {.n = 0};
	uint64_t n;

	if (!is_time(&events->suspect, now, &n))
		return;
	details_number(&details, "unanswered", observe);
	details_number(&details, "count", n);
	log_with(LOG_WARNING, &details,
	         "server %s: %u connections in a row without an answer: probed at once (%" PRIu64
	         ")",
	         rule->name, observe, n);
}

/* The address's own, or one whose time is over; else what is claimed counts with another one. */
static struct events_limit *limit_of(struct events *events, be32 address, lb_time now)
{
	unsigned free = 0;

	for (unsigned i = EVENTS_CLAIMS; i-- > 0;) {
		struct events_limit *limit = &events->claims[i].limit;

		if (limit->ever && be32_eq(events->claims[i].address, address))
			return limit;
		if (is_over(limit, now))
			free = i;
	}
	if (is_over(&events->claims[free].limit, now))
		events->claims[free].address = address;
	return &events->claims[free].limit;
}

void events_conflict(struct events *events, const struct rules *rules, const char *port,
                     const struct sighting *who, lb_time now)
{
	const uint8_t *mac = who->hop.mac.b;
	struct details details = {.n = 0};
	char ip[TEXT_ADDRESS_BYTES];
	uint64_t n;

	if (!is_time(limit_of(events, who->ip, now), now, &n))
		return;
	text_address(rules, who->ip, ip);
	details_text(&details, "address", ip);
	details_mac(&details, "mac", mac);
	details_number(&details, "count", n);
	log_with(LOG_WARNING, &details, "%s: %s is claimed by %02x:%02x:%02x:%02x:%02x:%02x", port,
	         ip, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* "02:00:00:00:00:41 on eth1" */
enum { EVENTS_PLACE_BYTES = 64 };

static const char *place(const struct hop *hop, struct port *const ports[NSIDES],
                         char ret[EVENTS_PLACE_BYTES])
{
	const uint8_t *mac = hop->mac.b;

	snprintf(ret, EVENTS_PLACE_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x on %s", mac[0], mac[1],
	         mac[2], mac[3], mac[4], mac[5], ports[hop->side]->name);
	return ret;
}

void events_neighbour(struct events *events, const struct rules *rules,
                      struct port *const ports[NSIDES], const struct neigh_event *what, lb_time now)
{
	const char *name = rules->servers[what->server].name;
	char from[EVENTS_PLACE_BYTES], to[EVENTS_PLACE_BYTES];
	struct details details = {.n = 0};
	uint64_t n;

	if (!is_time(what->moved ? &events->moved : &events->attempted, now, &n))
		return;
	details_flag(&details, "moved", what->moved);
	details_mac(&details, "mac", what->to.mac.b);
	details_text(&details, "interface", ports[what->to.side]->name);
	details_mac(&details, "mac_before", what->from.mac.b);
	details_text(&details, "interface_before", ports[what->from.side]->name);
	details_number(&details, "count", n);
	if (what->moved)
		log_with(LOG_WARNING, &details,
		         "server %s: moved from %s, where it doesn't answer any more, to %s "
		         "(%" PRIu64 ")",
		         name, place(&what->from, ports, from), place(&what->to, ports, to), n);
	else
		log_with(LOG_WARNING, &details,
		         "server %s: %s claims to be it: it answers at %s, and stays there "
		         "(%" PRIu64 ")",
		         name, place(&what->to, ports, to), place(&what->from, ports, from), n);
}

/* "10.0.0.9 > 10.0.0.40", or who sent a frame of something else. */
static void print_ends(const struct frame *frame, char *ret, size_t size)
{
	char src[TEXT_ADDRESS_BYTES] = "", dst[TEXT_ADDRESS_BYTES] = "";
	struct packet packet = {0};
	const uint8_t *mac = packet.from.mac.b;

	parse_frame(frame, &packet);
	if (packet.kind != PACKET_OTHER) {
		text_ip(packet.tuple.src, packet.src6, src);
		text_ip(packet.tuple.dst, packet.dst6, dst);
	}
	if (*src)
		snprintf(ret, size, "%s > %s", src, dst);
	else
		snprintf(ret, size, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		         mac[4], mac[5]);
}

void events_filtered(struct events_limit *limit, const struct rules_filter *filter, bool over,
                     const char *port, const struct frame *frame, lb_time now)
{
	char ends[2 * TEXT_ADDRESS_BYTES + sizeof(" > ")];
	struct details details = {.n = 0};
	uint64_t n;

	if (!is_time(limit, now, &n))
		return;
	print_ends(frame, ends, sizeof(ends));
	details_text(&details, "action", rules_filter_action_words[filter->action]);
	details_flag(&details, "over", over);
	details_number(&details, "count", n);
	details_text(&details, "interface", port);
	log_with(LOG_INFO, &details, "filter %s: %s%s (%" PRIu64 "): %s on %s", filter->name,
	         rules_filter_action_words[filter->action], over ? ", above its rate" : "", n, ends,
	         port);
}
