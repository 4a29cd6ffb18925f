/*
 * link_mirror: the decision for each pair of states, and what becomes of a cable by it.
 */
#include "random.h"
#include "suites.h"

#include "../../bridge/cable/mirror.h"
#include "../../lb/frame.h"

/* ---- the decision ---- */

#define UP         .state = LINK_UP
#define NO_CARRIER .state = LINK_NO_CARRIER
#define DOWN       .state = LINK_DOWN
#define GONE       .state = LINK_GONE
#define HELD       .held = true
#define RISING     .rising = true

static const struct {
	struct mirror_side self, other;
	enum mirror_act act;
} decisions[] = {
        /* alive: taken down with the other one, whatever that died of */
        {{UP}, {UP}, MIRROR_LEAVE},
        {{UP}, {NO_CARRIER}, MIRROR_HOLD},
        {{UP}, {DOWN}, MIRROR_HOLD},
        {{UP}, {GONE}, MIRROR_HOLD},
        /* but not if the other one is down because it is held, or may have its carrier soon */
        {{UP}, {DOWN, HELD}, MIRROR_LEAVE},
        {{UP}, {GONE, HELD}, MIRROR_LEAVE},
        {{UP}, {NO_CARRIER, HELD}, MIRROR_LEAVE},
        {{UP}, {NO_CARRIER, RISING}, MIRROR_LEAVE},
        {{UP}, {DOWN, RISING}, MIRROR_HOLD},
        {{UP}, {GONE, RISING}, MIRROR_HOLD},
        {{UP, RISING}, {NO_CARRIER}, MIRROR_HOLD},
        /* dead itself: left, so that its return is seen */
        {{NO_CARRIER}, {UP}, MIRROR_LEAVE},
        {{NO_CARRIER}, {NO_CARRIER}, MIRROR_LEAVE},
        {{NO_CARRIER}, {DOWN}, MIRROR_LEAVE},
        {{NO_CARRIER, RISING}, {GONE}, MIRROR_LEAVE},
        {{DOWN}, {NO_CARRIER}, MIRROR_LEAVE},
        {{DOWN}, {UP}, MIRROR_LEAVE},
        {{GONE}, {UP}, MIRROR_LEAVE},
        {{GONE}, {GONE}, MIRROR_LEAVE},
        /* held: until the other one is back */
        {{DOWN, HELD}, {NO_CARRIER}, MIRROR_LEAVE},
        {{DOWN, HELD}, {DOWN}, MIRROR_LEAVE},
        {{DOWN, HELD}, {GONE}, MIRROR_LEAVE},
        {{GONE, HELD}, {NO_CARRIER}, MIRROR_LEAVE},
        {{DOWN, HELD}, {UP}, MIRROR_RELEASE},
        {{GONE, HELD}, {UP}, MIRROR_RELEASE},
        /* set up by somebody else meanwhile */
        {{UP, HELD}, {NO_CARRIER}, MIRROR_HOLD},
        {{NO_CARRIER, HELD}, {GONE}, MIRROR_HOLD},
        {{UP, HELD}, {UP}, MIRROR_RELEASE},
};

START_TEST(decides)
{
	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++)
		ck_assert_msg(mirror_decide(true, &decisions[i].self, &decisions[i].other) ==
		                      decisions[i].act,
		              "row %zu", i);
}
END_TEST

START_TEST(when_off_only_releases)
{
	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++)
		ck_assert_int_eq(mirror_decide(false, &decisions[i].self, &decisions[i].other),
		                 decisions[i].self.held ? MIRROR_RELEASE : MIRROR_LEAVE);
}
END_TEST

/* ---- a cable with a mirror ---- */

enum {
	CARRIER_TAKES = 3, /* steps until an interface that is set up finds its carrier */
	RISE_TAKES = 10,   /* steps until one that we set up counts as dead without one */
	SETTLES = 4 * RISE_TAKES,
};

struct model {
	bool alive, set_up; /* the cable; the interface */
	unsigned waits;     /* steps until there is a carrier */
	unsigned rises;     /* steps until it isn't rising any more */
	bool held;
};

