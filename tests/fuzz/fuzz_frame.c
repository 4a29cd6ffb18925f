/*
 * One frame of any bytes, on either side, whole or cut, its checksum partial or not.
 */
#include "engine.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lb *lb = engine_new((lb_time){0});
	uint8_t *bytes = malloc(size + FRAME_HEADROOM);
	struct frame frame = {.data = bytes + FRAME_HEADROOM, .headroom = FRAME_HEADROOM};
	struct verdict verdict;

	if (size) {
		frame.side = data[0] & 1;
		frame.flags = data[0] & 2 ? FRAME_CSUM_PARTIAL : 0;
		frame.len = (uint32_t)size - 1;
		frame.wire_len = frame.len + (data[0] & 4 ? 1000 : 0);
		memcpy(frame.data, data + 1, frame.len);
		lb_input(lb, &frame, 1, (lb_time){1}, &verdict);
		engine_check(lb, 1);
	}
	free(bytes);
	engine_free(lb);
	return 0;
}
