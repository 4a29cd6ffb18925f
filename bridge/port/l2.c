/*
 * Ethernet headers, VLAN tags included.
 */
#include "l2.h"

#include "../../lb/wire.h"

#include <assert.h>

static uint16_t tpid_value(unsigned tpid)
{
	static const uint16_t values[] = {
	        [TPID_8021Q] = ETHERTYPE_8021Q,
	        [TPID_8021AD] = ETHERTYPE_8021AD,
	        [TPID_QINQ_OLD] = ETHERTYPE_QINQ_OLD,
	};

	return values[tpid];
}

static bool is_tag(const uint8_t *ethertype)
{
	uint16_t value = be16_get(be16_load(ethertype));

	return value == ETHERTYPE_8021Q || value == ETHERTYPE_8021AD || value == ETHERTYPE_QINQ_OLD;
}

void l2_write(uint8_t *p, const struct hop *hop, const struct mac *src, uint16_t ethertype)
{
	const unsigned tpids[FRAME_TAGS_MAX] = {hop->tpid0, hop->tpid1};

	memcpy(p + ETH_DST, &hop->mac, sizeof(hop->mac));
	memcpy(p + ETH_SRC, src, sizeof(*src));
	p += ETH_TYPE;
	for (unsigned i = 0; i < hop->ntags; i++, p += FRAME_TAG_BYTES) {
		be16_store(p, be16_from(tpid_value(tpids[i])));
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
