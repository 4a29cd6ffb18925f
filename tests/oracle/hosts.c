/*
 * Hosts that talk.
 *
 * An end sends what its state lets it, mostly in order, and receives what reaches it undamaged. Now
 * and then it does what it shouldn't: repeats, skips, resets with a number that is wrong, or says
 * something that has nothing to do with the connection.
 */
#include "hosts.h"
#include "build.h"
#include "chance.h"
#include "strangers.h"

enum {
	WINDOW = 8192,
	FLOOD = 1500,
	SIEGE = 120,
	CLIENT_PORTS = 14,
	FIRST_CLIENT_PORT = 30000,
};

void hosts_begin(struct hosts *hosts, struct world *world)
{
	*hosts = (struct hosts){.world = world};
}

/* ---- talks ---- */

/* Servers are clients too, but where the servers see the clients' addresses. */
static unsigned random_client(const struct hosts *hosts, unsigned farm, bool *ret_inside)
{
	unsigned client = random_below(WORLD_CLIENTS + 2);

	*ret_inside = client >= WORLD_CLIENTS && hosts_farm(hosts, farm)->nsnat;
	return *ret_inside ? client : client % WORLD_CLIENTS;
}

static void choose_service(const struct rules_farm *f, struct talk *t)
{
	const unsigned service = random_below(f->nports);

	t->service = be16_get(f->ports[service]);
	t->there = be16_get(f->server_ports ? f->server_ports[service] : f->ports[service]);
}

static void begin_talk(struct hosts *hosts, struct talk *t)
{
	bool inside;

	*t = (struct talk){.used = true, .generation = ++hosts->generation};
	t->farm = chance_farm(hosts);
	choose_service(hosts_farm(hosts, t->farm), t);
	t->client = world_client(hosts->world, t->farm, random_client(hosts, t->farm, &inside));
	t->client_port = (uint16_t)(FIRST_CLIENT_PORT + random_below(CLIENT_PORTS));
	t->party[CLIENT].hop =
	        chance_hop_in(hosts_farm(hosts, t->farm)->vlan, inside ? INSIDE : OUTSIDE,
	                      chance_mac(7, (uint8_t)random_below(4)));
	t->party[SERVER].hop = chance_hop(INSIDE, chance_mac(1, 0));
	for (unsigned e = 0; e < 2; e++) {
		t->party[e].next = (uint32_t)random_next();
		t->party[e].wscale = (int)random_below(9) - 1;
	}
}

static bool same_client(const struct talk *a, const struct talk *b)
{
	return a->used && b->used && a->farm == b->farm && a->service == b->service &&
	       a->client_port == b->client_port && addr_eq(&a->client, &b->client);
}

/* An older talk with the same addresses and ports is forgotten by its hosts. */
static void forget_others(struct hosts *hosts, const struct talk *t)
{
	for (unsigned i = 0; i < HOSTS_TALKS; i++)
		if (&hosts->talks[i] != t && same_client(&hosts->talks[i], t))
			hosts->talks[i].used = false;
}

struct letter hosts_letter(const struct hosts *hosts, const struct talk *t, enum end end)
{
	const struct party *me = &t->party[end];
	struct letter l = {.from = me->hop,
	                   .to = chance_to((enum side)me->hop.side),
	                   .seq = me->next,
	                   .ack = me->got,
	                   .flags = ACK,
	                   .window = (uint16_t)(WINDOW + random_below(50000)),
	                   .wscale = me->wscale};

	l.src = end == CLIENT ? t->client : t->server;
	l.sport = end == CLIENT ? t->client_port : t->there;
	l.dst = end == CLIENT ? addr_of_vip(hosts->world->rules, t->farm) : t->snat;
	l.dport = end == CLIENT ? t->service : t->snat_port;
	return l;
}

/* ---- what an end may say ---- */

static void say_syn(const struct talk *t, enum end end, struct letter *l)
{
	(void)t;
	l->flags = end == CLIENT ? SYN : SYN | ACK;
	l->flags |= chance_one_in(8) ? 0xc0 : 0; /* ECN */
	l->ack = end == CLIENT ? 0 : l->ack;
}

static void say_data(struct party *me, struct letter *l)
{
	if (me->fin)
		return;
	l->flags |= chance_one_in(2) ? PSH : 0;
	l->payload = chance_one_in(20) ? 1 + random_below(1200) : 1 + random_below(PAYLOAD);
	if (me->flying + l->payload > WINDOW / 2)
		l->payload = 0;
}

static void say_fin(struct party *me, struct letter *l)
{
	if (me->fin)
		return;
	l->flags |= FIN;
	l->payload = chance_one_in(3) ? random_below(PAYLOAD) : 0;
	me->fin = true;
}

static void say_again(const struct party *me, struct letter *l)
{
	l->seq = me->last_seq;
	l->payload = me->last_bytes;
	l->flags = me->last_flags;
	if (chance_one_in(4))
		l->damage = 1 + random_below(0xfffd);
}

static void say_rst(struct letter *l, bool right)
{
	l->flags = chance_one_in(2) ? RST : RST | ACK;
	if (!right)
		l->seq += chance_one_in(2) ? 1 + random_below(2000) : (uint32_t)random_next();
}

/* From beyond the window, or an acknowledgment of what was never sent. */
static void say_nonsense(struct letter *l)
{
	l->seq += FAR + random_below(FAR);
	l->ack += FAR + random_below(FAR);
	l->payload = random_below(100);
	l->flags = (uint8_t)(ACK | (chance_one_in(3) ? FIN : 0));
}

