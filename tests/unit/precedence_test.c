/*
 * What counts of a server when several speak of it: all that an operator, its agent, its checks and
 * the rules may say, in any order, beside the sentences of bridge/OPERATING.md.
 */
#include "fixture.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

enum { CASES_OF_FORCED = 3, ORDERS = 6, ASKED = 3 };

static const char *const agents[] = {"",   "up ready", "down",    "drain",      "maint",
                                     "0%", "50%",      "down 0%", "down drain", "stopped maint"};
enum { AGENTS = sizeof(agents) / sizeof(agents[0]) };

/* A probe's result that has come, or none yet. */
static const enum health_verdict probed[] = {HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN};

static const struct {
	enum rules_state state;
	uint8_t weight;
} ruled[] = {{STATE_ACTIVE, 1}, {STATE_STANDBY, 1},  {STATE_LAST_RESORT, 1},
             {STATE_DRAIN, 1},  {STATE_DISABLED, 1}, {STATE_ACTIVE, 0}};
enum { RULED = sizeof(ruled) / sizeof(ruled[0]) };

struct said {
	enum health_verdict forced, checks;
	unsigned agent, ruled;
};

static struct engine engine;

static struct rules *rules_of(unsigned how)
{
	struct rules *rules = fixture_rules(1);
	struct rules_farm *farm = &rules->farms[0];

	rules->max_connections = 16; /* quick to lay out */
	farm->checks = calloc(1, sizeof(*farm->checks));
	farm->checks[0] = farm->ports[0];
	farm->nchecks = 1;
	farm->fall = farm->rise = 1;
	farm->agent = be16_from(9999);
	rules->servers[0].state = ruled[how].state;
	rules->servers[0].weight = ruled[how].weight;
	return rules;
}

static void say_as_agent(unsigned which)
{
	struct agent agent = agent_silent();

	agent_take(&agent, (const uint8_t *)agents[which], (unsigned)strlen(agents[which]));
	lb_agent(engine.lb, 0, &agent, engine.now);
}

/* One of the three who speak says what he has to. */
static void speak(unsigned who, const struct said *said)
{
	if (who == 0 && said->forced != HEALTH_UNKNOWN)
		lb_force_health(engine.lb, 0, said->forced, engine.now);
	if (who == 1)
		say_as_agent(said->agent);
	if (who == 2 && said->checks != HEALTH_UNKNOWN)
		lb_probed(engine.lb, 0, 0, said->checks == HEALTH_UP, engine.now);
}

/* An operator's word is the first, then an agent that says down, then checks. */
static enum health_verdict health_wanted(const struct said *said)
{
	if (said->forced != HEALTH_UNKNOWN)
		return said->forced;
	if (strstr(agents[said->agent], "down") || strstr(agents[said->agent], "stopped"))
		return HEALTH_DOWN;
	return said->checks;
}

/* What an agent or the rules say against new connections counts whatever the health. */
static bool is_wanted(const struct said *said)
{
	static const char *const against[] = {"drain", "maint", " 0%"};
	char words[32] = " ";

	strcat(words, agents[said->agent]);
	for (unsigned i = 0; i < sizeof(against) / sizeof(against[0]); i++)
		if (strstr(words, against[i]))
			return false;
	return health_wanted(said) == HEALTH_UP && ruled[said->ruled].weight &&
	       ruled[said->ruled].state != STATE_DRAIN &&
	       ruled[said->ruled].state != STATE_DISABLED;
}

static void expect(const struct said *said, const char *when)
{
	const struct farms *farms = engine.farms_mem;
	const enum health_verdict is = health_of(&farms->health, 0);
	static uint16_t port = 1024;
	struct verdict verdict;
	struct talk talk;

	port = port == UINT16_MAX ? 1024 : (uint16_t)(port + 1);
	verdict = talk_syn(&talk, &engine, fixture_client(1), port, 443);
	if (is != health_wanted(said) || (verdict.why == WHY_FLOW_NEW) != is_wanted(said))
		ck_abort_msg("%s: forced %s, agent '%s', checks %s, state %u weight %u: is %s, a "
		             "SYN got reason %u",
		             when, health_name(said->forced), agents[said->agent],
		             health_name(said->checks), ruled[said->ruled].state,
		             ruled[said->ruled].weight, health_name(is), verdict.why);
}

static void try_later(const struct said *said)
{
	struct said later = *said;

	engine_reload(&engine, rules_of(said->ruled));
	expect(&later, "after a reload");
	later.forced = HEALTH_UNKNOWN;
	lb_force_health(engine.lb, 0, HEALTH_UNKNOWN, engine.now);
	expect(&later, "when the operator's word is over");
}

static void try_one(const struct said *said, unsigned order)
{
	static const uint8_t orders[ORDERS][ASKED] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
	                                              {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	engine_start(&engine, rules_of(said->ruled));
	for (unsigned i = 0; i < ASKED; i++)
		speak(orders[order][i], said);
	expect(said, "at once");
	if (order == 0)
		try_later(said);
	engine_stop(&engine);
}

START_TEST(whoever_speaks_in_any_order)
{
	struct said said;

	for (unsigned i = 0; i < CASES_OF_FORCED * AGENTS * 3 * RULED; i++) {
		said.forced = (enum health_verdict)(i % CASES_OF_FORCED);
		said.agent = i / CASES_OF_FORCED % AGENTS;
		said.checks = probed[i / CASES_OF_FORCED / AGENTS % 3];
		said.ruled = i / CASES_OF_FORCED / AGENTS / 3;
		for (unsigned order = 0; order < ORDERS; order++)
			try_one(&said, order);
	}
}
END_TEST

/* What an operator changes lies over the file's state: to the engine they are one, by a reload. */
START_TEST(a_state_that_is_changed_over_what_is_said)
{
	for (unsigned from = 0; from < RULED; from++)
		for (unsigned to = 0; to < RULED; to++)
			for (unsigned forced = 0; forced < CASES_OF_FORCED; forced++) {
				struct said said = {.forced = (enum health_verdict)forced,
				                    .checks = HEALTH_UP,
				                    .ruled = to};

				engine_start(&engine, rules_of(from));
				for (unsigned who = 0; who < ASKED; who++)
					speak(who, &said);
				engine_reload(&engine, rules_of(to));
				if ((ruled[from].state == STATE_DISABLED) !=
				    (ruled[to].state == STATE_DISABLED)) /* probes begin anew */
					said.checks = HEALTH_UNKNOWN;
				expect(&said, "after a change");
				engine_stop(&engine);
			}
}
END_TEST

Suite *precedence_suite(void)
{
	const TTest *const tests[] = {
	        whoever_speaks_in_any_order,
	        a_state_that_is_changed_over_what_is_said,
	        NULL,
	};

	return suite_of("precedence", tests);
}
