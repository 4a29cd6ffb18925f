/*
 * Whoever types a number is told the same of it wherever he does: what it may be at least and at
 * most, and that a time has a unit. What means nothing (a verdict for no time, a capture of no
 * packets) is less than the least.
 */
#include "quantity.h"

#include "text.h"
#include "../../lb/rules.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { SECOND_MS = 1000 };

#define LONGEST_MS UINT64_C(4000000000) /* 46 days: ms fit into 32 bits */

/* clang-format off */
static const struct {
	const char *name; /* as it is typed before it */
	bool is_time;
	uint64_t least, most;
} quantities[] = {
        [QUANTITY_LIMIT] = {"--limit", false, 0, UINT32_MAX},
        [QUANTITY_SORTED] = {"--sort with --limit", false, 0, QUANTITY_SORTED_MAX},
        [QUANTITY_SHOWN] = {"limit", false, 0, QUANTITY_SHOWN_MAX},
        [QUANTITY_PACKETS] = {"-c", false, 1, UINT32_MAX},
        [QUANTITY_WEIGHT] = {"weight", false, 0, RULES_WEIGHT_MAX},
        [QUANTITY_SECONDS] = {"-t", true, 1, LONGEST_MS},
        [QUANTITY_WATCH] = {"--watch", true, 1, LONGEST_MS},
        [QUANTITY_WAIT] = {"--wait", true, 0, LONGEST_MS},
        [QUANTITY_FOR] = {"--for", true, SECOND_MS, LONGEST_MS},
        [QUANTITY_AGE] = {"age", true, 0, LONGEST_MS},
        [QUANTITY_IDLE] = {"idle", true, 0, LONGEST_MS},
};
/* clang-format on */

static_assert(sizeof(quantities) / sizeof(quantities[0]) == NQUANTITIES, "one line for each");

/* ---- Times ---- */

/* Of what a time may be in, the longer ones first. */
static const struct {
	const char *name;
	uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", SECOND_MS}, {"ms", 1}};

enum { NUNITS = sizeof(units) / sizeof(units[0]) };

/* The unit at *text, which is moved behind it, if it is one from `from` on; NUNITS: it is none. */
static unsigned take_unit(const char **text, unsigned from)
{
	const size_t len = strspn(*text, "dhms");

	for (unsigned i = from; i < NUNITS; i++)
		if (strlen(units[i].name) == len && !strncmp(*text, units[i].name, len)) {
			*text += len;
			return i;
		}
	return NUNITS;
}

/* The digits at *text, which is moved behind them; false: there are none, or they are too much. */
static bool take_digits(const char **text, uint64_t *ret)
{
	const char *begin = *text;

	for (*ret = 0; **text >= '0' && **text <= '9' && *ret <= LONGEST_MS; (*text)++)
		*ret = *ret * 10 + (uint64_t)(**text - '0');
	return *text > begin && *ret <= LONGEST_MS;
}

/* Seconds alone: 90, 0.5. What is less than a ms is none. */
static bool parse_seconds(const char *text, uint64_t *ret)
{
	uint64_t whole, ms = 0;

	if (!take_digits(&text, &whole))
		return false;
	if (*text == '.' && text[1]) {
		uint64_t part = SECOND_MS / 10;

		for (text++; *text >= '0' && *text <= '9'; text++, part /= 10)
			ms += part * (uint64_t)(*text - '0');
	}
	*ret = whole * SECOND_MS + ms;
	return !*text;
}

static bool parse_time(const char *text, uint64_t *ret)
{
	uint64_t total = 0, n;
	unsigned unit = 0;

	if (!text[strspn(text, "0123456789.")])
		return parse_seconds(text, ret);
	do {
		if (!take_digits(&text, &n) || (unit = take_unit(&text, unit)) == NUNITS)
			return false;
		total += n * units[unit++].ms;
	} while (*text && total <= LONGEST_MS);
	*ret = total;
	return !*text;
}

/* ---- All of it ---- */

/* A time that a message has as a limit. */
static const char *limit_text(uint64_t ms, char ret[32])
{
	const bool whole = ms % SECOND_MS == 0;

	snprintf(ret, 32, "%" PRIu64 "%s", whole ? ms / SECOND_MS : ms, whole ? "s" : "ms");
	return ret;
}

static void say_why(enum quantity quantity, const char *text, char why[QUANTITY_WHY_BYTES])
{
	const char *name = quantities[quantity].name;
	const uint64_t least = quantities[quantity].least, most = quantities[quantity].most;
	char limits[2][32];

	if (quantities[quantity].is_time)
		snprintf(why, QUANTITY_WHY_BYTES,
		         "%s: %.40s is no time from %s to %s, such as 90s, 15m or 1h30m", name,
		         *text ? text : "nothing", limit_text(least, limits[0]),
		         limit_text(most, limits[1]));
	else
		snprintf(why, QUANTITY_WHY_BYTES,
		         "%s: %.40s is no whole number from %" PRIu64 " to %" PRIu64, name,
		         *text ? text : "nothing", least, most);
}

bool quantity_parse(enum quantity quantity, const char *text, uint64_t *ret,
                    char why[QUANTITY_WHY_BYTES])
{
	unsigned long number = 0;
	uint64_t n = 0;
	bool is;

	if (quantities[quantity].is_time) {
		is = parse_time(text, &n);
	} else {
		is = text_number(text, ULONG_MAX, &number);
		n = number;
	}
	if (is && n >= quantities[quantity].least && n <= quantities[quantity].most) {
		*ret = n;
		return true;
	}
	say_why(quantity, text, why);
	return false;
}
