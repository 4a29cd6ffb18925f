/*
 * Whether a farm has SNAT ports enough.
 */
#ifndef CFG_SNAT_H
#define CFG_SNAT_H

#include "where.h"

/* Notes it if not. The farm has SNAT addresses, and all that this is about is right. */
void snat_check(const struct where *where, const struct rules *rules, const struct rules_farm *farm,
                const struct where_section *section);

#endif
