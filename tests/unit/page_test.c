/*
 * What is written about lb.ini, in its man page and in cfg/README.md, against the tables of its
 * keys.
 *
 * In the man page each key is an item of its section's list, and says after its meaning, in this
 * order and form: "Values: 1 to 64, auto.", "Default:" with a literal below, or "Default: none.",
 * and "Example:" with one below. In cfg/README.md it is a row of its section's table, the default
 * last.
 */
#include "suites.h"

#include "../../cfg/keys.h"

#include <stdio.h>
#include <stdlib.h>

enum { ENTRIES_MAX = 100, FIELD_BYTES = 256 };

/* A key as a document has it. */
struct entry {
	enum section section;
	char name[FIELD_BYTES], values[FIELD_BYTES], otherwise[FIELD_BYTES], example[FIELD_BYTES];
	bool is_literal; /* the default */
};

static struct entry entries[ENTRIES_MAX];
static unsigned nentries;

/* The next line without its line feed; false at the end. */
static bool next_line(FILE *file, char line[FIELD_BYTES * 4])
{
	if (!fgets(line, FIELD_BYTES * 4, file))
		return false;
	line[strcspn(line, "\n")] = 0;
	return true;
}

/* What stands behind head in line, copied without a dot at its end; or false. */
static bool take(const char *line, const char *head, char ret[FIELD_BYTES])
{
	size_t len = strlen(head);

	if (strncmp(line, head, len))
		return false;
	len = strnlen(line + len, FIELD_BYTES - 1);
	memcpy(ret, line + strlen(head), len);
	ret[len] = 0;
	if (len && ret[len - 1] == '.')
		ret[len - 1] = 0;
	return true;
}

/* The section whose keys begin with this line of the man page, or -1. */
static int page_section(const char *line)
{
	static const char *const heads[] = {
	        [SECTION_BRIDGE] = ".Sh BRIDGE KEYS", [SECTION_FARM] = ".Sh FARM KEYS",
	        [SECTION_SERVER] = ".Sh SERVER KEYS", [SECTION_CHECK] = ".Sh CHECK KEYS",
	        [SECTION_FILTER] = ".Sh FILTER KEYS",
	};

	for (int i = 0; i < SECTIONS; i++)
		if (strcmp(line, heads[i]) == 0)
			return i;
	return -1;
}

/* A backslash is \\e in a man page. */
static void unescape(char *text)
{
	for (char *at = text; (at = strstr(at, "\\e")); at++)
		memmove(at + 1, at + 2, strlen(at + 2) + 1);
}

static void page_line(struct entry *entry, const char *line, const char *before)
{
	char literal[FIELD_BYTES];

	if (take(line, "Values: ", entry->values) || take(line, "Default: ", entry->otherwise) ||
	    !take(line, ".Ql ", literal))
		return;
	unescape(literal);
	if (strcmp(before, "Default:") == 0) {
		strcpy(entry->otherwise, literal);
		entry->is_literal = true;
	} else if (strcmp(before, "Example:") == 0) {
		strcpy(entry->example, literal);
	}
}

static void read_page(void)
{
	FILE *file = fopen("cfg/lb.ini.5", "r");
	char line[FIELD_BYTES * 4], before[FIELD_BYTES * 4] = "";
	int section = -1;

	ck_assert_ptr_nonnull(file);
	nentries = 0;
	for (; next_line(file, line); strcpy(before, line)) {
		if (strncmp(line, ".Sh ", 4) == 0)
			section = page_section(line);
		else if (section < 0)
			continue;
		else if (strncmp(line, ".It Cm ", 7) == 0) {
			ck_assert_uint_lt(nentries, ENTRIES_MAX);
			entries[nentries] = (struct entry){.section = (enum section)section};
			take(line, ".It Cm ", entries[nentries++].name);
		} else if (nentries)
			page_line(&entries[nentries - 1], line, before);
	}
	fclose(file);
}

