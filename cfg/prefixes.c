/*
 * Lists of address prefixes.
 *
 * What is looked up is ranges that follow each other (lb/prefixes.h). They are made in one go over
 * the sorted prefixes, with a stack of those that the present address is in: a prefix lies within
 * another one or beside it, so whichever began last is the longest.
 */
#include "prefixes.h"

#include "ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PREFIXES_FILE_MAX = 8 << 20, /* bytes */
	PREFIXES_V4_BITS = 96,       /* before an IPv4 address in a mapped one */
	PREFIXES_BITS = 128,
	PREFIXES_ITEM_BYTES = 128,
};

/* ---- one prefix ---- */

static void set_bits(struct ip6 *ip, unsigned from, bool to)
{
	for (unsigned bit = from; bit < PREFIXES_BITS; bit++) {
		const uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		ip->b[bit / 8] = (uint8_t)(to ? ip->b[bit / 8] | mask : ip->b[bit / 8] & ~mask);
	}
}

static const char *ip_text(const struct ip6 *ip, bool v4, char ret[INET6_ADDRSTRLEN])
{
	return v4 ? inet_ntop(AF_INET, ip->b + PREFIXES_V4_BITS / 8, ret, INET6_ADDRSTRLEN)
	          : inet_ntop(AF_INET6, ip, ret, INET6_ADDRSTRLEN);
}

/* "192.0.2.1-192.0.2.9", or with blanks about the hyphen. */
static bool is_range(const char *text)
{
	char first[VALUE_ADDRESS_BYTES];

	return strchr(text, '-') && ip_begins(text, text + strcspn(text, " \t-"), first);
}

/* item: the prefix, behind "FILE:LINE: " if it is of a file; text: the prefix alone. */
static int read_prefix(struct value *value, const char *item, const char *text, struct prefix *ret)
{
	char address[PREFIXES_ITEM_BYTES], net[INET6_ADDRSTRLEN], *slash;
	struct ip6 ip;
	be32 ip4;
	uint32_t bits, len;
	bool v4;

	snprintf(address, sizeof(address), "%s", text);
	slash = strchr(address, '/');
	if (slash)
		*slash++ = 0;
	v4 = inet_pton(AF_INET, address, &ip4) == 1;
	if (v4)
		ip = ip6_mapped(ip4);
	else if (inet_pton(AF_INET6, address, &ip) != 1)
		return value_wrong(value, item, "is %s, nor a prefix such as 192.0.2.0/24",
		                   is_range(address) ? "a range and not one address"
		                                     : "not an address");
	bits = v4 ? PREFIXES_BITS - PREFIXES_V4_BITS : PREFIXES_BITS;
	len = bits;
	if (slash && !value_read_number(slash, 0, bits, &len))
		return value_wrong(value, item, "has no prefix length from 0 to %u", bits);
	len += PREFIXES_BITS - bits;
	*ret = (struct prefix){.first = ip, .len = (uint8_t)len};
	set_bits(&ret->first, len, false);
	if (memcmp(&ret->first, &ip, sizeof(ip)) != 0)
		return value_wrong(value, item, "isn't where its network begins: %s/%u",
		                   ip_text(&ret->first, v4, net), len - (PREFIXES_BITS - bits));
	return 0;
}

static int add(struct prefix_list *list, const struct prefix *prefix)
{
	if (list->n == list->room) {
		const uint32_t room = list->room ? 2 * list->room : 16;
		struct prefix *at = realloc(list->at, room * sizeof(*at));

		if (!at)
			return -ENOMEM;
		list->at = at;
		list->room = room;
	}
	list->at[list->n++] = *prefix;
	return 0;
}

static int add_item(struct value *value, const char *item, const char *text, enum prefix_word word,
                    struct prefix_list *list)
{
	struct prefix prefix;
	int err = read_prefix(value, item, text, &prefix);

	if (err)
		return err;
	prefix.word = (uint8_t)word;
	if (list->n == RULES_PREFIXES_MAX)
		return value_wrong(value, item, "is one prefix too many: at most %u",
		                   RULES_PREFIXES_MAX);
	return add(list, &prefix);
}

/* ---- files ---- */

/* The text between blanks and a comment, in place. */
static char *strip(char *text)
{
	char *end;

	text += strspn(text, " \t\r");
	text[strcspn(text, "#;")] = 0;
	for (end = text + strlen(text); end > text && strchr(" \t\r", end[-1]); end--)
		;
	*end = 0;
	return text;
}

static int add_lines(struct value *value, const char *path, char *text, enum prefix_word word,
                     struct prefix_list *list)
{
	char item[VALUE_BYTES + PREFIXES_ITEM_BYTES], *line;
	int err = 0;

	for (unsigned n = 1; text && !err; n++) {
		line = strip(strsep(&text, "\n"));
		if (!*line)
			continue;
		snprintf(item, sizeof(item), "%s:%u: %.*s", path, n, PREFIXES_ITEM_BYTES / 2, line);
		err = add_item(value, item, line, word, list);
	}
	return err;
}

