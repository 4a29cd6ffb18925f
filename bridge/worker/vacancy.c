/*
 * Checking addresses before they are used.
 *
 * RFC 5227, and RFC 4862 of IPv6, would have a host wait for up to 7 s. A wire that is cut for so
 * long at each start is worse than a conflict found late (worker.c logs those, and defends the
 * address), so there are two probes and a third of a second: what answers at all on a LAN answers
 * within milliseconds.
 *
 * It is done with ears of its own, so that the workers, if they run already, go on. Of two who
 * probe for one address at the same time each sees the other one, and neither takes it.
 */
#include "vacancy.h"

#include "voice.h"
#include "../port/ear.h"
#include "../process/clock.h"
#include "../process/log.h"
#include "../process/text.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum {
	VACANCY_PROBES = 2,
	VACANCY_WAIT_MS = 150,
	VACANCY_PER_MS = 32, /* of each round, in the mean */
	VACANCY_BURST = 128,
	VACANCY_FIRST = 1024, /* so many take hardly longer than one */
};

/* An address that is to be checked. Sorted by where: addresses are names, which differ from rules
 * to rules. */
struct wanted {
	struct ip6 where; /* of IPv4 it is mapped (RFC 4291, 2.5.5.2) */
	uint16_t vlan;    /* rules_farm_vlan() */
	uint16_t tags;    /* rules_farm.vlan */
	be32 address;
};

struct wanted_list {
	struct wanted *items;
	size_t n;
};

struct vacancy {
	struct port *ears[NSIDES];
	unsigned asked; /* sides (1 << side) that are being checked */
	unsigned heard; /* on which somebody was */
	struct voice voice;
};

/* ---- Which addresses ---- */

static struct ip6 where_of(const struct rules *rules, be32 address)
{
	struct ip6 ret = {{[10] = 0xff, [11] = 0xff}};

	if (name_is_ipv6(address))
		return *rules_ip6(rules, address);
	memcpy(ret.b + 12, &address, sizeof(address));
	return ret;
}

static int compare(const void *a, const void *b)
{
	const struct wanted *ca = a, *cb = b;
	int ret = memcmp(&ca->where, &cb->where, sizeof(ca->where));

	return ret ? ret : (int)ca->vlan - (int)cb->vlan;
}

static void add(struct wanted_list *list, const struct rules *rules, const struct rules_farm *farm,
                be32 address)
{
	if (way_is_hosts(rules, address))
		return; /* the host has checked that */
	list->items[list->n++] = (struct wanted){.where = where_of(rules, address),
	                                         .vlan = rules_farm_vlan(farm),
	                                         .tags = farm->vlan,
	                                         .address = address};
}

/* All of rules, each once. Returns 0 or -ENOMEM. */
static int list_all(const struct rules *rules, struct wanted_list *ret)
{
	size_t room = 1, n = 0;

	for (unsigned f = 0; rules && f < rules->nfarms; f++)
		room += 1 + rules_all_snat(&rules->farms[f]);
	*ret = (struct wanted_list){.items = calloc(room, sizeof(*ret->items))};
	if (!ret->items)
		return -ENOMEM;
	for (unsigned f = 0; rules && f < rules->nfarms; f++) {
		const struct rules_farm *farm = &rules->farms[f];

		if (farm->gone)
			continue;
		add(ret, rules, farm, farm->vip);
		for (unsigned i = 0; i < rules_all_snat(farm); i++)
			add(ret, rules, farm, farm->snat[i]);
	}
	qsort(ret->items, ret->n, sizeof(*ret->items), compare);
	for (size_t i = 0; i < ret->n; i++)
		if (!n || compare(&ret->items[n - 1], &ret->items[i]) != 0)
			ret->items[n++] = ret->items[i];
	ret->n = n;
	return 0;
}

