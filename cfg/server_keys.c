/*
 * The keys of [server NAME].
 */
#include "server_keys.h"
#include "farm_keys.h"
#include "nearest.h"

#include <errno.h>

static int server_farm(struct target *target, struct value *value)
{
	const struct rules *rules = target->rules;
	struct rules_farm *farm = farm_find(rules, value->text);
	struct nearest nearest = {.word = value->text};

	if (farm) {
		target->server->farm = (unsigned)(farm - rules->farms);
		return 0;
	}
	for (unsigned i = 0; i < rules->nfarms; i++)
		nearest_offer(&nearest, rules->farms[i].name);
	if (nearest_best(&nearest))
		return value_wrong(value, value->text,
		                   "is not a farm of this file: did you mean `%s`?",
		                   nearest_best(&nearest));
	return value_wrong(value, value->text, "is not a farm of this file");
}

static void show_server_farm(const struct target *target, struct shown *shown)
{
	show_text(shown, target->rules->farms[target->server->farm].name);
}

static int server_address(struct target *target, struct value *value)
{
	return value_address(value, target->rules, &target->server->address);
}

static void show_server_address(const struct target *target, struct shown *shown)
{
	show_addresses(shown, target->rules, &target->server->address, 1);
}

static int server_weight(struct target *target, struct value *value)
{
	uint32_t weight;
	int ret = value_number(value, 0, RULES_WEIGHT_MAX, &weight);

	if (ret == 0)
		target->server->weight = (uint8_t)weight;
	return ret;
}

static void show_server_weight(const struct target *target, struct shown *shown)
{
	show_number(shown, target->server->weight);
}

static int server_state(struct target *target, struct value *value)
{
	unsigned state;
	int ret = value_word(value, rules_state_words, &state);

	if (ret == 0)
		target->server->state = (enum rules_state)state;
	return ret;
}

static void show_server_state(const struct target *target, struct shown *shown)
{
	show_text(shown, rules_state_words[target->server->state]);
}

static int server_mac(struct target *target, struct value *value)
{
	int ret = value_mac(value, &target->server->mac);

	target->server->has_mac = ret == 0;
	return ret;
}

static void show_server_mac(const struct target *target, struct shown *shown)
{
	if (target->server->has_mac)
		show_mac(shown, &target->server->mac);
}

static int server_vlan(struct target *target, struct value *value)
{
	return value_vlan(value, &target->server->vlan);
}

static void show_server_vlan(const struct target *target, struct shown *shown)
{
	show_vlan(shown, target->server->vlan);
}

static int server_max_connections(struct target *target, struct value *value)
{
	return value_number(value, 0, RULES_CONNECTIONS_MAX, &target->server->max_connections);
}

static void show_server_max_connections(const struct target *target, struct shown *shown)
{
	show_number(shown, target->server->max_connections);
}

const struct key server_keys[] = {
        /* name, set, show, default, what to say if it must be there and isn't */
        {"farm", server_farm, show_server_farm, NULL,
         "a server needs the name of its farm, such as farm = ocspool"},
        {"address", server_address, show_server_address, NULL,
         "a server needs an address, such as address = 10.0.0.41"},
        {"weight", server_weight, show_server_weight, "1", NULL},
        {"state", server_state, show_server_state, "active", NULL},
        {"mac", server_mac, show_server_mac, NULL, NULL},
        {"vlan", server_vlan, show_server_vlan, NULL, NULL},
        {"max_connections", server_max_connections, show_server_max_connections, "0", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

static_assert(sizeof(server_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [server]");
