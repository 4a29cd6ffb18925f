/*
 * A line is a word that says what follows:
 *
 *   state FORMAT LAYOUT EPOCH_NS BEGUN_NS   of the flows: TABLE_LAYOUT, and the time of day when
 *                                  tick 0 was; and of the capture's begin
 *   key HEX                        of the hashes
 *   share WORKERS BY_ADDRESS SALT  how flows are shared out among workers (lb/share.h)
 *   mac SIDE HEX                   of a port: 0 or 1, as enum side has it
 *   name HEX                       an IPv6 address that flows name, in order
 *   net SIDE PREFIX HEX            an address of the host's, in modes where it has some
 *   server NAME STATE WEIGHT HEALTH RAMP AGENT... SIDE NEXT HOP
 *   turn WORKER NAME TURN FARM_TURN ADDRESS LAST...    whose turn it was, and how far each pool of
 *                                  the server's SNAT ports had been handed out (lb/snat.h)
 *   flow WORKER FLOW COLD CLIENT6 HOP     their bytes
 *   sticky WORKER SERVER CLIENT UNTIL SURE     a client of persist (bundle_clients.c)
 *   limited WORKER FARM CLIENT ASKED OPENED BLOCKED    one of client_rate and the like
 *   rules TEXT                     a line of the file in force
 *
 * Each worker's part is as it is when its capture begins.
 *
 * What isn't in it, and is as at a start: first fragments that later ones wait for, frames that
 * wait for a server's MAC address, clients who have been here before (lb/strangers.h) and have
 * nothing open, who make a difference in a flood and where a server is full only, the numbers of
 * challenges (lb/challenges.h), so that a RST which answers one is one of no flow, what has been
 * counted of resets and SYNs in the present second, and the averages of scheduler = fastest.
 */
#include "bundle.h"

#include "bundle_clients.h"

#include "../process/clock.h"
#include "../process/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUNDLE_FORMAT = 7, BUNDLE_SPARE = 4096 /* flows that may come until they are copied */ };

/* A flow with all that belongs to it. */
struct bundled {
	struct flow flow;
	struct flow_cold cold;
	struct ip6 client6;
	struct hop hop;
};

struct turn {
	uint64_t server, farm;
	uint32_t address;
};

/* Of a worker. */
struct part {
	struct bundled *flows;
	uint32_t n, room, left; /* left: found no room */
	struct turn *turns;     /* by rules.servers[] */
	uint16_t *last;         /* of their pools, one server's behind another's */
	struct bundle_clients clients;
};

/* Of a server, as the first worker has it. */
struct place {
	enum health_verdict verdict;
	struct agent agent;
	lb_time ramp;
	bool is_known;
	struct hop hop;
};

struct bundle {
	struct place *places; /* by rules.servers[] */
	unsigned n;
	struct part parts[RULES_WORKERS_MAX];
	uint64_t epoch_ns; /* of all workers, who begin together */
};

static bool count(struct worker *worker, void *ctx, lb_time now)
{
	struct bundle *bundle = ctx;
	const struct balance *balance = lb_balance(worker->lb);

	(void)now;
	bundle->parts[worker->share.worker].room =
	        balance_open_flows(balance) + balance_quarantined(balance) + BUNDLE_SPARE;
	bundle_clients_count(&bundle->parts[worker->share.worker].clients, worker);
	return false;
}

static size_t count_pools(const struct rules *rules)
{
	size_t n = 0;

	for (unsigned s = 0; s < rules->nservers; s++)
		n += snat_pools_of(rules, s);
	return n;
}

/* Room whose pages are all there: else the worker, for whom frames wait, would wait for each. (With
 * zeros a compiler makes calloc() of it, which leaves them to him.) NULL if memory runs out. */
static void *room_for(size_t n, size_t bytes)
{
	void *room = malloc(n * bytes);

	return room ? memset(room, 0xff, n * bytes) : NULL;
}

static bool make_part(struct part *part, const struct rules *rules)
{
	part->flows = room_for(part->room, sizeof(*part->flows));
	part->turns = calloc(rules->nservers + 1u, sizeof(*part->turns));
	part->last = room_for(count_pools(rules) + 1u, sizeof(*part->last));
	return bundle_clients_make(&part->clients) && part->flows && part->turns && part->last;
}

static void free_bundle(void *ctx)
{
	bundle_free(ctx);
}

int bundle_new(struct crew *crew, struct bundle **ret)
{
	const struct rules *rules = crew->workers.rules;
	struct bundle *bundle = calloc(1, sizeof(*bundle));
	int err = bundle ? crew_errand(crew, count, bundle) : -ENOMEM;

	if (!err && !(bundle->places = calloc(rules->nservers + 1u, sizeof(*bundle->places))))
		err = -ENOMEM;
	for (unsigned k = 0; !err && k < crew->n; k++) {
		bundle->n++;
		err = make_part(&bundle->parts[k], rules) ? 0 : -ENOMEM;
	}
	if (!err)
		*ret = bundle;
	else
		crew_dispose(crew, bundle, free_bundle);
	return err;
}

