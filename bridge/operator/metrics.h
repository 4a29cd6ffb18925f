/*
 * The figures as OpenMetrics text (Prometheus).
 */
#ifndef BRIDGE_METRICS_H
#define BRIDGE_METRICS_H

#include "snapshot.h"

/*
 * Lines, the last one "# EOF". Every value that a label can have is there from the start; no label
 * is a client's. Returns text that the caller frees, or NULL if memory runs out.
 */
char *metrics_text(const struct snapshot *snapshot);

#endif
