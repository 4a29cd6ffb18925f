/*
 * The way of a burst: ports -> lb_input() -> layer 2 -> ports.
 *
 * Frames leave in the order in which they came, and before the next burst is received: the
 * receiving port's buffers are sent from. A frame that was decided to go to a server may still have
 * to wait for the server's MAC address (neigh.c).
 */
#include "worker.h"

#include "l2.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>

enum { WORKER_CONFLICT_LOG_S = 10 };

int worker_init(struct worker *worker, const struct rules *rules, const struct hash_key *key,
		struct port *outside, struct port *inside, lb_time now)
{
	const struct mac macs[NSIDES] = {[OUTSIDE] = outside->mac, [INSIDE] = inside->mac};
	size_t bytes = lb_size(rules);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		log_error("max_connections: no memory for %zu MiB: %m", bytes >> 20);
		return -ENOMEM;
	}
	*worker = (struct worker){
		.rules = rules,
		.ports = {[OUTSIDE] = outside, [INSIDE] = inside},
		.maker = own_maker_new(),
		.neigh = neigh_new(rules),
		.memory = memory,
		.memory_bytes = bytes,
	};
	if (!worker->maker || !worker->neigh) {
		worker_free(worker);
		return -ENOMEM;
	}
	worker->lb = lb_init(memory, rules, key, macs, now);
	return 0;
}

void worker_free(struct worker *worker)
{
	neigh_free(worker->neigh);
	own_maker_free(worker->maker);
	munmap(worker->memory, worker->memory_bytes);
}

static void flush(struct worker *worker, lb_time now)
{
	port_flush(worker->ports[OUTSIDE], now);
	port_flush(worker->ports[INSIDE], now);
	own_reuse(worker->maker);
}

static void forward(struct worker *worker, struct frame *frame, const struct hop *hop, lb_time now)
{
	struct port *port = worker->ports[hop->side];

	l2_redirect(frame, hop, &port->mac);
	port_queue(port, frame, now);
}

static void forward_to_server(struct worker *worker, unsigned server, struct frame *frame, lb_time now)
{
	const struct hop *hop = neigh_find(worker->neigh, server, now);

	if (hop)
		forward(worker, frame, hop, now);
	else
		neigh_wait(worker->neigh, server, frame);
}

static void answer(struct worker *worker, const struct verdict *v, const struct frame *request,
		   lb_time now)
{
	struct port *port = worker->ports[v->side];
	struct frame frame;

	if (!own_answer(worker->maker, &v->own, request, port, &frame)) {
		flush(worker, now);
		if (!own_answer(worker->maker, &v->own, request, port, &frame)) {
			port->counts.send_failed++;
			return;
		}
	}
	port_queue(port, &frame, now);
}

static void ask_on(struct worker *worker, const struct neigh_question *question, enum side side,
		   lb_time now)
{
	const struct hop everybody = own_broadcast(side);
	struct port *port = worker->ports[side];
	struct frame frame;

	if (own_arp_request(worker->maker, question->sender, question->target, &everybody, port, &frame))
		port_queue(port, &frame, now);
}

static void ask(struct worker *worker, lb_time now)
{
	struct neigh_question question;

	while (neigh_next_question(worker->neigh, now, &question)) {
		ask_on(worker, &question, INSIDE, now);
		if (question.everywhere)
			ask_on(worker, &question, OUTSIDE, now);
		flush(worker, now);
	}
}

static void release_waiting(struct worker *worker, lb_time now)
{
	const struct hop *hop;
	struct frame frame;

	while (neigh_next_ready(worker->neigh, &frame, &hop))
		forward(worker, &frame, hop, now);
}

static void note_conflict(struct worker *worker, const struct sighting *who, lb_time now)
{
	const uint8_t *mac = who->hop.mac.b;
	char ip[INET_ADDRSTRLEN];

	if (worker->conflicts++ &&
	    now.ns - worker->conflict_logged.ns < WORKER_CONFLICT_LOG_S * LB_NS_PER_S)
		return;
	worker->conflict_logged = now;
	log_warning("%s: %s is claimed by %02x:%02x:%02x:%02x:%02x:%02x",
		    worker->ports[who->hop.side]->name, inet_ntop(AF_INET, &who->ip, ip, sizeof(ip)),
		    mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void dispatch(struct worker *worker, struct frame *frame, const struct verdict *v, lb_time now)
{
	switch ((enum lb_act)v->act) {
	case LB_BRIDGE:
		port_queue(worker->ports[v->side], frame, now);
		break;
	case LB_FORWARD:
		if (v->server == SERVER_NONE)
			forward(worker, frame, &v->hop, now);
		else
			forward_to_server(worker, v->server, frame, now);
		break;
	case LB_ANSWER:
		answer(worker, v, frame, now);
		break;
	case LB_DROP:
		break;
	}
	if (v->sighted && neigh_sighted(worker->neigh, &v->sighting, now))
		release_waiting(worker, now);
	if (v->conflict)
		note_conflict(worker, &v->sighting, now);
}

void worker_burst(struct worker *worker, struct frame *frames, unsigned n, lb_time now)
{
	struct verdict verdicts[PORT_BURST];

	lb_input(worker->lb, frames, n, now, verdicts);
	for (unsigned i = 0; i < n; i++)
		dispatch(worker, &frames[i], &verdicts[i], now);
	ask(worker, now);
	flush(worker, now);
}

void worker_tick(struct worker *worker, lb_time now)
{
	lb_tick(worker->lb, now);
	ask(worker, now);
}

static void announce(struct worker *worker, be32 ip, lb_time now)
{
	const struct neigh_question announcement = {.sender = ip, .target = ip};

	ask_on(worker, &announcement, OUTSIDE, now);
	ask_on(worker, &announcement, INSIDE, now);
	flush(worker, now);
}

void worker_start(struct worker *worker, lb_time now)
{
	for (unsigned f = 0; f < worker->rules->nfarms; f++) {
		const struct rules_farm *farm = &worker->rules->farms[f];

		announce(worker, farm->vip, now);
		for (unsigned i = 0; i < farm->nsnat; i++)
			if (!be32_eq(farm->snat[i], farm->vip))
				announce(worker, farm->snat[i], now);
	}
	ask(worker, now);
}
