/*
 * Of what the host has as well, what remains tmbridge's after a reload or a restart: packets of
 * flows by ports that the rules leave to the host, as a service has gone or `snat_ports` are
 * others.
 */
#ifndef BRIDGE_REMAINS_H
#define BRIDGE_REMAINS_H

#include "instance.h"

/* At a swap, while the workers stand still: has the guard, which is prepared for these rules, keep
 * from the host what it does now as well, until it has been looked what of that flows need. */
void remains_note(struct live *live, const struct rules *rules);

/* At a start, before the guard is attached: has it keep what those flows need that an earlier
 * process has left. */
void remains_adopt(struct live *live, const struct rules *rules);

/* To be called now and then: gives the host what no flow needs any more. */
void remains_look(struct live *live);

#endif
