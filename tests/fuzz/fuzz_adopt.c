/*
 * Fuzzer: an engine over arrays that another one has left, perhaps in the middle of a write, or as
 * nobody would leave them. Whatever is there, what has been adopted is a table whose books balance,
 * and goes on as one.
 *
 * The input is a byte for the engine's option, then steps: frames, time, reloads, and adoptions
 * after scribbling over any of the arrays.
 */
#include "books.h"
#include "engine.h"
#include "packets.h"

#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEP_TCP, STEP_REPLY, STEP_TIME, STEP_ADOPT, STEP_RELOAD, NSTEPS };
enum { RELOADS = 6 }; /* of a run */
enum { SCRIBBLES_MAX = 16, OWNS = 4 * EXPIRE_RESETS_MAX };

struct input {
	const uint8_t *data;
	size_t left;
};

static struct run {
	struct lb *lb;
	struct table table;
	struct shape reply; /* to what was forwarded last */
	bool has_reply;
	uint64_t nframes;
	unsigned reloads;
	lb_time now;
} run;

static uint32_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static void feed(const struct shape *shape)
{
	uint8_t bytes[FRAME_HEADROOM + PACKETS_BYTES];
	struct frame frame = {
	        .data = bytes + FRAME_HEADROOM, .headroom = FRAME_HEADROOM, .side = shape->side};
	struct verdict verdict;

	frame.len = frame.wire_len = packets_tcp(frame.data, shape);
	lb_input(run.lb, &frame, 1, run.now, &verdict);
	run.nframes++;
	if (verdict.act != LB_FORWARD || !packets_reply(frame.data, frame.len, &run.reply))
		return;
	run.reply.side = verdict.way.server == SERVER_NONE ? verdict.way.side : INSIDE;
	run.has_reply = true;
}

static void step_tcp(struct input *in)
{
	const uint8_t hosts[] = {ENGINE_CLIENT,      ENGINE_CLIENT + 1, ENGINE_VIP,
	                         ENGINE_VIP_NO_SNAT, ENGINE_SERVER,     ENGINE_SERVER_NO_SNAT};
	const uint16_t ports[] = {ENGINE_CLIENT_PORT, ENGINE_SERVICE, 443, ENGINE_SNAT_PORT,
	                          ENGINE_SNAT_PORT + 1};
	struct shape shape = {.ipv6 = take(in) & 1,
	                      .src = hosts[take(in) % sizeof(hosts)],
	                      .dst = hosts[take(in) % sizeof(hosts)],
	                      .sport = ports[take(in) % 5],
	                      .dport = ports[take(in) % 5],
	                      .seq = ENGINE_CLIENT_SEQ + take(in) % 4,
	                      .ack = ENGINE_SERVER_SEQ + take(in) % 4,
	                      .flags = take(in) & 0x17,
	                      .window = 1000};

	feed(&shape);
}

static void step_reply(struct input *in)
{
	struct shape shape = run.reply;

	shape.flags = take(in) & 0x17;
	shape.payload = (uint8_t)(take(in) % 16);
	if (run.has_reply)
		feed(&shape);
}

static void step_time(struct input *in)
{
	struct own own[OWNS];
	bool more = true;

	run.now.ns += (uint64_t)take(in) * take(in) * LB_NS_PER_MS;
	while (more)
		lb_poll(run.lb, run.now, own, OWNS, &more);
}

/* A few bytes anywhere: mostly close to the beginning, where there is something. */
static void scribble(struct input *in)
{
	struct table_array *array = &run.table.arrays[take(in) % TABLE_NARRAYS];
	const size_t bytes = array->elements * array->element_bytes;
	const uint32_t how = take(in);
	size_t at = take(in) << 8 | take(in);

	if (how & 1)
		at = at * 0x9e3779b1u;
	for (uint32_t n = 1 + (how >> 1) % 8; n; n--, at++)
		((uint8_t *)array->memory)[at % bytes] = (uint8_t)take(in);
}

/* False if there was nothing to adopt. */
static bool step_adopt(struct input *in)
{
	const uint32_t how = take(in);
	struct adoption adoption;
	struct own own[OWNS];
	bool more = true;

	for (uint32_t n = (how >> 1) % SCRIBBLES_MAX; n; n--)
		scribble(in);
	run.table.keep_half_open = how >> 7;
	run.lb = engine_adopt(&run.table, how & 1, run.now, &adoption);
	if (!run.lb)
		return false;
	run.nframes = 0;
	run.has_reply = false;
	while (more)
		lb_poll(run.lb, run.now, own, OWNS, &more);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool goes_on = true;

	run = (struct run){.now = {2 * LB_NS_PER_S}};
	run.lb = engine_new_shared((uint8_t)take(&in), &run.table);
	run.nframes = engine_frames();
	while (in.left && goes_on) {
		switch (take(&in) % NSTEPS) {
		case STEP_TCP:
			step_tcp(&in);
			break;
		case STEP_REPLY:
			step_reply(&in);
			break;
		case STEP_TIME:
			step_time(&in);
			break;
		case STEP_RELOAD:
			if (run.reloads++ < RELOADS)
				engine_reload(run.lb, run.now);
			break;
		default:
			goes_on = step_adopt(&in);
			break;
		}
		if (goes_on)
			books_check(run.lb, run.nframes);
	}
	engine_free();
	return 0;
}
