/*
 * The first step of the engine.
 *
 * A ladder of early returns, each with its reason. Frames of the wire leave it as early as can be:
 * by EtherType, or by one lookup of their destination. What is for us, and TCP or about TCP, goes
 * on to the flows; ARP, neighbour discovery and echo requests are settled here.
 */
#include "screen.h"

#include "plain.h"
#include "wire.h"

static bool is_own_mac(const struct screen *screen, const uint8_t *p)
{
	return !memcmp(p, &screen->macs[OUTSIDE], sizeof(screen->macs[0])) ||
	       !memcmp(p, &screen->macs[INSIDE], sizeof(screen->macs[0]));
}

/* If another host than we can have the MAC address: one of ours comes from a mirror or a loop that
 * sends our own frames back, and says nothing about where somebody is. */
static bool is_hosts_mac(const struct screen *screen, const struct mac *mac)
{
	return mac_is_host(mac) && !is_own_mac(screen, mac->b);
}

static const struct address *find(const struct screen *screen, const struct packet *packet,
                                  be32 address)
{
	const struct addresses *addresses = &screen->farms->addresses;
	const uint16_t vlan = hop_vlan(&packet->from);

	return packet->kind == PACKET_IPV6 ? addresses_find_name(addresses, address, vlan)
	                                   : addresses_find(addresses, address, vlan);
}

const struct address *screen_src(const struct screen *screen, const struct packet *packet)
{
	return find(screen, packet, packet->tuple.src);
}

const struct address *screen_dst(const struct screen *screen, const struct packet *packet)
{
	return find(screen, packet, packet->tuple.dst);
}

void screen_settle_other(const struct screen *screen, const struct frame *frame,
                         struct verdict *ret)
{
	bool to_host = screen->has_stack || (frame->len >= ETH_HEADER_BYTES &&
	                                     is_own_mac(screen, frame->data + ETH_DST));

	verdict_settle(ret, to_host ? WHY_TO_HOST : WHY_NOT_OURS);
}

void screen_settle_no_flow(const struct screen *screen, const struct frame *frame,
                           const struct packet *packet, enum lb_why why, struct verdict *ret)
{
	if (screen_dst(screen, packet)->kinds & ADDRESS_OURS)
		verdict_settle(ret, why);
	else
		screen_settle_other(screen, frame, ret);
}

bool screen_is_hosts(const struct screen *screen, const struct packet *packet,
                     const struct tuple *tuple)
{
	const struct addresses *addresses = &screen->farms->addresses;
	const struct address *dst = find(screen, packet, tuple->dst);
	const struct address *src = find(screen, packet, tuple->src);
	unsigned farm, service;

	if (!(dst->kinds & ADDRESS_HOST))
		return false;
	if (farms_service(screen->farms, dst, tuple->dport, &farm, &service))
		return false;
	return !(src->kinds & ADDRESS_SERVER &&
	         local_is_answer(addresses->local, tuple->sport, tuple->dport));
}

/* If we answer for the address on that side; the host may do so where it has the address itself. */
static bool is_ours_here(const struct screen *screen, be32 address, uint8_t kinds, uint8_t side)
{
	return kinds & ADDRESS_OURS &&
	       (!screen->has_stack || way_is_ours(screen->farms->rules, address, (enum side)side));
}

bool screen_is_martian(const struct screen *screen, const struct frame *frame,
                       const struct packet *packet)
{
	bool is_host = packet->kind == PACKET_IPV6 ? ip6_is_host(packet->src6)
	                                           : be32_is_host(packet->tuple.src);

	return frame->data[ETH_DST] & 1 || !mac_is_host(&packet->from.mac) || !is_host ||
	       screen_src(screen, packet)->kinds & ADDRESS_OURS;
}

