#include "strangers.h"
#include "build.h"
#include "chance.h"

#include "../unit/frames.h"

static struct addr strange_addr(const struct hosts *hosts, unsigned farm)
{
	struct addr a = world_client(hosts->world, farm, 0);

	a.b[a.v6 ? 15 : 3] = (uint8_t)(100 + random_below(100));
	return a;
}

static struct addr our_addr(const struct hosts *hosts, unsigned farm)
{
	const struct rules_farm *f = hosts_farm(hosts, farm);
	unsigned i = random_below(rules_all_snat(f) + 1);

	return addr_of_rules(hosts->world->rules, i < rules_all_snat(f) ? f->snat[i] : f->vip);
}

static struct letter letter_to(const struct hosts *hosts, unsigned farm)
{
	const struct rules_farm *f = hosts_farm(hosts, farm);
	const enum side side = chance_one_in(4) ? INSIDE : OUTSIDE;
	struct letter l = {
	        .from = chance_hop_in(f->vlan, side, chance_mac(8, (uint8_t)random_below(100))),
	        .to = chance_to(side),
	        .src = strange_addr(hosts, farm),
	        .dst = our_addr(hosts, farm),
	        .sport = (uint16_t)(1024 + random_below(60000)),
	        .seq = (uint32_t)random_next(),
	        .ack = (uint32_t)random_next(),
	        .payload = chance_one_in(2) ? random_below(100) : 0,
	        .window = (uint16_t)random_next(),
	        .wscale = -1};

	l.dport = chance_one_in(2) ? be16_get(f->ports[random_below(f->nports)])
	                           : (uint16_t)(2000 + random_below(70));
	return l;
}

static struct letter strange_letter(const struct hosts *hosts)
{
	return letter_to(hosts, chance_farm(hosts));
}

static void make_stray(struct hosts *hosts, struct made *ret)
{
	static const uint8_t flags[] = {ACK,       ACK,       SYN | ACK, RST, RST | ACK,
	                                FIN | ACK, PSH | ACK, SYN,       SYN, 0};
	struct letter l = strange_letter(hosts);

	l.flags = flags[random_below(sizeof(flags))];
	if (l.flags == SYN)
		l.payload = 0;
	if (chance_one_in(8))
		l.damage = 1 + random_below(0xfffd);
	build_tcp(ret, &l);
}

