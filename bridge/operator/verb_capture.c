/*
 * capture: frames as they come and leave, with what became of them.
 *
 * The client compiles its filter; here its instructions are checked and run. One capture at a time.
 */
#include "verb.h"

#include "bundle.h"

#include "../process/clock.h"
#include "../process/text.h"
#include "../worker/barring.h"
#include "../worker/taps.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPTURE_INSNS = 240, CAPTURE_INSN_DIGITS = 16, CAPTURE_RECORD_BYTES = 2 * TAP_BYTES + 512 };

struct capture_of {
	struct bpf_insn insns[CAPTURE_INSNS];
	struct tap *taps[RULES_WORKERS_MAX];
	struct bundle *bundle; /* what a replay begins with, if that is wanted; or NULL */
	unsigned n;            /* taps */
	uint64_t lost;         /* records that the client knows are lost */
	/* ns, by which the time of day was ahead of the clock: for all that is said, so that who
	 * sets the time of day doesn't change the order of frames */
	uint64_t offset;
	struct capture_of *next; /* of world.left */
};

/* ---- The filter ---- */

static bool parse_insn(const char *digits, struct bpf_insn *ret)
{
	char text[CAPTURE_INSN_DIGITS + 1];
	unsigned long long word;
	char *end;

	snprintf(text, sizeof(text), "%s", digits);
	word = strtoull(text, &end, 16);
	ret->code = (uint16_t)(word >> 48);
	ret->jt = (uint8_t)(word >> 40);
	ret->jf = (uint8_t)(word >> 32);
	ret->k = (uint32_t)word;
	return end == text + CAPTURE_INSN_DIGITS;
}

/* What libpcap's bpf_filter() knows. It ends the process at anything else, and bpf_validate() lets
 * some of that pass. */
/* clang-format off */
static const uint16_t known_codes[] = {
        BPF_RET | BPF_K, BPF_RET | BPF_A,
        BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_B | BPF_ABS,
        BPF_LD | BPF_W | BPF_IND, BPF_LD | BPF_H | BPF_IND, BPF_LD | BPF_B | BPF_IND,
        BPF_LD | BPF_W | BPF_LEN, BPF_LD | BPF_IMM, BPF_LD | BPF_MEM,
        BPF_LDX | BPF_MSH | BPF_B, BPF_LDX | BPF_W | BPF_LEN, BPF_LDX | BPF_IMM, BPF_LDX | BPF_MEM,
        BPF_ST, BPF_STX, BPF_JMP | BPF_JA,
        BPF_JMP | BPF_JGT | BPF_K, BPF_JMP | BPF_JGE | BPF_K, BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JSET | BPF_K,
        BPF_JMP | BPF_JGT | BPF_X, BPF_JMP | BPF_JGE | BPF_X, BPF_JMP | BPF_JEQ | BPF_X, BPF_JMP | BPF_JSET | BPF_X,
        BPF_ALU | BPF_ADD | BPF_X, BPF_ALU | BPF_SUB | BPF_X, BPF_ALU | BPF_MUL | BPF_X, BPF_ALU | BPF_DIV | BPF_X,
        BPF_ALU | BPF_MOD | BPF_X, BPF_ALU | BPF_AND | BPF_X, BPF_ALU | BPF_OR | BPF_X, BPF_ALU | BPF_XOR | BPF_X,
        BPF_ALU | BPF_LSH | BPF_X, BPF_ALU | BPF_RSH | BPF_X,
        BPF_ALU | BPF_ADD | BPF_K, BPF_ALU | BPF_SUB | BPF_K, BPF_ALU | BPF_MUL | BPF_K, BPF_ALU | BPF_DIV | BPF_K,
        BPF_ALU | BPF_MOD | BPF_K, BPF_ALU | BPF_AND | BPF_K, BPF_ALU | BPF_OR | BPF_K, BPF_ALU | BPF_XOR | BPF_K,
        BPF_ALU | BPF_LSH | BPF_K, BPF_ALU | BPF_RSH | BPF_K, BPF_ALU | BPF_NEG,
        BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA,
};
/* clang-format on */

static bool is_known(uint16_t code)
{
	for (unsigned i = 0; i < sizeof(known_codes) / sizeof(known_codes[0]); i++)
		if (code == known_codes[i])
			return true;
	return false;
}

/* libpcap lets a jump go back, for which only "protochain" has a use: the loop may be endless, and
 * frames would wait for it. */
