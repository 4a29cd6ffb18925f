/*
 * Who runs tmbridge after the start, and with what capabilities.
 */
#ifndef BRIDGE_USER_H
#define BRIDGE_USER_H

#include "files.h"

#include <sys/types.h>

#define USER_OWN "tmbridge" /* whom root becomes, if there is one */

struct user {
	uid_t uid;
	gid_t gid;
	char name[64]; /* for messages */
};

/*
 * Chooses the user. asked is the name from the command line, or NULL: then root becomes USER_OWN
 * if there is such a user, else nobody, or stays root, with a warning, if that one couldn't go on
 * using the files; somebody else stays who he is. Returns 0, or a negative errno with the reason
 * logged.
 */
int user_choose(const char *asked, const struct files *files, struct user *ret);

/*
 * Becomes that user for good, with no capabilities but kept, a mask of 1 << CAP_..., and no way to
 * any others, then looks whether the files can still be used. Only for a process of one thread.
 * Returns 0, or a negative errno with the reason logged.
 */
int user_become(const struct user *user, uint64_t kept, const struct files *files);

#endif
