/*
 * A sequence of TCP packets, ICMP errors, fragments, raw frames, time steps, probe results and
 * reloads, IPv4 and IPv6, from few addresses and ports, so that flows open, close, collide and run
 * out. After each step the books are checked, and each frame that goes in is witnessed.
 *
 * So that conversations come about at all, there are steps that answer what was forwarded lately.
 */
#include "books.h"
#include "engine.h"
#include "packets.h"
#include "steps.h"
#include "witness.h"
#include "../unit/barred_twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BURST = 8, TALKS = 8, HELD = 128, RAW_MAX = 1600, OWNS = 4 * EXPIRE_RESETS_MAX };
enum { RELOADS = 6 }; /* of a run: each takes as long as some hundred other steps */

struct input {
	const uint8_t *data;
	size_t left;
};

static struct run {
	struct lb *lb;
	uint64_t nframes;
	lb_time now;
	/* a burst that is being collected */
	struct frame frames[BURST];
	unsigned n, wanted;
	/* what receivers of forwarded frames would answer, the newest in talks[ntalks - 1] */
	struct shape talks[TALKS];
	unsigned ntalks;
	unsigned nheld; /* so far: fragments that waited */
	unsigned reloads;
} run;

static struct witness witnesses[BURST], held[HELD];

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

/* ---- frames in ---- */

static void note_talk(const struct frame *frame, const struct verdict *verdict)
{
	struct shape reply;

	if (!packets_reply(frame->data, frame->len, &reply))
		return;
	reply.side = verdict->way.server == SERVER_NONE ? verdict->way.side : INSIDE;
	run.talks[run.ntalks++ % TALKS] = reply;
}

static void note_held(const struct witness *witness)
{
	held[run.nheld++ % HELD] = *witness;
}

/* A fragment that waited is one of those that came, or a translation of it. */
static void check_released(const struct frame *frame, const struct verdict *verdict)
{
	bool found = false;

	for (unsigned i = 0; i < run.nheld && i < HELD && !found; i++)
		found = verdict->act == LB_FORWARD ? witness_translated(&held[i], frame)
		                                   : witness_same(&held[i], frame);
	ENSURE(found || run.nheld > HELD);
}

static void check_frame(const struct witness *witness, const struct frame *frame,
                        const struct verdict *verdict)
{
	if (verdict->act == LB_FORWARD && verdict->why != WHY_FRAGMENT_HELD) {
		ENSURE(witness_translated(witness, frame));
		note_talk(frame, verdict);
		return;
	}
	ENSURE(witness_same(witness, frame));
	if (verdict->why == WHY_FRAGMENT_HELD)
		note_held(witness);
}

/* If it would be dropped before the engine: so a frame that comes alone, and is all there. */
static bool is_barred(void)
{
	const struct frame *frame = &run.frames[0];
	uint32_t kind;

	return run.n == 1 && engine_barred() && frame->len == frame->wire_len &&
	       barred_twin_drops(engine_barred(), frame, run.now, &kind);
}

/* Whether a checksum is partial the engine is told, while others go by what it is. */
static void check_barred(const struct verdict *verdict)
{
	ENSURE(verdict->act == LB_DROP);
	ENSURE(verdict->why == WHY_CLIENT_DROPPED || verdict->why == WHY_RST_LIMITED ||
	       verdict->why == WHY_BAD_CHECKSUM);
}

static void flush(void)
{
	struct verdict verdicts[BURST], verdict;
	const bool barred = is_barred();
	struct frame frame;

	for (unsigned i = 0; i < run.n; i++)
		witness_before(&witnesses[i], &run.frames[i]);
	lb_input(run.lb, run.frames, run.n, run.now, verdicts);
	run.nframes += run.n;
	if (barred)
		check_barred(&verdicts[0]);
	for (unsigned i = 0; i < run.n; i++) {
		check_frame(&witnesses[i], &run.frames[i], &verdicts[i]);
		free(run.frames[i].data - FRAME_HEADROOM);
	}
	run.n = run.wanted = 0;
	while (lb_take_fragment(run.lb, &frame, &verdict))
		check_released(&frame, &verdict);
}

