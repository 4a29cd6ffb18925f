/*
 * A reload: other rules, while frames and flows go on.
 */
#ifndef BRIDGE_RELOAD_H
#define BRIDGE_RELOAD_H

#include "operator/overrides.h"
#include "options.h"
#include "worker/crew.h"
#include "../cfg/cfg.h"

/*
 * Makes rules of text or, if that has no bytes, of the file, whose text it becomes, the caller's to
 * free in any case; for a host that has these addresses. Returns NULL, with the reason logged, if
 * they are bad.
 */
typedef struct rules *reload_load(const struct options *options, struct cfg_text *text,
                                  const struct rules_nets *host);

/* What a reload is about; borrowed. */
struct reload {
	const struct options *options;
	reload_load *load;
	struct crew *crew;
	struct cfg_text *text;       /* in force */
	bool from_file;              /* or else the text in force again, with other overrides */
	const char *how;             /* for the log: what has happened to the file's rules */
	struct overrides *overrides; /* that lie over it */
	struct rules_nets host;
	/*
	 * called with ctx when rules are loaded, to add what isn't in the file; 0, or logs why not
	 */
	int (*loaded)(void *ctx, struct rules *rules);
	/* the same when they have taken over what is in use of the rules before */
	int (*taken_over)(void *ctx, struct rules *rules);
	uint32_t max_connections, max_half_open; /* the table's, which only a restart changes */
	/* called with ctx: if the addresses are free that are new in rules; 0, or logs why not */
	int (*check)(void *ctx, const struct rules *rules, const struct rules *before);
	/* called with ctx when all else is made for these rules, while the workers go on */
	void (*built)(void *ctx, const struct rules *rules);
	/* called with ctx when the workers have other rules, and stand still */
	void (*swapped)(void *ctx, const struct rules *rules);
	void *ctx;
};

/*
 * Reloads. Returns 0, or a negative errno with the reason logged: then nothing has changed. The
 * rules in use are crew's in either case.
 */
int reload_run(const struct reload *reload);

#endif