static bool ends(const struct bpf_insn *insns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!is_known(insns[i].code) ||
		    (insns[i].code == (BPF_JMP | BPF_JA) && insns[i].k >= n - i))
			return false;
	return bpf_validate(insns, (int)n);
}

/* Instructions of 16 hex digits each: code, jt, jf, k. False if they are none. */
static bool parse_filter(const char *hex, struct bpf_insn *ret)
{
	const size_t len = strlen(hex);
	unsigned n = 0;

	if (!len || len % CAPTURE_INSN_DIGITS || len / CAPTURE_INSN_DIGITS > CAPTURE_INSNS)
		return false;
	for (size_t i = 0; i < len; i += CAPTURE_INSN_DIGITS)
		if (!parse_insn(hex + i, &ret[n++]))
			return false;
	return ends(ret, n);
}

static int why_named(const char *name)
{
	for (unsigned i = 0; i < LB_NWHYS; i++)
		if (!strcmp(lb_why_name((enum lb_why)i), name))
			return (int)i;
	return -1;
}

/* ---- Beginning and end ---- */

static bool attach(struct worker *worker, void *ctx, lb_time now)
{
	struct capture_of *capture = ctx;

	(void)now;
	worker->tap = worker->voice.tap = capture ? capture->taps[worker->share.worker] : NULL;
	barring_rest(worker);
	if (capture && capture->bundle)
		bundle_take(capture->bundle, worker);
	return false;
}

/* Has all frames of flows come to the process, or no longer: it doesn't see what the kernel
 * forwards. */
static void hold_fastpath(const struct world *world, bool hold)
{
	struct fastpath *fastpath = world->crew->workers.fastpath;

	if (fastpath)
		fastpath_hold(fastpath, FASTPATH_HOLD_CAPTURE, hold);
}

static void capture_free(struct capture_of *capture)
{
	for (unsigned k = 0; k < capture->n; k++)
		tap_free(capture->taps[k]);
	bundle_free(capture->bundle);
	free(capture);
}

/* Frees captures that are over, once all workers have let go of them: a worker that stands still
 * keeps its tap until it moves. */
static void let_go(struct world *world)
{
	struct capture_of *capture;

	if (!world->left || crew_errand(world->crew, attach, NULL))
		return;
	while ((capture = world->left)) {
		world->left = capture->next;
		capture_free(capture);
	}
}

void verb_tidy(struct world *world)
{
	if (!crew_is_stuck(world->crew) && !world->capture)
		let_go(world);
}

static void stop(struct world *world, struct client *client)
{
	struct capture_of *capture = world->capture;

	(void)client;
	world->capture = NULL;
	if (!capture)
		return;
	hold_fastpath(world, false);
	capture->next = world->left;
	world->left = capture;
	let_go(world);
}

static int start(struct world *world, struct capture_of *capture, const struct tap_wish *wish)
{
	int err = 0;

	for (unsigned k = 0; k < world->crew->n && !err; k++) {
		capture->taps[k] = tap_new(wish);
		if (!capture->taps[k])
			err = -ENOMEM;
		else
			capture->n++;
	}
	capture->offset = clock_wall_offset();
	world->capture = capture;
	hold_fastpath(world, true);
	if (!err)
		err = crew_errand(world->crew, attach, capture);
	if (err)
		stop(world, NULL);
	return err;
}

/* ---- Records ---- */

static void print(struct world *world, struct client *client, const struct tap_record *record)
{
	const struct workers *workers = &world->crew->workers;
	static const char *const sides[NSIDES] = {"outside", "inside"};
	static const char digits[] = "0123456789abcdef";
	char hex[2 * TAP_BYTES + 1], of[160] = "";

	for (uint32_t i = 0; i < record->kept; i++) {
		hex[2 * i] = digits[record->bytes[i] >> 4];
		hex[2 * i + 1] = digits[record->bytes[i] & 15];
	}
	hex[2 * record->kept] = 0;
	if (record->flow != UINT32_MAX)
		snprintf(of, sizeof(of), ",\"flow\":%" PRIu32, record->flow);
	if (record->server < workers->rules->nservers)
		snprintf(of + strlen(of), sizeof(of) - strlen(of), ",\"server\":\"%s\"",
		         workers->rules->servers[record->server].name);
	answer_record(&client->answer,
	              "{\"time_ns\":%" PRIu64 ",\"side\":\"%s\",\"out\":%s,\"%s\":\"%s\"%s,"
	              "\"len\":%" PRIu32 ",\"data\":\"%s\"}",
	              record->time.ns + world->capture->offset, sides[record->side],
	              record->out ? "true" : "false", record->what ? "own" : "reason",
	              record->what ? record->what : lb_why_name((enum lb_why)record->why), of,
	              record->len, hex);
}

