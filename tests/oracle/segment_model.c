/*
 * Where clients are answered: what neighbours have said of themselves, as a list.
 *
 * Flows of a neighbour that has only just become known are found within a second or so; and a flow
 * for whom the engine had no place keeps its hop to itself, whoever else moves. So what others have
 * moved may be where it was, too, until it is seen.
 *
 * The engine has less room for neighbours than the list. If one had to go nobody knows who: from
 * then on it is in doubt of each that was there until it speaks again.
 */
#include "parts.h"

static bool same_vlan(const struct hop *a, const struct hop *b)
{
	for (unsigned vlan = 0; vlan < 4096; vlan++)
		if (is_in_vlan(a, vlan))
			return is_in_vlan(b, vlan);
	return false; /* behind other tags than those of VLANs: whose they are is nobody's word */
}

static int find(const struct model *m, const struct addr *addr, const struct hop *from)
{
	for (unsigned i = 0; i < m->nneighbours; i++)
		if (addr_eq(&m->neighbours[i].addr, addr) && same_vlan(&m->neighbours[i].hop, from))
			return (int)i;
	return -1;
}

/* If somebody has said that he has the MAC address from which the packet comes. */
static enum maybe is_known_mac(const struct model *m, const struct hop *from)
{
	enum maybe is = NO;

	for (unsigned i = 0; i < m->nneighbours; i++)
		if (mac_eq(&m->neighbours[i].hop.mac, &from->mac) &&
		    same_vlan(&m->neighbours[i].hop, from)) {
			if (!m->neighbours[i].unsure)
				return YES;
			is = MAYBE;
		}
	return is;
}

/* By whose word the client's packets from there are answered, or -1. If that is in doubt it may be
 * by nobody's. */
static int word_of(const struct model *m, const struct flow_model *f, const struct hop *from,
                   bool *ret_doubt)
{
	const int n = find(m, &f->client, from);
	enum maybe others = NO;

	*ret_doubt = false;
	if (n < 0 || m->neighbours[n].hop.side != from->side)
		return -1;
	if (!mac_eq(&m->neighbours[n].hop.mac, &from->mac))
		others = is_known_mac(m, from);
	*ret_doubt = others != YES && (others == MAYBE || m->neighbours[n].unsure);
	return others == YES ? -1 : n;
}

static bool same_place(const struct hop *a, const struct hop *b)
{
	return mac_eq(&a->mac, &b->mac) && a->side == b->side;
}

/* How the flow may be answered as well. Beyond MODEL_STAYS anything may be. */
static void may_stay(struct flow_model *f, const struct stay_model *stay)
{
	for (unsigned i = 0; i < f->nstays && i < MODEL_STAYS; i++)
		if (same_hop(&f->stays[i].hop, &stay->hop) &&
		    same_hop(&f->stays[i].origin, &stay->origin) &&
		    f->stays[i].neighbour == stay->neighbour)
			return;
	if (f->nstays < MODEL_STAYS)
		f->stays[f->nstays] = *stay;
	f->nstays++;
}

static unsigned known_stays(const struct flow_model *f)
{
	return f->nstays < MODEL_STAYS ? f->nstays : MODEL_STAYS;
}

/* A flow of a neighbour who has only become known after it will be answered by its word. */
static void adopt(const struct model *m, struct flow_model *f)
{
	for (unsigned i = 0, nstays = known_stays(f); i < nstays; i++) {
		struct stay_model stay = f->stays[i];
		bool doubt;
		int n = word_of(m, f, &stay.hop, &doubt);

		if (stay.neighbour >= 0 || n < 0)
			continue;
		stay.origin = stay.hop;
		stay.hop.mac = m->neighbours[n].hop.mac;
		stay.neighbour = n;
		may_stay(f, &stay);
	}
}

/* What came from the origin, or if that is NULL what is answered by that neighbour's word, may be
 * answered at `to` now, behind the tags that its packets have. */
static void redirect(const struct model *m, struct flow_model *f, const struct hop *origin,
                     bool exactly, int neighbour, const struct hop *to)
{
	for (unsigned i = 0, n = known_stays(f); i < n; i++) {
		struct stay_model stay = f->stays[i];
		bool is = origin ? stay.neighbour < 0 && same_place(&stay.origin, origin) &&
		                           (exactly ? same_hop(&stay.origin, origin)
		                                    : same_vlan(&stay.origin, origin))
		                 : stay.neighbour == neighbour;

		stay.hop.mac = to->mac;
		stay.hop.side = to->side;
		if (is)
			may_stay(f, &stay);
	}
	adopt(m, f);
}

static void redirect_all(struct model *m, const struct hop *origin, bool exactly, int neighbour,
                         const struct hop *to)
{
	for (unsigned i = 0; i < m->nflows; i++)
		redirect(m, &m->flows[i], origin, exactly, neighbour, to);
}

