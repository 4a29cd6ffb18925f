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
 * rules: for what stays, and (farms_size()) for what a reload replaces.
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
 * to be emptied. That of TABLE_CLIENT6 may be NULL, up to lb_use_ip6(). table itself need not stay.
 */
size_t lb_table_sizes(const struct rules *rules, const struct share *share, struct table *ret);
struct lb *lb_init_shared(void *mem, struct table *table, struct farms *farms,
                          const struct hash_key *key, const struct mac macs[NSIDES], lb_time now);

/*
 * All frames from the sides whose bits (1 << side) are set are the wire's, as if none of our
 * addresses were one; until it is said otherwise.
 */
void lb_hold(struct lb *lb, unsigned sides);

/*
 * An engine over arrays that hold what another process left there, perhaps in the middle of a
 * write: see adopt.h. scratch is memory as for the array of TABLE_BUCKETS, needed during the call;
 * the key of farms is that in the table's head, and the time must be of the clock that the head's
 * epoch is of. Of IPv6, TABLE_CLIENT6 must be there. Flows that don't fit will be reset by
 * lb_poll(). NULL, nothing having been changed, if the arrays are of another layout or of another
 * max_connections than these rules say.
 */
struct lb *lb_adopt(void *mem, struct table *table, void *scratch, struct farms *farms,
                    const struct mac macs[NSIDES], lb_time now, struct adoption *ret);

/* The port of that side has another MAC address from now on. */
void lb_set_mac(struct lb *lb, enum side side, const struct mac *mac);

/* Where tmbridge is no cable: the longest packet, at layer 3, that leaves by that side; 0: any. */
void lb_set_mtu(struct lb *lb, enum side side, uint32_t mtu);

/*
 * The bytes that the engine needs besides, aligned to ARENA_ALIGN, before it gets rules that name
 * IPv6 addresses; and takes them into use, once.
 */
size_t lb_ip6_size(const struct lb *lb);
void lb_use_ip6(struct lb *lb, void *mem);

/*
 * Decides upon n frames, rewrites those to forward from layer 3 upwards, and sets ret[0..n-1]. The
 * frames' layer 2 is left to the caller. now must not be before that of an earlier call.
 */
void lb_input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret);

/* Counts a frame that lb_input() would have handed over, but whose worker had no room for it. */
void lb_not_handed_over(struct lb *lb);

/*
 * Instead of lb_input(), for a frame that a filter has matched: settles and counts it for that
 * reason, WHY_FILTERED, WHY_FILTER_RATE, or WHY_FILTER_RESET, which only TCP gets, as far as the
 * limit of resets allows. False, nothing having been counted, if a filter has no say in it: it is
 * the host's, the answer to a probe, or a loop.
 */
bool lb_filter(struct lb *lb, struct frame *frame, enum lb_why why, lb_time now,
               struct verdict *ret);

/*
 * After lb_input(): a fragment that waited (WHY_FRAGMENT_HELD) for a first one that has come now,
 * and its verdict. False if there is none. The frame lives until the next lb_input().
 */
bool lb_take_fragment(struct lb *lb, struct frame *ret, struct verdict *ret_verdict);

/*
 * Takes what another writer of the table has noted of flows that end (notes.h). lb_poll() does so
 * too; before a burst, those that are over don't count as load when a server is chosen.
 */
void lb_take_notes(struct lb *lb, lb_time now);

/*
 * Does what time asks for, and describes up to max frames (at least EXPIRE_RESETS_MAX) to be sent
 * in ret: RSTs to the ends of flows that have expired, whose server is down, or whose farm is gone.
 * Sets *ret_more if there is more to do at once. Returns the number of frames. Call it every few
 * milliseconds while lb_is_busy().
 */
unsigned lb_poll(struct lb *lb, lb_time now, struct own *ret, unsigned max, bool *ret_more);

/*
 * Ends a flow because somebody wants it, and describes the RSTs to its ends in out, which must have
 * room for EXPIRE_RESETS_MAX. False if it isn't live.
 */
bool lb_end_flow(struct lb *lb, uint32_t flow, lb_time now, struct own_list *out);

/* If there is a flow that time could change. */
bool lb_is_busy(const struct lb *lb);

/* Notes what another worker has heard (verdict.heard), at a time not before that of other calls. */
void lb_sighted(struct lb *lb, const struct sighting *sighting, lb_time now);

/*
 * Notes the result of a probe of the server's check (an index of its farm's checks). True if the
 * server's verdict changed; when it goes down, lb_poll() resets its flows if its farm says so.
 */
bool lb_probed(struct lb *lb, unsigned server, unsigned check, bool ok, lb_time now);

/* Notes what the server's agent says. True if the server's verdict changed, as of a probe. */
bool lb_agent(struct lb *lb, unsigned server, const struct agent *agent, lb_time now);

/* The same of a verdict that somebody gives instead, or with HEALTH_UNKNOWN takes back. */
bool lb_force_health(struct lb *lb, unsigned server, enum health_verdict verdict, lb_time now);

/*
 * While it is bypassed, TCP to us that is of no flow is the wire's, and no flow is begun; those
 * that there are go on, and our addresses stay ours.
 */
void lb_bypass(struct lb *lb, bool bypass);

/*
 * More frames wait than can be dealt with soon: for a while SYNs are let in as in a flood. To be
 * said before a burst, of the frames that wait behind it.
 */
void lb_press(struct lb *lb, lb_time now);

/*
 * Keeps in barred, which others may read (barred.h), which SYNs are known to get nothing; NULL:
 * nowhere. It begins empty, and must stay. While it rests nothing is known.
 */
void lb_use_barred(struct lb *lb, struct barred *barred, const struct hash_key *key);
void lb_rest_barred(struct lb *lb, bool rests);

/* Counts what has been dropped by it since the last call as if the engine had. Sets *ret to that;
 * false if it is nothing. */
bool lb_take_barred(struct lb *lb, lb_time now, struct barred_counts *ret);

/* Takes a server that is to be probed at once, as clients get no answer; false if there is none. */
bool lb_take_suspect(struct lb *lb, uint16_t *ret);

/*
 * Moves to other rules, whose state has just been made in farms: flows, counts and verdicts go
 * along. map gives for each server number of the old rules the new one, or SERVER_NONE for a server
 * without flows that is gone. Flows of farms that are gone will be reset by lb_poll(). Afterwards
 * the old farms are no longer referenced.
 */
void lb_reload(struct lb *lb, struct farms *farms, const uint16_t *map);

/*
 * At the end: makes records of flows that are open, unless they go on without this engine, and of
 * those that have been reset and might still have revived (life.c), as many as may wait, from
 * *cursor on, which begins with 0. False if there are no more of them.
 */
bool lb_bury(struct lb *lb, uint32_t *cursor, bool go_on, lb_time now);

/* Takes the record of a flow that has ended, oldest first; false if there is none. */
bool lb_take_ended(struct lb *lb, struct ended *ret);

/* Frames by reason, since the start: LB_NWHYS counters. */
const uint64_t *lb_whys(const struct lb *lb);

/* For the statistics. */
const struct balance *lb_balance(const struct lb *lb);
const struct frags *lb_frags(const struct lb *lb);

#endif
