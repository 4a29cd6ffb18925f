/*
 * A record goes in whole or not at all. Some room is kept for the last line.
 *
 * A text of any length is kept apart. It comes first in an answer, and only the last line follows
 * it.
 */
#include "answer.h"

#include "../process/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ANSWER_LAST_BYTES = 4096, /* kept for the last line */
	ANSWER_MESSAGE_BYTES = 1024,
	ANSWER_LOST_BYTES = 64,
};

static size_t waiting(const struct answer *answer)
{
	return answer->len - answer->at;
}

size_t answer_room(const struct answer *answer)
{
	const size_t kept = ANSWER_LAST_BYTES + ANSWER_LOST_BYTES;

	if (answer->text || waiting(answer) + kept >= ANSWER_BYTES)
		return 0;
	return ANSWER_BYTES - kept - waiting(answer);
}

static void make_room(struct answer *answer)
{
	if (!answer->at)
		return;
	memmove(answer->out, answer->out + answer->at, waiting(answer));
	answer->len -= answer->at;
	answer->at = 0;
}

/* Appends what fits into room, with a line feed; false if it doesn't. */
static bool append(struct answer *answer, size_t room, const char *format, va_list args)
{
	char *end;
	int n;

	make_room(answer);
	end = answer->out + answer->len;
	n = room ? vsnprintf(end, room, format, args) : -1;
	if (n < 0 || (size_t)n + 1 >= room)
		return false;
	end[n] = '\n';
	answer->len += (size_t)n + 1;
	return true;
}

static void append_line(struct answer *answer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(answer, ANSWER_BYTES - waiting(answer), format, args);
	va_end(args);
}

void answer_record(struct answer *answer, const char *format, ...)
{
	va_list args;
	bool room = answer_room(answer) > ANSWER_MESSAGE_BYTES;

	if (room && answer->lost) {
		append_line(answer, "{\"lost\":%" PRIu64 "}", answer->lost);
		answer->lost = 0;
	}
	va_start(args, format);
	if (!append(answer, answer_room(answer), format, args))
		answer->lost++;
	va_end(args);
}

void answer_hold(struct answer *answer, char *text)
{
	if (!*text) {
		free(text);
		return;
	}
	answer->text = text;
	answer->text_len = strlen(text);
	answer->text_at = 0;
}

static void append_last(struct answer *answer, const char *line)
{
	if (answer->lost)
		append_line(answer, "{\"lost\":%" PRIu64 "}", answer->lost);
	answer->lost = 0;
	append_line(answer, "%s", line);
	answer->ended = true;
}

void answer_end(struct answer *answer)
{
	append_last(answer, "{\"end\":true,\"exit\":0}");
}

void answer_fail(struct answer *answer, enum answer_exit status, const char *code,
                 const char *nearest, const char *format, ...)
{
	char message[ANSWER_MESSAGE_BYTES / 6], escaped[ANSWER_MESSAGE_BYTES], near[2 * 64] = "";
	char line[2 * ANSWER_MESSAGE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (nearest)
		snprintf(near, sizeof(near), ",\"did_you_mean\":\"%s\"", nearest);
	snprintf(line, sizeof(line),
	         "{\"end\":true,\"exit\":%d,\"error\":{\"code\":\"%s\",\"message\":\"%s\"%s}}",
	         status, code, text_json(message, escaped, sizeof(escaped)), near);
	append_last(answer, line);
}

const char *answer_next(const struct answer *answer, size_t *ret_len)
{
	/* the last line is said while a text is held: it follows that */
	if (answer->text) {
		*ret_len = answer->text_len - answer->text_at;
		return answer->text + answer->text_at;
	}
	*ret_len = waiting(answer);
	return answer->out + answer->at;
}

void answer_sent(struct answer *answer, size_t len)
{
	if (!answer->text) {
		answer->at += len;
		return;
	}
	answer->text_at += len;
	if (answer->text_at < answer->text_len)
		return;
	free(answer->text);
	answer->text = NULL;
}

void answer_clear(struct answer *answer)
{
	free(answer->text);
	answer->text = NULL;
	answer->at = answer->len = answer->text_at = 0;
	answer->lost = 0;
	answer->ended = false;
}