static void screen_arp(const struct screen *screen, const struct packet *packet, struct verdict *v)
{
	uint8_t sender = screen_src(screen, packet)->kinds;
	uint8_t target = screen_dst(screen, packet)->kinds;
	const bool is_hosts = is_hosts_mac(screen, &packet->arp_sender);

	v->sighted = is_hosts && sender & (ADDRESS_SERVER | ADDRESS_NEXT);
	v->conflict = is_ours_here(screen, packet->tuple.src, sender, packet->from.side);
	v->heard = is_hosts && packet->arp_oper && !v->conflict && be32_is_host(packet->tuple.src);
	v->sighting = (struct sighting){.address = ip6_mapped(packet->tuple.src),
	                                .ip = packet->tuple.src,
	                                .hop = packet->from,
	                                .overrides = true};
	v->sighting.hop.mac = packet->arp_sender;
	if (!is_ours_here(screen, packet->tuple.dst, target, packet->from.side))
		return;
	if (!mac_is_host(&packet->arp_sender)) {
		verdict_settle(v, WHY_MARTIAN);
	} else if (packet->arp_oper == ARP_REQUEST) {
		verdict_answer(v, WHY_ARP_REPLY, packet, OWN_ARP_REPLY);
		v->own.to.mac = packet->arp_sender;
	} else if (v->conflict) {
		verdict_settle(v, WHY_ARP_CONFLICT);
	} else {
		verdict_settle(v, packet->arp_oper == ARP_REPLY ? WHY_ARP_LEARNED : WHY_ARP_OTHER);
	}
}

/* The name of an IPv6 address: the rules' name, or else its hash. */
static be32 name(const struct screen *screen, const struct ip6 *ip)
{
	be32 known;

	return addresses_name(&screen->farms->addresses, ip, &known)
	               ? known
	               : name_hashed(screen->factors6, ip);
}

/* What the address is to us where the packet came from; sets its name if it has one. */
static uint8_t kinds_of_ip6(const struct screen *screen, const struct packet *packet,
                            const struct ip6 *ip, be32 *ret)
{
	return addresses_name(&screen->farms->addresses, ip, ret)
	               ? find(screen, packet, *ret)->kinds
	               : 0;
}

/* Settles a solicitation for one of our addresses. One without a source address is of a host that
 * is about to use it itself: a conflict. */
static void answer_nd(const struct packet *packet, const struct nd *nd, struct verdict *v)
{
	static const struct ip6 unspecified;

	const bool is_new = ip6_eq(packet->src6, &unspecified);

	if (!mac_is_host(&nd->mac) || (!is_new && !ip6_is_host(packet->src6)))
		return verdict_settle(v, WHY_MARTIAN);
	verdict_answer(v, WHY_ND_REPLY, packet, OWN_ND_REPLY);
	v->own.to.mac = nd->mac;
	v->own.src6 = *nd->target;
	v->conflict |= is_new;
}

/* Notes in v what neighbour discovery says about whose address is where: an advertisement about its
 * target, a solicitation about its source; kinds and name are that address's. */
static void sight_nd(const struct screen *screen, const struct packet *packet, const struct nd *nd,
                     uint8_t kinds, be32 name, struct verdict *v)
{
	const struct ip6 *address = nd->is_solicitation ? packet->src6 : nd->target;
	const bool is_hosts = is_hosts_mac(screen, &nd->mac);

	v->sighted = is_hosts && kinds & (ADDRESS_SERVER | ADDRESS_NEXT);
	v->conflict = is_ours_here(screen, name, kinds, packet->from.side);
	v->heard = is_hosts && nd->has_mac && !v->conflict && ip6_is_host(address);
	v->sighting = (struct sighting){
	        .address = *address, .ip = name, .hop = packet->from, .overrides = nd->overrides};
	v->sighting.hop.mac = nd->mac;
}

/* Screens a frame that may be neighbour discovery. True if it is settled. */
static bool screen_nd(const struct screen *screen, struct frame *frame, struct packet *packet,
                      struct verdict *v)
{
	be32 target_name = {0}, sender_name = {0}, to = {0};
	uint8_t target, sender;
	struct nd nd;

