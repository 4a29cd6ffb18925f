/*
 * An engine to be measured, as a worker would set it up.
 *
 * One farm with four service ports and sixteen servers, by weighted least connections, and as many
 * SNAT addresses as its flows need.
 */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include "../../bridge/process/memory.h"
#include "../../lb/lb.h"

enum { SUBJECT_SERVICES = 4, SUBJECT_SERVERS = 16, SUBJECT_FIRST_SERVICE = 5060 };

struct subject {
	struct rules *rules;
	struct memory lb_memory, farms_memory, extras[LB_EXTRAS];
	struct farms *farms;
	struct lb *lb;
	lb_time now, polled;
	size_t bytes; /* of memory that the process has gained */
};

/* The VIP's address: of IPv6 its last four bytes. */
static inline be32 subject_vip(void)
{
	return (be32){{10, 0, 0, 40}};
}

/* The first 12 bytes of all IPv6 addresses. */
extern const uint8_t subject_prefix6[12];

extern const struct mac subject_macs[NSIDES];

/* Takes memory for capacity flows. Exits if something is wrong. */
void subject_make(struct subject *subject, uint32_t capacity, bool ipv6);
void subject_free(struct subject *subject);

/* Lets ns go by, and does what time asks for once each ms. */
void subject_pass(struct subject *subject, uint64_t ns);

#endif
