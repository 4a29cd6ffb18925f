/*
 * Presets of checks.
 *
 * A preset is data: a row of what is sent and what is expected, as a [check NAME] could have it
 * (bytes.h), but for what its arguments put in:
 *
 *     $P      the path
 *     $N      the name
 *     $<HHHH> the length of the name, and HHHH more, as two bytes in network order
 *
 * An argument is a path if it begins with a slash, numbers if it is "200" or "200-399", else a
 * name; so they may stand in any order.
 */
#include "scripts.h"

#include "bytes.h"
#include "nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TAKES_PATH = 1, TAKES_NAME = 2, TAKES_NUMBERS = 4 };

enum {
	TEMPLATE_BYTES = 2048, /* what a template comes to, as text */
	NAME_MAX_BYTES = 200,
};

struct preset {
	const char *word;
	unsigned takes;
	const char *send, *expect;             /* without a name */
	const char *send_named, *expect_named; /* with one; NULL: the same */
	uint16_t low, high;                    /* numbers, unless others are given */
	enum script_where where;
};

/*
 * A ClientHello (RFC 8446, 4.1.2) that servers of TLS 1.0 to 1.3 answer by a ServerHello or, as it
 * has no key share, by a HelloRetryRequest, which is cheap. With a name it has the extension
 * server_name (RFC 6066, 3).
 */
#define TLS_HEAD                                                                                   \
	"\\{03 03}tmbridge asks whether TLS is on."                                                \
	"\\{00 00 28 13 01 13 02 13 03 c0 2f c0 30 c0 2b c0 2c cc a8 cc a9 c0 13 c0 14 c0 09 "     \
	"c0 0a 00 9c 00 9d 00 2f 00 35 00 3c 00 0a 00 05 01 00}"
#define TLS_TAIL                                                                                   \
	"\\{00 0a 00 08 00 06 00 1d 00 17 00 18 00 0b 00 02 01 00 "                                \
	"00 0d 00 18 00 16 04 03 05 03 06 03 08 04 08 05 08 06 04 01 05 01 06 01 02 03 02 01 "     \
	"00 2b 00 09 08 03 04 03 03 03 02 03 01 00 33 00 02 00 00 00 17 00 00 ff 01 00 01 00}"

