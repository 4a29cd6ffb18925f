/*
 * The journal's own protocol: a datagram of fields, a value that may have any bytes in it with its
 * length before it.
 *
 * What a message is about is in its own words before the first ": ", so that nobody who says
 * something has to say it twice: "server web1: down" is about a server, "eth0: link up" about eth0.
 */
#include "journal.h"

#include "datagram.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum {
	JOURNAL_BYTES = 4096,
	JOURNAL_WHERE_BYTES = 256,
	JOURNAL_NAME_BYTES = 65 /* systemd.journal-fields(7): 64 */
};

static int journal = -1; /* socket */

struct record {
	char data[JOURNAL_BYTES];
	size_t bytes;
};

void journal_open(const char *path)
{
	journal = datagram_connect(path ? path : JOURNAL_SOCKET);
}

void journal_close(void)
{
	if (journal >= 0)
		close(journal);
	journal = -1;
}

static void add(struct record *record, const char *name, const char *value, size_t bytes)
{
	const uint64_t length = htole64(bytes);
	const size_t name_bytes = strlen(name);
	char *at = record->data + record->bytes;

	if (sizeof(record->data) - record->bytes < name_bytes + sizeof(length) + bytes + 2)
		return;
	memcpy(at, name, name_bytes);
	at += name_bytes;
	*at++ = '\n';
	memcpy(at, &length, sizeof(length));
	at += sizeof(length);
	memcpy(at, value, bytes);
	at += bytes;
	*at++ = '\n';
	record->bytes = (size_t)(at - record->data);
}

/* Adds the field for things of a kind, if where names one: "server web1". */
static void add_thing(struct record *record, const char *where, size_t bytes, const char *kind,
                      const char *field)
{
	const size_t kind_bytes = strlen(kind);

	if (bytes > kind_bytes && !memcmp(where, kind, kind_bytes))
		add(record, field, where + kind_bytes, bytes - kind_bytes);
}

static void add_where(struct record *record, const char *message)
{
	const char *end = strstr(message, ": ");
	const size_t bytes = end ? (size_t)(end - message) : 0;

	if (!bytes || bytes > JOURNAL_WHERE_BYTES)
		return;
	add(record, "TMBRIDGE_WHERE", message, bytes);
	add_thing(record, message, bytes, "server ", "TMBRIDGE_SERVER");
	add_thing(record, message, bytes, "farm ", "TMBRIDGE_FARM");
}

static void add_detail(struct record *record, const struct detail *detail)
{
	char name[JOURNAL_NAME_BYTES] = "TMBRIDGE_";
	size_t len = strlen(name);

	for (const char *c = detail->name; *c && len < sizeof(name) - 1; c++)
		name[len++] = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	name[len] = 0;
	add(record, name, detail->value, strlen(detail->value));
}

bool journal_send(int level, const char *message, const struct details *details)
{
	struct record record = {.bytes = 0};
	char number[sizeof("-2147483648")];

	if (journal < 0)
		return false;
	snprintf(number, sizeof(number), "%d", level);
	add(&record, "PRIORITY", number, strlen(number));
	add(&record, "SYSLOG_IDENTIFIER", "tmbridge", strlen("tmbridge"));
	add(&record, "MESSAGE", message, strlen(message));
	add_where(&record, message);
	for (unsigned i = 0; details && i < details->n; i++)
		add_detail(&record, &details->all[i]);
	return datagram_send(journal, record.data, record.bytes);
}
