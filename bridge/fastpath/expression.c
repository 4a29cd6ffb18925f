#include "expression.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>

enum { EXPRESSION_SNAPLEN = 262144 };

static_assert(sizeof(struct bpf_insn) == 8, "that of classic BPF");

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
