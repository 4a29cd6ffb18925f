/*
 * By libmicrohttpd, with a thread for each connection, of which there are few: so who reads slowly
 * keeps nobody waiting, and a stream just waits for its news.
 */
#include "server.h"

#include "api.h"
#include "guard.h"
#include "pages.h"
#include "../process/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SERVER_CONNECTIONS = 48,
	SERVER_STREAMS = 24,
	SERVER_IDLE_S = 30,
	SERVER_STACK_BYTES = 512 << 10,
	SERVER_HEADERS_BYTES = 32 << 10,
	SERVER_BODY_BYTES = 4096,
	SERVER_BLOCK_BYTES = 64 << 10,
	SERVER_PEM_BYTES = 256 << 10,
	SERVER_PENALTY_MS = 250, /* for who doesn't know the token */
};

struct server {
	const struct options *options;
	struct feed *feed;
	struct MHD_Daemon *daemon;
	char *certificate, *key;
	atomic_uint streams;
};

/* A request under way. */
struct request {
	char body[SERVER_BODY_BYTES];
	size_t len;
	bool too_long;
};

/* ---- Answers ---- */

static void add_headers(struct MHD_Response *response, const char *type)
{
	static const char *const headers[][2] = {
	        {"Content-Security-Policy",
	         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
	         "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors "
	         "'none'"},
	        {"X-Content-Type-Options", "nosniff"},
	        {"X-Frame-Options", "DENY"},
	        {"Referrer-Policy", "no-referrer"},
	        {"Cross-Origin-Resource-Policy", "same-origin"},
	        {"Cross-Origin-Opener-Policy", "same-origin"},
	        {"Cache-Control", "no-store"},
	};

	for (unsigned i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	MHD_add_response_header(response, "Content-Type", type);
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     const char *type, struct MHD_Response *response)
{
	enum MHD_Result ret;

	if (!response)
		return MHD_NO;
	add_headers(response, type);
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	ret = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct reply *reply)
{
	if (!reply->text)
		return MHD_NO;
	return send_response(
	        connection, reply->status, reply->type,
	        MHD_create_response_from_buffer(reply->len, reply->text, MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
	const struct timespec penalty = {.tv_nsec = SERVER_PENALTY_MS * 1000000L};
	struct reply reply;

	if (status == MHD_HTTP_UNAUTHORIZED)
		nanosleep(&penalty, NULL);
	api_refuse(status, why, &reply);
	return send_reply(connection, &reply);
}

static enum MHD_Result send_page(struct MHD_Connection *connection, const struct page *page)
{
	return send_response(connection, MHD_HTTP_OK, page->type,
	                     MHD_create_response_from_buffer(page->len,
	                                                     (void *)(uintptr_t)page->data,
	                                                     MHD_RESPMEM_PERSISTENT));
}

/* ---- Streams ---- */

struct stream {
	struct server *server;
	uint64_t seen;
	char *text; /* what is being sent, or NULL */
	size_t at;
};

/* Something is sent at least every two seconds, or a connection that is dead would stay. */
static bool next_text(struct stream *stream)
{
	free(stream->text);
	stream->at = 0;
	stream->text = feed_wait(stream->server->feed, &stream->seen);
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

	atomic_fetch_sub(&stream->server->streams, 1);
	free(stream->text);
	free(stream);
}

static enum MHD_Result send_stream(struct server *server, struct MHD_Connection *connection)
{
	struct stream *stream;

	if (atomic_fetch_add(&server->streams, 1) >= SERVER_STREAMS ||
	    !(stream = calloc(1, sizeof(*stream)))) {
		atomic_fetch_sub(&server->streams, 1);
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many look at it");
	}
	stream->server = server;
	return send_response(connection, MHD_HTTP_OK, "text/event-stream",
	                     MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, SERVER_BLOCK_BYTES,
	                                                       read_stream, stream, free_stream));
}

/* ---- Requests ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static const char *argument(void *ctx, const char *name)
{
	return MHD_lookup_connection_value(ctx, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result get(struct server *server, struct MHD_Connection *connection,
                           const struct guard_request *guarded, const char *path)
{
	const struct page *page = pages_find(path);
	const char *why;
	struct reply reply;
	unsigned refusal;

	if (page)
		return send_page(connection, page);
	if (!strcmp(path, "/api/needs")) {
		api_needs(server->options, &reply);
		return send_reply(connection, &reply);
	}
	refusal = guard_figures(server->options, guarded, &why);
	if (refusal)
		return refuse(connection, refusal, why);
	if (!strcmp(path, "/api/stream"))
		return send_stream(server, connection);
	api_get(server->options, server->feed, path, argument, connection, &reply);
	return send_reply(connection, &reply);
}

static enum MHD_Result post(struct server *server, struct MHD_Connection *connection,
                            const struct guard_request *guarded, const char *path,
                            const struct request *request)
{
	const char *why;
	struct reply reply;
	unsigned refusal = guard_change(server->options, guarded, &why);

	if (refusal)
		return refuse(connection, refusal, why);
	if (strcmp(path, "/api/do"))
		return refuse(connection, MHD_HTTP_NOT_FOUND, "no such path");
	if (request->too_long)
		return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "too long");
	api_do(server->options, request->body, request->len, &reply);
	return send_reply(connection, &reply);
}

static void take_body(struct request *request, const char *data, size_t len)
{
	if (len > sizeof(request->body) - request->len) {
		request->too_long = true;
		return;
	}
	memcpy(request->body + request->len, data, len);
	request->len += len;
}

static enum MHD_Result answer(struct server *server, struct MHD_Connection *connection,
                              const char *path, const char *method, const struct request *request)
{
	const struct guard_request guarded = {.host = header(connection, "Host"),
	                                      .origin = header(connection, "Origin"),
	                                      .authorization = header(connection, "Authorization"),
	                                      .type = header(connection, "Content-Type")};
	const char *why;
	unsigned refusal = guard_any(server->options, &guarded, &why);

	if (refusal)
		return refuse(connection, refusal, why);
	if (!strcmp(method, "GET"))
		return get(server, connection, &guarded, path);
	if (!strcmp(method, "POST"))
		return post(server, connection, &guarded, path, request);
	return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST");
}

/* Is called once with the headers, then for each part of the body, then with none left. */
static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *len, void **of_request)
{
	struct request *request = *of_request;

	(void)version;
	if (!request) {
		*of_request = calloc(1, sizeof(*request));
		return *of_request ? MHD_YES : MHD_NO;
	}
	if (*len) {
		take_body(request, data, *len);
		*len = 0;
		return MHD_YES;
	}
	return answer(ctx, connection, path, method, request);
}

static void completed(void *ctx, struct MHD_Connection *connection, void **of_request,
                      enum MHD_RequestTerminationCode code)
{
	(void)ctx;
	(void)connection;
	(void)code;
	free(*of_request);
	*of_request = NULL;
}

/* ---- Start and end ---- */

static char *read_pem(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, SERVER_PEM_BYTES) : NULL;

	if (!text || !fread(text, 1, SERVER_PEM_BYTES - 1, file)) {
		log_error("console: %s: %s", path, file ? "is empty" : strerror(errno));
		free(text);
		text = NULL;
	}
	if (file)
		fclose(file);
	return text;
}

