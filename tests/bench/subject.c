/*
 * The engine to be measured: its lb.ini is written to a file and read by cfg/, its memory taken as
 * bridge/ does.
 */
#include "subject.h"

#include "measure.h"
#include "../../cfg/cfg.h"

#include <stdlib.h>
#include <unistd.h>

/* Further lines of the farm's section, in the environment: what limits for clients cost. */
#define SUBJECT_LINES "BENCH_FARM"

enum {
	SUBJECT_OWNS = 256,         /* frames that lb_poll() may ask for at a time */
	SUBJECT_PER_SNAT = 3000000, /* flows for one SNAT address: of 4.1 million ports */
	SUBJECT_EPOCH_S = 1000,
};

const uint8_t subject_prefix6[12] = {0x20, 0x01, 0x0d, 0xb8};
const struct mac subject_macs[NSIDES] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};

static void write_address(FILE *ini, const char *key, bool ipv6, unsigned last)
{
	fprintf(ini, ipv6 ? "%s2001:db8::a00:%x" : "%s10.0.0.%u", key, last);
}

static void write_ini(FILE *ini, uint32_t capacity, bool ipv6)
{
	const char *lines = getenv(SUBJECT_LINES);

	fprintf(ini, "[bridge]\nmax_connections = %u\n[farm bench]\nports = %d-%d\n", capacity,
	        SUBJECT_FIRST_SERVICE, SUBJECT_FIRST_SERVICE + SUBJECT_SERVICES - 1);
	write_address(ini, "vip = ", ipv6, 40);
	write_address(ini, "\nsnat = ", ipv6, 40);
	for (unsigned i = 1; i <= capacity / SUBJECT_PER_SNAT; i++)
		write_address(ini, ", ", ipv6, 40 + i);
	if (lines)
		fprintf(ini, "\n%s", lines);
	for (unsigned s = 0; s < SUBJECT_SERVERS; s++) {
		fprintf(ini, "\n[server s%u]\nfarm = bench\n", s);
		write_address(ini, "address = ", ipv6, 100 + s);
	}
	fputc('\n', ini);
}

static void note(void *ctx, bool is_error, const char *text)
{
	(void)ctx;
	if (is_error)
		measure_fail("%s", text);
}

static struct rules *make_rules(uint32_t capacity, bool ipv6)
{
	char path[] = "/tmp/bench-engine.XXXXXX";
	int fd = mkstemp(path);
	FILE *ini = fd < 0 ? NULL : fdopen(fd, "w");
	struct rules *rules = NULL;

	if (!ini)
		measure_fail("%s: can't be written", path);
	write_ini(ini, capacity, ipv6);
	fclose(ini);
	cfg_load(path, NULL, note, NULL, &rules);
	unlink(path);
	return rules;
}

static void take_extras(struct subject *subject)
{
	for (unsigned i = 0; i < LB_EXTRAS; i++) {
		const size_t bytes = lb_extra_size(subject->lb, subject->rules, (enum lb_extra)i);

		if (!bytes)
			continue;
		if (memory_take(&subject->extras[i], bytes) < 0)
			measure_fail("no memory");
		lb_use_extra(subject->lb, (enum lb_extra)i, subject->extras[i].at, subject->now);
	}
}

static struct barred barred;

void subject_make(struct subject *subject, uint32_t capacity, bool ipv6)
{
	const struct hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	struct rules *rules = make_rules(capacity, ipv6);
	size_t before = measure_memory();

	*subject = (struct subject){.rules = rules, .now = {SUBJECT_EPOCH_S * LB_NS_PER_S}};
	subject->polled = subject->now;
	if (memory_take(&subject->farms_memory, farms_size(rules)) < 0 ||
	    memory_take(&subject->lb_memory, lb_size(rules, &share_whole)) < 0)
		measure_fail("no memory");
	subject->farms =
	        farms_init(subject->farms_memory.at, rules, &share_whole, &key, subject->now);
	subject->lb =
	        lb_init(subject->lb_memory.at, subject->farms, &key, subject_macs, subject->now);
	take_extras(subject);
	if (getenv(SUBJECT_LINES))
		lb_use_barred(subject->lb, &barred, &key);
	subject->bytes = measure_memory() - before;
}

void subject_free(struct subject *subject)
{
	memory_free(&subject->lb_memory);
	memory_free(&subject->farms_memory);
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		memory_free(&subject->extras[i]);
	rules_free(subject->rules);
}

void subject_pass(struct subject *subject, uint64_t ns)
{
	struct own owns[SUBJECT_OWNS];
	bool more = true;

	subject->now.ns += ns;
	if (subject->now.ns - subject->polled.ns < LB_NS_PER_MS)
		return;
	subject->polled = subject->now;
	while (more)
		lb_poll(subject->lb, subject->now, owns, SUBJECT_OWNS, &more);
}
