/*
 * Reading the list of `check`.
 *
 * An item is a port or a range of ports, and words that say how these are checked (scripts.h). The
 * words are looked up once for an item, so that its ports have one script in common.
 */
#include "checks.h"

#include "scripts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct list {
	struct rules *rules;
	be16 ports[RULES_CHECKS_MAX];
	uint16_t scripts[RULES_CHECKS_MAX];
	unsigned n; /* may be more than there is room for */
};

static bool is_same(const struct rules *rules, uint16_t a, uint16_t b)
{
	if (a == RULES_NO_SCRIPT || b == RULES_NO_SCRIPT)
		return a == b;
	return strcmp(rules->scripts[a].text, rules->scripts[b].text) == 0;
}

/* Where the port belongs that comes behind all of its like. */
static unsigned place_of(const struct list *list, be16 port)
{
	unsigned i = list->n;

	while (i && be16_get(list->ports[i - 1]) > be16_get(port))
		i--;
	return i;
}

static void add(struct list *list, be16 port, uint16_t script)
{
	unsigned at;

	for (unsigned i = 0; i < list->n && i < RULES_CHECKS_MAX; i++)
		if (be16_eq(list->ports[i], port) && is_same(list->rules, list->scripts[i], script))
			return;
	if (list->n >= RULES_CHECKS_MAX) {
		list->n++;
		return;
	}
	at = place_of(list, port);
	memmove(list->ports + at + 1, list->ports + at, (list->n - at) * sizeof(*list->ports));
	memmove(list->scripts + at + 1, list->scripts + at,
	        (list->n - at) * sizeof(*list->scripts));
	list->ports[at] = port;
	list->scripts[at] = script;
	list->n++;
}

/* How far the ports of an item reach: a range may have blanks around its hyphen. */
static size_t ports_len(const char *item)
{
	const char *rest = item + strcspn(item, " \t-");
	const char *hyphen = rest + strspn(rest, " \t");

	if (*hyphen != '-')
		return (size_t)(rest - item);
	hyphen++;
	hyphen += strspn(hyphen, " \t");
	return (size_t)(hyphen + strcspn(hyphen, " \t") - item);
}

static int add_item(struct value *value, struct list *list, char *item)
{
	const size_t len = ports_len(item);
	const char *words = item + len + strspn(item + len, " \t");
	uint16_t script = RULES_NO_SCRIPT;
	struct port_range range;
	int err;

	if (isdigit((unsigned char)*words) && !strpbrk(words, ".abcdefghijklmnopqrstuvwxyz"))
		return value_say_commas(value, item);
	if (*words && (err = scripts_find(value, list->rules, words, &script)))
		return err;
	item[len] = 0;
	if ((err = value_port_range(value, item, &range)))
		return err;
	for (uint32_t port = range.first; port <= range.last; port++)
		add(list, be16_from((uint16_t)port), script);
	return 0;
}

static char *strip(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	for (len = strlen(text); len && isblank((unsigned char)text[len - 1]);)
		text[--len] = 0;
	return text;
}

static int read_list(struct value *value, struct list *list)
{
	char text[VALUE_BYTES], *rest = text;
	int err = 0;

	if (strlen(value->text) >= sizeof(text))
		return value_wrong(value, value->text, "is too long");
	strcpy(text, value->text);
	while (rest && err == 0) {
		char *item = strip(strsep(&rest, ","));

		if (!*item && *value->text)
			return value_wrong(value, value->text, "has a comma too many");
		err = add_item(value, list, item);
	}
	if (err == 0 && list->n > RULES_CHECKS_MAX)
		return value_wrong(value, value->text, "is %u checks, but a server has at most %u",
		                   list->n, RULES_CHECKS_MAX);
	return err;
}

static int set(struct rules_farm *farm, const struct list *list)
{
	be16 *ports = calloc(list->n + 1, sizeof(*ports));
	uint16_t *scripts = calloc(list->n + 1, sizeof(*scripts));

	if (!ports || !scripts) {
		free(ports);
		free(scripts);
		return -ENOMEM;
	}
	memcpy(ports, list->ports, list->n * sizeof(*ports));
	memcpy(scripts, list->scripts, list->n * sizeof(*scripts));
	free(farm->checks);
	free(farm->scripts);
	farm->checks = ports;
	farm->scripts = scripts;
	farm->nchecks = list->n;
	return 0;
}

int value_checks(struct value *value, struct rules *rules, struct rules_farm *farm)
{
	struct list list = {.rules = rules};
	int err = 0;

	if (!value_is(value, "none"))
		err = read_list(value, &list);
	return err ? err : set(farm, &list);
}

void show_checks(struct shown *shown, const struct rules *rules, const struct rules_farm *farm)
{
	unsigned n;

	if (!farm->nchecks)
		show_text(shown, "none");
	for (unsigned i = 0; i < farm->nchecks; i += n) {
		const struct script *script = rules_script(rules, farm, i);

		/* plain ones that follow each other are a range, if they are one */
		for (n = 1; !script && i + n < farm->nchecks && !rules_script(rules, farm, i + n);)
			n++;
		show_ports(shown, farm->checks + i, n);
		if (!script)
			continue;
		show_text(shown, " ");
		show_text(shown, script->text);
	}
}
