/*
 * What lb.ini is made of.
 *
 * Here is decided, and nowhere else, what is a section and what a key: a line is blank, a comment,
 * a [section] or a key = value. iniparser reads the values, but it keeps no line numbers, and it
 * passes over in silence what is most likely a mistake: a section or key that comes twice, a key
 * outside of all sections, a comment that ends in a backslash and so swallows the next line. So it
 * is given only what was found right here (values.c), and never sees more keys than there can be.
 *
 * A line that is wrong is noted and left out. What follows from that is no mistake of its own: the
 * keys of a section that was refused are passed over, and a section of which a line was refused may
 * lack a key.
 *
 * Values are not looked at, apart from their quotes.
 */
#include "where.h"
#include "nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char name_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

static const unsigned section_max[] = {
        [SECTION_BRIDGE] = 1,
        [SECTION_FARM] = RULES_FARMS_MAX,
        [SECTION_SERVER] = RULES_SERVERS_MAX,
        [SECTION_CHECK] = RULES_NAMED_SCRIPTS_MAX,
        [SECTION_FILTER] = RULES_FILTERS_MAX,
};

static_assert(sizeof(section_max) / sizeof(section_max[0]) == SECTIONS, "a row for each section");

/* ---- messages ---- */

bool where_has(const struct where_section *section, const char *key)
{
	return section->key_line[section_find_key(section->section, key)] > 0;
}

bool where_is_right(const struct where_section *section, const char *key)
{
	return !section->wrong[section_find_key(section->section, key)];
}

unsigned where_line(const struct where_section *section, const char *key)
{
	if (!key || !where_has(section, key))
		return section->line;
	return section->key_line[section_find_key(section->section, key)];
}

static const char *colon(const char *key)
{
	return key ? ": " : "";
}