/* The section whose table stands under this line of cfg/README.md, or -1. */
static int readme_section(const char *line)
{
	char head[FIELD_BYTES];

	for (int i = 0; i < SECTIONS; i++) {
		snprintf(head, sizeof(head), "### `[%s%s]`", section_name((enum section)i),
		         i == SECTION_BRIDGE ? "" : " NAME");
		if (strcmp(line, head) == 0)
			return i;
	}
	return -1;
}

static void readme_row(struct entry *entry, char *line)
{
	char *end = strrchr(line, '|'), *begin;

	snprintf(entry->name, FIELD_BYTES, "%.*s", (int)strcspn(line + 3, "`"), line + 3);
	*end = 0;
	begin = strrchr(line, '|') + 2;
	begin[strlen(begin) - 1] = 0;
	if (*begin == '`')
		snprintf(entry->otherwise, FIELD_BYTES, "%.*s", (int)strcspn(begin + 1, "`"),
		         begin + 1);
	else
		take(begin, "", entry->otherwise);
}

static void read_readme(void)
{
	FILE *file = fopen("cfg/README.md", "r");
	char line[FIELD_BYTES * 4];
	int section = -1;

	ck_assert_ptr_nonnull(file);
	nentries = 0;
	while (next_line(file, line)) {
		if (*line == '#')
			section = readme_section(line);
		/* the farm's section has tables of other words behind that of its keys */
		else if (strncmp(line, "`preset", 7) == 0)
			section = -1;
		else if (section >= 0 && strncmp(line, "| `", 3) == 0) {
			ck_assert_uint_lt(nentries, ENTRIES_MAX);
			entries[nentries] = (struct entry){.section = (enum section)section};
			readme_row(&entries[nentries++], line);
		}
	}
	fclose(file);
}

/* ---- each key once, and nothing else ---- */

static void each_key_once(void)
{
	for (unsigned section = 0; section < SECTIONS; section++) {
		const struct key *keys = section_keys((enum section)section);

		for (unsigned k = 0; keys[k].name; k++) {
			unsigned n = 0;

			for (unsigned i = 0; i < nentries; i++)
				n += entries[i].section == section &&
				     strcmp(entries[i].name, keys[k].name) == 0;
			ck_assert_msg(n == 1, "[%s] %s is there %u times",
			              section_name((enum section)section), keys[k].name, n);
		}
	}
	for (unsigned i = 0; i < nentries; i++)
		ck_assert_msg(section_find_key(entries[i].section, entries[i].name) >= 0,
		              "[%s] has no key %s", section_name(entries[i].section),
		              entries[i].name);
}

static const struct key *key_of(const struct entry *entry)
{
	return &section_keys(entry->section)[section_find_key(entry->section, entry->name)];
}

/* ---- values ---- */

static struct shown shown; /* what is shown of the key that took a value last */

/* Whether the key takes the value; *ret_why is why not. In a farm called web, a check banner. */
static bool takes(const struct entry *entry, const char *text, char ret_why[VALUE_WHY_BYTES])
{
	struct rules *rules = calloc(1, sizeof(*rules));
	struct value value = {.text = text};
	struct target target = {.rules = rules};
	int ret;

	rules->farms = calloc(1, sizeof(*rules->farms));
	rules->servers = calloc(1, sizeof(*rules->servers));
	rules->scripts = calloc(1, sizeof(*rules->scripts));
	rules->scripts[0] = (struct script){.text = strdup("banner"), .is_section = true};
	rules->filters = calloc(1, sizeof(*rules->filters));
	rules->nfarms = rules->nservers = rules->nscripts = rules->nfilters = 1;
	strcpy(rules->farms[0].name, "web");
	target.farm = rules->farms;
	target.server = rules->servers;
	target.script = rules->scripts;
	target.filter = rules->filters;
	ret = key_of(entry)->set(&target, &value);
	strcpy(ret_why, value.why);
	shown = (struct shown){.used = 0};
	if (ret == 0)
		key_of(entry)->show(&target, &shown);
	rules_free(rules);
	return ret == 0;
}

