#include "floor.h"

#include "../../lb/rewrite.h"

struct bare {
	struct tuple tuple;
	uint64_t hash;
	uint32_t ref;
};

static void look_up(const struct flows *flows, const struct frame *frames, unsigned n,
                    struct bare bare[])
{
	for (unsigned i = 0; i < n; i++) {
		tuple_load_addresses(&bare[i].tuple, frames[i].data + PARSE_PLAIN_L3 + IPV4_SRC);
		tuple_load_ports(&bare[i].tuple, frames[i].data + PARSE_PLAIN_L4 + TCP_SRC);
		bare[i].hash = flows_hash(flows, &bare[i].tuple, false);
		index_prefetch(&flows->index, bare[i].hash);
	}
	for (unsigned i = 0; i < n; i++)
		bare[i].ref = flows_guess(flows, bare[i].hash);
}

unsigned floor_input(const struct flows *flows, struct frame *frames, unsigned n)
{
	struct bare bare[FLOOR_BURST];
	unsigned found = 0;

	look_up(flows, frames, n, bare);
	for (unsigned i = 0; i < n; i++) {
		const struct flow_key key = {.tuple = bare[i].tuple};
		const uint32_t ref = flows_find_guessed(flows, &key, bare[i].hash, bare[i].ref);
		struct tuple to;

		if (ref == FLOW_NONE)
			continue;
		to = tuple_reverse(flows_at(flows, flow_of(ref))->arrive[end_other(end_of(ref))]);
		rewrite_ports(frames[i].data + PARSE_PLAIN_L4, frames[i].flags, &bare[i].tuple, &to,
		              rewrite_ipv4(frames[i].data + PARSE_PLAIN_L3, &bare[i].tuple, &to));
		found++;
	}
	return found;
}