	if (!parse_nd(frame, packet, &nd) || !parse_ip(frame, packet) ||
	    !parse_l4_checksum_ok(frame, packet))
		return false;
	target = kinds_of_ip6(screen, packet, nd.target, &target_name);
	sender = kinds_of_ip6(screen, packet, nd.is_solicitation ? packet->src6 : nd.target,
	                      &sender_name);
	sight_nd(screen, packet, &nd, sender, sender ? sender_name : target_name, v);
	if (is_ours_here(screen, target_name, target, packet->from.side)) {
		if (nd.is_solicitation)
			answer_nd(packet, &nd, v);
		else
			verdict_settle(v, WHY_ND_CONFLICT);
	} else if (is_ours_here(screen, to, kinds_of_ip6(screen, packet, packet->dst6, &to),
	                        packet->from.side)) {
		verdict_settle(v, nd.is_solicitation ? WHY_ND_OTHER : WHY_ND_LEARNED);
	} else {
		screen_settle_other(screen, frame, v);
	}
	return true;
}

static void screen_echo(const struct screen *screen, const struct frame *frame,
                        const struct packet *packet, struct verdict *v)
{
	if (!parse_l4_checksum_ok(frame, packet))
		return verdict_settle(v, WHY_BAD_CHECKSUM);
	if (screen_is_martian(screen, frame, packet))
		return verdict_settle(v, WHY_MARTIAN);
	if (!farms_is_up(screen->farms, screen_dst(screen, packet)))
		return verdict_settle(v, WHY_ECHO_NO_SERVER);
	verdict_answer(v, WHY_ECHO_REPLY, packet, OWN_ECHO_REPLY);
	v->own.l4 = packet->l4;
	v->own.l4_len = packet->l4_len;
}

/* The address of which name is only the hash, ip, or NULL. */
static const struct ip6 *hashed(be32 name, const struct ip6 *ip)
{
	return name_is_hashed(name) ? ip : NULL;
}

void screen_key(const struct packet *packet, struct flow_key *ret)
{
	ret->tuple = packet->tuple;
	ret->ipv6 = packet->kind == PACKET_IPV6;
	ret->hashed = NULL;
	if (!ret->ipv6)
		return;
	ret->hashed = hashed(packet->tuple.src, packet->src6);
	if (!ret->hashed)
		ret->hashed = hashed(packet->tuple.dst, packet->dst6);
}

/* The key for the flow of an ICMP error about a packet that we sent: the tuple with which packets
 * arrive that leave like the quoted one. */
static void error_key(const struct screen *screen, struct icmp_error *error, struct flow_key *ret)
{
	struct packet quoted = {.src6 = error->src6, .dst6 = error->dst6};

	if (error->src6) {
		quoted.kind = PACKET_IPV6;
		error->tuple.src = name(screen, error->src6);
		error->tuple.dst = name(screen, error->dst6);
	}
	quoted.tuple = error->tuple;
	screen_key(&quoted, ret);
	ret->tuple = tuple_reverse(ret->tuple);
}

/* If the packet, which is ICMP, is an error that quotes TCP: then sets the key of that flow. */
static bool is_icmp_error(const struct screen *screen, const struct frame *frame, struct job *job)
{
	if (!icmp_parse_error(frame, &job->packet, &job->error))
		return false;
	error_key(screen, &job->error, &job->key);
	return true;
}

static bool is_echo_request(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *icmp = frame->data + packet->l4;

	return icmp[ICMP_TYPE] == (packet->kind == PACKET_IPV6 ? ICMPV6_ECHO : ICMP_ECHO) &&
	       icmp[ICMP_CODE] == 0;
}

static enum rest screen_icmp(const struct screen *screen, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	const struct packet *packet = &job->packet;

	if (packet->l4_len < ICMP_HEADER_BYTES ||
	    frame->len < (uint32_t)packet->l4 + packet->l4_len)
		verdict_settle(v, WHY_ICMP_OTHER);
	else if (is_echo_request(frame, packet))
		screen_echo(screen, frame, packet, v);
	else if (is_icmp_error(screen, frame, job))
		return REST_ICMP_ERROR;
	else
		verdict_settle(v, WHY_ICMP_OTHER);
	return REST_NONE;
}

static enum rest leave(struct verdict *v, enum lb_why why)
{
	verdict_settle(v, why);
	return REST_NONE;
}

static enum rest go_on_to_flow(struct job *job)
{
	screen_key(&job->packet, &job->key);
	return REST_TCP;
}

/* The same where the host has the address itself, so that the packet may be for the host. */
static enum rest screen_shared(const struct screen *screen, struct frame *frame, struct job *job,
                               struct verdict *v)
{
	struct packet *packet = &job->packet;