static const struct preset presets[] = {
        {.word = "tls",
         .takes = TAKES_NAME,
         .send = "\\{16 03 01 00 9f 01 00 00 9b}" TLS_HEAD "\\{00 4a}" TLS_TAIL,
         .send_named = "\\{16 03 01}$<00a8>\\{01 00}$<00a4>" TLS_HEAD
                       "$<0053>\\{00 00}$<0005>$<0003>\\{00}$<0000>$N" TLS_TAIL,
         .expect = "\\{16 03}\\?\\?\\?\\{02}"},
        {.word = "http",
         .takes = TAKES_PATH | TAKES_NAME | TAKES_NUMBERS,
         .send = "GET $P HTTP/1.0\\r\\nUser-Agent: tmbridge\\r\\nAccept: */*\\r\\n\\r\\n",
         .send_named = "GET $P HTTP/1.1\\r\\nHost: $N\\r\\nUser-Agent: tmbridge\\r\\n"
                       "Accept: */*\\r\\nConnection: close\\r\\n\\r\\n",
         .expect = "HTTP/1.\\? ",
         .low = 200,
         .high = 399},
        /* RFC 5321, 4.3.1; nothing is said, as who speaks first is taken for a spammer */
        {.word = "smtp", .expect = "220"},
        /* a search for the rootDSE, no attributes (RFC 4511, 4.5.1; RFC 4512, 5.1): an entry */
        {.word = "ldap",
         .send = "\\{30 2a 02 01 01 63 25 04 00 0a 01 00 0a 01 00 02 01 00 02 01 00 01 01 00 "
                 "87 0b}objectClass\\{30 05 04 03}1.1",
         .expect = "\\{02 01 01 64}",
         .where = SCRIPT_ANYWHERE},
        /* RFC 3261, 11: whoever answers, but 5xx and 6xx, is there */
        {.word = "sip",
         .takes = TAKES_NAME | TAKES_NUMBERS,
         .send = "OPTIONS sip:check.invalid SIP/2.0\\r\\n"
                 "Via: SIP/2.0/TCP check.invalid\\x3bbranch=z9hG4bKtmbridge\\r\\n"
                 "Max-Forwards: 0\\r\\nFrom: <sip:tmbridge@check.invalid>\\x3btag=1\\r\\n"
                 "To: <sip:check.invalid>\\r\\nCall-ID: tmbridge@check.invalid\\r\\n"
                 "CSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n",
         .send_named = "OPTIONS sip:$N SIP/2.0\\r\\n"
                       "Via: SIP/2.0/TCP $N\\x3bbranch=z9hG4bKtmbridge\\r\\n"
                       "Max-Forwards: 0\\r\\nFrom: <sip:$N>\\x3btag=1\\r\\n"
                       "To: <sip:$N>\\r\\nCall-ID: tmbridge\\r\\n"
                       "CSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n",
         .expect = "SIP/2.0 ",
         .low = 200,
         .high = 499},
        /* bind to the endpoint mapper (C706, 12.6.4.3 and appendix O): bind_ack */
        {.word = "rpc",
         .send = "\\{05 00 0b 03 10 00 00 00 48 00 00 00 01 00 00 00 b8 16 b8 16 00 00 00 00 "
                 "01 00 00 00 00 00 01 00 08 83 af e1 1f 5d c9 11 91 a4 08 00 2b 14 a0 fa "
                 "03 00 00 00 04 5d 88 8a eb 1c c9 11 9f e8 08 00 2b 10 48 60 02 00 00 00}",
         .expect = "\\{05 00 0c}"},
        /* PRELOGIN (MS-TDS, 2.2.6.5): its answer */
        {.word = "mssql",
         .send = "\\{12 01 00 29 00 00 01 00 00 00 15 00 06 01 00 1b 00 01 02 00 1c 00 01 "
                 "03 00 1d 00 04 ff 0b 00 0c 38 00 00 02 00 00 00 00 00}",
         .expect = "\\{04 01}"},
        {.word = "redis", .send = "PING\\r\\n", .expect = "+PONG"},
        /* SSLRequest: S or N; with a user's name StartupMessage: a request to authenticate */
        {.word = "pgsql",
         .takes = TAKES_NAME,
         .send = "\\{00 00 00 08 04 d2 16 2f}",
         .expect = "\\m42e2",
         .send_named = "\\{00 00}$<000f>\\{00 03 00 00}user\\{00}$N\\{00 00}",
         .expect_named = "R"},
};

enum { PRESETS = sizeof(presets) / sizeof(presets[0]) };

static const struct preset *preset_of(const char *word)
{
	for (unsigned i = 0; i < PRESETS; i++)
		if (strcasecmp(presets[i].word, word) == 0)
			return &presets[i];
	return NULL;
}

bool scripts_is_preset(const char *word)
{
	return preset_of(word);
}

/* ---- what is sent, and what is expected ---- */

static uint8_t *copy(const uint8_t *bytes, unsigned n)
{
	uint8_t *ret = malloc(n ? n : 1);

	if (ret)
		memcpy(ret, bytes, n);
	return ret;
}

int scripts_set_send(struct value *value, const char *text, struct script *script)
{
	uint8_t at[SCRIPT_SEND_MAX];
	struct bytes bytes = {.at = at, .max = sizeof(at)};
	int err = bytes_read(value, text, &bytes);

	if (err)
		return err;
	free(script->send);
	script->send = copy(at, bytes.n);
	script->nsend = (uint16_t)(script->send ? bytes.n : 0);
	return script->send ? 0 : -ENOMEM;
}

