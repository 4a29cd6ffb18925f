/*
 * The fuzzers' engine.
 *
 * To lay one out anew and to open its flows would be most of the work, so that is done once for
 * each option; what was written then is copied for each run to where it was written.
 */
#include "engine.h"

#include "packets.h"
#include "../../lb/takeover.h"

/* What an engine's option says beside the scheduler, which is the least of it. */
enum option_switch { ON_IDLE, ON_DOWN_AND_LIMIT, HAS_LIMITS, NSWITCHES };

enum {
	OPTIONS = RULES_NSCHEDULERS << NSWITCHES,
	SERVERS_MAX = 64,
	SNAT_MAX = 256,
	NFARMS = 6,
	NSERVERS = 8,
};

static_assert(OPTIONS <= UINT8_MAX + 1, "one byte of the input says all of it");

/* Rules with their state; the memories of the engine, or what they held. */
struct setup {
	struct rules *rules;
	void *farms, *lb, *extras[LB_EXTRAS]; /* of these, those that the rules ask for */
};

static const struct hash_key key;
static struct setup live, images[OPTIONS], current;
static size_t farms_bytes, lb_bytes, extra_bytes[LB_EXTRAS];
static uint64_t frames;
static bool is_other;
static struct barred barred;

static bool is_on(uint8_t option, enum option_switch which)
{
	return option / RULES_NSCHEDULERS >> which & 1;
}

static void *copy(const void *from, size_t bytes)
{
	void *to = malloc(bytes);

	memcpy(to, from, bytes);
	return to;
}

static be32 address(struct rules *rules, bool ipv6, uint8_t last)
{
	const struct ip6 ip = packets_ip6(last);
	be32 ret = packets_ip4(last);

	if (ipv6)
		ENSURE(rules_name(rules, &ip, &ret) == 0);
	return ret;
}

static void add_farm(struct rules *rules, uint8_t option, bool ipv6, uint8_t vip, bool snat)
{
	const be16 ports[] = {be16_from(80), be16_from(443)};
	const be32 addresses[] = {address(rules, ipv6, vip), address(rules, ipv6, ENGINE_SNAT)};
	const struct port_range range = {ENGINE_SNAT_PORT, ENGINE_SNAT_PORT + 5};

	rules->farms[rules->nfarms++] = (struct rules_farm){
	        .vip = addresses[0],
	        .ports = copy(ports, sizeof(ports)),
	        .nports = 2,
	        .fall = 1,
	        .rise = 1,
	        .scheduler = (enum rules_scheduler)(option % RULES_NSCHEDULERS),
	        .on_idle = (enum rules_on_idle)is_on(option, ON_IDLE),
	        .on_down = (enum rules_on_down)is_on(option, ON_DOWN_AND_LIMIT),
	        .check_interval_ms = 1000,
	        .check_timeout_ms = 500,
	        .idle_timeout_ms = 5000,
	        .persist_ms = snat ? 3000 : 0,
	        .snat = snat ? copy(addresses, sizeof(addresses)) : NULL,
	        .nsnat = snat ? 2 : 0,
	        .snat_ports = copy(&range, sizeof(range)),
	        .nsnat_ports = 1,
	        .checks = copy(ports, sizeof(ports[0])),
	        .nchecks = snat,
	        .connlog = copy("-", 2),
	        .server = rules->nservers,
	        .client_rate = is_on(option, HAS_LIMITS) ? 4 : 0,
	        .client_burst = 5,
	        .client_connections = is_on(option, HAS_LIMITS) ? 4 : 0,
	        .block_for_ms = 1500,
	        .on_limit = is_on(option, ON_DOWN_AND_LIMIT) ? ON_LIMIT_RESET : ON_LIMIT_DROP,
	};
}

/* The farm that was added last has its second service at another port of the servers. */
static void map_second(struct rules *rules, uint16_t port)
{
	struct rules_farm *farm = &rules->farms[rules->nfarms - 1];
	const be16 to[] = {farm->ports[0], be16_from(port)};

	farm->server_ports = copy(to, sizeof(to));
}

/* Another farm of its VIP, with a server and the SNAT addresses of it: at 5000 and 5001, which are
 * 80 and 443 of the server. */
static void add_sharing_farm(struct rules *rules, uint8_t option, bool ipv6)
{
	const be16 ports[] = {be16_from(5000), be16_from(5001)};
	struct rules_farm *farm = &rules->farms[rules->nfarms];

	add_farm(rules, option, ipv6, ENGINE_VIP, true);
	farm->server_ports = farm->ports;
	farm->ports = copy(ports, sizeof(ports));
}

/* To the farm that was added last. */
static void add_server(struct rules *rules, bool ipv6, uint8_t last)
{
	rules->farms[rules->nfarms - 1].nservers++;
	rules->servers[rules->nservers++] =
	        (struct rules_server){.farm = rules->nfarms - 1,
	                              .address = address(rules, ipv6, last),
	                              .weight = (uint8_t)(1 + last % 2),
	                              .state = STATE_ACTIVE};
}

