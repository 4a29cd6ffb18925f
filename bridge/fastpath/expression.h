/*
 * The expressions of [filter NAME]s, which libpcap compiles.
 */
#ifndef BRIDGE_EXPRESSION_H
#define BRIDGE_EXPRESSION_H

#include "../../lb/rules.h"

enum { EXPRESSION_WHY_BYTES = 256 };

/* libpcap's struct bpf_program, whose header can't stand beside the kernel's. */
struct expression {
	unsigned n;
	void *instructions; /* of classic BPF: struct bpf_insn of libpcap, struct sock_filter */
};

/*
 * Compiles the filter's expression. Returns 0; or -ENOMEM or -EINVAL, with libpcap's words in why.
 */
int expression_compile(const struct rules_filter *filter, struct expression *ret,
                       char why[EXPRESSION_WHY_BYTES]);
void expression_free(struct expression *expression);

/* If it matches the frame, whose len bytes are there of wire_len. */
bool expression_matches(const struct expression *expression, const uint8_t *data, uint32_t wire_len,
                        uint32_t len);

#endif
