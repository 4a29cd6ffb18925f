/*
 * Ethernet headers, VLAN tags included.
 */
#include "l2.h"

#include "../../lb/wire.h"

#include <assert.h>
#include <linux/if_packet.h>

static bool is_tag(const uint8_t *ethertype)
{
	unsigned tpid;

	return tpid_of(be16_get(be16_load(ethertype)), &tpid);
}

void l2_write(uint8_t *p, const struct hop *hop, const struct mac *src, uint16_t ethertype)
{
	const unsigned tpids[FRAME_TAGS_MAX] = {hop->tpid0, hop->tpid1};

	memcpy(p + ETH_DST, &hop->mac, sizeof(hop->mac));
	memcpy(p + ETH_SRC, src, sizeof(*src));
	p += ETH_TYPE;
	for (unsigned i = 0; i < hop->ntags; i++, p += FRAME_TAG_BYTES) {
		be16_store(p, be16_from(tpid_ethertype(tpids[i])));
		be16_store(p + 2, hop->tci[i]);
	}
	be16_store(p, be16_from(ethertype));
}

void l2_redirect(struct frame *frame, const struct hop *hop, const struct mac *src)
{
	uint32_t old = ETH_HEADER_BYTES, new = l2_bytes(hop);
	uint16_t ethertype;

	while (old < ETH_HEADER_BYTES + FRAME_HEADROOM && is_tag(frame->data + old - 2))
		old += FRAME_TAG_BYTES;
	assert(old + frame->headroom >= new);
	ethertype = be16_get(be16_load(frame->data + old - 2));
	frame->data = frame->data + old - new;
	frame->headroom = frame->headroom + old - new;
	frame->len = frame->len - old + new;
	frame->wire_len = frame->wire_len - old + new;
	l2_write(frame->data, hop, src, ethertype);
}

void l2_restore_tag(struct frame *frame, uint32_t status, uint16_t tci, uint16_t tpid)
{
	if (!(status & TP_STATUS_VLAN_VALID) || frame->len < ETH_TYPE)
		return;
	if (!(status & TP_STATUS_VLAN_TPID_VALID))
		tpid = ETHERTYPE_8021Q;
	frame->data -= FRAME_TAG_BYTES;
	frame->headroom -= FRAME_TAG_BYTES;
	frame->len += FRAME_TAG_BYTES;
	frame->wire_len += FRAME_TAG_BYTES;
	memmove(frame->data, frame->data + FRAME_TAG_BYTES, ETH_TYPE);
	be16_store(frame->data + ETH_TYPE, be16_from(tpid));
	be16_store(frame->data + ETH_TYPE + 2, be16_from(tci));
}