/* Sends the next record, once it is sure that no worker has an earlier one: so all are in the order
 * of time. Sets *ret_soon if there will be one in a moment. */
static bool say_next(struct world *world, struct client *client, lb_time now, bool *ret_soon)
{
	const struct capture_of *capture = world->capture;
	const struct taps_next next = taps_next(capture->taps, capture->n, now);
	struct tap_record record;

	*ret_soon = next.soon;
	if (next.behind >= 0) /* that worker may sleep */
		inbox_wake(world->crew->workers.inboxes[next.behind]);
	if (!next.tap || !tap_take(next.tap, &record))
		return false;
	print(world, client, &record);
	return true;
}

static void go(struct world *world, struct client *client, lb_time now)
{
	struct capture_of *capture = world->capture;
	uint64_t lost = 0;
	bool any = false, soon = false;

	while (answer_room(&client->answer) > CAPTURE_RECORD_BYTES &&
	       say_next(world, client, now, &soon))
		any = true;
	for (unsigned k = 0; k < capture->n; k++)
		lost += tap_lost(capture->taps[k]);
	client->answer.lost += lost - capture->lost;
	capture->lost = lost;
	client->is_busy = any || soon;
}

/* Adds what a replay begins with to the answer; false if memory runs out. */
static bool say_bundle(struct world *world, struct client *client)
{
	struct capture_of *capture = world->capture;
	char *text = capture->bundle ? bundle_text(capture->bundle, world, capture->offset) : NULL;
	const bool good = text || !capture->bundle;

	bundle_free(capture->bundle);
	capture->bundle = NULL;
	if (text)
		answer_hold(&client->answer, text);
	else
		answer_record(&client->answer, "{\"capture\":true}");
	return good;
}

/* If what is left of a request with a filter is what that was compiled of, for the log. */
static bool are_words(const struct request *request)
{
	for (unsigned i = 0; i < request->n; i++)
		if (!strncmp(request->words[i], "--", 2))
			return false;
	return true;
}

static bool take_wish(struct client *client, struct request *request, struct capture_of *capture,
                      struct tap_wish *ret)
{
	const char *filter = request_take(request, "--bpf"), *why;

	*ret = (struct tap_wish){.why = -1, .both = request_take_flag(request, "--both")};
	ret->bundle = request_take_flag(request, "--bundle");
	ret->both |= ret->bundle;
	ret->dropped = request_take_flag(request, "--dropped");
	why = request_take(request, "--dropped");
	if (filter && !parse_filter(filter, capture->insns)) {
		answer_fail(&client->answer, ANSWER_USAGE, "bad_filter", NULL,
		            "not a filter's instructions, or more than %d", CAPTURE_INSNS);
		return false;
	}
	ret->filter = filter ? capture->insns : NULL;
	if (why && (ret->why = why_named(why)) < 0) {
		answer_fail(&client->answer, ANSWER_NO_OBJECT, "no_such_reason", NULL,
		            "%s: no such reason", why);
		return false;
	}
	return (filter && are_words(request)) || !verb_too_much(client, request);
}

void verb_capture(struct world *world, struct client *client, struct request *request, lb_time now)
{
	struct capture_of *capture;
	struct tap_wish wish;
	int err;

	if (world->capture) {
		answer_fail(&client->answer, ANSWER_REFUSED, "busy", NULL,
		            "somebody else captures now: one at a time");
		return;
	}
	capture = calloc(1, sizeof(*capture));
	if (capture && !take_wish(client, request, capture, &wish)) {
		free(capture);
		return;
	}
	err = !capture ? -ENOMEM : wish.bundle ? bundle_new(world->crew, &capture->bundle) : 0;
	if (err)
		free(capture);
	else
		err = start(world, capture, &wish);
	if (!err && !say_bundle(world, client)) {
		stop(world, client);
		err = -ENOMEM;
	}
	if (err == -ETIMEDOUT)
		verb_stall(client, now);
	else if (err)
		answer_fail(&client->answer, ANSWER_FAILED, "failed", NULL, "%s", strerror(-err));
	if (err)
		return;
	client->go = go;
	client->stop = stop;
}
