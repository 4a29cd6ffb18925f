/*
 * What a running tmbridge does when the cable, or the rules, become other than they were.
 */
#ifndef BRIDGE_FOLLOW_H
#define BRIDGE_FOLLOW_H

#include "instance.h"
#include "port/packet.h"

/*
 * Puts the guard on that side's interface. Returns 0, or a negative errno with the reason logged.
 */
int follow_guard(struct live *live, enum side side);

/* Adds to rules what the kernel says of routes: to their servers, and to those that are gone; as
 * reload.h has it. */
int follow_loaded(void *ctx, struct rules *rules);
int follow_taken_over(void *ctx, struct rules *rules);

/* If the host has other addresses or routes than the rules say. Asks the kernel only now and then,
 * and returns false in between. */
bool follow_host(struct live *live);

/* Where the ports of a side receive, and where they send. */
struct packet_where follow_where(const struct live *live, enum side side);

/* Does what a change of either interface asks for, if there was one. */
void follow_cable(struct live *live);

/* Notes for the probes which sides have a carrier; changes is NULL at the start. */
void follow_carriers(struct live *live, const struct cable_change *changes, lb_time now);

/* Has the programs go over to the filters of rules that they were prepared for, if the fast path is
 * wanted. Returns if it has them; else they are the process's, so all must be, which is logged. */
bool follow_filters(struct live *live, const struct rules *rules, bool wanted);

/* Checks the addresses that rules have and before had not, and has the filters' program made.
 * Returns 0, or a negative errno with the reason logged. */
int follow_check_new(void *live, const struct rules *rules, const struct rules *before);

/* Prepares what follow_rules() will need for rules, as far as that takes longer the more rules
 * there are, while the workers go on. */
void follow_built(void *live, const struct rules *rules);

/* Turns the fast path on or off, as rules want it, and as far as they fit it. */
void follow_rules(void *live, const struct rules *rules);

/* Notes, where the kernel keeps it, what of a side's settings is to be set back one day. */
void follow_note_left(struct live *live, enum side side);

#endif
