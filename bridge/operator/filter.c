/*
 * An expression is terms that are joined by "and", each a word or two, perhaps behind "not". What a
 * shell would take for its own has a word: "over" is ">", "under" is "<".
 *
 * Names are resolved once, so that looking at a flow compares numbers.
 */
#include "filter.h"

#include "../process/quantity.h"
#include "../process/text.h"
#include "../../cfg/nearest.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *word;
	enum filter_key key;
} keys[] = {
        {"client", FILTER_CLIENT}, {"vip", FILTER_VIP},       {"snat", FILTER_SNAT},
        {"to", FILTER_TO},         {"server", FILTER_SERVER}, {"farm", FILTER_FARM},
        {"state", FILTER_STATE},   {"age", FILTER_AGE},       {"idle", FILTER_IDLE},
        {"bytes", FILTER_BYTES},
};

enum { NKEYS = sizeof(keys) / sizeof(keys[0]), KEY_WORD_BYTES = 16 /* with what stands between */ };

static const char *const state_names[] = {
        [FLOW_FREE] = "free",       [FLOW_HALF_OPEN] = "half_open", [FLOW_OPEN] = "open",
        [FLOW_CLOSING] = "closing", [FLOW_RESET] = "reset",         [FLOW_QUARANTINE] = "resting",
};

enum { ENDED_STATES = 1 << FLOW_RESET | 1 << FLOW_QUARANTINE };

const char *flow_state_name(enum flow_state state)
{
	return state_names[state];
}

/* ---- Parsing ---- */

static bool refuse(struct filter_why *why, const char *nearest, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static bool refuse(struct filter_why *why, const char *nearest, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	why->nearest = nearest;
	return false;
}

/* "10.0.0.1", "fd00::1", with "/24" behind it if slash isn't NULL. */
static bool read_ip(const char *text, const char *slash, struct filter_term *ret)
{
	struct in_addr ip4;
	struct in6_addr ip6;
	unsigned long bits;

	if (inet_pton(AF_INET, text, &ip4) == 1) {
		memset(&ret->address, 0, sizeof(ret->address));
		memset((uint8_t *)&ret->address + 10, 0xff, 2);
		memcpy((uint8_t *)&ret->address + 12, &ip4, 4);
		bits = 32;
		if (slash && !text_number(slash, 32, &bits))
			return false;
		ret->prefix = (uint8_t)(96 + bits);
		return true;
	}
	if (inet_pton(AF_INET6, text, &ip6) != 1)
		return false;
	memcpy(&ret->address, &ip6, sizeof(ret->address));
	bits = 128;
	if (slash && !text_number(slash, 128, &bits))
		return false;
	ret->prefix = (uint8_t)bits;
	return true;
}

bool filter_place(const char *word, struct filter_term *ret)
{
	char text[80];
	char *slash, *colon, *from = text;
	unsigned long port = 0;

	if (snprintf(text, sizeof(text), "%s", word) >= (int)sizeof(text))
		return false;
	slash = strchr(text, '/');
	if (slash)
		*slash++ = 0;
	colon = strrchr(text, ':');
	if (text[0] == '[') {
		char *bracket = strchr(text, ']');

		if (!bracket || (bracket[1] && bracket[1] != ':'))
			return false;
		colon = bracket[1] ? bracket + 1 : NULL;
		*bracket = 0;
		from = text + 1;
	} else if (colon && strchr(text, ':') != colon) {
		colon = NULL; /* IPv6 */
	}
	if (colon) {
		*colon = 0;
		if (!text_number(colon + 1, UINT16_MAX, &port) || !port)
			return false;
	}
	ret->port = (uint16_t)port;
	ret->prefix = 0;
	if (colon == text && !slash)
		return true; /* any address: no bits of it */
	return read_ip(from, slash, ret);
}

static bool parse_name(const struct rules *rules, const char *word, struct filter_term *ret,
                       struct filter_why *why)
{
	const bool server = ret->key == FILTER_SERVER;
	const unsigned n = server ? rules->nservers : rules->nfarms;
	struct nearest nearest = {.word = word};

	for (unsigned i = 0; i < n; i++) {
		const char *name = server ? rules->servers[i].name : rules->farms[i].name;

		nearest_offer(&nearest, name);
		if (strcmp(word, name))
			continue;
		ret->index = (uint16_t)i;
		return true;
	}
	why->no_such_object = true;
	return refuse(why, nearest_best(&nearest), "%s: no such %s", word,
	              server ? "server" : "farm");
}

static bool parse_state(const char *word, struct filter_term *ret, struct filter_why *why)
{
	struct nearest nearest = {.word = word};

	if (!strcmp(word, "any")) {
		ret->states = UINT16_MAX;
		return true;
	}
	for (unsigned i = FLOW_HALF_OPEN; i <= FLOW_QUARANTINE; i++) {
		nearest_offer(&nearest, state_names[i]);
		if (strcmp(word, state_names[i]))
			continue;
		/* resting are all that have ended: as many as status says */
		ret->states = i == FLOW_QUARANTINE ? ENDED_STATES : (uint16_t)(1 << i);
		return true;
	}
	return refuse(why, nearest_best(&nearest), "%s: no such state", word);
}

/* 1500, 10k, 2M, 1G, 1T: in the units of tables, whole numbers */
static bool parse_bytes(const char *word, uint64_t *ret)
{
	static const char units[] = "kMGT";
	const size_t len = strlen(word), digits = strspn(word, "0123456789");
	const char *unit = digits + 1 == len ? strchr(units, word[digits]) : NULL;
	char number[24];
	unsigned long n;
	uint64_t factor = 1;

	if (digits >= sizeof(number) || (digits != len && !unit))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)digits, word);
	for (const char *c = units; unit && c <= unit; c++)
		factor *= 1000;
	if (!text_number(number, UINT64_MAX / factor, &n))
		return false;
	*ret = n * factor;
	return true;
}

