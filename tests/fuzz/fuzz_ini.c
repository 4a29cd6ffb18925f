/*
 * lb.ini of any bytes.
 */
#include "../../cfg/cfg.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(void *ctx, bool is_error, const char *text)
{
	unsigned *errors = ctx;

	*errors += is_error;
	if (strchr(text, '\n'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	struct rules *rules = NULL;
	unsigned errors = 0;
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "/dev/shm/tmbridge-fuzz-%d.ini", (int)getpid());
	file = fopen(path, "w");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
	err = cfg_load(path, note, &errors, &rules);
	unlink(path);
	if ((err < 0) != (errors == 1) || (err == 0) != (rules != NULL))
		abort();
	rules_free(rules);
	return 0;
}
