/*
 * The engine: frames in, verdicts out.
 */
#ifndef LB_LB_H
#define LB_LB_H

#include "adopt.h"
#include "balance.h"
#include "expire.h"
#include "frag.h"
#include "frame.h"
#include "rules.h"
#include "table.h"
#include "verdict.h"

struct lb;

/*
 * The bytes of memory, aligned to ARENA_ALIGN, that lb_init() needs for a worker's share of these
 * rules. What a reload replaces is not in it: see farms_size().
 */
size_t lb_size(const struct rules *rules, const struct share *share);

/*
 * Makes an engine in mem, its farms, which say what its share is, being in farms. macs are the
 * ports' own, by enum side. Never fails. Nothing is allocated: when the engine is no longer needed,
 * neither is mem.
 */
struct lb *lb_init(void *mem, struct farms *farms, const struct hash_key *key,
                   const struct mac macs[NSIDES], lb_time now);

/*
 * The same with the arrays of table.h in memory of the caller's, which others may read: the sizes
 * of these, and the bytes for the rest; and an engine whose arrays are in table->arrays[].memory,
 * to be emptied. That of TABLE_CLIENT6 may be NULL, up to lb_use_extra(). table itself need not
 * stay.
 */
size_t lb_table_sizes(const struct rules *rules, const struct share *share, struct table *ret);
struct lb *lb_init_shared(void *mem, struct table *table, struct farms *farms,
                          const struct hash_key *key, const struct mac macs[NSIDES], lb_time now);

/*
 * Passes all frames from the sides whose bits (1 << side) are set as on a cable, as if we had no
 * addresses there; until another call says otherwise.
 */
void lb_hold(struct lb *lb, unsigned sides);

/*
 * Makes an engine over arrays that hold what another process left there, perhaps in the middle of a
 * write: see adopt.h. scratch is memory as for the array of TABLE_BUCKETS, needed during the call;
 * the key of farms is that in the table's head, and the time must be of the clock that the head's
 * epoch is of. Of IPv6, TABLE_CLIENT6 must be there. Flows that don't fit will be reset by
 * lb_poll(). NULL, nothing having been changed, if the arrays are of another layout or of another
 * max_connections than these rules say.
 */
struct lb *lb_adopt(void *mem, struct table *table, void *scratch, struct farms *farms,
                    const struct mac macs[NSIDES], lb_time now, struct adoption *ret);

/* Sets the MAC address of the port of that side, when it has changed. */
void lb_set_mac(struct lb *lb, enum side side, const struct mac *mac);

/* Sets the longest packet, in bytes from layer 3 on, that may leave by that side where tmbridge is
 * no cable; 0: any. */
void lb_set_mtu(struct lb *lb, enum side side, uint32_t mtu);

/* What an engine has room for only where its rules ask for it. */
enum lb_extra {
	LB_IP6,    /* clients' addresses, of IPv6 */
	LB_LIMITS, /* clients whose connections are limited */
	LB_EXTRAS,
};

/*
 * The bytes, aligned to ARENA_ALIGN, that the engine needs for that before it gets these rules, or
 * 0: these don't ask for it, or it has them. lb_use_extra() has it use them; they must stay. now is
 * as for lb_input(). Without those for LB_LIMITS clients are not limited, whatever rules say.
 */
size_t lb_extra_size(const struct lb *lb, const struct rules *rules, enum lb_extra extra);
void lb_use_extra(struct lb *lb, enum lb_extra extra, void *mem, lb_time now);

/*
 * Decides upon n frames, rewrites those to forward from layer 3 upwards, and sets ret[0..n-1]. The
 * frames' layer 2 is left to the caller. now must not be before that of an earlier call.
 */
void lb_input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret);

/* Counts a frame that lb_input() would have handed over, but whose worker had no room for it. */
void lb_not_handed_over(struct lb *lb);

/*
 * To be called instead of lb_input() for a frame that a filter has matched: settles its verdict and
 * counts it, for the reason WHY_FILTERED, WHY_FILTER_RATE, or WHY_FILTER_RESET, which only TCP
 * gets, as far as the limit of resets allows. Returns false, nothing having been counted, if
 * filters don't hold for the frame: it is the host's, the answer to a probe, or a loop.
 */
bool lb_filter(struct lb *lb, struct frame *frame, enum lb_why why, lb_time now,
               struct verdict *ret);

/*
 * After lb_input(): a fragment that waited (WHY_FRAGMENT_HELD) for a first one that has come now,
 * and its verdict. False if there is none. The frame lives until the next lb_input().
 */
bool lb_take_fragment(struct lb *lb, struct frame *ret, struct verdict *ret_verdict);

/*
 * Ends the flows of which a program has noted that they end (notes.h). lb_poll() does so too; to be
 * called before a burst, so that they don't count as load any more when a server is chosen.
 */
void lb_take_notes(struct lb *lb, lb_time now);