static struct model models[NSIDES];

static struct mirror_side seen(const struct model *model)
{
	struct mirror_side side = {UP, .held = model->held, .rising = model->rises > 0};

	if (!model->set_up)
		side.state = LINK_DOWN;
	else if (!model->alive || model->waits)
		side.state = LINK_NO_CARRIER;
	return side;
}

static void act(struct model *model, enum mirror_act what)
{
	if (what == MIRROR_LEAVE)
		return;
	model->held = what == MIRROR_HOLD;
	model->set_up = !model->held;
	model->waits = CARRIER_TAKES;
	model->rises = model->held ? 0 : RISE_TAKES;
}

static void step(void)
{
	for (unsigned i = 0; i < NSIDES; i++) {
		struct model *model = &models[i];

		model->waits -= model->waits && model->alive && model->set_up;
		model->rises -= model->rises > 0;
		if (seen(model).state == LINK_UP)
			model->rises = 0;
	}
	for (unsigned i = 0; i < NSIDES; i++) {
		const struct mirror_side self = seen(&models[i]), other = seen(&models[!i]);

		act(&models[i], mirror_decide(true, &self, &other));
	}
	require(!models[OUTSIDE].held || !models[INSIDE].held);
}

static void settle(void)
{
	for (unsigned i = 0; i < SETTLES; i++)
		step();
}

static void begin(bool outside, bool inside)
{
	models[OUTSIDE] = (struct model){.alive = outside, .set_up = true};
	models[INSIDE] = (struct model){.alive = inside, .set_up = true};
}

/* Both up if both cables are alive, else both neighbours see a dead link; and it stays so. */
static void check_settled(void)
{
	bool whole = models[OUTSIDE].alive && models[INSIDE].alive;

	for (unsigned i = 0; i < SETTLES; i++) {
		step();
		for (unsigned side = 0; side < NSIDES; side++)
			require((seen(&models[side]).state == LINK_UP) == whole);
	}
}

START_TEST(cut_and_mended)
{
	begin(true, true);
	check_settled();
	models[OUTSIDE].alive = false;
	step();
	require(models[INSIDE].held && !models[OUTSIDE].held);
	check_settled();
	models[OUTSIDE].alive = true;
	step();
	require(!models[INSIDE].held);
	settle();
	check_settled();
}
END_TEST

/* The cable of the side that is held dies unseen; then the other one comes back. */
START_TEST(other_cable_cut_meanwhile)
{
	begin(true, true);
	models[OUTSIDE].alive = false;
	settle();
	models[INSIDE].alive = false;
	settle();
	models[OUTSIDE].alive = true;
	settle();
	require(models[OUTSIDE].held);
	check_settled();
	models[INSIDE].alive = true;
	settle();
	check_settled();
}
END_TEST

START_TEST(dead_from_the_start)
{
	begin(false, false);
	check_settled();
	models[INSIDE].alive = true;
	settle();
	require(models[INSIDE].held);
	check_settled();
	models[OUTSIDE].alive = true;
	settle();
	check_settled();
}
END_TEST

/* Whatever is cut and mended, and set up and down by others: once left alone it's right again. */
START_TEST(always_settles)
{
	for (unsigned round = 0; round < 20000; round++) {
		begin(random_below(2), random_below(2));
		for (unsigned i = random_below(30); i; i--) {
			struct model *model = &models[random_below(NSIDES)];

			model->alive = random_below(2);
			model->set_up = random_below(4);
			model->waits = random_below(CARRIER_TAKES + 1);
			for (unsigned n = random_below(RISE_TAKES + 5); n; n--)
				step();
		}
		for (unsigned side = 0; side < NSIDES; side++)
			models[side].set_up |= !models[side].held;
		settle();
		check_settled();
	}
}
END_TEST

Suite *mirror_suite(void)
{
	const TTest *const tests[] = {decides,
	                              when_off_only_releases,
	                              cut_and_mended,
	                              other_cable_cut_meanwhile,
	                              dead_from_the_start,
	                              always_settles,
	                              NULL};

	return suite_of("mirror", tests);
}
