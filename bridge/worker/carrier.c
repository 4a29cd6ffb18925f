/*
 * The carrier of our own ports.
 *
 * A server doesn't answer either if our own cable is dead. The thread that watches the cables notes
 * when a port loses its carrier and gets it back; the one that probes checks if it had one all the
 * time.
 */
#include "carrier.h"

#define CARRIER_NONE UINT64_MAX

void carrier_note(struct carrier *carrier, enum side side, bool up, lb_time now)
{
	const uint64_t was = atomic_load(&carrier->since[side]);

	if (!up)
		atomic_store(&carrier->since[side], CARRIER_NONE);
	else if (was == CARRIER_NONE)
		atomic_store(&carrier->since[side], now.ns);
}

static bool was_there(const struct carrier *carrier, enum side side, lb_time sent)
{
	const uint64_t since = atomic_load(&carrier->since[side]);

	if (!since || since == CARRIER_NONE)
		return !since;
	return sent.ns >= since + CARRIER_SETTLES_MS * LB_NS_PER_MS;
}

bool carrier_was_there(const struct carrier *carrier, const struct hop *to, lb_time sent)
{
	bool ret = true;

	for (unsigned side = 0; side < NSIDES; side++)
		if (!to || to->side == side)
			ret &= was_there(carrier, (enum side)side, sent);
	return ret;
}