static void make_martian(struct hosts *hosts, struct made *ret)
{
	static const uint8_t firsts[] = {0, 127, 224, 239, 255};
	struct letter l = strange_letter(hosts);

	l.flags = chance_one_in(2) ? SYN : ACK;
	l.payload = 0;
	switch (random_below(4)) {
	case 0:
		l.src = our_addr(hosts, chance_farm(hosts));
		if (l.src.v6 != l.dst.v6)
			l.src = l.dst;
		break;
	case 1:
		l.to = (struct mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
		break;
	case 2:
		if (random_below(2))
			memset(&l.from.mac, 0, sizeof(l.from.mac));
		else
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

	if (chance_one_in(6))
		l.damage = 1 + random_below(0xfffd);
	if (chance_one_in(3))
		build_ip(ret, &l, 17, none, 0, 8 + random_below(100));
	else
		build_ip(ret, &l, l.src.v6 ? 58 : 1, chance_one_in(4) ? other : echo, 8,
		         8 + random_below(100));
}

static void make_neighbour(struct hosts *hosts, struct made *ret)
{
	struct letter l = strange_letter(hosts);
	const unsigned servers = hosts->world->rules->nservers;
	struct addr server = addr_of_server(hosts->world->rules, random_below(servers));
	const struct talk *t = &hosts->talks[random_below(HOSTS_TALKS)];

	if (t->used &&
	    chance_one_in(2)) { /* of a client: that he is where he was, or somewhere else */
		l = hosts_letter(hosts, t, CLIENT);
		l.from = chance_hop_in(hosts_farm(hosts, t->farm)->vlan, (enum side)l.from.side,
		                       chance_mac(7, (uint8_t)random_below(6)));
		if (chance_one_in(2))
			l.from = t->party[CLIENT].hop;
		if (chance_one_in(3))
			l.dst = l.src; /* not asked by us, nor asking us */
	}
	if (l.src.v6 && server.v6 && chance_one_in(2)) {
		l.src = server;
		build_nd(ret, &l, &server, false);
	} else if (l.src.v6) {
		build_nd(ret, &l, chance_one_in(3) ? &l.src : &l.dst, chance_one_in(2));
	} else {
		if (chance_one_in(3) && !server.v6)
			l.src = server;
		else if (chance_one_in(6))
			l.src = l.dst; /* it claims to be us */
		if (chance_one_in(3))
			l.to = (struct mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
		build_arp(ret, &l, (uint16_t)(1 + random_below(3)));
	}
}

/* Sends the letter to another address of ours, from where that counts. */
static void mislead(struct hosts *hosts, struct letter *l)
{
	const struct letter other = strange_letter(hosts);

	if (other.dst.v6 != l->dst.v6)
		return;
	l->dst = other.dst;
	l->from = other.from;
}

/* About what an end of a talk should have got: from there, or from a router before it. */
static void make_error(struct hosts *hosts, struct made *ret)
{
	static const uint8_t types[2][5] = {{3, 3, 3, 11, 12}, {1, 2, 2, 3, 4}};
	const struct talk *t = &hosts->talks[random_below(HOSTS_TALKS)];
	const enum end end = chance_one_in(2) ? CLIENT : SERVER;
	struct letter l, about;
	uint8_t type;

	if (!t->used || !t->mapped) {
		make_stray(hosts, ret);
		return;
	}
	l = hosts_letter(hosts, t, end);
	about = l;
	about.src = l.dst;
	about.dst = l.src;
	about.sport = l.dport;
	about.dport = l.sport;
	about.seq = t->party[end == CLIENT ? SERVER : CLIENT].next - random_below(2000);
	if (chance_one_in(4))
		about.seq =
		        chance_one_in(2) ? (uint32_t)random_next() : about.seq + random_below(FAR);
	about.payload = random_below(PAYLOAD);
	if (chance_one_in(2))
		l.src = strange_addr(hosts, t->farm);
	if (chance_one_in(8))
		l.damage = 1 + random_below(0xfffd);
	if (chance_one_in(12))
		l.to.b[0] |= 1;
	if (chance_one_in(12))
		mislead(hosts, &l);
	type = chance_one_in(20) ? (uint8_t)random_next() : types[l.src.v6][random_below(5)];
	build_error(ret, &l, type, (uint8_t)random_below(8), &about,
	            chance_one_in(8) ? random_below(60) : 28 + random_below(400));
}

/* Of the wire: addressed to nobody of us, from anywhere. */
static void make_wire(struct hosts *hosts, struct made *ret)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x88cc, 0x8100, 60, 0x9100};
	struct letter l = strange_letter(hosts);

	if (chance_one_in(8))
		l.from.mac = world_mac(chance_one_in(2) ? INSIDE : OUTSIDE); /* a loop */
	if (chance_one_in(3))
		l.to.b[0] |= 1;
	l.flags = chance_one_in(2) ? SYN : ACK;
	if (chance_one_in(2)) {
		l.dst = chance_one_in(2) ? strange_addr(hosts, chance_farm(hosts)) : l.src;
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

	l.flags = chance_one_in(2) ? SYN : ACK;
	build_tcp(ret, &l);
	ip = ret->frame.data + 14 + 4 * l.from.ntags;
	switch (random_below(4)) {
	case 0:
		ip[0] = (uint8_t)(ip[0] ^ (1u << random_below(8)));
		break;
	case 1:
		frames_put16(ip + (l.src.v6 ? 4 : 2), (uint16_t)(chance_one_in(2) ? 2000 : 30));
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
	l.from = chance_hop_in(server->vlan, INSIDE, server->mac);
	l.src = addr_of_rules(rules, server->address);
	l.dst = addr_of_rules(rules, f->snat[0]);
	l.sport = be16_get(f->checks[random_below(f->nchecks)]);
	l.dport = (uint16_t)(RULES_PROBE_PORT + random_below(RULES_PROBE_PORTS));
	l.flags = chance_one_in(2) ? SYN | ACK : RST | ACK;
	build_tcp(ret, &l);
}

void strangers_flood(struct hosts *hosts, struct made *ret)
{
	struct letter l = strange_letter(hosts);

	hosts->flood--;
	l.flags = chance_one_in(2) ? ACK : SYN;
	l.dport = 9;
	build_tcp(ret, &l);
}

/* By a router. Whose address is made up has opened nothing, nor has his network. */
void strangers_besiege(struct hosts *hosts, struct made *ret)
{
	const unsigned farm = hosts->besieged;
	const struct rules_farm *f = hosts_farm(hosts, farm);
	struct letter l = letter_to(hosts, farm);

	hosts->siege--;
	l.from = (struct hop){.mac = chance_mac(8, 0), .side = OUTSIDE, .ntags = !!f->vlan};
	l.from.tci[0] = be16_from(f->vlan);
	l.flags = SYN;
	l.payload = 0;
	l.dst = addr_of_vip(hosts->world->rules, farm);
	l.dport = be16_get(f->ports[random_below(f->nports)]);
	l.sport = (uint16_t)(1024 + random_below(8));
	if (l.src.v6) {
		l.src.b[6] = l.src.b[15];
		l.src.b[15] = 100;
	}
	if (chance_one_in(8))
		l.src = world_client(hosts->world, farm, random_below(WORLD_CLIENTS));
	build_tcp(ret, &l);
}

void strangers_make(struct hosts *hosts, struct made *ret)
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
