/*
 * The engine's part of the table: what it writes there. See barred.h.
 *
 * An entry is withdrawn first and published last. Of a set that is full the one that ends first
 * makes way: who is left out reaches the engine, which refuses him as ever.
 */
#include "barred.h"

#include "parse.h"
#include "why.h"

static_assert(WHY_CLIENT_CONNECTIONS - WHY_CLIENT_DENIED == BARRED_CONNECTIONS &&
                      WHY_CLIENT_RATE - WHY_CLIENT_DENIED == BARRED_RATE &&
                      WHY_CLIENT_BLOCKED - WHY_CLIENT_DENIED == BARRED_BLOCKED,
              "the limits have the order of their reasons");

enum { BARRED_FLOWS_MOST = UINT8_MAX };

void barred_begin(struct barred *barred, const struct hash_key *key)
{
	static const uint64_t words[] = {1, 2}; /* what hashes here have to do with no others */

	memset(barred, 0, sizeof(*barred));
	barred->seed = siphash(key, &words[0], 1);
	barred->factor = siphash(key, &words[1], 1) | 1;
}

void barred_clear(struct barred *barred)
{
	BOTH_WRITE_LAST(barred->generation, (uint16_t)(barred->generation + 1));
	BOTH_WRITE(barred->last_ns, 0);
}

void barred_rest(struct barred *barred, bool rests)
{
	barred->rests = rests;
	barred_clear(barred);
}

void barred_describe(const struct packet *packet, uint64_t client, struct barred_syn *ret)
{
	const struct tuple *tuple = &packet->tuple;
	const struct ip6 src = packet->src6 ? *packet->src6 : ip6_mapped(tuple->src),
	                 dst = packet->dst6 ? *packet->dst6 : ip6_mapped(tuple->dst);

	barred_note_addresses(&src, &dst, ret);
	ret->words[4] = barred_mac_and_port(packet->from.mac.b, csum_load(tuple->dport.b));
	ret->words[5] = hop_vlan(&packet->from);
	ret->client = client;
	ret->sport = csum_load(tuple->sport.b);
}

static bool is_of(const struct barred_entry *entry, const struct barred_syn *syn)
{
	return !memcmp(entry->words, syn->words, sizeof(entry->words));
}

/* The SYN's entry, or the one that it would get. */
static struct barred_entry *place_for(struct barred *barred, const struct barred_syn *syn)
{
	struct barred_entry *set = barred->entries[barred_set_at(barred, syn->words)];
	struct barred_entry *ret = &set[0];

	for (unsigned i = 0; i < BARRED_WAYS; i++) {
		if (is_of(&set[i], syn))
			return &set[i];
		if (set[i].until_ns < ret->until_ns)
			ret = &set[i];
	}
	return ret;
}

void barred_put(struct barred *barred, const struct barred_syn *syn, unsigned kind, lb_time until,
                lb_time now)
{
	struct barred_entry *entry;
	const uint64_t most = now.ns + BARRED_LONGEST_NS,
	               until_ns = until.ns < most ? until.ns : most;
	const uint64_t client = barred_hash_client(barred, syn->client);

	if (barred->rests || until_ns <= now.ns)
		return;
	entry = place_for(barred, syn);
	BOTH_WRITE(entry->until_ns, 0);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < BARRED_WORDS; i++)
		BOTH_WRITE(entry->words[i], syn->words[i]);
	BOTH_WRITE(entry->epoch, barred->epochs[barred_epoch_at(client)]);
	BOTH_WRITE(entry->generation, barred->generation);
	BOTH_WRITE(entry->kind, (uint8_t)kind);
	BOTH_WRITE_LAST(entry->until_ns, until_ns);
	if (until_ns > barred->last_ns)
		BOTH_WRITE(barred->last_ns, until_ns);
}

void barred_retract(struct barred *barred, uint64_t client)
{
	uint32_t *epoch = &barred->epochs[barred_epoch_at(barred_hash_client(barred, client))];

	BOTH_WRITE(*epoch, *epoch + 1);
}

/* A count that has reached its most stays there: what it would be isn't known any more. */
void barred_flow(struct barred *barred, uint64_t client, be16 sport, bool begins)
{
	const uint64_t hash = barred_hash_client(barred, client);
	uint8_t *n = &barred->flows[barred_flow_at(barred, hash, csum_load(sport.b))];

	if (*n == BARRED_FLOWS_MOST || (!begins && !*n))
		return;
	BOTH_WRITE(*n, (uint8_t)(begins ? *n + 1 : *n - 1));
}

void barred_forget_flows(struct barred *barred)
{
	memset(barred->flows, 0, sizeof(barred->flows));
}

void barred_sum_up(struct barred *barred, lb_time now, struct barred_counts *ret)
{
	if (barred->last_ns && barred->last_ns <= now.ns)
		BOTH_WRITE(barred->last_ns, 0);
	*ret = (struct barred_counts){0};
	for (unsigned lane = 0; lane < BARRED_LANES; lane++) {
		const struct barred_counts *counts = &barred->counts[lane];

		for (unsigned side = 0; side < NSIDES; side++) {
			for (unsigned i = 0; i < BARRED_KINDS; i++)
				ret->frames[side][i] += BOTH_READ(counts->frames[side][i]);
			ret->bytes[side] += BOTH_READ(counts->bytes[side]);
		}
	}
}