/* Returns how many bytes it was: fewer if the file has become shorter. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t got = read(fd, bytes + len, size - len);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		len += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)len;
}

static int read_open(int fd, char **ret)
{
	struct stat st;
	ssize_t len;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > PREFIXES_FILE_MAX)
		return -EFBIG;
	*ret = calloc(1, (size_t)st.st_size + 1);
	if (!*ret)
		return -ENOMEM;
	len = read_all(fd, *ret, (size_t)st.st_size);
	if (len < 0)
		return (int)len;
	return memchr(*ret, 0, (size_t)len) ? -EILSEQ : 0;
}

/* *ret: the file's text, to be freed in any case. */
static int read_file(struct value *value, const char *path, char **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err = read_open(fd, ret);

	if (fd >= 0)
		close(fd);
	if (!err || err == -ENOMEM)
		return err;
	return value_wrong(value, path, "can't be read: %s",
	                   err == -EINVAL ? "it is no regular file" : strerror(-err));
}

/* Notes that the rules hang on that file too. */
static int note_file(struct rules *rules, const char *path)
{
	char **lists, *copy;

	for (unsigned i = 0; i < rules->nlists; i++)
		if (strcmp(rules->lists[i], path) == 0)
			return 0;
	lists = realloc(rules->lists, (rules->nlists + 1) * sizeof(*lists));
	if (!lists)
		return -ENOMEM;
	rules->lists = lists;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	rules->lists[rules->nlists++] = copy;
	return 0;
}

/* A path as it is from here: beside file, unless it begins with /. */
static char *path_of(const char *file, const char *path)
{
	const char *slash = file && *path != '/' ? strrchr(file, '/') : NULL;
	const int directory = slash ? (int)(slash - file) + 1 : 0;
	char *ret;

	return asprintf(&ret, "%.*s%s", directory, file ? file : "", path) < 0 ? NULL : ret;
}

static int add_file(struct value *value, const char *file, const char *name, struct rules *rules,
                    enum prefix_word word, struct prefix_list *list)
{
	char *path = path_of(file, name), *text = NULL;
	int err = path ? note_file(rules, path) : -ENOMEM;

	if (!err)
		err = read_file(value, path, &text);
	if (!err)
		err = add_lines(value, path, text, word, list);
	free(text);
	free(path);
	return err;
}

int prefixes_read(struct value *value, const char *file, struct rules *rules, enum prefix_word word,
                  struct prefix_list *list)
{
	char text[VALUE_BYTES], *rest = text, *item;
	int err = 0;

	if (strlen(value->text) >= sizeof(text))
		return value_wrong(value, value->text, "is too long");
	strcpy(text, value->text);
	while (rest && !err) {
		item = strip(strsep(&rest, ","));
		if (*item == '@' && item[1])
			err = add_file(value, file, item + 1, rules, word, list);
		else if (!*item)
			err = value_wrong(value, value->text, "has a comma too many");
		else if (!value_is_item(item))
			err = value_say_commas(value, item);
		else
			err = add_item(value, item, item, word, list);
	}
	return err;
}

/* ---- ranges ---- */

static int compare(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;
	int ret = memcmp(&x->first, &y->first, sizeof(x->first));

	if (ret == 0)
		ret = x->len - y->len;
	return ret ? ret : x->word - y->word;
}

/* A range begins. */
static void begin(struct prefixes *out, const struct ip6 *first, uint8_t word)
{
	if (out->n && memcmp(&out->first[out->n - 1], first, sizeof(*first)) == 0)
		out->n--;
	if (out->n && out->word[out->n - 1] == word)
		return;
	out->first[out->n] = *first;
	out->word[out->n++] = word;
}

/* The prefixes that the present address is in, each with its last one. */
struct nest {
	struct ip6 last[PREFIXES_BITS + 2];
	uint8_t word[PREFIXES_BITS + 2];
	unsigned n;
};

static void enter(struct nest *nest, const struct prefix *prefix)
{
	/* the same prefix may come twice, with two words: the later one counts */
	struct ip6 last = prefix->first;

	set_bits(&last, prefix->len, true);
	if (nest->n && memcmp(&nest->last[nest->n - 1], &last, sizeof(last)) == 0)
		nest->n--;
	nest->last[nest->n] = last;
	nest->word[nest->n++] = prefix->word;
}

/* Takes those that end before first off the stack, ending their ranges; NULL: all. */
static void leave(struct nest *nest, const struct ip6 *first, struct prefixes *out)
{
	while (nest->n && (!first || memcmp(&nest->last[nest->n - 1], first, sizeof(*first)) < 0)) {
		struct ip next = {.is_ipv6 = true, .ip6 = nest->last[nest->n - 1]};
		static const struct ip6 zeros;

		nest->n--;
		ip_step(&next);
		if (memcmp(&next.ip6, &zeros, sizeof(zeros)) != 0)
			begin(out, &next.ip6, nest->n ? nest->word[nest->n - 1] : PREFIX_NONE);
	}
}

int prefixes_make(struct prefix_list *list, struct prefixes *ret)
{
	static const struct ip6 zeros;
	const size_t most = 2 * (size_t)list->n + 1;
	struct prefixes out = {.first = malloc(most * sizeof(*out.first)), .word = malloc(most)};
	struct nest nest = {.n = 0};

	if (!out.first || !out.word) {
		free(out.first);
		free(out.word);
		return -ENOMEM;
	}
	if (list->n)
		qsort(list->at, list->n, sizeof(*list->at), compare);
	begin(&out, &zeros, PREFIX_NONE);
	for (uint32_t i = 0; i < list->n; i++) {
		leave(&nest, &list->at[i].first, &out);
		enter(&nest, &list->at[i]);
		begin(&out, &list->at[i].first, list->at[i].word);
	}
	leave(&nest, NULL, &out);
	*ret = out;
	return 0;
}