static struct rules *make_rules(uint8_t option, bool other)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	rules->max_connections = 16;
	rules->farms = calloc(NFARMS, sizeof(*rules->farms));
	rules->servers = calloc(NSERVERS, sizeof(*rules->servers));
	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		add_farm(rules, option, ipv6, ENGINE_VIP, true);
		add_server(rules, ipv6, ENGINE_SERVER);
		add_server(rules, ipv6, ENGINE_SERVER + (other ? 2 : 1));
		if (other) {
			map_second(rules, 80);
			continue;
		}
		add_sharing_farm(rules, option, ipv6);
		add_server(rules, ipv6, ENGINE_SERVER);
		add_farm(rules, option, ipv6, ENGINE_VIP_NO_SNAT, false);
		add_server(rules, ipv6, ENGINE_SERVER_NO_SNAT);
	}
	return rules;
}

/* Returns the frame's length. */
static uint32_t input(struct lb *lb, uint8_t *data, const struct shape *shape, lb_time now)
{
	struct verdict verdict;
	struct frame frame = {.data = data, .headroom = FRAME_HEADROOM, .side = shape->side};

	frame.len = frame.wire_len = packets_tcp(data, shape);
	lb_input(lb, &frame, 1, now, &verdict);
	ENSURE(verdict.act == LB_FORWARD);
	frames++;
	return frame.len;
}

static void open_flow(struct lb *lb, bool ipv6, uint8_t vip, lb_time now)
{
	uint8_t bytes[FRAME_HEADROOM + PACKETS_BYTES], *data = bytes + FRAME_HEADROOM;
	struct shape syn = {.ipv6 = ipv6,
	                    .src = ENGINE_CLIENT,
	                    .dst = vip,
	                    .sport = ENGINE_CLIENT_PORT,
	                    .dport = ENGINE_SERVICE,
	                    .flags = PACKETS_SYN,
	                    .window = 1000,
	                    .seq = ENGINE_CLIENT_SEQ - 1};
	struct shape ack = syn, reply;

	ENSURE(packets_reply(data, input(lb, data, &syn, now), &reply));
	reply.flags = PACKETS_SYN | PACKETS_ACK;
	reply.seq = ENGINE_SERVER_SEQ - 1;
	reply.side = INSIDE;
	input(lb, data, &reply, now);
	ack.flags = PACKETS_ACK;
	ack.seq = ENGINE_CLIENT_SEQ;
	ack.ack = ENGINE_SERVER_SEQ;
	input(lb, data, &ack, now);
}

static const struct mac macs[NSIDES] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};

static void open_flows(struct lb *lb, const struct rules *rules, lb_time now)
{
	for (unsigned s = 0; s < rules->nservers; s++)
		if (rules->farms[rules->servers[s].farm].nchecks)
			lb_probed(lb, s, 0, true, now);
	frames = 0;
	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		open_flow(lb, ipv6, ENGINE_VIP, now);
		open_flow(lb, ipv6, ENGINE_VIP_NO_SNAT, now);
	}
}

/* Gives the engine what it asks for, which is always the same memory. Sets ret[], unless that is
 * NULL, to what it has got. */
static void use_extras(struct lb *lb, const struct rules *rules, lb_time now, bool ret[LB_EXTRAS])
{
	for (unsigned i = 0; i < LB_EXTRAS; i++) {
		const size_t bytes = lb_extra_size(lb, rules, (enum lb_extra)i);

		if (ret)
			ret[i] = bytes > 0;
		if (!bytes)
			continue;
		if (!live.extras[i])
			live.extras[i] = aligned_alloc(ARENA_ALIGN, extra_bytes[i] = bytes);
		ENSURE(bytes == extra_bytes[i]);
		lb_use_extra(lb, (enum lb_extra)i, live.extras[i], now);
	}
}

static void begin(const struct rules *rules, lb_time now, bool ret_extras[LB_EXTRAS])
{
	struct lb *lb = lb_init(live.lb, farms_init(live.farms, rules, &share_whole, &key, now),
	                        &key, macs, now);

	use_extras(lb, rules, now, ret_extras);
	open_flows(lb, rules, now);
}

static void take_memory(const struct rules *rules)
{
	lb_bytes = lb_size(rules, &share_whole);
	farms_bytes = farms_size(rules);
	live.lb = aligned_alloc(ARENA_ALIGN, lb_bytes);
	live.farms = aligned_alloc(ARENA_ALIGN, farms_bytes);
}