/* Takes out those of before, and of an earlier process. */
static int list_new(const struct rules *rules, const struct rules *before,
                    const struct fastpath *fastpath, struct wanted_list *ret)
{
	struct wanted_list old = {0};
	int err = list_all(before, &old);
	size_t n = 0;

	if (err < 0)
		return err;
	err = list_all(rules, ret);
	for (size_t i = 0; !err && i < ret->n; i++)
		if (!bsearch(&ret->items[i], old.items, old.n, sizeof(*old.items), compare) &&
		    !fastpath_had(fastpath, &ret->items[i].where, ret->items[i].vlan))
			ret->items[n++] = ret->items[i];
	ret->n = err ? 0 : n;
	free(old.items);
	return err;
}

/* The one of that address in that VLAN, or NULL. */
static const struct wanted *find(const struct wanted_list *list, const struct ip6 *where,
                                 uint16_t vlan)
{
	const uint16_t vlans[] = {vlan, VLAN_ANY};

	for (unsigned i = 0; i < sizeof(vlans) / sizeof(vlans[0]); i++) {
		const struct wanted key = {.where = *where, .vlan = vlans[i]};
		const struct wanted *found =
		        bsearch(&key, list->items, list->n, sizeof(*list->items), compare);

		if (found)
			return found;
	}
	return NULL;
}

/* ---- What is heard ---- */

/* The address, and by which MAC, that somebody claims to have or is about to use. */
static bool claimed_by(const struct frame *frame, const struct packet *packet, struct ip6 *ret,
                       struct mac *ret_mac)
{
	static const struct ip6 nobody6;
	static const be32 nobody;
	struct nd nd;
	be32 address;

	if (packet->kind == PACKET_ARP) {
		address = be32_eq(packet->tuple.src, nobody) && packet->arp_oper == ARP_REQUEST
		                  ? packet->tuple.dst
		                  : packet->tuple.src;
		*ret = where_of(NULL, address);
		*ret_mac = packet->arp_sender;
		return true;
	}
	if (packet->kind != PACKET_IPV6 || !parse_nd(frame, packet, &nd))
		return false;
	*ret = nd.is_solicitation && !ip6_eq(packet->src6, &nobody6) ? *packet->src6 : *nd.target;
	*ret_mac = nd.mac;
	return true;
}

static bool is_own_mac(const struct vacancy *vacancy, const struct mac *mac)
{
	return mac_eq(mac, &vacancy->ears[OUTSIDE]->mac) ||
	       mac_eq(mac, &vacancy->ears[INSIDE]->mac);
}

static void note_heard(struct vacancy *vacancy, const struct frame *frame,
                       const struct packet *packet)
{
	if (!is_own_mac(vacancy, &packet->from.mac))
		vacancy->heard |= 1u << frame->side;
}

/* What a frame says against using the addresses. */
static int judge(struct vacancy *vacancy, const struct rules *rules, const struct wanted_list *list,
                 const struct frame *frame)
{
	const char *name = vacancy->ears[frame->side]->name;
	const struct wanted *claim;
	struct packet packet;
	char text[TEXT_ADDRESS_BYTES];
	struct ip6 where;
	struct mac mac;

	parse_frame(frame, &packet);
	if (frame->len < ETH_HEADER_BYTES)
		return 0;
	if (mac_eq(&packet.from.mac, &vacancy->ears[way_across((enum side)frame->side)]->mac)) {
		log_error("%s, %s: are connected to each other: the bridge would be a loop",
		          vacancy->ears[OUTSIDE]->name, vacancy->ears[INSIDE]->name);
		return -ELOOP;
	}
	note_heard(vacancy, frame, &packet);
	if (!(vacancy->asked >> frame->side & 1))
		return 0;
	if (!claimed_by(frame, &packet, &where, &mac) || is_own_mac(vacancy, &mac) ||
	    !(claim = find(list, &where, hop_vlan(&packet.from))))
		return 0;
	log_error("%s: %s belongs to %02x:%02x:%02x:%02x:%02x:%02x already", name,
	          text_address(rules, claim->address, text), mac.b[0], mac.b[1], mac.b[2], mac.b[3],
	          mac.b[4], mac.b[5]);
	return -EADDRINUSE;
}

