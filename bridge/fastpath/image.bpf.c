/*
 * The image of a frame, which the filters' expressions are applied to: a function of the program
 * that the process makes of them (asking.c).
 *
 * It is compiled without registers of 32 bits. The process loads that program after it has given
 * its capabilities away, and without CAP_PERFMON the verifier of Linux 6.1 refuses to have a place
 * on the stack written by halves once a number is kept there, which compilers do with such
 * registers.
 */
#include "map.bpf.h"
#include "shared.h"
#include "../../lb/wire.h"

#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct filter_image);
} filter_images SEC(".maps");

/*
 * How many bytes are loaded, less one: the number, or the most. A load of 0 bytes is refused. That
 * `number + 1` isn't 0 the verifier of Linux 6.1 understands; that a number which was compared with
 * 0 isn't, it doesn't.
 */
INLINE uint64_t at_most(uint32_t number, uint64_t most)
{
	uint64_t ret = number;

	__asm__ volatile("" : "+r"(ret));
	if (ret > most)
		ret = most;
	__asm__ volatile("" : "+r"(ret));
	return ret;
}

/*
 * Copies what follows the frame's addresses to the image's byte `to`, as much as there is room for.
 */
INLINE bool copy_rest(struct __sk_buff *skb, struct filter_image *image, uint32_t to)
{
	const uint64_t less = at_most(skb->len - ETH_TYPE - 1, FILTER_IMAGE_BYTES - to - 1);

	return bpf_skb_load_bytes(skb, ETH_TYPE, image->bytes + to, less + 1) == 0;
}

/* Copies the beginning of the frame, the tag in its place. Fails only of what is shorter than an
 * Ethernet header. */
INLINE bool copy(struct __sk_buff *skb, struct filter_image *image)
{
	const uint32_t shift = skb->vlan_present ? FRAME_TAG_BYTES : 0;
	be16 tag[2];

	if (skb->len < ETH_HEADER_BYTES)
		return false;
	image->shift = shift;
	image->len = skb->len + shift;
	if (bpf_skb_load_bytes(skb, 0, image->bytes, ETH_TYPE) < 0)
		return false;
	if (!shift)
		return copy_rest(skb, image, ETH_TYPE);
	tag[0] = be16_from(bpf_ntohs(skb->vlan_proto));
	tag[1] = be16_from((uint16_t)skb->vlan_tci);
	__builtin_memcpy(image->bytes + ETH_TYPE, tag, sizeof(tag));
	return copy_rest(skb, image, ETH_TYPE + FRAME_TAG_BYTES);
}

/*
 * Takes out the header that the kernel puts into a merged frame of more than 64 KiB (RFC 2675, 2;
 * "BIG TCP"): none of its packets has it, and expressions don't look behind it.
 */
INLINE void take_out_jumbo(struct __sk_buff *skb, struct filter_image *image,
                           const struct first *first)
{
	enum { JUMBO_BYTES = 8, JUMBO_TYPE = 0xc2, L3_MASK = 31, ROOM = 240 };
	volatile struct first_notes *notes = first->notes;
	uint64_t less; /* than the rest, by one */
	uint32_t jumbo, to;

	first_find_l3(first);
	jumbo = notes->outer.l3 + IPV6_HEADER_BYTES;
	if (notes->type != ETHERTYPE_IPV6 ||
	    first_byte(first, notes->outer.l3 + IPV6_NEXT_HEADER) != IPPROTO_NUM_HOP_BY_HOP ||
	    first_byte(first, jumbo + IPV6_EXTENSION_LENGTH) != 0 ||
	    first_byte(first, jumbo + 2) != JUMBO_TYPE)
		return;
	notes->inner.protocol = first_byte(first, jumbo);
	to = (first_at(first, notes->outer.l3) & L3_MASK) + IPV6_HEADER_BYTES;
	less = at_most(image->len - jumbo - JUMBO_BYTES - 1, ROOM - 1);
	if (bpf_skb_load_bytes(skb, jumbo + JUMBO_BYTES - image->shift, image->bytes + to,
	                       less + 1) < 0)
		return;
	image->bytes[first_at(first, notes->outer.l3 + IPV6_NEXT_HEADER)] =
	        (uint8_t)notes->inner.protocol;
	image->len -= JUMBO_BYTES;
	image->shift -= JUMBO_BYTES;
}

/* Changes the image to that of the first packet of a merged frame, as it was on the wire. */
INLINE void unmerge(struct __sk_buff *skb, struct filter_image *image)
{
	const struct first first = {image->bytes, &image->first};

	take_out_jumbo(skb, image, &first);
	image->first.len = image->len;
	image->first.merged = skb->gso_size;
	if (!first_packet(&first))
		return;
	image->len = image->first.len;
	image->packets = image->first.packets;
}

/* Called by the filters' program, which has its instructions. Returns 0 if there is nothing to look
 * at. */
SEC("tc")
int filter_image(struct __sk_buff *skb)
{
	uint32_t zero = 0;
	struct filter_image *image = bpf_map_lookup_elem(&filter_images, &zero);

	if (!image || !copy(skb, image))
		return 0;
	image->packets = 1;
	image->matched = 0;
	if (skb->gso_size)
		unmerge(skb, image);
	return 1;
}

char image_license[] SEC("license") = "GPL";
