/*
 * Values as text.
 *
 * What is shown reads back as the same value. Equal values have equal texts, so that whoever wants
 * to know if a key has changed compares these.
 */
#include "show.h"
#include "ip.h"

#include <stdarg.h>
#include <stdio.h>

static void show(struct shown *shown, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void show(struct shown *shown, const char *fmt, ...)
{
	size_t room = sizeof(shown->text) - shown->used;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(shown->text + shown->used, room, fmt, ap);
	va_end(ap);
	shown->used += (size_t)len < room ? (size_t)len : room - 1;
}

void show_text(struct shown *shown, const char *text)
{
	show(shown, "%s", text);
}

void show_number(struct shown *shown, uint32_t number)
{
	show(shown, "%u", number);
}

void show_duration(struct shown *shown, uint32_t ms)
{
	char text[VALUE_DURATION_BYTES];

	show_text(shown, value_duration_text(ms, text));
}

void show_mac(struct shown *shown, const struct mac *mac)
{
	for (unsigned i = 0; i < sizeof(mac->b); i++)
		show(shown, "%s%02x", i ? ":" : "", mac->b[i]);
}

void show_vlan(struct shown *shown, uint16_t vlan)
{
	if (vlan)
		show_number(shown, vlan);
	else
		show_text(shown, "off");
}

static const char *comma(const struct shown *shown)
{
	return shown->used ? ", " : "";
}

static void show_range(struct shown *shown, unsigned first, unsigned last)
{
	if (first == last)
		show(shown, "%s%u", comma(shown), first);
	else
		show(shown, "%s%u-%u", comma(shown), first, last);
}

void show_ports(struct shown *shown, const be16 *ports, unsigned n)
{
	for (unsigned i = 0, next; i < n; i = next) {
		unsigned first = be16_get(ports[i]);

		for (next = i + 1; next < n && be16_get(ports[next]) == first + (next - i);)
			next++;
		show_range(shown, first, first + (next - i) - 1);
	}
}

/* How many of n services make one range from the first on: their ports follow each other, and so do
 * the servers' ports. */
static unsigned run_of(const be16 *ports, const be16 *server_ports, unsigned n)
{
	unsigned run = 1;

	while (run < n && be16_get(ports[run]) == be16_get(ports[0]) + run &&
	       be16_get(server_ports[run]) == be16_get(server_ports[0]) + run)
		run++;
	return run;
}

void show_services(struct shown *shown, const be16 *ports, const be16 *server_ports, unsigned n)
{
	if (!server_ports)
		server_ports = ports;
	for (unsigned i = 0, run; i < n; i += run) {
		const unsigned to = be16_get(server_ports[i]);

		run = run_of(ports + i, server_ports + i, n - i);
		show_range(shown, be16_get(ports[i]), be16_get(ports[i]) + run - 1);
		if (to != be16_get(ports[i]))
			show(shown, ":%u", to);
		if (to != be16_get(ports[i]) && run > 1)
			show(shown, "-%u", to + run - 1);
	}
}

void show_port_ranges(struct shown *shown, const struct port_range *ranges, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		show_range(shown, ranges[i].first, ranges[i].last);
}

/* Whether b is the address after a. */
static bool follows(const struct rules *rules, be32 a, be32 b)
{
	struct ip first = {.is_ipv6 = name_is_ipv6(a)}, second = {.is_ipv6 = name_is_ipv6(b)};

	if (first.is_ipv6 != second.is_ipv6)
		return false;
	first.ip4 = a;
	second.ip4 = b;
	if (first.is_ipv6) {
		first.ip6 = *rules_ip6(rules, a);
		second.ip6 = *rules_ip6(rules, b);
	}
	ip_step(&first);
	return ip_compare(&first, &second) == 0;
}

void show_addresses(struct shown *shown, const struct rules *rules, const be32 *addresses,
                    unsigned n)
{
	char text[VALUE_ADDRESS_BYTES];

	for (unsigned i = 0, next; i < n; i = next) {
		for (next = i + 1;
		     next < n && follows(rules, addresses[next - 1], addresses[next]);)
			next++;
		show(shown, "%s%s", comma(shown), value_address_text(rules, addresses[i], text));
		if (next > i + 1)
			show(shown, "-%s", value_address_text(rules, addresses[next - 1], text));
	}
}
