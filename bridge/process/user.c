/*
 * From root to nobody in particular.
 *
 * A balancer has no use for root's powers once its sockets are open; but for files it has, if root
 * alone may read lb.ini or write where the statistics go. A user who was named must be able to use
 * the files, or the start fails. The default tries to, and else stays root, though without root's
 * capabilities: root's own files are then all that it may touch.
 */
#include "user.h"

#include "log.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { USER_CAPABILITIES = 64 }; /* the bits of kept; Linux 6 has 41 */

static void set_user(struct user *user, const struct passwd *entry)
{
	*user = (struct user){.uid = entry->pw_uid, .gid = entry->pw_gid};
	snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
}

static void set_self(struct user *user)
{
	const struct passwd *entry = getpwuid(geteuid());

	if (entry)
		set_user(user, entry);
	else
		snprintf(user->name, sizeof(user->name), "%u", (unsigned)geteuid());
	user->uid = geteuid();
	user->gid = getegid();
}

static int find(const char *name, struct user *ret)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry)
		return -ENOENT;
	set_user(ret, entry);
	return 0;
}

static int say_problem(const struct user *user, const struct files_problem *problem)
{
	if (problem->path)
		log_error("%s: user %s can't %s: %s", problem->path, user->name, problem->what,
		          strerror(problem->err));
	else
		log_error("user %s: can't become that: %s", user->name, strerror(problem->err));
	return -problem->err;
}

/* Takes on the effective identity only, so that there is a way back. */
static int pose_as(const struct user *user, struct files_problem *ret)
{
	if (initgroups(user->name, user->gid) == 0 && setegid(user->gid) == 0 &&
	    seteuid(user->uid) == 0)
		return 0;
	*ret = (struct files_problem){.err = errno};
	return -ret->err;
}

/* Looks at the files as the user, and is root again, but for supplementary groups. */
static int try_files(const struct user *user, const struct files *files, struct files_problem *ret)
{
	int err = pose_as(user, ret);

	if (!err)
		err = files_check(files, ret);
	if (seteuid(0) < 0 || setegid(0) < 0) {
		*ret = (struct files_problem){.err = errno};
		return -ret->err;
	}
	return err;
}

static int choose_default(const struct files *files, struct user *ret)
{
	struct files_problem problem;
	struct user user;

	set_self(ret);
	if (find(USER_OWN, &user) < 0 && find("nobody", &user) < 0)
		return 0;
	if (try_files(&user, files, &problem) == 0)
		*ret = user;
	else if (problem.path)
		log_warning("%s: user %s can't %s: stays root, though without its powers "
		            "(see --user)",
		            problem.path, user.name, problem.what);
	else
		log_warning("user %s: can't become that: %s: stays root, though without its powers",
		            user.name, strerror(problem.err));
	return 0;
}

int user_choose(const char *asked, const struct files *files, struct user *ret)
{
	struct files_problem problem;

	if (geteuid() != 0) {
		set_self(ret);
		if (!asked)
			return 0;
		log_error("--user %s: only root can become another user", asked);
		return -EPERM;
	}
	if (!asked)
		return choose_default(files, ret);
	if (find(asked, ret) < 0) {
		log_error("--user %s: no such user", asked);
		return -ENOENT;
	}
	if (ret->uid == 0 || try_files(ret, files, &problem) == 0)
		return 0;
	return say_problem(ret, &problem);
}

/* Returns 0, or -EPERM: libcap-ng says no more than where it failed. */
static int change(const struct user *user, uint64_t kept)
{
	bool may_bound;

	capng_get_caps_process();
	may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned i = 0; i < USER_CAPABILITIES; i++)
		if (kept & UINT64_C(1) << i)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, i);
	if (user->uid != geteuid())
		return capng_change_id((int)user->uid, (int)user->gid,
		                       CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING |
		                               CAPNG_CLEAR_AMBIENT);
	return capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT |
	                   (may_bound ? CAPNG_SELECT_BOUNDS : 0));
}

int user_become(const struct user *user, uint64_t kept, const struct files *files)
{
	struct files_problem problem;
	int code = change(user, kept);

	if (code < 0) {
		log_error("user %s: can't give up privileges (libcap-ng says %d)", user->name,
		          code);
		return -EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		log_error("no_new_privs: %m");
		return -errno;
	}
	if (files_check(files, &problem) < 0)
		return say_problem(user, &problem);
	if (files_check_rotation(files, &problem) < 0)
		log_warning("%s: user %s can't %s: a rotation must make the file anew itself",
		            problem.path, user->name, problem.what);
	return 0;
}
