/*
 * Sums over a farm's servers, and bits instead of bytes.
 */
#include "totals.h"

#include <string.h>

static double value(const json_t *object, const char *member)
{
	return json_number_value(json_object_get(object, member));
}

static void add_bits(json_t *object)
{
	const double bytes = value(object, "client_bytes_s") + value(object, "server_bytes_s");

	if (json_object_get(object, "client_bytes_s"))
		json_object_set_new(object, "bits_s", json_integer((json_int_t)(8 * bytes)));
}

static void add_to_farm(json_t *farm)
{
	const json_t *servers = json_object_get(farm, "servers");
	json_int_t flows = 0, up = 0;
	json_t *server;
	size_t s;

	json_array_foreach(servers, s, server)
	{
		const char *health = json_string_value(json_object_get(server, "health"));

		json_object_set(server, "farm", json_object_get(farm, "name"));
		add_bits(server);
		flows += json_integer_value(json_object_get(server, "connections"));
		up += health && !strcmp(health, "up");
	}
	json_object_set_new(farm, "connections", json_integer(flows));
	json_object_set_new(farm, "nservers", json_integer((json_int_t)json_array_size(servers)));
	json_object_set_new(farm, "nup", json_integer(up));
	add_bits(farm);
}

void totals_add(json_t *status)
{
	json_t *farm;
	size_t f;

	json_array_foreach(json_object_get(status, "farms"), f, farm) add_to_farm(farm);
}
