/*
 * What one worker tells the others.
 */
#ifndef BRIDGE_NEWS_H
#define BRIDGE_NEWS_H

#include "worker.h"

/* To all other workers, or to the first one by one of the others. */
void news_spread(struct worker *worker, const struct news *news);
void news_to_first(struct worker *worker, const struct news *news);

#endif