	if (!parse_ip(frame, packet) || mac_is_group(&packet->from.mac))
		return leave(v, WHY_TO_HOST);
	if (packet->protocol == IPPROTO_NUM_TCP && packet->is_fragment)
		return REST_FRAGMENT;
	if (packet->protocol == IPPROTO_NUM_TCP && parse_tcp(frame, packet))
		return go_on_to_flow(job);
	if (parse_is_icmp(packet) && !packet->is_fragment && is_icmp_error(screen, frame, job))
		return REST_ICMP_ERROR;
	return leave(v, WHY_TO_HOST);
}

/* A packet to a VIP or SNAT address. */
static enum rest screen_ours(const struct screen *screen, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	struct packet *packet = &job->packet;

	if (!parse_ip(frame, packet))
		return leave(v, WHY_IP_MALFORMED);
	if (packet->is_fragment && packet->protocol != IPPROTO_NUM_TCP)
		return leave(v, WHY_FRAGMENT_OTHER);
	if (parse_is_icmp(packet))
		return screen_icmp(screen, frame, job, v);
	if (packet->protocol != IPPROTO_NUM_TCP)
		return leave(v, WHY_PROTOCOL_NOT_SERVED);
	if (mac_is_group(&packet->from.mac)) /* a reply would go to a group */
		return leave(v, WHY_MARTIAN);
	if (packet->is_fragment)
		return REST_FRAGMENT;
	if (!parse_tcp(frame, packet))
		return leave(v, WHY_TCP_MALFORMED);
	return go_on_to_flow(job);
}

/*
 * A packet that isn't addressed to us, but with `snat = off` may still be of a flow: TCP of a
 * server, or an ICMP error, addressed to the client, about a packet to one.
 */
static enum rest screen_no_snat(const struct screen *screen, const struct frame *frame,
                                struct job *job)
{
	struct packet *packet = &job->packet;

	if (!parse_ip(frame, packet) || mac_is_group(&packet->from.mac))
		return REST_NONE;
	if (packet->protocol == IPPROTO_NUM_TCP &&
	    screen_src(screen, packet)->kinds & ADDRESS_NO_SNAT) {
		if (packet->is_fragment)
			return REST_FRAGMENT;
		return parse_tcp(frame, packet) ? go_on_to_flow(job) : REST_NONE;
	}
	if (parse_is_icmp(packet) && !packet->is_fragment && is_icmp_error(screen, frame, job) &&
	    find(screen, packet, job->error.tuple.dst)->kinds & ADDRESS_NO_SNAT)
		return REST_ICMP_ERROR;
	return REST_NONE;
}

/* An IP packet, its addresses in packet->tuple. */
static enum rest screen_ip(const struct screen *screen, struct frame *frame, struct job *job,
                           struct verdict *v)
{
	enum rest rest = REST_NONE;

	const uint8_t kinds = screen_dst(screen, &job->packet)->kinds;

	if (kinds & ADDRESS_HOST)
		return screen_shared(screen, frame, job, v);
	if (kinds & ADDRESS_OURS)
		return screen_ours(screen, frame, job, v);
	if (screen->farms->addresses.any_no_snat)
		rest = screen_no_snat(screen, frame, job);
	if (rest == REST_NONE)
		screen_settle_other(screen, frame, v);
	return rest;
}

static enum rest screen_ipv6(const struct screen *screen, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	struct packet *packet = &job->packet;
	const struct addresses *addresses = &screen->farms->addresses;

	if (screen_nd(screen, frame, packet, v))
		return REST_NONE;
	if (!addresses_name(addresses, packet->dst6, &packet->tuple.dst) &&
	    !addresses->any_no_snat) {
		screen_settle_other(screen, frame, v);
		return REST_NONE;
	}
	packet->tuple.src = name(screen, packet->src6);
	packet->tuple.dst = name(screen, packet->dst6);
	return screen_ip(screen, frame, job, v);
}

