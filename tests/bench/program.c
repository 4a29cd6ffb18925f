/*
 * A test run takes one frame, so there are no bursts, and between two frames there is the way into
 * the kernel and back: what the programs had in the processor's caches may be gone by then.
 */
#include "program.h"

#include "measure.h"
#include "../../bridge/fastpath/maps.h"
#include "../../lb/wire.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>

enum {
	PROGRAM_IDLE_RUNS = 10000,
	PROGRAM_MTU = 1500,
	PROGRAM_IFINDEX = 1, /* where nothing is sent: a test run redirects nowhere */
	PROGRAM_BYTES = 2048,
	PROGRAM_LEFT_MOST = 100, /* 1 % */
};

static const struct mac server_mac = {{2, 0, 0, 0, 0, 0x41}};

struct program {
	struct maps maps;
	double idle_ns;
};

/* Returns what the program says, and adds the time to *ns. */
static uint32_t run(struct program *program, int fd, struct frame *frame, struct __sk_buff *ctx,
                    uint64_t *ns)
{
	static uint8_t out[PROGRAM_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data, .data_size_in = frame->len,
	            .data_out = out, .data_size_out = sizeof(out), .ctx_in = ctx,
	            .ctx_size_in = sizeof(*ctx), .ctx_out = ctx, .ctx_size_out = sizeof(*ctx));

	(void)program;
	if (bpf_prog_test_run_opts(fd, &opts) != 0)
		measure_fail("a test run fails");
	*ns += opts.duration;
	return opts.retval;
}

static void measure_idle(struct program *program)
{
	uint8_t bytes[ETH_HEADER_BYTES + IPV4_HEADER_BYTES + TCP_HEADER_BYTES] = {0};
	struct frame frame = {.data = bytes, .len = sizeof(bytes)};
	uint64_t ns = 0;

	for (unsigned i = 0; i < PROGRAM_IDLE_RUNS; i++) {
		struct __sk_buff ctx = {0};

		run(program, program->maps.loaded.programs[LOADED_NOBODY], &frame, &ctx, &ns);
	}
	program->idle_ns = (double)ns / PROGRAM_IDLE_RUNS;
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
	    loaded_attend(&program->maps.loaded) < 0) {
		program_close(program);
		return NULL;
	}
	set_up(program, subject->rules);
	move_engine(program, subject);
	measure_idle(program);
	return program;
}

void program_close(struct program *program)
{
	if (!program)
		return;
	maps_close(&program->maps);
	free(program);
}

static uint64_t punted(const struct program *program)
{
	struct fastpath_counts counts;

	maps_count(&program->maps, &counts);
	return counts.punted[OUTSIDE] + counts.punted[INSIDE];
}

uint64_t program_input(struct program *program, struct frame *frames, unsigned n)
{
	const int *programs = program->maps.loaded.programs;
	const uint64_t before = punted(program);
	const double idle = 2 * program->idle_ns * n;
	uint64_t ns = 0;

	for (unsigned i = 0; i < n; i++) {
		struct __sk_buff ctx = {0};
		const uint32_t side = frames[i].side;

		if (run(program, programs[LOADED_RECEIVE + side], &frames[i], &ctx, &ns) !=
		            (uint32_t)TC_ACT_UNSPEC ||
		    run(program, programs[LOADED_FLOW + side], &frames[i], &ctx, &ns) !=
		            TC_ACT_REDIRECT)
			measure_fail("the programs don't forward");
	}
	/* what isn't in the first buckets, or not among the first of the same tag, is the process's
	 */
	if (punted(program) - before > n / PROGRAM_LEFT_MOST)
		measure_fail("of %u frames the programs leave %lu to the process", n,
		             punted(program) - before);
	return ns > (uint64_t)idle ? ns - (uint64_t)idle : 0;
}
