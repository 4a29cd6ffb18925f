/*
 * Lists of address prefixes: allow, deny, client_exempt.
 */
#ifndef CFG_PREFIXES_H
#define CFG_PREFIXES_H

#include "value.h"

/*
 * A prefix as it is read: of IPv4 among ip6_mapped() addresses, len counting from their beginning.
 */
struct prefix {
	struct ip6 first;
	uint8_t len;
	uint8_t word; /* enum prefix_word */
};

struct prefix_list {
	struct prefix *at;
	uint32_t n, room;
};

/*
 * Adds the prefixes of a value, between commas, with that word to list, which is zeros before the
 * first and free()d by the caller; an item @FILE is a file with one a line. A path that doesn't
 * begin with / is beside file, where the value stands; each is noted in rules. Returns 0, -EINVAL
 * with value->why filled in, or -ENOMEM.
 */
int prefixes_read(struct value *value, const char *file, struct rules *rules, enum prefix_word word,
                  struct prefix_list *list);

/* Makes ranges of list, which it sorts: the longest prefix counts, and of equal ones deny. Returns
 * 0 or -ENOMEM. */
int prefixes_make(struct prefix_list *list, struct prefixes *ret);

#endif