void bundle_free(struct bundle *bundle)
{
	for (unsigned k = 0; bundle && k < bundle->n; k++) {
		free(bundle->parts[k].flows);
		free(bundle->parts[k].turns);
		free(bundle->parts[k].last);
		bundle_clients_free(&bundle->parts[k].clients);
	}
	if (bundle)
		free(bundle->places);
	free(bundle);
}

static void keep(struct part *part, const struct flows *flows, uint32_t f)
{
	struct bundled *bundled;

	if (part->n == part->room) {
		part->left++;
		return;
	}
	bundled = &part->flows[part->n++];
	bundled->flow = *flows_at(flows, f);
	bundled->cold = flows->cold[f];
	bundled->client6 = flows->client6 ? flows->client6[f] : (struct ip6){{0}};
	bundled->hop = *flows_client(flows, f);
}

/* Those that stand in queues in the order of these, as they are queued again in a replay. */
static void keep_flows(struct part *part, const struct flows *flows)
{
	for (uint32_t f = 0; f < flows->reached; f++)
		if (flow_is_live(flows_at(flows, f)) && flows_at(flows, f)->state != FLOW_HALF_OPEN)
			keep(part, flows, f);
	for (uint32_t f = flows_first_half_open(flows); f != FLOW_NONE;
	     f = flows_next_half_open(flows, f))
		keep(part, flows, f);
	for (uint32_t f = flows->quarantine.head; f != FLOW_NONE; f = flows_next_resting(flows, f))
		keep(part, flows, f);
}

static void keep_places(struct bundle *bundle, const struct worker *worker)
{
	const struct rules *rules = worker->setup.rules;
	const struct farms *farms = worker->setup.farms;

	bundle->epoch_ns = lb_balance(worker->lb)->epoch.ns;
	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct hop *hop = neigh_known(worker->setup.neigh, s);

		bundle->places[s] = (struct place){
		        .verdict = health_of(&farms->health, s),
		        .agent = farms->health.servers[s].agent,
		        .ramp = farms->health.servers[s].ramp,
		        .is_known = hop,
		};
		if (hop)
			bundle->places[s].hop = *hop;
	}
}

static void keep_turns(struct part *part, const struct worker *worker)
{
	const struct rules *rules = worker->setup.rules;
	const struct sched *sched = &worker->setup.farms->sched;
	const struct snat *snat = &worker->setup.farms->snat;
	uint16_t *last = part->last;

	for (unsigned s = 0; s < rules->nservers; s++) {
		part->turns[s] = (struct turn){.server = sched->servers[s].turn,
		                               .farm = sched->turns[rules->servers[s].farm],
		                               .address = snat->turns[s]};
		for (unsigned i = 0; i < snat_pools_of(rules, s); i++)
			*last++ = snat_last(snat, s, i);
	}
}

void bundle_take(struct bundle *bundle, const struct worker *worker)
{
	const struct balance *balance = lb_balance(worker->lb);
	struct part *part = &bundle->parts[worker->share.worker];

	if (!worker->share.worker)
		keep_places(bundle, worker);
	keep_turns(part, worker);
	bundle_clients_take(&part->clients, worker);
	keep_flows(part, &balance->flows);
}

/* ---- As text ---- */

enum { HEX_BYTES = sizeof(struct flow) };

static_assert(HEX_BYTES >= sizeof(struct flow_cold) && HEX_BYTES >= sizeof(struct hop) &&
                      HEX_BYTES >= sizeof(struct ip6),
              "the longest of them");

/* By hand: a million flows have 130 such bytes each, for which printf() takes too long. */
static void print_hex(FILE *out, const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char text[1 + 2 * HEX_BYTES] = " ", *end = text + 1;
	const uint8_t *at = bytes;

	for (size_t i = 0; i < n && i < HEX_BYTES; i++) {
		*end++ = digits[at[i] >> 4];
		*end++ = digits[at[i] & 15];
	}
	fwrite(text, 1, (size_t)(end - text), out);
}

static void print_line(FILE *out, const char *word, const void *bytes, size_t n)
{
	fprintf(out, "{\"bundle\":\"%s", word);
	print_hex(out, bytes, n);
	fprintf(out, "\"}\n");
}