static void say_something(struct party *me, struct letter *l)
{
	switch (random_below(40)) {
	case 0 ... 15:
		return say_data(me, l);
	case 16 ... 27:
		return; /* an acknowledgment */
	case 28 ... 30:
		return say_fin(me, l);
	case 31 ... 33:
		return say_again(me, l);
	case 34:
		return say_rst(l, true);
	case 35:
	case 36:
		return say_rst(l, false);
	case 37:
		l->seq--; /* keep-alive: RFC 9293, 3.8.4 */
		return;
	case 38:
		return say_nonsense(l);
	default:
		if (chance_one_in(20))
			l->seq += random_below(100); /* a segment is missing */
		return say_data(me, l);
	}
}

/* Until the handshake is done. */
static enum end open_talk(struct talk *t, struct letter *l, const struct hosts *hosts)
{
	enum end end = t->mapped && !chance_one_in(4) ? SERVER : CLIENT;

	*l = hosts_letter(hosts, t, end);
	if (end == SERVER && chance_one_in(16)) { /* refused */
		l->seq = 0;
		l->flags = RST | ACK;
		l->ack += chance_one_in(4);
	} else if (end == CLIENT && t->mapped && chance_one_in(16)) {
		l->flags = RST;
		l->seq += chance_one_in(2);
	} else {
		say_syn(t, end, l);
	}
	return end;
}

static enum end continue_talk(struct talk *t, struct letter *l, const struct hosts *hosts)
{
	enum end end = chance_one_in(2) ? CLIENT : SERVER;
	struct party *me = &t->party[end];

	*l = hosts_letter(hosts, t, end);
	say_something(me, l);
	return end;
}

static void note_sent(struct party *me, struct party *other, const struct letter *l)
{
	uint32_t len = l->payload + (l->flags & FIN) + (l->flags & SYN ? 1 : 0);

	if (l->ack == me->got)
		other->flying = other->next - me->got;
	if (l->seq != me->next || len == 0 || l->flags & (RST | SYN))
		return;
	me->last_seq = l->seq;
	me->last_bytes = l->payload;
	me->last_flags = l->flags;
	me->next += len;
	me->flying += len;
}

static void make_talk(struct hosts *hosts, struct made *ret, unsigned index)
{
	struct talk *t = &hosts->talks[index];
	struct letter l;

	if (!t->used || chance_one_in(60)) {
		begin_talk(hosts, t);
		forget_others(hosts, t);
	}
	if (chance_one_in(50)) /* the client moves, and its next packet says so */
		t->party[CLIENT].hop = chance_hop_in(hosts_farm(hosts, t->farm)->vlan,
		                                     (enum side)t->party[CLIENT].hop.side,
		                                     chance_mac(7, (uint8_t)random_below(4)));
	ret->talk = (int)index;
	ret->generation = t->generation;
	ret->end = t->party[CLIENT].met ? continue_talk(t, &l, hosts) : open_talk(t, &l, hosts);
	note_sent(&t->party[ret->end], &t->party[!ret->end], &l);
	if (ret->end == SERVER && chance_one_in(25)) /* somebody on the other side says it */
		l.from.side = OUTSIDE;
	build_tcp(ret, &l);
}

void hosts_make(struct hosts *hosts, struct made *ret)
{
	ret->talk = HOSTS_NOBODY;
	if (chance_one_in(20000))
		hosts->flood = FLOOD;
	if (!hosts_hurry(hosts) && chance_one_in(1500)) {
		hosts->siege = SIEGE;
		hosts->besieged = chance_farm(hosts);
	}
	if (hosts->flood)
		strangers_flood(hosts, ret);
	else if (hosts->siege)
		strangers_besiege(hosts, ret);
	else if (chance_one_in(6))
		strangers_make(hosts, ret);
	else
		make_talk(hosts, ret, random_below(HOSTS_TALKS));
	build_done(ret);
}

/* ---- arrivals ---- */

static void receive(struct party *to, const struct seen *s)
{
	if (s->l4_damage || s->ip_damage || s->flags & RST)
		return;
	if (s->flags & SYN) {
		to->got = to->met ? to->got : s->seq + 1;
		to->met = true;
	} else if (to->met && s->seq == to->got) {
		to->got += s->len;
	}
}

/* What the server has been told of where its peer is. */
static void map_talk(const struct hosts *hosts, struct talk *t, const struct seen *s,
                     const struct verdict *v)
{
	const struct addr server = addr_of_server(hosts->world->rules, v->way.server);

	if (!t->mapped || !addr_eq(&t->server, &server))
		t->party[SERVER].hop = chance_hop_in(
		        hosts->world->rules->servers[v->way.server].vlan, INSIDE, chance_mac(1, 0));
	t->mapped = true;
	t->server = server;
	t->snat = s->src;
	t->snat_port = s->sport;
}

void hosts_deliver(struct hosts *hosts, const struct made *made, const struct verdict *v)
{
	struct talk *t = made->talk < 0 ? NULL : &hosts->talks[made->talk];
	struct seen s;

	if (!t || !t->used || t->generation != made->generation)
		return;
	seen_read(&made->frame, &s);
	if (v->act == LB_ANSWER || v->act == LB_DROP) {
		t->used =
		        t->mapped && chance_one_in(2); /* reset: its ends may not have understood */
		return;
	}
	if (made->end == CLIENT && v->act == LB_FORWARD)
		map_talk(hosts, t, &s, v);
	if (made->end == SERVER && s.flags & SYN && !t->party[CLIENT].met) {
		t->party[CLIENT].next++;
		t->party[SERVER].next++;
	}
	receive(&t->party[!made->end], &s);
}
