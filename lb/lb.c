/*
 * The engine's functions for its callers: making it, noting what probes and operators say, going
 * over to other rules, reading its figures. What becomes of frames begins in path.c, what time
 * changes in expire.c.
 *
 * Frames are only touched from layer 3 upwards. Nothing is sent from here: an answer is described
 * in the verdict, and bridge/ makes it.
 */
#include "lb.h"

#include "adopt.h"
#include "follow.h"
#include "life.h"
#include "path.h"
#include "pieces.h"
#include "progress.h"
#include "traffic.h"
#include "wire.h"

static size_t measure(const struct rules *rules, const struct share *share, struct table *table)
{
	static const struct hash_key no_key;
	struct arena arena = {.table = table};
	struct balance balance;
	struct frags frags;

	arena_take(&arena, 1, sizeof(struct lb));
	balance_lay_out(&balance, &arena, rules, share, no_key, (lb_time){0});
	frags_lay_out(&frags, &arena);
	return arena.used;
}

size_t lb_size(const struct rules *rules, const struct share *share)
{
	return measure(rules, share, NULL);
}

size_t lb_table_sizes(const struct rules *rules, const struct share *share, struct table *ret)
{
	*ret = (struct table){0};
	return measure(rules, share, ret);
}

static struct lb *make(void *mem, struct table *table, struct farms *farms,
                       const struct hash_key *key, const struct mac macs[NSIDES], lb_time now)
{
	struct arena arena = {.base = mem, .table = table};
	struct lb *lb = arena_take(&arena, 1, sizeof(*lb));

	*lb = (struct lb){.macs = {macs[OUTSIDE], macs[INSIDE]}};
	balance_lay_out(&lb->balance, &arena, farms->rules, &farms->share, *key, now);
	balance_begin(&lb->balance, farms);
	frags_lay_out(&lb->frags, &arena);
	frags_seed(&lb->frags, key);
	refuse_begin(&lb->refuse, key, now);
	return lb;
}

struct lb *lb_init(void *mem, struct farms *farms, const struct hash_key *key,
                   const struct mac macs[NSIDES], lb_time now)
{
	return lb_init_shared(mem, NULL, farms, key, macs, now);
}

struct lb *lb_init_shared(void *mem, struct table *table, struct farms *farms,
                          const struct hash_key *key, const struct mac macs[NSIDES], lb_time now)
{
	struct lb *lb;

	if (table)
		table->keep = false;
	lb = make(mem, table, farms, key, macs, now);
	flows_announce(&lb->balance.flows, now);
	flows_note_names(&lb->balance.flows, farms->rules->names, farms->rules->nnames);
	return lb;
}

/* If the arrays hold a table of this layout, as large as one of these rules. */
static bool is_adoptable(const struct table *table, const struct farms *farms, lb_time now)
{
	const struct table_head *head = table->arrays[TABLE_HEAD].memory;
	struct table sizes;

	lb_table_sizes(farms->rules, &farms->share, &sizes);
	return BOTH_READ_FIRST(head->layout) == TABLE_LAYOUT && head->epoch_ns <= now.ns &&
	       head->flows == sizes.arrays[TABLE_FLOWS].elements &&
	       head->nbuckets == sizes.arrays[TABLE_BUCKETS].elements &&
	       head->nplaces == sizes.arrays[TABLE_PLACES].elements;
}

/* If the names of IPv6 addresses that flows have mean the same addresses by the rules. */
static bool has_same_names(const struct flows *flows, const struct rules *rules)
{
	const uint32_t n = flows->head->nnames;

	return n <= rules->nnames &&
	       (!n || !flows->names ||
	        !memcmp(flows->names, rules->names, n * sizeof(*rules->names)));
}

struct lb *lb_adopt(void *mem, struct table *table, void *scratch, struct farms *farms,
                    const struct mac macs[NSIDES], lb_time now, struct adoption *ret)
{
	const struct table_head *head = table->arrays[TABLE_HEAD].memory;
	const struct hash_key key = {{head->key[0], head->key[1]}};
	const lb_time epoch = {head->epoch_ns};
	struct flows *flows;
	struct lb *lb;

	if (!is_adoptable(table, farms, now))
		return NULL;
	table->keep = true;
	lb = make(mem, table, farms, &key, macs, now);
	lb->balance.epoch = epoch;
	flows = &lb->balance.flows;
	/* a process that died while it gave addresses other names has left nothing to adopt */
	if (!has_same_names(flows, farms->rules))
		BOTH_WRITE(flows->head->layout, 0);
	adopt_flows(&lb->balance, scratch, table->keep_half_open, now, ret);
	flows_note_names(flows, farms->rules->names, farms->rules->nnames);
	flows_announce(flows, epoch);
	expire_start_reaping(&lb->balance);
	return lb;
}

