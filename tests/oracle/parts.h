/*
 * What the parts of the model say to each other.
 */
#ifndef ORACLE_PARTS_H
#define ORACLE_PARTS_H

#include "model.h"

#include "../../lb/balance.h"

#define NS_OF_S(s) ((uint64_t)(s)*LB_NS_PER_S)

/* Engine time has steps of 100 ms, and flows are looked at once a second. */
#define MODEL_EARLY_NS (LB_NS_PER_S / 10)
#define MODEL_LATE_NS  (LB_NS_PER_S + 2 * MODEL_EARLY_NS)

/* The flow of a TCP packet and the end that it came from, or NULL. */
struct flow_model *flows_model_find(struct model *model, const struct seen *seen,
                                    enum end *ret_end);
struct flow_model *flows_model_add(struct model *model);
/* The live flow beside which this one was made for a SYN of its client's, or NULL. */
struct flow_model *flows_model_older(struct model *model, const struct flow_model *flow);
void flows_model_remove(struct model *model, struct flow_model *flow);

/* Addresses and ports with which a packet from this end leaves. */
struct leaving {
	struct addr src, dst;
	uint16_t sport, dport;
};
struct leaving flows_model_leaving(const struct model *model, const struct flow_model *flow,
                                   enum end from);

/* The live flow that a record is about, or NULL: it may be of one that the burst is yet to make. */
struct flow_model *flows_model_of_record(struct model *model, const struct ended *record);

/* If the record has as many packets as the flow has had: it ended by the last of them. */
bool flows_model_is_counted(const struct flow_model *flow, const struct ended *record);

/* Begins the quarantine of a flow that the next record says has ended; takes the record. */
void flows_model_end(struct model *model, struct flow_model *flow, enum ended_why why);

/* Ends a live flow by the RST of an end, not for good; and takes that back. */
void flows_model_reset(struct model *model, struct flow_model *flow, enum end by);
void flows_model_revive(struct model *model, struct flow_model *flow);

/* Takes the records of flows that can't be revived any more out of those to be explained. */
void flows_model_bury(struct model *model);

/* Lets go, or takes for possibly gone, what has rested long enough. polled: it was looked at. */
void flows_model_rested(struct model *model, bool polled);

unsigned flows_model_live(const struct model *model);
/* Those that an end has reset, and that may be revived. */
unsigned flows_model_unrecorded(const struct model *model);
/* If the flow is half-open. */
enum maybe flows_model_is_half_open(const struct flow_model *flow);
/* Half-open, or quarantined: those that are for sure, or those that may be. */
unsigned flows_model_half_open(const struct model *model, bool for_sure);
unsigned flows_model_resting(const struct model *model, bool for_sure);

/* The engine must have counted that so often, and may have so often. */
static inline void model_counts(struct model *model, enum counter counter, uint64_t least,
                                uint64_t most)
{
	model->counted[counter].least += least;
	model->counted[counter].most += most;
}

/* The next record, or NULL. */
const struct ended *model_next_ended(const struct model *model);

/* Places in the table: for connections that are open, and for those that aren't yet. */
static inline unsigned model_places(const struct model *model)
{
	return model->rules->max_connections + model->rules->max_half_open;
}

static inline const struct rules_farm *model_farm(const struct model *model, unsigned farm)
{
	return &model->rules->farms[farm];
}

static inline const struct rules_server *model_server(const struct model *model, unsigned server)
{
	return &model->rules->servers[server];
}

/*
 * The farm that has the address as VIP or, if not vip_only, for SNAT, where frames come from there
 * (NULL: anywhere); or -1. A farm with a VLAN has its VIP in that one only, and the addresses for
 * SNAT also where its servers are.
 */
int model_farm_of(const struct model *model, const struct addr *addr, const struct hop *from,
                  bool vip_only);

/* If the server is where frames come from there. */
bool model_has_server(const struct model *model, unsigned server, const struct hop *from);
bool model_has_unmasked(const struct model *model, unsigned server, const struct hop *from);

