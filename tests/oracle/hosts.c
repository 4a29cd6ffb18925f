/*
 * Hosts that talk, and strangers.
 *
 * An end sends what its state lets it, mostly in order, and receives what reaches it undamaged. Now
 * and then it does what it shouldn't: repeats, skips, resets with a number that is wrong, or says
 * something that has nothing to do with the connection.
 */
#include "hosts.h"
#include "build.h"

#include "../unit/frames.h"
#include "../unit/random.h"

enum {
	WINDOW = 8192,
	PAYLOAD = 300,
	FLOOD = 1500,
	CLIENT_PORTS = 14,
	FIRST_CLIENT_PORT = 30000,
	FAR = 1 << 30,
};

void hosts_begin(struct hosts *hosts, struct world *world)
{
	*hosts = (struct hosts){.world = world};
}

static bool one_in(uint32_t n)
{
	return random_below(n) == 0;
}

static struct mac mac_like(uint8_t kind, uint8_t last)
{
	return (struct mac){{2, 0, 0, 0, kind, last}};
}

static struct hop random_hop(enum side side, struct mac mac)
{
	struct hop hop = {.mac = mac, .side = side & 1};

	hop.ntags = one_in(3) ? random_below(3) & 3 : 0;
	for (unsigned i = 0; i < hop.ntags; i++)
		hop.tci[i] = be16_from(
		        (uint16_t)(one_in(2) ? random_below(65536) : WORLD_VLAN + random_below(3)));
	hop.tpid0 = hop.ntags > 0 ? random_below(3) & 3 : 0;
	hop.tpid1 = hop.ntags > 1 ? random_below(3) & 3 : 0;
	return hop;
}

/* Mostly in the VLAN that is right, 0 being none, or any. */
static struct hop hop_in(unsigned vlan, enum side side, struct mac mac)
{
	struct hop hop = {.mac = mac, .side = side & 1, .ntags = 1};

	if (!vlan || one_in(12))
		return random_hop(side, mac);
	hop.tci[0] = be16_from((uint16_t)(random_below(16) << 12 | vlan));
	return hop;
}

static const struct rules_farm *farm_of(const struct hosts *hosts, unsigned farm)
{
	return &hosts->world->rules->farms[farm];
}

/* Interception is by IP address: any MAC address but a group's will do. */
static struct mac random_to(enum side side)
{
	return one_in(4) ? mac_like(9, (uint8_t)random_next()) : world_mac(side);
}

/* ---- talks ---- */

static unsigned random_farm(const struct hosts *hosts)
{
	return random_below(hosts->world->rules->nfarms);
}