/* Forgets which SYNs get nothing, as the engine will judge them otherwise from now on. */
static void unbar(struct lb *lb)
{
	if (lb->balance.limits.barred)
		barred_clear(lb->balance.limits.barred);
}

void lb_hold(struct lb *lb, unsigned sides)
{
	lb->held = (uint8_t)sides;
	unbar(lb);
}

void lb_set_mac(struct lb *lb, enum side side, const struct mac *mac)
{
	lb->macs[side] = *mac;
	unbar(lb);
}

void lb_set_mtu(struct lb *lb, enum side side, uint32_t mtu)
{
	lb->mtus[side] = mtu;
}

void lb_input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret)
{
	while (n > 0) {
		unsigned burst = n < PATH_BURST ? n : PATH_BURST;

		path_input(lb, frames, burst, now, ret);
		frames += burst;
		ret += burst;
		n -= burst;
	}
}

void lb_not_handed_over(struct lb *lb)
{
	lb->whys[WHY_HANDED_OVER]--;
	lb->whys[WHY_NOT_HANDED_OVER]++;
}

bool lb_take_fragment(struct lb *lb, struct frame *ret, struct verdict *ret_verdict)
{
	return pieces_take(lb, ret, ret_verdict);
}

/* If the frame is a whole TCP segment that may be answered with a reset (RFC 9293, 3.10.7.1). */
static bool is_resettable(const struct scene *scene, const struct frame *frame,
                          struct packet *packet)
{
	parse_frame(frame, packet);
	if (packet->kind != PACKET_IPV4 && packet->kind != PACKET_IPV6)
		return false;
	return parse_ip(frame, packet) && !packet->is_fragment &&
	       packet->protocol == IPPROTO_NUM_TCP && parse_tcp(frame, packet) &&
	       !(packet->tcp_flags & TCP_RST) && parse_l4_checksum_ok(frame, packet) &&
	       !scene_is_martian(scene, frame, packet);
}

/* If a frame that has been screened is the host's, a loop, or a server's answer to a probe. One for
 * which something is left to do may be the host's as well, where it has our addresses. */
static bool is_beyond_filters(const struct scene *scene, const struct frame *frame, struct job *job,
                              struct verdict *v)
{
	if (job->rest == REST_NONE)
		return v->why == WHY_TO_HOST || v->why == WHY_OTHER_HOST || v->why == WHY_LOOP;
	if (job->rest == REST_ICMP_ERROR)
		return scene_is_hosts(scene, &job->packet, &job->key.tuple);
	if (rest_is_plain(job->rest))
		screen_plain(scene, frame, job, v);
	else if (job->rest != REST_TCP)
		return false;
	return scene_is_hosts(scene, &job->packet, &job->packet.tuple) ||
	       (scene_dst(scene, &job->packet)->kinds & ADDRESS_OURS &&
	        traffic_is_probe_reply(scene, &job->packet));
}

bool lb_filter(struct lb *lb, struct frame *frame, enum lb_why why, lb_time now,
               struct verdict *ret)
{
	const struct scene scene = engine_scene(lb);
	struct packet packet = {0};
	struct job job;

	*ret = (struct verdict){0};
	job.rest = screen_frame(&scene, frame, &job, ret);
	if (is_beyond_filters(&scene, frame, &job, ret))
		return false;
	verdict_begin(ret, frame);
	if (why != WHY_FILTER_RESET)
		verdict_settle(ret, why);
	else if (is_resettable(&scene, frame, &packet))
		refuse(&lb->refuse, ret, why, &packet, now);
	else
		verdict_settle(ret, WHY_FILTERED);
	lb->whys[ret->why]++;
	return true;
}

void lb_take_notes(struct lb *lb, lb_time now)
{
	progress_take_all(&lb->balance, now);
}