static bool parse_measure(const char *word, struct filter_term *ret, struct filter_why *why)
{
	char of[QUANTITY_WHY_BYTES];

	if (ret->key == FILTER_BYTES)
		return parse_bytes(word, &ret->number) ||
		       refuse(why, NULL, "%s: neither a number nor one with k, M, G or T", word);
	return quantity_parse(ret->key == FILTER_AGE ? QUANTITY_AGE : QUANTITY_IDLE, word,
	                      &ret->number, of) ||
	       refuse(why, NULL, "%s", of);
}

static bool parse_key(const char *word, enum filter_key *ret)
{
	for (unsigned i = 0; i < NKEYS; i++)
		if (!strcmp(word, keys[i].word)) {
			*ret = keys[i].key;
			return true;
		}
	return false;
}

/* What stands behind a key. */
static bool parse_value(const struct rules *rules, const char *word, struct filter_term *ret,
                        struct filter_why *why)
{
	switch (ret->key) {
	case FILTER_SERVER:
	case FILTER_FARM:
		return parse_name(rules, word, ret, why);
	case FILTER_STATE:
		return parse_state(word, ret, why);
	case FILTER_AGE:
	case FILTER_IDLE:
	case FILTER_BYTES:
		return parse_measure(word, ret, why);
	default:
		return filter_place(word, ret) ||
		       refuse(why, NULL, "%s: not an address, nor ADDRESS:PORT", word);
	}
}

static bool parse_comparison(const char *word, struct filter_term *ret)
{
	ret->over = !strcmp(word, "over") || !strcmp(word, ">");
	return ret->over || !strcmp(word, "under") || !strcmp(word, "<");
}

static bool refuse_key(const char *word, struct filter_why *why)
{
	struct nearest nearest = {.word = word};
	char words[NKEYS * KEY_WORD_BYTES];
	size_t len = 0;

	for (unsigned i = 0; i < NKEYS; i++) {
		nearest_offer(&nearest, keys[i].word);
		len += (size_t)snprintf(words + len, sizeof(words) - len, "%s%s", i ? ", " : "",
		                        keys[i].word);
	}
	return refuse(why, nearest_best(&nearest), "%.40s: neither an address nor one of %s", word,
	              words);
}

/* The term that begins at word *i, which is moved behind it. */
static bool parse_term(const struct request *request, const struct rules *rules, unsigned *i,
                       struct filter_term *ret, struct filter_why *why)
{
	char *const *words = request->words; /* NULL behind the last */

