/*
 * Servers that don't answer clients: whoever lets several connections in a row go unanswered is to
 * be probed at once.
 */
#ifndef LB_OBSERVE_H
#define LB_OBSERVE_H

#include "arena.h"
#include "rules.h"

enum {
	OBSERVE_PATIENCE_MS = 3000, /* for an answer to a SYN */
	OBSERVE_SUSPECTS_MAX = 32,  /* that wait to be taken */
};

struct observe {
	uint16_t *in_a_row; /* by rules.servers[]: connections that got no answer */
	uint16_t suspects[OBSERVE_SUSPECTS_MAX];
	unsigned nsuspects;
};

void observe_lay_out(struct observe *observe, struct arena *arena, const struct rules *rules);

/* Notes that the server has answered a SYN (a refusal is an answer as well), or that it hasn't. */
void observe_note(struct observe *observe, const struct rules *rules, unsigned server,
                  bool answered);

/* Takes a server that is to be probed; false if there is none. */
bool observe_take(struct observe *observe, uint16_t *ret);

#endif
