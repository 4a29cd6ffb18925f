/*
 * How many RSTs may be sent to those who get no flow.
 *
 * bridge/OPERATING.md, "Constants": of each kind 2000 a second and 2000 at once; a network of
 * clients may have 502 a second and 516 at once. Which networks the engine takes for one isn't
 * told, as its hash has a secret key: so one must be answered only as often as if there were no
 * other network.
 */
#include "parts.h"

enum { RATE = 2000, RATE_SOURCE = 502, AT_ONCE = 516, RATE_SURE = 500, SLACK = 2 };

void rates_model_begin(struct model *m)
{
	for (unsigned kind = 0; kind < MODEL_RATES; kind++)
		m->rates[kind] = (struct rate_model){RATE_SURE, RATE, m->now};
}

static double grown(double tokens, uint64_t ns, double rate, double most)
{
	tokens += (double)ns * rate / (double)LB_NS_PER_S;
	return tokens < most ? tokens : most;
}

static unsigned kind_of(uint64_t why)
{
	if (why == WHY_NO_FLOW)
		return 0;
	return why == WHY_PORT_NOT_SERVED ? 1 : 2;
}

/* The network's entry; the last one for all that find no room. */
static struct source_model *source_of(struct model *m, unsigned kind, const struct addr *client)
{
	const unsigned bytes = client->v6 ? 6 : 3;
	struct source_model *s;

	for (unsigned i = 0; i < m->nsources; i++) {
		s = &m->sources[i];
		if (s->kind == kind && s->client.v6 == client->v6 &&
		    memcmp(s->client.b, client->b, bytes) == 0)
			return s;
	}
	if (m->nsources == MODEL_SOURCES)
		return NULL;
	s = &m->sources[m->nsources++];
	*s = (struct source_model){kind, *client, AT_ONCE, m->now};
	return s;
}

static void note_sent(struct model *m, unsigned kind, const struct addr *client)
{
	struct rate_model *rate = &m->rates[kind];
	struct source_model *source = source_of(m, kind, client);

	rate->least = rate->least < 1 ? 0 : rate->least - 1;
	if (--rate->most < -SLACK)
		report_mismatch("more RSTs than the rate allows");
	if (!source)
		return;
	source->tokens = grown(source->tokens, m->now - source->at, RATE_SOURCE, AT_ONCE) - 1;
	source->at = m->now;
	if (source->tokens < -SLACK)
		report_mismatch("more RSTs than the rate of a single network allows");
}

void rates_model_note(struct model *m, uint64_t why, const struct addr *client, bool sent)
{
	const unsigned kind = kind_of(why);
	struct rate_model *rate = &m->rates[kind];

	rate->least = grown(rate->least, m->now - rate->at, RATE_SURE, RATE_SURE);
	rate->most = grown(rate->most, m->now - rate->at, RATE, RATE);
	rate->at = m->now;
	if (sent)
		note_sent(m, kind, client);
	else if (rate->least > SLACK)
		report_mismatch("a RST was held back, though %.1f more may be sent", rate->least);
}