	*ret = (struct filter_term){.key = FILTER_ANY};
	if (words[*i] && !strcmp(words[*i], "not")) {
		ret->negated = true;
		(*i)++;
	}
	if (!words[*i])
		return refuse(why, NULL, "something is missing at the end");
	if (!parse_key(words[*i], &ret->key))
		return filter_place(words[(*i)++], ret) || refuse_key(words[*i - 1], why);
	(*i)++;
	if (ret->key >= FILTER_AGE && words[*i] && !parse_comparison(words[(*i)++], ret))
		return refuse(why, NULL, "%s: over or under is missing", words[*i - 1]);
	if (!words[*i])
		return refuse(why, NULL, "%s: something is missing behind it", words[*i - 1]);
	return parse_value(rules, words[(*i)++], ret, why);
}

bool filter_parse(const struct request *request, const struct rules *rules, struct filter *ret,
                  struct filter_why *ret_why)
{
	unsigned i = 0;

	*ret = (struct filter){.n = 0};
	*ret_why = (struct filter_why){.nearest = NULL};
	while (i < request->n) {
		struct filter_term *term = &ret->terms[ret->n];

		if (ret->n == FILTER_TERMS)
			return refuse(ret_why, NULL, "more than %d terms", FILTER_TERMS);
		if (!parse_term(request, rules, &i, term, ret_why))
			return false;
		ret->resting |= !term->negated && term->states & ENDED_STATES;
		ret->n++;
		if (i < request->n && strcmp(request->words[i], "and"))
			return refuse(ret_why, NULL, "%s: terms are joined by and",
			              request->words[i]);
		if (i < request->n && ++i == request->n)
			return refuse(ret_why, NULL, "something is missing behind and");
	}
	return true;
}

bool filter_who(const char *place, const char *server, const struct rules *rules,
                struct filter *ret, struct filter_why *ret_why)
{
	struct filter_term *where = &ret->terms[0], *whose = &ret->terms[1];

	*ret = (struct filter){.n = server ? 2 : 1, .resting = true};
	*ret_why = (struct filter_why){.nearest = NULL};
	where->key = FILTER_ANY;
	whose->key = FILTER_SERVER;
	if (!filter_place(place, where))
		return refuse(ret_why, NULL, "%s: not an address, nor ADDRESS:PORT", place);
	return !server || parse_name(rules, server, whose, ret_why);
}

/* ---- Looking ---- */

static struct ip6 whole_address(const struct balance *balance, uint32_t flow, be32 ip)
{
	if (!name_is_ipv6(balance->flows.flow[flow].arrive[CLIENT].dst))
		return ip6_mapped(ip);
	return name_is_hashed(ip) ? balance_client(balance, flow)
	                          : *rules_ip6(balance->farms->rules, ip);
}

static uint64_t age_ms(const struct balance *balance, uint32_t f, lb_time now)
{
	const uint64_t ms = balance_ms(balance, now), made = flows_created_ms(&balance->flows, f);

	return ms > made ? ms - made : 0;
}

static uint64_t idle_ms(const struct balance *balance, uint32_t f, lb_time now)
{
	const uint32_t tick = balance_tick(balance, now);
	const uint32_t last = flow_last(flows_at(&balance->flows, f));

	return tick > last ? (uint64_t)(tick - last) * FLOW_MS_PER_TICK : 0;
}

void flow_view(const struct balance *balance, uint32_t f, lb_time now, struct flow_view *ret)
{
	const struct flows *flows = &balance->flows;
	const struct flow *flow = flows_at(flows, f);
	const struct tuple *client = &flow->arrive[CLIENT], *server = &flow->arrive[SERVER];

	*ret = (struct flow_view){
	        .addresses = {[VIEW_CLIENT] = whole_address(balance, f, client->src),
	                      [VIEW_VIP] = whole_address(balance, f, client->dst),
	                      [VIEW_SNAT] = whole_address(balance, f, server->dst),
	                      [VIEW_TO] = whole_address(balance, f, server->src)},
	        .ports = {[VIEW_CLIENT] = client->sport,
	                  [VIEW_VIP] = client->dport,
	                  [VIEW_SNAT] = server->dport,
	                  [VIEW_TO] = server->sport},
	        .server = flow->server,
	        .state = flow->state,
	        .is_ipv6 = flow_is_ipv6(flow),
	        .side = flows_client(flows, f)->side,
	        .age_ms = age_ms(balance, f, now),
	        .idle_ms = idle_ms(balance, f, now),
	        .bytes = {flows_bytes(flows, f, CLIENT), flows_bytes(flows, f, SERVER)},
	        .packets = {flows_packets(flows, f, CLIENT), flows_packets(flows, f, SERVER)},
	};
}