unsigned lb_poll(struct lb *lb, lb_time now, struct own *ret, unsigned max, bool *ret_more)
{
	struct own_list out = {.items = ret, .max = max};

	frags_expire(&lb->frags, now);
	*ret_more = progress_take_all(&lb->balance, now);
	*ret_more |= expire_doomed(&lb->balance, &out); /* before these flows are forgotten */
	*ret_more |= !expire_due(&lb->balance, now, &out);
	*ret_more |= adopt_reset(&lb->balance, &out);
	*ret_more |= expire_reap(&lb->balance, now, &out);
	*ret_more |= follow_look(&lb->balance, now);
	return out.n;
}

bool lb_end_flow(struct lb *lb, uint32_t flow, lb_time now, struct own_list *out)
{
	return expire_wanted(&lb->balance, flow, now, out);
}

void lb_sighted(struct lb *lb, const struct sighting *sighting, lb_time now)
{
	follow_sighting(&lb->balance, sighting, now);
}

void lb_place_server(struct lb *lb, unsigned server, const struct hop *hop)
{
	lb->balance.farms->sides[server] = (uint8_t)(1u << hop->side);
	lb->balance.farms->macs[server] = hop->mac;
}

void lb_miss_server(struct lb *lb, unsigned server)
{
	lb->balance.farms->sides[server] = 0;
	lb->balance.farms->macs[server] = (struct mac){{0}};
}

bool lb_probed(struct lb *lb, unsigned server, unsigned check, bool ok, lb_time now)
{
	struct health *health = &lb->balance.farms->health;

	if (!health_report(health, server, check, ok, now))
		return false;
	if (health_of(health, server) == HEALTH_DOWN)
		expire_start_reaping(&lb->balance);
	return true;
}

bool lb_agent(struct lb *lb, unsigned server, const struct agent *agent, lb_time now)
{
	struct health *health = &lb->balance.farms->health;

	if (!health_agent(health, server, agent, now))
		return false;
	if (health_of(health, server) == HEALTH_DOWN)
		expire_start_reaping(&lb->balance);
	return true;
}

void lb_recall_sticky(struct lb *lb, unsigned server, be32 client, uint32_t until, bool sure,
                      lb_time now)
{
	struct balance *balance = &lb->balance;
	const struct persist_key key = persist_key(farms_of_server(balance->farms, server), client);
	const uint32_t tick = balance_tick(balance, now);

	if (sure)
		persist_note(&balance->persist, key, (uint16_t)server, tick, until);
	else
		persist_hope(&balance->persist, key, (uint16_t)server, tick, until);
}

void lb_recall_limited(struct lb *lb, unsigned farm, const struct limits_client *client,
                       lb_time blocked, lb_time now)
{
	const struct limits_asker asker = {
	        .rules = lb->balance.farms->rules, .farm = farm, .key = client->key};

	limits_recall(&lb->balance.limits, &asker, client->asked_ns, client->opened_ns, blocked,
	              now);
}

bool lb_force_health(struct lb *lb, unsigned server, enum health_verdict verdict, lb_time now)
{
	struct health *health = &lb->balance.farms->health;

	if (!health_force(health, server, verdict, now))
		return false;
	if (health_of(health, server) == HEALTH_DOWN)
		expire_start_reaping(&lb->balance);
	return true;
}

void lb_bypass(struct lb *lb, bool bypass)
{
	lb->bypassed = bypass;
	unbar(lb);
}

void lb_press(struct lb *lb, lb_time now)
{
	strangers_press(&lb->balance.strangers, now);
}

void lb_use_barred(struct lb *lb, struct barred *barred, const struct hash_key *key)
{
	if (barred)
		barred_begin(barred, key);
	lb->barred = (struct barred_counts){0};
	balance_use_barred(&lb->balance, barred);
}

void lb_rest_barred(struct lb *lb, bool rests)
{
	struct barred *barred = lb->balance.limits.barred;

	if (barred && barred->rests != rests)
		barred_rest(barred, rests);
}