static int judge_arrived(struct vacancy *vacancy, const struct rules *rules,
                         const struct wanted_list *list)
{
	struct frame frames[PORT_BURST];
	int err = 0;

	for (unsigned side = 0; side < NSIDES; side++) {
		struct port *ear = vacancy->ears[side];
		unsigned n = ear->ops->receive(ear, frames);

		for (unsigned i = 0; i < n && !err; i++)
			err = judge(vacancy, rules, list, &frames[i]);
	}
	return err;
}

static int listen_for(struct vacancy *vacancy, const struct rules *rules,
                      const struct wanted_list *list, unsigned ms)
{
	struct pollfd fds[NSIDES] = {{.fd = ear_fd(vacancy->ears[OUTSIDE]), .events = POLLIN},
	                             {.fd = ear_fd(vacancy->ears[INSIDE]), .events = POLLIN}};
	const uint64_t end = clock_now().ns + ms * LB_NS_PER_MS;
	uint64_t now;
	int err = 0;

	while (!err && (now = clock_now().ns) < end) {
		poll(fds, NSIDES, (int)((end - now + LB_NS_PER_MS - 1) / LB_NS_PER_MS));
		err = judge_arrived(vacancy, rules, list);
	}
	return err;
}

/* ---- What is asked ---- */

static void ask(struct vacancy *vacancy, const struct link *const links[NSIDES],
                const struct rules *rules, const struct wanted *wanted)
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct hop all = way_everybody((enum side)side, wanted->tags);

		if (links[side] && way_is_ours(rules, wanted->address, (enum side)side))
			voice_probe(&vacancy->voice, rules, wanted->address, &all, (lb_time){0});
	}
}

/*
 * Asks for those whose turn it is, *done being how many have been asked for in this round, and ns
 * for how long it goes on. Who is late, as others had the processor, makes up for it, but not at
 * once.
 */
static void ask_due(struct vacancy *vacancy, const struct link *const links[NSIDES],
                    const struct rules *rules, const struct wanted_list *list, uint64_t ns,
                    size_t *done)
{
	size_t due = (size_t)(ns * VACANCY_PER_MS / LB_NS_PER_MS) + VACANCY_PER_MS;

	due = due < *done + VACANCY_BURST ? due : *done + VACANCY_BURST;
	for (due = due < list->n ? due : list->n; *done < due; ++*done) {
		ask(vacancy, links, rules, &list->items[*done]);
		if (*done % VACANCY_PER_MS == VACANCY_PER_MS - 1)
			voice_flush(&vacancy->voice, (lb_time){0});
	}
	voice_flush(&vacancy->voice, (lb_time){0});
}

/* Each is asked for VACANCY_PROBES times, VACANCY_WAIT_MS apart, and all in a row: the rounds
 * overlap if they are many. */
static int ask_all(struct vacancy *vacancy, const struct link *const links[NSIDES],
                   const struct rules *rules, const struct wanted_list *list)
{
	const uint64_t wait = VACANCY_WAIT_MS * LB_NS_PER_MS;
	const lb_time began = clock_now();
	size_t done[VACANCY_PROBES] = {0};
	int err = 0;

	while (done[VACANCY_PROBES - 1] < list->n && !err) {
		uint64_t ns = clock_now().ns - began.ns;

		for (unsigned i = 0; i < VACANCY_PROBES && ns >= i * wait; i++)
			if (done[i] < list->n)
				ask_due(vacancy, links, rules, list, ns - i * wait, &done[i]);
		err = listen_for(vacancy, rules, list, 1);
	}
	return err ? err : listen_for(vacancy, rules, list, VACANCY_WAIT_MS);
}

static int start_listening(struct vacancy *vacancy, const struct link *const links[NSIDES])
{
	int err = 0;

	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = links[side] ? ear_listen(vacancy->ears[side], links[side]) : 0;
	return err;
}