uint64_t flow_number(const struct balance *balance, uint32_t f, enum flow_number number,
                     lb_time now)
{
	const struct flows *flows = &balance->flows;

	switch (number) {
	case NUMBER_AGE:
		return age_ms(balance, f, now);
	case NUMBER_IDLE:
		return idle_ms(balance, f, now);
	case NUMBER_CLIENT_BYTES:
		return flows_bytes(flows, f, CLIENT);
	case NUMBER_SERVER_BYTES:
		return flows_bytes(flows, f, SERVER);
	case NUMBER_CLIENT_PACKETS:
		return flows_packets(flows, f, CLIENT);
	default:
		return flows_packets(flows, f, SERVER);
	}
}

bool flow_number_named(const char *name, enum flow_number *ret)
{
	static const char *const names[] = {
	        [NUMBER_AGE] = "age_ms",
	        [NUMBER_IDLE] = "idle_ms",
	        [NUMBER_CLIENT_BYTES] = "client_bytes",
	        [NUMBER_SERVER_BYTES] = "server_bytes",
	        [NUMBER_CLIENT_PACKETS] = "client_packets",
	        [NUMBER_SERVER_PACKETS] = "server_packets",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i])) {
			*ret = (enum flow_number)i;
			return true;
		}
	return false;
}

static bool is_within(const struct ip6 *address, const struct filter_term *term)
{
	const uint8_t *a = (const uint8_t *)address, *b = (const uint8_t *)&term->address;
	const unsigned whole = term->prefix / 8, rest = term->prefix % 8;

	return !memcmp(a, b, whole) &&
	       (!rest || !((a[whole] ^ b[whole]) & (uint8_t)(0xff00 >> rest)));
}

bool filter_is_place(const struct filter_term *term, const struct ip6 *address, unsigned port)
{
	return (!term->port || term->port == port) && is_within(address, term);
}

static bool is_at(const struct flow_view *view, const struct filter_term *term, unsigned i)
{
	return filter_is_place(term, &view->addresses[i], be16_get(view->ports[i]));
}

static bool is_anywhere(const struct flow_view *view, const struct filter_term *term)
{
	return is_at(view, term, VIEW_CLIENT) || is_at(view, term, VIEW_VIP) ||
	       is_at(view, term, VIEW_SNAT) || is_at(view, term, VIEW_TO);
}

static bool compares(const struct filter_term *term, uint64_t number)
{
	return term->over ? number > term->number : number < term->number;
}

static bool holds(const struct filter_term *term, const struct rules *rules,
                  const struct flow_view *view)
{
	switch (term->key) {
	case FILTER_CLIENT:
		return is_at(view, term, VIEW_CLIENT);
	case FILTER_VIP:
		return is_at(view, term, VIEW_VIP);
	case FILTER_SNAT:
		return is_at(view, term, VIEW_SNAT);
	case FILTER_TO:
		return is_at(view, term, VIEW_TO);
	case FILTER_SERVER:
		return view->server == term->index;
	case FILTER_FARM:
		return rules->servers[view->server].farm == term->index;
	case FILTER_STATE:
		return term->states >> view->state & 1;
	case FILTER_AGE:
		return compares(term, view->age_ms);
	case FILTER_IDLE:
		return compares(term, view->idle_ms);
	case FILTER_BYTES:
		return compares(term, view->bytes[CLIENT] + view->bytes[SERVER]);
	default:
		return is_anywhere(view, term);
	}
}

bool filter_matches(const struct filter *filter, const struct rules *rules,
                    const struct flow_view *view)
{
	if (!filter->resting && ENDED_STATES >> view->state & 1)
		return false;
	for (unsigned i = 0; i < filter->n; i++)
		if (holds(&filter->terms[i], rules, view) == filter->terms[i].negated)
			return false;
	return true;
}