static void print_head(FILE *out, const struct bundle *bundle, const struct world *world,
                       uint64_t offset)
{
	const struct worker *worker = &world->crew->workers.worker[0];
	const struct rules *rules = world->crew->workers.rules;
	const struct hash_key key = lb_balance(worker->lb)->flows.key;

	fprintf(out, "{\"bundle\":\"state %d %d %" PRIu64 " %" PRIu64 "\"}\n", BUNDLE_FORMAT,
	        TABLE_LAYOUT, bundle->epoch_ns + offset, clock_now().ns + offset);
	fprintf(out, "{\"bundle\":\"key %016" PRIx64 "%016" PRIx64 "\"}\n", key.k[0], key.k[1]);
	fprintf(out, "{\"bundle\":\"share %u %d %" PRIu32 "\"}\n", worker->share.n,
	        worker->share.by_address, worker->share.salt);
	print_line(out, "mac 0", &worker->ports[0]->mac, sizeof(struct mac));
	print_line(out, "mac 1", &worker->ports[1]->mac, sizeof(struct mac));
	for (uint32_t i = 0; i < rules->nnames; i++)
		print_line(out, "name", &rules->names[i], sizeof(rules->names[i]));
	for (unsigned i = 0; i < rules->nets.n; i++) {
		const struct rules_net *net = &rules->nets.all[i];

		fprintf(out, "{\"bundle\":\"net %u %u", net->side, net->prefix);
		print_hex(out, &net->address, sizeof(net->address));
		fprintf(out, "\"}\n");
	}
}

/* Where the host's routes lead to it, which no file says. */
static void print_next(FILE *out, const struct rules *rules, const struct rules_server *rule)
{
	const struct ip6 next =
	        name_is_ipv6(rule->next) ? *rules_ip6(rules, rule->next) : ip6_mapped(rule->next);

	fprintf(out, " %u", rule->side);
	print_hex(out, &next, sizeof(next));
}

static void print_server(FILE *out, const struct rules *rules, const struct rules_server *rule,
                         const struct place *place, uint64_t offset)
{
	const struct agent *agent = &place->agent;

	fprintf(out, "{\"bundle\":\"server %s %s %u %s", rule->name, rules_state_words[rule->state],
	        rule->weight, health_name(place->verdict));
	fprintf(out, " %" PRIu64 " %d %d %u %" PRIu32, place->ramp.ns ? place->ramp.ns + offset : 0,
	        agent->drains, agent->maint, agent->percent, agent->max_connections);
	print_next(out, rules, rule);
	if (place->is_known)
		print_hex(out, &place->hop, sizeof(place->hop));
	else
		fprintf(out, " -");
	fprintf(out, "\"}\n");
}

static void print_turn(FILE *out, const char *server, const struct turn *turn, unsigned worker,
                       const uint16_t *last, unsigned n)
{
	fprintf(out, "{\"bundle\":\"turn %u %s %" PRIu64 " %" PRIu64 " %" PRIu32, worker, server,
	        turn->server, turn->farm, turn->address);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, " %u", last[i]);
	fprintf(out, "\"}\n");
}

static void print_part(FILE *out, const struct rules *rules, const struct part *part,
                       unsigned worker)
{
	const uint16_t *last = part->last;

	for (unsigned s = 0; s < rules->nservers; s++) {
		const unsigned n = snat_pools_of(rules, s);

		if (!rules->servers[s].gone)
			print_turn(out, rules->servers[s].name, &part->turns[s], worker, last, n);
		last += n;
	}
	for (uint32_t i = 0; i < part->n; i++) {
		const struct bundled *bundled = &part->flows[i];

		fprintf(out, "{\"bundle\":\"flow %u", worker);
		print_hex(out, &bundled->flow, sizeof(bundled->flow));
		print_hex(out, &bundled->cold, sizeof(bundled->cold));
		print_hex(out, &bundled->client6, sizeof(bundled->client6));
		print_hex(out, &bundled->hop, sizeof(bundled->hop));
		fprintf(out, "\"}\n");
	}
	if (part->left)
		fprintf(out, "{\"lost\":%" PRIu32 "}\n", part->left);
}

static void print_rules(FILE *out, const struct cfg_text *text)
{
	const char *at = text->bytes, *end = at + text->len;
	char line[1024], escaped[6 * sizeof(line)];

	while (at < end) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));
		const int n = (int)((feed ? feed : end) - at);

		snprintf(line, sizeof(line), "%.*s", n, at);
		fprintf(out, "{\"bundle\":\"rules %s\"}\n",
		        text_json(line, escaped, sizeof(escaped)));
		at += n + 1;
	}
}

char *bundle_text(const struct bundle *bundle, const struct world *world, uint64_t offset)
{
	const struct rules *rules = world->crew->workers.rules;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fprintf(out, "{\"capture\":true}\n");
	print_head(out, bundle, world, offset);
	for (unsigned s = 0; s < rules->nservers; s++)
		if (!rules->servers[s].gone)
			print_server(out, rules, &rules->servers[s], &bundle->places[s], offset);
	for (unsigned k = 0; k < bundle->n; k++)
		print_part(out, rules, &bundle->parts[k], k);
	for (unsigned k = 0; k < bundle->n; k++)
		bundle_clients_print(out, &bundle->parts[k].clients, rules, k, offset);
	print_rules(out, world->text);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
