/*
 * A line of the connection log.
 */
#ifndef BRIDGE_LOGLINE_H
#define BRIDGE_LOGLINE_H

#include "../../lb/ended.h"
#include "../../lb/rules.h"

/* The addresses of a flow. */
enum { LINE_CLIENT, LINE_VIP, LINE_SNAT, LINE_SERVER, LINE_ADDRESSES };

enum { LOGLINE_BYTES = 1024 }; /* of its text, at most */

/* What it says; of the rules nothing is needed any more. */
struct logline {
	struct ended ended;
	bool is_ipv6;
	struct ip6 ip6[LINE_ADDRESSES]; /* instead of the names in ended */
	char farm[RULES_NAME_BYTES], server[RULES_NAME_BYTES];
};

/* Notes what there is to say of a flow of rules that has ended. */
void logline_make(struct logline *ret, const struct rules *rules, const struct ended *ended);

/* Makes a JSON object of it, with a newline; offset in ns takes its times to those of 1970. Returns
 * its length. */
size_t logline_text(char ret[LOGLINE_BYTES], const struct logline *line, uint64_t offset);

#endif