/*
 * Expires what is due, and describes up to max frames (at least EXPIRE_RESETS_MAX) to be sent in
 * ret: RSTs to the ends of flows that have expired, whose server is down, or whose farm is gone.
 * Sets *ret_more if there is more to do at once. Returns the number of frames. Call it every few
 * milliseconds while lb_is_busy().
 */
unsigned lb_poll(struct lb *lb, lb_time now, struct own *ret, unsigned max, bool *ret_more);

/*
 * Ends a flow because an operator wants it, and describes the RSTs to its ends in out, which must
 * have room for EXPIRE_RESETS_MAX. False if it isn't live.
 */
bool lb_end_flow(struct lb *lb, uint32_t flow, lb_time now, struct own_list *out);

/* If there is a flow, or anything else, that lb_poll() may have to change. */
bool lb_is_busy(const struct lb *lb);

/* Notes where a neighbour is, as another worker has learnt from a frame (verdict.heard): flows of
 * that client go with it. now must not be before that of an earlier call. */
void lb_sighted(struct lb *lb, const struct sighting *sighting, lb_time now);

/* Notes where the server has been found, or the router to it; or that it hasn't been. Until one is
 * said it may be anywhere. Nobody can answer in its name by another side, or at all (progress.c):
 * who isn't found has had no SYN. To be called again after a reload. */
void lb_place_server(struct lb *lb, unsigned server, const struct hop *hop);
void lb_miss_server(struct lb *lb, unsigned server);

/*
 * Notes the result of a probe of the server's check (an index of its farm's checks). True if the
 * server's verdict changed; when it goes down, lb_poll() resets its flows if its farm says so.
 */
bool lb_probed(struct lb *lb, unsigned server, unsigned check, bool ok, lb_time now);

/* Notes what the server's agent says, with the same consequences. True if the server's verdict
 * changed. */
bool lb_agent(struct lb *lb, unsigned server, const struct agent *agent, lb_time now);

/* Sets a verdict of an operator's that counts instead of the probes'; HEALTH_UNKNOWN: theirs counts
 * again. With the same consequences. */
bool lb_force_health(struct lb *lb, unsigned server, enum health_verdict verdict, lb_time now);

/*
 * In a replay: that a client, by the name that these rules give his address, sticks to the server
 * until a tick, surely or only as he has asked; and what had been noted of one who is limited
 * (limits_recall()), by his key there.
 */
void lb_recall_sticky(struct lb *lb, unsigned server, be32 client, uint32_t until, bool sure,
                      lb_time now);
void lb_recall_limited(struct lb *lb, unsigned farm, const struct limits_client *client,
                       lb_time blocked, lb_time now);

/*
 * While the engine is bypassed it begins no flows: TCP to us without a flow passes as on a cable.
 * Flows that there are go on, and ARP and echo requests are answered.
 */
void lb_bypass(struct lb *lb, bool bypass);

/*
 * Notes that more frames wait than can be dealt with soon: for a while SYNs are let in as in a
 * flood (strangers.h). To be called before a burst, of the frames that wait behind it.
 */
void lb_press(struct lb *lb, lb_time now);

/*
 * From now on notes in barred, which a program may read (barred.h), which SYNs get nothing; NULL:
 * nowhere. barred is emptied, and must stay. The other function has nothing noted while rests.
 */
void lb_use_barred(struct lb *lb, struct barred *barred, const struct hash_key *key);
void lb_rest_barred(struct lb *lb, bool rests);

/* Counts what the program has dropped by barred since the last call, as if the engine had dropped
 * it. Sets *ret to that; false if it is nothing. */
bool lb_take_barred(struct lb *lb, lb_time now, struct barred_counts *ret);

/* Takes the next server that is to be probed at once, as its clients get no answer (observe.h);
 * false if there is none. */
bool lb_take_suspect(struct lb *lb, uint16_t *ret);

/*
 * Moves to other rules, whose state has just been made in farms: flows, counts and verdicts go
 * along. map gives for each server number of the old rules the new one, or SERVER_NONE for a server
 * without flows that is gone. Flows of farms that are gone will be reset by lb_poll(). Afterwards
 * the old farms are no longer referenced.
 */
void lb_reload(struct lb *lb, struct farms *farms, const uint16_t *map);

/*
 * To be called at the end: makes records (lb_take_ended()) of flows that are open, unless go_on
 * says that they go on without this engine, and of those that were reset and might have revived
 * (life.c); as many as have room, from *cursor on, which begins with 0. False if there are no more
 * of them.
 */
bool lb_bury(struct lb *lb, uint32_t *cursor, bool go_on, lb_time now);

/* Takes the record of a flow that has ended, oldest first; false if there is none. */
bool lb_take_ended(struct lb *lb, struct ended *ret);

/* The frames counted by each reason since the start: LB_NWHYS counters, by enum lb_why. */
const uint64_t *lb_whys(const struct lb *lb);

/* The connections, to be read by who makes statistics of them. */
const struct balance *lb_balance(const struct lb *lb);
const struct frags *lb_frags(const struct lb *lb);

#endif