/*
 * If the frame, ICMP, is an error that is passed on to a flow's other end, or must be: then that is
 * judged. And if it is about a packet to a server that sees its client's own address.
 */
bool icmp_model_judge(struct model *model, const struct frame *before, const struct frame *after,
                      const struct seen *seen, const struct verdict *verdict);
bool icmp_model_is_unmasked(struct model *model, const struct frame *frame,
                            const struct seen *seen);

/* An acceptable packet of the flow came from its client by this hop. */
void segment_model_packet(struct model *model, struct flow_model *flow, const struct hop *from);
/* What ARP and neighbour discovery say, whatever becomes of it. */
void segment_model_hear(struct model *model, const struct seen *seen);

/* Notes how many neighbours have made room so far, and how many have found none. */
void segment_model_expect(struct model *model, uint64_t evicted, uint64_t refused);
/* Or it is answered as it was before. */
void segment_model_or(struct flow_model *flow, const struct flow_model *before);
/* If its client is answered there, as far as is known. */
enum maybe segment_model_is_at(const struct flow_model *flow, const struct hop *hop);
/* If its client may be answered there: goes on with that. */
bool segment_model_answers(const struct model *model, struct flow_model *flow,
                           const struct hop *hop);

/* If a live flow ends by a packet. */
struct fate {
	enum maybe ends;
	enum ended_why why;
};

/* What a packet from an end does to its flow; astray: it is in the server's name, and not from
 * where that is. */
struct fate life_model_packet(struct flow_model *flow, enum end end, const struct seen *seen,
                              bool astray, uint64_t now);

/* If the packet revives its flow, that an end has reset. */
enum maybe life_model_goes_on(const struct flow_model *flow, enum end end, const struct seen *seen);
enum maybe life_model_revives(const struct flow_model *flow, enum end end, const struct seen *seen,
                              uint64_t now);
/* If the packet is one that a receiver throws away. */
bool life_model_is_damaged(const struct seen *seen);
/* What windows were offered is forgotten: they may be as wide as can be. */
void life_model_widen(struct flow_model *flow);
/* Counts a packet of a flow, whatever it does. */
void life_model_count(struct flow_model *flow, enum end end, const struct seen *seen);

/* If a timer must, or may, have ended the flow by now. */
enum maybe life_model_expired(const struct model *model, const struct flow_model *flow);

/* If the flow counts as its server's load. */
enum maybe life_model_is_load(const struct flow_model *flow);

/*
 * Which servers may be given a connection of the client to the service, as bits in *ret. Returns
 * what may become of it, as bits: WHY_NO_SERVER, WHY_SERVERS_FULL, WHY_SNAT_EXHAUSTED,
 * WHY_FLOW_NEW.
 */
uint64_t choice_model_servers(struct model *model, unsigned farm, unsigned service,
                              const struct addr *client, unsigned port, uint32_t *ret);
/* A server has answered a SYN after so long; or may have, if not sure. */
void choice_model_answered(struct model *model, unsigned server, double ns, bool sure);
/* If the server has as many connections as it may have. */
bool choice_model_is_full(const struct model *model, unsigned server);
/* Goes on with the engine's choice. */
void choice_model_chosen(struct model *model, unsigned farm, const struct addr *client,
                         unsigned port, unsigned server, uint32_t allowed);
/* When it can't be told who there was to choose from: turns are counted anew. */
void choice_model_forget_turns(struct model *model, unsigned farm);
/* If the server is up, and it is for those of its state to take connections. */
bool choice_model_may_take(const struct model *model, unsigned server);
bool choice_model_farm_is_up(const struct model *model, unsigned farm);
unsigned choice_model_connections(const struct model *model, unsigned server);

/*
 * Servers that the client may stick to, as bits: of several that he had, one. Or must: *ret_must.
 * Those that have room for sure, and those that may.
 */
uint32_t sticky_model_candidates(const struct model *model, unsigned farm,
                                 const struct addr *client, uint32_t candidates, uint32_t possible,
                                 bool *ret_must);
