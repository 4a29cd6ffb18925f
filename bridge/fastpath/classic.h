/*
 * From classic BPF, as libpcap compiles an expression to, to the instructions that the kernel's
 * programs are made of.
 *
 * What an expression looks at is the image of the frame (struct filter_image); what lies behind
 * that, the frame itself. Both have the same bytes at the same offsets for it: VLAN tags are in
 * their place, and a merged frame is the first of the packets that it was made of.
 */
#ifndef BRIDGE_CLASSIC_H
#define BRIDGE_CLASSIC_H

#include "code.h"

#include <stdbool.h>

struct sock_filter; /* the kernel's: the same as libpcap's struct bpf_insn */

/* What the translation expects: registers that hold the context and the image, which it leaves as
 * they are, and where its part of the stack ends. All else is lost. */
enum { CLASSIC_CONTEXT = 6, CLASSIC_IMAGE = 7, CLASSIC_STACK = -8 };

/* Appends what is done when the expression matches; then it goes on as if it hadn't. */
typedef void classic_matched(void *context);

/* If the expression is valid: it ends, and all jumps go to instructions of its own. */
bool classic_is_sound(const struct sock_filter *expression, uint32_t n);

/*
 * Appends the expression of n instructions. Returns false if it matches all frames: then what is
 * appended next is reached only through what matched() has appended. Errors are in code: -EINVAL if
 * there was an instruction that isn't known, -E2BIG if something is too far away.
 */
bool classic_translate(struct code *code, const struct sock_filter *expression, uint32_t n,
                       classic_matched *matched, void *context);

#endif
