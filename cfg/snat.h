/*
 * Whether a farm has SNAT ports enough.
 */
#ifndef CFG_SNAT_H
#define CFG_SNAT_H

#include "where.h"

/* Notes an error if the farm has too few SNAT ports. The farm must have SNAT addresses, and its
 * keys that this depends on must be right. */
void snat_check(const struct where *where, const struct rules *rules, const struct rules_farm *farm,
                const struct where_section *section);

#endif
