/*
 * The least that a program at tc ingress can be which makes a cable: sends each frame out of the
 * other port, OUT. A contender of live.sh, which builds it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

SEC("tc")
int bare(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_redirect(OUT, 0);
}

char bpf_license[] SEC("license") = "Dual BSD/GPL";
