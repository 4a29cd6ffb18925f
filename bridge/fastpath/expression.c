#include "expression.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>

enum {
	EXPRESSION_SNAPLEN = 262144,
	SKF_AD_OFF = -0x1000, /* as the kernel has it; its header and that of libpcap exclude each
	                         other */
};

static_assert(sizeof(struct bpf_insn) == 8, "that of classic BPF");

/* What libpcap means by an offset from here on is told by the kernel's sockets beside a frame, as
 * for `inbound`. There is nothing of it here, so the expression would match nothing. */
static bool is_beside_frame(const struct bpf_insn *in, uint32_t *ret)
{
	*ret = in->k;
	return BPF_CLASS(in->code) == BPF_LD && BPF_MODE(in->code) == BPF_ABS &&
	       in->k >= (uint32_t)SKF_AD_OFF;
}

static int check(const struct bpf_program *program, char why[EXPRESSION_WHY_BYTES])
{
	uint32_t at;

	for (uint32_t i = 0; i < program->bf_len; i++)
		if (is_beside_frame(&program->bf_insns[i], &at)) {
			snprintf(why, EXPRESSION_WHY_BYTES,
			         "it asks for byte %" PRId32
			         " of a frame, which isn't there; by which side a frame "
			         "arrives is for the key side",
			         (int32_t)at);
			return -EINVAL;
		}
	return 0;
}

int expression_compile(const struct rules_filter *filter, struct expression *ret,
                       char why[EXPRESSION_WHY_BYTES])
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, EXPRESSION_SNAPLEN);
	struct bpf_program program;
	int err;

	*ret = (struct expression){0};
	snprintf(why, EXPRESSION_WHY_BYTES, "out of memory");
	if (!pcap)
		return -ENOMEM;
	err = pcap_compile(pcap, &program, filter->match, 1, PCAP_NETMASK_UNKNOWN) ? -EINVAL : 0;
	if (err)
		snprintf(why, EXPRESSION_WHY_BYTES, "%s", pcap_geterr(pcap));
	else if ((err = check(&program, why)) < 0)
		pcap_freecode(&program);
	else
		*ret = (struct expression){program.bf_len, program.bf_insns};
	pcap_close(pcap);
	return err;
}

void expression_free(struct expression *expression)
{
	struct bpf_program program = {expression->n, expression->instructions};

	if (program.bf_insns)
		pcap_freecode(&program);
	*expression = (struct expression){0};
}

bool expression_matches(const struct expression *expression, const uint8_t *data, uint32_t wire_len,
                        uint32_t len)
{
	return bpf_filter(expression->instructions, data, wire_len, len) != 0;
}
