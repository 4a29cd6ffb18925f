/*
 * By libmicrohttpd, with a thread for each connection, of which there are few: so who reads slowly
 * keeps nobody waiting, and a stream just waits for its news. What a connection may hold is
 * bounded: its headers and body by their bytes, what waits to be read by all of them together, and
 * its time by its seat.
 */
#include "server.h"

#include "api.h"
#include "guard.h"
#include "pages.h"
#include "seats.h"
#include "stream.h"
#include "../process/clock.h"
#include "../process/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SERVER_IDLE_S = 30,
	SERVER_STACK_BYTES = 512 << 10,
	SERVER_HEADERS_BYTES = 32 << 10,
	SERVER_BODY_BYTES = 4096,
	SERVER_OWED_BYTES = 64 << 20, /* of answers that wait to be read */
	SERVER_PEM_BYTES = 256 << 10,
	SERVER_PENALTY_MS = 250, /* for who doesn't know the token */
};

struct server {
	const struct options *options;
	struct api api;
	struct seats *seats;
	struct streams streams;
	atomic_size_t owed;
	struct MHD_Daemon *daemon;
	char *certificate, *key;
	atomic_bool starts; /* messages of the library are logged */
};

/* A request under way. */
struct request {
	struct server *server;
	struct MHD_Connection *connection;
	struct seat *seat;
	size_t owed;
	char body[SERVER_BODY_BYTES];
	size_t len;
};

static void use_seat(const struct request *request, enum seat_use use)
{
	seats_use(request->server->seats, request->seat, use, clock_now());
}

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

static enum MHD_Result send_response(struct request *request, unsigned status, const char *type,
                                     struct MHD_Response *response)
{
	enum MHD_Result ret;