static void make_image(struct setup *image, uint8_t option)
{
	bool extras[LB_EXTRAS];

	image->rules = make_rules(option, false);
	if (!live.lb)
		take_memory(image->rules);
	begin(image->rules, (lb_time){LB_NS_PER_S}, extras);
	image->lb = copy(live.lb, lb_bytes);
	image->farms = copy(live.farms, farms_bytes);
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		if (extras[i])
			image->extras[i] = copy(live.extras[i], extra_bytes[i]);
}

static uint8_t chosen;

struct lb *engine_new(uint8_t option)
{
	struct setup *image = &images[chosen = option % OPTIONS];

	if (!image->rules)
		make_image(image, chosen);
	memcpy(live.lb, image->lb, lb_bytes);
	memcpy(live.farms, image->farms, farms_bytes);
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		if (image->extras[i])
			memcpy(live.extras[i], image->extras[i], extra_bytes[i]);
	current = (struct setup){.rules = image->rules};
	is_other = false;
	if (is_on(chosen, HAS_LIMITS))
		lb_use_barred(live.lb, &barred, &key);
	return live.lb;
}

struct barred *engine_barred(void)
{
	return is_on(chosen, HAS_LIMITS) ? &barred : NULL;
}

/* What a reload has made; of the memory for the farms there are two, in turn. */
static void free_reloaded(struct setup setup)
{
	if (setup.farms)
		rules_free(setup.rules);
}

void engine_free(void)
{
	free_reloaded(current);
}

static void *farms_memory(size_t bytes)
{
	static struct {
		void *mem;
		size_t bytes;
	} memories[2];
	static unsigned turn;
	unsigned i = turn++ % 2;

	if (memories[i].bytes < bytes) {
		free(memories[i].mem);
		memories[i].mem = aligned_alloc(ARENA_ALIGN, bytes);
		memories[i].bytes = bytes;
	}
	memset(memories[i].mem, 0xa5, bytes); /* nothing may count on zeros */
	return memories[i].mem;
}

/* For all of the table's arrays, once. */
static void *take_arrays(const struct rules *rules, struct table *table)
{
	static struct table taken;
	static void *mem;
	size_t bytes = lb_table_sizes(rules, &share_whole, table);

	for (unsigned i = 0; i < TABLE_NARRAYS; i++) {
		struct table_array *array = &table->arrays[i];

		if (!mem)
			taken.arrays[i].memory = malloc(array->elements * array->element_bytes);
		array->memory = taken.arrays[i].memory;
	}
	mem = mem ? mem : aligned_alloc(ARENA_ALIGN, bytes);
	return mem;
}

struct lb *engine_new_shared(uint8_t option, struct table *table)
{
	const lb_time now = {LB_NS_PER_S};
	struct rules *rules = make_rules(chosen = option % OPTIONS, is_other = false);
	void *mem = take_arrays(rules, table);
	struct lb *lb;

	current = (struct setup){.rules = rules, .farms = farms_memory(farms_size(rules))};
	lb = lb_init_shared(mem, table, farms_init(current.farms, rules, &share_whole, &key, now),
	                    &key, macs, now);
	use_extras(lb, rules, now, NULL);
	open_flows(lb, rules, now);
	return lb;
}

struct lb *engine_adopt(struct table *table, bool other, lb_time now, struct adoption *ret)
{
	struct rules *rules = make_rules(chosen, is_other = other);
	const struct table_array *buckets = &table->arrays[TABLE_BUCKETS];
	void *scratch = aligned_alloc(ARENA_ALIGN, buckets->elements * buckets->element_bytes);
	struct lb *lb;

	free_reloaded(current);
	current = (struct setup){.rules = rules, .farms = farms_memory(farms_size(rules))};
	lb = lb_adopt(take_arrays(rules, table), table, scratch,
	              farms_init(current.farms, rules, &share_whole, &key, now), macs, now, ret);
	free(scratch);
	if (lb)
		use_extras(lb, rules, now, NULL);
	return lb;
}

uint64_t engine_frames(void)
{
	return frames;
}

void engine_reload(struct lb *lb, lb_time now)
{
	struct rules *rules = make_rules(chosen, is_other = !is_other);
	bool referenced[SERVERS_MAX] = {false};
	bool used[SNAT_MAX] = {false};
	uint16_t map[SERVERS_MAX];
	struct setup old = current;

	ENSURE(old.rules->nservers <= SERVERS_MAX);
	balance_referenced(lb_balance(lb), referenced);
	ENSURE(takeover_count_snat(old.rules) <= SNAT_MAX);
	balance_referenced_snat(lb_balance(lb), used);
	ENSURE(takeover_rules(rules, old.rules, referenced, used, map) == 0);
	current = (struct setup){.rules = rules, .farms = farms_memory(farms_size(rules))};
	use_extras(lb, rules, now, NULL);
	lb_reload(lb, farms_init(current.farms, rules, &share_whole, &key, now), map);
	free_reloaded(old);
}