int scripts_set_expect(struct value *value, const char *text, struct script *script)
{
	uint8_t at[SCRIPT_EXPECT_MAX], mask[SCRIPT_EXPECT_MAX];
	struct bytes bytes = {.at = at, .mask = mask, .max = sizeof(at)};
	int err = bytes_read(value, text, &bytes);

	if (err)
		return err;
	if (!bytes.n)
		return value_wrong(value, "", "is what any server answers");
	free(script->expect);
	free(script->mask);
	script->expect = copy(at, bytes.n);
	script->mask = copy(mask, bytes.n);
	script->nexpect = (uint16_t)(script->expect && script->mask ? bytes.n : 0);
	return script->nexpect ? 0 : -ENOMEM;
}

int scripts_read_numbers(struct value *value, const char *text, uint16_t *ret_low,
                         uint16_t *ret_high)
{
	const char *hyphen = strchr(text, '-');
	char first[16];
	uint32_t low, high;

	snprintf(first, sizeof(first), "%.*s", (int)(hyphen ? hyphen - text : 15), text);
	if (!value_read_number(first, 0, UINT16_MAX, &low) ||
	    !value_read_number(hyphen ? hyphen + 1 : first, 1, UINT16_MAX, &high) || low > high)
		return value_wrong(value, text,
		                   "is not numbers such as 200 or 200-399, at most 65535");
	*ret_low = (uint16_t)low;
	*ret_high = (uint16_t)high;
	return 0;
}

/* ---- arguments ---- */

struct arguments {
	char path[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];
	uint16_t low, high;
};

static int say_arguments(struct value *value, const struct preset *preset, const char *argument)
{
	char takes[128] = "";

	snprintf(takes, sizeof(takes), "%s%s%s%s", preset->takes ? "" : ", nothing",
	         preset->takes & TAKES_PATH ? ", a path such as /health" : "",
	         preset->takes & TAKES_NAME ? ", a name" : "",
	         preset->takes & TAKES_NUMBERS ? ", numbers such as 200-399" : "");
	return value_wrong(value, argument, "is too much for %s, which takes, each once: %s",
	                   preset->word, takes + 2);
}

static bool is_name(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(".-_:[]@", *text))
			return false;
	return true;
}

static int take_argument(struct value *value, const struct preset *preset, const char *argument,
                         struct arguments *ret)
{
	unsigned kind = TAKES_NAME;

	if (*argument == '/')
		kind = TAKES_PATH;
	else if (!argument[strspn(argument, "0123456789-")])
		kind = TAKES_NUMBERS;
	if (!(preset->takes & kind) || (kind == TAKES_PATH && *ret->path) ||
	    (kind == TAKES_NAME && *ret->name) || (kind == TAKES_NUMBERS && ret->high))
		return say_arguments(value, preset, argument);
	if (kind == TAKES_NUMBERS)
		return scripts_read_numbers(value, argument, &ret->low, &ret->high);
	if (strlen(argument) > NAME_MAX_BYTES)
		return value_wrong(value, argument, "is longer than %u bytes", NAME_MAX_BYTES);
	if (kind == TAKES_NAME && !is_name(argument))
		return value_wrong(value, argument, "is not a name such as www.example.com");
	strcpy(kind == TAKES_PATH ? ret->path : ret->name, argument);
	return 0;
}

/* Takes the words behind the first one of text, in place. */
static int take_arguments(struct value *value, const struct preset *preset, char *text,
                          struct arguments *ret)
{
	char *word;
	int err = 0;

	*ret = (struct arguments){.low = 0};
	while (err == 0 && (word = strsep(&text, " \t")))
		if (*word)
			err = take_argument(value, preset, word, ret);
	return err;
}

/* ---- making one ---- */

/* Adds what the template comes to; all of it fits, as names and paths are short. */
static void fill_in(const char *template, const struct arguments *arguments,
                    char ret[TEMPLATE_BYTES])
{
	const char *path = *arguments->path ? arguments->path : "/";
	size_t used = 0;

	while (*template) {
		unsigned more;

		if (sscanf(template, "$<%4x>", &more) == 1) {
			more += (unsigned)strlen(arguments->name);
			used += (size_t)sprintf(ret + used, "\\{%02x %02x}", more >> 8,
			                        more & 0xff);
			template += strlen("$<HHHH>");
		} else if (*template == '$') {
			used += (size_t)sprintf(ret + used, "%s",
			                        template[1] == 'P' ? path : arguments->name);
			template += 2;
		} else {
			ret[used++] = *template ++;
		}
	}
	ret[used] = 0;
}

