/*
 * What one worker has learned goes to the others' inboxes. What finds no room is lost, and counted:
 * probes and sightings go on and on.
 */
#include "news.h"

void news_spread(struct worker *worker, const struct news *news)
{
	for (unsigned k = 0; worker->inboxes && k < worker->share.n; k++)
		if (k != worker->share.worker && !inbox_put_news(worker->inboxes[k], news))
			worker->news_lost++;
}

void news_to_first(struct worker *worker, const struct news *news)
{
	if (!inbox_put_news(worker->inboxes[0], news))
		worker->news_lost++;
}
