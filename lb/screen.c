/*
 * The first step of the engine.
 *
 * A ladder of early returns, each with its reason. Frames of the wire leave it as early as can be:
 * by EtherType, or by one lookup of their destination. What is for us, and TCP or about TCP, goes
 * on to the flows; ARP, neighbour discovery (discovery.c) and echo requests are settled here.
 */
#include "screen.h"

#include "discovery.h"
#include "plain.h"
#include "wire.h"

static void screen_echo(const struct scene *scene, const struct frame *frame,
                        const struct packet *packet, struct verdict *v)
{
	if (!parse_l4_checksum_ok(frame, packet))
		return verdict_settle(v, WHY_BAD_CHECKSUM);
	if (scene_is_martian(scene, frame, packet))
		return verdict_settle(v, WHY_MARTIAN);
	if (!farms_is_up(scene->farms, scene_dst(scene, packet)))
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
static void error_key(const struct scene *scene, struct icmp_error *error, struct flow_key *ret)
{
	struct packet quoted = {.src6 = error->src6, .dst6 = error->dst6};

	if (error->src6) {
		quoted.kind = PACKET_IPV6;
		error->tuple.src = scene_name(scene, error->src6);
		error->tuple.dst = scene_name(scene, error->dst6);
	}
	quoted.tuple = error->tuple;
	screen_key(&quoted, ret);
	ret->tuple = tuple_reverse(ret->tuple);
}

/* If the packet, which is ICMP, is an error that quotes TCP: then sets the key of that flow. */
static bool is_icmp_error(const struct scene *scene, const struct frame *frame, struct job *job)
{
	if (!icmp_parse_error(frame, &job->packet, &job->error))
		return false;
	error_key(scene, &job->error, &job->key);
	return true;
}

static bool is_echo_request(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *icmp = frame->data + packet->l4;

	return icmp[ICMP_TYPE] == (packet->kind == PACKET_IPV6 ? ICMPV6_ECHO : ICMP_ECHO) &&
	       icmp[ICMP_CODE] == 0;
}

static enum rest screen_icmp(const struct scene *scene, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	const struct packet *packet = &job->packet;

	if (packet->l4_len < ICMP_HEADER_BYTES ||
	    frame->len < (uint32_t)packet->l4 + packet->l4_len)
		verdict_settle(v, WHY_ICMP_OTHER);
	else if (is_echo_request(frame, packet))
		screen_echo(scene, frame, packet, v);
	else if (is_icmp_error(scene, frame, job))
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
static enum rest screen_shared(const struct scene *scene, struct frame *frame, struct job *job,
                               struct verdict *v)
{
	struct packet *packet = &job->packet;

	if (!parse_ip(frame, packet) || mac_is_group(&packet->from.mac))
		return leave(v, WHY_TO_HOST);
	if (packet->protocol == IPPROTO_NUM_TCP && packet->is_fragment)
		return REST_FRAGMENT;
	if (packet->protocol == IPPROTO_NUM_TCP && parse_tcp(frame, packet))
		return go_on_to_flow(job);
	if (parse_is_icmp(packet) && !packet->is_fragment && is_icmp_error(scene, frame, job))
		return REST_ICMP_ERROR;
	return leave(v, WHY_TO_HOST);
}

/* A packet to a VIP or SNAT address. */
static enum rest screen_ours(const struct scene *scene, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	struct packet *packet = &job->packet;

	if (!parse_ip(frame, packet))
		return leave(v, WHY_IP_MALFORMED);
	if (packet->is_fragment && packet->protocol != IPPROTO_NUM_TCP)
		return leave(v, WHY_FRAGMENT_OTHER);
	if (parse_is_icmp(packet))
		return screen_icmp(scene, frame, job, v);
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
static enum rest screen_no_snat(const struct scene *scene, const struct frame *frame,
                                struct job *job)
{
	struct packet *packet = &job->packet;

	if (!parse_ip(frame, packet) || mac_is_group(&packet->from.mac))
		return REST_NONE;
	if (packet->protocol == IPPROTO_NUM_TCP &&
	    scene_src(scene, packet)->kinds & ADDRESS_NO_SNAT) {
		if (packet->is_fragment)
			return REST_FRAGMENT;
		return parse_tcp(frame, packet) ? go_on_to_flow(job) : REST_NONE;
	}
	if (parse_is_icmp(packet) && !packet->is_fragment && is_icmp_error(scene, frame, job) &&
	    scene_find(scene, packet, job->error.tuple.dst)->kinds & ADDRESS_NO_SNAT)
		return REST_ICMP_ERROR;
	return REST_NONE;
}

/* An IP packet, its addresses in packet->tuple. */
static enum rest screen_ip(const struct scene *scene, struct frame *frame, struct job *job,
                           struct verdict *v)
{
	enum rest rest = REST_NONE;

	const uint8_t kinds = scene_dst(scene, &job->packet)->kinds;

	if (kinds & ADDRESS_HOST)
		return screen_shared(scene, frame, job, v);
	if (kinds & ADDRESS_OURS)
		return screen_ours(scene, frame, job, v);
	if (scene->farms->addresses.any_no_snat)
		rest = screen_no_snat(scene, frame, job);
	if (rest == REST_NONE)
		scene_settle_other(scene, frame, v);
	return rest;
}

static enum rest screen_ipv6(const struct scene *scene, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	struct packet *packet = &job->packet;
	const struct addresses *addresses = &scene->farms->addresses;

	if (discovery_nd(scene, frame, packet, v))
		return REST_NONE;
	if (!addresses_name(addresses, packet->dst6, &packet->tuple.dst) &&
	    !addresses->any_no_snat) {
		scene_settle_other(scene, frame, v);
		return REST_NONE;
	}
	packet->tuple.src = scene_name(scene, packet->src6);
	packet->tuple.dst = scene_name(scene, packet->dst6);
	return screen_ip(scene, frame, job, v);
}

/* Screens all but plain TCP to us. A function apart, so that the one for plain TCP stays small. */
__attribute__((noinline)) static enum rest
screen_any(const struct scene *scene, struct frame *frame, struct job *job, struct verdict *ret)
{
	struct packet *packet = &job->packet;

	job->is_sought = false;
	parse_frame(frame, packet);
	if (packet->kind == PACKET_IPV4)
		return screen_ip(scene, frame, job, ret);
	if (packet->kind == PACKET_IPV6 && scene->farms->addresses.any_ipv6)
		return screen_ipv6(scene, frame, job, ret);
	scene_settle_other(scene, frame, ret);
	if (packet->kind == PACKET_ARP)
		discovery_arp(scene, packet, ret);
	return REST_NONE;
}

/* If the frame comes from a side where our addresses aren't used yet (lb_hold()): then it is
 * settled. */
static bool is_held(const struct scene *scene, const struct frame *frame, struct verdict *ret)
{
	if (!(scene->held >> frame->side & 1))
		return false;
	verdict_begin(ret, frame);
	scene_settle_other(scene, frame, ret);
	return true;
}

/* Beside the host's stack: why the frame can't be for us, by its Ethernet header, or LB_NWHYS. */
static enum lb_why foreign(const struct scene *scene, const struct frame *frame)
{
	unsigned tpid;

	if (frame->len < ETH_HEADER_BYTES)
		return WHY_TO_HOST;
	if (!(frame->data[ETH_DST] & 1) &&
	    memcmp(frame->data + ETH_DST, &scene->macs[frame->side], sizeof(scene->macs[0])) != 0)
		return WHY_OTHER_HOST;
	/* VLANs are the host's, as interfaces of their own */
	return tpid_of(be16_get(be16_load(frame->data + ETH_TYPE)), &tpid) ? WHY_TO_HOST : LB_NWHYS;
}

/* If the frame isn't for us, as most aren't where the host has its own: then it is settled. */
static bool is_foreign(const struct scene *scene, const struct frame *frame, struct verdict *ret)
{
	const enum lb_why why = scene->has_stack ? foreign(scene, frame) : LB_NWHYS;

	if (why == LB_NWHYS)
		return false;
	verdict_begin(ret, frame);
	verdict_settle(ret, why);
	return true;
}

/* If the frame is settled by the side that it came from, or by its Ethernet header. Only called
 * where scene.is_special says that this may be so. */
__attribute__((noinline)) static bool is_nothing(const struct scene *scene,
                                                 const struct frame *frame, struct verdict *ret)
{
	return is_held(scene, frame, ret) || is_foreign(scene, frame, ret);
}

enum rest screen_frame(const struct scene *scene, struct frame *frame, struct job *job,
                       struct verdict *ret)
{
	bool is_loop =
	        frame->len >= ETH_HEADER_BYTES && scene_is_own_mac(scene, frame->data + ETH_SRC);

	if (__builtin_expect(scene->is_special, 0) && !is_loop && is_nothing(scene, frame, ret))
		return REST_NONE;
	if (!is_loop && parse_is_plain(frame)) {
		tuple_load_addresses(&job->key.tuple, frame->data + PARSE_PLAIN_L3 + IPV4_SRC);
		tuple_load_ports(&job->key.tuple, frame->data + PARSE_PLAIN_L4 + TCP_SRC);
		if (plain_may_be_balanced(&scene->farms->addresses, &job->key.tuple))
			return REST_PLAIN;
	} else if (!is_loop && scene->farms->addresses.any_ipv6 && parse_is_plain_ipv6(frame) &&
	           plain_key_ipv6(&scene->farms->addresses, scene->factors6, frame,
	                          &job->key.tuple)) {
		return REST_PLAIN_IPV6;
	}
	verdict_begin(ret, frame);
	return is_loop ? leave(ret, WHY_LOOP) : screen_any(scene, frame, job, ret);
}

void screen_plain(const struct scene *scene, const struct frame *frame, struct job *job,
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
		plain_complete_ipv6(&scene->farms->addresses, frame, &job->key);
		job->packet.tuple = job->key.tuple;
	}
}
