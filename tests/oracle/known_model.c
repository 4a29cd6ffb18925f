/*
 * Clients who are known, as they have opened a connection within half an hour: bridge/OPERATING.md,
 * "Constants".
 */
#include "parts.h"

/* Each SYN may be asked about twice. */
enum { KNOWN_S = 1800, KNOWN_SYNS = 250 / 2 };

static struct known *of(struct model *m, const struct addr *client)
{
	for (unsigned i = 0; i < m->nknown; i++)
		if (limits_model_is_same(&m->known[i].client, client))
			return &m->known[i];
	return NULL;
}

void known_model_opened(struct model *m, const struct flow_model *f, bool surely)
{
	struct known *known = of(m, &f->client);

	if (!known) {
		if (m->nknown == MODEL_KNOWN)
			report_mismatch("the model can't remember more clients");
		known = &m->known[m->nknown++];
		*known = (struct known){.client = f->client};
	}
	if (surely)
		known->until = m->now + NS_OF_S(KNOWN_S - 1);
}

enum maybe known_model_is(struct model *m, const struct addr *client)
{
	const struct known *known = of(m, client);

	if (!known)
		return NO;
	return m->now < known->until ? YES : MAYBE;
}

void known_model_asks(struct model *m, const struct addr *client)
{
	const uint64_t second = m->now / LB_NS_PER_S;
	struct known *known = of(m, client);

	if (!known)
		return;
	if (known->second != second) {
		known->asked[1] = known->second + 1 == second ? known->asked[0] : 0;
		known->asked[0] = 0;
		known->second = second;
	}
	known->asked[0]++;
}

bool known_model_counts(struct model *m, const struct addr *client)
{
	const struct known *known = of(m, client);

	return known_model_is(m, client) == YES && known->asked[0] + known->asked[1] < KNOWN_SYNS;
}