/* The frame goes in with the burst that is wanted, or alone. */
static void feed(const uint8_t *data, uint32_t len, uint8_t way)
{
	uint8_t *bytes = malloc(FRAME_HEADROOM + len); /* so that ASan knows where it ends */

	memcpy(bytes + FRAME_HEADROOM, data, len);
	run.frames[run.n++] = (struct frame){.data = bytes + FRAME_HEADROOM,
	                                     .len = len,
	                                     .wire_len = len + (way & STEP_CUT ? 100 : 0),
	                                     .headroom = FRAME_HEADROOM,
	                                     .side = way & STEP_INSIDE ? INSIDE : OUTSIDE,
	                                     .flags = way & STEP_PARTIAL ? FRAME_CSUM_PARTIAL : 0};
	if (run.n == BURST || run.n >= run.wanted)
		flush();
}

static uint8_t way_of(const struct shape *shape)
{
	return (uint8_t)((shape->side ? STEP_INSIDE : 0) | (shape->partial ? STEP_PARTIAL : 0));
}

/* ---- steps ---- */

/* Clients, servers, VIPs, SNAT addresses: .38 to .53, and .140. */
static uint8_t pick_address(uint8_t from)
{
	return (uint8_t)(from % 17 == 16 ? ENGINE_SNAT : 38 + from % 17);
}

static uint16_t pick_port(uint8_t from)
{
	static const uint16_t ports[] = {80,   443,  2000, 2001, 2002, 2003,
	                                 2004, 2005, 1008, 5000, 5001, 5002};

	return ports[from % (sizeof(ports) / sizeof(ports[0]))];
}

/* How it looks, but for what it says. */
static void take_look(struct input *in, struct shape *shape)
{
	uint8_t look = take(in);

	shape->partial = look & 2;
	shape->wrong = look & 4;
	shape->options = look & 8;
	shape->ntags = look >> 4 & 3;
	shape->side ^= look >> 6 & 1; /* the other one than that which would do */
}

static struct shape take_shape(struct input *in)
{
	struct shape shape = {.ipv6 = take(in) & 1};

	take_look(in, &shape);
	shape.src = pick_address(take(in));
	shape.dst = pick_address(take(in));
	shape.sport = pick_port(take(in));
	shape.dport = pick_port(take(in));
	shape.seq = ENGINE_CLIENT_SEQ + take(in) % 8u;
	shape.ack = ENGINE_CLIENT_SEQ + take(in) % 8u;
	shape.flags = take(in) & 0x17;
	shape.window = take(in) & 1 ? 1000 : 0;
	return shape;
}

/* The answer to a frame that was forwarded lately, to a client if there was none. */
static struct shape take_talk(struct input *in)
{
	unsigned n = run.ntalks < TALKS ? run.ntalks : TALKS;
	uint8_t which = take(in);

	return n ? run.talks[(run.ntalks - 1u - which % n) % TALKS]
	         : (struct shape){.src = ENGINE_CLIENT,
	                          .dst = ENGINE_VIP,
	                          .sport = ENGINE_CLIENT_PORT,
	                          .dport = ENGINE_SERVICE,
	                          .seq = ENGINE_CLIENT_SEQ,
	                          .ack = ENGINE_SERVER_SEQ,
	                          .flags = PACKETS_ACK,
	                          .window = 1000};
}

static void feed_tcp(const struct shape *shape)
{
	uint8_t frame[PACKETS_BYTES];

	feed(frame, packets_tcp(frame, shape), way_of(shape));
}

static void step_tcp(struct input *in)
{
	struct shape shape = take_shape(in);

	shape.payload = take(in) % 3;
	feed_tcp(&shape);
}

static void step_reply(struct input *in)
{
	struct shape shape = take_talk(in);

	take_look(in, &shape);
	shape.flags = take(in) & 0x17;
	shape.payload = take(in) % 16;
	shape.seq += (uint32_t)(take(in) % 5 - 2); /* mostly what is expected, or close to that */
	feed_tcp(&shape);
}

/* Of a new packet, or of an answer. */
static void step_fragment(struct input *in)
{
	struct shape shape = take(in) & 1 ? take_shape(in) : take_talk(in);

	shape.fragment = true;
	shape.payload = take(in);
	shape.id = take(in) & 3;
	shape.offset = take(in) % 8;
	shape.more = take(in) & 1;
	shape.len = take(in) % 64;
	take_look(in, &shape);
	feed_tcp(&shape);
}

static void feed_error(const struct shape *shape, uint8_t type, const struct shape *quoted,
                       uint32_t bytes)
{
	uint8_t frame[PACKETS_BYTES];

	feed(frame, packets_icmp_error(frame, shape, type, quoted, bytes), way_of(shape));
}

