/*
 * How tmbridge stands in the network: its mode, its addresses with their subnets, its gateways.
 */
#include "net_keys.h"

#include "ip.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

enum { IPV4_BITS = 32, IPV6_BITS = 128, ITEM_BYTES = VALUE_ADDRESS_BYTES + sizeof("/128") };

static const char *const no_yes[] = {"no", "yes", NULL};

int bridge_mode(struct target *target, struct value *value)
{
	unsigned word;
	int ret;

	if (value_is(value, "out-of-path"))
		return value_wrong(
		        value, value->text,
		        "is not for OCS, which doesn't support it: what goes past tmbridge is "
		        "neither reset nor timed out; use one-armed");
	ret = value_word(value, rules_mode_words, &word);
	if (ret == 0)
		target->rules->mode = (enum rules_mode)word;
	return ret;
}

void show_bridge_mode(const struct target *target, struct shown *shown)
{
	show_text(shown, rules_mode_words[target->rules->mode]);
}

int bridge_routing(struct target *target, struct value *value)
{
	unsigned word;
	int ret = value_word(value, no_yes, &word);

	if (ret == 0)
		target->rules->routing = word;
	return ret;
}

void show_bridge_routing(const struct target *target, struct shown *shown)
{
	show_text(shown, no_yes[target->rules->routing]);
}

/* ---- Lists of addresses, one after the other ---- */

/* The next item of a list, without blanks; what follows it is left in *rest, NULL being the end. */
static int next_item(struct value *value, const char **rest, char ret[ITEM_BYTES])
{
	const char *from = *rest;
	size_t len = strcspn(from, ",");

	*rest = from[len] ? from + len + 1 : NULL;
	while (len && isblank((unsigned char)*from)) {
		from++;
		len--;
	}
	while (len && isblank((unsigned char)from[len - 1]))
		len--;
	if (!len)
		return value_wrong(value, value->text, "has a comma too many");
	if (len >= ITEM_BYTES)
		return value_wrong(value, from, "is too long for an address");
	memcpy(ret, from, len);
	ret[len] = 0;
	return 0;
}

int bridge_gateway(struct target *target, struct value *value)
{
	struct rules *rules = target->rules;
	const char *rest = value->text;
	char item[ITEM_BYTES];
	int ret = 0;

	while (rest && !ret) {
		struct ip ip;
		be32 *gateway;

		if ((ret = next_item(value, &rest, item)) || (ret = ip_read(value, item, &ip)))
			return ret;
		gateway = ip.is_ipv6 ? &rules->gateway6 : &rules->gateway4;
		if (be32_get(*gateway))
			return value_wrong(value, item, "is a second gateway of its version of IP");
		ret = ip_name(value, rules, &ip, gateway);
	}
	return ret;
}

void show_bridge_gateway(const struct target *target, struct shown *shown)
{
	const struct rules *rules = target->rules;
	be32 gateways[2];
	unsigned n = 0;

	if (be32_get(rules->gateway4))
		gateways[n++] = rules->gateway4;
	if (be32_get(rules->gateway6))
		gateways[n++] = rules->gateway6;
	show_addresses(shown, rules, gateways, n);
}

/* "10.0.0.40/24" */
static int read_net(struct value *value, char *item, struct rules_net *ret)
{
	char *slash = strchr(item, '/');
	const bool is_ipv6 = strchr(item, ':');
	const uint32_t bits = is_ipv6 ? IPV6_BITS : IPV4_BITS;
	uint32_t prefix;
	struct ip ip;
	int err;

	if (!slash || !value_read_number(slash + 1, 1, bits, &prefix))
		return value_wrong(
		        value, item,
		        "is not an address with its prefix length, such as 10.0.0.40/24");
	*slash = 0;
	if ((err = ip_read(value, item, &ip)))
		return err;
	ret->address = is_ipv6 ? ip.ip6 : ip6_mapped(ip.ip4);
	ret->prefix = (uint8_t)(prefix + IPV6_BITS - bits);
	return 0;
}

static int set_nets(struct target *target, struct value *value, enum side side)
{
	struct rules_nets *nets = &target->rules->nets;
	const char *rest = value->text;
	char item[ITEM_BYTES];
	int ret = 0;

	while (rest && !ret) {
		if (nets->n == RULES_NETS_MAX)
			return value_wrong(value, value->text, "has more than %u addresses",
			                   RULES_NETS_MAX);
		if ((ret = next_item(value, &rest, item)) ||
		    (ret = read_net(value, item, &nets->all[nets->n])))
			return ret;
		nets->all[nets->n++].side = (uint8_t)side;
	}
	return 0;
}

static void show_nets(const struct target *target, struct shown *shown, enum side side)
{
	struct rules *rules = target->rules;
	const struct rules_nets *nets = &rules->nets;
	char text[VALUE_ADDRESS_BYTES], item[ITEM_BYTES + 2];
	unsigned shown_before = 0;

	for (unsigned i = 0; i < nets->n; i++) {
		const struct rules_net *net = &nets->all[i];
		const bool is_ipv4 = ip6_is_mapped(&net->address);

		if (net->side != side)
			continue;
		ip6_text(&net->address, text);
		snprintf(item, sizeof(item), "%s%s/%u", shown_before++ ? ", " : "", text,
		         net->prefix - (is_ipv4 ? IPV6_BITS - IPV4_BITS : 0u));
		show_text(shown, item);
	}
}

int bridge_outside_address(struct target *target, struct value *value)
{
	return set_nets(target, value, OUTSIDE);
}

void show_bridge_outside_address(const struct target *target, struct shown *shown)
{
	show_nets(target, shown, OUTSIDE);
}

int bridge_inside_address(struct target *target, struct value *value)
{
	return set_nets(target, value, INSIDE);
}

void show_bridge_inside_address(const struct target *target, struct shown *shown)
{
	show_nets(target, shown, INSIDE);
}
