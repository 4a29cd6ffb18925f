/*
 * Limits for clients.
 *
 * Anybody can send a SYN in anybody's name. So there are two accounts for each client. A SYN that
 * is admitted is paid for from the first one, and when the connection opens, which takes an answer
 * that only who has the address can give, it is paid for from the second one and the first gets its
 * money back. Either has to have enough for a SYN to be admitted, and both fill at client_rate up
 * to client_burst. What follows:
 *
 * - A flood of SYNs in a client's name empties his first account: while it lasts he gets few
 *   connections, as the flood gets no more than client_rate of them. But nothing else comes of it.
 * - He is blocked (block_for) only if a SYN finds his second account empty, when he himself has
 *   opened as many as he may; and a SYN while he is blocked prolongs nothing.
 * - client_connections counts what is open. Who begins many at once may have them all admitted;
 *   what opens beyond the limit is reset at that moment.
 *
 * An account is kept as the time up to which all is paid for, as in refuse.c. It may be overdrawn:
 * SYNs that were admitted before may all open.
 *
 * The table is set-associative as that of persist.c: a client has a few places, and the one who is
 * nearest to nothing makes room for a new one: who is blocked is never given up for somebody who
 * isn't, nor who has used half of what he may, by connections that were open, for any number of
 * SYNs. A flood from all addresses there are has one place of each set, which the latest has. If
 * all places are kept like that, it is the new one who isn't remembered, and not limited.
 */
#include "limits.h"

static_assert(sizeof(struct limits_client) == 32, "two in a cache line");

enum { LIMITS_SETS = LIMITS_CLIENTS / LIMITS_WAYS };

void limits_begin(struct limits *limits, const struct hash_key *key)
{
	*limits = (struct limits){.key = *key};
}

size_t limits_size(void)
{
	return LIMITS_CLIENTS * sizeof(struct limits_client);
}

void limits_use(struct limits *limits, void *mem)
{
	limits->clients = mem;
	memset(limits->clients, 0, limits_size());
	for (unsigned i = 0; i < LIMITS_CLIENTS; i++)
		limits->clients[i].farm = LIMITS_NO_FARM;
}

struct limits_asker limits_asker(const struct rules *rules, unsigned farm, const struct ip6 *ip)
{
	const struct rules_farm *rule = &rules->farms[farm];

	return (struct limits_asker){
	        .rules = rules,
	        .farm = farm,
	        .key = limits_key(name_is_ipv6(rule->vip), ip),
	        .exempt = prefixes_find(&rule->exempt, ip) == PREFIX_EXEMPT,
	};
}

static const struct rules_farm *farm_of(const struct limits_asker *asker)
{
	return &asker->rules->farms[asker->farm];
}

static struct limits_client *set_of(const struct limits *limits, const struct limits_asker *asker)
{
	/* not by the farm's number, which a reload may change */
	const uint64_t words[2] = {asker->key, be32_get(farm_of(asker)->vip)};
	const uint64_t hash = siphash(&limits->key, words, 2);

	return &limits->clients[((hash & 0xffffffff) * LIMITS_SETS >> 32) * LIMITS_WAYS];
}

static struct limits_client *find(const struct limits *limits, const struct limits_asker *asker)
{
	struct limits_client *set = limits->clients ? set_of(limits, asker) : NULL;

	for (unsigned i = 0; set && i < LIMITS_WAYS; i++)
		if (set[i].farm == asker->farm && set[i].key == asker->key)
			return &set[i];
	return NULL;
}

/* What a connection costs in ns, and what an account holds at most. */
static int64_t cost_of(const struct rules_farm *farm)
{
	return (int64_t)(LB_NS_PER_S / farm->client_rate);
}

static int64_t most_of(const struct rules_farm *farm)
{
	return cost_of(farm) * (farm->client_burst ? farm->client_burst : farm->client_rate);
}

/* What the account holds that is paid up to paid_ns, in ns. */
static int64_t held(const struct rules_farm *farm, int64_t paid_ns, lb_time now)
{
	const int64_t ns = (int64_t)now.ns - paid_ns, most = most_of(farm);

	return ns < most ? ns : most;
}

static void pay(const struct rules_farm *farm, int64_t *paid_ns, lb_time now)
{
	*paid_ns = (int64_t)now.ns - held(farm, *paid_ns, now) + cost_of(farm);
}

static uint32_t tenths(lb_time now)
{
	return (uint32_t)(now.ns / LIMITS_TENTH_NS);
}

enum { WHOLE = 1 << 16, BLOCKED = 2 * WHOLE };

/* part / whole, in units of 1 / WHOLE. */
static uint64_t fraction(int64_t part, int64_t whole)
{
	return part >= whole ? WHOLE : (uint64_t)((double)part * WHOLE / (double)whole);
}

