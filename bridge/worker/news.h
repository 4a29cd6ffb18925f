/*
 * What one worker tells the others.
 */
#ifndef BRIDGE_NEWS_H
#define BRIDGE_NEWS_H

#include "worker.h"

/* Puts news into other workers' inboxes: into all from the first worker, into the first one's from
 * another. */
void news_spread(struct worker *worker, const struct news *news);
void news_to_first(struct worker *worker, const struct news *news);

#endif