	if (!response)
		return MHD_NO;
	add_headers(response, type);
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
	if (status >= MHD_HTTP_BAD_REQUEST) /* with a body that nobody has read, maybe */
		MHD_add_response_header(response, "Connection", "close");
	ret = MHD_queue_response(request->connection, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result send_text(struct request *request, const struct reply *reply)
{
	if (!reply->text)
		return MHD_NO;
	return send_response(
	        request, reply->status, reply->type,
	        MHD_create_response_from_buffer(reply->len, reply->text, MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result refuse(struct request *request, unsigned status, const char *why)
{
	const struct timespec penalty = {.tv_nsec = SERVER_PENALTY_MS * 1000000L};
	struct reply reply;

	if (status == MHD_HTTP_UNAUTHORIZED)
		nanosleep(&penalty, NULL);
	api_refuse(status, why, &reply);
	return send_text(request, &reply);
}

/* Sends a reply, which counts as owed until the client has read it; refuses if all clients are owed
 * too much. */
static enum MHD_Result send_reply(struct request *request, struct reply *reply)
{
	request->owed = reply->len;
	if (atomic_fetch_add(&request->server->owed, reply->len) + reply->len <= SERVER_OWED_BYTES)
		return send_text(request, reply);
	free(reply->text);
	return refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too much waits to be read");
}

static enum MHD_Result send_page(struct request *request, const struct page *page)
{
	return send_response(request, MHD_HTTP_OK, page->type,
	                     MHD_create_response_from_buffer(page->len,
	                                                     (void *)(uintptr_t)page->data,
	                                                     MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result send_stream(struct request *request)
{
	struct MHD_Response *response = stream_response(&request->server->streams);

	if (!response)
		return refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many look at it");
	use_seat(request, SEAT_LOOKS);
	return send_response(request, MHD_HTTP_OK, "text/event-stream", response);
}

/* ---- Requests ---- */

static const char *header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static const char *argument(void *ctx, const char *name)
{
	return MHD_lookup_connection_value(ctx, MHD_GET_ARGUMENT_KIND, name);
}

static struct guard_request guarded(const struct request *request)
{
	return (struct guard_request){.host = header(request, "Host"),
	                              .origin = header(request, "Origin"),
	                              .authorization = header(request, "Authorization"),
	                              .type = header(request, "Content-Type")};
}

static bool is_post(const char *method)
{
	return !strcmp(method, MHD_HTTP_METHOD_POST);
}

/* Whether it may be answered: 0, or the HTTP status to refuse it with, and why. */
static unsigned judge(const struct request *request, const char *path, const char *method,
                      const char **ret_why)
{
	const struct options *options = request->server->options;
	const struct guard_request said = guarded(request);
	unsigned refusal = guard_any(options, &said, ret_why);

	if (refusal)
		return refusal;
	if (is_post(method))
		return guard_change(options, &said, ret_why);
	*ret_why = "only GET, HEAD and POST";
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	if (pages_find(path) || !strcmp(path, "/api/needs"))
		return 0;
	return guard_figures(options, &said, ret_why);
}

static enum MHD_Result get(struct request *request, const char *path)
{
	struct server *server = request->server;
	const struct page *page = pages_find(path);
	struct reply reply;

	if (page)
		return send_page(request, page);
	if (!strcmp(path, "/api/stream"))
		return send_stream(request);
	if (!strcmp(path, "/api/needs"))
		api_needs(server->options, &reply);
	else
		api_get(&server->api, path, argument, request->connection, &reply);
	return send_reply(request, &reply);
}

static enum MHD_Result post(struct request *request, const char *path)
{
	struct reply reply;

	if (strcmp(path, "/api/do"))
		return refuse(request, MHD_HTTP_NOT_FOUND, "no such path");
	api_do(&request->server->api, request->body, request->len, &reply);
	return send_reply(request, &reply);
}

/* A refused request doesn't count as one: its seat stays SEAT_WAITS, one of the first to be given
 * up. */
static enum MHD_Result answer(struct request *request, const char *path, const char *method)
{
	const char *why;
	unsigned refusal = judge(request, path, method, &why);

	if (refusal)
		return refuse(request, refusal, why);
	use_seat(request, SEAT_ASKS);
	return is_post(method) ? post(request, path) : get(request, path);
}

/* Refuses a body before it is read, if the request may have none. */
static enum MHD_Result await_body(struct request *request, const char *path, const char *method)
{
	const char *length = header(request, "Content-Length"), *why;
	const bool comes = (length && strcmp(length, "0")) || header(request, "Transfer-Encoding");
	unsigned refusal;

	if (!comes)
		return MHD_YES;
	refusal = judge(request, path, method, &why);
	if (refusal)
		return refuse(request, refusal, why);
	if (!is_post(method) || (length && strtoull(length, NULL, 10) > SERVER_BODY_BYTES))
		return refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "too long");
	return MHD_YES;
}

/* Takes a part of the body. The connection ends if that gets too long, which its headers need not
 * have said. */
static enum MHD_Result take_body(struct request *request, const char *data, size_t *len)
{
	if (*len > sizeof(request->body) - request->len)
		return MHD_NO;
	memcpy(request->body + request->len, data, *len);
	request->len += *len;
	*len = 0;
	return MHD_YES;
}

static struct request *new_request(struct server *server, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	*request = (struct request){.server = server, .connection = connection};
	request->seat = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
	                        ->socket_context;
	return request;
}

/* Is called once with the headers, then for each part of the body, then with none left. */
static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *len, void **of_request)
{
	struct request *request = *of_request;

	(void)version;
	if (!request) {
		*of_request = request = new_request(ctx, connection);
		return request ? await_body(request, path, method) : MHD_NO;
	}
	return *len ? take_body(request, data, len) : answer(request, path, method);
}

static void completed(void *ctx, struct MHD_Connection *connection, void **of_request,
                      enum MHD_RequestTerminationCode code)
{
	struct request *request = *of_request;

	(void)ctx;
	(void)connection;
	(void)code;
	if (!request)
		return;
	use_seat(request, SEAT_WAITS);
	atomic_fetch_sub(&request->server->owed, request->owed);
	free(request);
	*of_request = NULL;
}

/* Somebody has come, or leaves. */
static void notice(void *ctx, struct MHD_Connection *connection, void **of_socket,
                   enum MHD_ConnectionNotificationCode code)
{
	struct server *server = ctx;

	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		*of_socket = seats_take(
		        server->seats,
		        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
		                ->connect_fd,
		        clock_now());
	else
		seats_leave(server->seats, *of_socket);
}

void server_tend(struct server *server)
{
	seats_tend(server->seats, clock_now());
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

/* Why it can't start is worth a line; what a connection has done isn't. */
static void __attribute__((format(printf, 2, 0)))
complain(void *ctx, const char *format, va_list arguments)
{
	const struct server *server = ctx;
	char line[256];

	if (!server->starts)
		return;
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	log_error("console: %s", line);
}

static struct MHD_Daemon *start(struct server *server)
{
	struct sockaddr_storage address;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
	                 MHD_USE_POLL | MHD_USE_ERROR_LOG;
	const bool tls = server->certificate;
	const struct MHD_OptionItem pems[] = {
	        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, server->certificate},
	        {tls ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, server->key},
	        {MHD_OPTION_END, 0, NULL}};

	flags |= set_address(server->options, &address) ? MHD_USE_IPv6 : 0;
	flags |= tls ? MHD_USE_TLS : 0;
	return MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER,
	                        complain, server, MHD_OPTION_SOCK_ADDR, &address,
	                        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_CONNECTION_LIMIT,
	                        (unsigned)(SEATS + SEATS_SPARE), MHD_OPTION_CONNECTION_TIMEOUT,
	                        (unsigned)SERVER_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	                        (size_t)SERVER_HEADERS_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
	                        (size_t)SERVER_STACK_BYTES, MHD_OPTION_NOTIFY_COMPLETED, completed,
	                        NULL, MHD_OPTION_NOTIFY_CONNECTION, notice, server,
	                        MHD_OPTION_ARRAY, pems, MHD_OPTION_END);
}

struct server *server_start(const struct options *options, struct feed *feed)
{
	struct server *server = calloc(1, sizeof(*server));
	bool good;

	if (!server)
		return NULL;
	*server = (struct server){.options = options, .streams.feed = feed, .starts = true};
	api_open(&server->api, options, feed);
	good = (server->seats = seats_new());
	if (good && options->certificate)
		good = (server->certificate = read_pem(options->certificate)) &&
		       (server->key = read_pem(options->key));
	if (good && (server->daemon = start(server))) {
		server->starts = false;
		return server;
	}
	log_error("console: can't serve %s port %u", options->address, options->port);
	server_stop(server);
	return NULL;
}

void server_stop(struct server *server)
{
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	seats_free(server->seats);
	free(server->certificate);
	free(server->key);
	free(server);
}
