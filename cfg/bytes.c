/*
 * Escapes.
 */
#include "bytes.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

static int add(struct value *value, struct bytes *bytes, uint8_t byte, uint8_t mask)
{
	if (bytes->n == bytes->max)
		return value_wrong(value, value->text, "is more than %u bytes", bytes->max);
	if (bytes->mask)
		bytes->mask[bytes->n] = mask;
	bytes->at[bytes->n++] = byte;
	return 0;
}

/* Two hexadecimal digits. */
static bool read_hex(const char *text, uint8_t *ret)
{
	unsigned byte;

	if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
		return false;
	sscanf(text, "%2x", &byte);
	*ret = (uint8_t)byte;
	return true;
}

/* "{16 03 01}"; *text is moved behind it. */
static int read_many(struct value *value, const char **text, struct bytes *ret)
{
	const char *at = *text + 1;
	int err = 0;

	while (err == 0 && *at && *at != '}') {
		uint8_t byte;

		if (isblank((unsigned char)*at)) {
			at++;
			continue;
		}
		if (!read_hex(at, &byte))
			return value_wrong(value, at,
			                   "is not two hexadecimal digits, as in \\{16 03 01}");
		at += 2;
		err = add(value, ret, byte, 0xff);
	}
	if (err == 0 && !*at)
		return value_wrong(value, *text, "has no closing brace");
	*text = at + 1;
	return err;
}

/* What follows a backslash; *text is moved behind it. */
static int read_escape(struct value *value, const char **text, struct bytes *ret)
{
	static const char letters[] = "rnt\\", meant[] = "\r\n\t\\";
	const char *at = *text, *letter = *at ? strchr(letters, *at) : NULL;
	uint8_t byte, mask;

	if (*at == '{')
		return read_many(value, text, ret);
	if (letter) {
		*text += 1;
		return add(value, ret, (uint8_t)meant[letter - letters], 0xff);
	}
	if (*at == 'x' && read_hex(at + 1, &byte)) {
		*text += 3;
		return add(value, ret, byte, 0xff);
	}
	if (*at == '?' && ret->mask) {
		*text += 1;
		return add(value, ret, 0, 0);
	}
	if (*at == 'm' && ret->mask && read_hex(at + 1, &byte) && read_hex(at + 3, &mask)) {
		*text += 5;
		return add(value, ret, byte & mask, mask);
	}
	return value_wrong(value, at - 1,
	                   ret->mask ? "is no escape: there are \\r \\n \\t \\\\ \\xHH "
	                               "\\{HH HH...} \\? \\mHHMM"
	                             : "is no escape: there are \\r \\n \\t \\\\ \\xHH "
	                               "\\{HH HH...}");
}

int bytes_read(struct value *value, const char *text, struct bytes *ret)
{
	int err = 0;

	while (err == 0 && *text) {
		if (*text != '\\') {
			err = add(value, ret, (uint8_t)*text++, 0xff);
			continue;
		}
		text++;
		err = read_escape(value, &text, ret);
	}
	return err;
}

/* Adds a pattern's byte of which not all bits count, as \? or \mHHMM; false if all of them do. */
static bool show_masked(struct shown *shown, uint8_t byte, uint8_t mask)
{
	char text[sizeof("\\mHHMM")];

	if (mask == 0xff)
		return false;
	snprintf(text, sizeof(text), "\\m%02x%02x", byte, mask);
	show_text(shown, mask ? text : "\\?");
	return true;
}

/* Adds a byte. A backslash is written as a number, as at the end of a line it would join the next
 * one. */
static void show_byte(struct shown *shown, uint8_t byte, bool at_an_end)
{
	static const char letters[] = "rnt", meant[] = "\r\n\t";
	const char *letter = byte ? strchr(meant, byte) : NULL;
	char text[sizeof("\\xHH")];

	if (letter)
		snprintf(text, sizeof(text), "\\%c", letters[letter - meant]);
	else if (byte < ' ' || byte > '~' || strchr("\\\"';#", byte) || (byte == ' ' && at_an_end))
		snprintf(text, sizeof(text), "\\x%02x", byte);
	else
		snprintf(text, sizeof(text), "%c", byte);
	show_text(shown, text);
}

void show_bytes(struct shown *shown, const uint8_t *bytes, const uint8_t *mask, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!mask || !show_masked(shown, bytes[i], mask[i]))
			show_byte(shown, bytes[i], i == 0 || i + 1 == n);
}
