/*
 * Which of the counters the model knows: each one that bridge/worker/counters.h lists is compared
 * with the engine's here, or stands in counted.c with the reason why it can't be.
 */
#ifndef ORACLE_COUNTED_H
#define ORACLE_COUNTED_H

#include "model.h"

/* Ends the run if one of them is another than the model says. */
void counted_compare(struct model *model, const struct statistics *statistics);

/* A counter that nobody has compared, and that isn't left out; or that is both; or NULL. */
const char *counted_forgotten(void);

#endif