static int make(struct value *value, const struct preset *preset, const struct arguments *arguments,
                struct script *ret)
{
	const bool named = *arguments->name;
	const char *send = named ? preset->send_named : preset->send;
	const char *expect = named && preset->expect_named ? preset->expect_named : preset->expect;
	char text[TEMPLATE_BYTES];
	int err = 0;

	if (send) {
		fill_in(send, arguments, text);
		err = scripts_set_send(value, text, ret);
	}
	if (err == 0)
		err = scripts_set_expect(value, expect, ret);
	ret->where = (uint8_t)preset->where;
	ret->low = arguments->high ? arguments->low : preset->low;
	ret->high = arguments->high ? arguments->high : preset->high;
	return err;
}

/* A place for another one, or NULL. */
static struct script *grow(struct rules *rules)
{
	struct script *scripts = rules->scripts;
	const unsigned n = rules->nscripts;

	/* there is room for 1, 2, 4...: it runs out whenever n is a power of two */
	if ((n & (n - 1)) == 0)
		scripts = realloc(scripts, (n ? 2 * n : 1) * sizeof(*scripts));
	if (!scripts)
		return NULL;
	rules->scripts = scripts;
	scripts[n] = (struct script){.text = NULL};
	rules->nscripts++;
	return &scripts[n];
}

int scripts_add_section(struct rules *rules, const char *name)
{
	struct script *script = grow(rules);

	if (!script || !(script->text = strdup(name)))
		return -ENOMEM;
	script->is_section = true;
	return 0;
}

/* text's words with one blank between them. */
static char *tidy(const char *text)
{
	char *ret = malloc(strlen(text) + 1), *to = ret;

	for (; ret && *text; text++)
		if (!isblank((unsigned char)*text) || (text[1] && !isblank((unsigned char)text[1])))
			*to++ = isblank((unsigned char)*text) ? ' ' : *text;
	if (ret)
		*to = 0;
	return ret;
}

static int add(struct value *value, struct rules *rules, const struct preset *preset,
               const char *text, uint16_t *ret_script)
{
	char words[VALUE_BYTES];
	struct arguments arguments;
	struct script *script;
	int err;

	strcpy(words, text + strlen(preset->word));
	if ((err = take_arguments(value, preset, words, &arguments)))
		return err;
	if (!(script = grow(rules)) || !(script->text = tidy(text)))
		return -ENOMEM;
	memcpy(script->text, preset->word, strlen(preset->word));
	*ret_script = (uint16_t)(script - rules->scripts);
	return make(value, preset, &arguments, script);
}

static int say_unknown(struct value *value, const struct rules *rules, const char *word)
{
	struct nearest nearest = {.word = word};
	char all[VALUE_WHY_BYTES / 2] = "";
	size_t used = 0;

	for (unsigned i = 0; i < PRESETS; i++) {
		nearest_offer(&nearest, presets[i].word);
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s, ", presets[i].word);
	}
	for (unsigned i = 0; i < rules->nscripts; i++)
		if (rules->scripts[i].is_section)
			nearest_offer(&nearest, rules->scripts[i].text);
	if (nearest_best(&nearest))
		return value_wrong(value, word, "is no check: did you mean `%s`?",
		                   nearest_best(&nearest));
	return value_wrong(value, word, "is no check: there are %sand [check NAME]s", all);
}

int scripts_find(struct value *value, struct rules *rules, const char *text, uint16_t *ret_script)
{
	const size_t len = strcspn(text, " \t");
	char word[VALUE_BYTES];

	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	if (preset_of(word))
		return add(value, rules, preset_of(word), text, ret_script);
	for (unsigned i = 0; i < rules->nscripts; i++) {
		if (!rules->scripts[i].is_section || strcasecmp(rules->scripts[i].text, word))
			continue;
		if (text[len])
			return value_wrong(value, text, "has something behind the check's name");
		*ret_script = (uint16_t)i;
		return 0;
	}
	return say_unknown(value, rules, word);
}