static void step_icmp_error(struct input *in)
{
	struct shape shape = take_shape(in), quoted = take_shape(in);
	uint8_t type = take(in) % 13;

	quoted.ipv6 = take(in) & 1 ? quoted.ipv6 : shape.ipv6;
	feed_error(&shape, type, &quoted, take(in));
}

/* The quoted packet is what the answer would be to, the error from its receiver or a router. */
static void step_error_reply(struct input *in)
{
	const struct shape reply = take_talk(in);
	struct shape shape = reply, quoted = reply;
	uint8_t type = take(in) % 13, bytes;

	quoted.src = reply.dst;
	quoted.dst = reply.src;
	quoted.sport = reply.dport;
	quoted.dport = reply.sport;
	quoted.seq = reply.ack + (uint32_t)(take(in) % 3 - 2);
	quoted.wrong = take(in) & 1;
	shape.src = take(in) & 1 ? ENGINE_CLIENT + 1 : reply.src;
	bytes = take(in);
	take_look(in, &shape);
	feed_error(&shape, type, &quoted, bytes);
}

static void step_echo(struct input *in)
{
	struct shape shape = take_shape(in);
	uint8_t frame[PACKETS_BYTES];

	feed(frame, packets_echo(frame, &shape), way_of(&shape));
}

static void step_neighbour(struct input *in)
{
	struct shape shape = take_shape(in);
	uint8_t frame[PACKETS_BYTES];

	feed(frame, packets_neighbour(frame, &shape, take(in) % 4), way_of(&shape));
}

static void step_raw(struct input *in)
{
	uint8_t bytes[RAW_MAX], way;
	uint32_t len = take(in) * 256u;

	len = (len + take(in)) % RAW_MAX;
	way = take(in);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = take(in);
	feed(bytes, len, way);
}

static void step_time(struct input *in)
{
	struct own own[OWNS];
	uint8_t a = take(in), b = take(in);
	unsigned max = EXPIRE_RESETS_MAX * (1u + take(in) % 4), n;
	bool more;

	run.now.ns += (uint64_t)a * b * LB_NS_PER_MS;
	n = lb_poll(run.lb, run.now, own, max, &more);
	ENSURE(n <= max);
	for (unsigned i = 0; i < n; i++)
		ENSURE(own[i].kind == OWN_TCP && own[i].tcp_flags & PACKETS_RST);
}

static void step_probed(struct input *in)
{
	const struct rules *rules = lb_balance(run.lb)->farms->rules;
	unsigned server = take(in) % rules->nservers;
	bool ok = take(in) & 1;

	if (rules->farms[rules->servers[server].farm].nchecks)
		lb_probed(run.lb, server, 0, ok, run.now);
}

static void step_take_ended(void)
{
	struct ended ended;

	while (lb_take_ended(run.lb, &ended))
		ENSURE(ended.start.ns <= ended.end.ns && ended.why < ENDED_WHYS);
}

/* Those that put no frame in. */
static void step_other(enum step step, struct input *in)
{
	flush();
	switch (step) {
	case STEP_TIME:
		return step_time(in);
	case STEP_BURST:
		run.wanted = take(in) % (BURST + 1);
		return;
	case STEP_PROBED:
		return step_probed(in);
	case STEP_RELOAD:
		if (run.reloads++ < RELOADS)
			engine_reload(run.lb, run.now);
		return;
	case STEP_TAKE_ENDED:
		return step_take_ended();
	default:
		return;
	}
}

static void step(struct input *in)
{
	enum step step = (enum step)(take(in) % NSTEPS);

	switch (step) {
	case STEP_RAW:
		return step_raw(in);
	case STEP_TCP:
		return step_tcp(in);
	case STEP_FRAGMENT:
		return step_fragment(in);
	case STEP_ICMP_ERROR:
		return step_icmp_error(in);
	case STEP_ECHO:
		return step_echo(in);
	case STEP_NEIGHBOUR:
		return step_neighbour(in);
	case STEP_REPLY:
		return step_reply(in);
	case STEP_ERROR_REPLY:
		return step_error_reply(in);
	default:
		return step_other(step, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	run = (struct run){.lb = engine_new(take(&in)), .now = {2 * LB_NS_PER_S}};
	run.nframes = engine_frames();
	while (in.left) {
		step(&in);
		if (!run.n)
			books_check(run.lb, run.nframes);
	}
	flush();
	books_check(run.lb, run.nframes);
	books_check_limits(run.lb);
	engine_free();
	return 0;
}
