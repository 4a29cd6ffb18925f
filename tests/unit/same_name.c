#include "same_name.h"

#include "frames.h"

#include "../../lb/balance.h"

#include <check.h>
#include <stdlib.h>

enum { TRIED = 300000, SLOTS = 1 << 20 };

static struct ip6 numbered(uint32_t number)
{
	struct ip6 ip = fixture_ip6(ip4(0, 0, 0, 0));

	frames_put32(ip.b + 8, number);
	frames_put32(ip.b + 12, number * 2654435761u ^ number >> 7);
	return ip;
}

void same_name_find(const struct engine *engine, struct ip6 ret[2])
{
	const uint64_t *factors = lb_balance(engine->lb)->flows.factors6;
	struct seen {
		be32 name;
		uint32_t number;
	} *seen = calloc(SLOTS, sizeof(*seen));

	for (uint32_t i = 1; i < TRIED; i++) {
		const struct ip6 ip = numbered(i);
		const be32 name = name_hashed(factors, &ip);
		uint32_t slot = be32_get(name) % SLOTS;

		while (seen[slot].number && !be32_eq(seen[slot].name, name))
			slot = (slot + 1) % SLOTS;
		if (seen[slot].number) {
			ret[0] = numbered(seen[slot].number);
			ret[1] = ip;
			free(seen);
			return;
		}
		seen[slot] = (struct seen){name, i};
	}
	ck_abort_msg("no two of %d addresses have the same hash", TRIED);
}