/* Counts n SYNs that a program has dropped, as the limit in kind would have refused them. */
static void count_barred(struct lb *lb, unsigned kind, uint64_t n)
{
	struct limits_counts *counts = &lb->balance.limits.counts;
	uint64_t *const by_limit[BARRED_LIMITS] = {
	        [BARRED_DENIED] = &counts->denied,
	        [BARRED_CONNECTIONS] = &counts->connections,
	        [BARRED_RATE] = &counts->rate,
	        [BARRED_BLOCKED] = &counts->blocked,
	};

	*by_limit[kind % BARRED_LIMITS] += n;
	counts->elsewhere += n;
	lb->whys[kind < BARRED_RST ? WHY_CLIENT_DROPPED : WHY_RST_LIMITED] += n;
	lb->balance.counts.refused += n;
}

bool lb_take_barred(struct lb *lb, lb_time now, struct barred_counts *ret)
{
	struct barred *barred = lb->balance.limits.barred;
	struct barred_counts sum, *taken = &lb->barred;
	uint64_t n = 0;

	if (!barred)
		return false;
	barred_sum_up(barred, now, &sum);
	*ret = (struct barred_counts){0};
	for (unsigned side = 0; side < NSIDES; side++) {
		for (unsigned i = 0; i < BARRED_KINDS; i++) {
			n += ret->frames[side][i] = sum.frames[side][i] - taken->frames[side][i];
			count_barred(lb, i, ret->frames[side][i]);
		}
		ret->bytes[side] = sum.bytes[side] - taken->bytes[side];
	}
	*taken = sum;
	return n;
}

bool lb_take_suspect(struct lb *lb, uint16_t *ret)
{
	return observe_take(&lb->balance.farms->observe, ret);
}

size_t lb_extra_size(const struct lb *lb, const struct rules *rules, enum lb_extra extra)
{
	const struct balance *balance = &lb->balance;

	if (extra == LB_IP6)
		return rules->nnames && !balance->flows.client6 ? flows_ip6_size(&balance->flows)
		                                                : 0;
	return limits_any_farm(rules) && !balance->limits.clients ? limits_size() : 0;
}

void lb_use_extra(struct lb *lb, enum lb_extra extra, void *mem, lb_time now)
{
	if (extra == LB_IP6) {
		flows_use_ip6(&lb->balance.flows, mem);
		return;
	}
	limits_use(&lb->balance.limits, mem);
	balance_count_clients(&lb->balance, now);
}

void lb_reload(struct lb *lb, struct farms *farms, const uint16_t *map)
{
	const struct farms *old = lb->balance.farms;

	for (unsigned s = 0; s < farms->rules->nservers; s++)
		farms->health.servers[s].late = true;
	for (unsigned s = 0; s < old->rules->nservers; s++) {
		if (map[s] == SERVER_NONE)
			continue;
		sched_inherit(&farms->sched, map[s], &old->sched, s);
		flow_sum_add(&farms->sums[map[s]], &old->sums[s]);
		if (!old->sched.servers[s].connections_total)
			continue; /* it had no flow: nothing to add, and that takes long */
		times_add(&farms->times[map[s]].connect, &old->times[s].connect);
		times_add(&farms->times[map[s]].flow, &old->times[s].flow);
	}
	for (unsigned s = 0; s < farms->rules->nservers; s++)
		if (farms->rules->servers[s].was)
			health_inherit(&farms->health, s, &old->health,
			               farms->rules->servers[s].was - 1u);
	balance_move(&lb->balance, farms, map);
	flows_note_names(&lb->balance.flows, farms->rules->names, farms->rules->nnames);
	frags_renumber(&lb->frags, map);
	expire_look_again(&lb->balance);
	expire_start_reaping(&lb->balance);
}

bool lb_bury(struct lb *lb, uint32_t *cursor, bool go_on, lb_time now)
{
	return life_bury_all(&lb->balance, cursor, go_on, now);
}

bool lb_take_ended(struct lb *lb, struct ended *ret)
{
	return ended_take(&lb->balance.ended, ret);
}

bool lb_is_busy(const struct lb *lb)
{
	return balance_open_flows(&lb->balance) || balance_quarantined(&lb->balance) ||
	       lb->balance.reap_left || lb->balance.follow_left;
}

const struct frags *lb_frags(const struct lb *lb)
{
	return &lb->frags;
}

const uint64_t *lb_whys(const struct lb *lb)
{
	return lb->whys;
}

const struct balance *lb_balance(const struct lb *lb)
{
	return &lb->balance;
}
