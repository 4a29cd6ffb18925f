/*
 * Checks if another host has one of our addresses already, before we use them.
 */
#ifndef BRIDGE_VACANCY_H
#define BRIDGE_VACANCY_H

#include "../cable/link.h"
#include "../fastpath/fastpath.h"
#include "../../lb/frame.h"
#include "../../lb/rules.h"

struct vacancy;

/* Opens what it takes, for the interfaces of these names, which must stay. Returns 0 and sets *ret,
 * or a negative errno with the reason logged. */
int vacancy_open(const char *const names[NSIDES], struct vacancy **ret);
void vacancy_close(struct vacancy *vacancy);

/* Its descriptors, which are bound anew for each check and in between. */
void vacancy_fds(const struct vacancy *vacancy, int ret[NSIDES]);

/* What came of a check, besides that nobody has said anything. */
struct vacancy_check {
	bool any;      /* there was something to ask for */
	bool more;     /* there is more, which wasn't asked for */
	unsigned down; /* sides (1 << side) whose interface was set down meanwhile */
};

/*
 * Asks on both interfaces links, or on one if the other is NULL, whether anybody has one of the
 * rules' VIPs or SNAT addresses (RFC 5227, 2.1; RFC 4862, 5.4), less those that before has as well,
 * which may be NULL, and those that an earlier process has left in use (fastpath_had()); and
 * whether the ports are connected to each other. That takes about 0.3 s, and 1 s more for each
 * 32,000 addresses, unless only the first ones are asked for, which take no longer than one.
 * Returns 0, -EADDRINUSE or -ELOOP, or another negative errno, with the reason logged.
 */
int vacancy_check(struct vacancy *vacancy, const struct link *const links[NSIDES],
                  const struct rules *rules, const struct rules *before,
                  const struct fastpath *fastpath, bool first_only, struct vacancy_check *ret);

/*
 * Has it listen on these interfaces, or on one if the other is NULL, until the next check. The
 * second one says on which of sides (1 << side) any host has been heard, in a check as well, since
 * it was asked that of them the last time.
 */
void vacancy_listen(struct vacancy *vacancy, const struct link *const links[NSIDES]);
unsigned vacancy_heard(struct vacancy *vacancy, unsigned sides);

/* Those of sides (1 << side) on which there is any address that vacancy_check() would ask for; all
 * of them if that can't be found out for lack of memory. */
unsigned vacancy_wanted(const struct rules *rules, const struct rules *before,
                        const struct fastpath *fastpath, unsigned sides);

#endif