static bool set_address(const struct options *options, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	*ret = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, options->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(options->port);
		return false;
	}
	inet_pton(AF_INET6, options->address, &v6->sin6_addr);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(options->port);
	return true;
}

static struct MHD_Daemon *start(struct server *server)
{
	struct sockaddr_storage address;
	unsigned flags =
	        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
	const bool tls = server->certificate;
	const struct MHD_OptionItem pems[] = {
	        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, server->certificate},
	        {tls ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, server->key},
	        {MHD_OPTION_END, 0, NULL}};

	flags |= set_address(server->options, &address) ? MHD_USE_IPv6 : 0;
	flags |= tls ? MHD_USE_TLS : 0;
	return MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR,
	                        &address, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
	                        MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS,
	                        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SERVER_IDLE_S,
	                        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_HEADERS_BYTES,
	                        MHD_OPTION_THREAD_STACK_SIZE, (size_t)SERVER_STACK_BYTES,
	                        MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_ARRAY,
	                        pems, MHD_OPTION_END);
}

struct server *server_start(const struct options *options, struct feed *feed)
{
	struct server *server = calloc(1, sizeof(*server));
	bool good = server;

	if (!server)
		return NULL;
	*server = (struct server){.options = options, .feed = feed};
	if (options->certificate)
		good = (server->certificate = read_pem(options->certificate)) &&
		       (server->key = read_pem(options->key));
	if (good && (server->daemon = start(server)))
		return server;
	if (good)
		log_error("console: %s port %u: %m", options->address, options->port);
	server_stop(server);
	return NULL;
}

void server_stop(struct server *server)
{
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	free(server->certificate);
	free(server->key);
	free(server);
}