/* Servers are clients too, but where the servers see the clients' addresses. */
static unsigned random_client(const struct hosts *hosts, unsigned farm, bool *ret_inside)
{
	unsigned client = random_below(WORLD_CLIENTS + 2);

	*ret_inside = client >= WORLD_CLIENTS && farm_of(hosts, farm)->nsnat;
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
	t->farm = random_farm(hosts);
	choose_service(farm_of(hosts, t->farm), t);
	t->client = world_client(hosts->world, t->farm, random_client(hosts, t->farm, &inside));
	t->client_port = (uint16_t)(FIRST_CLIENT_PORT + random_below(CLIENT_PORTS));
	t->party[CLIENT].hop = hop_in(farm_of(hosts, t->farm)->vlan, inside ? INSIDE : OUTSIDE,
	                              mac_like(7, (uint8_t)random_below(4)));
	t->party[SERVER].hop = random_hop(INSIDE, mac_like(1, 0));
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

static struct letter letter_of(const struct hosts *hosts, const struct talk *t, enum end end)
{
	const struct party *me = &t->party[end];
	struct letter l = {.from = me->hop,
	                   .to = random_to((enum side)me->hop.side),
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
	l->flags |= one_in(8) ? 0xc0 : 0; /* ECN */
	l->ack = end == CLIENT ? 0 : l->ack;
}

static void say_data(struct party *me, struct letter *l)
{
	if (me->fin)
		return;
	l->flags |= one_in(2) ? PSH : 0;
	l->payload = one_in(20) ? 1 + random_below(1200) : 1 + random_below(PAYLOAD);
	if (me->flying + l->payload > WINDOW / 2)
		l->payload = 0;
}

static void say_fin(struct party *me, struct letter *l)
{
	if (me->fin)
		return;
	l->flags |= FIN;
	l->payload = one_in(3) ? random_below(PAYLOAD) : 0;
	me->fin = true;
}

static void say_again(const struct party *me, struct letter *l)
{
	l->seq = me->last_seq;
	l->payload = me->last_bytes;
	l->flags = me->last_flags;
	if (one_in(4))
		l->damage = 1 + random_below(0xfffd);
}

static void say_rst(struct letter *l, bool right)
{
	l->flags = one_in(2) ? RST : RST | ACK;
	if (!right)
		l->seq += one_in(2) ? 1 + random_below(2000) : (uint32_t)random_next();
}

/* From beyond the window, or an acknowledgment of what was never sent. */
static void say_nonsense(struct letter *l)
{
	l->seq += FAR + random_below(FAR);
	l->ack += FAR + random_below(FAR);
	l->payload = random_below(100);
	l->flags = (uint8_t)(ACK | (one_in(3) ? FIN : 0));
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
		if (one_in(20))
			l->seq += random_below(100); /* a segment is missing */
		return say_data(me, l);
	}
}

/* Until the handshake is done. */
static enum end open_talk(struct talk *t, struct letter *l, const struct hosts *hosts)
{
	enum end end = t->mapped && !one_in(4) ? SERVER : CLIENT;

	*l = letter_of(hosts, t, end);
	if (end == SERVER && one_in(16)) { /* refused */
		l->seq = 0;
		l->flags = RST | ACK;
		l->ack += one_in(4);
	} else if (end == CLIENT && t->mapped && one_in(16)) {
		l->flags = RST;
		l->seq += one_in(2);
	} else {
		say_syn(t, end, l);
	}
	return end;
}

static enum end continue_talk(struct talk *t, struct letter *l, const struct hosts *hosts)
{
	enum end end = one_in(2) ? CLIENT : SERVER;
	struct party *me = &t->party[end];

	*l = letter_of(hosts, t, end);
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

	if (!t->used || one_in(60)) {
		begin_talk(hosts, t);
		forget_others(hosts, t);
	}
	if (one_in(50)) /* the client moves, and its next packet says so */
		t->party[CLIENT].hop =
		        hop_in(farm_of(hosts, t->farm)->vlan, (enum side)t->party[CLIENT].hop.side,
		               mac_like(7, (uint8_t)random_below(4)));
	ret->talk = (int)index;
	ret->generation = t->generation;
	ret->end = t->party[CLIENT].met ? continue_talk(t, &l, hosts) : open_talk(t, &l, hosts);
	note_sent(&t->party[ret->end], &t->party[!ret->end], &l);
	build_tcp(ret, &l);
}

/* ---- strangers ---- */

static struct addr strange_addr(const struct hosts *hosts, unsigned farm)
{
	struct addr a = world_client(hosts->world, farm, 0);

	a.b[a.v6 ? 15 : 3] = (uint8_t)(100 + random_below(100));
	return a;
}

static struct addr our_addr(const struct hosts *hosts, unsigned farm)
{
	const struct rules_farm *f = farm_of(hosts, farm);
	unsigned i = random_below(rules_all_snat(f) + 1);

	return addr_of_rules(hosts->world->rules, i < rules_all_snat(f) ? f->snat[i] : f->vip);
}

static struct letter strange_letter(const struct hosts *hosts)
{
	const unsigned farm = random_farm(hosts);
	const struct rules_farm *f = farm_of(hosts, farm);
	const enum side side = one_in(4) ? INSIDE : OUTSIDE;
	struct letter l = {.from = hop_in(f->vlan, side, mac_like(8, (uint8_t)random_below(100))),
	                   .to = random_to(side),
	                   .src = strange_addr(hosts, farm),
	                   .dst = our_addr(hosts, farm),
	                   .sport = (uint16_t)(1024 + random_below(60000)),
	                   .seq = (uint32_t)random_next(),
	                   .ack = (uint32_t)random_next(),
	                   .payload = one_in(2) ? random_below(100) : 0,
	                   .window = (uint16_t)random_next(),
	                   .wscale = -1};

	l.dport = one_in(2) ? be16_get(f->ports[random_below(f->nports)])
	                    : (uint16_t)(2000 + random_below(70));
	return l;
}

static void make_stray(struct hosts *hosts, struct made *ret)
{
	static const uint8_t flags[] = {ACK,       ACK,       SYN | ACK, RST, RST | ACK,
	                                FIN | ACK, PSH | ACK, SYN,       SYN, 0};
	struct letter l = strange_letter(hosts);

	l.flags = flags[random_below(sizeof(flags))];
	if (l.flags == SYN)
		l.payload = 0;
	if (one_in(8))
		l.damage = 1 + random_below(0xfffd);
	build_tcp(ret, &l);
}

static void make_martian(struct hosts *hosts, struct made *ret)
{
	static const uint8_t firsts[] = {0, 127, 224, 239, 255};
	struct letter l = strange_letter(hosts);

	l.flags = one_in(2) ? SYN : ACK;
	l.payload = 0;
	switch (random_below(4)) {
	case 0:
		l.src = our_addr(hosts, random_farm(hosts));
		if (l.src.v6 != l.dst.v6)
			l.src = l.dst;
		break;
	case 1:
		l.to = (struct mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
		break;
	case 2:
		l.from.mac.b[0] |= 1;
		break;
	default:
		l.src.b[0] = l.src.v6 ? 0xff : firsts[random_below(sizeof(firsts))];
	}
	build_tcp(ret, &l);
}

/* What isn't TCP: pings, other ICMP, other protocols. */
static void make_message(struct hosts *hosts, struct made *ret)
{
	struct letter l = strange_letter(hosts);
	const uint8_t echo[8] = {l.src.v6 ? 128 : 8}, other[8] = {l.src.v6 ? 129 : 13},
	              none[1] = {0};

	if (one_in(6))
		l.damage = 1 + random_below(0xfffd);
	if (one_in(3))
		build_ip(ret, &l, 17, none, 0, 8 + random_below(100));
	else
		build_ip(ret, &l, l.src.v6 ? 58 : 1, one_in(4) ? other : echo, 8,
		         8 + random_below(100));
}

static void make_neighbour(struct hosts *hosts, struct made *ret)
{
	struct letter l = strange_letter(hosts);
	const unsigned servers = hosts->world->rules->nservers;
	struct addr server = addr_of_server(hosts->world->rules, random_below(servers));
	const struct talk *t = &hosts->talks[random_below(HOSTS_TALKS)];

	if (t->used && one_in(2)) { /* of a client: that he is where he was, or somewhere else */
		l = letter_of(hosts, t, CLIENT);
		l.from = hop_in(farm_of(hosts, t->farm)->vlan, (enum side)l.from.side,
		                mac_like(7, (uint8_t)random_below(6)));
		if (one_in(2))
			l.from = t->party[CLIENT].hop;
		if (one_in(3))
			l.dst = l.src; /* not asked by us, nor asking us */
	}
	if (l.src.v6 && server.v6 && one_in(2)) {
		l.src = server;
		build_nd(ret, &l, &server, false);
	} else if (l.src.v6) {
		build_nd(ret, &l, one_in(3) ? &l.src : &l.dst, one_in(2));
	} else {
		if (one_in(3) && !server.v6)
			l.src = server;
		else if (one_in(6))
			l.src = l.dst; /* it claims to be us */
		if (one_in(3))
			l.to = (struct mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
		build_arp(ret, &l, (uint16_t)(1 + random_below(3)));
	}
}

/* About what an end of a talk should have got: from there, or from a router before it. */
static void make_error(struct hosts *hosts, struct made *ret)
{
	static const uint8_t types[2][5] = {{3, 3, 3, 11, 12}, {1, 2, 2, 3, 4}};
	const struct talk *t = &hosts->talks[random_below(HOSTS_TALKS)];
	const enum end end = one_in(2) ? CLIENT : SERVER;
	struct letter l, about;
	uint8_t type;

	if (!t->used || !t->mapped) {
		make_stray(hosts, ret);
		return;
	}
	l = letter_of(hosts, t, end);
	about = l;
	about.src = l.dst;
	about.dst = l.src;
	about.sport = l.dport;
	about.dport = l.sport;
	about.seq = t->party[end == CLIENT ? SERVER : CLIENT].next - random_below(2000);
	if (one_in(4))
		about.seq = one_in(2) ? (uint32_t)random_next() : about.seq + random_below(FAR);
	about.payload = random_below(PAYLOAD);
	if (one_in(2))
		l.src = strange_addr(hosts, t->farm);
	if (one_in(8))
		l.damage = 1 + random_below(0xfffd);
	if (one_in(12))
		l.to.b[0] |= 1;
	type = one_in(20) ? (uint8_t)random_next() : types[l.src.v6][random_below(5)];
	build_error(ret, &l, type, (uint8_t)random_below(8), &about,
	            one_in(8) ? random_below(60) : 28 + random_below(400));
}

/* Of the wire: addressed to nobody of us, from anywhere. */
static void make_wire(struct hosts *hosts, struct made *ret)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x88cc, 0x8100, 60, 0x9100};
	struct letter l = strange_letter(hosts);

	if (one_in(8))
		l.from.mac = world_mac(one_in(2) ? INSIDE : OUTSIDE); /* a loop */
	if (one_in(3))
		l.to.b[0] |= 1;
	l.flags = one_in(2) ? SYN : ACK;
	if (one_in(2)) {
		l.dst = one_in(2) ? strange_addr(hosts, random_farm(hosts)) : l.src;
		if (l.dst.v6 != l.src.v6)
			l.dst = l.src;
		build_tcp(ret, &l);
	} else {
		build_raw(ret, &l, types[random_below(7)], random_below(200));
	}
}

/* For us, but its headers can't be. */
static void make_broken(struct hosts *hosts, struct made *ret)
{
	struct letter l = strange_letter(hosts);
	uint8_t *ip;

	l.flags = one_in(2) ? SYN : ACK;
	build_tcp(ret, &l);
	ip = ret->frame.data + 14 + 4 * l.from.ntags;
	switch (random_below(4)) {
	case 0:
		ip[0] = (uint8_t)(ip[0] ^ (1u << random_below(8)));
		break;
	case 1:
		frames_put16(ip + (l.src.v6 ? 4 : 2), (uint16_t)(one_in(2) ? 2000 : 30));
		break;
	case 2:
		ip[(l.src.v6 ? 40 : 20) + 12] = (uint8_t)random_next();
		break;
	default:
		ret->frame.len = ret->frame.wire_len = 14u + 4u * l.from.ntags + random_below(60);
	}
}

static void make_probe_reply(struct hosts *hosts, struct made *ret)
{
	struct letter l = strange_letter(hosts);
	const struct rules *rules = hosts->world->rules;
	const struct rules_server *server = &rules->servers[random_below(rules->nservers)];
	const struct rules_farm *f = &rules->farms[server->farm];

	if (!f->nchecks || !f->nsnat) {
		make_stray(hosts, ret);
		return;
	}
	l.from = hop_in(server->vlan, INSIDE, server->mac);
	l.src = addr_of_rules(rules, server->address);
	l.dst = addr_of_rules(rules, f->snat[0]);
	l.sport = be16_get(f->checks[random_below(f->nchecks)]);
	l.dport = (uint16_t)(RULES_PROBE_PORT + random_below(RULES_PROBE_PORTS));
	l.flags = one_in(2) ? SYN | ACK : RST | ACK;
	build_tcp(ret, &l);
}

static void make_flood(struct hosts *hosts, struct made *ret)
{
	struct letter l = strange_letter(hosts);

	hosts->flood--;
	l.flags = one_in(2) ? ACK : SYN;
	l.dport = 9;
	build_tcp(ret, &l);
}

static void make_strange(struct hosts *hosts, struct made *ret)
{
	switch (random_below(9)) {
	case 8:
		return make_error(hosts, ret);
	case 0:
	case 1:
		return make_stray(hosts, ret);
	case 2:
		return make_martian(hosts, ret);
	case 3:
		return make_message(hosts, ret);
	case 4:
		return make_neighbour(hosts, ret);
	case 5:
		return make_wire(hosts, ret);
	case 6:
		return make_broken(hosts, ret);
	default:
		return make_probe_reply(hosts, ret);
	}
}

void hosts_make(struct hosts *hosts, struct made *ret)
{
	ret->talk = HOSTS_NOBODY;
	if (one_in(20000))
		hosts->flood = FLOOD;
	if (hosts->flood)
		make_flood(hosts, ret);
	else if (one_in(6))
		make_strange(hosts, ret);
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
		t->party[SERVER].hop = hop_in(hosts->world->rules->servers[v->way.server].vlan,
		                              INSIDE, mac_like(1, 0));
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
		t->used = t->mapped && one_in(2); /* reset: its ends may not have understood */
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
