/*
 * Whether each address of lb.ini has one meaning.
 */
#ifndef CFG_CLAIMS_H
#define CFG_CLAIMS_H

#include "where.h"

/* Notes each address that has two. Returns 0 however many, or -ENOMEM. */
int claims_check(const struct where *where, const struct rules *rules);

#endif
