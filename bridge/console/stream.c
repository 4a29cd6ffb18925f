/*
 * A client that doesn't read gets no further messages: what it misses is left out, as each message
 * has all figures.
 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_BLOCK_BYTES = 64 << 10 };

struct stream {
	struct streams *streams;
	uint64_t seen;
	char *text; /* what is being sent, or NULL */
	size_t at;
};

/* Something is sent at least every two seconds, or a connection that is dead would stay. */
static bool next_text(struct stream *stream)
{
	free(stream->text);
	stream->at = 0;
	stream->text = feed_wait(stream->streams->feed, &stream->seen);
	if (!stream->text || *stream->text)
		return stream->text;
	free(stream->text);
	stream->text = strdup(":\n\n");
	return stream->text;
}

static ssize_t read_stream(void *ctx, uint64_t position, char *ret, size_t max)
{
	struct stream *stream = ctx;
	size_t len;

	(void)position;
	if ((!stream->text || !stream->text[stream->at]) && !next_text(stream))
		return MHD_CONTENT_READER_END_OF_STREAM;
	len = strlen(stream->text + stream->at);
	len = len < max ? len : max;
	memcpy(ret, stream->text + stream->at, len);
	stream->at += len;
	return (ssize_t)len;
}

static void free_stream(void *ctx)
{
	struct stream *stream = ctx;

	atomic_fetch_sub(&stream->streams->n, 1);
	free(stream->text);
	free(stream);
}

struct MHD_Response *stream_response(struct streams *streams)
{
	struct stream *stream = NULL;
	struct MHD_Response *response;

	if (atomic_fetch_add(&streams->n, 1) >= STREAMS_MAX ||
	    !(stream = calloc(1, sizeof(*stream)))) {
		atomic_fetch_sub(&streams->n, 1);
		return NULL;
	}
	stream->streams = streams;
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
	                                             read_stream, stream, free_stream);
	if (!response)
		free_stream(stream);
	return response;
}