int vacancy_check(struct vacancy *vacancy, const struct link *const links[NSIDES],
                  const struct rules *rules, const struct rules *before,
                  const struct fastpath *fastpath, bool first_only, struct vacancy_check *ret)
{
	const bool is_anywhere = links[OUTSIDE] || links[NSIDES - 1];
	struct wanted_list list = {0};
	int err = list_new(rules, before, fastpath, &list);

	*ret = (struct vacancy_check){.any = list.n, .more = first_only && list.n > VACANCY_FIRST};
	if (ret->more)
		list.n = VACANCY_FIRST;
	vacancy->asked = (unsigned)!!links[OUTSIDE] << OUTSIDE | (unsigned)!!links[INSIDE]
	                                                                 << INSIDE;
	if (!err && list.n && is_anywhere)
		err = start_listening(vacancy, links);
	if (!err && list.n && is_anywhere)
		err = ask_all(vacancy, links, rules, &list);
	for (unsigned side = 0; side < NSIDES; side++) {
		ret->down |=
		        (unsigned)(ret->any && links[side] && ear_was_down(vacancy->ears[side]))
		        << side;
		ear_rest(vacancy->ears[side]);
	}
	free(list.items);
	if (err && err != -EADDRINUSE && err != -ELOOP)
		log_error("checking our addresses: %s", strerror(-err));
	return err;
}

void vacancy_listen(struct vacancy *vacancy, const struct link *const links[NSIDES])
{
	start_listening(vacancy, links); /* if it doesn't, nobody is heard */
}

/* As much as a socket's buffer may hold. */
static void hear_out(struct vacancy *vacancy, struct port *ear)
{
	enum { ROUNDS = 64 };
	struct frame frames[PORT_BURST];
	struct packet packet;
	unsigned n;

	for (unsigned round = 0; round < ROUNDS && (n = ear->ops->receive(ear, frames)); round++)
		for (unsigned i = 0; i < n; i++) {
			parse_frame(&frames[i], &packet);
			note_heard(vacancy, &frames[i], &packet);
		}
}

unsigned vacancy_heard(struct vacancy *vacancy, unsigned sides)
{
	unsigned heard;

	for (unsigned side = 0; side < NSIDES; side++)
		hear_out(vacancy, vacancy->ears[side]);
	heard = vacancy->heard & sides;
	vacancy->heard &= ~sides;
	return heard;
}

unsigned vacancy_wanted(const struct rules *rules, const struct rules *before,
                        const struct fastpath *fastpath, unsigned sides)
{
	struct wanted_list list = {0};
	unsigned ret = 0;

	if (sides && list_new(rules, before, fastpath, &list) < 0)
		ret = sides;
	for (size_t i = 0; i < list.n; i++)
		for (unsigned side = 0; side < NSIDES; side++)
			if (way_is_ours(rules, list.items[i].address, (enum side)side))
				ret |= sides & 1u << side;
	free(list.items);
	return ret;
}

/* ---- Beginning and end ---- */

int vacancy_open(const char *const names[NSIDES], struct vacancy **ret)
{
	struct vacancy *vacancy = calloc(1, sizeof(*vacancy));
	int err = vacancy ? 0 : -ENOMEM;

	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = ear_open((enum side)side, names[side] ? names[side] : "none",
		               &vacancy->ears[side]);
	if (!err)
		err = voice_open(&vacancy->voice, vacancy->ears);
	if (err < 0)
		vacancy_close(vacancy);
	else
		*ret = vacancy;
	return err;
}

void vacancy_close(struct vacancy *vacancy)
{
	if (!vacancy)
		return;
	voice_close(&vacancy->voice);
	for (unsigned side = 0; side < NSIDES; side++)
		ear_close(vacancy->ears[side]);
	free(vacancy);
}

void vacancy_fds(const struct vacancy *vacancy, int ret[NSIDES])
{
	for (unsigned side = 0; side < NSIDES; side++)
		ret[side] = ear_fd(vacancy->ears[side]);
}
