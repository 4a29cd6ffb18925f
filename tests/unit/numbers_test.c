/*
 * Numbers in documents against where they come from: what a flow takes, and the table of constants
 * in bridge/OPERATING.md.
 */
#include "fixture.h"
#include "suites.h"

#include "../../bridge/port/inlet.h"
#include "../../bridge/worker/announcer.h"
#include "../../bridge/worker/probes.h"
#include "../../bridge/worker/waiting.h"
#include "../../lb/flows.h"
#include "../../lb/frag.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXT_BYTES = 1 << 20 };

static const char operating[] = "bridge/OPERATING.md";

/* The document's text, which stays until the next one. */
static char *text_of(const char *path)
{
	static char text[TEXT_BYTES];
	FILE *file = fopen(path, "r");
	size_t n;

	ck_assert_msg(file != NULL, "%s", path);
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = 0;
	return text;
}

/* What an engine for twice as many connections takes more, for each. */
static unsigned bytes_a_flow(void)
{
	const uint32_t n = 1000000;
	struct rules *rules = fixture_rules(2);
	size_t once, twice;

	rules->max_half_open = 1; /* else it is a share of these */
	rules->max_connections = n;
	once = lb_size(rules, &share_whole);
	rules->max_connections = 2 * n;
	twice = lb_size(rules, &share_whole);
	rules_free(rules);
	return (unsigned)((twice - once + n / 2) / n);
}

/* The next number of "about N bytes each" or "about N bytes for each place" behind *text, or 0. */
static unsigned next_bytes(const char **text)
{
	unsigned bytes;
	int len;

	while ((*text = strstr(*text, "about "))) {
		len = 0;
		if (sscanf(*text, "about %u bytes %n", &bytes, &len) == 1 && len &&
		    (strncmp(*text + len, "each", 4) == 0 ||
		     strncmp(*text + len, "for each place", 14) == 0)) {
			*text += len;
			return bytes;
		}
		*text += strlen("about ");
	}
	return 0;
}

START_TEST(a_flow_takes_the_bytes_that_are_written)
{
	const char *const documents[] = {operating, "cfg/README.md", "bridge/tmbridge.8"};

	for (unsigned i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
		const char *at = text_of(documents[i]);
		unsigned bytes, n = 0;

		for (; (bytes = next_bytes(&at)); n++)
			ck_assert_msg(bytes == bytes_a_flow(), "%s: %u bytes, but it is %u",
			              documents[i], bytes, bytes_a_flow());
		ck_assert_msg(n == 1, "%s has it %u times", documents[i], n);
	}
}
END_TEST

/* A row of the table, by how it begins, and what it has to say somewhere. */
struct constant {
	const char *row, *format;
	unsigned value;
};

static const struct constant constants[] = {
        {"half-open flow, until", "| %u s from", BALANCE_HALF_OPEN_S},
        {"closing flow, both FINs", "| %u s |", BALANCE_CLOSING_S},
        {"quarantine of an ended flow", "%u s if the server closed second",
         BALANCE_QUARANTINE_SHORT_S},
        {"quarantine of an ended flow", "else %u s", BALANCE_QUARANTINE_S},
        {"probes", "source ports %u-", RULES_PROBE_PORT},
        {"probes", "-%u of the farm's", RULES_PROBE_PORT + RULES_PROBE_PORTS - 1},
        {"probes", "%u of them a millisecond", PROBES_PER_MS},
        {"share of a server that is back", "%u steps", HEALTH_RAMP_STEPS},
        {"share of a server that is back", "over %u s", HEALTH_RAMP_S},
        {"IPv6 flows", "%u more bytes", sizeof(struct ip6)},
        {"fragments", "%u packets at a time", FRAG_DATAGRAMS},
        {"fragments", "for %u s each", FRAG_TIMEOUT_S},
        {"fragments", "%u fragments", FRAG_HELD},
        {"fragments", "at most %u bytes", FRAG_HELD_BYTES},
        {"flow that was reset", "for %u s it is revived", BALANCE_RESET_S},
        {"flow that was reset", "from %u s on", BALANCE_CROSSING_MS / 1000},
        {"frames waiting for ARP", "%u, of", WAITING_SLOTS},
        {"frames waiting for ARP", "at most %u bytes", WAITING_BYTES},
        {"announcements of VIPs", "%u a millisecond", ANNOUNCER_PER_MS},
};

/* The row that begins so, without what follows it. */
static char *row_of(char *text, const char *begin)
{
	char head[100], *row;

	snprintf(head, sizeof(head), "\n| %s", begin);
	row = strstr(strstr(text, "## Constants"), head);
	ck_assert_msg(row != NULL, "no row of %s", begin);
	row++;
	row[strcspn(row, "\n")] = 0;
	return row;
}

START_TEST(constants_are_those_of_the_code)
{
	for (unsigned i = 0; i < sizeof(constants) / sizeof(*constants); i++) {
		char said[100], *row = row_of(text_of(operating), constants[i].row);

		snprintf(said, sizeof(said), constants[i].format, constants[i].value);
		ck_assert_msg(strstr(row, said) != NULL, "%s: not \"%s\"", row, said);
	}
}
END_TEST

Suite *numbers_suite(void)
{
	const TTest *const tests[] = {a_flow_takes_the_bytes_that_are_written,
	                              constants_are_those_of_the_code, NULL};

	return suite_of("numbers", tests);
}
