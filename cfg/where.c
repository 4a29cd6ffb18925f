/*
 * The index of lb.ini: which line each section and key stands in.
 *
 * iniparser reads the values, but it keeps no line numbers, and it passes over in silence what is
 * most likely a mistake: a section or key that comes twice, a key outside of all sections, a
 * comment that ends in a backslash and so swallows the next line. This scan goes over the file
 * before iniparser does, says so with a line number, and lets through only what iniparser will read
 * in the same way: short lines of text, each blank, a comment, a [section] or a key = value. As
 * names of sections and keys are checked here too, iniparser never sees more keys than there can
 * be.
 *
 * Values are not looked at, apart from their quotes.
 */
#include "where.h"
#include "nearest.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char name_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

static const unsigned section_max[] = {
        [SECTION_BRIDGE] = 1,
        [SECTION_FARM] = RULES_FARMS_MAX,
        [SECTION_SERVER] = RULES_SERVERS_MAX,
};

static_assert(sizeof(section_max) / sizeof(section_max[0]) == SECTIONS, "a row for each section");

/* ---- messages ---- */

bool where_has(const struct where_section *section, const char *key)
{
	return section->key_line[section_find_key(section->section, key)] > 0;
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

/* ---- the file's bytes ---- */

struct text {
	char *bytes;
	size_t len;
};

/* Fills text->bytes, of size bytes, or less if the file has become shorter. */
static int read_all(int fd, size_t size, struct text *text)
{
	while (text->len < size) {
		ssize_t got = read(fd, text->bytes + text->len, size - text->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		text->len += (size_t)got;
	}
	return 0;
}

static int file_size(const struct notes *notes, int fd, size_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st))
		return note_errno(notes, errno);
	if (S_ISDIR(st.st_mode))
		return note_errno(notes, EISDIR);
	if (!S_ISREG(st.st_mode))
		return note_error(notes, 0, "is not a regular file");
	if (st.st_size > WHERE_FILE_BYTES_MAX)
		return note_error(notes, 0, "%lld bytes: a configuration file has at most %d",
		                  (long long)st.st_size, WHERE_FILE_BYTES_MAX);
	*ret_size = (size_t)st.st_size;
	return 0;
}

static int file_read(const struct notes *notes, int fd, struct text *text)
{
	size_t size = 0;
	int ret = file_size(notes, fd, &size);

	if (ret)
		return ret;
	text->bytes = malloc(size + 1);
	ret = text->bytes ? read_all(fd, size, text) : -ENOMEM;
	return ret ? note_errno(notes, -ret) : 0;
}

/* On failure too, text->bytes is the caller's to free. */
static int text_read(const struct notes *notes, struct text *text)
{
	/* O_NONBLOCK: a named pipe without a writer is to be refused, not waited for. */
	int fd = open(notes->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int ret;

	if (fd < 0)
		return note_errno(notes, errno);
	ret = file_read(notes, fd, text);
	close(fd);
	return ret;
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
	        "unknown section [%s%s%s]: there are [bridge], [farm NAME] and [server NAME]", kind,
	        gap, name);
}

