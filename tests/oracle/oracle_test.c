/*
 * The engine against the model, over random events.
 *
 * ORACLE_SEED and ORACLE_EVENTS in the environment say which and how many; a mismatch says with
 * which it happens again.
 */
#include "counted.h"
#include "hosts.h"

#include "../unit/random.h"
#include "../unit/suites.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__has_feature)
enum { EVENTS = 100000 };
#else
enum { EVENTS = 1000000 };
#endif

enum { BURST = 32, WORLD_EVENTS = 10000, RECORDS = 1024 };

static struct world world;
static struct hosts hosts;
static struct made mades[BURST];
static struct ended records[RECORDS];

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void expect_records(void)
{
	struct statistics statistics;
	unsigned n = 0;

	while (n < RECORDS && lb_take_ended(world.lb, &records[n]))
		n++;
	statistics_read(world.lb, &statistics);
	model_expect(&world.model, records, n, &statistics);
}

static void compare(void)
{
	struct statistics statistics;

	statistics_read(world.lb, &statistics);
	model_compare(&world.model, &statistics);
}

static unsigned run_burst(void)
{
	const unsigned most = 1 + random_below(random_below(2) ? 4 : BURST);
	unsigned n = 0;
	struct frame frames[BURST];
	struct verdict verdicts[BURST];
	bool last = false;

	while (n < most && !last) {
		hosts_make(&hosts, &mades[n]);
		frames[n] = mades[n].frame;
		last = model_wants_last(&world.model, &mades[n++].frame);
	}
	lb_input(world.lb, frames, n, world.now, verdicts);
	expect_records();
	for (unsigned i = 0; i < n; i++) {
		report_event();
		model_frame(&world.model, &mades[i].before, &frames[i], &verdicts[i], world.now);
	}
	compare();
	for (unsigned i = 0; i < n; i++)
		hosts_deliver(&hosts, &mades[i], &verdicts[i]);
	return n;
}

static uint64_t random_ms(void)
{
	switch (random_below(400)) {
	case 0:
		return 1000 * (60 + random_below(140));
	case 1 ... 10:
		return 1000 * random_below(40);
	case 11 ... 50:
		return random_below(2000);
	case 51:
		return random_below(20) ? 0 : 1860000;
	default:
		return random_below(20);
	}
}

static void pass_time(void)
{
	uint64_t ms = random_ms();

	world.now.ns += ms * LB_NS_PER_MS + random_below(1000000);
	report_note("ms passed", ms, world.now);
	world_poll(&world);
	expect_records();
	model_poll(&world.model, world.owns, world.nowns, world.now);
	compare();
}

static void probe(unsigned server, unsigned check, bool ok)
{
	bool changed = lb_probed(world.lb, server, check, ok, world.now);
	report_note(ok ? "probe succeeded of server" : "probe failed of server", server, world.now);
	model_probed(&world.model, server, check, ok, changed,
	             health_of(&lb_balance(world.lb)->farms->health, server), world.now);
	compare();
}

static const struct rules_farm *farm_of(unsigned server)
{
	return &world.rules->farms[world.rules->servers[server].farm];
}

static void probe_any(void)
{
	unsigned server = random_below(world.rules->nservers);

	if (farm_of(server)->nchecks)
		probe(server, random_below(farm_of(server)->nchecks), random_below(4));
}

static void probe_all(void)
{
	for (unsigned s = 0; s < world.rules->nservers; s++)
		for (unsigned c = 0; c < farm_of(s)->nchecks; c++)
			probe(s, c, random_below(10));
}

static void run_world(uint64_t events)
{
	world_begin(&world);
	hosts_begin(&hosts, &world);
	probe_all();
	for (uint64_t done = 0; done < events;) {
		done += run_burst();
		if (random_below(2) && !hosts_hurry(&hosts))
			pass_time();
		if (random_below(8) == 0)
			probe_any();
		if (random_below(300) == 0 && !hosts_hurry(&hosts)) {
			report_note("reload", 0, world.now);
			world_reload(&world);
			compare();
		}
	}
	world_end(&world);
}

START_TEST(engine_does_as_the_model)
{
	uint64_t seed = from_environment("ORACLE_SEED", random_seed());
	uint64_t events = from_environment("ORACLE_EVENTS", EVENTS);

	/* each world has a seed of its own, so that a mismatch needs no more than it */
	for (uint64_t done = 0; done < events; done += WORLD_EVENTS, seed++) {
		uint64_t n = events - done < WORLD_EVENTS ? events - done : WORLD_EVENTS;

		random_restart(seed);
		report_begin(seed, n, done == 0);
		run_world(n);
	}
	ck_assert_msg(!counted_forgotten(), "counter %s: see counted.c", counted_forgotten());
}
END_TEST

Suite *oracle_suite(void)
{
	const TTest *const tests[] = {engine_does_as_the_model, NULL};

	return suite_of("oracle", tests);
}
