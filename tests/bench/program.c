/*
 * A test run goes through a whole ring of frames (feed.bpf.c), first with programs that do nothing,
 * then with the first program and the second one for each frame: what these take is what they take
 * beyond that.
 */
#include "program.h"

#include "feed.h"
#include "feed_program.h"
#include "measure.h"
#include "../../bridge/fastpath/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>

enum {
	PROGRAM_MTU = 1500,
	PROGRAM_IFINDEX = 1,     /* where nothing is sent: a test run redirects nowhere */
	PROGRAM_LEFT_MOST = 100, /* 1 % */
};

static_assert((int)FEED_SIDES == (int)NSIDES, "a program for each side");

static const struct mac server_mac = {{2, 0, 0, 0, 0, 0x41}};

struct program {
	struct maps maps;
	struct bpf_object *object; /* of the program that feeds them */
	struct object_memory memory;
	struct feed *feed;
	int feeder, targets; /* descriptors */
};

/* Which programs are fed at a step: those of the two sides. */
static void feed_to(const struct program *program, uint32_t step, int outside, int inside)
{
	const int fds[NSIDES] = {[OUTSIDE] = outside, [INSIDE] = inside};

	for (uint32_t side = 0; side < NSIDES; side++) {
		const uint32_t target = feed_target(step, side);

		if (bpf_map_update_elem(program->targets, &target, &fds[side], BPF_ANY) < 0)
			measure_fail("a program can't be fed");
	}
}

/* Has the programs go through the first n frames of the ring; the last one is to end so. Returns ns
 * for each step. */
static uint32_t run(const struct program *program, const struct frame *like, unsigned n,
                    uint32_t end)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = like->data, .data_size_in = like->len,
	            .repeat = (int)(n * FEED_STEPS));

	program->feed->next = 0;
	if (bpf_prog_test_run_opts(program->feeder, &opts) != 0 ||
	    program->feed->next != n * FEED_STEPS)
		measure_fail("a test run fails");
	if (opts.retval != end)
		measure_fail("a program ends with %d instead of %d", (int)opts.retval, (int)end);
	return opts.duration;
}

static int open_feeder(struct program *program)
{
	int err = object_open(feed_program, feed_program_bytes, &program->object);

	if (err < 0 || (err = bpf_object__load(program->object)) < 0 ||
	    (err = object_map(program->object, "ring", &program->memory)) < 0)
		return err;
	program->feed = program->memory.at;
	program->targets = bpf_object__find_map_fd_by_name(program->object, "targets");
	return object_program(program->object, "feed", &program->feeder);
}

static void set_up(struct program *program, const struct rules *rules)
{
	struct maps *maps = &program->maps;
	const struct hop hop = {.mac = server_mac, .side = INSIDE};

	for (unsigned side = 0; side < NSIDES; side++)
		maps->conf->sides[side] =
		        (struct fastpath_side){.ifindex = PROGRAM_IFINDEX,
		                               .mtu = PROGRAM_MTU,
		                               .mac = fastpath_mac(subject_macs[side].b)};
	maps->conf->active = true;
	maps->conf->alive_ns = UINT64_MAX;
	for (unsigned s = 0; s < rules->nservers; s++)
		maps_set_way(maps, rules, s, &hop);
}

static void move_engine(struct program *program, struct subject *subject)
{
	const struct hash_key key = {{1, 2}};
	struct table table;

	memory_free(&subject->lb_memory);
	if (memory_take(&subject->lb_memory, lb_table_sizes(subject->rules, &share_whole, &table)) <
	    0)
		measure_fail("no memory");
	maps_table(&program->maps, 0, &table);
	subject->farms = farms_init(subject->farms_memory.at, subject->rules, &share_whole, &key,
	                            subject->now);
	subject->lb = lb_init_shared(subject->lb_memory.at, &table, subject->farms, &key,
	                             subject_macs, subject->now);
}

struct program *program_open(struct subject *subject)
{
	struct program *program = calloc(1, sizeof(*program));

	if (!program)
		measure_fail("no memory");
	if (maps_open(&program->maps, subject->rules, &share_whole, 1, NULL, NULL) < 0 ||
	    loaded_attend(&program->maps.loaded) < 0 || open_feeder(program) < 0) {
		program_close(program);
		return NULL;
	}
	set_up(program, subject->rules);
	move_engine(program, subject);
	return program;
}

void program_close(struct program *program)
{
	if (!program)
		return;
	object_unmap(&program->memory);
	bpf_object__close(program->object);
	maps_close(&program->maps);
	free(program);
}

static uint64_t forwarded(const struct program *program)
{
	struct fastpath_counts counts;

	maps_count(&program->maps, &counts);
	return counts.whys[WHY_FLOW_HIT];
}

static void put(struct feed *feed, const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		memcpy(feed->frames[i].data, frames[i].data, FEED_BYTES);
		feed->frames[i].side = frames[i].side;
	}
}

uint64_t program_input(struct program *program, const struct frame *frames, unsigned n)
{
	const int *programs = program->maps.loaded.programs;
	const int nobody = programs[LOADED_NOBODY];
	const uint64_t before = forwarded(program);
	uint32_t idle, busy;

	put(program->feed, frames, n);
	feed_to(program, 0, nobody, nobody);
	feed_to(program, 1, nobody, nobody);
	idle = run(program, frames, n, TC_ACT_SHOT);
	feed_to(program, 0, programs[LOADED_RECEIVE + OUTSIDE], programs[LOADED_RECEIVE + INSIDE]);
	feed_to(program, 1, programs[LOADED_FLOW + OUTSIDE], programs[LOADED_FLOW + INSIDE]);
	busy = run(program, frames, n, TC_ACT_REDIRECT);
	/* what isn't in the first buckets, or not among the first of the same tag, is the
	 * process's */
	if (forwarded(program) - before < n - n / PROGRAM_LEFT_MOST)
		measure_fail("of %u frames the programs forward %lu", n,
		             forwarded(program) - before);
	return busy > idle ? (uint64_t)n * FEED_STEPS * (busy - idle) : 0;
}
