/*
 * What an earlier process has left: its maps, pinned, with the flows that go on in them.
 */
#ifndef BRIDGE_HERITAGE_H
#define BRIDGE_HERITAGE_H

#include "loaded.h"
#include "pins.h"
#include "../../lb/rules.h"
#include "../../lb/tuple.h"

struct heritage {
	bool any;              /* it is there, whole, and of the layout that this process has */
	int maps[LOADED_MAPS]; /* their descriptors, ours to close; -1: none */
	uint32_t elements[LOADED_MAPS];
	struct fastpath_conf conf; /* as it was left */
	struct hash_key key;       /* that the table was made with */
	uint32_t nnames;           /* of IPv6 addresses, that its flows have */
	uint32_t live;             /* flows that go on */
	bool other_layout;         /* there was something that can't be read */
};

/* Reads what was left there of the interfaces, which has a meaning only if its layout is
 * FASTPATH_LAYOUT. False if there is nothing, or something of another size. */
bool heritage_read_conf(const struct pins *pins, struct fastpath_conf *ret);

/* The same, and false as well if it is of another layout. */
bool heritage_read(const struct pins *pins, struct fastpath_conf *ret);

/* heritage_none() sets it to nothing; heritage_find() looks for what there is. heritage_close() is
 * due for either. */
void heritage_none(struct heritage *heritage);
void heritage_find(struct heritage *heritage, const struct pins *pins);
void heritage_close(struct heritage *heritage);

/* Gives the IPv6 addresses of rules the names that flows have, unless those are many or there are
 * no flows; also if rules have none, so that flows' names go on to mean what they do.
 * Returns 0, or -ENOMEM: then rules are only good for rules_free(). */
int heritage_name(const struct heritage *heritage, struct rules *rules);

/* If it was left by a process of the same mode: else its flows mean something else. */
bool heritage_is_mode(const struct heritage *heritage, const struct rules *rules);

/* If the table is one as it would be made for rules, n workers and this key; the key may be NULL:
 * any. */
bool heritage_fits(const struct heritage *heritage, const struct rules *rules, unsigned n,
                   bool by_address, const struct hash_key *key);

#endif
