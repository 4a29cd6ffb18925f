/*
 * Landlock (Documentation/userspace-api/landlock.rst): an allow-list of files, kept by the kernel.
 *
 * A rule is about a file's inode, or a directory's and all beneath. Editors and logrotate put a new
 * file in the old one's place, so the rules are about the directories that the files are in, and a
 * reload that names a log in another directory fails. A path through a symbolic link gives two
 * directories, as either the link or its target may be replaced. The root directory is too much to
 * give: of a configuration there only the file itself may be read, as it is at start.
 *
 * The header that this is compiled with is often older than the kernel that it runs on. So what
 * came after Linux 6.1 is spelt out here, and the kernel is asked how much it knows.
 */
#include "landlock.h"

#include "log.h"
#include "names.h"
#include "sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr as of ABI 6 (Linux 6.12). */
struct attributes {
	uint64_t files, net, scoped;
};

#define ACCESS_TRUNCATE         (UINT64_C(1) << 14) /* ABI 3 */
#define ACCESS_FILES_ABI1       (UINT64_C(0x1fff))  /* bits 0 to 12 */
#define ACCESS_IOCTL_DEV        (UINT64_C(1) << 15) /* ABI 5 */
#define ACCESS_TCP_BIND_CONNECT (UINT64_C(0x3))     /* ABI 4 */
#define SCOPE_ABSTRACT_SIGNAL   (UINT64_C(0x3))     /* ABI 6 */

#define ACCESS_APPEND                                                                              \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_TRUNCATE)
#define ACCESS_REPLACE (ACCESS_APPEND | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define ACCESS_SPECIAL (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

/* All that a kernel of this ABI can refuse. */
static struct attributes all_of(long abi)
{
	struct attributes all = {.files = ACCESS_FILES_ABI1};

	if (abi >= 2)
		all.files |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		all.files |= ACCESS_TRUNCATE;
	if (abi >= 4)
		all.net = ACCESS_TCP_BIND_CONNECT;
	if (abi >= 5)
		all.files |= ACCESS_IOCTL_DEV;
	if (abi >= 6)
		all.scoped = SCOPE_ABSTRACT_SIGNAL;
	return all;
}

/* An older kernel refuses a longer structure, unless what it doesn't know of is 0. */
static int make_ruleset(const struct attributes *attributes)
{
	return (int)syscall(SYS_landlock_create_ruleset, attributes, sizeof(*attributes), 0);
}

/* Files of no mounted file system, as pipes, are refused a rule (EBADFD), and need none. */
static int add_rule(int ruleset, int fd, uint64_t access)
{
	const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		return 0;
	return errno == EBADFD ? 0 : -errno;
}

static int allow(int ruleset, const char *path, uint64_t access)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	int err = fd < 0 ? -errno : add_rule(ruleset, fd, access);

	if (fd >= 0)
		close(fd);
	return err;
}

static int allow_directory(int ruleset, const char *path, uint64_t access)
{
	char *directory = file_directory(path);
	int err = directory ? 0 : -ENOMEM;

	if (!err && !strcmp(directory, "/") && access == LANDLOCK_ACCESS_FS_READ_FILE)
		err = allow(ruleset, path, access);
	else if (!err)
		err = allow(ruleset, directory, access);
	free(directory);
	return err;
}

/* The directory of path, and that of what it links to. */
static int allow_directories(int ruleset, const char *path, uint64_t access)
{
	char *target = realpath(path, NULL);
	int err = allow_directory(ruleset, path, access);

	if (!err && target)
		err = allow_directory(ruleset, target, access);
	free(target);
	return err;
}

static int allow_file(int ruleset, const struct file_used *file, uint64_t known)
{
	static const uint64_t access[] = {
	        [FILE_READ] = LANDLOCK_ACCESS_FS_READ_FILE,
	        [FILE_APPEND] = ACCESS_APPEND,
	        [FILE_REPLACE] = ACCESS_REPLACE,
	};

	if (file->use != FILE_READ && file_stays(file))
		return allow(ruleset, file->path, ACCESS_SPECIAL & known);
	return allow_directories(ruleset, file->path, access[file->use] & known);
}

static int allow_files(int ruleset, const struct files *files, uint64_t known)
{
	struct file_used file;
	int err = 0;

	for (unsigned i = 0; files_at(files, i, &file); i++) {
		if (file.path && (err = allow_file(ruleset, &file, known)) < 0) {
			log_error("%s: Landlock: %s", file.path, strerror(-err));
			return err;
		}
	}
	return 0;
}

/* procfs makes another inode of a directory that the kernel has forgotten meanwhile. This one is
 * left open, so that it isn't. */
static int allow_settings(int ruleset)
{
	int fd = open("/proc/sys/net/ipv6/conf", O_PATH | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* this kernel has no IPv6 */
	return add_rule(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
}

/* As they are now; those that aren't there need no rule. */
static int allow_names(int ruleset)
{
	const char *path;
	int err = 0;

	for (unsigned i = 0; !err && (path = names_file(i)); i++) {
		err = allow(ruleset, path, LANDLOCK_ACCESS_FS_READ_FILE);
		if (err == -ENOENT)
			err = 0;
		else if (err < 0)
			log_error("%s: Landlock: %s", path, strerror(-err));
	}
	return err;
}

static int allow_all(int ruleset, const struct files *files, uint64_t known)
{
	int err = allow_files(ruleset, files, known);

	if (!err)
		err = allow_names(ruleset);
	if (!err && (err = allow_settings(ruleset)) < 0)
		log_error("Landlock: settings of the interfaces: %s", strerror(-err));
	if (!err && SANITIZED) /* the search for leaks */
		err = allow(ruleset, "/proc",
		            LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
	return err;
}

int landlock_enter(const struct files *files)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct attributes attributes = all_of(abi);
	int ruleset, err;

	if (abi < 1) {
		log_info("the kernel offers no Landlock: files are guarded by their modes only");
		return 0;
	}
	ruleset = make_ruleset(&attributes);
	if (ruleset < 0) {
		log_error("Landlock: %m");
		return -errno;
	}
	err = allow_all(ruleset, files, attributes.files);
	if (!err && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) {
		err = -errno;
		log_error("Landlock: %m");
	}
	close(ruleset);
	return err;
}