/* How near the client is to his limits, by what he has opened: WHOLE is at one of them. */
static uint64_t proven(const struct rules_farm *farm, const struct limits_client *client,
                       lb_time now)
{
	uint64_t connections = 0, rate = 0;

	if (client->blocked_t > tenths(now))
		return BLOCKED;
	if (farm->client_connections)
		connections = fraction(client->open, farm->client_connections);
	if (farm->client_rate)
		rate = fraction(most_of(farm) - held(farm, client->opened_ns, now), most_of(farm));
	return connections > rate ? connections : rate;
}

/* The same, with SYNs counted too, for half. */
static uint64_t badness(const struct rules *rules, const struct limits_client *client, lb_time now)
{
	const struct rules_farm *farm = &rules->farms[client->farm];
	const uint64_t by_opened = 2 * proven(farm, client, now);
	uint64_t by_asked = 0;

	if (farm->client_rate)
		by_asked =
		        fraction(most_of(farm) - held(farm, client->asked_ns, now), most_of(farm));
	return by_opened > by_asked ? by_opened : by_asked;
}

/* If the client stays remembered when somebody new needs a place, who has opened a connection or
 * only sent a SYN. */
static bool is_kept(const struct rules *rules, const struct limits_client *client, bool opened,
                    lb_time now)
{
	const uint64_t its = proven(&rules->farms[client->farm], client, now);

	return its >= (opened ? BLOCKED : WHOLE / 2);
}

/* Takes back what limits_foresee() has led to being noted of the client. */
static void retract(struct limits *limits, uint64_t key)
{
	if (limits->barred)
		barred_retract(limits->barred, key);
}

/* Gives up a place of the set for somebody new. NULL if all are kept. */
static struct limits_client *make_room(struct limits *limits, struct limits_client *set,
                                       const struct rules *rules, bool opened, lb_time now)
{
	struct limits_client *place = NULL;
	uint64_t least = 0, its;

	for (unsigned i = 0; i < LIMITS_WAYS; i++) {
		if (set[i].farm == LIMITS_NO_FARM) {
			limits->counts.clients++;
			return &set[i];
		}
		its = badness(rules, &set[i], now);
		if (!is_kept(rules, &set[i], opened, now) && (!place || its < least)) {
			place = &set[i];
			least = its;
		}
	}
	limits->counts.forgotten += place ? place->open || place->blocked_t > tenths(now) : opened;
	if (place)
		retract(limits, place->key);
	return place;
}

/* Finds the client, or gives him a place; NULL if there is no room for him. */
static struct limits_client *meet(struct limits *limits, const struct limits_asker *asker,
                                  bool opened, lb_time now)
{
	struct limits_client *client = find(limits, asker);
	const struct rules_farm *farm = farm_of(asker);
	const int64_t full = farm->client_rate ? (int64_t)now.ns - most_of(farm) : 0;

	if (client || !limits->clients)
		return client;
	client = make_room(limits, set_of(limits, asker), asker->rules, opened, now);
	if (!client)
		return NULL;
	*client = (struct limits_client){.key = asker->key,
	                                 .farm = (uint16_t)asker->farm,
	                                 .asked_ns = full,
	                                 .opened_ns = full};
	return client;
}

static bool is_listed_out(const struct rules_farm *farm, const struct ip6 *ip)
{
	const enum prefix_word word = prefixes_find(&farm->access, ip);

	return word == PREFIX_DENY || (word == PREFIX_NONE && farm->allows_only);
}

static void block(struct limits *limits, struct limits_client *client,
                  const struct rules_farm *farm, lb_time now)
{
	const lb_time until = {now.ns + farm->block_for_ms * LB_NS_PER_MS + LIMITS_TENTH_NS - 1};

	client->blocked_t = tenths(until);
	limits->counts.blocks++;
}

/* Judges a SYN of a client who is remembered: WHY_FLOW_NEW, or what refuses it. */
static enum lb_why judge_client(struct limits *limits, struct limits_client *client,
                                const struct rules_farm *farm, lb_time now)
{
	if (farm->block_for_ms && client->blocked_t > tenths(now))
		return WHY_CLIENT_BLOCKED;
	if (farm->client_connections && client->open >= farm->client_connections)
		return WHY_CLIENT_CONNECTIONS;
	if (!farm->client_rate)
		return WHY_FLOW_NEW;
	if (held(farm, client->opened_ns, now) < cost_of(farm)) {
		if (farm->block_for_ms)
			block(limits, client, farm, now);
		return WHY_CLIENT_RATE;
	}
	return held(farm, client->asked_ns, now) < cost_of(farm) ? WHY_CLIENT_RATE : WHY_FLOW_NEW;
}

enum lb_why limits_judge(struct limits *limits, const struct limits_asker *asker,
                         const struct ip6 *ip, lb_time now)
{
	const struct rules_farm *farm = farm_of(asker);
	struct limits_client *client;
	enum lb_why why = WHY_FLOW_NEW;

	if (is_listed_out(farm, ip)) {
		limits->counts.denied++;
		return WHY_CLIENT_DENIED;
	}
	if (asker->exempt || !(farm->client_connections || farm->client_rate))
		return why;
	client = find(limits, asker);
	if (client)
		why = judge_client(limits, client, farm, now);
	limits->counts.blocked += why == WHY_CLIENT_BLOCKED;
	limits->counts.connections += why == WHY_CLIENT_CONNECTIONS;
	limits->counts.rate += why == WHY_CLIENT_RATE;
	return why;
}

