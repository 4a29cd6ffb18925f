/*
 * A host behind VLAN tags, without VLAN interfaces, which not every kernel has: for tc's clsact
 * hook.
 *
 * `push` puts tags on all that leaves, `pop` takes them off all that comes in, and drops what has
 * other ones. Compiled with the tags: OUTER_TPID and OUTER_ID and, if there are two, INNER_TPID and
 * INNER_ID.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

static long (*vlan_push)(struct __sk_buff *skb, __u16 tpid,
                         __u16 tci) = (void *)BPF_FUNC_skb_vlan_push;
static long (*vlan_pop)(struct __sk_buff *skb) = (void *)BPF_FUNC_skb_vlan_pop;

static int push_one(struct __sk_buff *skb, __u16 tpid, __u16 id)
{
	return vlan_push(skb, __builtin_bswap16(tpid), id) == 0;
}

static int pop_one(struct __sk_buff *skb, __u16 tpid, __u16 id)
{
	return skb->vlan_present && skb->vlan_proto == __builtin_bswap16(tpid) &&
	       (skb->vlan_tci & 0xfff) == id && vlan_pop(skb) == 0;
}

__attribute__((section("tc/push"), used)) int push(struct __sk_buff *skb)
{
	int ok = 1;

#ifdef INNER_TPID
	ok = push_one(skb, INNER_TPID, INNER_ID);
#endif
	return ok && push_one(skb, OUTER_TPID, OUTER_ID) ? TC_ACT_OK : TC_ACT_SHOT;
}

__attribute__((section("tc/pop"), used)) int pop(struct __sk_buff *skb)
{
	int ok = pop_one(skb, OUTER_TPID, OUTER_ID);

#ifdef INNER_TPID
	ok = ok && pop_one(skb, INNER_TPID, INNER_ID);
#endif
	return ok ? TC_ACT_OK : TC_ACT_SHOT;
}

/* the helpers are for programs under the GPL */
char bpf_license[] __attribute__((section("license"), used)) = "GPL";