static int section_check_name(struct where *where, unsigned line, enum section section,
                              const char *name)
{
	const char *kind = section_name(section);

	if (section == SECTION_BRIDGE && *name)
		return note_error(where->notes, line, "[bridge %s]: [bridge] has no name", name);
	if (section != SECTION_BRIDGE && !*name)
		return note_error(where->notes, line, "[%s] needs a name, such as [%s %s]", kind,
		                  kind, section == SECTION_FARM ? "ocspool" : "ocsfe01");
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

/* Adds a section; its name has been checked, and so fits. */
static int section_add(struct where *where, unsigned line, enum section section, const char *name)
{
	size_t size = (where->n + 1) * sizeof(struct where_section);
	struct where_section *sections = where->sections, *added;

	/* There is room for 2, 4, 8...: it runs out whenever n + 1 is a power of two. */
	if ((where->n & (where->n + 1)) == 0)
		sections = realloc(sections, 2 * size);
	if (!sections)
		return note_errno(where->notes, ENOMEM);
	where->sections = sections;
	added = &sections[where->n++];
	*added = (struct where_section){.section = section, .line = line};
	snprintf(added->title, sizeof(added->title), "%s%s%s", section_name(section),
	         *name ? " " : "", name);
	where->count[section]++;
	return 0;
}

/* line_text is stripped, and begins with a bracket. */
static int scan_section(struct where *where, unsigned line, char *line_text)
{
	char *end = strchr(line_text, ']');
	char *kind, *name;
	unsigned section;
	int ret;

	if (!end || end[1])
		return note_error(where->notes, line,
		                  "a section is a line of its own, such as [farm ocspool]");
	*end = 0;
	kind = strip(line_text + 1);
	lower(kind);
	name = kind + strcspn(kind, " \t");
	if (*name)
		*name++ = 0;
	for (section = 0; section < SECTIONS; section++)
		if (strcmp(section_name(section), kind) == 0)
			break;
	if (section == SECTIONS)
		return section_unknown(where, line, kind, name);
	ret = section_check_name(where, line, section, name);
	if (ret == 0)
		ret = section_check_new(where, line, section, name);
	return ret ? ret : section_add(where, line, section, name);
}

static int key_unknown(struct where *where, unsigned line, const char *name)
{
	const struct where_section *in = current(where);
	const struct key *keys = section_keys(in->section);
	struct nearest nearest = {.word = name};
	char all[NOTE_BYTES / 2] = "";
	size_t used = 0;

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

static int scan_key(struct where *where, unsigned line, char *text)
{
	struct where_section *in = current(where);
	size_t name_len = strcspn(text, "=;#");
	bool paired;
	int key;

	if (name_len == 0 || text[name_len] != '=')
		return note_error(where->notes, line,
		                  "is not a [section], a key = value, nor a ; comment");
	paired = quotes_pair(text + name_len + 1);
	text[name_len] = 0;
	strip(text);
	lower(text);
	if (!in)
		return note_error(where->notes, line, "`%s` stands before the first [section]",
		                  text);
	key = section_find_key(in->section, text);
	if (key < 0)
		return key_unknown(where, line, text);
	if (in->key_line[key])
		return note_error(where->notes, line, "[%s] %s: is there twice: first in line %u",
		                  in->title, text, in->key_line[key]);
	in->key_line[key] = line;
	if (!paired)
		return where_error(where, in, text, "a quoted value ends with the same quote");
	return 0;
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

/* bytes is a line without its line feed. */
static int scan_line(struct where *where, unsigned line, const char *bytes, size_t len)
{
	char buf[WHERE_LINE_BYTES_MAX + 1], *text;
	int ret;

	if (len && bytes[len - 1] == '\r')
		len--;
	ret = line_check(where, line, bytes, len);
	if (ret)
		return ret;
	memcpy(buf, bytes, len);
	buf[len] = 0;
	text = strip(buf);
	if (!*text)
		return 0;
	if (text[strlen(text) - 1] == '\\')
		return note_error(where->notes, line,
		                  "ends with a backslash, which would join the next line to it");
	if (*text == ';' || *text == '#')
		return 0;
	return *text == '[' ? scan_section(where, line, text) : scan_key(where, line, text);
}

static int scan(struct where *where, const struct text *text)
{
	const char *at = text->bytes, *end = at + text->len;
	int ret = 0;

	for (unsigned line = 1; ret == 0 && at < end; line++) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((feed ? feed : end) - at);

		ret = scan_line(where, line, at, len);
		at += len + 1;
	}
	return ret;
}

int where_read(const struct notes *notes, struct where *ret_where)
{
	struct where where = {.notes = notes};
	struct text text = {0};
	int ret = text_read(notes, &text);

	if (ret == 0)
		ret = scan(&where, &text);
	free(text.bytes);
	if (ret)
		where_free(&where);
	else
		*ret_where = where;
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
	for (unsigned i = 0; i < where->n; i++) {
		const struct where_section *at = &where->sections[i];

		if (at->section == section && strcmp(where_name(at), name) == 0)
			return at;
	}
	return NULL;
}
