/*
 * What the programs and the process share: the maps, in the process's memory.
 */
#ifndef BRIDGE_MAPS_H
#define BRIDGE_MAPS_H

#include "heritage.h"
#include "../../lb/rules.h"
#include "../../lb/table.h"

struct maps {
	struct loaded loaded;
	struct fastpath_conf *conf;
	struct fastpath_address *addresses;
	struct fastpath_counts *counts; /* by processor */
	struct fastpath_way *all_ways;  /* both halves */
	struct fastpath_way *ways;      /* by server: the half that is, or will be, in use */
	struct fastpath_part *parts;    /* by worker */
	struct fastpath_counts before;  /* what they had counted when this process began */
	bool inherited;                 /* with the flows of another process in them */
	const struct rules *prepared;   /* rules that are written beside those in use; NULL: none */
};

/*
 * Loads the programs, with maps for n workers of these shares; or, unless that is NULL, those of
 * heritage if they are as large as these would be: then rules come only by maps_set_rules(), and
 * servers by maps_renumber(). guard is as loaded_open() takes it, by the rules' mode. Returns 0, or
 * a negative errno: that the kernel won't have them. maps_close() is due in either case.
 */
int maps_open(struct maps *maps, const struct rules *rules, const struct share *shares, unsigned n,
              const struct heritage *heritage, const struct loaded_guard *guard);
void maps_close(struct maps *maps);

/* Has them outlive the process. Returns 0 or a negative errno. */
int maps_pin(struct maps *maps, const struct pins *pins);

/*
 * maps_prepare_rules() writes other rules beside those in use; maps_set_rules() goes over to them,
 * after preparing them unless that was done just before. Return 0, -ENOMEM, or -E2BIG if they are
 * too many for the maps.
 */
int maps_prepare_rules(struct maps *maps, const struct rules *rules);
int maps_set_rules(struct maps *maps, const struct rules *rules);

/* Says where the arrays of a worker's engine are, as lb_table_sizes() counts them. */
void maps_table(const struct maps *maps, unsigned worker, struct table *ret);

/* Has the programs leave all segments of flows to the process, as held says, or not: from when this
 * returns on. */
void maps_hold(struct maps *maps, enum fastpath_held held);

/* Notes where a server of rules is; NULL: that isn't known, and the process gets what is for it. */
void maps_set_way(struct maps *maps, const struct rules *rules, unsigned server,
                  const struct hop *hop);

/* Of maps that were inherited: if IPv6 addresses, or servers, of these rules have other numbers
 * than those in them. */
bool maps_have_other_names(const struct maps *maps, const struct rules *rules);
bool maps_have_other_numbers(const struct maps *maps, const struct rules *rules);

/*
 * Begins to number servers as rules do. Until maps_renumbered() a flow's server may have its old
 * number or its new one, and the functions here are about the new ones; after it only the new ones
 * count. maps_renumber() is for maps that were inherited. maps_renumber_by() is for rules whose n
 * servers get the numbers map[]; it returns false if all that have flows keep theirs, and then
 * maps_renumbered() isn't due. That adds what flows have carried by old numbers, n of which became
 * map[], to sums.
 */
void maps_renumber(struct maps *maps, const struct rules *rules);
bool maps_renumber_by(struct maps *maps, const struct rules *rules, const uint16_t *map,
                      unsigned n);
void maps_renumbered(struct maps *maps, const uint16_t *map, unsigned n, struct flow_sum *sums);

/* Where a server is; false if that isn't known. */
bool maps_way(const struct maps *maps, unsigned server, struct hop *ret);

/* If the programs have sent something to the server since the last call. */
bool maps_used_way(struct maps *maps, unsigned server);

/*
 * Adds what the flows of the first n servers have carried in the kernel since this was done last.
 */
void maps_take_sums(struct maps *maps, unsigned n, struct flow_sum *sums);

/* What all processors have counted since this process began. */
void maps_count(const struct maps *maps, struct fastpath_counts *ret);

#endif
