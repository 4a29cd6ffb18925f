/*
 * IPv6 addresses that go by the same name (lb/name.h).
 */
#ifndef UNIT_SAME_NAME_H
#define UNIT_SAME_NAME_H

#include "fixture.h"

/* Two addresses that the rules don't name, of the same hash in that engine. */
void same_name_find(const struct engine *engine, struct ip6 ret[2]);

#endif
