/*
 * A reload.
 *
 * It has five phases: load the file; check it against what runs; build all that hangs on the new
 * rules, while the workers go on with the old ones; swap, for which alone they stand still; and
 * announce. Whatever grows with the configuration, but for taking over what is known, is made while
 * building. Up to the swap anything may fail, and nothing has changed then.
 */
#include "reload.h"

#include "changed.h"
#include "process/clock.h"
#include "process/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { RELOAD_TRIES = 3 };

static const char *why_not(int err)
{
	switch (err) {
	case -EACCES:
		return " (a log in another directory takes a restart)";
	case -E2BIG:
		return " (too many servers that aren't in the file any more still have flows)";
	case -EOVERFLOW:
		return " (too many IPv6 addresses: those of earlier files count until a restart)";
	case -ENOMEM:
		return " (not enough memory)";
	case -ETIMEDOUT:
		return " (a worker doesn't move)";
	default:
		return "";
	}
}

static void say_not(const struct reload *reload, int err)
{
	log_error("%s: not reloaded: nothing has changed%s", reload->options->config, why_not(err));
}

/* ---- Load ---- */

/* text has bytes if the file isn't to be read, and else gets them. */
static int load(const struct reload *reload, struct cfg_text *text, struct rules **ret)
{
	struct rules *rules = reload->load(reload->options, text, &reload->host);
	const enum rules_mode mode = reload->crew->workers.rules->mode;
	int err = rules ? 0 : -EINVAL;

	if (rules && rules->mode != mode) {
		log_error("%s: [bridge] mode: is %s, and changing it to %s needs a restart: not "
		          "reloaded: nothing has changed",
		          reload->options->config, rules_mode_words[mode],
		          rules_mode_words[rules->mode]);
		err = -EINVAL;
	}
	if (!err) {
		err = reload->loaded(reload->ctx, rules);
		if (err)
			say_not(reload, err);
	}
	if (err)
		rules_free(rules);
	else
		overrides_apply(reload->overrides, rules);
	*ret = rules;
	return err;
}

/* Keeps the text as the one in force, or frees it. */
static void settle(const struct reload *reload, const struct cfg_text *text, bool in_force)
{
	if (!reload->from_file)
		return;
	if (in_force) {
		free(reload->text->bytes);
		*reload->text = *text;
	} else {
		free(text->bytes);
	}
}

/* ---- Check ---- */

/* Says what of the rules only a restart can change; and whether somebody has an address that is
 * new. */
static int check(const struct reload *reload, const struct rules *rules)
{
	const char *file = reload->options->config;
	const struct crew *crew = reload->crew;

	if (rules->max_connections != reload->max_connections)
		log_warning("%s: [bridge] max_connections: stays %u until a restart", file,
		            reload->max_connections);
	if (rules->max_half_open != reload->max_half_open)
		log_warning("%s: [bridge] max_half_open: stays %u until a restart", file,
		            reload->max_half_open);
	if (workers_wanted(rules) != crew->n)
		log_warning("%s: [bridge] workers: stays %u until a restart", file, crew->n);
	if (crew->n > 1 && !crew->workers.worker[0].share.by_address && workers_keep_clients(rules))
		log_warning("%s: persist, client_connections, client_rate: until a restart each "
		            "worker has clients of its own",
		            file);
	return reload->check(reload->ctx, rules, crew->workers.rules);
}

/* ---- Build ---- */

/* rules are taken over, and freed on failure. */
static int build(const struct reload *reload, struct rules *rules, bool keep_all,
                 struct workers_next **ret)
{
	const struct workers *workers = &reload->crew->workers;
	struct workers_next *next;
	int err = workers_follow(workers, rules, keep_all, &next);

	if (err)
		return err;
	err = reload->taken_over(reload->ctx, workers_next_rules(next));
	if (!err)
		err = workers_build(workers, next, clock_now());
	if (err)
		workers_discard(next);
	else
		*ret = next;
	return err;
}

/* ---- Swap ---- */

static int swap(const struct reload *reload, struct workers_next *next)
{
	struct crew *crew = reload->crew;
	lb_time began, now;
	int err = crew_pause(crew);

	if (err)
		return err;
	began = clock_now();
	err = workers_swap(&crew->workers, next, began);
	if (!err) {
		reload->swapped(reload->ctx, crew->workers.rules);
		crew_join(crew, crew->workers.rules);
	}
	now = clock_now();
	crew_resume(crew);
	log_debug("%s: the workers stood still for %" PRIu64 " us", reload->options->config,
	          (now.ns - began.ns) / 1000);
	if (!err)
		crew_steer(crew, crew->workers.rules, &crew->workers.worker[0].share);
	return err;
}

/* ---- All of it ---- */

/*
 * Returns -EAGAIN if a server or SNAT address that is to go has got a flow meanwhile, and had none.
 */
static int try(const struct reload *reload, struct cfg_text *text, bool is_last)
{
	struct workers *workers = &reload->crew->workers;
	struct workers_next *next = NULL;
	struct changed *changed;
	struct rules *rules;
	int err = load(reload, text, &rules);

	if (err)
		return err;
	err = check(reload, rules);
	changed = changed_of(workers->rules,
	                     rules); /* compared before servers that are gone are added to rules */
	if (!err)
		err = build(reload, rules, is_last, &next);
	else
		rules_free(rules);
	if (!err) {
		reload->built(reload->ctx, workers_next_rules(next));
		err = swap(reload, next);
		workers_discard(next);
	}
	if (!err)
		changed_say(changed, reload->options->config, reload->how);
	else if (err != -EAGAIN)
		say_not(reload, err);
	changed_free(changed);
	return err;
}

int reload_run(const struct reload *reload)
{
	const struct overrides before = *reload->overrides;
	int err = -EAGAIN;

	for (unsigned i = 0; i < RELOAD_TRIES && err == -EAGAIN; i++) {
		struct cfg_text text = reload->from_file ? (struct cfg_text){0} : *reload->text;

		err = try(reload, &text, i + 1 == RELOAD_TRIES);
		settle(reload, &text, !err);
	}
	if (err)
		*reload->overrides = before;
	if (err == -EAGAIN)
		log_error("%s: not reloaded: nothing has changed: try again",
		          reload->options->config);
	return err;
}
