/*
 * A program that has nothing to do with the wire: takes US of processor time, its own start
 * included, sleeps for MS, and takes US once more.
 *
 *   burn US MS US
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* Until this process has taken so much. */
static void burn(int64_t us)
{
	struct timespec used;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while (used.tv_sec * INT64_C(1000000) + used.tv_nsec / 1000 < us);
}

int main(int argc, char **argv)
{
	int ms;

	if (argc != 4)
		return 2;
	ms = atoi(argv[2]);
	burn(atoi(argv[1]));
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
	burn(atoi(argv[1]) + atoi(argv[3]));
	return 0;
}