/* Screens all but plain TCP to us. A function apart, so that the one for plain TCP stays small. */
__attribute__((noinline)) static enum rest
screen_any(const struct screen *screen, struct frame *frame, struct job *job, struct verdict *ret)
{
	struct packet *packet = &job->packet;

	job->is_sought = false;
	parse_frame(frame, packet);
	if (packet->kind == PACKET_IPV4)
		return screen_ip(screen, frame, job, ret);
	if (packet->kind == PACKET_IPV6 && screen->farms->addresses.any_ipv6)
		return screen_ipv6(screen, frame, job, ret);
	screen_settle_other(screen, frame, ret);
	if (packet->kind == PACKET_ARP)
		screen_arp(screen, packet, ret);
	return REST_NONE;
}

/* If the frame comes from a side where our addresses aren't used yet (lb_hold()): then it is
 * settled. */
static bool is_held(const struct screen *screen, const struct frame *frame, struct verdict *ret)
{
	if (!(screen->held >> frame->side & 1))
		return false;
	verdict_begin(ret, frame);
	screen_settle_other(screen, frame, ret);
	return true;
}

/* Beside the host's stack: why the frame can't be for us, by its Ethernet header, or LB_NWHYS. */
static enum lb_why foreign(const struct screen *screen, const struct frame *frame)
{
	unsigned tpid;

	if (frame->len < ETH_HEADER_BYTES)
		return WHY_TO_HOST;
	if (!(frame->data[ETH_DST] & 1) &&
	    memcmp(frame->data + ETH_DST, &screen->macs[frame->side], sizeof(screen->macs[0])) != 0)
		return WHY_OTHER_HOST;
	/* VLANs are the host's, as interfaces of their own */
	return tpid_of(be16_get(be16_load(frame->data + ETH_TYPE)), &tpid) ? WHY_TO_HOST : LB_NWHYS;
}

/* If the frame isn't for us, as most aren't where the host has its own: then it is settled. */
static bool is_foreign(const struct screen *screen, const struct frame *frame, struct verdict *ret)
{
	const enum lb_why why = screen->has_stack ? foreign(screen, frame) : LB_NWHYS;

	if (why == LB_NWHYS)
		return false;
	verdict_begin(ret, frame);
	verdict_settle(ret, why);
	return true;
}

/* If the frame is settled by the side that it came from, or by its Ethernet header. Only called
 * where screen.is_special says that this may be so. */
__attribute__((noinline)) static bool is_nothing(const struct screen *screen,
                                                 const struct frame *frame, struct verdict *ret)
{
	return is_held(screen, frame, ret) || is_foreign(screen, frame, ret);
}

enum rest screen_frame(const struct screen *screen, struct frame *frame, struct job *job,
                       struct verdict *ret)
{
	bool is_loop = frame->len >= ETH_HEADER_BYTES && is_own_mac(screen, frame->data + ETH_SRC);

	if (__builtin_expect(screen->is_special, 0) && !is_loop && is_nothing(screen, frame, ret))
		return REST_NONE;
	if (!is_loop && parse_is_plain(frame)) {
		tuple_load_addresses(&job->key.tuple, frame->data + PARSE_PLAIN_L3 + IPV4_SRC);
		tuple_load_ports(&job->key.tuple, frame->data + PARSE_PLAIN_L4 + TCP_SRC);
		if (plain_may_be_balanced(&screen->farms->addresses, &job->key.tuple))
			return REST_PLAIN;
	} else if (!is_loop && screen->farms->addresses.any_ipv6 && parse_is_plain_ipv6(frame) &&
	           plain_key_ipv6(&screen->farms->addresses, screen->factors6, frame,
	                          &job->key.tuple)) {
		return REST_PLAIN_IPV6;
	}
	verdict_begin(ret, frame);
	return is_loop ? leave(ret, WHY_LOOP) : screen_any(screen, frame, job, ret);
}

void screen_plain(const struct screen *screen, const struct frame *frame, struct job *job,
                  struct verdict *ret)
{
	verdict_begin(ret, frame);
	job->packet.stamp = 0;
	if (job->rest == REST_PLAIN) {
		parse_plain(frame, &job->packet);
		job->key.ipv6 = false;
		job->key.hashed = NULL;
	} else {
		parse_plain_ipv6(frame, &job->packet);
		plain_complete_ipv6(&screen->farms->addresses, frame, &job->key);
		job->packet.tuple = job->key.tuple;
	}
}