enum lb_why limits_foresee(const struct limits *limits, const struct limits_asker *asker,
                           const struct ip6 *ip, lb_time now, lb_time *ret_until)
{
	const struct rules_farm *farm = farm_of(asker);
	const struct limits_client *client = find(limits, asker);
	int64_t paid_ns;

	ret_until->ns = UINT64_MAX;
	if (is_listed_out(farm, ip))
		return WHY_CLIENT_DENIED;
	if (farm->block_for_ms && client->blocked_t > tenths(now)) {
		ret_until->ns = client->blocked_t * LIMITS_TENTH_NS;
		return WHY_CLIENT_BLOCKED;
	}
	if (farm->client_connections && client->open >= farm->client_connections)
		return WHY_CLIENT_CONNECTIONS;
	paid_ns = client->opened_ns > client->asked_ns ? client->opened_ns : client->asked_ns;
	ret_until->ns = (uint64_t)(paid_ns + cost_of(farm));
	return WHY_CLIENT_RATE;
}

void limits_begun(struct limits *limits, const struct limits_asker *asker, lb_time now)
{
	struct limits_client *client;

	if (!farm_of(asker)->client_rate || asker->exempt)
		return;
	client = meet(limits, asker, false, now);
	if (client)
		pay(farm_of(asker), &client->asked_ns, now);
}

bool limits_opened(struct limits *limits, const struct limits_asker *asker, lb_time now)
{
	const struct rules_farm *farm = farm_of(asker);
	struct limits_client *client;

	if (asker->exempt || !(farm->client_connections || farm->client_rate))
		return true;
	client = meet(limits, asker, true, now);
	if (!client)
		return true;
	retract(limits, asker->key);
	if (farm->client_rate) {
		client->asked_ns -= cost_of(farm);
		pay(farm, &client->opened_ns, now);
	}
	if (!farm->client_connections)
		return true;
	if (client->open < UINT16_MAX)
		client->open++;
	limits->counts.over += client->open > farm->client_connections;
	return client->open <= farm->client_connections;
}

void limits_closed(struct limits *limits, const struct limits_asker *asker)
{
	struct limits_client *client =
	        farm_of(asker)->client_connections && !asker->exempt ? find(limits, asker) : NULL;

	if (!client || !client->open)
		return;
	client->open--;
	retract(limits, asker->key);
}

void limits_revived(struct limits *limits, const struct limits_asker *asker, lb_time now)
{
	struct limits_client *client;

	if (!farm_of(asker)->client_connections || asker->exempt)
		return;
	client = meet(limits, asker, true, now);
	if (client && client->open < UINT16_MAX)
		client->open++;
}

void limits_doom(struct limits *limits, uint32_t flow, uint64_t created_ms)
{
	if (limits->nresets < LIMITS_OVER)
		limits->resets[limits->nresets++] = (struct limits_reset){flow, created_ms};
}

/* Frees the place at i of a set if one before has the same client: of two farms that are one now.
 * What is worse of the two accounts, and of the two blocks, counts. */
static void merge(struct limits *limits, struct limits_client *set, unsigned i)
{
	struct limits_client *client = &set[i];

	for (unsigned k = 0; k < i && client->farm != LIMITS_NO_FARM; k++) {
		if (set[k].farm != client->farm || set[k].key != client->key)
			continue;
		if (client->asked_ns > set[k].asked_ns)
			set[k].asked_ns = client->asked_ns;
		if (client->opened_ns > set[k].opened_ns)
			set[k].opened_ns = client->opened_ns;
		if (client->blocked_t > set[k].blocked_t)
			set[k].blocked_t = client->blocked_t;
		client->farm = LIMITS_NO_FARM;
		limits->counts.clients--;
	}
}

void limits_renumber(struct limits *limits, const uint16_t *map, unsigned nfarms)
{
	for (unsigned i = 0; limits->counts.clients && i < LIMITS_CLIENTS; i++) {
		struct limits_client *client = &limits->clients[i];

		if (client->farm == LIMITS_NO_FARM)
			continue;
		client->farm = client->farm < nfarms ? map[client->farm] : LIMITS_NO_FARM;
		client->open = 0;
		limits->counts.clients -= client->farm == LIMITS_NO_FARM;
		merge(limits, client - i % LIMITS_WAYS, i % LIMITS_WAYS);
	}
}

void limits_recall(struct limits *limits, const struct limits_asker *asker, int64_t asked_ns,
                   int64_t opened_ns, lb_time blocked, lb_time now)
{
	struct limits_client *client = meet(limits, asker, true, now);

	if (!client)
		return;
	client->asked_ns = asked_ns;
	client->opened_ns = opened_ns;
	client->blocked_t = tenths(blocked);
}
