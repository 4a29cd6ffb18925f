/*
 * A browser sends requests for any page that its user looks at. So a request by a name that isn't
 * ours is refused, as another site's name may have been made to lead here (DNS rebinding). And a
 * change needs a header that no other site's page can send, and a body of a type that such a page
 * can only send after a preflight request (CORS), which is never answered.
 */
#include "guard.h"

#include "address.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	GUARD_UNAUTHORIZED = 401,
	GUARD_FORBIDDEN = 403,
	GUARD_TYPE = 415,
	GUARD_MISDIRECTED = 421,
};

/* Copies host, without the brackets of IPv6 and without its port. False if that is another port
 * than this, or there is no room. */
static bool cut_port(const char *host, uint16_t port, char *ret, size_t bytes)
{
	const char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');
	char number[8];
	size_t len = strlen(host);

	if (colon && (!bracket || colon > bracket)) {
		snprintf(number, sizeof(number), "%u", port);
		if (strcmp(colon + 1, number))
			return false;
		len = (size_t)(colon - host);
	}
	if (*host == '[' && bracket) {
		host++;
		len -= 2;
	}
	if (len >= bytes)
		return false;
	memcpy(ret, host, len);
	ret[len] = '\0';
	return true;
}

bool guard_knows_host(const struct options *options, const char *host)
{
	char name[256];

	if (!host || !cut_port(host, options->port, name, sizeof(name)))
		return false;
	if (address_is_same(name, options->address))
		return true;
	if (address_is_loopback(options->address) &&
	    (!strcasecmp(name, "localhost") || address_is_loopback(name)))
		return true;
	for (unsigned i = 0; i < options->nhosts; i++)
		if (address_is_same(name, options->hosts[i]))
			return true;
	return false;
}

/* Compares in a time that doesn't tell how much of what was given is right. */
static bool is_same(const char *token, const char *given)
{
	const size_t len = strlen(token), given_len = strlen(given);
	unsigned char differs = len != given_len;

	for (size_t i = 0; i < len; i++)
		differs |= (unsigned char)(token[i] ^ given[given_len ? i % given_len : 0]);
	return !differs;
}

bool guard_knows_token(const struct options *options, const char *authorization)
{
	static const char scheme[] = "Bearer ";

	return *options->token && authorization &&
	       !strncasecmp(authorization, scheme, sizeof(scheme) - 1) &&
	       is_same(options->token, authorization + sizeof(scheme) - 1);
}

/* Of a page that came by the very name and port that is asked, or of none: other ports of this
 * machine are somebody else's. */
static bool is_own(const struct guard_request *request)
{
	const char *host = request->origin ? strstr(request->origin, "://") : NULL;

	return !request->origin || (host && !strcasecmp(host + strlen("://"), request->host));
}

unsigned guard_any(const struct options *options, const struct guard_request *request,
                   const char **ret_why)
{
	*ret_why = "this console isn't called that: see --name";
	if (!guard_knows_host(options, request->host))
		return GUARD_MISDIRECTED;
	*ret_why = "another page may not ask";
	return is_own(request) ? 0 : GUARD_FORBIDDEN;
}

unsigned guard_figures(const struct options *options, const struct guard_request *request,
                       const char **ret_why)
{
	*ret_why = "the token is wrong, or missing";
	return !*options->token || guard_knows_token(options, request->authorization)
	               ? 0
	               : GUARD_UNAUTHORIZED;
}

unsigned guard_change(const struct options *options, const struct guard_request *request,
                      const char **ret_why)
{
	static const char json[] = "application/json";

	*ret_why = "this console changes nothing: see --admin";
	if (!options->admin)
		return GUARD_FORBIDDEN;
	*ret_why = "the token is wrong, or missing";
	if (!guard_knows_token(options, request->authorization))
		return GUARD_UNAUTHORIZED;
	*ret_why = "only application/json";
	if (!request->type || strncasecmp(request->type, json, sizeof(json) - 1) ||
	    (request->type[sizeof(json) - 1] && request->type[sizeof(json) - 1] != ';'))
		return GUARD_TYPE;
	return 0;
}