/* "1 to 64": both, and nothing beyond. */
static void check_bounds(const struct entry *entry, const char *first, const char *last)
{
	struct value low = {.text = first}, high = {.text = last};
	uint32_t min, max;
	const char *unit = "";
	char text[FIELD_BYTES], why[VALUE_WHY_BYTES];

	ck_assert_msg(takes(entry, first, why), "%s: %s", entry->name, why);
	ck_assert_msg(takes(entry, last, why), "%s: %s", entry->name, why);
	if (!value_read_number(first, 0, UINT32_MAX, &min) ||
	    !value_read_number(last, 0, UINT32_MAX, &max)) {
		unit = "ms";
		ck_assert_int_eq(value_duration(&low, 0, UINT32_MAX, &min), 0);
		ck_assert_int_eq(value_duration(&high, 0, UINT32_MAX, &max), 0);
	}
	snprintf(text, sizeof(text), "%u%s", max + 1, unit);
	ck_assert_msg(!takes(entry, text, why), "%s takes %s", entry->name, text);
	snprintf(text, sizeof(text), "%u%s", min - 1, unit);
	ck_assert_msg(!min || !takes(entry, text, why), "%s takes %s", entry->name, text);
}

static void check_values(const struct entry *entry)
{
	char values[FIELD_BYTES], why[VALUE_WHY_BYTES], *rest = values, *item;
	const char *words;

	ck_assert_msg(*entry->values, "%s: no values", entry->name);
	if (!takes(entry, "?", why) && (words = strstr(why, "is not one of: ")))
		ck_assert_str_eq(entry->values, words + strlen("is not one of: "));
	strcpy(values, entry->values);
	while ((item = strsep(&rest, ","))) {
		char *to = strstr(item, " to ");

		item += *item == ' ';
		if (to) {
			*to = 0;
			check_bounds(entry, item, to + strlen(" to "));
		} else if (strncmp(item, "a ", 2) && strncmp(item, "an ", 3)) {
			ck_assert_msg(takes(entry, item, why), "%s: %s", entry->name, why);
		}
	}
}

START_TEST(the_man_page_has_each_key)
{
	read_page();
	each_key_once();
}
END_TEST

START_TEST(the_man_page_has_the_defaults)
{
	read_page();
	for (unsigned i = 0; i < nentries; i++) {
		const char *otherwise = key_of(&entries[i])->otherwise;

		ck_assert_msg(*entries[i].otherwise, "%s: no default", entries[i].name);
		ck_assert_msg(entries[i].is_literal == (otherwise != NULL) &&
		                      (!otherwise || !strcmp(entries[i].otherwise, otherwise)),
		              "%s: %s, but it is %s", entries[i].name, entries[i].otherwise,
		              otherwise ? otherwise : "no literal");
	}
}
END_TEST

START_TEST(the_man_page_has_values_and_examples_that_are_taken)
{
	char why[VALUE_WHY_BYTES], head[FIELD_BYTES], value[FIELD_BYTES];

	read_page();
	for (unsigned i = 0; i < nentries; i++) {
		check_values(&entries[i]);
		snprintf(head, sizeof(head), "%s = ", entries[i].name);
		ck_assert_msg(take(entries[i].example, head, value), "%s: no example",
		              entries[i].name);
		ck_assert_msg(takes(&entries[i], value, why), "%s: %s", entries[i].name, why);
		/* of a preset only what it stands for is kept */
		if (key_of(&entries[i])->set != section_keys(SECTION_FARM)[0].set)
			ck_assert_str_eq(shown.text, value);
	}
}
END_TEST

START_TEST(the_readme_has_each_key_and_default)
{
	read_readme();
	each_key_once();
	for (unsigned i = 0; i < nentries; i++) {
		const char *otherwise = key_of(&entries[i])->otherwise;

		ck_assert_msg(!otherwise || !strcmp(entries[i].otherwise, otherwise),
		              "%s: %s, but it is %s", entries[i].name, entries[i].otherwise,
		              otherwise);
	}
}
END_TEST

Suite *page_suite(void)
{
	const TTest *const tests[] = {the_man_page_has_each_key, the_man_page_has_the_defaults,
	                              the_man_page_has_values_and_examples_that_are_taken,
	                              the_readme_has_each_key_and_default, NULL};

	return suite_of("page", tests);
}
