/*
 * What a server's agent says of it, in HAProxy's words.
 */
#ifndef LB_AGENT_H
#define LB_AGENT_H

#include <stdbool.h>
#include <stdint.h>

enum { AGENT_PERCENT_MAX = 100 };

/* What counts until the agent says otherwise. */
struct agent {
	bool down;                /* `down`, `fail`, `failed` or `stopped`, until `up` */
	bool drains, maint;       /* one of them, until `ready`: no new connections either way */
	uint8_t percent;          /* of its weight; 0: no new connections */
	uint32_t max_connections; /* 0: it has not said so */
};

/* As if it had said nothing. */
static inline struct agent agent_silent(void)
{
	return (struct agent){.percent = AGENT_PERCENT_MAX};
}

/* If it lets the server have new connections, as far as it isn't down. */
static inline bool agent_lets(const struct agent *agent)
{
	return !agent->drains && !agent->maint && agent->percent;
}

/*
 * Takes what n bytes of an agent's line say: words between blanks or commas, up to a line's end or
 * a #, behind which stands a reason. Words that aren't known are passed over.
 */
void agent_take(struct agent *agent, const uint8_t *line, unsigned n);

/* "up", "down", "maint" or "drain": what it comes to, but for numbers. */
const char *agent_word(const struct agent *agent);

bool agent_eq(const struct agent *a, const struct agent *b);

#endif
