/*
 * One frame of any bytes, on either side, whole or cut, its checksum partial or not, to an engine
 * that has flows. The first byte says which of these.
 */
#include "books.h"
#include "engine.h"
#include "witness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct witness witness;
	struct lb *lb = engine_new(0);
	uint8_t *bytes = malloc(size + FRAME_HEADROOM); /* so that ASan knows where it ends */
	struct frame frame = {.data = bytes + FRAME_HEADROOM, .headroom = FRAME_HEADROOM};
	struct verdict verdict;

	if (size) {
		frame.side = data[0] & 1;
		frame.flags = data[0] & 2 ? FRAME_CSUM_PARTIAL : 0;
		frame.len = (uint32_t)size - 1;
		frame.wire_len = frame.len + (data[0] & 4 ? 1000 : 0);
		memcpy(frame.data, data + 1, frame.len);
		witness_before(&witness, &frame);
		lb_input(lb, &frame, 1, (lb_time){2 * LB_NS_PER_S}, &verdict);
		if (verdict.act == LB_FORWARD && verdict.why != WHY_FRAGMENT_HELD)
			ENSURE(witness_translated(&witness, &frame));
		else
			ENSURE(witness_same(&witness, &frame));
		books_check(lb, engine_frames() + 1);
	}
	free(bytes);
	engine_free();
	return 0;
}