/* That the client has this server, as far as it matters. */
struct sticky *sticky_model_add(struct model *model, const struct addr *client, unsigned server);
/* The flow, new until now, is open, or may be. */
void sticky_model_opened(struct model *model, const struct flow_model *flow, bool surely);
/* Nobody must stick to a server that has been out. */
void sticky_model_server_out(struct model *model, unsigned server);
/* Notes that a connection of the flow's client is used. */
void sticky_model_used(struct model *model, const struct flow_model *flow);

/* The flow, new until now, is open, or may be. And if the client is known. */
void known_model_opened(struct model *model, const struct flow_model *flow, bool surely);
enum maybe known_model_is(struct model *model, const struct addr *client);
/* He has sent a SYN. And if he is known for sure, and hasn't sent too many for that to count. */
void known_model_asks(struct model *model, const struct addr *client);
bool known_model_counts(struct model *model, const struct addr *client);

/* If the flow may be the one that makes room at its full server for one of a client who is known:
 * at once, if its own isn't. And if whichever half-open flow of the server is the oldest does. */
enum maybe crowd_model_may_make_room(struct model *model, const struct flow_model *flow,
                                     const struct addr *client);
bool crowd_model_makes_room(struct model *model, unsigned server, const struct addr *client);

/* If the flow is to the port of the server's address that the service of its farm is at, from
 * whichever farm, and from a SNAT address that this one has, too. */
bool flows_model_share_server(const struct model *model, const struct flow_model *a,
                              const struct flow_model *b);
bool flows_model_goes_to(const struct model *model, const struct flow_model *f, unsigned server,
                         unsigned service);

/* Of the flows of the service of the server, at this SNAT address or (NULL) at any, the one that
 * has rested for longest, for sure; or NULL. */
const struct flow_model *ports_model_longest_resting(const struct model *model, unsigned server,
                                                     unsigned service, const struct addr *snat);
/* If the farm's rules hand the port out at all. */
bool ports_model_may_ever(const struct model *model, unsigned farm, const struct addr *snat,
                          unsigned port);
/* If the flow's port is one of its farm's: after a reload its service or address may be gone. */
bool ports_model_has_pool(const struct model *model, const struct flow_model *flow);
/* If nobody's ports are left for the service of the server; if any can be had, also by giving up
 * others. */
bool ports_model_none_free(const struct model *model, unsigned farm, unsigned server,
                           unsigned service);
enum maybe ports_model_reach(const struct model *model, unsigned farm, unsigned server,
                             unsigned service);
/* Of a flow just to be made, whose client and port had old: that its port may be taken. */
void ports_model_check(const struct model *model, const struct flow_model *flow,
                       const struct flow_model *old, const struct seen *seen);

/* Half-open flows that the records say made room for a new one at the server. Sets
 * model->made_room. */
void room_model_take_evicted(struct model *model, unsigned farm, unsigned server, unsigned service);
/* If no place may be free, and what follows from that when a flow is made. */
bool room_model_is_short(const struct model *model);
void room_model_make(struct model *model, bool was_short);
/* Forgets the resting flow whose server's tuple the new one gets. */
void room_model_replace(struct model *model, const struct flow_model *new);

/* If a SYN to the farm was refused for a limit of its client's: all of that is told then. */
bool limits_model_refuses(struct model *model, const struct seen *seen,
                          const struct verdict *verdict, unsigned farm);
/* If two addresses are of one client. */
bool limits_model_is_same(const struct addr *a, const struct addr *b);
/* A client has begun a connection; the flow is open, or may be: if it is one too many. */
void limits_model_begun(struct model *model, unsigned farm, const struct addr *client);
enum maybe limits_model_opened(struct model *model, const struct flow_model *flow, bool surely);

void rates_model_begin(struct model *model);
/* A RST of the kind of why was sent to the client, or wasn't for the rate's sake. */
void rates_model_note(struct model *model, uint64_t why, const struct addr *client, bool sent);

/* That the answer says what it should. */
void answers_model_check(const struct model *model, const struct seen *seen,
                         const struct verdict *verdict);

#endif