int where_error(const struct where *where, const struct where_section *section, const char *key,
                const char *fmt, ...)
{
	char text[NOTE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return note_error(where->notes, where_line(section, key), "[%s] %s%s%s", section->title,
	                  key ? key : "", colon(key), text);
}

void where_warning(const struct where *where, const struct where_section *section, const char *key,
                   const char *fmt, ...)
{
	char text[NOTE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note_warning(where->notes, where_line(section, key), "[%s] %s%s%s", section->title,
	             key ? key : "", colon(key), text);
}

/* ---- lines ---- */

/* Cuts the blanks off both ends of text, in place; returns its new beginning. */
static char *strip(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = 0;
	return text;
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

static struct where_section *current(struct where *where)
{
	return where->n ? &where->sections[where->n - 1] : NULL;
}

static int section_unknown(struct where *where, unsigned line, const char *kind, const char *name)
{
	struct nearest nearest = {.word = kind};
	const char *gap = *name ? " " : "";

	for (unsigned i = 0; i < SECTIONS; i++)
		nearest_offer(&nearest, section_name(i));
	if (nearest_best(&nearest))
		return note_error(where->notes, line,
		                  "unknown section [%s%s%s]: did you mean [%s%s%s]?", kind, gap,
		                  name, nearest_best(&nearest), gap, name);
	return note_error(
	        where->notes, line,
	        "unknown section [%s%s%s]: there are [bridge], [farm NAME], [server NAME], "
	        "[check NAME] and [filter NAME]",
	        kind, gap, name);
}

static int section_check_name(struct where *where, unsigned line, enum section section,
                              const char *name)
{
	static const char *const examples[SECTIONS] = {[SECTION_FARM] = "ocspool",
	                                               [SECTION_SERVER] = "ocsfe01",
	                                               [SECTION_CHECK] = "banner",
	                                               [SECTION_FILTER] = "office"};
	const char *kind = section_name(section);

	if (section == SECTION_BRIDGE && *name)
		return note_error(where->notes, line, "[bridge %s]: [bridge] has no name", name);
	if (section != SECTION_BRIDGE && !*name)
		return note_error(where->notes, line, "[%s] needs a name, such as [%s %s]", kind,
		                  kind, examples[section]);
	if (name[strspn(name, name_letters)] || strlen(name) >= RULES_NAME_BYTES)
		return note_error(where->notes, line,
		                  "[%s %s]: a name has only letters, digits, dots, underscores and "
		                  "hyphens, at most %d",
		                  kind, name, RULES_NAME_BYTES - 1);
	return 0;
}

static int section_check_new(struct where *where, unsigned line, enum section section,
                             const char *name)
{
	const struct where_section *twin = where_find(where, section, name);

	if (twin)
		return note_error(where->notes, line, "[%s] is there twice: first in line %u",
		                  twin->title, twin->line);
	if (where->count[section] == section_max[section])
		return note_error(where->notes, line, "more than %u [%s NAME] sections",
		                  section_max[section], section_name(section));
	return 0;
}

static void make_title(char *ret, size_t size, enum section section, const char *name)
{
	snprintf(ret, size, "%s%s%s", section_name(section), *name ? " " : "", name);
}

/* Adds a section; its name has been checked, and so fits. */
static int section_add(struct where *where, unsigned line, enum section section, const char *name)
{
	size_t size = (where->n + 1) * sizeof(struct where_section);
	struct where_section *sections = where->sections, *added;

	/* There is room for 2, 4, 8...: it runs out whenever n + 1 is a power of two. */
	if ((where->n & (where->n + 1)) == 0)
		sections = realloc(sections, 2 * size);
	if (!sections)
		return -ENOMEM;
	where->sections = sections;
	added = &sections[where->n++];
	*added = (struct where_section){.section = section, .line = line};
	make_title(added->title, sizeof(added->title), section, name);
	where->count[section]++;
	return 0;
}

/* The section called kind, or SECTIONS. */
static unsigned section_of_kind(const char *kind)
{
	unsigned section = 0;

	while (section < SECTIONS && strcmp(section_name(section), kind))
		section++;
	return section;
}

/* Takes "[kind name]" apart, in place: false if that isn't what it is. */
static bool split_title(char *text, char **ret_kind, char **ret_name)
{
	char *end = strchr(text, ']');

	if (!end || end[1])
		return false;
	*end = 0;
	*ret_kind = strip(text + 1);
	lower(*ret_kind);
	*ret_name = *ret_kind + strcspn(*ret_kind, " \t");
	if (**ret_name) {
		**ret_name = 0;
		*ret_name = strip(*ret_name + 1);
	}
	return true;
}

/* text is stripped, and begins with a bracket. Returns -EINVAL if the section is refused. */
static int scan_section(struct where *where, struct values *values, unsigned line, char *text)
{
	char *kind, *name;
	unsigned section;
	int ret;

	if (!split_title(text, &kind, &name))
		return note_error(where->notes, line,
		                  "a section is a line of its own, such as [farm ocspool]");
	section = section_of_kind(kind);
	if (section == SECTIONS)
		return section_unknown(where, line, kind, name);
	ret = section_check_name(where, line, section, name);
	if (ret == 0)
		ret = section_check_new(where, line, section, name);
	if (ret == 0)
		ret = section_add(where, line, section, name);
	if (ret == 0)
		values_add_section(values, current(where)->title);
	return ret;
}

static int key_unknown(const struct where *where, unsigned line, const struct where_section *in,
                       const char *name)
{
	const struct key *keys = section_keys(in->section);
	struct nearest nearest = {.word = name};
	char all[NOTE_BYTES / 2] = "";
	size_t used = 0;

	if (keys_elsewhere(name, all, sizeof(all)))
		return note_error(where->notes, line, "[%s] `%s` is a key of other sections:%s",
		                  in->title, name, all);
	for (unsigned i = 0; keys[i].name; i++) {
		nearest_offer(&nearest, keys[i].name);
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
			                         i ? ", " : "", keys[i].name);
	}
	if (nearest_best(&nearest))
		return note_error(where->notes, line, "[%s] unknown key `%s`: did you mean `%s`?",
		                  in->title, name, nearest_best(&nearest));
	return note_error(where->notes, line, "[%s] unknown key `%.40s`: there are %s", in->title,
	                  name, all);
}

/* Whether text, what follows the equals sign, has no quote or a pair with nothing behind it. */
static bool quotes_pair(const char *text)
{
	const char *end;

	text += strspn(text, " \t");
	if (*text != '"' && *text != '\'')
		return true;
	end = strchr(text + 1, *text);
	if (!end)
		return false;
	end += 1 + strspn(end + 1, " \t");
	return !*end || *end == ';' || *end == '#';
}

/* The comment in what follows the equals sign, if it stands between other characters: it may have
 * been meant as a part of the value. NULL if there is none. */
static const char *hidden_comment(const char *text)
{
	const char *comment;

	text += strspn(text, " \t");
	if (*text == '"' || *text == '\'')
		return NULL;
	comment = text + strcspn(text, ";#");
	return *comment && comment > text && !isblank((unsigned char)comment[-1]) && comment[1] &&
	                       !isblank((unsigned char)comment[1])
	               ? comment
	               : NULL;
}

static bool is_key(const struct where_section *in, const char *name, size_t len)
{
	char word[WHERE_LINE_BYTES_MAX + 1];

	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	lower(word);
	return in && section_find_key(in->section, word) >= 0;
}

/* Notes that the line is no key. Those who know other files may write "vip: 10.0.0.40" or "vip
 * 10.0.0.40": then it says what is missing. */
static int no_key(const struct where *where, unsigned line, const struct where_section *in,
                  const char *text)
{
	int name = (int)strcspn(text, ": \t=;#");
	const char *value = text + name + strspn(text + name, ": \t");
	bool is_meant = text[name] == ':' || is_key(in, text, (size_t)name);

	if (!name || !is_meant || *value == '=')
		return note_error(where->notes, line,
		                  "is not a [section], a key = value, nor a ; comment");
	return note_error(where->notes, line,
	                  "between a key and its value stands an equals sign: %.*s = %.*s", name,
	                  text, (int)strcspn(value, ";#"), value);
}

/* Returns -EINVAL if the key is refused; a section that isn't known (NULL) may have any. */
static int scan_key(struct where *where, struct values *values, unsigned line,
                    struct where_section *in, char *text)
{
	size_t name_len = strcspn(text, "=;#");
	char assignment[WHERE_LINE_BYTES_MAX + 1];
	const char *comment;
	int key;

	if (name_len == 0 || text[name_len] != '=' || memchr(text, ':', name_len))
		return no_key(where, line, in, text);
	strcpy(assignment, text + name_len);
	text[name_len] = 0;
	strip(text);
	lower(text);
	if (!in)
		return where->refused ? 0
		                      : note_error(where->notes, line,
		                                   "`%s` stands before the first [section]", text);
	key = section_find_key(in->section, text);
	if (key < 0)
		return key_unknown(where, line, in, text);
	if (in->key_line[key])
		return note_error(where->notes, line, "[%s] %s: is there twice: first in line %u",
		                  in->title, text, in->key_line[key]);
	in->key_line[key] = line;
	values_add_key(values, text, assignment);
	comment = hidden_comment(assignment + 1);
	if (comment)
		where_warning(where, in, text,
		              "%.40s is a comment, and not read: a list has commas, and in quotes "
		              "it is part of the value",
		              comment);
	if (quotes_pair(assignment + 1))
		return 0;
	in->wrong[key] = true;
	return where_error(where, in, text, "a quoted value ends with the same quote");
}

/* What keeps a line from being a line of text that iniparser and this scan read alike. */
static int line_check(struct where *where, unsigned line, const char *bytes, size_t len)
{
	if (len > WHERE_LINE_BYTES_MAX)
		return note_error(where->notes, line, "%zu bytes: a line has at most %d", len,
		                  WHERE_LINE_BYTES_MAX);
	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
		return note_error(where->notes, line,
		                  "a byte order mark: save the file as UTF-8 without one");
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return note_error(where->notes, line,
			                  "byte 0x%02x: this is not a text file", byte);
	}
	return 0;
}

/* Where a scan is. */
struct scan {
	struct where *where;
	struct values *values;
	unsigned line;
	struct where_section *in; /* what it is in: NULL if it isn't known */
	bool joined;              /* the line before was meant to go on in this one */
};

static bool is_comment(const char *text)
{
	return *text == ';' || *text == '#';
}

/* text is stripped. Returns -EINVAL if it is refused. */
static int scan_text(struct scan *scan, char *text)
{
	struct where *where = scan->where;
	bool joined = scan->joined, joins = text[strlen(text) - 1] == '\\';
	int ret;

	scan->joined = joins && !is_comment(text);
	if (joins)
		return note_error(where->notes, scan->line,
		                  "ends with a backslash, which would join the next line to it");
	if (is_comment(text) || (joined && *text != '['))
		return 0;
	if (*text != '[')
		return scan_key(where, scan->values, scan->line, scan->in, text);
	ret = scan_section(where, scan->values, scan->line, text);
	scan->in = ret ? NULL : current(where);
	return ret;
}

/*
 * Whether a line that was refused was to begin a section: what follows is none of the one before.
 */
static bool begins_section(const char *bytes, size_t len)
{
	while (len && (*bytes == ' ' || *bytes == '\t')) {
		bytes++;
		len--;
	}
	return len && *bytes == '[';
}

/* bytes is a line without its line feed. Fails only for lack of memory. */
static int scan_line(struct scan *scan, const char *bytes, size_t len)
{
	char buf[WHERE_LINE_BYTES_MAX + 1], *text;
	int ret;

	if (len && bytes[len - 1] == '\r')
		len--;
	ret = line_check(scan->where, scan->line, bytes, len);
	if (ret == 0) {
		memcpy(buf, bytes, len);
		buf[len] = 0;
		text = strip(buf);
		ret = *text ? scan_text(scan, text) : 0;
	}
	if (ret == -EINVAL && begins_section(bytes, len))
		scan->in = NULL;
	if (ret == -EINVAL && scan->in)
		scan->in->refused = true;
	else if (ret == -EINVAL)
		scan->where->refused = true;
	return ret == -EINVAL ? 0 : ret;
}

int where_read(struct notes *notes, const struct file *file, struct values *values,
               struct where *ret_where)
{
	struct scan scan = {.where = ret_where, .values = values, .line = 1};
	const char *at = file->bytes, *end = at + file->len;
	int ret = 0;

	*ret_where = (struct where){.notes = notes};
	for (; ret == 0 && at < end; scan.line++) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((feed ? feed : end) - at);

		ret = scan_line(&scan, at, len);
		at += len + 1;
	}
	return ret;
}

void where_free(struct where *where)
{
	free(where->sections);
	where->sections = NULL;
	where->n = 0;
}

const char *where_name(const struct where_section *section)
{
	const char *blank = strchr(section->title, ' ');

	return blank ? blank + 1 : "";
}

const struct where_section *where_find(const struct where *where, enum section section,
                                       const char *name)
{
	char title[2 * VALUES_TITLE_BYTES]; /* of a name that is too long, not cut to what fits */

	make_title(title, sizeof(title), section, name);
	for (unsigned i = 0; i < where->n; i++)
		if (strcmp(where->sections[i].title, title) == 0)
			return &where->sections[i];
	return NULL;
}