void segment_model_packet(struct model *m, struct flow_model *f, const struct hop *from)
{
	const struct flow_model before = *f;
	const struct stay_model nobodys = {.hop = *from, .origin = *from, .neighbour = -1};
	struct stay_model stay = nobodys;
	bool moves = false, doubt;

	stay.neighbour = word_of(m, f, from, &doubt);
	if (stay.neighbour >= 0)
		stay.hop.mac = m->neighbours[stay.neighbour].hop.mac;
	f->nstays = before.nstays > MODEL_STAYS ? before.nstays : 0;
	for (unsigned i = 0; i < known_stays(&before); i++) {
		/* nothing is done for a packet from where the flow is answered already */
		bool stays = same_hop(&before.stays[i].hop, from);

		may_stay(f, stays ? &before.stays[i] : &stay);
		moves |= !stays;
	}
	if (!before.nstays)
		may_stay(f, &stay);
	moves |= !before.nstays;
	if (moves && doubt)
		may_stay(f, &nobodys);
	if (moves && (doubt || stay.neighbour < 0))
		redirect_all(m, from, true, -1, from); /* it is where it was after all */
}

static void move(struct model *m, int n, const struct hop *to)
{
	struct neighbour_model *neighbour = &m->neighbours[n];

	redirect_all(m, NULL, false, n, to);
	for (unsigned i = MODEL_PAST - 1; i > 0; i--)
		neighbour->past[i] = neighbour->past[i - 1];
	neighbour->past[0] = neighbour->hop;
	neighbour->npast += neighbour->npast < MODEL_PAST;
	for (unsigned i = 0; i < neighbour->npast; i++)
		redirect_all(m, &neighbour->past[i], false, -1, to);
	neighbour->hop = *to;
}

static void say(struct model *m, const struct addr *addr, const struct hop *hop, bool override)
{
	int n = find(m, addr, hop);

	if (n < 0) {
		if (m->nneighbours == MODEL_NEIGHBOURS)
			report_mismatch("more neighbours than the model has room for");
		n = (int)m->nneighbours++;
		m->neighbours[n] = (struct neighbour_model){.addr = *addr, .hop = *hop};
	} else if (override && !same_place(&m->neighbours[n].hop, hop)) {
		move(m, n, hop);
	}
	m->neighbours[n].unsure = m->neighbour_refused;
	for (unsigned i = 0; i < m->nflows; i++)
		adopt(m, &m->flows[i]);
}

/* Nobody has such an address of his own. */
static bool is_nobodys(const struct addr *a)
{
	static const struct addr unspecified = {.v6 = true},
	                         loopback = {.b = {[15] = 1}, .v6 = true};

	if (a->v6)
		return a->b[0] == 0xff || addr_eq(a, &unspecified) || addr_eq(a, &loopback);
	return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224;
}

void segment_model_hear(struct model *m, const struct seen *s)
{
	const struct addr *addr = s->kind == SEEN_ND && !s->nd_solicitation ? &s->target : &s->src;
	struct hop hop = s->from;

	if (s->kind == SEEN_ND && (!m->rules->nnames || s->l4_damage || !s->nd_has_mac))
		return;
	if (s->kind == SEEN_ARP && s->arp_oper != 1 && s->arp_oper != 2)
		return;
	if ((s->kind != SEEN_ND && s->kind != SEEN_ARP) || !is_somebodys(&s->arp_sender) ||
	    mac_eq(&s->arp_sender, &m->macs[OUTSIDE]) || mac_eq(&s->arp_sender, &m->macs[INSIDE]) ||
	    is_nobodys(addr) || model_farm_of(m, addr, &s->from, false) >= 0)
		return;
	hop.mac = s->arp_sender;
	if (same_vlan(&hop, &hop))
		say(m, addr, &hop, s->kind == SEEN_ARP || s->nd_solicitation || s->nd_override);
}

void segment_model_expect(struct model *m, uint64_t evicted, uint64_t refused)
{
	m->neighbour_refused = refused != m->neighbours_refused;
	for (unsigned i = 0; evicted != m->neighbours_evicted && i < m->nneighbours; i++)
		m->neighbours[i].unsure = true;
	m->neighbours_evicted = evicted;
	m->neighbours_refused = refused;
}

bool segment_model_answers(const struct model *m, struct flow_model *f, const struct hop *hop)
{
	const struct flow_model before = *f;

	if (f->nstays > MODEL_STAYS)
		return true;
	f->nstays = 0;
	for (unsigned i = 0; i < before.nstays; i++)
		if (same_hop(&before.stays[i].hop, hop))
			may_stay(f, &before.stays[i]);
	adopt(m, f); /* if that is yet to come */
	return f->nstays;
}

void segment_model_or(struct flow_model *f, const struct flow_model *before)
{
	for (unsigned i = 0; i < known_stays(before); i++)
		may_stay(f, &before->stays[i]);
}

enum maybe segment_model_is_at(const struct flow_model *f, const struct hop *hop)
{
	unsigned there = 0;

	for (unsigned i = 0; i < known_stays(f); i++)
		there += same_hop(&f->stays[i].hop, hop);
	if (f->nstays > MODEL_STAYS || (there && there < f->nstays))
		return MAYBE;
	return there ? YES : NO;
}
