/*
 * What must hold, else the run is a finding.
 */
#ifndef FUZZ_ENSURE_H
#define FUZZ_ENSURE_H

#include <stdlib.h>

#define ENSURE(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#endif
